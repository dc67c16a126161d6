"""Posting many items side by side, in rounds, so that their documents travel together.

A round is one transaction and the calls after it: settle what the last calls brought, decide each item's next step,
write down who travels with whom, commit, call. What breaks one item leaves the others be.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.ext.asyncio import AsyncSession

from core.db.models import ItemKind, Payment, SyncItem
from core.db.session import is_away
from core.errors import LeaseLostError
from core.live import touch
from core.logging import get_logger
from core.sync import batch
from core.sync.lane_work import BooksLane
from core.sync.operations import Call, Report, Step
from core.sync.posting import Posting
from core.sync.posting_state import Pass
from core.sync.posting_wanted import read_wanted

Broken = dict[UUID, Exception]

log = get_logger("posting_rounds")


@dataclass(slots=True)
class _Made:
    """Calls of a round with how they ended, and the items that each was made for."""

    calls: list[tuple[Call, list[Report]]] = field(default_factory=list)
    reports: dict[UUID, Report] = field(default_factory=dict)
    broken: Broken = field(default_factory=dict)

    @property
    def is_trouble(self) -> bool:
        return bool(self.broken) or any(report.is_trouble for report in self.reports.values())


@dataclass(slots=True)
class _Planned:
    """What a round's transaction decided."""

    calls: list[Call] = field(default_factory=list)
    whose: dict[str, UUID] = field(default_factory=dict)
    waiting: list[UUID] = field(default_factory=list)
    broken: Broken = field(default_factory=dict)


async def serve(lane: BooksLane, item_ids: Sequence[UUID], *, is_stopping: Callable[[], bool]) -> Broken:
    """Carry several items as far as they go now; return those that a fault of ours has stopped.

    Raises:
        LeaseLostError: another worker took the lane.
    """
    broken: Broken = {}
    made, ids = _Made(), list(item_ids)
    while ids or made.calls:
        # After trouble, and before a stop, what was called is settled and nothing else begins.
        ends = made.is_trouble or lane.paused or is_stopping()
        planned = await _plan_round(lane, ids, made, ends=ends)
        broken |= planned.broken
        if not planned.calls:
            break
        made = await _make(lane, planned)
        broken |= made.broken
        ids = [*made.reports, *(() if made.is_trouble else planned.waiting)]
    await read_wanted(lane)
    return broken


async def repeat_batches(lane: BooksLane, *, is_stopping: Callable[[], bool]) -> Broken:
    """Send once more, exactly as it was, a batch of this connection that got no answer; then carry its items on."""
    broken: Broken = {}
    while not lane.paused and not is_stopping():
        repeat = await lane.record(lambda session, now: batch.repeat_one(session, lane, now))
        if repeat is None:
            break
        whose = {step.operation_key: item_id for step, item_id in zip(repeat.call.steps, repeat.item_ids, strict=True)}
        made = await _make(lane, _Planned([repeat.call], whose))
        broken |= made.broken
        planned = await _plan_round(lane, list(made.reports), made, ends=True)
        broken |= planned.broken
    return broken


async def _plan_round(lane: BooksLane, item_ids: Sequence[UUID], made: _Made, *, ends: bool) -> _Planned:
    """Plan a round in one go; where anything breaks, undo that and plan it again with each item by itself.

    Savepoints around each item cost more than all that is between them, and are needed once in a thousand rounds.
    """

    async def work(session: AsyncSession, now: datetime, *, apart: bool) -> _Planned:
        pass_, planned = Pass(), _Planned()
        for call, reports in made.calls:
            await batch.settle(session, lane, call, reports, now)
        items = await _locked(session, item_ids)
        keys = [report.step.operation_key for report in made.reports.values()]
        await pass_.shelf.fill(session, lane.claim.connection_id, item_ids, keys=keys)
        await _remember(lane, session, items, pass_)
        steps = []
        for item_id in item_ids:
            payment, item = items[item_id]
            posting = Posting(lane, session, item, payment, now, pass_)
            advancing = _advance(posting, made.reports.get(item_id), ends=ends)
            step = await (_apart(session, lane, posting, planned, advancing) if apart else advancing)
            if step is not None:
                steps.append(step)
                planned.whose[step.operation_key] = item_id
            elif posting.waits_for_round and item_id not in planned.broken:
                planned.waiting.append(item_id)
        planned.calls = await batch.compose(session, lane, steps, pass_.shelf.operations, now)
        await pass_.write_down(session, now)
        await lane.count(session, pass_.posted, now)
        await touch(session, lane.claim.tenant_id)
        return planned

    before = lane.standing()
    try:
        return await lane.record(partial(work, apart=False))
    except (LeaseLostError, OperationalError):
        raise
    except Exception as exc:  # whatever it is: planned apart, it stops the item at fault alone (F33)
        if is_away(exc):
            raise
        log.warning("round_apart", connection_id=str(lane.claim.connection_id), exc_info=exc)
        lane.profile.forget()
        lane.stand_as(before)
        return await lane.record(partial(work, apart=True))
    finally:
        lane.profile.forget()


async def _remember(
    lane: BooksLane,
    session: AsyncSession,
    items: Mapping[UUID, tuple[Payment | None, SyncItem]],
    pass_: Pass,
) -> None:
    """Read for all what planning reads for each: the decisions in force, and the facts of sales without a plan."""
    unplanned = [payment for payment, item in items.values() if payment and not pass_.shelf.documents(item.id)]
    if any(not pass_.shelf.documents(item.id) for _, item in items.values()):
        await lane.profile.remember(session)
    if unplanned:
        await lane.profile.remember_sales(session, unplanned)


async def _apart(
    session: AsyncSession, lane: BooksLane, posting: Posting, planned: _Planned, advancing: Awaitable[Step | None]
) -> Step | None:
    """Carry one item on in a savepoint of its own; what breaks it is noted, and leaves nothing behind.

    Nothing in memory either: to read a row of a savepoint that was undone is an error that hid the true one.
    """
    pass_before, lane_before = posting.pass_.copy(), lane.standing()
    try:
        async with session.begin_nested():
            return await advancing
    except LeaseLostError:
        raise
    except DBAPIError as exc:
        if isinstance(exc, OperationalError) or is_away(exc):
            raise
        planned.broken[posting.item_id] = exc
    except Exception as exc:  # noqa: BLE001 - the fault of one item must not spoil the others (F33)
        planned.broken[posting.item_id] = exc
    posting.pass_.stand_as(pass_before)
    lane.stand_as(lane_before)
    return None


async def _advance(posting: Posting, report: Report | None, *, ends: bool) -> Step | None:
    """Settle and go on; at the end of the rounds the next call is decided and left for later."""
    step = await posting.advance(report)
    if step is None or not ends:
        return step
    return await posting.advance(Report(step, was_made=False))


async def _locked(session: AsyncSession, ids: Sequence[UUID]) -> Mapping[UUID, tuple[Payment | None, SyncItem]]:
    """Read items with the payments of the sales among them: all payments first, each kind in the order of its ids."""
    whose = select(SyncItem.payment_id).where(SyncItem.id.in_(ids), SyncItem.payment_id.is_not(None))
    payments = select(Payment).where(Payment.id.in_(whose)).order_by(Payment.id).with_for_update(key_share=True)
    by_id = {payment.id: payment for payment in (await session.execute(payments)).scalars()}
    items = select(SyncItem).where(SyncItem.id.in_(ids)).order_by(SyncItem.id).with_for_update()
    return {
        item.id: (by_id[item.payment_id] if item.kind is ItemKind.SALE and item.payment_id else None, item)
        for item in (await session.execute(items)).scalars()
    }


async def _make(lane: BooksLane, planned: _Planned) -> _Made:
    """Make the calls of a round, one after the other; once one is in trouble the rest is held back."""
    made = _Made()
    for call in planned.calls:
        whose = [planned.whose[step.operation_key] for step in call.steps]
        if made.is_trouble:
            reports = [Report(step, was_made=False) for step in call.steps]
        else:
            try:
                reports = await lane.make(call)
            except Exception as exc:  # noqa: BLE001 - a fault of ours over these bytes: their items stop, others go on
                made.broken |= dict.fromkeys(whose, exc)
                made.calls.append((call, []))
                continue
        made.calls.append((call, reports))
        made.reports |= dict(zip(whose, reports, strict=True))
    return made
