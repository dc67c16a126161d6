"""A lane to Stripe, and how one pass of one of its items ends."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.db.models import Connection, ItemKind, ItemState, SyncItem
from core.intake.handlers.registry import SWEEP_ID
from core.intake.reader_history import HistoryReader
from core.intake.stripe_client import make_stripe
from core.sync import lanes
from core.sync.inbox import SWEEP_SOON
from core.sync.items import enqueue
from core.sync.lane_work import LaneWork


class StripeLane(LaneWork):
    """A lane to a tenant's Stripe account."""

    def reader(self, token: str) -> HistoryReader:
        """Return a reader that acts with ``token``."""
        return HistoryReader(make_stripe(self.wiring.outgoing, self.wiring.settings, self.runtime, token))

    async def lock_connection(self, session: AsyncSession) -> Connection:
        """Lock the connection's row before its items, as when events are routed.

        The other way round the two would wait for each other.
        """
        found: Connection = await session.get_one(
            Connection, self.claim.connection_id, with_for_update={"key_share": True}
        )
        return found

    async def ask_for(
        self, session: AsyncSession, kind: ItemKind, source_id: str, *, now: datetime, due_at: datetime | None = None
    ) -> None:
        """Have something of this Stripe account brought up to date."""
        await enqueue(
            session,
            tenant_id=self.claim.tenant_id,
            connection_id=self.claim.connection_id,
            kind=kind,
            source_id=source_id,
            due_at=due_at or now,
            now=now,
        )

    async def sweep_soon(self, session: AsyncSession, now: datetime, *, after: timedelta = SWEEP_SOON) -> None:
        """Have Stripe's ledger and balance read in a while; whatever else happens meanwhile shares that read."""
        await self.ask_for(session, ItemKind.SWEEP, SWEEP_ID, now=now, due_at=now + after)


async def settle(lane: StripeLane, item: SyncItem, *, due_at: datetime | None, text: str | None = None) -> None:
    """Close a pass that found nothing to keep."""

    async def work(session: AsyncSession, now: datetime) -> None:
        row = await done(lane, session, item, due_at=due_at, now=now)
        row.provider_text = text[:300] if text else None

    await lane.record(work)


async def done(
    lane: StripeLane,
    session: AsyncSession,
    item: SyncItem,
    *,
    due_at: datetime | None,
    now: datetime,
    payment_id: UUID | None = None,
) -> SyncItem:
    """Close one pass. News that came meanwhile (``wanted`` grew) makes the item due at once."""
    connection = await lane.lock_connection(session)
    connection.last_checked_at = now
    row = await session.get_one(SyncItem, item.id, with_for_update=True, populate_existing=True)
    row.done = item.wanted
    row.tries = row.tries + 1 if due_at is not None and row.kind is ItemKind.FETCH_PAYMENT else 0
    row.due_at = now if row.wanted > item.wanted else due_at
    row.state = ItemState.PENDING if row.due_at is not None else ItemState.DONE
    row.payment_id = row.payment_id or payment_id
    row.reason = row.provider_text = row.provider_request_id = None
    row.changed_at = now
    if lane.failures:
        await lanes.note_failures(session, lane.claim, 0)
    return row
