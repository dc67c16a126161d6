"""History: reading everything since a first day, so that a person sees what would be posted before anything is.

Nothing here writes to the books. A run ends in the state ``READ``; what follows is a decision of a person.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from enum import StrEnum
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core.db.models import (
    Connection,
    ConnectionStatus,
    HistoryRun,
    HistoryState,
    ItemKind,
    ItemState,
    SyncItem,
    Tenant,
)
from core.errors import InputError
from core.live import touch
from core.sync.items import enqueue

FIELD = "first_day"


class Part(StrEnum):
    """The lists of Stripe's that a run reads, in this order. Stored in ``cursors``: never rename one."""

    PAYMENTS = "payments"
    CHARGES = "charges"
    INVOICES = "invoices"
    REFUNDS = "refunds"
    DISPUTES = "disputes"
    PAYOUTS = "payouts"
    LEDGER = "ledger"
    BALANCE = "balance"


PARTS = tuple(Part)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run has come. ``counts`` is what was found, by part; ``parts_done`` of ``parts`` lists are finished."""

    run_id: UUID
    state: HistoryState
    starts_at: datetime
    part: Part | None
    parts_done: int
    parts: int
    counts: Mapping[str, int]
    changed_at: datetime


async def start_history(
    session: AsyncSession, *, tenant_id: UUID, first_day: date, by_user_id: UUID, now: datetime
) -> HistoryRun:
    """Begin to read everything since ``first_day`` of the tenant's calendar; a run that still reads is stopped.

    Raises:
        InputError: no Stripe account is connected, or the day has not come yet.
    """
    tenant = (await session.execute(select(Tenant).where(Tenant.id == tenant_id).with_for_update())).scalar_one()
    connection = await _stripe(session)
    if connection is None:
        raise InputError("Connect Stripe first.", field=FIELD)
    zone = ZoneInfo(tenant.time_zone)
    if first_day > now.astimezone(zone).date():
        raise InputError("Choose a day that is not after today.", field=FIELD)
    reading = select(HistoryRun).where(HistoryRun.state == HistoryState.READING)
    for earlier in (await session.execute(reading)).scalars():
        await stop(session, earlier.id, now=now)
    run = HistoryRun(
        id=uuid4(),
        tenant_id=tenant_id,
        connection_id=connection.id,
        starts_at=datetime.combine(first_day, time(), zone),
        state=HistoryState.READING,
        cursors={"part": PARTS[0].value, "after": None},
        counts={},
        created_at=now,
        created_by=by_user_id,
        changed_at=now,
    )
    session.add(run)
    await session.flush()
    await _go_on(session, run, now)
    return run


async def stop(session: AsyncSession, run_id: UUID, *, now: datetime) -> bool:
    """Let a run that reads rest where it is. False: it does not read."""
    run = await _locked(session, run_id)
    if run is None or run.state is not HistoryState.READING:
        return False
    run.state, run.changed_at = HistoryState.STOPPED, now
    items = select(SyncItem).where(SyncItem.kind == ItemKind.HISTORY, SyncItem.source_id == str(run.id))
    item = (await session.execute(items.with_for_update())).scalar_one_or_none()
    if item is not None:
        item.state, item.due_at, item.changed_at = ItemState.DONE, None, now
    await touch(session, run.tenant_id)
    return True


async def resume(session: AsyncSession, run_id: UUID, *, now: datetime) -> bool:
    """Go on reading where a run was stopped. False: it was not stopped while reading."""
    run = await _locked(session, run_id)
    if run is None or run.state is not HistoryState.STOPPED or part_of(run) is None:
        return False
    run.state, run.changed_at = HistoryState.READING, now
    await _go_on(session, run, now)
    return True


async def progress(session: AsyncSession) -> Progress | None:
    """Return how far the newest run has come; None when there never was one."""
    newest = select(HistoryRun).order_by(HistoryRun.created_at.desc(), HistoryRun.id).limit(1)
    run = (await session.execute(newest)).scalar_one_or_none()
    if run is None:
        return None
    part = part_of(run)
    return Progress(
        run_id=run.id,
        state=run.state,
        starts_at=run.starts_at,
        part=part,
        parts_done=PARTS.index(part) if part else len(PARTS),
        parts=len(PARTS),
        counts={name: count for name, count in run.counts.items() if isinstance(count, int)},
        changed_at=run.changed_at,
    )


def part_of(run: HistoryRun) -> Part | None:
    """Return the list that a run reads, or would go on with; None once it has read everything."""
    stored = run.cursors.get("part")
    return Part(stored) if stored else None


async def _stripe(session: AsyncSession) -> Connection | None:
    statement = select(Connection).where(Connection.kind == "stripe", Connection.status != ConnectionStatus.CLOSED)
    return (await session.execute(statement.limit(1))).scalar_one_or_none()


async def _locked(session: AsyncSession, run_id: UUID) -> HistoryRun | None:
    found = select(HistoryRun).where(HistoryRun.id == run_id).with_for_update()
    return (await session.execute(found)).scalar_one_or_none()


async def _go_on(session: AsyncSession, run: HistoryRun, now: datetime) -> None:
    await enqueue(
        session,
        tenant_id=run.tenant_id,
        connection_id=run.connection_id,
        kind=ItemKind.HISTORY,
        source_id=str(run.id),
        due_at=now,
        now=now,
    )
    await touch(session, run.tenant_id)
