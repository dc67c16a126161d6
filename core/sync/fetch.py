"""Work of a Stripe lane: bring payments, services, missed events and the access itself up to date."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from core.db.models import Attempt, AttemptOutcome, Connection, ItemKind, ItemState, StripeEvent, SyncItem
from core.db.session import announce
from core.db.upsert import insert_missing
from core.errors import (
    AccessExpiredError,
    NotFoundError,
    ProviderError,
    ProviderRejectedError,
    RateLimitedError,
    ReconnectRequiredError,
)
from core.intake.handlers.registry import subscribed_events
from core.intake.reader import StripeReader
from core.intake.store import store_product
from core.intake.stripe_client import make_stripe
from core.intake.webhook import PLATFORM, row_of
from core.live import touch
from core.reasons import Reason
from core.signals import WORK
from core.sync import ladder, lanes
from core.sync.items import take_facts
from core.sync.lane_work import LaneWork

CALLS_PER_SECOND = 10.0
CATCH_UP_EVERY = timedelta(hours=1)
CATCH_UP_OVERLAP = timedelta(hours=1)
EVENTS_KEPT = timedelta(days=30)
KEEP_ALIVE_EVERY = timedelta(hours=6)
_SETTLEMENT_DELAYS = tuple(timedelta(seconds=s) for s in (10, 60, 600, 3600, 6 * 3600, 24 * 3600))


class StripeLane(LaneWork):
    """A lane to a tenant's Stripe account."""

    def reader(self, token: str) -> StripeReader:
        """Return a reader that acts with ``token``."""
        return StripeReader(make_stripe(self.wiring.outgoing, self.wiring.settings, self.runtime, token))


async def bring_up_to_date(lane: StripeLane, item: SyncItem) -> bool:
    """Do one item of a Stripe lane. Return whether the lane may go on."""
    try:
        token = await lane.token()
        try:
            await _fetch(lane, item, lane.reader(token))
        except AccessExpiredError:
            # It may just have run out: refresh once, repeat once (F13). Another may have refreshed it meanwhile.
            await _fetch(lane, item, lane.reader(await lane.token(refused=token)))
    except NotFoundError as exc:
        await _settle(lane, item, due_at=None, text=str(exc))
    except ProviderError as exc:
        await _failed(lane, item, exc)
    return not lane.paused


async def _fetch(lane: StripeLane, item: SyncItem, reader: StripeReader) -> None:
    await lane.pace(CALLS_PER_SECOND)
    match item.kind:
        case ItemKind.FETCH_PAYMENT:
            await _fetch_payment(lane, item, reader)
        case ItemKind.FETCH_SERVICE:
            await _fetch_service(lane, item, reader)
        case ItemKind.CATCH_UP:
            await _catch_up(lane, item, reader)
        case _:
            await reader.account()
            await _settle(lane, item, due_at=lane.runtime.now() + KEEP_ALIVE_EVERY)
    lane.failures = 0


async def _fetch_payment(lane: StripeLane, item: SyncItem, reader: StripeReader) -> None:
    facts = await reader.payment(item.source_id)

    async def work(session: AsyncSession, now: datetime) -> None:
        if facts is None or facts.is_live != lane.wiring.settings.is_live:
            await _done(lane, session, item, due_at=None, now=now)
            return
        payment = await take_facts(
            session,
            tenant_id=lane.claim.tenant_id,
            connection_id=lane.claim.connection_id,
            facts=facts,
            now=now,
        )
        await touch(session, lane.claim.tenant_id)
        # Stripe tells of the balance transaction by charge.updated; should that event be lost, we ask again ourselves.
        unsettled = facts.movement is None and item.tries < len(_SETTLEMENT_DELAYS)
        due_at = now + _SETTLEMENT_DELAYS[item.tries] if unsettled else None
        await _done(lane, session, item, due_at=due_at, now=now, payment_id=payment.id)

    await lane.record(work)


async def _fetch_service(lane: StripeLane, item: SyncItem, reader: StripeReader) -> None:
    product = await reader.product(item.source_id)

    async def work(session: AsyncSession, now: datetime) -> None:
        await store_product(session, lane.claim.tenant_id, product, now=now)
        await _done(lane, session, item, due_at=None, now=now)

    await lane.record(work)


async def _catch_up(lane: StripeLane, item: SyncItem, reader: StripeReader) -> None:
    """Page through Stripe's own list of events from the stored cursor on, with an hour of overlap (F3).

    The list is bounded and newest first. Where it is longer, the next pass goes on at once from where this one ended,
    and the cursor moves on only when the oldest has been seen.
    """
    now = lane.runtime.now()
    state = _CatchUp.of(item, now)
    services = await reader.products() if state.is_first else []
    listed, missing_before = await reader.events(state.since, state.until, subscribed_events())
    scope = PLATFORM if lane.connection.endpoint_token_hash is None else str(lane.connection.id)
    events = []
    for event in listed:
        if isinstance(event.get("data"), dict) and isinstance(event["data"].get("object"), dict):
            full = {**event, "account": event.get("account") or lane.connection.external_id}
            raw, expects_live = msgspec.json.encode(full), lane.wiring.settings.is_live
            events.append(row_of(full, raw, scope=scope, expects_live=expects_live, now=now))
    rest = state.after(missing_before)

    async def work(session: AsyncSession, now: datetime) -> None:
        for product in services:
            await store_product(session, lane.claim.tenant_id, product, now=now)
        for start in range(0, len(events), 50):
            await insert_missing(session, StripeEvent, events[start : start + 50])
        if events:
            announce(session, WORK, "inbox")
        row = await _done(lane, session, item, due_at=now if rest.until else now + CATCH_UP_EVERY, now=now)
        row.reason_detail = rest.stored

    await lane.record(work)


@dataclass(frozen=True, slots=True)
class _CatchUp:
    """How far the event list has been read: everything since ``since`` up to ``until``, begun at ``started``."""

    since: int
    until: int | None
    started: datetime
    is_first: bool

    @classmethod
    def of(cls, item: SyncItem, now: datetime) -> "_CatchUp":
        stored = item.reason_detail
        earliest = now - EVENTS_KEPT
        if isinstance(stored.get("until"), int):
            started = datetime.fromisoformat(stored["started"]).astimezone(UTC)
            return cls(stored["since"], stored["until"], started, is_first=False)
        if not isinstance(stored.get("cursor"), str):
            return cls(int(earliest.timestamp()), None, now, is_first=True)
        cursor = datetime.fromisoformat(stored["cursor"]).astimezone(UTC) - CATCH_UP_OVERLAP
        return cls(int(max(cursor, earliest).timestamp()), None, now, is_first=False)

    def after(self, missing_before: int | None) -> "_CatchUp":
        if missing_before is None or missing_before < self.since:
            return replace(self, until=None)
        # Two thousand events within one second would stand still here: go past it, as far as can be seen.
        until = missing_before - 1 if missing_before == self.until else missing_before
        return replace(self, until=until)

    @property
    def stored(self) -> dict[str, Any]:
        if self.until is None:
            return {"cursor": self.started.isoformat()}
        return {"since": self.since, "until": self.until, "started": self.started.isoformat()}


async def _settle(lane: StripeLane, item: SyncItem, *, due_at: datetime | None, text: str | None = None) -> None:
    async def work(session: AsyncSession, now: datetime) -> None:
        row = await _done(lane, session, item, due_at=due_at, now=now)
        row.provider_text = text[:300] if text else None

    await lane.record(work)


async def _done(
    lane: StripeLane,
    session: AsyncSession,
    item: SyncItem,
    *,
    due_at: datetime | None,
    now: datetime,
    payment_id: UUID | None = None,
) -> SyncItem:
    """Close one pass. News that came meanwhile (``wanted`` grew) makes the item due at once."""
    # Before its items, as when events are routed; the other way round the two wait for each other.
    connection = await session.get_one(Connection, lane.claim.connection_id, with_for_update={"key_share": True})
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


async def _failed(lane: StripeLane, item: SyncItem, error: ProviderError) -> None:
    counts = not isinstance(error, ReconnectRequiredError | AccessExpiredError | ProviderRejectedError)
    lane.failures += counts

    async def work(session: AsyncSession, now: datetime) -> None:
        row = await session.get_one(SyncItem, item.id, with_for_update=True, populate_existing=True)
        session.add(_attempt(row, error, now))
        if row.due_at is None:
            # Disconnected while the call was under way: it waits for a sign-in, and stays so.
            return
        row.provider_text, row.provider_request_id = error.text or None, error.request_id
        row.changed_at = now
        if isinstance(error, ReconnectRequiredError | AccessExpiredError):
            await lane.block_connection(session, now)
            row.state, row.due_at, row.reason = ItemState.BLOCKED, None, Reason.RECONNECT_STRIPE
        elif isinstance(error, ProviderRejectedError):
            # A read that Stripe refuses is a fault of ours or a matter of permissions: keep asking, but rarely.
            row.due_at = now + ladder.LATER
        else:
            await lanes.note_failures(session, lane.claim, lane.failures)
            row.due_at = await _next_try(lane, session, error, now)

    await lane.record(work)


async def _next_try(lane: StripeLane, session: AsyncSession, error: ProviderError, now: datetime) -> datetime:
    stated = getattr(error, "retry_after_s", None)
    limited = isinstance(error, RateLimitedError)
    reason = Reason.RATE_LIMITED if limited else Reason.PROVIDER_DOWN
    if limited or stated or lane.failures >= ladder.BREAKER_AFTER:
        return await lane.pause(session, stated, reason, now, floor_s=2.0 if limited else 60.0)
    return now + ladder.next_delay(lane.runtime, min(lane.failures - 1, 3))


def _attempt(item: SyncItem, error: ProviderError, now: datetime) -> Attempt:
    words: dict[type[Any], AttemptOutcome] = {
        RateLimitedError: AttemptOutcome.RATE_LIMITED,
        ReconnectRequiredError: AttemptOutcome.ACCESS_EXPIRED,
        ProviderRejectedError: AttemptOutcome.REJECTED,
        AccessExpiredError: AttemptOutcome.ACCESS_EXPIRED,
    }
    return Attempt(
        tenant_id=item.tenant_id,
        item_id=item.id,
        outcome=words.get(type(error), AttemptOutcome.UNAVAILABLE),
        at=now,
        http_status=error.status,
        request_id=error.request_id,
        text=error.text or None,
    )
