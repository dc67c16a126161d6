"""Bringing one refund or one dispute up to date."""

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core.db.models import Dispute, ItemKind, Refund, StripeEvent, SyncItem
from core.intake.facts_movements import FetchedDispute
from core.intake.reader import StripeReader
from core.intake.store_movements import store_dispute, store_refund
from core.live import touch
from core.sync.fetch_lane import StripeLane, done, settle
from core.sync.fetch_offers import News, offer_news

LOOK_AGAIN = timedelta(days=7)
"""How often an open dispute is looked at although no event tells of it: a lost one moves no money at its end."""


async def fetch_refund(lane: StripeLane, item: SyncItem, reader: StripeReader) -> None:
    """Read one refund; ask for its payment where that is not known yet."""
    fetched = await reader.refund(item.source_id)

    async def work(session: AsyncSession, now: datetime) -> None:
        await lane.lock_connection(session)
        refund = await store_refund(
            session,
            tenant_id=lane.claim.tenant_id,
            connection_id=lane.claim.connection_id,
            fetched=fetched,
            now=now,
        )
        await ask_for_payment(lane, session, refund, now)
        moved = {movement.stripe_id for movement in fetched.movements}
        await offer_news(session, News(refunds=[refund], transactions=moved), now=now)
        await lane.sweep_soon(session, now)
        await touch(session, lane.claim.tenant_id)
        await done(lane, session, item, due_at=None, now=now)

    await lane.record(work)


async def fetch_dispute(lane: StripeLane, item: SyncItem, reader: StripeReader) -> None:
    """Read one dispute; ask for its payment where that is not known yet."""
    fetched = await reader.dispute(item.source_id)
    if fetched.is_live != lane.wiring.settings.is_live:
        await settle(lane, item, due_at=None)
        return
    closed_at = await closing_of(lane, reader, fetched)

    async def work(session: AsyncSession, now: datetime) -> None:
        await lane.lock_connection(session)
        dispute = await store_dispute(
            session,
            tenant_id=lane.claim.tenant_id,
            connection_id=lane.claim.connection_id,
            fetched=fetched,
            closed_at=closed_at,
            now=now,
        )
        await ask_for_payment(lane, session, dispute, now)
        moved = {movement.stripe_id for movement in fetched.movements}
        await offer_news(session, News(disputes=[dispute], transactions=moved), now=now)
        await lane.sweep_soon(session, now)
        await touch(session, lane.claim.tenant_id)
        due_at = None if fetched.is_closed else now + LOOK_AGAIN
        await done(lane, session, item, due_at=due_at, now=now)

    await lane.record(work)


async def ask_for_payment(lane: StripeLane, session: AsyncSession, row: Refund | Dispute, now: datetime) -> None:
    """Have the payment of a refund or dispute fetched, where only its id is known."""
    source_id = row.payment_source_id
    if row.payment_id is None and source_id is not None:
        await lane.ask_for(session, ItemKind.FETCH_PAYMENT, source_id, now=now)


async def closing_of(lane: StripeLane, reader: StripeReader, fetched: FetchedDispute) -> datetime | None:
    """Return when a dispute ended, None for one that is open.

    The dispute does not say; the event about its end does, in the inbox or at Stripe. For one that ended so long ago
    that Stripe forgot the event: when the money came back, or the last day to answer.
    """
    if not fetched.is_closed:
        return None
    known = await _known_end(lane, fetched.stripe_id)
    if known is not None:
        return known
    told = await reader.dispute_closed_at(fetched.stripe_id, fetched.created_at)
    now = lane.runtime.now()
    returned = max((movement.created_at for movement in fetched.movements[1:]), default=None)
    return told or returned or min(fetched.answer_due_at or now, now)


async def _known_end(lane: StripeLane, dispute_id: str) -> datetime | None:
    async with lane.db.tenant(lane.claim.tenant_id) as session:
        stored = select(Dispute.closed_at).where(Dispute.stripe_id == dispute_id)
        known: datetime | None = (await session.execute(stored)).scalar_one_or_none()
        if known is not None:
            return known
        told = select(StripeEvent.stripe_created_at).where(
            StripeEvent.object_id == dispute_id,
            StripeEvent.type == "charge.dispute.closed",
            StripeEvent.connection_id == lane.claim.connection_id,
        )
        first = told.order_by(StripeEvent.stripe_created_at).limit(1)
        return (await session.execute(first)).scalar_one_or_none()
