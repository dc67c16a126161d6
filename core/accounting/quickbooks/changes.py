"""What changed in the books, by QuickBooks' change data capture: one call for everything that moves money.

An answer holds at most a thousand objects over all kinds, and says nowhere which ones it left out. One that is full is
asked for again kind by kind; where a single kind fills it, nobody can tell what is missing.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from core.accounting.marks import read_mark
from core.accounting.port import Change, Changes
from core.accounting.quickbooks import answers
from core.accounting.quickbooks.client import QuickBooksClient
from core.accounting.quickbooks.entities import MONEY_KINDS, entity_of
from core.accounting.quickbooks.reading import standing_of
from core.errors import ProviderUnavailableError

REACH = timedelta(days=30)
MOST = 1000
"""Objects in one answer."""

OVERLAP = timedelta(minutes=5)
"""What was written while the last answer was made may carry an earlier time."""

_KINDS = {entity_of(kind).name: kind for kind in sorted(MONEY_KINDS)}
_WORDS = {
    "Invoice": "Invoice",
    "Payment": "Payment",
    "SalesReceipt": "Sales receipt",
    "RefundReceipt": "Refund receipt",
    "Purchase": "Expense",
    "Deposit": "Deposit",
    "Transfer": "Transfer",
    "JournalEntry": "Journal entry",
}
ENTITIES = tuple(_WORDS)
"""Whatever can move money on a bank account by itself, whoever writes it."""


async def list_changes(client: QuickBooksClient, mark: str, *, now: datetime, home_currency: str) -> Changes:
    """Return what was written, changed or deleted since ``mark``, a time by QuickBooks' own clock.

    Raises:
        ProviderRejectedError: ``OUR_FAULT`` for another mark, or one that is older than 30 days.
        ProviderUnavailableError: the answer cannot be read.
    """
    if not mark:
        return Changes((), now.isoformat())
    since = read_mark(mark) - OVERLAP
    found, told_at = await _ask(client, ENTITIES, since)
    is_whole = True
    if _size(found) >= MOST:
        found = {}
        for entity in ENTITIES:
            rows, _ = await _ask(client, (entity,), since)
            is_whole = is_whole and _size(rows) < MOST
            found |= rows
    changes = [_change(row, entity, home_currency) for entity, rows in found.items() for row in rows]
    return Changes(tuple(changes), told_at, is_whole)


async def _ask(
    client: QuickBooksClient, entities: Sequence[str], since: datetime
) -> tuple[dict[str, list[answers.Transaction]], str]:
    """Return the objects by entity, and when QuickBooks answered."""
    changed_since = since.replace(microsecond=0).isoformat()
    reply = await client.read("/cdc", entities=",".join(entities), changedSince=changed_since)
    try:
        body = msgspec.json.decode(reply.body, type=_Answer)
        answered_at = datetime.fromisoformat(body.time)
        parts = [part for response in body.responses for part in response.parts]
        found = {
            entity: msgspec.json.decode(part[entity], type=list[answers.Transaction])
            for entity in entities
            for part in parts
            if entity in part
        }
    except (ValueError, RecursionError) as exc:
        raise ProviderUnavailableError(
            "QuickBooks answered without readable changes", request_id=reply.request_id, status=200
        ) from exc
    if answered_at.tzinfo is None:
        raise ProviderUnavailableError("QuickBooks answered without a time zone", request_id=reply.request_id)
    return found, answered_at.isoformat()


def _size(found: dict[str, list[answers.Transaction]]) -> int:
    return sum(map(len, found.values()))


def _change(row: answers.Transaction, entity: str, home_currency: str) -> Change:
    texts = (row.doc_number, row.payment_ref_num, row.private_note)
    return Change(
        standing=standing_of(row, entity, home_currency),
        kinds=frozenset({_KINDS[entity]} if entity in _KINDS else ()),
        word=_WORDS[entity],
        texts=tuple(text for text in texts if text),
    )


class _Response(msgspec.Struct, frozen=True):
    parts: list[dict[str, msgspec.Raw]] = msgspec.field(name="QueryResponse", default_factory=list)


class _Answer(msgspec.Struct, frozen=True):
    responses: list[_Response] = msgspec.field(name="CDCResponse")
    time: str
