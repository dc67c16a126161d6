"""Posting one sale: customer, items, invoice, payment; each step exactly once.

:func:`bring_up_to_date` is the whole story: decide and commit the next call, make it, settle it together with the
decision about the one after. Between two commits there is at most one call, and its intent stands in the first of them.
"""

from datetime import datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from core.books.documents import Customer as CustomerDocument
from core.books.documents import Document, DocumentKind, Invoice, Item
from core.books.documents import Payment as PaymentDocument
from core.books.keys import operation_key, reference_for
from core.db.models import (
    Attempt,
    AttemptOutcome,
    BooksDocument,
    BooksLink,
    DocumentState,
    ItemState,
    Operation,
    OperationState,
    Payment,
    PaymentState,
    SyncItem,
)
from core.errors import (
    AccessExpiredError,
    OutcomeUnknownError,
    ProviderError,
    ProviderRejectedError,
    RateLimitedError,
    ReconnectRequiredError,
    StopError,
)
from core.live import touch
from core.logging import get_logger
from core.reasons import Reason
from core.sync import ladder, lanes
from core.sync.documents import freeze, step_customer_id, thaw
from core.sync.items import difference, is_begun, mirror, say_where_it_stays
from core.sync.lane_work import BooksLane
from core.sync.operations import (
    FOUND_FIRST,
    Move,
    Report,
    Step,
    after_not_found,
    differences,
    mark_sent,
    next_move,
    write_of,
)
from core.sync.plan import customer_document, plan_now

_MAX_NUMBER_TAKEN_SENDS = 3
_CONCERNS_ALL = frozenset({Reason.NO_RIGHTS, Reason.SUBSCRIPTION_ENDED})
_REST_S = 900.0
_UNDECIDED = timedelta(seconds=5)

log = get_logger("sale")


class _PauseError(Exception):
    """Nothing more can be done for this item now; when it is due again stands on the item."""


async def bring_up_to_date(lane: BooksLane, item_id: UUID) -> bool:
    """Carry one sale as far as it goes now. Return whether the lane may go on with other items.

    Raises:
        LeaseLostError: another worker took the lane.
    """
    step = await advance(lane, item_id, None)
    while step is not None:
        step = await advance(lane, item_id, await lane.call(step))
    return not lane.paused


async def advance(lane: BooksLane, item_id: UUID, report: Report | None) -> Step | None:
    """Settle the last call, if any, and commit the intent of the next; None when there is nothing to call now."""

    async def work() -> Step | None:
        async with lane.db.tenant(lane.claim.tenant_id, write=True) as session:
            await lanes.guard(lane.db, session, lane.claim)
            now = await lane.db.now(session)
            payment, item = await _locked(session, item_id)
            step = await _Sale(lane, session, item, payment, now).advance(report)
            await touch(session, lane.claim.tenant_id)
            return step

    return await lane.db.unit(work)


async def _locked(session: AsyncSession, item_id: UUID) -> tuple[Payment, SyncItem]:
    """Read the payment and its item, locked in this order as everywhere.

    What a person decides meanwhile, or what Stripe tells, is either seen here or waits until we are done.
    """
    payment_id = (await session.execute(select(SyncItem.payment_id).where(SyncItem.id == item_id))).scalar_one()
    payment = await session.get_one(Payment, payment_id, with_for_update={"key_share": True})
    return payment, await session.get_one(SyncItem, item_id, with_for_update=True)


class _Sale:
    """One transaction's view of one sale."""

    def __init__(self, lane: BooksLane, session: AsyncSession, item: SyncItem, payment: Payment, now: datetime) -> None:
        self.lane = lane
        self.session = session
        self.item = item
        self.payment = payment
        self.now = now
        self.connection_id = item.connection_id

    async def advance(self, report: Report | None) -> Step | None:
        if self.item.state not in (ItemState.PENDING, ItemState.WORKING):
            if report is not None:
                await self._note_late(report)
            return None
        try:
            if report is None:
                await self._drop_outdated()
            else:
                step = await self._settle(report)
                if step is not None:
                    return step
            return await self._next_step()
        except StopError as stop:
            self._stop(stop, stop.__cause__ if isinstance(stop.__cause__, ProviderError) else None)
        except ProviderRejectedError as refused:
            # The adapter refused while preparing: nothing was sent.
            self._note(AttemptOutcome.STOPPED, error=refused)
            self._stop(StopError(refused.reason, refused.detail), refused)
        except _PauseError:
            mirror(self.payment, PaymentState.WAITING, self.item)
        return None

    # What comes next

    async def _next_step(self) -> Step | None:
        invoice_row, payment_row = await self._frozen_documents()
        invoice = thaw(invoice_row.content, Invoice)
        ids: dict[str, str] = {}
        if payment_row.state is not DocumentState.POSTED:
            step = await self._support(await customer_document(self.session, self.payment, invoice.currency), ids)
            if step is not None:
                return step
        if invoice_row.state is not DocumentState.POSTED:
            for needed in self.lane.books.supporting_items(invoice):
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

    # How the last call ended

    async def _settle(self, report: Report) -> Step | None:
        operation = await self._operation(report)
        if operation.state in (OperationState.CONFIRMED, OperationState.REJECTED):
            return None
        self._note(report.outcome, operation=operation, error=report.error, external_id=_id(report))
        if report.error is not None:
            return await self._settle_error(operation, report, report.error)
        await self._calls_work_again()
        if report.posted is None:
            return await self._settle_not_found(operation)
        different = differences(operation, report.posted)
        if different:
            operation.state, operation.was_answered = OperationState.UNCERTAIN, True
            operation.external_id = report.posted.external_id
            operation.settled_at = self.now
            raise self._difference(operation, report, different)
        operation.state = OperationState.CONFIRMED
        operation.external_id = report.posted.external_id
        operation.settled_at = self.now
        self.item.tries = 0
        await self._keep_result(operation, report)
        return None

    async def _settle_not_found(self, operation: Operation) -> Step | None:
        if operation.state is OperationState.PLANNED:
            return self._go(operation, Move.SEND)
        if operation.settled_at is not None:
            # Something else stood in its place, and a person has removed it: absence is proven. The old key would
            # bring back the provider's first answer, about a document that is gone (F22).
            operation.state, operation.settled_at = OperationState.REJECTED, self.now
            await self._drop_document(operation)
            return None
        move = after_not_found(operation, now=self.now, limits=self.lane.limits)
        if move is Move.SEND:
            return self._go(operation, Move.SEND)
        sent = operation.last_sent_at or self.now
        self._wait(Reason.OUTCOME_UNKNOWN, sent + timedelta(seconds=self.lane.limits.settling_s))
        raise _PauseError

    async def _drop_document(self, operation: Operation) -> None:
        statement = select(BooksDocument).where(
            BooksDocument.item_id == self.item.id,
            BooksDocument.step == operation.step,
            BooksDocument.plan_version == operation.plan_version,
        )
        row = (await self.session.execute(statement)).scalar_one_or_none()
        if row is not None:
            row.state = DocumentState.DROPPED
            self.item.plan_version += 1
            await self.session.flush()

    async def _note_late(self, report: Report) -> None:
        """The connection ended while the call was under way: write down how that ended, and call nothing more.

        What surely was not begun is offered to the next books; anything else stays with these, and says so (F23).
        """
        operation = await self._operation(report)
        if operation.state in (OperationState.CONFIRMED, OperationState.REJECTED):
            return
        error, posted = report.error, report.posted
        self._note(report.outcome, operation=operation, error=error, external_id=_id(report))
        if posted is not None:
            is_ours = not differences(operation, posted)
            operation.state = OperationState.CONFIRMED if is_ours else OperationState.UNCERTAIN
            operation.was_answered, operation.external_id, operation.settled_at = True, posted.external_id, self.now
            if is_ours:
                await self._keep_result(operation, report)
        elif isinstance(error, ProviderRejectedError) and report.step.move is Move.SEND:
            doubtful = error.reason is Reason.NUMBER_TAKEN
            operation.state = OperationState.UNCERTAIN if doubtful else OperationState.REJECTED
            operation.was_answered, operation.settled_at = True, None if doubtful else self.now
        elif isinstance(error, OutcomeUnknownError) and report.step.move is Move.SEND:
            operation.state, operation.was_answered = OperationState.UNCERTAIN, error.answered
        elif error is not None and report.step.move is Move.SEND:
            _take_back(operation)
        await self.session.flush()
        rows = await self._rows()
        if len(rows) == 2 and all(row.state is DocumentState.POSTED for row in rows.values()):
            self._finish()
            return
        await say_where_it_stays(self.session, self.payment, self.item, now=self.now)

    async def _operation(self, report: Report) -> Operation:
        statement = select(Operation).where(
            Operation.connection_id == self.connection_id, Operation.key == report.step.operation_key
        )
        return (await self.session.execute(statement)).scalar_one()

    async def _keep_result(self, operation: Operation, report: Report) -> None:
        posted = report.posted
        if posted is None:
            return
        if operation.kind in FOUND_FIRST:
            is_customer = operation.kind is DocumentKind.CUSTOMER
            self.session.add(
                BooksLink(
                    tenant_id=self.item.tenant_id,
                    connection_id=self.connection_id,
                    step=operation.step,
                    kind=operation.kind.value,
                    customer_id=step_customer_id(operation.step) if is_customer else None,
                    external_id=posted.external_id,
                    name=operation.reference,
                    created_at=self.now,
                )
            )
        else:
            statement = select(BooksDocument).where(
                BooksDocument.item_id == operation.item_id,
                BooksDocument.step == operation.step,
                BooksDocument.plan_version == operation.plan_version,
            )
            row = (await self.session.execute(statement)).scalar_one()
            row.state = DocumentState.POSTED
            row.external_id = posted.external_id
            row.external_number = posted.number
            row.external_version = posted.version
            row.posted_at = self.now
        await self.session.flush()

    async def _settle_error(self, operation: Operation, report: Report, error: ProviderError) -> Step | None:
        sending = report.step.move is Move.SEND
        if isinstance(error, ProviderRejectedError):
            await self._calls_work_again()
            return await self._settle_refusal(operation, error, sending=sending)
        if isinstance(error, OutcomeUnknownError) and sending:
            operation.state, operation.was_answered = OperationState.UNCERTAIN, error.answered
            await self._call_failed(error, Reason.OUTCOME_UNKNOWN, first_delay=_UNDECIDED)
        if sending:
            _take_back(operation)
        if isinstance(error, ReconnectRequiredError | AccessExpiredError):
            await self.lane.block_connection(self.session, self.now)
            self._block(Reason.RECONNECT_BOOKS, error)
            raise _PauseError
        if isinstance(error, RateLimitedError):
            until = await self.lane.pause(self.session, error.retry_after_s, Reason.RATE_LIMITED, self.now)
            self._wait(Reason.RATE_LIMITED, until, error)
            raise _PauseError
        await self._call_failed(error, Reason.PROVIDER_DOWN)
        raise AssertionError("unreachable")

    async def _settle_refusal(
        self, operation: Operation, error: ProviderRejectedError, *, sending: bool
    ) -> Step | None:
        if error.reason is Reason.NUMBER_TAKEN and sending and operation.sends < _MAX_NUMBER_TAKEN_SENDS:
            # Perhaps it was taken by ourselves, a moment ago or before a restore: look before believing it.
            operation.state, operation.was_answered = OperationState.UNCERTAIN, True
            return self._go(operation, Move.LOOK_UP)
        # Looked up, something else stands in its place: whether ours was ever written is open, what we saw is not.
        doubtful = operation.sends > 0 and not sending
        operation.state = OperationState.UNCERTAIN if doubtful else OperationState.REJECTED
        operation.was_answered = True
        operation.settled_at = self.now
        if error.reason is Reason.NAME_TAKEN and operation.kind in FOUND_FIRST:
            operation.state, operation.settled_at = OperationState.REJECTED, self.now
            document = await self._support_document(operation)
            return self._step(await self._new_support_operation(document, revision=operation.revision + 1))
        if error.reason in _CONCERNS_ALL:
            # Every other entry would be refused alike: rest the connection, a retry by a person ends the rest.
            await self.lane.pause(self.session, _REST_S, error.reason, self.now)
        raise error

    async def _support_document(self, operation: Operation) -> CustomerDocument | Item:
        invoice_row, _ = await self._frozen_documents()
        invoice = thaw(invoice_row.content, Invoice)
        if operation.kind is DocumentKind.CUSTOMER:
            return await customer_document(self.session, self.payment, invoice.currency)
        items = self.lane.books.supporting_items(invoice)
        return next(item for item in items if item.step == operation.step)

    def _difference(self, operation: Operation, report: Report, different: dict[str, object]) -> StopError:
        detail: dict[str, object] = {"document": operation.kind.value}
        found, expected = different.get("total_minor"), operation.total_minor
        if isinstance(found, int) and expected is not None:
            detail |= difference(found, expected, operation.currency)
        changed = report.step.move is Move.LOOK_UP or "total_minor" not in different
        return StopError(Reason.CHANGED_IN_BOOKS if changed else Reason.TOTALS_DIFFER, detail)

    async def _calls_work_again(self) -> None:
        if self.lane.failures:
            self.lane.failures = 0
            await lanes.note_failures(self.session, self.lane.claim, 0)

    async def _call_failed(self, error: ProviderError, reason: Reason, *, first_delay: timedelta | None = None) -> None:
        """Plan the next try; after five failures in a row the whole connection rests and is probed once a minute."""
        self.lane.failures += 1
        await lanes.note_failures(self.session, self.lane.claim, self.lane.failures)
        stated = getattr(error, "retry_after_s", None)
        if self.lane.failures >= ladder.BREAKER_AFTER or stated:
            until = await self.lane.pause(self.session, stated, Reason.PROVIDER_DOWN, self.now)
        elif self.item.tries >= ladder.GIVE_UP_AFTER:
            # A week of tries, while other calls went through: it is about this entry, and a person has to look (N8).
            incident = self.lane.runtime.token_bytes(4).hex()
            log.error("gave_up", item_id=str(self.item.id), code=incident, outcome=reason.value)
            raise StopError(Reason.OUR_FAULT, {"incident": incident}) from error
        else:
            delay = ladder.next_delay(self.lane.runtime, self.item.tries)
            until = self.now + (first_delay if first_delay is not None and self.item.tries == 0 else delay)
            self.item.tries += 1
        self._wait(reason, until, error)
        raise _PauseError

    # How the item stands now

    def _wait(self, reason: Reason, until: datetime, error: ProviderError | None = None) -> None:
        self.item.state = ItemState.PENDING
        self.item.due_at = until
        self._say(reason, {}, error)

    def _block(self, reason: Reason, error: ProviderError | None = None) -> None:
        self.item.state = ItemState.BLOCKED
        self.item.due_at = None
        self._say(reason, {}, error)

    def _stop(self, stop: StopError, error: ProviderError | None = None) -> None:
        waits = stop.reason is Reason.SETTLEMENT_PENDING
        self.item.state = ItemState.BLOCKED if waits else ItemState.NEEDS_ATTENTION
        self.item.due_at = None
        if error is None:
            self._note(AttemptOutcome.STOPPED, text=stop.reason.value)
        self._say(stop.reason, stop.detail, error)
        mirror(self.payment, PaymentState.WAITING if waits else PaymentState.NEEDS_ATTENTION, self.item)

    def _say(self, reason: Reason, detail: dict[str, object], error: ProviderError | None) -> None:
        self.item.reason = reason
        self.item.reason_detail = {"books": self.lane.profile.name, **detail}
        self.item.provider_text = error.text or None if error else None
        self.item.provider_request_id = error.request_id if error else None
        self.item.changed_at = self.now

    def _finish(self) -> None:
        self.item.state = ItemState.DONE
        self.item.done = self.item.wanted
        self.item.due_at = None
        self.item.reason, self.item.reason_detail = None, {}
        self.item.provider_text = self.item.provider_request_id = None
        self.item.changed_at = self.now
        mirror(self.payment, PaymentState.SYNCED, self.item)

    def _note(
        self,
        outcome: AttemptOutcome,
        *,
        operation: Operation | None = None,
        error: ProviderError | None = None,
        external_id: str | None = None,
        text: str | None = None,
    ) -> None:
        self.session.add(
            Attempt(
                tenant_id=self.item.tenant_id,
                item_id=self.item.id,
                operation_id=operation.id if operation else None,
                step=operation.step if operation else None,
                outcome=outcome,
                at=self.now,
                http_status=error.status if error else None,
                request_id=error.request_id if error else None,
                text=(error.text if error else text) or None,
                external_id=external_id,
            )
        )


def _take_back(operation: Operation) -> None:
    """The provider surely did not execute this send; an earlier one of the same bytes may stay in doubt."""
    if operation.sends <= 1:
        operation.state, operation.sends = OperationState.PLANNED, 0
        operation.first_sent_at = operation.last_sent_at = None
    else:
        operation.state, operation.was_answered = OperationState.UNCERTAIN, True


def _id(report: Report) -> str | None:
    return report.posted.external_id if report.posted else None
