"""Change data capture: full answers, what is left of deleted objects, and answers that cannot be read."""

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from core.accounting.quickbooks.changes import ENTITIES, MOST
from core.errors import ProviderRejectedError, ProviderUnavailableError
from core.reasons import Reason
from tests.core.accounting.quickbooks.stub import answering, fault

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
MARK = "2026-11-20T08:00:00+00:00"
TIME = "2026-11-20T01:02:03.004-08:00"


def told(**rows: list[dict[str, Any]]) -> httpx.Response:
    parts = [{name: found, "startPosition": 1, "maxResults": len(found)} for name, found in rows.items()]
    return httpx.Response(200, json={"CDCResponse": [{"QueryResponse": [*parts, {}]}], "time": TIME})


def many(count: int) -> list[dict[str, Any]]:
    return [{"Id": str(number), "SyncToken": "0", "TotalAmt": 1, "TxnDate": "2026-11-20"} for number in range(count)]


async def test_one_call_asks_for_everything_that_moves_money_from_a_little_before_the_mark() -> None:
    books, requests = answering(told())
    changes = await books.list_changes(MARK, now=NOW)
    assert (changes.rows, changes.is_whole, changes.mark) == ((), True, TIME.replace(".004", ".004000"))
    [request] = requests
    asked = dict(request.url.params)
    assert asked["entities"].split(",") == list(ENTITIES)
    assert asked["changedSince"] == "2026-11-20T07:55:00+00:00"


async def test_what_is_left_of_a_deleted_object_is_gone() -> None:
    gone = {"domain": "QBO", "status": "Deleted", "Id": "9", "MetaData": {"LastUpdatedTime": TIME}}
    books, _ = answering(told(Transfer=[gone]))
    [change] = (await books.list_changes(MARK, now=NOW)).rows
    assert (change.standing.external_id, change.standing.stands, change.standing.is_void) == ("9", False, False)
    assert change.standing.changed_at == datetime.fromisoformat(TIME)


async def test_a_voided_one_is_empty_and_says_so() -> None:
    voided = {"Id": "7", "SyncToken": "2", "TotalAmt": 0, "PrivateNote": "Voided - TO-1", "TxnDate": "2026-11-20"}
    books, _ = answering(told(Invoice=[voided]))
    [change] = (await books.list_changes(MARK, now=NOW)).rows
    assert (change.standing.stands, change.standing.is_void, change.standing.version) == (False, True, "2")
    assert change.texts == ("Voided - TO-1",)


async def test_a_journal_entry_says_what_it_does_to_each_account() -> None:
    def line(account: str, side: str) -> dict[str, Any]:
        return {"Amount": 5, "JournalEntryLineDetail": {"PostingType": side, "AccountRef": {"value": account}}}

    entry = {"Id": "7", "TxnDate": "2026-11-20", "TotalAmt": 0, "Line": [line("91", "Debit"), line("40", "Credit")]}
    books, _ = answering(told(JournalEntry=[entry]))
    [change] = (await books.list_changes(MARK, now=NOW)).rows
    assert (change.kinds, change.word) == (frozenset(), "Journal entry")
    assert change.standing.effects == {"91": 500, "40": -500}


async def test_a_full_answer_is_asked_for_again_kind_by_kind() -> None:
    alone = [told(**{name: many(3)}) if name == "Payment" else told() for name in ENTITIES]
    books, requests = answering(told(Invoice=many(MOST)), *alone)
    changes = await books.list_changes(MARK, now=NOW)
    assert (len(changes.rows), changes.is_whole, len(requests)) == (3, True, 1 + len(ENTITIES))


async def test_a_kind_that_fills_an_answer_alone_leaves_something_unsaid() -> None:
    alone = [told(**{name: many(MOST)}) if name == "Invoice" else told() for name in ENTITIES]
    books, _ = answering(told(Invoice=many(MOST)), *alone)
    changes = await books.list_changes(MARK, now=NOW)
    assert (len(changes.rows), changes.is_whole) == (MOST, False)


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, json={"time": TIME}),
        httpx.Response(200, json={"CDCResponse": [{"QueryResponse": [{"Invoice": [{"Id": 5}]}]}], "time": TIME}),
        httpx.Response(200, json={"CDCResponse": [], "time": "soon"}),
        httpx.Response(200, json={"CDCResponse": [], "time": "2026-11-20T01:02:03"}),
        httpx.Response(200, text="<html>"),
    ],
)
async def test_an_answer_that_cannot_be_read_tells_nothing(answer: httpx.Response) -> None:
    books, _ = answering(answer)
    with pytest.raises(ProviderUnavailableError):
        await books.list_changes(MARK, now=NOW)


async def test_a_mark_beyond_thirty_days_is_refused_by_quickbooks() -> None:
    books, _ = answering(fault("4001", detail="changedSince is more than 30 days ago"))
    with pytest.raises(ProviderRejectedError) as refused:
        await books.list_changes(MARK, now=NOW)
    assert refused.value.reason is Reason.OUR_FAULT
