"""What an item needs next: the documents as frozen, and the one call that comes now with its intent written down."""

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from uuid import uuid4

from sqlalchemy import func, select

from core.books.documents import MONEY, Customer, Document, Item, MoneyDocument, Payee, Support
from core.books.keys import operation_key
from core.db.models import (
    BooksDocument,
    BooksLink,
    DocumentState,
    ItemState,
    Operation,
    OperationState,
    PaymentState,
)
from core.errors import StopError
from core.reasons import Reason
from core.sync.documents import CUSTOMER, thaw
from core.sync.operations import (
    Move,
    Step,
    mark_sent,
    next_move,
    write_of,
)
from core.sync.planners import customer_for
from core.sync.posting_plan import PostingPlan

SETTINGS_LAST = timedelta(hours=1)
"""So long we take the books' word for which days are closed, where a document belongs to a month gone by."""

MONTH_RUNS_ON = timedelta(days=1)
"""Nobody closes a month while its last day is still booked; that costs no question."""


class PeriodUnsureError(StopError):
    """The month of a document may have been closed since the books were asked: not all of them refuse (Xero)."""

    def __init__(self, day: date) -> None:
        super().__init__(Reason.PERIOD_UNSURE, {"date": day.isoformat()})


class NextRoundError(Exception):
    """What this item needs is on its way already, for another item of the same transaction."""


class PostingSteps(PostingPlan):
    """Finds the next call of an item: what its first document that does not stand yet still lacks."""

    async def _next_step(self) -> Step | None:
        rows = self._rows()
        while True:
            open_row = next((row for row in rows if row.state is DocumentState.PLANNED), None)
            if open_row is not None:
                return await self._row_step(open_row, rows)
            if not await self._grow(rows):
                await self._settled_in_books()
                return None
            rows = self._rows()

    async def _row_step(self, row: BooksDocument, rows: Iterable[BooksDocument]) -> Step:
        """Return the call that brings one document closer; the documents before it stand."""
        document = thaw(row.kind, row.content)
        ids = {other.step: other.external_id or "" for other in rows if other.state is DocumentState.POSTED}
        for step in _customers_of(document):
            link = await self._link(step)
            if link is None:
                return await self._make(await customer_for(self.session, step, document.currency))
            ids[step] = link.external_id
        for needed in self.lane.books.supporting(document):
            link = await self._link(needed.step)
            if link is None:
                return await self._make(needed)
            ids[needed.step] = link.external_id
        if self.pass_.shelf.operation(row) is None:
            await self._ask_of_months_gone_by(document.date)
        return self._document_step(row, document, ids)

    async def _ask_of_months_gone_by(self, day: date) -> None:
        """A closed month is never written to, also where the books would let whoever signed in do it (bookkeeping)."""
        running = (self.now - MONTH_RUNS_ON).date()
        if (day.year, day.month) >= (running.year, running.month) or self.lane.has_fresh_settings:
            return
        read_at = await self.lane.settings_read_at(self.session)
        if read_at is None or self.now - read_at > SETTINGS_LAST:
            raise PeriodUnsureError(day)

    async def _make(self, document: Support) -> Step:
        """Return the call that will bring a customer, item or payee; whoever asked for it first began it."""
        statement = (
            select(Operation)
            .where(Operation.connection_id == self.connection_id, Operation.step == document.step)
            .order_by(Operation.created_at.desc(), Operation.revision.desc())
        )
        last = (await self.session.execute(statement.limit(1))).scalar_one_or_none()
        if last is None or last.state in (OperationState.CONFIRMED, OperationState.REJECTED):
            last = await self._new_support_operation(document, revision=0)
        return self._step(last)

    async def _new_support_operation(self, document: Support, *, revision: int) -> Operation:
        counted = await self.session.execute(
            select(func.count())
            .select_from(Operation)
            .where(Operation.connection_id == self.connection_id, Operation.step == document.step)
        )
        key = operation_key(self.connection_id, _source_of(document), document.step, counted.scalar_one())
        return self._new_operation(document, key=key, ids={}, revision=revision)

    async def _support_document(self, operation: Operation) -> Support | None:
        """Return the customer, item or payee that an operation writes, if a document of this item needs it."""
        for row in self._rows():
            document = thaw(row.kind, row.content)
            if operation.step in _customers_of(document):
                return await customer_for(self.session, operation.step, document.currency)
            for needed in self.lane.books.supporting(document):
                if needed.step == operation.step:
                    return needed
        return None

    def _document_step(self, row: BooksDocument, document: MoneyDocument, ids: dict[str, str]) -> Step:
        operation = self.pass_.shelf.operation(row)
        if operation is None:
            key = operation_key(self.connection_id, self.item.source_id, row.step, row.plan_version)
            operation = self._new_operation(document, key=key, ids=ids, revision=0, version=row.plan_version)
        return self._step(operation)

    def _new_operation(
        self, document: Document, *, key: str, ids: dict[str, str], revision: int, version: int | None = None
    ) -> Operation:
        write = self.lane.books.prepare(document, key=key, ids=ids, revision=revision)
        operation = Operation(
            tenant_id=self.item.tenant_id,
            id=uuid4(),
            connection_id=self.connection_id,
            item_id=self.item.id,
            step=document.step,
            kind=document.kind,
            plan_version=self.item.plan_version if version is None else version,
            revision=revision,
            key=write.key,
            reference=write.reference,
            path=write.path,
            body=write.body,
            body_hash=self.lane.digest(write.body),
            total_minor=write.total_minor,
            currency=write.currency,
            party_id=write.party_id,
            home_minor=write.home_minor,
            state=OperationState.PLANNED,
            sends=0,
            was_answered=False,
            fence=self.lane.claim.fence,
            created_at=self.now,
        )
        self.session.add(operation)
        self.pass_.shelf.add_operation(operation)
        return operation

    def _step(self, operation: Operation) -> Step:
        if not self.pass_.taken.isdisjoint(_names_of(operation)):
            raise NextRoundError
        move = next_move(operation, now=self.now, limits=self.lane.limits, adopting=self.lane.adopting)
        return self._go(operation, move, repeats=operation.state is not OperationState.PLANNED)

    def _go(self, operation: Operation, move: Move, *, repeats: bool = False) -> Step:
        """Commit to one call: its intent is written in this transaction."""
        send = 1
        if move is Move.SEND:
            send = mark_sent(operation, now=self.now, fence=self.lane.claim.fence, repeats=repeats)
            operation.batch_id = operation.batch_position = None
        self.pass_.taken |= _names_of(operation)
        self.item.state = ItemState.WORKING
        self.item.reason, self.item.reason_detail = None, {}
        self.item.changed_at = self.now
        self._mirror(PaymentState.SYNCING)
        return Step(operation.key, move, write_of(operation), send, is_alone=repeats or self.is_suspect)

    async def _link(self, step: str) -> BooksLink | None:
        return await self.pass_.shelf.link(self.session, self.connection_id, step)


def _names_of(operation: Operation) -> set[str]:
    """Return what only one call at a time may be about: a write, and for what a person may have made a name.

    Two rows of one client would otherwise be looked for at once, not be found, and be made twice.
    """
    if operation.kind in MONEY:
        return {operation.key}
    return {operation.key, f"{operation.kind.value}:{operation.reference.casefold()}"}


def _customers_of(document: MoneyDocument) -> Sequence[str]:
    return [step for step in document.needs if step.startswith(CUSTOMER)]


def _source_of(document: Support) -> str:
    match document:
        case Customer():
            return document.customer_id
        case Item():
            return document.service_id
        case Payee():
            return document.step
