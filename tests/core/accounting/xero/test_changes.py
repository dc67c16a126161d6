"""If-Modified-Since: its form, pages of a list that moves, transfers and their two ends."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import pytest

from core.accounting.xero.queries import MAX_PAGES, PAGE
from core.books.documents import DocumentKind
from core.errors import ProviderUnavailableError
from tests.core.accounting.xero.stub import CLEARING, INCOME, answering, found

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
MARK = "2026-11-20T08:00:00+00:00"
START = 1763625600  # 2025-11-20T08:00:00Z
BEFORE = "2025-11-02T00:00:00+00:00"
NOTHING = ("BankTransfers", "Payments", "BankTransactions", "Invoices", "CreditNotes")


def nothing(*names: str) -> list[httpx.Response]:
    return [found(name) for name in names or NOTHING]


def payment(number: int, at: int) -> dict[str, Any]:
    return {"PaymentID": str(UUID(int=number + 1)), "Amount": 1, "UpdatedDateUTC": f"/Date({at * 1000}+0000)/"}


async def test_five_calls_ask_in_the_only_form_that_xero_takes() -> None:
    books, requests = answering(*nothing())
    changes = await books.list_changes(MARK, now=NOW)
    assert (changes.rows, changes.is_whole) == ((), True)
    assert changes.mark == "2025-11-02T00:00:00+00:00"
    assert {request.headers["if-modified-since"] for request in requests} == {"2026-11-20T07:55:00"}
    assert [request.url.path.rpartition("/")[2] for request in requests] == list(NOTHING)
    assert dict(requests[0].url.params) == {"includeDeleted": "true"}
    assert dict(requests[1].url.params) == {"page": "1", "pageSize": str(PAGE), "order": "UpdatedDateUTC ASC"}


async def test_a_full_page_is_asked_for_again_from_a_second_before_its_last_row() -> None:
    full = [payment(number, START + number) for number in range(PAGE)]
    rest = [full[-1], payment(PAGE, START + PAGE)]
    transfers, _, *others = nothing()
    books, requests = answering(transfers, found("Payments", *full), found("Payments", *rest), *others)
    changes = await books.list_changes(BEFORE, now=NOW)
    assert (len(changes.rows), changes.is_whole) == (PAGE + 1, True)
    assert requests[2].headers["if-modified-since"] == "2025-11-20T08:16:38"
    assert requests[2].url.params["page"] == "1"


async def test_a_page_of_one_second_goes_on_by_its_number_and_ends() -> None:
    full = [payment(number, START) for number in range(PAGE)]
    transfers, _, *others = nothing()
    pages = [found("Payments", *full) for _ in range(MAX_PAGES)]
    books, requests = answering(transfers, *pages, *others)
    changes = await books.list_changes(BEFORE, now=NOW)
    assert (len(changes.rows), changes.is_whole) == (PAGE, False)
    asked = [request.url.params["page"] for request in requests if request.url.path.endswith("/Payments")]
    assert asked == ["1", "1", *(str(page) for page in range(2, MAX_PAGES))]


async def test_a_transfer_counts_once_although_both_its_ends_are_listed() -> None:
    moved = {
        "BankTransferID": str(UUID(int=1)),
        "Amount": 5,
        "FromBankAccount": {"AccountID": CLEARING},
        "ToBankAccount": {"AccountID": INCOME},
    }
    ends = [
        {"BankTransactionID": str(UUID(int=number)), "Type": kind, "Total": 5, "BankAccount": {"AccountID": CLEARING}}
        for number, kind in ((2, "SPEND-TRANSFER"), (3, "RECEIVE-TRANSFER"))
    ]
    answers = [found("BankTransfers", moved), found("Payments"), found("BankTransactions", *ends)]
    books, _ = answering(*answers, found("Invoices"), found("CreditNotes"))
    [change] = (await books.list_changes(MARK, now=NOW)).rows
    assert change.kinds == {DocumentKind.TRANSFER}
    assert change.standing.effects == {CLEARING: -500, INCOME: 500}


@pytest.mark.parametrize(("kind", "effect"), [("RECEIVE", 500), ("SPEND", -500), ("SPEND-OVERPAYMENT", -500)])
async def test_money_at_the_bank_has_its_direction_from_its_type(kind: str, effect: int) -> None:
    row = {"BankTransactionID": str(UUID(int=2)), "Type": kind, "Total": 5, "BankAccount": {"AccountID": CLEARING}}
    books, _ = answering(
        *nothing("BankTransfers", "Payments"), found("BankTransactions", row), *nothing("Invoices", "CreditNotes")
    )
    [change] = (await books.list_changes(MARK, now=NOW)).rows
    assert change.standing.effects == {CLEARING: effect}


@pytest.mark.parametrize(
    ("kind", "effect"), [("ACCRECPAYMENT", 500), ("ARCREDITPAYMENT", -500), ("ACCPAYPAYMENT", -500), ("ODD", None)]
)
async def test_a_payment_has_its_direction_from_what_it_pays(kind: str, effect: int | None) -> None:
    row = {**payment(1, START), "Amount": 5, "PaymentType": kind, "Account": {"AccountID": CLEARING}}
    books, _ = answering(
        found("BankTransfers"), found("Payments", row), *nothing("BankTransactions", "Invoices", "CreditNotes")
    )
    [change] = (await books.list_changes(MARK, now=NOW)).rows
    assert change.standing.effects == (None if effect is None else {CLEARING: effect})


async def test_money_in_another_currency_has_no_amount_that_we_know() -> None:
    row = {
        "BankTransactionID": str(UUID(int=2)),
        "Type": "SPEND",
        "Total": 5,
        "CurrencyCode": "EUR",
        "BankAccount": {"AccountID": CLEARING},
    }
    books, _ = answering(
        *nothing("BankTransfers", "Payments"), found("BankTransactions", row), *nothing("Invoices", "CreditNotes")
    )
    [change] = (await books.list_changes(MARK, now=NOW)).rows
    assert change.standing.effects is None


async def test_an_answer_without_xeros_time_tells_nothing() -> None:
    books, _ = answering(httpx.Response(200, json={"BankTransfers": []}))
    with pytest.raises(ProviderUnavailableError):
        await books.list_changes(MARK, now=NOW)
