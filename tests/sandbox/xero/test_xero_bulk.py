"""Several elements in one call, for the kinds that have no number of their own."""

from typing import Any

import pytest

from tests.sandbox.xero.harness import NO_ID, Books, line
from tests.sandbox.xero.test_xero_money import spend


def transfer(books: Books, amount: int, reference: str, to: str = "090") -> dict[str, Any]:
    return {
        "FromBankAccount": {"AccountID": books.accounts["Stripe Clearing"]},
        "ToBankAccount": {"Code": to},
        "Amount": amount,
        "Date": "2026-03-06",
        "Reference": reference,
    }


async def test_money_spent_falls_alone(books: Books) -> None:
    good = [spend(books, line(5, "408", "NONE"), Reference=f"po_{n}") for n in range(3)]
    bad = spend(books, line(5, "408", "OUTPUT2"), Reference="po_9")
    rows = await books.put("BankTransactions", good[0], bad, *good[1:])
    assert [row["Reference"] for row in rows] == ["po_0", "po_9", "po_1", "po_2"]
    assert [row["BankTransactionID"] == NO_ID for row in rows] == [False, True, False, False]
    assert rows[1]["StatusAttributeString"] == "ERROR"
    assert (await books.trial_balance())["Payment Processing Fees"] == 1500
    counted = await books.xero.control.counters(books.tenant)
    assert (counted["PUT BankTransactions"], counted["elements BankTransactions"]) == (1, 4)


@pytest.mark.parametrize(("keeps", "stored"), [(True, 2), (False, 0)])
async def test_transfers_know_no_single_outcome(books: Books, keeps: bool, stored: int) -> None:
    """The call is refused and names the bad one; what became of the good ones is a switch, since nobody says."""
    await books.behave(keep_good_elements=keeps)
    body = {
        "BankTransfers": [
            transfer(books, 1, "po_1"),
            transfer(books, 2, "po_2", to="620"),
            transfer(books, 3, "po_3"),
        ]
    }
    response = await books.call("PUT", "BankTransfers", body)
    assert response.status_code == 400
    (named,) = response.json()["Elements"]
    assert (named["Reference"], named["BankTransferID"]) == ("po_2", NO_ID)
    assert len(await books.rows("BankTransfers")) == stored
    wrong = await books.call("PUT", "BankTransfers", body, summarizeErrors="false")
    assert "knows no parameter" in wrong.text


async def test_several_are_asked_for_at_once(books: Books) -> None:
    made = await books.put(
        "BankTransactions", *(spend(books, line(5, "408", "NONE"), Reference=f"po_{n}") for n in range(4))
    )
    references = 'Reference=="po_1" OR Reference=="po_3"'
    found = await books.rows("BankTransactions", where=references, page="1", pageSize="1000")
    assert [row["Reference"] for row in found] == ["po_1", "po_3"]
    await books.behave(large=True)
    ids = " OR ".join(f'BankTransactionID==guid("{row["BankTransactionID"]}")' for row in made[:2])
    assert len(await books.rows("BankTransactions", where=ids, page="1")) == 2


async def test_a_refund_leaves_a_current_asset_only_where_payments_are_enabled(books: Books) -> None:
    contact = await books.contact()
    held = {"Code": "625", "Name": "Disputes held", "Type": "CURRENT"}
    books.accounts["held"] = (await books.make("Accounts", held))["AccountID"]
    note = await books.make(
        "CreditNotes",
        {
            "Type": "ACCRECCREDIT",
            "Status": "AUTHORISED",
            "Contact": {"ContactID": contact},
            "Date": "2026-03-02",
            "CreditNoteNumber": "TR-1",
            "LineAmountTypes": "NoTax",
            "LineItems": [line(10, "200")],
        },
    )
    repaid = {
        "CreditNote": {"CreditNoteID": note["CreditNoteID"]},
        "Account": {"AccountID": books.accounts["held"]},
        "Date": "2026-03-02",
        "Amount": 10,
    }
    assert "payments are not enabled" in await books.refused("Payments", repaid)
    await books.update(f"Accounts/{books.accounts['held']}", {"EnablePaymentsToAccount": True})
    made = await books.make("Payments", repaid)
    assert made["PaymentType"] == "ARCREDITPAYMENT"
    assert await books.trial_balance() == {"Session Fees": 1000, "Disputes held": -1000}
