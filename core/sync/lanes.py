"""Lanes: the exclusive right to work on one connection, as a lease with a fence.

PostgreSQL hands lanes out with ``FOR UPDATE SKIP LOCKED``; on SQLite the same statement runs under BEGIN IMMEDIATE. A
dead owner's lane is free again when its lease ends; whatever it was doing stands in the operation ledger.
"""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast
from uuid import UUID

from sqlalchemy import ColumnElement, CursorResult, exists, or_, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from core.db.models import POSTED_KINDS, Connection, ConnectionStatus, Lane, SyncItem
from core.db.session import Database, announce
from core.errors import LeaseLostError
from core.logging import get_logger
from core.reasons import Reason
from core.signals import WORK

LEASE = timedelta(seconds=45)
"""A dead owner's lane has another one within a minute: this, the sweep, and what a slow machine needs."""

HEARTBEAT_S = 15.0

log = get_logger("lanes")


@dataclass(frozen=True, slots=True)
class Claim:
    """A lane that is ours until the lease ends; ``fence`` proves it at every write.

    ``was_left``: its last owner did not give it back, so nobody wrote down when it called last.
    """

    tenant_id: UUID
    connection_id: UUID
    fence: int
    next_call_at: datetime | None
    kind: str
    was_left: bool = False


async def claim_lanes(db: Database, limit: int, *, without: Collection[str] = ()) -> list[Claim]:
    """Lease up to ``limit`` lanes that have due items, least recently served first (fair to tenants, T11).

    Args:
        db: the database.
        limit: how many at most.
        without: providers of which none is wanted now.
    """

    async def work() -> list[Claim]:
        # Across tenants on purpose: the queue is one, and a lane row holds nothing but times and ids.
        async with db.system(write=True) as session:
            now = await db.now(session)
            return await _claim(session, now, limit, without)

    return await db.unit(work)


async def free_lanes(db: Database) -> None:
    """End every lease, for the one process that works on a file: what is leased there belongs to one that died.

    Should it be alive after all, the fence stops it, as after any lost lease.
    """

    async def work() -> None:
        # Across tenants on purpose: see claim_lanes.
        async with db.system(write=True) as session:
            await session.execute(
                update(Lane)
                .where(Lane.lease_until.is_not(None))
                .values(lease_until=await db.now(session))
                .execution_options(synchronize_session=False)
            )

    await db.unit(work)


async def _claim(session: AsyncSession, now: datetime, limit: int, without: Collection[str]) -> list[Claim]:
    theirs = (SyncItem.tenant_id == Lane.tenant_id, SyncItem.connection_id == Lane.connection_id)
    has_due = exists().where(*theirs, SyncItem.due_at <= now, may_run())
    free = (
        select(Lane.connection_id, Lane.lease_until)
        .where(
            or_(Lane.lease_until.is_(None), Lane.lease_until <= now),
            or_(Lane.hold_until.is_(None), Lane.hold_until <= now),
            has_due,
        )
        .order_by(Lane.served_at.nulls_first())
        .limit(limit)
        .with_for_update(skip_locked=True, of=Lane)
    )
    if without:
        # Joined only then: it costs as much as all the rest, and mostly everybody may be called.
        free = free.join(Connection, Connection.id == Lane.connection_id).where(Connection.kind.not_in(without))
    found = {row.connection_id: row for row in await session.execute(free)}
    if not found:
        return []
    taken = await session.execute(
        update(Lane)
        .where(Lane.connection_id.in_(found))
        .values(lease_until=now + LEASE, fence=Lane.fence + 1, served_at=now)
        .returning(Lane.tenant_id, Lane.connection_id, Lane.fence, Lane.next_call_at)
        .execution_options(synchronize_session=False)
    )
    claimed = taken.all()
    named = select(Connection.id, Connection.kind).where(Connection.id.in_(found))
    kinds = {row.id: row.kind for row in await session.execute(named)}
    taken_over = {lane for lane, row in found.items() if row.lease_until is not None}
    return [Claim(*row, kinds[row.connection_id], row.connection_id in taken_over) for row in claimed]


def may_run() -> ColumnElement[bool]:
    """Say of an item beside its lane that a person has not stopped it: what posts nothing goes on all the same.

    A connection that is not kept alive would be lost while posting is stopped.
    """
    return or_(Lane.stopped_at.is_(None), SyncItem.kind.not_in(POSTED_KINDS))


async def guard(db: Database, session: AsyncSession, claim: Claim) -> None:
    """Prove inside this transaction that the lane is still ours, and renew it.

    Raises:
        LeaseLostError: somebody else has it; nothing of this transaction may stand.
    """
    now = await db.now(session)
    result = cast(
        "CursorResult[None]",
        await session.execute(
            update(Lane)
            .where(Lane.connection_id == claim.connection_id, Lane.fence == claim.fence)
            .values(lease_until=now + LEASE)
            .execution_options(synchronize_session=False)
        ),
    )
    if result.rowcount != 1:
        raise LeaseLostError("the lane went to another worker")


async def renew(db: Database, claim: Claim) -> None:
    """Renew the lease, unless a unit of our own has the lane's row at this moment: that renews it as well.

    To wait for it took as long as whatever that unit waited for, and ended with a lock timeout.

    Raises:
        LeaseLostError: somebody else has it.
    """
    # Across tenants on purpose: see claim_lanes.
    async with db.system(write=True) as session:
        row = select(Lane.fence).where(Lane.connection_id == claim.connection_id)
        fence = (await session.execute(row.with_for_update(skip_locked=True))).scalar_one_or_none()
        if fence is not None:
            await guard(db, session, claim)
        elif (await session.execute(row)).scalar_one() != claim.fence:
            raise LeaseLostError("the lane went to another worker")


async def release(db: Database, claim: Claim, *, next_call_at: datetime | None) -> None:
    """Give the lane back and hint at it once more, so that nothing waits for the sweep."""
    async with db.system(write=True) as session:
        await session.execute(
            update(Lane)
            .where(Lane.connection_id == claim.connection_id, Lane.fence == claim.fence)
            .values(lease_until=None, next_call_at=next_call_at)
            .execution_options(synchronize_session=False)
        )
        now = await db.now(session)
        still_due = await session.execute(
            select(SyncItem.id)
            .join(Lane, Lane.connection_id == SyncItem.connection_id)
            .where(SyncItem.connection_id == claim.connection_id, SyncItem.due_at <= now, may_run())
            .limit(1)
        )
        if still_due.first() is not None:
            announce(session, WORK, str(claim.connection_id))


async def hold(session: AsyncSession, claim: Claim, *, until: datetime, reason: Reason) -> None:
    """Pause the whole connection; its items keep their place and their tries (F10, F11)."""
    await session.execute(
        update(Lane)
        .where(Lane.connection_id == claim.connection_id, Lane.fence == claim.fence)
        .values(hold_until=until, hold_reason=reason.value)
        .execution_options(synchronize_session=False)
    )


async def hold_provider(db: Database, kind: str, *, until: datetime) -> None:
    """Pause every connection to one provider: it counts the calls of all of them together, and that limit is met."""

    async def work() -> None:
        # Across tenants on purpose: what is met is the limit of the whole installation. Who holds a lane's row at this
        # moment is not waited for; it will hear the same.
        async with db.system(write=True) as session:
            theirs = (
                select(Lane.connection_id)
                .join(Connection, Connection.id == Lane.connection_id)
                .where(
                    Connection.kind == kind,
                    Connection.status == ConnectionStatus.ACTIVE,
                    or_(Lane.hold_until.is_(None), Lane.hold_until < until),
                )
                .with_for_update(skip_locked=True, of=Lane)
            )
            await session.execute(
                update(Lane)
                .where(Lane.connection_id.in_(theirs))
                .values(hold_until=until, hold_reason=Reason.RATE_LIMITED.value)
                .execution_options(synchronize_session=False)
            )

    await db.unit(work)


async def note_failures(session: AsyncSession, claim: Claim, failures: int) -> None:
    """Remember how many calls in a row got no usable answer; a good one ends the pause (the breaker of F11)."""
    values: dict[str, object] = {"failures": failures}
    if failures == 0:
        values |= {"hold_until": None, "hold_reason": None}
    await session.execute(
        update(Lane)
        .where(Lane.connection_id == claim.connection_id, Lane.fence == claim.fence)
        .values(**values)
        .execution_options(synchronize_session=False)
    )


@asynccontextmanager
async def heartbeat(db: Database, claim: Claim) -> AsyncIterator[None]:
    """Renew the lease every 15 s while the block runs, so that a slow provider does not cost the lane."""

    async def beat() -> None:
        while True:
            await db.runtime.sleep(HEARTBEAT_S)
            try:
                await renew(db, claim)
            except (SQLAlchemyError, OSError) as exc:
                # A database that is away for a moment costs a beat, not the work: two more fit into the lease.
                log.warning("heartbeat_missed", exc_info=exc)

    task = asyncio.create_task(beat())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, LeaseLostError):
            await task
