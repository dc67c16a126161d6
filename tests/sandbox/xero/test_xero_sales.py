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


@pytest.mark.parametrize(
    ("mode", "amounts", "total", "tax"),
    [
        ("Inclusive", ["0.03", "0.03", "0.03"], "0.09", "0.03"),
        ("Exclusive", ["0.03", "0.03", "0.03"], "0.12", "0.03"),
        ("NoTax", ["0.03", "0.03", "0.03"], "0.09", "0.00"),
        ("Inclusive", ["100", "-10"], "90.00", "15.00"),
        ("Exclusive", ["33.33", "33.33", "33.34"], "120.01", "20.01"),
    ],
)
async def test_tax_is_rounded_line_by_line(books: Books, mode: str, amounts: list[str], total: str, tax: str) -> None:
    lines = [line(Decimal(amount), tax=None if mode == "NoTax" else "OUTPUT2") for amount in amounts]
    made = await books.invoice(await books.contact(), *lines, LineAmountTypes=mode)
    assert (str(made["Total"]), str(made["TotalTax"])) == (total, tax)
    assert made["SubTotal"] + made["TotalTax"] == made["Total"]
    await books.trial_balance()


async def test_four_decimals_need_to_be_asked_for(books: Books) -> None:
    contact, item = await books.contact(), line(Decimal("0.3333"), Quantity=3)
    fine = await books.invoice(contact, item, number="TO-1")
    [coarse] = await books.put("Invoices", invoice(contact, item, number="TO-2"))
    assert (fine["Total"], coarse["Total"]) == (Decimal("1.00"), Decimal("0.99"))
    assert fine["LineItems"][0]["UnitAmount"] == Decimal("0.3333")
    wrong = await books.refused("Invoices", invoice(contact, line(2, LineAmount=3), number="TO-3"))
    assert wrong == "The line total 3.00 does not match the expected line total 2.00"
    derived = line(0, LineAmount=Decimal("7.50"))
    del derived["UnitAmount"]
    assert (await books.invoice(contact, derived, number="TO-4"))["Total"] == Decimal("7.50")


async def test_discounts_are_for_sales(books: Books) -> None:
    contact = await books.contact()
    by_rate = await books.invoice(contact, line(200, DiscountRate=10), number="TO-1")
    by_amount = await books.invoice(contact, line(200, DiscountAmount=20), number="TO-2")
    assert by_rate["Total"] == by_amount["Total"] == 180
    assert by_rate["IsDiscounted"] is True
    bill = invoice(contact, line(200, "400", "INPUT2", DiscountRate=10), Type="ACCPAY")
    assert "Discounts" in await books.refused("Invoices", bill)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"LineItems": []}, "At least one line item"),
        ({"LineItems": [line(10, Description=" ")]}, "Description must not be empty"),
        ({"LineItems": [line(10, AccountCode="")]}, "Account code must be specified"),
        ({"LineItems": [line(10, code="610")]}, "'610' is not a valid code"),
        ({"LineItems": [line(10, code="090")]}, "'090' is not a valid code"),
        ({"LineItems": [line(10, code="400")]}, "'OUTPUT2' cannot be used with account code '400'"),
        ({"LineItems": [line(10, tax="OUTPUT")]}, "The TaxType code 'OUTPUT' does not exist"),
        ({"LineItems": [line(-10)]}, "cannot be negative"),
        ({"LineItems": [line(1, ItemCode="none")]}, "Item code 'none'"),
        ({"LineItems": [line(1, Tracking=[{"Name": "Region", "Option": "West"}])]}, "tracking category"),
        ({"LineItems": [line(1, Description="x" * 4001)]}, "maximum length of 4000"),
        ({"DueDate": None}, "DueDate must be specified"),
        ({"Contact": {}}, "The Contact must contain at least 1 of the following elements"),
        ({"Contact": {"ContactNumber": "cus_none"}}, "could not be found"),
        ({"CurrencyCode": "SEK"}, "Organisation is not subscribed to currency SEK"),
        ({"Url": "https://xero.example.com"}, "Url is not valid"),
        ({"Status": "PAID"}, "cannot have the status PAID"),
        ({"Type": None}, "Type must be specified"),
        ({"InvoiceID": NO_ID}, "could not be found"),
    ],
)
async def test_an_approved_invoice_must_be_whole(books: Books, change: dict[str, Any], expected: str) -> None:
    body = {**invoice(await books.contact(), line(10)), **change}
    assert expected in await books.refused("Invoices", body)
    assert await books.rows("Invoices") == []
    assert await books.trial_balance() == {}


async def test_a_guid_is_no_account_code_but_an_account_id_will_do(books: Books) -> None:
    contact, account = await books.contact(), books.accounts["Coaching Packages"]
    refusal = await books.refused("Invoices", invoice(contact, line(10, code=account)))
    assert "is not a valid code" in refusal
    by_id = line(10, AccountID=account)
    del by_id["AccountCode"], by_id["TaxType"]
    made = await books.invoice(contact, by_id)
    assert (made["LineItems"][0]["AccountCode"], made["LineItems"][0]["TaxType"]) == ("210", "OUTPUT2")


async def test_drafts_forgive_and_warn_and_do_not_post(books: Books) -> None:
    contact = await books.contact()
    [draft] = await books.put("Invoices", invoice(contact, line(10, code="476"), Status="DRAFT"))
    assert draft["StatusAttributeString"] == "WARNING"
    text = "Account code ''476'' has been removed as it does not match a recognised account."
    assert draft["Warnings"] == [{"Message": text}]
    assert await books.trial_balance() == {}
    refusal = await books.refused("Payments", books.payment(draft["InvoiceID"], 10))
    assert refusal == "Payments can only be made against Authorised documents"
    path = f"Invoices/{draft['InvoiceID']}"
    change = {"InvoiceID": draft["InvoiceID"], "Status": "AUTHORISED", "LineItems": [line(12)]}
    assert (await books.update(path, change))["AmountDue"] == 12
    assert await books.trial_balance() == {"Accounts Receivable": 1200, "Session Fees": -1000, "VAT": -200}
    assert "not of valid status" in await books.refused(path, {"Status": "DELETED"}, method="POST")


async def test_lines_without_their_id_are_made_anew(books: Books) -> None:
    made = await books.invoice(await books.contact(), line(10), line(20))
    kept = made["LineItems"][0]["LineItemID"]
    lines = [line(10, LineItemID=kept), line(25)]
    now = await books.update(f"Invoices/{made['InvoiceID']}", {"InvoiceID": made["InvoiceID"], "LineItems": lines})
    assert now["LineItems"][0]["LineItemID"] == kept
    assert now["LineItems"][1]["LineItemID"] != made["LineItems"][1]["LineItemID"]
    assert now["Total"] == 35


async def test_with_money_on_it_only_words_can_change(books: Books) -> None:
    made = await books.invoice(await books.contact(), line(10))
    await books.pay(made["InvoiceID"], 4)
    path = f"Invoices/{made['InvoiceID']}"
    refusal = await books.refused(path, {"LineItems": [line(5)]}, method="POST")
    assert refusal == "Invoice not of valid status for modification"
    assert (await books.update(path, {"InvoiceID": made["InvoiceID"], "Reference": "by hand"}))[
        "Reference"
    ] == "by hand"


async def test_nothing_is_posted_into_a_locked_period(books: Books) -> None:
    contact = await books.contact()
    made = await books.invoice(contact, line(10))
    await books.behave(period_lock_date="2026-03-02")
    shown = (await books.get("Organisation"))["Organisations"][0]
    assert shown["PeriodLockDate"] == "/Date(1772409600000+0000)/"
    text = "The document date cannot be before the period lock date, currently set at 2 March 2026"
    assert await books.refused("Invoices", invoice(contact, line(10), number="TO-2")) == text
    assert await books.refused("Payments", books.payment(made["InvoiceID"], 10)) == text
    assert await books.refused(f"Invoices/{made['InvoiceID']}", {"Status": "VOIDED"}, method="POST") == text
    await books.behave(period_lock_date=None, end_of_year_lock_date="2026-12-31")
    refusal = await books.refused("Invoices", invoice(contact, line(10), number="TO-2"))
    assert "end of year lock date, currently set at 31 December 2026" in refusal


async def test_archived_accounts_and_deleted_rates_are_refused(books: Books) -> None:
    contact, control = await books.contact(), books.xero.control
    await control.act(books.tenant, "Account", books.accounts["Session Fees"], "archive")
    refusal = await books.refused("Invoices", invoice(contact, line(10)))
    assert refusal == "Account code '200' has been archived, or deleted."
    await control.act(books.tenant, "Account", books.accounts["Session Fees"], "restore")
    await control.edit_record(books.tenant, "TaxRate", "OUTPUT2", {"Status": "DELETED"})
    assert "TaxType code 'OUTPUT2'" in await books.refused("Invoices", invoice(contact, line(10)))
    await control.act(books.tenant, "Contact", contact, "archive")
    assert "is archived" in await books.refused("Invoices", invoice(contact, line(10)))


async def test_a_small_plan_stops_approving(books: Books) -> None:
    contact = await books.contact()
    await books.behave(approvals_left=1)
    await books.invoice(contact, line(10))
    refusal = await books.refused("Invoices", invoice(contact, line(10), number="TO-2"))
    assert refusal == "You have reached the limit of invoices you can approve"
    [draft] = await books.put("Invoices", invoice(contact, line(10), number="TO-3", Status="DRAFT"))
    path = f"Invoices/{draft['InvoiceID']}"
    assert "limit of invoices" in await books.refused(path, {"Status": "AUTHORISED"}, method="POST")
    actions = (await books.get("Organisation/Actions"))["Actions"]
    assert {"Name": "CreateApprovedInvoice", "Status": "NOT-ALLOWED"} in actions


async def test_an_invoice_without_a_number_gets_one_and_one_of_nothing_is_paid(books: Books) -> None:
    contact = await books.contact()
    body = invoice(contact, line(0))
    del body["InvoiceNumber"]
    made = await books.make("Invoices", body)
    assert (made["InvoiceNumber"], made["Status"], made["AmountDue"]) == ("INV-0001", "PAID", 0)


async def test_failed_calls_may_lose_their_good_elements(books: Books) -> None:
    contact = await books.contact()
    await books.behave(keep_good_elements=False)
    body = {"Invoices": [invoice(contact, line(10)), invoice(contact, line(10), number="TO-2", Type=None)]}
    assert (await books.call("PUT", "Invoices", body)).status_code == 400
    assert await books.rows("Invoices") == []
    await books.behave(keep_good_elements=True, summarize_by_default=False)
    assert (await books.call("PUT", "Invoices", body)).status_code == 200
    assert len(await books.rows("Invoices")) == 1


@pytest.mark.parametrize(
    ("country", "tax", "total_tax"),
    [("AU", "OUTPUT", "9.09"), ("NZ", "OUTPUT2", "13.04"), ("GB", "OUTPUT2", "16.67"), ("US", "TAX001", "7.62")],
)
async def test_every_country_has_books_of_its_own(xero: Xero, country: str, tax: str, total_tax: str) -> None:
    books = await xero.books(country)
    made = await books.invoice(await books.contact(), line(100, tax=tax))
    assert made["TotalTax"] == Decimal(total_tax)
    shown = (await books.get("Organisation"))["Organisations"][0]
    assert (shown["CountryCode"], shown["BaseCurrency"]) == (country, made["CurrencyCode"])
    for path in ("Accounts", "TaxRates", "Currencies", "TrackingCategories"):
        assert await books.rows(path)
    await books.trial_balance()


async def test_a_refunded_credit_note(books: Books) -> None:
    contact = await books.contact()
    made = await books.invoice(contact, line(100))
    await books.pay(made["InvoiceID"], 100)
    note = await books.make("CreditNotes", credit_note(contact, line(40)))
    assert (note["RemainingCredit"], note["Status"]) == (40, "AUTHORISED")
    account = {"AccountID": books.accounts["Stripe Clearing"]}
    refund = {"CreditNote": {"CreditNoteID": note["CreditNoteID"]}, "Account": account, "Amount": 40}
    back = await books.make("Payments", {**refund, "Date": "2026-03-02", "Reference": "re_1"})
    assert (back["PaymentType"], back["Invoice"]["InvoiceNumber"]) == ("ARCREDITPAYMENT", "TO-re_1")
    [now] = await books.rows("CreditNotes/TO-re_1")
    assert (now["Status"], now["RemainingCredit"]) == ("PAID", 0)
    assert (await books.rows("Invoices/TO-pi_1"))[0]["Status"] == "PAID"
    assert await books.trial_balance() == {"Session Fees": -5000, "VAT": -1000, "Stripe Clearing": 6000}
    assert "Authorised documents" in await books.refused("Payments", refund)
    assert await books.refused("CreditNotes", credit_note(contact, line(5))) == "Credit Note # must be unique."


async def test_credit_used_on_an_open_invoice(books: Books) -> None:
    contact = await books.contact()
    made = await books.invoice(contact, line(100))
    note = await books.make("CreditNotes", credit_note(contact, line(40)))
    path = f"CreditNotes/{note['CreditNoteID']}/Allocations"
    use = {"Amount": 40, "Date": "2026-03-02", "Invoice": {"InvoiceID": made["InvoiceID"]}}
    answer = await books.call("PUT", path, {"Allocations": [use]}, summarizeErrors="false")
    allocation = answer.json()["Allocations"][0]
    [now] = await books.rows("Invoices/TO-pi_1")
    assert (now["AmountDue"], now["AmountCredited"], now["CreditNotes"][0]["AppliedAmount"]) == (60, 40, 40)
    again = await books.call("PUT", path, {"Allocations": [use]})
    assert again.status_code == 400
    gone = await books.call("DELETE", f"{path}/{allocation['AllocationID']}")
    assert gone.json()["Allocations"][0]["IsDeleted"] is True
    [now] = await books.rows("Invoices/TO-pi_1")
    assert (now["AmountDue"], now["AmountCredited"]) == (100, 0)


async def test_bills_stand_on_the_other_side(books: Books) -> None:
    contact = await books.contact("Print Lab")
    bill = invoice(contact, line(60, "310", "INPUT2"), number="L-77", Type="ACCPAY")
    made = await books.make("Invoices", bill)
    twin = await books.make("Invoices", bill)
    assert twin["InvoiceID"] != made["InvoiceID"]
    await books.pay(made["InvoiceID"], 60, "Business Bank Account")
    balance = await books.trial_balance()
    assert balance["Accounts Payable"] == -6000
    assert (balance["Print Lab Costs"], balance["VAT"], balance["Business Bank Account"]) == (10000, 2000, -6000)
