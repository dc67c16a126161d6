"""Finding again what may have been written: by number, by name, and by the reference inside the note.

Numbered documents: the number is not unique and QuickBooks may have given its own, so the note decides whose document
it is. Payments: ``PaymentRefNum`` is searchable but never checked for uniqueness. Deposits and transfers have no
number: those of the day are read, and only one whose note holds our reference is ours, however alike another looks.

Several writes of one kind cost one question, and a second one only for those that it did not find.
"""

from collections.abc import Sequence

from core.accounting.port import PreparedWrite
from core.accounting.quickbooks import answers
from core.accounting.quickbooks.client import QuickBooksClient
from core.accounting.quickbooks.entities import entity_of
from core.accounting.quickbooks.frozen import Frozen, frozen
from core.accounting.quickbooks.queries import PAGE, between, equals, one_of, select
from core.books.documents import DocumentKind
from core.errors import ProviderRejectedError, ProviderUnavailableError
from core.money import to_decimal
from core.reasons import Reason

Found = answers.Transaction | ProviderRejectedError | None

MAX_PAGES = 20
"""The documents of a few days never reach this; a search that does is not answered with "not there"."""


VALUES_AT_ONCE = 150
"""Numbers or ids in one question: its address stays below 4000 characters."""


async def find(client: QuickBooksClient, writes: Sequence[PreparedWrite]) -> list[Found]:
    """Return for each write, all of one kind that moves money, our document, why it is not ours any more, or None.

    The errors: ``NUMBER_TAKEN`` by a document that is not ours; ``CHANGED_IN_BOOKS`` when ours was voided, given to
    another customer, or stands there twice.
    """
    entity = entity_of(writes[0].kind)
    if entity.number is None:
        return [_unnumbered(write, rows) for write, rows in await _of_the_days(client, writes)]
    rows = await with_any(client, entity.name, entity.number, [write.reference for write in writes])
    numbered = {
        # QuickBooks compares without regard to case.
        write.reference: [row for row in rows if _number(row, entity.number).casefold() == write.reference.casefold()]
        for write in writes
    }
    if writes[0].kind is DocumentKind.PAYMENT:
        return [_judged(numbered[write.reference], write) for write in writes]
    lost = [write for write in writes if not _ours(numbered[write.reference], write)]
    elsewhere = {write.reference: rows for write, rows in await _of_the_days(client, lost)} if lost else {}
    return [_numbered(write, numbered[write.reference], elsewhere.get(write.reference, ())) for write in writes]


async def transactions(
    client: QuickBooksClient, entity: str, *conditions: str, max_pages: int = MAX_PAGES
) -> list[answers.Transaction]:
    """Read every transaction that meets the conditions, page by page; keyed by id, since windows move."""
    found: dict[str, answers.Transaction] = {}
    for page in range(max_pages):
        statement = select(entity, *conditions, order_by="TxnDate", start=1 + page * PAGE)
        reply = await client.query(statement)
        rows = answers.read_list(reply.body, entity, answers.Transaction, request_id=reply.request_id)
        found.update((row.id, row) for row in rows)
        if len(rows) < PAGE:
            return list(found.values())
    raise ProviderUnavailableError("too many documents of those days to be sure")


async def with_any(
    client: QuickBooksClient, entity: str, field: str, values: Sequence[str]
) -> list[answers.Transaction]:
    """Read the transactions whose ``field`` has one of ``values``, so many at once that the address stays short."""
    found: list[answers.Transaction] = []
    for start in range(0, len(values), VALUES_AT_ONCE):
        found += await transactions(client, entity, is_any(field, values[start : start + VALUES_AT_ONCE]))
    return found


def is_any(field: str, values: Sequence[str]) -> str:
    """Return the condition that ``field`` has one of ``values``."""
    return equals(field, values[0]) if len(values) == 1 else one_of(field, values)


async def _of_the_days(
    client: QuickBooksClient, writes: Sequence[PreparedWrite]
) -> list[tuple[PreparedWrite, list[answers.Transaction]]]:
    """Return for each write the documents of its day whose note holds its reference.

    QuickBooks, or a person, may have changed the number of one that has one.
    """
    entity = entity_of(writes[0].kind)
    days = [frozen(write).txn_date for write in writes]
    conditions = [equals("TxnDate", days[0])] if len(set(days)) == 1 else between("TxnDate", min(days), max(days))
    if len(writes) == 1 and writes[0].party_id and entity.has_customer:
        conditions.append(equals("CustomerRef", writes[0].party_id))
    rows = await transactions(client, entity.name, *conditions)
    return [
        (write, [row for row in rows if write.reference in row.private_note and row.txn_date in ("", day)])
        for write, day in zip(writes, days, strict=True)
    ]


def _numbered(
    write: PreparedWrite, rows: Sequence[answers.Transaction], elsewhere: Sequence[answers.Transaction]
) -> Found:
    ours = _ours(rows, write) or elsewhere
    if not ours and rows:
        return ProviderRejectedError(Reason.NUMBER_TAKEN, detail={"reference": write.reference})
    return _judged(ours, write)


def _unnumbered(write: PreparedWrite, rows: Sequence[answers.Transaction]) -> Found:
    """Among documents that mention our reference, the same accounts decide: a note may name another document's."""
    way = _way(frozen(write))
    return _judged([row for row in rows if _way(row) == way] or rows if len(rows) > 1 else rows, write)


def _way(of: Frozen | answers.Transaction) -> tuple[str | None, str | None]:
    return _value(of.from_account_ref), _value(of.to_account_ref)


def _ours(rows: Sequence[answers.Transaction], write: PreparedWrite) -> list[answers.Transaction]:
    """Our reference in the note says so; where a person cleared the note, the same party and total do."""
    return [row for row in rows if write.reference in row.private_note or _is_alike(row, write)]


def _is_alike(row: answers.Transaction, write: PreparedWrite) -> bool:
    if write.total_minor is None or row.party_id != write.party_id:
        return False
    return row.total == to_decimal(write.total_minor, write.currency)


def _judged(ours: Sequence[answers.Transaction], write: PreparedWrite) -> Found:
    if not ours:
        return None
    only = ours[0]
    if len(ours) > 1 or only.party_id != write.party_id or only.is_voided:
        return ProviderRejectedError(Reason.CHANGED_IN_BOOKS, detail={"reference": write.reference})
    return only


def _number(row: answers.Transaction, field: str) -> str:
    return (row.payment_ref_num if field == "PaymentRefNum" else row.doc_number) or ""


def _value(ref: answers.Ref | None) -> str | None:
    return ref.value if ref else None
