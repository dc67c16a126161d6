"""What the items of one transaction work with, read in sets: one question for all of them instead of one for each.

Nobody else writes these rows meanwhile: the lane is ours, and the items are locked. So what is read once, or made in
this transaction, is what stands.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core.db.models import BooksDocument, BooksLink, DocumentState, Operation

_Step = tuple[UUID, str, int]
"""An operation of a document: its item, step and version of the plan."""


@dataclass(slots=True)
class Shelf:
    """Documents and operations of some items, and the links that they have asked for."""

    _documents: defaultdict[UUID, list[BooksDocument]] = field(default_factory=lambda: defaultdict(list))
    _links: dict[str, BooksLink | None] = field(default_factory=dict)
    _by_step: dict[_Step, Operation] = field(default_factory=dict)
    operations: dict[str, Operation] = field(default_factory=dict)
    """By their keys."""

    def copy(self) -> "Shelf":
        """Return a shelf with the same rows, which keeps them whatever is put on this one."""
        documents = defaultdict(list, {item_id: list(rows) for item_id, rows in self._documents.items()})
        return Shelf(documents, dict(self._links), dict(self._by_step), dict(self.operations))

    def documents(self, item_id: UUID) -> list[BooksDocument]:
        """Return the documents of an item that were not dropped, in the order in which to post them."""
        rows = [row for row in self._documents[item_id] if row.state is not DocumentState.DROPPED]
        return sorted(rows, key=lambda row: (row.position, row.plan_version))

    def document(self, operation: Operation) -> BooksDocument | None:
        """Return the document that an operation writes; None for a customer, an item or a payee."""
        return next(
            (
                row
                for row in self._documents[operation.item_id]
                if (row.step, row.plan_version) == (operation.step, operation.plan_version)
            ),
            None,
        )

    def operation(self, row: BooksDocument) -> Operation | None:
        """Return the operation that writes a document, if it was begun."""
        return self._by_step.get((row.item_id, row.step, row.plan_version))

    async def link(self, session: AsyncSession, connection_id: UUID, step: str) -> BooksLink | None:
        """Return what stands in the books for a customer, an item or a payee."""
        if step not in self._links:
            await self._read_links(session, connection_id, [step])
        return self._links[step]

    async def _read_links(self, session: AsyncSession, connection_id: UUID, steps: Sequence[str]) -> None:
        self._links |= dict.fromkeys(steps)
        statement = select(BooksLink).where(BooksLink.connection_id == connection_id, BooksLink.step.in_(steps))
        self._links |= {link.step: link for link in (await session.execute(statement)).scalars()}

    def add_document(self, row: BooksDocument) -> None:
        """Keep a document that was frozen in this transaction."""
        self._documents[row.item_id].append(row)

    def add_operation(self, row: Operation) -> None:
        """Keep an operation that was begun in this transaction."""
        self.operations[row.key] = row
        self._by_step[row.item_id, row.step, row.plan_version] = row

    def add_link(self, row: BooksLink) -> None:
        """Keep what the books have just told of."""
        self._links[row.step] = row

    async def fill(
        self,
        session: AsyncSession,
        connection_id: UUID,
        item_ids: Collection[UUID],
        *,
        keys: Collection[str] = (),
        steps: Sequence[str] = (),
    ) -> None:
        """Read the rows of some items.

        Args:
            session: of the tenant; the items are locked in it.
            connection_id: whose lane it is.
            item_ids: the items.
            keys: operations that were called for them: one for a client may have been begun by another item.
            steps: customers, items and payees that their documents are likely to need.
        """
        documents = select(BooksDocument).where(BooksDocument.item_id.in_(item_ids))
        for row in (await session.execute(documents)).scalars():
            self.add_document(row)
        if not keys and not self._documents:
            # Nothing was planned, so nothing can have been called.
            operations: Sequence[Operation] = ()
        else:
            theirs = select(Operation).where(Operation.item_id.in_(item_ids)).order_by(Operation.created_at)
            operations = (await session.execute(theirs)).scalars().all()
        for operation in operations:
            self.add_operation(operation)
        missing = [key for key in keys if key not in self.operations]
        if missing:
            others = select(Operation).where(Operation.connection_id == connection_id, Operation.key.in_(missing))
            for operation in (await session.execute(others)).scalars():
                self.add_operation(operation)
        if steps:
            await self._read_links(session, connection_id, steps)
