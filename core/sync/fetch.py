"""Work of a Stripe lane: bring everything that Stripe knows up to date, and the access itself."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from core.db.models import Attempt, AttemptOutcome, ItemKind, ItemState, SyncItem
from core.errors import (
    AccessExpiredError,
    NotFoundError,
    ProviderError,
    ProviderRejectedError,
    RateLimitedError,
    ReconnectRequiredError,
)
from core.intake.reader import StripeReader
from core.intake.reader_history import HistoryReader
from core.intake.store import store_product
from core.live import touch
from core.reasons import Reason
from core.sync import ladder, lanes
from core.sync.fetch_events import catch_up
from core.sync.fetch_history import read_history
from core.sync.fetch_lane import StripeLane, done, settle
from core.sync.fetch_objects import fetch_dispute, fetch_refund
from core.sync.fetch_offers import payment_arrived
from core.sync.fetch_payouts import fetch_payout
from core.sync.fetch_sweep import sweep
from core.sync.items import take_facts

CALLS_PER_SECOND = 10.0
KEEP_ALIVE_EVERY = timedelta(hours=6)
SWEEP_AFTER_SALES = timedelta(minutes=15)
"""On a busy day Stripe's balance is at most this old; two reads for all sales of a quarter of an hour."""

_SETTLEMENT_DELAYS = tuple(timedelta(seconds=s) for s in (10, 60, 600, 3600, 6 * 3600, 24 * 3600))

__all__ = ["StripeLane", "bring_up_to_date"]


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
        await settle(lane, item, due_at=None, text=str(exc))
    except ProviderError as exc:
        await _failed(lane, item, exc)
    return not lane.paused


async def _fetch(lane: StripeLane, item: SyncItem, reader: HistoryReader) -> None:
    await lane.pace(CALLS_PER_SECOND)
    match item.kind:
        case ItemKind.FETCH_PAYMENT:
            await _fetch_payment(lane, item, reader)
        case ItemKind.FETCH_SERVICE:
            await _fetch_service(lane, item, reader)
        case ItemKind.FETCH_REFUND:
            await fetch_refund(lane, item, reader)
        case ItemKind.FETCH_DISPUTE:
            await fetch_dispute(lane, item, reader)
        case ItemKind.FETCH_PAYOUT:
            await fetch_payout(lane, item, reader)
        case ItemKind.CATCH_UP:
            await catch_up(lane, item, reader)
        case ItemKind.SWEEP:
            await sweep(lane, item, reader)
        case ItemKind.HISTORY:
            await read_history(lane, item, reader)
        case _:
            await reader.account()
            await settle(lane, item, due_at=lane.runtime.now() + KEEP_ALIVE_EVERY)
    lane.failures = 0
    lane.heard(None)


async def _fetch_payment(lane: StripeLane, item: SyncItem, reader: StripeReader) -> None:
    facts = await reader.payment(item.source_id)

    async def work(session: AsyncSession, now: datetime) -> None:
        if facts is None or facts.is_live != lane.wiring.settings.is_live:
            await done(lane, session, item, due_at=None, now=now)
            return
        await lane.lock_connection(session)
        payment = await take_facts(
            session,
            tenant_id=lane.claim.tenant_id,
            connection_id=lane.claim.connection_id,
            facts=facts,
            now=now,
        )
        await payment_arrived(session, payment, now=now)
        if facts.movement is not None:
            await lane.sweep_soon(session, now, after=SWEEP_AFTER_SALES)
        await touch(session, lane.claim.tenant_id)
        # Stripe tells of the balance transaction by charge.updated; should that event be lost, we ask again ourselves.
        unsettled = facts.movement is None and item.tries < len(_SETTLEMENT_DELAYS)
        due_at = now + _SETTLEMENT_DELAYS[item.tries] if unsettled else None
        await done(lane, session, item, due_at=due_at, now=now, payment_id=payment.id)

    await lane.record(work)


async def _fetch_service(lane: StripeLane, item: SyncItem, reader: StripeReader) -> None:
    product = await reader.product(item.source_id)

    async def work(session: AsyncSession, now: datetime) -> None:
        await store_product(session, lane.claim.tenant_id, product, now=now)
        await done(lane, session, item, due_at=None, now=now)

    await lane.record(work)


async def _failed(lane: StripeLane, item: SyncItem, error: ProviderError) -> None:
    lane.heard(error)
    refused = ReconnectRequiredError | AccessExpiredError | ProviderRejectedError
    # A slow-down is counted where it pauses the lane.
    lane.failures += not isinstance(error, refused | RateLimitedError)

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
