"""Payments, bank transactions, transfers, journals, foreign currency."""

from decimal import Decimal
from typing import Any

import pytest

from tests.sandbox.xero.harness import NO_ID, Books, Xero, invoice, line


async def test_parts_add_up_and_too_much_is_refused(books: Books) -> None:
    made = await books.invoice(await books.contact(), line(100))
    await books.pay(made["InvoiceID"], Decimal("60.01"))
    refusal = await books.refused("Payments", books.payment(made["InvoiceID"], 40))
    assert refusal == "Payment amount exceeds the amount outstanding on this document"
    await books.pay(made["InvoiceID"], Decimal("39.99"))
    [now] = await books.rows("Invoices/TO-pi_1")
    assert (now["Status"], now["FullyPaidOnDate"]) == ("PAID", "/Date(1772409600000+0000)/")
    twice = await books.refused("Payments", books.payment(made["InvoiceID"], 1))
    assert "Payments can only be made against Authorised documents" in twice


async def test_a_failed_payment_carries_an_id_that_belongs_to_nothing(books: Books) -> None:
    made = await books.invoice(await books.contact(), line(100))
    [failed] = await books.put("Payments", books.payment(made["InvoiceID"], 101))
    assert failed["HasValidationErrors"] is True
    assert failed["PaymentID"] != NO_ID
    assert (await books.call("GET", f"Payments/{failed['PaymentID']}")).status_code == 404


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"Account": {"Code": "200"}}, "cannot be used for payments"),
        ({"Account": {"Code": "999"}}, "A valid Account must be specified"),
        ({"Account": None}, "A valid Account must be specified"),
        ({"Amount": 0}, "greater than zero"),
        ({"Amount": -1}, "greater than zero"),
        ({"BankAmount": 9}, "BankAmount must be the Amount"),
        ({"Invoice": {"InvoiceID": NO_ID}}, "could not be found"),
        ({"Invoice": None}, "exactly one"),
        ({"CreditNote": {"CreditNoteID": NO_ID}}, "exactly one"),
    ],
)
async def test_wrong_payments(books: Books, change: dict[str, Any], expected: str) -> None:
    made = await books.invoice(await books.contact(), line(10))
    assert expected in await books.refused("Payments", {**books.payment(made["InvoiceID"], 10), **change})
    assert (await books.rows("Invoices/TO-pi_1"))[0]["AmountDue"] == 10


async def test_payments_go_to_banks_and_to_accounts_that_take_them(books: Books) -> None:
    made = await books.invoice(await books.contact(), line(10))
    by_number = {**books.payment("", 10, "Owner A Drawings"), "Invoice": {"InvoiceNumber": "TO-pi_1"}}
    paid = await books.make("Payments", by_number)
    assert paid["Invoice"]["InvoiceID"] == made["InvoiceID"]


async def test_a_payment_is_deleted_not_changed(books: Books) -> None:
    made = await books.invoice(await books.contact(), line(10))
    paid = await books.pay(made["InvoiceID"], 10)
    path = f"Payments/{paid['PaymentID']}"
    assert "only deleted" in await books.refused(path, {"Amount": 5}, method="POST")
    control = books.xero.control
    await control.act(books.tenant, "Payment", paid["PaymentID"], "reconcile")
    assert "is reconciled" in await books.refused(path, {"Status": "DELETED"}, method="POST")
    await control.act(books.tenant, "Payment", paid["PaymentID"], "unreconcile")
    answer = await books.call("POST", path, {"Status": "DELETED"})
    assert answer.json()["Payments"][0]["Status"] == "DELETED"
    assert "already been deleted" in await books.refused(path, {"Status": "DELETED"}, method="POST")
    assert [row["Status"] for row in await books.rows("Payments", page="1")] == ["DELETED"]
    assert (await books.rows("Invoices/TO-pi_1"))[0]["AmountDue"] == 10


def spend(books: Books, *lines: Any, **more: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "Type": "SPEND",
        "Contact": {"Name": "Stripe"},
        "BankAccount": {"AccountID": books.accounts["Stripe Clearing"]},
        "Date": "2026-03-02",
        "Reference": "po_1 fees",
        "LineAmountTypes": "Inclusive",
        "LineItems": list(lines),
    }
    return {**made, **more}


async def test_fees_and_a_payout(books: Books) -> None:
    fees = await books.make("BankTransactions", spend(books, line(Decimal("37.75"), "408", "EXEMPTINPUT")))
    assert (fees["Type"], fees["Total"], fees["CurrencyCode"]) == ("SPEND", Decimal("37.75"), "GBP")
    ends = {"FromBankAccount": {"AccountID": books.accounts["Stripe Clearing"]}, "ToBankAccount": {"Code": "090"}}
    transfer = {**ends, "Amount": Decimal("962.25"), "Date": "2026-03-06", "Reference": "po_1"}
    moved = await books.make("BankTransfers", transfer)
    assert (moved["Status"], moved["Amount"]) == ("AUTHORISED", Decimal("962.25"))
    assert await books.trial_balance() == {
        "Payment Processing Fees": 3775,
        "Stripe Clearing": -100_000,
        "Business Bank Account": 96_225,
    }
    assert "Business Bank Account" not in await books.trial_balance("2026-03-05")
    found = await books.rows("BankTransactions", where='Reference=="po_1 fees"', page="1")
    assert [row["BankTransactionID"] for row in found] == [fees["BankTransactionID"]]
    assert len(await books.rows("BankTransfers", where='Reference=="po_1"')) == 1
    gone = {"BankTransferID": moved["BankTransferID"], "Status": "DELETED"}
    await books.call("POST", f"BankTransfers/{moved['BankTransferID']}", gone)
    assert await books.rows("BankTransfers") == []
    assert len(await books.rows("BankTransfers", includeDeleted="true")) == 1
    [removed] = await books.put(
        f"BankTransactions/{fees['BankTransactionID']}",
        {"BankTransactionID": fees["BankTransactionID"], "Status": "DELETED"},
        method="POST",
    )
    assert removed["Status"] == "DELETED"
    assert await books.trial_balance() == {}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"LineItems": [line(-5, "408", "NONE")]}, "greater than zero"),
        ({"BankAccount": {"Code": "404"}}, "must be a bank account"),
        ({"BankAccount": {"Code": "999"}}, "could not be found"),
        ({"LineItems": None}, "LineItems must be specified"),
        ({"Contact": None}, "The Contact must contain at least 1"),
        ({"CurrencyCode": "USD"}, "currency of its bank account"),
        ({"Type": "RECEIVE-PREPAYMENT"}, "not part of this stand-in"),
        ({"LineItems": [line(5, "408", "OUTPUT2")]}, "cannot be used with account code '408'"),
    ],
)
async def test_wrong_bank_transactions(books: Books, change: dict[str, Any], expected: str) -> None:
    body = {**spend(books, line(5, "408", "NONE")), **change}
    assert expected in await books.refused("BankTransactions", body)
    # The contact that the wrong element brought with it is not kept, either.
    assert await books.rows("Contacts", where='Name=="Stripe"') == []


async def test_a_bank_transaction_can_change_until_it_is_reconciled(books: Books) -> None:
    made = await books.make("BankTransactions", spend(books, line(5, "408", "NONE"), Type="RECEIVE"))
    path, ident = f"BankTransactions/{made['BankTransactionID']}", {"BankTransactionID": made["BankTransactionID"]}
    assert (await books.update(path, {**ident, "LineItems": [line(6, "408", "NONE")]}))["Total"] == 6
    assert await books.trial_balance() == {"Stripe Clearing": 600, "Payment Processing Fees": -600}
    await books.xero.control.act(books.tenant, "BankTransaction", made["BankTransactionID"], "reconcile")
    assert "is reconciled" in await books.refused(path, {**ident, "Status": "DELETED"}, method="POST")


async def test_transfers_need_two_banks_of_one_currency(books: Books, xero: Xero) -> None:
    clearing, bank = {"Code": "095"}, {"Code": "090"}
    wrong = (
        ({"FromBankAccount": clearing, "ToBankAccount": {"Code": "620"}, "Amount": 1}, "must be bank accounts"),
        ({"FromBankAccount": bank, "ToBankAccount": bank, "Amount": 1}, "must be different"),
        ({"FromBankAccount": clearing, "ToBankAccount": bank, "Amount": 0}, "greater than zero"),
        ({"FromBankAccount": clearing, "Amount": 1}, "A valid ToBankAccount"),
    )
    for body, expected in wrong:
        assert expected in await books.refused("BankTransfers", body)
    dollars = {"Code": "097", "Name": "Dollars", "Type": "BANK", "BankAccountNumber": "1", "CurrencyCode": "USD"}
    await books.make("Accounts", dollars)
    body = {"FromBankAccount": {"Code": "097"}, "ToBankAccount": bank, "Amount": 1}
    assert "the same currency" in await books.refused("BankTransfers", body)


async def test_a_journal_adds_up_and_stays_away_from_banks(books: Books) -> None:
    def lines(*pairs: tuple[str, Any]) -> list[dict[str, Any]]:
        return [{"AccountCode": code, "LineAmount": amount, "Description": "d"} for code, amount in pairs]

    body = {"Narration": "Correction", "Date": "2026-03-02", "Status": "POSTED"}
    made = await books.make("ManualJournals", {**body, "JournalLines": lines(("200", 10), ("260", -10))})
    assert await books.trial_balance() == {"Session Fees": 1000, "Other Revenue": -1000}
    refusal = await books.refused("ManualJournals", {**body, "JournalLines": lines(("200", 100), ("260", -10))})
    assert refusal == "The total debits (100.00) must equal total credits (-10.00)"
    for code in ("090", "610", "960"):
        refusal = await books.refused("ManualJournals", {**body, "JournalLines": lines((code, 1), ("260", -1))})
        assert f"Account code '{code}' cannot be used" in refusal
    assert "at least two" in await books.refused("ManualJournals", {**body, "JournalLines": lines(("200", 0))})
    with_tax: dict[str, Any] = {**body, "LineAmountTypes": "Inclusive"}
    with_tax["JournalLines"] = lines(("200", -120), ("815", 120))
    await books.make("ManualJournals", with_tax)
    assert (await books.trial_balance())["VAT"] == -2000
    ident = {"ManualJournalID": made["ManualJournalID"], "Status": "VOIDED", "Narration": "Correction"}
    assert (await books.update(f"ManualJournals/{made['ManualJournalID']}", ident))["Status"] == "VOIDED"


async def test_foreign_money_is_settled_with_what_the_bank_got(books: Books) -> None:
    contact = await books.contact()
    await books.xero.control.set_rates(books.tenant, {"USD": "1.25"})
    made = await books.invoice(contact, line(100, tax="ZERORATEDOUTPUT"), CurrencyCode="USD")
    assert (made["CurrencyCode"], str(made["CurrencyRate"])) == ("USD", "1.250000")
    assert (await books.trial_balance())["Accounts Receivable"] == 8000
    paid = await books.pay(made["InvoiceID"], 100, BankAmount=Decimal("78.50"))
    assert (paid["BankAmount"], str(paid["CurrencyRate"])) == (Decimal("78.50"), "1.273885")
    assert await books.trial_balance() == {
        "Session Fees": -8000,
        "Stripe Clearing": 7850,
        "Realised Currency Gains": 150,
    }


async def test_foreign_parts_leave_nothing_behind(books: Books) -> None:
    made = await books.invoice(
        await books.contact(), line(10), line(10), line(10), CurrencyCode="EUR", CurrencyRate=Decimal("1.171717")
    )
    for amount in (Decimal("7.77"), Decimal("11.11"), Decimal("11.12")):
        await books.pay(made["InvoiceID"], amount, CurrencyRate=Decimal("1.19"))
    balance = await books.trial_balance()
    assert "Accounts Receivable" not in balance
    assert (await books.rows("Invoices/TO-pi_1"))[0]["Status"] == "PAID"


async def test_the_direction_of_a_rate_is_a_switch(books: Books) -> None:
    await books.behave(rate_is_base_units=True)
    made = await books.invoice(await books.contact(), line(100), CurrencyCode="USD", CurrencyRate=Decimal("0.8"))
    assert str(made["CurrencyRate"]) == "0.800000"
    assert (await books.trial_balance())["Accounts Receivable"] == 8000


async def test_a_foreign_clearing_account_takes_the_documents_currency(books: Books) -> None:
    account = {"Code": "097", "Name": "Stripe USD", "Type": "BANK", "BankAccountNumber": "1", "CurrencyCode": "USD"}
    made_account = await books.make("Accounts", account)
    books.accounts["Stripe USD"] = made_account["AccountID"]
    contact = await books.contact()
    dollars = await books.invoice(contact, line(100), CurrencyCode="USD")
    assert (await books.pay(dollars["InvoiceID"], 100, "Stripe USD"))["BankAmount"] == 100
    pounds = await books.invoice(contact, line(100), number="TO-2")
    refusal = await books.refused("Payments", books.payment(pounds["InvoiceID"], 100, "Stripe USD"))
    assert "base currency or the currency of the document" in refusal
    fee = await books.make("BankTransactions", spend(books, line(3, "408", "NONE"), BankAccount={"Code": "097"}))
    assert fee["CurrencyCode"] == "USD"
    await books.trial_balance()


async def test_many_sales_keep_the_books_straight(books: Books) -> None:
    contact = await books.contact()
    amounts = [Decimal(cents).scaleb(-2) for cents in range(1999, 2049)]
    sales = [invoice(contact, line(amount), number=f"TO-{n}") for n, amount in enumerate(amounts)]
    made = await books.put("Invoices", *sales)
    assert [row["Total"] for row in made] == amounts
    payments = [books.payment(row["InvoiceID"], row["Total"]) for row in made]
    assert all(row["HasValidationErrors"] is False for row in await books.put("Payments", *payments))
    balance = await books.trial_balance()
    assert balance["Stripe Clearing"] == int(sum(amounts) * 100)
    numbers = ",".join(f"TO-{n}" for n in range(50))
    found = await books.rows("Invoices", InvoiceNumbers=numbers, page="1", pageSize="1000")
    assert {row["Status"] for row in found} == {"PAID"}
