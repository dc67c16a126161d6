"""``tieout reopen``: what a fault of ours had stopped goes on, once a release has mended it (F33)."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, literal_column, select
from sqlalchemy.ext.asyncio import AsyncSession

from core.db.models import (
    POSTED_KINDS,
    Attempt,
    AttemptOutcome,
    EventState,
    ItemState,
    StripeEvent,
    SyncItem,
)
from core.db.session import Database, announce
from core.live import touch
from core.reasons import Reason
from core.signals import WORK
from core.sync.acts import retry_item
from core.sync.items import reopen

AT_ONCE = 500
"""Rows of one transaction, so that pages and workers are never kept waiting."""


@dataclass(frozen=True, slots=True)
class Reopened:
    """How much goes on."""

    events: int
    items: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.events + self.items


async def reopen_after_release(db: Database, *, incident: str | None = None) -> Reopened:
    """Let events and items go on that a fault of ours had stopped: all, or those of one incident."""
    events = 0
    while count := await _reopen_events(db, incident):
        events += count
        if incident is not None:
            break
    items = 0
    for tenant_id, item_id in await _stopped_items(db, incident):
        items += await _reopen_item(db, tenant_id, item_id)
    return Reopened(events, items)


async def _reopen_events(db: Database, incident: str | None) -> int:
    states = (EventState.POISON, EventState.RETRY)
    broken = StripeEvent.state.in_([literal_column(f"'{state}'") for state in states])
    statement = select(StripeEvent).where(broken, *_named(incident)).limit(AT_ONCE).with_for_update(skip_locked=True)

    async def work() -> int:
        # Across tenants on purpose: the operator mends the installation; an event belongs to nobody before its routing.
        async with db.system(write=True) as session:
            found = (await session.execute(statement)).scalars().all()
            for event in found:
                event.state, event.tries, event.due_at = EventState.STORED, 0, None
            announce(session, WORK, "inbox")
            return len(found)

    return await db.unit(work)


def _named(incident: str | None) -> list[ColumnElement[bool]]:
    return [] if incident is None else [StripeEvent.error.endswith(f"incident {incident}", autoescape=True)]


async def _stopped_items(db: Database, incident: str | None) -> list[tuple[UUID, UUID]]:
    statement = select(SyncItem.tenant_id, SyncItem.id, SyncItem.reason_detail).where(
        SyncItem.reason == Reason.OUR_FAULT, SyncItem.state.in_((ItemState.NEEDS_ATTENTION, ItemState.PENDING))
    )
    # Across tenants on purpose: see _reopen_events. Ids alone leave this function.
    async with db.system() as session:
        rows = (await session.execute(statement.order_by(SyncItem.tenant_id, SyncItem.id))).all()
    return [(row.tenant_id, row.id) for row in rows if incident in (None, row.reason_detail.get("incident"))]


async def _reopen_item(db: Database, tenant_id: UUID, item_id: UUID) -> bool:
    async def work() -> bool:
        async with db.tenant(tenant_id, write=True) as session:
            now = await db.now(session)
            item = await session.get_one(SyncItem, item_id)
            if item.kind in POSTED_KINDS:
                return await retry_item(session, item_id, by_user_id=None, now=now)
            return await _reopen_unposted(session, item_id, now)

    return await db.unit(work)


async def _reopen_unposted(session: AsyncSession, item_id: UUID, now: datetime) -> bool:
    item = await session.get_one(SyncItem, item_id, with_for_update=True, populate_existing=True)
    if item.reason is not Reason.OUR_FAULT:
        return False
    # How far a list has been read stands there too, and stays.
    kept = {name: value for name, value in item.reason_detail.items() if name != "incident"}
    reopen(item, now=now)
    item.reason_detail = kept
    session.add(Attempt(tenant_id=item.tenant_id, item_id=item.id, outcome=AttemptOutcome.RETRY_ASKED, at=now))
    announce(session, WORK, str(item.connection_id))
    await touch(session, item.tenant_id)
    return True
