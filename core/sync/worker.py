"""The worker: route events, claim lanes, serve their items, sleep until a hint or the sweep."""

import asyncio
from collections.abc import Awaitable
from datetime import datetime, timedelta
from typing import Any, TypeGuard
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from core.db.models import (
    POSTED_KINDS,
    Attempt,
    AttemptOutcome,
    ConnectionStatus,
    ItemKind,
    ItemState,
    Lane,
    Payment,
    PaymentState,
    SyncItem,
)
from core.db.session import is_away
from core.errors import LeaseLostError
from core.identity.cleanup import forget_expired
from core.intake.forget import forget_payloads
from core.live import touch
from core.logging import get_logger
from core.reasons import Reason
from core.signals import WORK
from core.sync import batch, drift, fetch, ladder, lanes, look_ahead, posting, posting_rounds, verify
from core.sync.breaker import Breakers
from core.sync.inbox import BATCH, Turns, route_events
from core.sync.items import mirror
from core.sync.keep_alive import keep_books_alive
from core.sync.lane_work import BooksLane, LaneWork, load_lane
from core.sync.lanes import Claim
from core.wiring import Wiring

ITEMS_PER_LEASE = 20
ITEMS_AT_ONCE = 5
"""So many are looked up by one question; more would make a new one wait behind what it could overtake."""
BATCHES_AT_ONCE = 5
SWEEP_S = 1.0
DRAIN_S = 20.0
REST_AFTER_BREAK_S = 5.0
"""A lane that the database broke off rests so long: one that goes on failing must not be tried as fast as it fails."""
TIDY_EVERY = timedelta(hours=1)

_STANDING = frozenset({ItemKind.CATCH_UP, ItemKind.SWEEP, ItemKind.KEEP_ALIVE, ItemKind.CHANGES, ItemKind.VERIFY})
"""Rounds that nobody asks for again: given up, they would end for good without a word. They are tried rarely."""

log = get_logger("worker")


class Worker:
    """One worker of one process. ``run()`` works until told to stop; ``step()`` does one pass and returns."""

    def __init__(self, wiring: Wiring) -> None:
        self._wiring = wiring
        self._db = wiring.db
        self._stopping = False
        self._turns = Turns()
        self._breakers = Breakers(wiring.runtime)
        self._serving: list[str] = []
        self._broken_off: list[tuple[float, Claim, datetime | None]] = []
        self._tidied_at: datetime | None = None
        # When the last pass ended, by the runtime's monotonic clock: the sign of life that others are shown.
        self.passed_at = wiring.runtime.monotonic()

    async def step(self) -> int:
        """Do everything that is due now, once, and return how much that was; for tests and simulations."""
        routed = await self._route_all()
        claims = await self._claim()
        served = await asyncio.gather(*(self._serve(claim) for claim in claims))
        return routed + sum(served)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until ``stop`` is set; then finish what is in flight and return (F32).

        Lanes run beside one another, so a slow provider holds up its own lane alone (F12).
        """
        running: set[asyncio.Task[int]] = set()
        if self._db.is_sqlite:
            await lanes.free_lanes(self._db)
        async with self._wiring.signals.subscribe(WORK) as hints:
            stopping = asyncio.create_task(stop.wait())
            stopping.add_done_callback(lambda _: self._stop())
            try:
                while not stop.is_set():
                    if not await self._start_what_is_due(running):
                        await self._idle(hints, {stopping, *running})
            finally:
                stopping.cancel()
                await asyncio.gather(*running, return_exceptions=True)

    def _stop(self) -> None:
        self._stopping = True

    async def _start_what_is_due(self, running: set[asyncio.Task[int]]) -> bool:
        """Route events and start lanes while there is room; say whether anything began."""
        try:
            routed = await self._route_all()
            await self._tidy()
            claims = await self._claim()
        except Exception as exc:  # outlive a database that is away: wait, try again (F5, F30)
            log.error("worker_pass_failed", exc_info=exc)
            await self._wiring.runtime.sleep(SWEEP_S)
            return False
        for claim in claims:
            task = asyncio.create_task(self._serve_safely(claim))
            running.add(task)
            task.add_done_callback(running.discard)
        self.passed_at = self._wiring.runtime.monotonic()
        return bool(routed or claims)

    async def _claim(self) -> list[Claim]:
        """Lease what may be served now beside what is being served."""
        await self._give_back_broken_off()
        room, without = self._breakers.room(self._serving)
        if room <= 0:
            return []
        claims = await lanes.claim_lanes(self._db, room, without=without)
        for claim in claims:
            self._serving.append(claim.kind)
            self._breakers.claimed(claim.kind)
        return claims

    async def _tidy(self) -> None:
        """Once an hour, forget sessions, tries, consents and old payloads that have no effect any more."""
        now = self._wiring.runtime.now()
        if self._tidied_at is None or now - self._tidied_at >= TIDY_EVERY:
            self._tidied_at = now
            await forget_expired(self._db)
            await forget_payloads(self._db)

    async def _serve_safely(self, claim: Claim) -> int:
        """Serve a lane; when the database goes away meanwhile, the lane is given back once it is there again."""
        try:
            return await self._serve(claim)
        except Exception as exc:  # one lane must not end the worker
            log.error("lane_failed", connection_id=str(claim.connection_id), exc_info=exc)
            return 0

    async def _idle(self, hints: asyncio.Queue[str], others: set[asyncio.Task[Any]]) -> None:
        """Sleep until a hint, the sweep, the stop, or the end of a lane that makes room."""
        hint = asyncio.create_task(hints.get())
        sweep = asyncio.create_task(self._sleep_sweep())
        await asyncio.wait({hint, sweep, *others}, return_when=asyncio.FIRST_COMPLETED)
        for task in (hint, sweep):
            task.cancel()
        while not hints.empty():
            hints.get_nowait()

    async def _sleep_sweep(self) -> None:
        await self._wiring.runtime.sleep(SWEEP_S)

    async def _route_all(self) -> int:
        """Route what has arrived, within bounds: a flood of one tenant's events must not keep lanes waiting (T11)."""
        total = 0
        for _ in range(BATCHES_AT_ONCE):
            count = await route_events(self._db, self._turns)
            total += count
            if count < BATCH:
                break
        return total

    async def _serve(self, claim: Claim) -> int:
        """Serve one leased lane, and make room for another."""
        next_call_at = claim.next_call_at
        try:
            lane = await self._open(claim)
            try:
                return await self._serve_items(claim, lane)
            finally:
                next_call_at = lane.next_call_at
        except Exception as exc:
            if is_away(exc) and not claim.was_left:
                rests_until = self._wiring.runtime.monotonic() + REST_AFTER_BREAK_S
                self._broken_off.append((rests_until, claim, next_call_at))
            raise
        finally:
            self._serving.remove(claim.kind)

    async def _give_back_broken_off(self) -> None:
        """Give back what a database that was away has interrupted: nobody could take it before the lease ends."""
        while self._broken_off and self._broken_off[0][0] <= self._wiring.runtime.monotonic():
            _, claim, next_call_at = self._broken_off[0]
            await lanes.release(self._db, claim, next_call_at=next_call_at)
            self._broken_off.pop(0)

    async def _serve_items(self, claim: Claim, lane: LaneWork) -> int:
        """Serve at most 20 items, then let others have a turn."""
        served = 0
        try:
            async with lanes.heartbeat(self._db, claim):
                await self._repeat_batches(lane)
                while served < ITEMS_PER_LEASE and not self._stopping and not lane.paused:
                    most = max(_most(lane), ITEMS_AT_ONCE)
                    items = await self._next_items(claim, most)
                    served += await self._do_some(lane, items)
                    if len(items) < most:
                        # What has become due meanwhile is found when the lane is given back.
                        break
        except LeaseLostError:
            log.warning("lease_lost", connection_id=str(claim.connection_id))
            return served
        if lane.is_answering is not None:
            self._breakers.note(claim.kind, claim.connection_id, is_answering=lane.is_answering)
        if lane.everyone_rests_until is not None:
            await lanes.hold_provider(self._db, claim.kind, until=lane.everyone_rests_until)
        await lanes.release(self._db, claim, next_call_at=lane.next_call_at)
        return served

    async def _open(self, claim: Claim) -> LaneWork:
        async with self._db.tenant(claim.tenant_id) as session:
            connection, failures = await load_lane(session, claim.connection_id)
            has_open_batches = await batch.any_open(session, claim.connection_id)
        if connection.kind == "stripe":
            return fetch.StripeLane(self._wiring, claim, connection, failures)
        lane = BooksLane(self._wiring, claim, connection, failures)
        lane.has_open_batches = has_open_batches
        return lane

    async def _next_items(self, claim: Claim, limit: int) -> list[SyncItem]:
        async with self._db.tenant(claim.tenant_id) as session:
            now = await self._db.now(session)
            # Asked beside the items, not joined to them: joined, PostgreSQL sorted a backlog of 50,000 for each lease.
            is_going = select(Lane.stopped_at.is_(None)).where(Lane.connection_id == claim.connection_id)
            statement = (
                select(SyncItem)
                .where(
                    SyncItem.connection_id == claim.connection_id,
                    SyncItem.due_at <= now,
                    or_(SyncItem.kind.not_in(POSTED_KINDS), is_going.scalar_subquery()),
                )
                .order_by(SyncItem.due_at, SyncItem.created_at, SyncItem.id)
                .limit(limit)
            )
            return list((await session.execute(statement)).scalars())

    async def _do_some(self, lane: LaneWork, items: list[SyncItem]) -> int:
        """Serve items one by one, or those together that can travel together; return how many were begun."""
        posted = [item.id for item in items if item.kind in POSTED_KINDS]
        served = 0
        for item in items:
            if item.kind in POSTED_KINDS and _travels(lane) and len(posted) >= max(lane.limits.together_from, 2):
                return served + await self._do_round(lane, item, posted)
            served += 1
            if not await self._do(lane, item) or lane.paused or self._stopping:
                break
        return served

    async def _do_round(self, lane: BooksLane, first: SyncItem, posted: list[UUID]) -> int:
        try:
            await self._settle_broken(lane, posting_rounds.serve(lane, posted, is_stopping=lambda: self._stopping))
        except (LeaseLostError, SQLAlchemyError):
            raise
        except Exception as exc:  # a fault of ours in going together must not stop those that could go alone (F33)
            if is_away(exc):
                raise
            log.error("round_failed", connection_id=str(lane.claim.connection_id), exc_info=exc)
            await self._do(lane, first)
            return 1
        return len(posted)

    async def _repeat_batches(self, lane: LaneWork) -> None:
        if _travels(lane) and lane.has_open_batches:
            await self._settle_broken(lane, posting_rounds.repeat_batches(lane, is_stopping=lambda: self._stopping))

    async def _settle_broken(self, lane: LaneWork, work: Awaitable[posting_rounds.Broken]) -> None:
        for item_id, exc in (await work).items():
            await self._poisoned(lane, item_id, exc)

    async def _do(self, lane: LaneWork, item: SyncItem) -> bool:
        """Serve one item; a fault of ours stops that item alone (F33)."""
        if lane.connection.status is not ConnectionStatus.ACTIVE:
            await self._park(lane)
            return False
        try:
            return await _bring_up_to_date(lane, item)
        except LeaseLostError:
            raise
        except Exception as exc:
            if is_away(exc):
                # Not the item's fault, and counted as such it would be given up after five restarts (F29, F30).
                raise
            await self._poisoned(lane, item.id, exc)
        return True

    async def _park(self, lane: LaneWork) -> None:
        """Nothing is due on a connection that is not active: its items wait for a sign-in."""

        async def work(session: AsyncSession, now: datetime) -> None:
            await lane.block_connection(session, now)
            await touch(session, lane.claim.tenant_id)

        await lane.record(work)

    async def _poisoned(self, lane: LaneWork, item_id: UUID, exc: Exception) -> None:
        incident = self._wiring.runtime.token_bytes(4).hex()
        log.error("item_failed", item_id=str(item_id), code=incident, exc_info=exc)

        async def work(session: AsyncSession, now: datetime) -> None:
            item = await session.get_one(SyncItem, item_id, with_for_update=True)
            session.add(
                Attempt(
                    tenant_id=item.tenant_id,
                    item_id=item.id,
                    outcome=AttemptOutcome.STOPPED,
                    at=now,
                    text=f"incident {incident}",
                )
            )
            if item.due_at is None:
                # Disconnected, or settled by a person, meanwhile.
                return
            item.tries += 1
            item.reason = Reason.OUR_FAULT
            # How far a list has been read is kept there too, by items that post nothing.
            kept = {} if item.kind in POSTED_KINDS else item.reason_detail
            item.reason_detail = {**kept, "incident": incident}
            item.changed_at = now
            given_up = item.tries >= ladder.POISON_TRIES and item.kind not in _STANDING
            item.state = ItemState.NEEDS_ATTENTION if given_up else ItemState.PENDING
            item.due_at = None if given_up else now + ladder.next_delay(self._wiring.runtime, item.tries)
            if item.payment_id is not None and item.kind is ItemKind.SALE:
                payment = await session.get_one(Payment, item.payment_id)
                mirror(payment, PaymentState.NEEDS_ATTENTION if given_up else PaymentState.WAITING, item)
            await touch(session, lane.claim.tenant_id)

        await lane.record(work)


async def _bring_up_to_date(lane: LaneWork, item: SyncItem) -> bool:
    match lane:
        case fetch.StripeLane():
            return await fetch.bring_up_to_date(lane, item)
        case BooksLane() if item.kind in POSTED_KINDS:
            return await posting.bring_up_to_date(lane, item.id)
        case BooksLane() if item.kind is ItemKind.CHANGES:
            return await drift.read_changes(lane, item)
        case BooksLane() if item.kind is ItemKind.VERIFY:
            return await verify.read_books(lane, item)
        case BooksLane() if item.kind is ItemKind.DRY_RUN:
            return await look_ahead.look_ahead(lane, item)
        case BooksLane():
            return await keep_books_alive(lane, item)
    raise TypeError(f"no such lane: {type(lane).__name__}")


def _travels(lane: LaneWork) -> TypeGuard[BooksLane]:
    """Whether documents of this lane may travel together now."""
    is_active = lane.connection.status is ConnectionStatus.ACTIVE
    return isinstance(lane, BooksLane) and is_active and bool(lane.limits.together)


def _most(lane: LaneWork) -> int:
    return max(lane.limits.together.values()) if _travels(lane) else 1
