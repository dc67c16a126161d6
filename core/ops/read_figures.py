"""Read the figures of an installation.

Whoever asks may ask often, so no query grows with what was ever booked: what is open or stopped is read through indexes
that hold nothing else, up to :data:`MOST` rows; lanes are as many as there are connections; counts come from the small
tables that :mod:`core.ops.pulse` writes.
"""

from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import ColumnElement, and_, case, func, literal_column, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from core.db.models import (
    POSTED_KINDS,
    Connection,
    ConnectionStatus,
    EventState,
    ItemState,
    Lane,
    Process,
    StripeEvent,
    SyncItem,
    Tally,
)
from core.ops.figures import Budget, Counted, Figures, Inbox, Lanes, Living, Queued, Stopped
from core.ops.pulse import DAY_MINUTES, DEAD_AFTER, SLOT_MINUTES, slot_of
from core.reasons import Reason
from core.sync.ladder import BREAKER_AFTER
from core.tally import INTAKE, Outcome
from core.wiring import Wiring

MOST = 100_000
"""Rows of the queue that are looked at; from there on the figures say "at least"."""

_MOST_PROCESSES = 200
SOON, LATER = timedelta(minutes=5), timedelta(hours=1)

QUICKBOOKS_READS_A_MONTH = 500_000
"""Reads that Intuit gives an app without charge, over all companies; above it calls are blocked (quickbooks.md)."""

XERO_CALLS_A_MINUTE = 10_000
"""Calls of one app at Xero, over all organisations (xero.md)."""


async def read_figures(wiring: Wiring) -> Figures:
    """Read everything in one transaction."""
    # Across tenants on purpose: counts by kinds and states, no row of anybody leaves the database.
    async with wiring.db.system() as session:
        now = await wiring.db.now(session)
        queued = await _queued(session, now)
        stopped = await _stopped(session)
        counted = await _counted(session, now)
        calls = tuple(row for row in counted if row.subject != INTAKE)
        return Figures(
            at=now,
            queued=queued,
            stopped=stopped,
            lanes=await _lanes(session, now),
            calls=calls,
            events=tuple(row for row in counted if row.subject == INTAKE),
            budgets=await _budgets(session, calls, now),
            processes=await read_processes(session, now),
            inbox=await _inbox(session),
            database_bytes=await _database_bytes(session, wiring),
            is_capped=max(sum(row.count for row in rows) for rows in (queued, stopped)) >= MOST,
        )


def _sum(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)


def _fixed(value: str) -> ColumnElement[str]:
    """Return a word as part of the statement's text: a partial index is not found through a parameter."""
    return literal_column(f"'{value}'")


async def _queued(session: AsyncSession, now: datetime) -> tuple[Queued, ...]:
    some = (
        select(SyncItem.connection_id, SyncItem.kind, SyncItem.state, SyncItem.due_at, SyncItem.tries, SyncItem.reason)
        .where(SyncItem.due_at.is_not(None))
        .limit(MOST)
        .subquery()
    )
    is_due = some.c.due_at <= now
    is_free = and_(
        or_(Lane.hold_until.is_(None), Lane.hold_until <= now),
        or_(Lane.stopped_at.is_(None), some.c.kind.not_in(POSTED_KINDS)),
    )
    is_retry = and_(some.c.due_at > now, some.c.tries > 0)
    statement = (
        select(
            some.c.kind,
            some.c.state,
            func.count(),
            _sum(and_(is_due, is_free)),
            _sum(and_(is_due, ~is_free)),
            func.min(case((and_(is_due, is_free), some.c.due_at))),
            _sum(and_(is_retry, some.c.due_at <= now + SOON)),
            _sum(and_(is_retry, some.c.due_at > now + SOON, some.c.due_at <= now + LATER)),
            _sum(and_(is_retry, some.c.due_at > now + LATER)),
            _sum(some.c.reason == Reason.OUR_FAULT),
        )
        .join(Lane, Lane.connection_id == some.c.connection_id)
        .group_by(some.c.kind, some.c.state)
        .order_by(some.c.kind, some.c.state)
    )
    return tuple(Queued(*row) for row in (await session.execute(statement)).all())


async def _stopped(session: AsyncSession) -> tuple[Stopped, ...]:
    words = (_fixed(ItemState.BLOCKED), _fixed(ItemState.NEEDS_ATTENTION))
    some = (
        select(SyncItem.kind, SyncItem.state, SyncItem.reason, SyncItem.changed_at)
        .where(SyncItem.state.in_(words))
        .limit(MOST)
        .subquery()
    )
    statement = (
        select(some.c.kind, some.c.state, some.c.reason, func.count(), func.min(some.c.changed_at))
        .group_by(some.c.kind, some.c.state, some.c.reason)
        .order_by(some.c.kind, some.c.state, some.c.reason)
    )
    return tuple(Stopped(*row) for row in (await session.execute(statement)).all())


async def _lanes(session: AsyncSession, now: datetime) -> tuple[Lanes, ...]:
    is_open = Connection.status != ConnectionStatus.CLOSED
    statement = (
        select(
            Connection.kind,
            func.count(),
            _sum(Lane.lease_until > now),
            _sum(Lane.lease_until <= now),
            _sum(Lane.hold_until > now),
            _sum(Lane.stopped_at.is_not(None)),
            _sum(Lane.failures >= BREAKER_AFTER),
            _sum(Connection.status == ConnectionStatus.NEEDS_RECONNECT),
        )
        .join(Lane, Lane.connection_id == Connection.id)
        .where(is_open)
        .group_by(Connection.kind)
        .order_by(Connection.kind)
    )
    return tuple(Lanes(*row) for row in (await session.execute(statement)).all())


async def _counted(session: AsyncSession, now: datetime) -> list[Counted]:
    hour_ago, day_ago = slot_of(now - timedelta(hours=1), SLOT_MINUTES), slot_of(now - timedelta(days=1), SLOT_MINUTES)
    midnight = slot_of(now, DAY_MINUTES)
    slots = (
        select(
            Tally.subject,
            Tally.outcome,
            func.coalesce(func.sum(case((Tally.slot_at >= hour_ago, Tally.count), else_=0)), 0),
            func.sum(Tally.count),
        )
        .where(Tally.minutes == SLOT_MINUTES, Tally.slot_at >= day_ago)
        .group_by(Tally.subject, Tally.outcome)
    )
    days = (
        select(
            Tally.subject,
            Tally.outcome,
            func.coalesce(func.sum(case((Tally.slot_at >= midnight, Tally.count), else_=0)), 0),
            func.sum(Tally.count),
        )
        .where(Tally.minutes == DAY_MINUTES, Tally.slot_at >= midnight.replace(day=1))
        .group_by(Tally.subject, Tally.outcome)
    )
    recent = {(row[0], row[1]): (int(row[2]), int(row[3])) for row in (await session.execute(slots)).all()}
    longer = {(row[0], row[1]): (int(row[2]), int(row[3])) for row in (await session.execute(days)).all()}
    return [
        Counted(
            subject, Outcome(outcome), *recent.get((subject, outcome), (0, 0)), *longer.get((subject, outcome), (0, 0))
        )
        for subject, outcome in sorted(recent.keys() | longer.keys())
    ]


async def _budgets(session: AsyncSession, calls: tuple[Counted, ...], now: datetime) -> tuple[Budget, ...]:
    reads = sum(row.month for row in calls if row.subject == "quickbooks" and row.outcome is Outcome.READ)
    slots = (
        select(func.sum(Tally.count))
        .where(
            Tally.minutes == SLOT_MINUTES,
            Tally.slot_at >= slot_of(now - timedelta(hours=1), SLOT_MINUTES),
            Tally.subject == "xero",
        )
        .group_by(Tally.slot_at)
    )
    busiest = max((int(total) for total in await session.scalars(slots)), default=0)
    return (
        Budget("quickbooks", "reads this month", reads, QUICKBOOKS_READS_A_MONTH),
        Budget("xero", "calls a minute", -(-busiest // SLOT_MINUTES), XERO_CALLS_A_MINUTE),
    )


async def read_processes(session: AsyncSession, now: datetime) -> tuple[Living, ...]:
    """Return who has beaten in the last day, the living first."""
    rows = await session.scalars(select(Process).order_by(Process.beat_at.desc()).limit(_MOST_PROCESSES))
    found = [
        Living(row.role, row.started_at, row.beat_at, row.worked_at, row.beat_at > now - DEAD_AFTER) for row in rows
    ]
    return tuple(sorted(found, key=lambda one: (not one.is_alive, one.role, one.started_at)))


async def _inbox(session: AsyncSession) -> Inbox:
    stored = StripeEvent.state == _fixed(EventState.STORED)
    some = select(StripeEvent.received_at).where(stored).order_by(StripeEvent.received_at).limit(MOST).subquery()
    waiting, oldest_at = (await session.execute(select(func.count(), func.min(some.c.received_at)))).one()
    broken = (
        select(StripeEvent.received_at).where(StripeEvent.state == _fixed(EventState.POISON)).limit(MOST).subquery()
    )
    poison = (await session.execute(select(func.count(broken.c.received_at)))).scalar_one()
    return Inbox(waiting, oldest_at, poison)


async def _database_bytes(session: AsyncSession, wiring: Wiring) -> int:
    """Return what the database takes on its disk; on SQLite with what is not merged into the file yet."""
    if not wiring.db.is_sqlite:
        found: int = (await session.execute(select(func.pg_database_size(func.current_database())))).scalar_one()
        return found
    return size_of_file(wiring.db.engine.url.database or "")


def size_of_file(path: str) -> int:
    """Return the bytes of a SQLite database, its write-ahead log included."""
    return sum(file.stat().st_size for name in (path, f"{path}-wal") if (file := Path(name)).is_file())
