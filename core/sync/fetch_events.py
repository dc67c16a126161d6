"""The hourly catch-up: events that never arrived, and those that an earlier release could not read yet."""

from datetime import datetime, timedelta

import msgspec
from sqlalchemy import or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from core.db.models import EventState, ItemKind, StripeEvent, SyncItem
from core.db.session import announce
from core.db.upsert import insert_missing
from core.intake.handlers import subscribed_events
from core.intake.handlers.registry import SWEEP_ID
from core.intake.reader import StripeReader
from core.intake.store import store_product
from core.intake.webhook import PLATFORM, row_of
from core.signals import WORK
from core.sync.fetch_lane import StripeLane, done
from core.sync.fetch_window import Window

CATCH_UP_EVERY = timedelta(hours=1)
CATCH_UP_OVERLAP = timedelta(hours=1)
EVENTS_KEPT = timedelta(days=30)


async def catch_up(lane: StripeLane, item: SyncItem, reader: StripeReader) -> None:
    """Page through Stripe's own list of events from the stored cursor on, with an hour of overlap (F3)."""
    now = lane.runtime.now()
    window = Window.of(item, now, reach=EVENTS_KEPT, overlap=CATCH_UP_OVERLAP)
    services = await reader.products() if window.is_first else []
    listed, missing_before = await reader.events(window.since, window.until, subscribed_events())
    events = []
    for event in listed:
        if isinstance(event.get("data"), dict) and isinstance(event["data"].get("object"), dict):
            full = {**event, "account": event.get("account") or lane.connection.external_id}
            raw, expects_live = msgspec.json.encode(full), lane.wiring.settings.is_live
            events.append(row_of(full, raw, scope=_scope(lane), expects_live=expects_live, now=now))
    rest = window.after(missing_before)

    async def work(session: AsyncSession, now: datetime) -> None:
        await lane.lock_connection(session)
        for product in services:
            await store_product(session, lane.claim.tenant_id, product, now=now)
        for start in range(0, len(events), 50):
            await insert_missing(session, StripeEvent, events[start : start + 50])
        is_reopened = await _look_again(session, lane)
        if events or is_reopened:
            announce(session, WORK, "inbox")
        await _stand_up_sweep(session, lane, now)
        row = await done(lane, session, item, due_at=now if rest.until else now + CATCH_UP_EVERY, now=now)
        row.reason_detail = rest.stored

    await lane.record(work)


def _scope(lane: StripeLane) -> str:
    return PLATFORM if lane.connection.endpoint_token_hash is None else str(lane.connection.id)


async def _look_again(session: AsyncSession, lane: StripeLane) -> bool:
    """Route events once more that nothing could read when they came, and something can read now.

    An update brings new handlers while a process of the old release may still route: here both are over.
    """
    theirs = or_(StripeEvent.account == lane.connection.external_id, StripeEvent.scope == str(lane.connection.id))
    reopened = await session.execute(
        update(StripeEvent)
        .where(theirs, StripeEvent.state == EventState.KEPT, StripeEvent.type.in_(subscribed_events()))
        .values(state=EventState.STORED)
        .returning(StripeEvent.id)
        .execution_options(synchronize_session=False)
    )
    return bool(reopened.all())


async def _stand_up_sweep(session: AsyncSession, lane: StripeLane, now: datetime) -> None:
    """A connection from before Stripe's ledger was read has no item for it."""
    sweep = select(SyncItem.id).where(
        SyncItem.connection_id == lane.claim.connection_id, SyncItem.kind == ItemKind.SWEEP
    )
    if (await session.execute(sweep.limit(1))).first() is None:
        await lane.ask_for(session, ItemKind.SWEEP, SWEEP_ID, now=now)
