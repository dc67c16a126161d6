"""What a sale needs next: the frozen documents, and the one call that comes now with its intent written down."""

from uuid import uuid4

from sqlalchemy import func, select

from core.books.documents import Customer as CustomerDocument
from core.books.documents import Document, Invoice, Item
from core.books.documents import Payment as PaymentDocument
from core.books.keys import operation_key, reference_for
from core.db.models import (
    BooksDocument,
    BooksLink,
    DocumentState,
    ItemState,
    Operation,
    OperationState,
    PaymentState,
    SyncItem,
)
from core.errors import (
    StopError,
)
from core.reasons import Reason
from core.sync.documents import freeze, thaw
from core.sync.items import difference, is_begun, mirror
from core.sync.operations import (
    Move,
    Step,
    mark_sent,
    next_move,
    write_of,
)
from core.sync.plan import customer_document, plan_now
from core.sync.sale_state import SaleState


class SaleSteps(SaleState):
    """Plans and freezes the documents of a sale, and finds the next call."""

    async def _next_step(self) -> Step | None:
        invoice_row, payment_row = await self._frozen_documents()
        invoice = thaw(invoice_row.content, Invoice)
        ids: dict[str, str] = {}
        if payment_row.state is not DocumentState.POSTED:
            step = await self._support(await customer_document(self.session, self.payment, invoice.currency), ids)
            if step is not None:
                return step
        if invoice_row.state is not DocumentState.POSTED:
            for needed in self.lane.books.supporting(invoice):
                step = await self._support(needed, ids)
                if step is not None:
                    return step
            return await self._document_step(invoice_row, invoice, ids)
        ids[invoice.step] = invoice_row.external_id or ""
        if payment_row.state is not DocumentState.POSTED:
            return await self._document_step(payment_row, thaw(payment_row.content, PaymentDocument), ids)
        self._finish()
        return None

    async def _frozen_documents(self) -> tuple[BooksDocument, BooksDocument]:
        """Return invoice and payment as frozen; plan and freeze what is missing.

        Raises:
            StopError: there is no plan, or the payment would no longer be that of the invoice.
        """
        rows = await self._rows()
        if len(rows) < 2:
            for document in await self._plan():
                if document.step not in rows:
                    rows[document.step] = self._freeze(document)
            await self.session.flush()
        invoice, payment = rows["invoice"], rows["payment"]
        if invoice.total_minor != payment.total_minor:
            # The invoice stands with an amount that Stripe has changed since.
            detail = difference(invoice.total_minor, payment.total_minor, invoice.currency)
            payment.state = DocumentState.DROPPED
            self.item.plan_version += 1
            raise StopError(Reason.TOTALS_DIFFER, {"document": payment.kind.value, **detail})
        return invoice, payment

    async def _rows(self) -> dict[str, BooksDocument]:
        statement = select(BooksDocument).where(
            BooksDocument.item_id == self.item.id, BooksDocument.state != DocumentState.DROPPED
        )
        return {row.step: row for row in (await self.session.execute(statement)).scalars()}

    async def _plan(self) -> tuple[Invoice, PaymentDocument]:
        reference = reference_for(self.connection_id, self.item.source_id)
        return await plan_now(self.session, self.payment, self.lane.profile, reference=reference)

    async def _drop_outdated(self) -> None:
        """Let go of a plan that facts or mapping have left behind, as long as nothing of it can stand (F22)."""
        rows = await self._rows()
        if len(rows) < 2:
            return
        begun = await self.session.execute(select(SyncItem.id).where(SyncItem.id == self.item.id, is_begun()))
        if begun.first() is not None:
            return
        planned = await self._plan()
        frozen = thaw(rows["invoice"].content, Invoice), thaw(rows["payment"].content, PaymentDocument)
        if frozen == planned and not await self._was_refused(rows["invoice"]):
            return
        for row in rows.values():
            row.state = DocumentState.DROPPED
        self.item.plan_version += 1
        await self.session.flush()

    async def _was_refused(self, row: BooksDocument) -> bool:
        refused = select(Operation.id).where(
            Operation.item_id == self.item.id,
            Operation.step == row.step,
            Operation.plan_version == row.plan_version,
            Operation.state == OperationState.REJECTED,
        )
        return (await self.session.execute(refused)).first() is not None

    def _freeze(self, document: Invoice | PaymentDocument) -> BooksDocument:
        row = BooksDocument(
            tenant_id=self.item.tenant_id,
            id=uuid4(),
            connection_id=self.connection_id,
            item_id=self.item.id,
            step=document.step,
            kind=document.kind,
            plan_version=self.item.plan_version,
            state=DocumentState.PLANNED,
            reference=document.reference,
            book_date=document.date,
            total_minor=document.total_minor,
            currency=document.currency,
            content=freeze(document),
            created_at=self.now,
        )
        self.session.add(row)
        return row

    async def _support(self, document: CustomerDocument | Item, ids: dict[str, str]) -> Step | None:
        """Note the id of a customer or item in ``ids``, or return the call that will bring it."""
        link = await self._link(document.step)
        if link is not None:
            ids[document.step] = link.external_id
            return None
        statement = (
            select(Operation)
            .where(Operation.connection_id == self.connection_id, Operation.step == document.step)
            .order_by(Operation.created_at.desc(), Operation.revision.desc())
        )
        last = (await self.session.execute(statement.limit(1))).scalar_one_or_none()
        if last is None or last.state in (OperationState.CONFIRMED, OperationState.REJECTED):
            last = await self._new_support_operation(document, revision=0)
        return self._step(last)

    async def _new_support_operation(self, document: CustomerDocument | Item, *, revision: int) -> Operation:
        counted = await self.session.execute(
            select(func.count())
            .select_from(Operation)
            .where(Operation.connection_id == self.connection_id, Operation.step == document.step)
        )
        source = document.customer_id if isinstance(document, CustomerDocument) else document.service_id
        key = operation_key(self.connection_id, source, document.step, counted.scalar_one())
        return await self._new_operation(document, key=key, ids={}, revision=revision)

    async def _document_step(
        self, row: BooksDocument, document: Invoice | PaymentDocument, ids: dict[str, str]
    ) -> Step | None:
        statement = select(Operation).where(
            Operation.item_id == self.item.id,
            Operation.step == row.step,
            Operation.plan_version == row.plan_version,
        )
        operation = (await self.session.execute(statement)).scalar_one_or_none()
        if operation is None:
            key = operation_key(self.connection_id, self.item.source_id, row.step, row.plan_version)
            operation = await self._new_operation(document, key=key, ids=ids, revision=0, version=row.plan_version)
        return self._step(operation)

    async def _new_operation(
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
            state=OperationState.PLANNED,
            sends=0,
            was_answered=False,
            fence=self.lane.claim.fence,
            created_at=self.now,
        )
        self.session.add(operation)
        await self.session.flush()
        return operation

    def _step(self, operation: Operation) -> Step:
        move = next_move(operation, now=self.now, adopting=self.lane.adopting)
        return self._go(operation, move, repeats=operation.state is not OperationState.PLANNED)

    def _go(self, operation: Operation, move: Move, *, repeats: bool = False) -> Step:
        """Commit to one call: its intent is written in this transaction."""
        send = 1
        if move is Move.SEND:
            send = mark_sent(operation, now=self.now, fence=self.lane.claim.fence, repeats=repeats)
        self.item.state = ItemState.WORKING
        self.item.reason, self.item.reason_detail = None, {}
        self.item.changed_at = self.now
        mirror(self.payment, PaymentState.SYNCING, self.item)
        return Step(operation.key, move, write_of(operation), send)

    async def _link(self, step: str) -> BooksLink | None:
        statement = select(BooksLink).where(BooksLink.connection_id == self.connection_id, BooksLink.step == step)
        return (await self.session.execute(statement)).scalar_one_or_none()
