"""The proof that everything stands once: each document of ours is looked up again by the reference that it carries.

Nothing of our own database is believed but the references: the books are asked for each, and must answer with exactly
one document, the one whose id we keep, with the total that we sent. What the last reading has shown besides, such as
another account, is said with its day.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core.accounting.port import Posted
from core.books.documents import DocumentKind
from core.connections.access import with_access
from core.connections.providers import open_books
from core.db.models import BooksDocument, Connection, DocumentState, Drift, Operation, OperationState, SyncItem
from core.errors import ProviderError, ProviderRejectedError
from core.sync.operations import write_of
from core.wiring import Wiring

PAGE = 50
PAUSE_S = 5.0

_SEEN: dict[Drift | None, str] = {
    Drift.MOVED: "it was moved to another account in the books",
    Drift.DATED: "it has another date in the books",
    Drift.UNPAID: "it is not settled in the books",
}


@dataclass(frozen=True, slots=True)
class Proof:
    """One document, proven or not.

    Attributes:
        source_id: Stripe's id of what it books.
        count: how many documents with its reference the books hold: 1 when all is well.
        problem: what is wrong in plain words; "" when nothing is.
    """

    source_id: str
    kind: DocumentKind
    reference: str
    external_id: str
    count: int
    problem: str

    @property
    def holds(self) -> bool:
        """Whether the document stands exactly once, as it was sent."""
        return self.count == 1 and not self.problem


async def prove(wiring: Wiring, *, tenant_id: UUID, connection_id: UUID) -> AsyncIterator[Proof]:
    """Look every posted document up in the books and yield what was found, Stripe id by Stripe id.

    Raises:
        ProviderError: the books do not answer, so nothing can be said.
    """
    after: tuple[str, UUID] | None = None
    while True:
        async with wiring.db.tenant(tenant_id) as session:
            connection = await session.get_one(Connection, connection_id)
            page = await _page(session, connection_id, after)
        for proof in await _prove_page(wiring, connection, page):
            yield proof
        if len(page) < PAGE:
            return
        # The worker may be posting beside us: what is asked here must not eat its share of the provider's limits.
        await wiring.runtime.sleep(PAUSE_S)
        after = (page[-1][1], page[-1][0].id)


_Row = tuple[Operation, str, BooksDocument]


async def _page(session: AsyncSession, connection_id: UUID, after: tuple[str, UUID] | None) -> Sequence[_Row]:
    statement = (
        select(Operation, SyncItem.source_id, BooksDocument)
        .join(SyncItem, SyncItem.id == Operation.item_id)
        .join(
            BooksDocument,
            (BooksDocument.item_id == Operation.item_id)
            & (BooksDocument.step == Operation.step)
            & (BooksDocument.plan_version == Operation.plan_version),
        )
        .where(
            Operation.connection_id == connection_id,
            Operation.state == OperationState.CONFIRMED,
            BooksDocument.state == DocumentState.POSTED,
        )
        .order_by(SyncItem.source_id, Operation.id)
        .limit(PAGE)
    )
    if after is not None:
        source_id, operation_id = after
        statement = statement.where(
            (SyncItem.source_id > source_id) | ((SyncItem.source_id == source_id) & (Operation.id > operation_id))
        )
    return [(operation, source, document) for operation, source, document in (await session.execute(statement)).all()]


async def _prove_page(wiring: Wiring, connection: Connection, page: Sequence[_Row]) -> list[Proof]:
    """Ask for all documents of a kind together, and give the proofs in the order of the page."""
    found: dict[UUID, Proof] = {}
    for _, members in groupby(sorted(page, key=_kind), key=_kind):
        rows = list(members)
        proofs = await _prove(wiring, connection, rows)
        found |= {operation.id: proof for (operation, _, _), proof in zip(rows, proofs, strict=True)}
    return [found[operation.id] for operation, _, _ in page]


def _kind(row: _Row) -> str:
    return row[0].kind.value


async def _prove(wiring: Wiring, connection: Connection, rows: Sequence[_Row]) -> list[Proof]:
    writes = [write_of(operation) for operation, _, _ in rows]

    async def ask(token: str) -> Sequence[Posted | ProviderError | None]:
        books = open_books(wiring, connection, token)
        try:
            return await books.look_up_many(writes)
        finally:
            # At the pace that the provider allows: it would refuse a burst, to the worker beside us as well.
            await wiring.runtime.sleep(books.calls / books.limits.calls_per_second)

    found = await with_access(wiring, tenant_id=connection.tenant_id, connection_id=connection.id, call=ask)
    return [_judge(row, answer) for row, answer in zip(rows, found, strict=True)]


def _judge(row: _Row, answer: Posted | ProviderError | None) -> Proof:
    operation, source_id, document = row
    count, problem = 1, ""
    if answer is None:
        count, problem = 0, "it is not in the books any more"
    elif isinstance(answer, ProviderRejectedError):
        # The adapter says so for a document that is void, changed beyond recognition, or there more than once.
        problem = "what stands under its reference is not what we sent, or stands there more than once"
        count = 0
    elif isinstance(answer, ProviderError):
        raise answer
    elif answer.external_id != document.external_id:
        problem = f"the books answer with {answer.external_id}"
    elif operation.total_minor is not None and answer.total_minor != operation.total_minor:
        problem = "its total was changed in the books"
    elif document.read_drift in _SEEN and document.read_at is not None:
        # Found by its reference and with its total, but the last reading of the whole document has shown more.
        problem = f"{_SEEN[document.read_drift]}, as read on {document.read_at:%Y-%m-%d}"
    return Proof(source_id, operation.kind, operation.reference, document.external_id or "", count, problem)
