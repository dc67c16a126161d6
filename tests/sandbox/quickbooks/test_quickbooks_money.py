"""Payments, transfers, deposits, purchases, journal entries: link rules, freezing, voiding, deleting."""

from decimal import Decimal
from typing import Any

import pytest

from tests.sandbox.quickbooks.harness import Books, line, payment


async def paid_invoice(books: Books, amount: Any = 100, **more: Any) -> tuple[str, Any, Any]:
    customer, item = await books.customer(), await books.item()
    invoice = await books.sale("Invoice", line(item, amount), customer=customer)
    paid = await books.send("Payment", payment(customer, amount, (invoice["Id"], amount), **more))
    return customer, invoice, paid


async def test_a_payment_without_a_link_stays_unapplied(books: Books) -> None:
    customer, item = await books.customer(), await books.item()
    invoice = await books.sale("Invoice", line(item, 100), customer=customer)
    paid = await books.send("Payment", payment(customer, 100))
    assert paid["UnappliedAmt"] == 100
    assert (await books.get("Invoice", invoice["Id"]))["Balance"] == 100
    assert (await books.get("Customer", customer))["Balance"] == 0
    assert await books.trial_balance() == {"Session Income": -10000, "Undeposited Funds": 10000}
    lines = payment(customer, 100, (invoice["Id"], 60))["Line"]
    linked = await books.send("Payment", {"Id": paid["Id"], "SyncToken": "0", "sparse": True, "Line": lines})
    assert linked["UnappliedAmt"] == 40
    assert (await books.get("Invoice", invoice["Id"]))["Balance"] == 40


async def test_payment_link_rules(books: Books) -> None:
    customer, item = await books.customer(), await books.item()
    other = await books.customer("Bo Reyes")
    invoice = await books.sale("Invoice", line(item, 100), customer=customer)
    voided = await books.sale("Invoice", line(item, 5), customer=customer)
    await books.send("Invoice", {"Id": voided["Id"], "SyncToken": "0"}, operation="void")
    wrong = [
        (payment(customer, 200, (invoice["Id"], Decimal("100.01"))), "6000"),
        (payment(customer, 50, (invoice["Id"], 100)), "6000"),
        (payment(other, 100, (invoice["Id"], 100)), "620"),
        (payment(customer, 5, (voided["Id"], 5)), "620"),
        (payment(customer, 5, ("424242", 5)), "610"),
        (payment(customer, -5), "2290"),
        ({"CustomerRef": {"value": customer}}, "2020"),
        ({"TotalAmt": 5}, "2020"),
        (payment(customer, 5, PaymentRefNum="x" * 22), "2050"),
        (payment(customer, 5, DepositToAccountRef=books.ref("Travel")), "6430"),
        (payment(customer, 5, DocNumber="x"), "2010"),
    ]
    for body, code in wrong:
        assert await books.refused("Payment", body) == code, body
    await books.send("Payment", payment(customer, 100, (invoice["Id"], 100)))
    assert await books.refused("Payment", payment(customer, 1, (invoice["Id"], 1))) == "620"


async def test_voiding_an_invoice_frees_its_payment(books: Books) -> None:
    customer, invoice, paid = await paid_invoice(books)
    note = {"Id": invoice["Id"], "SyncToken": "0", "sparse": True, "PrivateNote": "Stripe pi_1"}
    await books.send("Invoice", note)
    voided = await books.send("Invoice", {"Id": invoice["Id"], "SyncToken": "1"}, operation="void")
    assert (voided["TotalAmt"], voided["Balance"], voided["LinkedTxn"]) == (0, 0, [])
    assert voided["PrivateNote"] == "Voided - Stripe pi_1"
    assert voided["SyncToken"] == "2"
    free = await books.get("Payment", paid["Id"])
    assert (free["UnappliedAmt"], free["Line"]) == (100, [])
    assert await books.trial_balance() == {"Undeposited Funds": 10000, "Accounts Receivable (A/R)": -10000}
    assert (await books.get("Customer", customer))["Balance"] == -100


@pytest.mark.parametrize("entity", ["Payment", "SalesReceipt"])
async def test_voiding_money_goes_through_update(books: Books, entity: str) -> None:
    customer, invoice, paid = await paid_invoice(books)
    if entity == "SalesReceipt":
        item = await books.item("Print")
        paid = await books.sale("SalesReceipt", line(item, 30), customer=customer)
    body = {"Id": paid["Id"], "SyncToken": paid["SyncToken"], "sparse": True}
    assert await books.refused(entity, body, operation="void") == "500"
    voided = await books.send(entity, body, operation="update", include="void")
    assert (voided["TotalAmt"], voided["PrivateNote"]) == (0, "Voided")
    balance = (await books.get("Invoice", invoice["Id"]))["Balance"]
    assert balance == (100 if entity == "Payment" else 0)
    expected = "Accounts Receivable (A/R)" if entity == "Payment" else "Undeposited Funds"
    assert await books.trial_balance() == {"Session Income": -10000, expected: 10000}


async def test_deleting_reverses_everything(books: Books) -> None:
    _, invoice, paid = await paid_invoice(books)
    gone = await books.send("Payment", {"Id": paid["Id"], "SyncToken": "0"}, operation="delete")
    assert gone == {"domain": "QBO", "status": "Deleted", "Id": paid["Id"]}
    assert (await books.get("Invoice", invoice["Id"]))["Balance"] == 100
    await books.send("Invoice", {"Id": invoice["Id"], "SyncToken": "0"}, operation="delete")
    assert (await books.call("GET", f"invoice/{invoice['Id']}")).status_code == 400
    assert await books.trial_balance() == {}


async def test_an_edited_invoice_takes_what_no_longer_fits_off_its_payment(books: Books) -> None:
    customer, invoice, paid = await paid_invoice(books)
    item = invoice["Line"][0]["SalesItemLineDetail"]["ItemRef"]["value"]
    await books.control("PATCH", f"/documents/invoice/{invoice['Id']}", {"Line": [line(item, 70)]})
    assert (await books.get("Invoice", invoice["Id"]))["Balance"] == 0
    changed = await books.get("Payment", paid["Id"])
    assert (changed["UnappliedAmt"], changed["Line"][0]["Amount"]) == (30, 70)
    assert (await books.get("Customer", customer))["Balance"] == -30
    other = await books.customer("Bo Reyes")
    await books.control("PATCH", f"/documents/invoice/{invoice['Id']}", {"CustomerRef": {"value": other}})
    assert (await books.get("Invoice", invoice["Id"]))["Balance"] == 70
    assert (await books.get("Payment", paid["Id"]))["UnappliedAmt"] == 100


def deposit(books: Books, *lines: Any, **more: Any) -> dict[str, Any]:
    return {"DepositToAccountRef": books.ref("Checking"), "TxnDate": "2026-03-02", "Line": list(lines), **more}


def direct(books: Books, account: str, amount: Any) -> dict[str, Any]:
    detail = {"AccountRef": books.ref(account), "Entity": {"value": "4", "type": "VENDOR"}}
    return {"Amount": amount, "DetailType": "DepositLineDetail", "DepositLineDetail": detail}


async def test_a_deposited_payment_is_frozen_until_the_deposit_goes(books: Books) -> None:
    customer, _, paid = await paid_invoice(books)
    taken = {"Amount": 100, "LinkedTxn": [{"TxnId": paid["Id"], "TxnType": "Payment", "TxnLineId": "0"}]}
    wrong = {**taken, "DetailType": "DepositLineDetail", "DepositLineDetail": {"AccountRef": books.ref("Checking")}}
    assert await books.refused("Deposit", deposit(books, wrong)) == "6000"
    assert await books.refused("Deposit", deposit(books, {**taken, "Amount": 50})) == "6000"
    made = await books.send("Deposit", deposit(books, taken))
    assert made["TotalAmt"] == 100
    assert await books.trial_balance() == {"Session Income": -10000, "Checking": 10000}
    identity = {"Id": paid["Id"], "SyncToken": "0"}
    assert await books.refused("Payment", {**identity, "sparse": True, "PrivateNote": "x"}) == "6540"
    assert await books.refused("Payment", {**identity, "sparse": True}, operation="update", include="void") == "6540"
    assert await books.refused("Payment", identity, operation="delete") == "6540"
    assert await books.refused("Deposit", deposit(books, taken)) == "620"
    await books.send("Deposit", {"Id": made["Id"], "SyncToken": "0"}, operation="delete")
    await books.send("Payment", identity, operation="delete")
    straight = await books.send("Payment", payment(customer, 5, DepositToAccountRef=books.ref("Checking")))
    held = {"Amount": 5, "LinkedTxn": [{"TxnId": straight["Id"], "TxnType": "Payment"}]}
    assert await books.refused("Deposit", deposit(books, held)) == "620"


async def test_direct_deposit_lines(books: Books) -> None:
    made = await books.send("Deposit", deposit(books, direct(books, "Bank Charges & Fees", 15)))
    assert made["Line"][0]["DepositLineDetail"]["Entity"]["name"] == "Stripe"
    assert await books.trial_balance() == {"Checking": 1500, "Bank Charges & Fees": -1500}
    assert await books.refused("Deposit", deposit(books, direct(books, "Travel", -1))) == "6000"
    assert await books.refused("Deposit", {"Line": [direct(books, "Travel", 1)]}) == "2020"
    assert await books.refused("Deposit", deposit(books, direct(books, "Accounts Receivable (A/R)", 1))) == "6000"


def purchase(books: Books, amount: Any, **more: Any) -> dict[str, Any]:
    detail = {"AccountRef": books.ref("Bank Charges & Fees")}
    expense = {"Amount": amount, "DetailType": "AccountBasedExpenseLineDetail", "AccountBasedExpenseLineDetail": detail}
    start = {"PaymentType": "Cash", "AccountRef": books.ref("Checking"), "TxnDate": "2026-03-02"}
    return {**start, "EntityRef": {"value": "4", "type": "Vendor"}, "Line": [expense], **more}


async def test_a_purchase_takes_fees_from_a_bank_account(books: Books) -> None:
    made = await books.send("Purchase", purchase(books, Decimal("7.55"), DocNumber="TF-1"))
    assert made["TotalAmt"] == Decimal("7.55")
    assert await books.trial_balance() == {"Checking": -755, "Bank Charges & Fees": 755}
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"PaymentType": None}, "2020"),
        ({"PaymentType": "CreditCard"}, "6430"),
        ({"AccountRef": books.ref("Undeposited Funds")}, "6430"),
        ({"Credit": True}, "6000"),
        ({"Line": purchase(books, -1)["Line"]}, "2290"),
        ({"EntityRef": {"value": "99", "type": "Vendor"}}, "2500"),
    ]
    for change, code in wrong:
        assert await books.refused("Purchase", {**purchase(books, 1), **change}) == code, change
    change = {"Id": made["Id"], "SyncToken": "0", "sparse": True, "PrivateNote": "x"}
    assert await books.refused("Purchase", change) == "2020"
    assert (await books.send("Purchase", {**change, "PaymentType": "Cash"}))["PrivateNote"] == "x"
    card = {"PaymentType": "CreditCard", "AccountRef": books.ref("Business Credit Card"), "Credit": True}
    await books.send("Purchase", purchase(books, 2, **card))
    expected = {"Checking": -755, "Bank Charges & Fees": 555, "Business Credit Card": 200}
    assert await books.trial_balance() == expected
    await books.behave(cash_purchase_from_asset=True)
    await books.send("Purchase", purchase(books, 1, AccountRef=books.ref("Undeposited Funds")))


async def test_a_transfer_moves_between_assets(books: Books) -> None:
    body = {"FromAccountRef": books.ref("Checking"), "ToAccountRef": books.ref("Savings"), "Amount": Decimal("410.55")}
    made = await books.send("Transfer", body)
    assert made["TxnDate"] == "2026-03-02"
    assert made["ToAccountRef"]["name"] == "Savings"
    assert await books.trial_balance() == {"Checking": -41055, "Savings": 41055}
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"Amount": 0}, "2140"),
        ({"Amount": None}, "2020"),
        ({"ToAccountRef": books.ref("Travel")}, "6430"),
    ]
    wrong += [({"ToAccountRef": books.ref("Checking")}, "6000"), ({"DocNumber": "x"}, "2010")]
    for change, code in wrong:
        assert await books.refused("Transfer", {**body, **change}) == code, change
    await books.control("POST", f"/documents/transfer/{made['Id']}/match")
    assert await books.refused("Transfer", {"Id": made["Id"], "SyncToken": "0"}, operation="delete") == "6480"


def leg(books: Books, account: str, side: str, amount: Any, **more: Any) -> dict[str, Any]:
    detail = {"PostingType": side, "AccountRef": books.ref(account), **more}
    return {"Amount": amount, "DetailType": "JournalEntryLineDetail", "JournalEntryLineDetail": detail}


async def test_a_journal_entry_must_balance(books: Books) -> None:
    customer = await books.customer()
    party = {"Entity": {"Type": "Customer", "EntityRef": {"value": customer}}}
    receivable = "Accounts Receivable (A/R)"
    good = [leg(books, receivable, "Debit", 10, **party), leg(books, "Services", "Credit", 10)]
    made = await books.send("JournalEntry", {"Line": good, "DocNumber": "TJ-1"})
    assert made["TotalAmt"] == 0
    await books.send("JournalEntry", {"Line": good, "DocNumber": "TJ-1"})
    assert await books.trial_balance() == {receivable: 2000, "Services": -2000}
    assert (await books.get("Customer", customer))["Balance"] == 20
    wrong = [
        ([leg(books, "Travel", "Debit", 10), leg(books, "Services", "Credit", 9)], "2300"),
        ([leg(books, receivable, "Debit", 10), leg(books, "Services", "Credit", 10)], "6000"),
        ([leg(books, "Travel", "Debit", -10), leg(books, "Services", "Credit", -10)], "2290"),
        ([leg(books, "Travel", "Both", 10)], "2170"),
        ([], "2250"),
    ]
    for lines, code in wrong:
        assert await books.refused("JournalEntry", {"Line": lines}) == code


async def test_the_trial_balance_is_known_for_every_day(books: Books) -> None:
    body = {"FromAccountRef": books.ref("Checking"), "ToAccountRef": books.ref("Savings"), "Amount": 1}
    for day in ("2026-03-01", "2026-03-05"):
        await books.send("Transfer", {**body, "TxnDate": day})
    assert await books.trial_balance("2026-02-28") == {}
    assert await books.trial_balance("2026-03-01") == {"Checking": -100, "Savings": 100}
    assert await books.trial_balance() == {"Checking": -200, "Savings": 200}
