"""How a call ended and what follows from it, by the rule of :mod:`core.sync.operations`."""

from datetime import datetime, timedelta

from core.books.documents import MONEY, DocumentKind
from core.db.models import (
    BooksLink,
    DocumentState,
    ItemState,
    Operation,
    OperationState,
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
from core.logging import get_logger
from core.reasons import Reason
from core.sync import ladder, lanes
from core.sync.documents import step_customer_id
from core.sync.items import difference, say_where_it_stays
from core.sync.operations import (
    Move,
    Report,
    Step,
    after_not_found,
    differences,
)
from core.sync.planners.offers import offer_to_next_books
from core.sync.posting_steps import PostingSteps

_MAX_TAKEN_SENDS = 3
_TAKEN = frozenset({Reason.NUMBER_TAKEN, Reason.NAME_TAKEN})
_CONCERNS_ALL = frozenset({Reason.NO_RIGHTS, Reason.SUBSCRIPTION_ENDED})
_REST_S = 900.0
_UNDECIDED = timedelta(seconds=5)
_NUMBER_SHOWN = 64

log = get_logger("posting")


class PauseError(Exception):
    """Nothing more can be done for this item now; when it is due again stands on the item."""


class PostingSettling(PostingSteps):
    """Settles the last call of an item."""

    async def _settle(self, report: Report) -> Step | None:
        operation = self._operation(report)
        if operation.state in (OperationState.CONFIRMED, OperationState.REJECTED):
            return None
        if not report.was_made:
            self._hold_back(operation, report)
            raise PauseError
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
        self._keep_result(operation, report)
        return None

    def _hold_back(self, operation: Operation, report: Report) -> None:
        """The call was not made after all: the item is due as it was."""
        if report.step.move is Move.SEND:
            _take_back(operation)
        self.item.state, self.item.changed_at = ItemState.PENDING, self.now

    async def _settle_not_found(self, operation: Operation) -> Step | None:
        if operation.state is OperationState.PLANNED:
            return self._go(operation, Move.SEND)
        if operation.settled_at is not None:
            # Something else stood in its place, and a person has removed it: absence is proven. The old key would
            # bring back the provider's first answer, about a document that is gone (F22).
            operation.state, operation.settled_at = OperationState.REJECTED, self.now
            self._drop_document(operation)
            return None
        move = after_not_found(operation, now=self.now, limits=self.lane.limits)
        if move is Move.SEND:
            return self._go(operation, Move.SEND)
        sent = operation.last_sent_at or self.now
        self._wait(Reason.OUTCOME_UNKNOWN, sent + timedelta(seconds=self.lane.limits.settling_s))
        raise PauseError

    def _drop_document(self, operation: Operation) -> None:
        row = self.pass_.shelf.document(operation)
        if row is not None:
            row.state = DocumentState.DROPPED
            self.item.plan_version += 1

    async def _note_late(self, report: Report) -> None:
        """The connection ended while the call was under way: write down how that ended, and call nothing more.

        What surely was not begun is offered to the next books; anything else stays with these, and says so (F23).
        """
        operation = self._operation(report)
        if operation.state in (OperationState.CONFIRMED, OperationState.REJECTED):
            return
        error, posted = report.error, report.posted
        if report.was_made:
            self._note(report.outcome, operation=operation, error=error, external_id=_id(report))
        elif report.step.move is Move.SEND:
            _take_back(operation)
        if posted is not None:
            is_ours = not differences(operation, posted)
            operation.state = OperationState.CONFIRMED if is_ours else OperationState.UNCERTAIN
            operation.was_answered, operation.external_id, operation.settled_at = True, posted.external_id, self.now
            if is_ours:
                self._keep_result(operation, report)
        elif isinstance(error, ProviderRejectedError) and report.step.move is Move.SEND:
            doubtful = error.reason is Reason.NUMBER_TAKEN
            operation.state = OperationState.UNCERTAIN if doubtful else OperationState.REJECTED
            operation.was_answered, operation.settled_at = True, None if doubtful else self.now
        elif isinstance(error, OutcomeUnknownError) and report.step.move is Move.SEND:
            operation.state, operation.was_answered = OperationState.UNCERTAIN, error.answered
        elif error is not None and report.step.move is Move.SEND:
            _take_back(operation)
        await self.session.flush()
        rows = self._rows()
        if self._is_whole(rows) and all(row.state is DocumentState.POSTED for row in rows):
            await self._settled_in_books()
        elif self.payment is not None:
            await say_where_it_stays(self.session, self.payment, self.item, now=self.now)
        else:
            await offer_to_next_books(self.session, self.item, now=self.now)

    def _operation(self, report: Report) -> Operation:
        """Return the row of what was called; it is on the shelf because the call was named when that was filled."""
        return self.pass_.shelf.operations[report.step.operation_key]

    def _keep_result(self, operation: Operation, report: Report) -> None:
        posted = report.posted
        if posted is None:
            return
        if operation.kind not in MONEY:
            is_customer = operation.kind is DocumentKind.CUSTOMER
            link = BooksLink(
                tenant_id=self.item.tenant_id,
                connection_id=self.connection_id,
                step=operation.step,
                kind=operation.kind.value,
                customer_id=step_customer_id(operation.step) if is_customer else None,
                external_id=posted.external_id,
                name=operation.reference,
                created_at=self.now,
            )
            self.session.add(link)
            self.pass_.shelf.add_link(link)
        else:
            row = self.pass_.shelf.document(operation)
            if row is None:
                raise LookupError(f"no document of {operation.step}")
            row.state = DocumentState.POSTED
            row.external_id = posted.external_id
            # For the eye alone. Where Xero has no number this is the whole reference, longer than the column takes.
            row.external_number = posted.number[:_NUMBER_SHOWN] if posted.number else None
            row.external_version = posted.version
            row.posted_at = self.now
            self.pass_.posted.documents += 1

    async def _settle_error(self, operation: Operation, report: Report, error: ProviderError) -> Step | None:
        sending = report.step.move is Move.SEND
        if isinstance(error, ProviderRejectedError):
            await self._calls_work_again()
            return await self._settle_refusal(operation, error, sending=sending)
        if isinstance(error, OutcomeUnknownError) and sending:
            operation.state, operation.was_answered = OperationState.UNCERTAIN, error.answered
            await self._call_failed(error, Reason.OUTCOME_UNKNOWN, report, first_delay=_UNDECIDED)
        if sending:
            _take_back(operation)
        if isinstance(error, ReconnectRequiredError | AccessExpiredError):
            if report.is_first:
                await self.lane.block_connection(self.session, self.now)
            self._block(Reason.RECONNECT_BOOKS, error)
            raise PauseError
        if isinstance(error, RateLimitedError):
            until = await self._paused(error.retry_after_s, Reason.RATE_LIMITED, report)
            self._wait(Reason.RATE_LIMITED, until, error)
            raise PauseError
        await self._call_failed(error, Reason.PROVIDER_DOWN, report)
        raise AssertionError("unreachable")

    async def _settle_refusal(
        self, operation: Operation, error: ProviderRejectedError, *, sending: bool
    ) -> Step | None:
        if error.reason in _TAKEN and sending and operation.sends < _MAX_TAKEN_SENDS:
            # Perhaps it was taken by ourselves: a moment ago, for another item of this very round, or before a
            # restore. Look before believing it.
            operation.state, operation.was_answered = OperationState.UNCERTAIN, True
            return self._go(operation, Move.LOOK_UP)
        # Looked up, something else stands in its place: whether ours was ever written is open, what we saw is not.
        doubtful = operation.sends > 0 and not sending
        operation.state = OperationState.UNCERTAIN if doubtful else OperationState.REJECTED
        operation.was_answered = True
        operation.settled_at = self.now
        if error.reason is Reason.NAME_TAKEN and operation.kind not in MONEY:
            operation.state, operation.settled_at = OperationState.REJECTED, self.now
            document = await self._support_document(operation)
            if document is None:
                return None
            return self._step(await self._new_support_operation(document, revision=operation.revision + 1))
        if error.reason in _CONCERNS_ALL:
            # Every other entry would be refused alike: rest the connection, a retry by a person ends the rest.
            await self.lane.pause(self.session, _REST_S, error.reason, self.now)
        raise error

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

    async def _paused(self, retry_after_s: float | None, reason: Reason, report: Report) -> datetime:
        """Rest the whole connection, once for all that one call carried; return until when."""
        if not report.is_first and self.lane.paused_until is not None:
            return self.lane.paused_until
        return await self.lane.pause(self.session, retry_after_s, reason, self.now)

    async def _call_failed(
        self, error: ProviderError, reason: Reason, report: Report, *, first_delay: timedelta | None = None
    ) -> None:
        """Plan the next try; after five failures in a row the whole connection rests and is probed once a minute."""
        if report.is_first:
            self.lane.failures += 1
            await lanes.note_failures(self.session, self.lane.claim, self.lane.failures)
        stated = getattr(error, "retry_after_s", None)
        if self.lane.failures >= ladder.BREAKER_AFTER or stated:
            until = await self._paused(stated, Reason.PROVIDER_DOWN, report)
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
        raise PauseError


def _take_back(operation: Operation) -> None:
    """The provider surely did not execute this send; an earlier one of the same bytes may stay in doubt."""
    if operation.sends <= 1:
        operation.state, operation.sends = OperationState.PLANNED, 0
        operation.batch_id = operation.batch_position = None
        operation.first_sent_at = operation.last_sent_at = None
    else:
        operation.state, operation.was_answered = OperationState.UNCERTAIN, True


def _id(report: Report) -> str | None:
    return report.posted.external_id if report.posted else None
