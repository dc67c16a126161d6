"""Invoices: numbers, statuses, tax to the cent, and what they post."""

from decimal import Decimal
from typing import Any

import pytest

from tests.sandbox.xero.harness import NO_ID, Books, Xero, credit_note, invoice, line


async def test_a_paid_sale_stands_in_the_books_as_it_should(books: Books) -> None:
    contact = await books.contact(ContactNumber="cus_1", EmailAddress="ana@example.com")
    made = await books.invoice(contact, line(Decimal("250.00")))
    assert (made["Status"], made["Total"], made["TotalTax"], made["AmountDue"]) == (
        "AUTHORISED",
        Decimal("250.00"),
        Decimal("41.67"),
        Decimal("250.00"),
    )
    assert (made["Date"], made["DateString"]) == ("/Date(1772409600000+0000)/", "2026-03-02T00:00:00")
    paid = await books.pay(made["InvoiceID"], Decimal("250.00"))
    assert (paid["PaymentType"], paid["Status"], paid["Invoice"]["AmountDue"]) == ("ACCRECPAYMENT", "AUTHORISED", 0)
    [now] = await books.rows("Invoices/TO-pi_1")
    assert (now["Status"], now["AmountPaid"], now["AmountDue"]) == ("PAID", Decimal("250.00"), 0)
    assert [payment["PaymentID"] for payment in now["Payments"]] == [paid["PaymentID"]]
    assert await books.trial_balance() == {"Session Fees": -20833, "VAT": -4167, "Stripe Clearing": 25000}


async def test_a_number_in_use_is_refused_by_put_and_overwritten_by_post(books: Books) -> None:
    contact = await books.contact()
    first = await books.invoice(contact, line(100))
    assert await books.refused("Invoices", invoice(contact, line(5))) == "Invoice # must be unique."
    [over] = await books.put("Invoices", invoice(contact, line(5), number="to-PI_1"), method="POST")
    assert (over["InvoiceID"], over["Total"]) == (first["InvoiceID"], 5)
    assert len(await books.rows("Invoices")) == 1


async def test_voiding_needs_the_payment_gone_first(books: Books) -> None:
    contact = await books.contact()
    made = await books.invoice(contact, line(100))
    paid = await books.pay(made["InvoiceID"], 100)
    path = f"Invoices/{made['InvoiceID']}"
    refusal = await books.refused(path, {"InvoiceID": made["InvoiceID"], "Status": "VOIDED"}, method="POST")
    assert "because it has payments or credit notes allocated to it" in refusal
    await books.update(f"Payments/{paid['PaymentID']}", {"Status": "DELETED"})
    assert (await books.rows(path))[0]["Status"] == "AUTHORISED"
    assert (await books.update(path, {"InvoiceID": made["InvoiceID"], "Status": "VOIDED"}))["Status"] == "VOIDED"
    assert await books.trial_balance() == {}
    assert await books.refused("Invoices", invoice(contact, line(5))) == "Invoice # must be unique."
    await books.behave(reuse_numbers=True)
    await books.invoice(contact, line(5))


async def test_good_elements_are_kept_and_bad_ones_named(books: Books) -> None:
    contact = await books.contact()
    wrong = invoice(contact, line(10, code="999"), number="TO-2")
    good, bad = await books.put("Invoices", invoice(contact, line(10)), wrong)
    assert (good["StatusAttributeString"], good["HasErrors"]) == ("OK", False)
    assert (bad["InvoiceID"], bad["StatusAttributeString"], bad["HasErrors"]) == (NO_ID, "ERROR", True)
    assert bad["ValidationErrors"] == [{"Message": "Account code '999' is not a valid code for this document."}]
    answer = await books.call("PUT", "Invoices", {"Invoices": [wrong]}, summarizeErrors="true")
    assert (answer.status_code, answer.json()["Type"]) == (400, "ValidationException")
    assert [row["InvoiceNumber"] for row in await books.rows("Invoices")] == ["TO-pi_1"]
