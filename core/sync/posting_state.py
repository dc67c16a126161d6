"""How one item stands: the words that it and its payment show, and the history of what happened."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core.db.models import (
    Attempt,
    AttemptOutcome,
    ItemState,
    Operation,
    Payment,
    PaymentState,
    SyncItem,
)
from core.db.upsert import insert_rows
from core.errors import (
    ProviderError,
    StopError,
)
from core.logging import get_logger
from core.reasons import Reason
from core.sync.call_counts import Spent
from core.sync.items import WAITS, fill_all_clearing_lines, mirror
from core.sync.lane_work import BooksLane
from core.sync.planners.offers import wake_all_dependents
from core.sync.posting_shelf import Shelf

log = get_logger("posting")


@dataclass(slots=True)
class Pass:
    """What the items of one transaction share: their rows, the calls that are spoken for, what was posted.

    ``attempts``, ``sold`` and ``booked`` are dealt with for all of them together, by :meth:`write_down`: what happened;
    payments whose sale was planned or booked, so that others need not wait for it; those whose sale stands whole.
    """

    taken: set[str] = field(default_factory=set)
    posted: Spent = field(default_factory=Spent)
    shelf: Shelf = field(default_factory=Shelf)
    attempts: list[dict[str, Any]] = field(default_factory=list)
    sold: dict[UUID, Payment] = field(default_factory=dict)
    booked: dict[UUID, Payment] = field(default_factory=dict)

    def copy(self) -> "Pass":
        """Return what it holds now, to go back to with :meth:`stand_as` should what comes next be undone."""
        return Pass(
            set(self.taken),
            replace(self.posted),
            self.shelf.copy(),
            list(self.attempts),
            dict(self.sold),
            dict(self.booked),
        )

    def stand_as(self, before: "Pass") -> None:
        """Go back to what it held before a savepoint that was undone: its rows are gone, or not to be read."""
        self.taken, self.posted, self.shelf = before.taken, before.posted, before.shelf
        self.attempts, self.sold, self.booked = before.attempts, before.sold, before.booked

    async def write_down(self, session: AsyncSession, now: datetime) -> None:
        """Write what concerns all items of the transaction, once each of them has been carried on."""
        await session.flush()
        await insert_rows(session, Attempt, self.attempts)
        await wake_all_dependents(session, list(self.sold.values()), now=now)
        await fill_all_clearing_lines(session, list(self.booked.values()))
        self.attempts, self.sold, self.booked = [], {}, {}


class PostingState:
    """One transaction's view of one item, and every way in which it may stand at the end.

    ``payment`` is the payment of a sale, which shows how its sale stands; None for every other kind of item.
    ``pass_`` is what this transaction shares with the other items that it carries.
    """

    def __init__(
        self,
        lane: BooksLane,
        session: AsyncSession,
        item: SyncItem,
        payment: Payment | None,
        now: datetime,
        pass_: Pass,
    ) -> None:
        self.lane = lane
        self.pass_ = pass_
        self.session = session
        self.item = item
        self.payment = payment
        self.now = now
        self.connection_id = item.connection_id
        self.item_id = item.id
        self.is_suspect = False

    async def _has_broken_before(self) -> bool:
        """Whether a fault of ours has stopped this item since its last success: then it travels alone."""
        if self.item.tries == 0:
            return False
        incident = select(Attempt.id).where(
            Attempt.item_id == self.item.id,
            Attempt.outcome == AttemptOutcome.STOPPED,
            Attempt.text.startswith("incident "),
        )
        return (await self.session.execute(incident.limit(1))).first() is not None

    def _mirror(self, state: PaymentState) -> None:
        if self.payment is not None:
            mirror(self.payment, state, self.item)

    def _wait(self, reason: Reason, until: datetime, error: ProviderError | None = None) -> None:
        self.item.state = ItemState.PENDING
        self.item.due_at = until
        self._say(reason, {}, error)

    def _block(self, reason: Reason, error: ProviderError | None = None) -> None:
        self.item.state = ItemState.BLOCKED
        self.item.due_at = None
        self._say(reason, {}, error)

    def _stop(self, stop: StopError, error: ProviderError | None = None) -> None:
        waits = stop.reason in WAITS
        self.item.state = ItemState.BLOCKED if waits else ItemState.NEEDS_ATTENTION
        self.item.due_at = None
        if error is None:
            self._note(AttemptOutcome.STOPPED, text=stop.reason.value)
        self._say(stop.reason, stop.detail, error)
        self._mirror(PaymentState.WAITING if waits else PaymentState.NEEDS_ATTENTION)

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
        self._mirror(PaymentState.SYNCED)

    def _note(
        self,
        outcome: AttemptOutcome,
        *,
        operation: Operation | None = None,
        error: ProviderError | None = None,
        external_id: str | None = None,
        text: str | None = None,
    ) -> None:
        # Ids and fixed words only: what the provider said may hold a name (L2).
        log.info(
            "attempt",
            tenant_id=str(self.item.tenant_id),
            connection_id=str(self.connection_id),
            item_id=str(self.item.id),
            operation_id=str(operation.id) if operation else None,
            provider=self.lane.connection.kind,
            kind=operation.kind.value if operation else self.item.kind.value,
            outcome=outcome.value,
            status=error.status if error else None,
            provider_request_id=error.request_id if error else None,
        )
        self.pass_.attempts.append(
            {
                "id": uuid4(),
                "tenant_id": self.item.tenant_id,
                "item_id": self.item.id,
                "operation_id": operation.id if operation else None,
                "step": operation.step if operation else None,
                "outcome": outcome,
                "at": self.now,
                "http_status": error.status if error else None,
                "request_id": error.request_id if error else None,
                "text": (error.text if error else text) or None,
                "external_id": external_id,
                "by_user_id": None,
            }
        )
