"""Invoices, receipts, refunds and credit memos: lines, numbers, links, and what they do to the ledger."""

from decimal import Decimal
from typing import Any

import pytest

from tests.sandbox.quickbooks.harness import Books, line, payment, sale


async def test_a_paid_invoice_leaves_income_and_cash_and_no_receivable(books: Books) -> None:
    customer, item = await books.customer(), await books.item()
    invoice = await books.sale("Invoice", line(item, Decimal("250.00")), customer=customer, DocNumber="TO-4F7K2M9QXD3A")
    assert (invoice["DocNumber"], invoice["TotalAmt"], invoice["Balance"]) == ("TO-4F7K2M9QXD3A", 250, 250)
    assert await books.trial_balance() == {"Session Income": -25000, "Accounts Receivable (A/R)": 25000}

    paid = await books.send(
        "Payment", payment(customer, 250, (invoice["Id"], 250), DepositToAccountRef=books.ref("Checking"))
    )

    assert (paid["UnappliedAmt"], "DocNumber" in paid) == (0, False)
    assert await books.trial_balance() == {"Session Income": -25000, "Checking": 25000}
    after = await books.get("Invoice", invoice["Id"])
    assert after["Balance"] == 0
    assert after["LinkedTxn"] == [{"TxnId": paid["Id"], "TxnType": "Payment"}]
    assert (await books.get("Customer", customer))["Balance"] == 0
    assert (await books.get("Account", books.accounts["Checking"]))["CurrentBalance"] == 250


async def test_the_answer_of_a_post_is_the_full_object(books: Books) -> None:
    address = {"Line1": "4 Harbor St", "City": "Austin"}
    customer, item = await books.customer(BillAddr=address), await books.item()
    body = sale(line(item, 100, Qty=1, UnitPrice=100), customer=customer, DueDate="2026-03-02")
    posted = await books.send("Invoice", body)
    assert posted == await books.get("Invoice", posted["Id"])
    assert (posted["domain"], posted["sparse"], posted["SyncToken"]) == ("QBO", False, "0")
    assert posted["CustomField"] == []
    assert posted["LinkedTxn"] == []
    assert posted["TxnTaxDetail"] == {"TotalTax": 0}
    assert posted["BillAddr"] == address
    assert posted["CustomerRef"] == {"value": customer, "name": "Ana Lima"}
    first, subtotal = posted["Line"]
    assert (first["Id"], first["LineNum"], first["CustomExtensions"]) == ("1", 1, [])
    assert first["SalesItemLineDetail"]["TaxCodeRef"] == {"value": "NON"}
    assert first["SalesItemLineDetail"]["ItemAccountRef"]["name"] == "Session Income"
    assert subtotal == {"Amount": 100, "DetailType": "SubTotalLineDetail", "SubTotalLineDetail": {}}


async def test_a_line_without_an_item_is_text_and_its_amount_does_not_count(books: Books) -> None:
    customer, item = await books.customer(), await books.item()
    posted = await books.sale("Invoice", line(item, 100), line(None, 40), customer=customer)
    assert posted["TotalAmt"] == 100
    assert posted["Line"][1]["DetailType"] == "DescriptionOnly"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"CustomerRef": None}, "2020"),
        ({"CustomerRef": {"value": "999"}}, "2500"),
        ({"Line": None}, "2020"),
        ({"Line": []}, "2250"),
        ({"DocNumber": "X" * 22}, "2050"),
        ({"TxnDate": "02.03.2026"}, "2060"),
        ({"GlobalTaxCalculation": "TaxIncluded"}, "2170"),
        ({"Nonsense": 1}, "2010"),
        ({"CurrencyRef": {"value": "EUR"}}, "6000"),
        ({"ApplyTaxAfterDiscount": "perhaps"}, "2230"),
    ],
)
async def test_a_wrong_field_is_refused_with_the_real_code(books: Books, change: dict[str, Any], code: str) -> None:
    customer, item = await books.customer(), await books.item()
    assert await books.refused("Invoice", {**sale(line(item, 10), customer=customer), **change}) == code
    assert await books.trial_balance() == {}


async def test_a_wrong_line_is_refused_with_the_real_code(books: Books) -> None:
    customer, item = await books.customer(), await books.item()
    wrong = {
        "6070": line(item, 100, Qty=3, UnitPrice=Decimal("33.33")),
        "6100": line(item, 100, "5"),
        "2500": line("999", 100),
        "2010": {**line(item, 100), "LineEx": {"any": []}},
        "2080": line(item, "many"),
    }
    for code, bad in wrong.items():
        assert await books.refused("Invoice", sale(bad, customer=customer)) == code
    exact = line(item, 100, Qty=3, UnitPrice=Decimal("33.333333"))
    assert (await books.sale("Invoice", exact, customer=customer))["TotalAmt"] == 100


async def test_a_negative_item_line_reduces_the_sale_but_a_negative_total_is_refused(books: Books) -> None:
    customer, item = await books.customer(), await books.item()
    discount = await books.item("Discount", "Discounts Given")
    posted = await books.sale("Invoice", line(item, 100), line(discount, -25), customer=customer)
    assert posted["TotalAmt"] == 75
    assert await books.refused("Invoice", sale(line(item, 10), line(discount, -25), customer=customer)) == "6000"
    expected = {"Session Income": -10000, "Discounts Given": 2500, "Accounts Receivable (A/R)": 7500}
    assert await books.trial_balance() == expected


async def test_a_discount_line_needs_the_preference(books: Books) -> None:
    customer, item = await books.customer(), await books.item()
    percent = {"DetailType": "DiscountLineDetail", "DiscountLineDetail": {"PercentBased": True, "DiscountPercent": 10}}
    posted = await books.sale("Invoice", line(item, 100), percent, customer=customer)
    assert posted["TotalAmt"] == 90
    await books.behave(allow_discount=False)
    assert await books.refused("Invoice", sale(line(item, 100), percent, customer=customer)) == "5030"


async def test_a_sales_receipt_goes_to_undeposited_funds_unless_told(books: Books) -> None:
    customer, item = await books.customer(), await books.item()
    await books.sale("SalesReceipt", line(item, 80), customer=customer)
    await books.sale("SalesReceipt", line(item, 20), customer=customer, DepositToAccountRef=books.ref("Checking"))
    assert await books.trial_balance() == {"Session Income": -10000, "Undeposited Funds": 8000, "Checking": 2000}
    wrong = sale(line(item, 5), customer=customer, DepositToAccountRef=books.ref("Travel"))
    assert await books.refused("SalesReceipt", wrong) == "6430"


async def test_a_refund_receipt_takes_income_and_money_back(books: Books) -> None:
    customer, item = await books.customer(), await books.item()
    body = sale(line(item, 50), customer=customer, PaymentRefNum="TR-1", DepositToAccountRef=books.ref("Checking"))
    to_print = await books.send("RefundReceipt", body)
    assert (to_print["PrintStatus"], to_print["PaymentRefNum"]) == ("NeedToPrint", "To Print")
    kept = await books.send("RefundReceipt", {**body, "PrintStatus": "NotSet"})
    assert (kept["PrintStatus"], kept["PaymentRefNum"]) == ("NotSet", "TR-1")
    assert await books.trial_balance() == {"Session Income": 10000, "Checking": -10000}
    del body["DepositToAccountRef"]
    assert await books.refused("RefundReceipt", body) == "2020"


async def test_a_credit_memo_pays_an_invoice_through_a_payment_of_nothing(books: Books) -> None:
    customer, item = await books.customer(), await books.item()
    invoice = await books.sale("Invoice", line(item, 100), customer=customer)
    memo = await books.sale("CreditMemo", line(item, 30), customer=customer)
    assert memo["RemainingCredit"] == 30
    credit = {"Amount": 30, "LinkedTxn": [{"TxnId": memo["Id"], "TxnType": "CreditMemo"}]}
    body = payment(customer, 0, (invoice["Id"], 30))
    await books.send("Payment", {**body, "Line": [*body["Line"], credit]})
    assert (await books.get("Invoice", invoice["Id"]))["Balance"] == 70
    assert (await books.get("CreditMemo", memo["Id"]))["RemainingCredit"] == 0
    assert (await books.get("Customer", customer))["Balance"] == 70


async def test_numbers_are_ours_kept_doubled_or_replaced_as_the_company_is_set(books: Books) -> None:
    customer, item = await books.customer(), await books.item()

    async def number(**more: Any) -> Any:
        return (await books.sale("Invoice", line(item, 1), customer=customer, **more)).get("DocNumber")

    assert await number() == "1001"
    assert await number(DocNumber="TO-1") == "TO-1"
    assert await number(DocNumber="TO-1") == "TO-1"
    await books.behave(renumber=True)
    assert await number(DocNumber="TO-2") == "1002"
    await books.behave(custom_txn_numbers=True)
    assert await number() is None
    assert await number(DocNumber="AUTO_GENERATE") == "1003"
    await books.behave(warn_duplicate_numbers=True)
    double = sale(line(item, 1), customer=customer, DocNumber="to-1")
    assert await books.refused("Invoice", double) == "6140"
    assert (await books.send("Invoice", double, include="allowduplicatedocnum"))["DocNumber"] == "to-1"


async def test_closed_books_refuse_every_change(books: Books) -> None:
    customer, item = await books.customer(), await books.item()
    old = await books.sale("Invoice", line(item, 10), customer=customer)
    await books.behave(book_close_date="2026-03-31")
    assert await books.refused("Invoice", sale(line(item, 10), customer=customer)) == "6200"
    await books.behave(book_close_password=True)
    identity = {"Id": old["Id"], "SyncToken": "0"}
    for params in ({"operation": "void"}, {"operation": "delete"}):
        assert await books.refused("Invoice", identity, **params) == "6210"
    assert await books.refused("Invoice", {**identity, "sparse": True, "PrivateNote": "x"}) == "6210"
    later = await books.sale("Invoice", line(item, 10), customer=customer, TxnDate="2026-04-01")
    moved = {"Id": later["Id"], "SyncToken": "0", "sparse": True, "TxnDate": "2026-03-31"}
    assert await books.refused("Invoice", moved) == "6210"


async def test_what_was_made_inactive_is_refused(books: Books) -> None:
    customer, item = await books.customer(), await books.item()
    await books.control("POST", f"/documents/item/{item}/deactivate")
    assert await books.refused("Invoice", sale(line(item, 10), customer=customer)) == "610"
    await books.control("POST", f"/documents/item/{item}/activate")
    await books.control("POST", f"/documents/account/{books.accounts['Session Income']}/deactivate")
    assert await books.refused("Invoice", sale(line(item, 10), customer=customer)) == "610"
    await books.control("POST", f"/documents/account/{books.accounts['Session Income']}/activate")
    await books.control("POST", f"/documents/customer/{customer}/deactivate")
    assert await books.refused("Invoice", sale(line(item, 10), customer=customer)) == "610"
