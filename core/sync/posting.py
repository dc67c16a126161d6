"""Posting one item: what its documents need, then the documents; each step exactly once.

:func:`bring_up_to_date` is the whole story: decide and commit the next call, make it, settle it together with the
decision about the one after. Between two commits there is at most one call, and its intent stands in the first of them.
Which documents an item means is decided by :mod:`core.sync.planners`; here every kind of item is alike.
"""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core.db.models import (
    AttemptOutcome,
    ItemKind,
    ItemState,
    Payment,
    PaymentState,
    SyncItem,
)
from core.errors import (
    ProviderError,
    ProviderRejectedError,
    StopError,
)
from core.live import touch
from core.reasons import Reason
from core.sync.lane_work import BooksLane
from core.sync.operations import (
    Report,
    Step,
)
from core.sync.posting_settling import PauseError, PostingSettling
from core.sync.posting_state import Pass
from core.sync.posting_steps import NextRoundError
from core.sync.posting_wanted import BY_SETTINGS, read_wanted
from core.sync.rates import RateMissingError

ASK_AGAIN = timedelta(minutes=15)
"""When an item asks again for a rate, or for settings, that the books did not tell."""


async def bring_up_to_date(lane: BooksLane, item_id: UUID) -> bool:
    """Carry one item as far as it goes now. Return whether the lane may go on with other items.

    Raises:
        LeaseLostError: another worker took the lane.
    """
    step = await advance(lane, item_id, None)
    while step is not None:
        step = await advance(lane, item_id, await lane.call(step))
    await read_wanted(lane)
    return not lane.paused


async def advance(lane: BooksLane, item_id: UUID, report: Report | None) -> Step | None:
    """Settle the last call, if any, and commit the intent of the next; None when there is nothing to call now."""

    async def work(session: AsyncSession, now: datetime) -> tuple[Step | None, int]:
        payment, item = await _locked(session, item_id)
        pass_ = Pass()
        keys = [report.step.operation_key] if report is not None else []
        await pass_.shelf.fill(session, lane.claim.connection_id, [item_id], keys=keys)
        if lane.profile.rules is not None or not pass_.shelf.documents(item_id):
            await lane.profile.recall(session, lane.claim.tenant_id)
        step = await Posting(lane, session, item, payment, now, pass_).advance(report)
        await pass_.write_down(session, now)
        await lane.count(session, pass_.posted, now)
        return step, await touch(session, lane.claim.tenant_id)

    step, seq = await lane.record(work)
    # Only now: the number of a unit that was rolled back may go to somebody else's decision.
    lane.profile.passed(seq)
    return step


async def _locked(session: AsyncSession, item_id: UUID) -> tuple[Payment | None, SyncItem]:
    """Read an item, after the payment that it belongs to: locked in this order as everywhere.

    What a person decides meanwhile, or what Stripe tells, is either seen here or waits until we are done.
    """
    whose = select(SyncItem.payment_id).where(SyncItem.id == item_id).scalar_subquery()
    locked = select(Payment).where(Payment.id == whose).with_for_update(key_share=True)
    payment = (await session.execute(locked)).scalar_one_or_none()
    item = await session.get_one(SyncItem, item_id, with_for_update=True)
    return payment if item.kind is ItemKind.SALE else None, item


class Posting(PostingSettling):
    """One pass over one item: settle, then go on.

    ``waits_for_round``: it goes on as soon as a call has been made that another item of this transaction asked for.
    """

    waits_for_round = False

    async def advance(self, report: Report | None) -> Step | None:
        """Settle ``report`` and return the next call, or None when the item rests."""
        if self.item.state not in (ItemState.PENDING, ItemState.WORKING):
            if report is not None:
                await self._note_late(report)
            return None
        self.is_suspect = await self._has_broken_before()
        is_settled = False
        try:
            if report is None:
                await self._drop_outdated()
            else:
                step = await self._settle(report)
                if step is not None:
                    return step
            is_settled = True
            return await self._next_step()
        except RateMissingError as missing:
            self._await_rate(missing)
        except StopError as stop:
            if is_settled and await self._may_be_outdated(stop.reason):
                self._await_settings(stop)
                return None
            self._stop(stop, stop.__cause__ if isinstance(stop.__cause__, ProviderError) else None)
        except ProviderRejectedError as refused:
            # The adapter refused while preparing: nothing was sent.
            if is_settled and await self._may_be_outdated(refused.reason):
                self._await_settings(StopError(refused.reason, refused.detail))
                return None
            self._note(AttemptOutcome.STOPPED, error=refused)
            self._stop(StopError(refused.reason, refused.detail), refused)
        except PauseError:
            self._mirror(PaymentState.WAITING)
        except NextRoundError:
            self.waits_for_round = True
        return None

    def _await_rate(self, missing: RateMissingError) -> None:
        """Rest until the lane has read the rate, which it does next; where it cannot, until it is asked again."""
        self.lane.rates_wanted.setdefault((missing.currency, missing.day), []).append(self.item.id)
        self._ask_again(missing)

    async def _may_be_outdated(self, reason: Reason) -> bool:
        """Whether the books were not asked how they are set up since this item was offered or retried."""
        if reason not in BY_SETTINGS or self.lane.has_fresh_settings:
            return False
        if reason is Reason.PERIOD_UNSURE:
            return True
        read_at = await self.lane.settings_read_at(self.session)
        return read_at is None or read_at < self.item.changed_at

    def _await_settings(self, stop: StopError) -> None:
        """Rest until the lane has asked the books anew: a person may have changed it there meanwhile."""
        self.lane.settings_wanted.append(self.item.id)
        self._ask_again(stop)

    def _ask_again(self, stop: StopError) -> None:
        self.item.state, self.item.due_at = ItemState.PENDING, self.now + ASK_AGAIN
        self._say(stop.reason, stop.detail, None)
        self._mirror(PaymentState.WAITING)
