"""Rows of Stripe's ledger: kept, and everything behind them that nobody has told of is asked for."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core.db.models import Dispute, ItemKind, Payment, Payout, Refund
from core.intake.facts_movements import FetchedTransaction
from core.intake.handlers.registry import is_dispute_id, is_payout_id, is_refund_id
from core.intake.store_movements import store_refund, store_transactions
from core.sync.fetch_lane import StripeLane
from core.sync.fetch_objects import ask_for_payment
from core.sync.fetch_offers import News, offer_news

_SALES = frozenset({"charge"})
"""Reporting categories whose money is a payment's own."""


async def take_transactions(
    lane: StripeLane,
    session: AsyncSession,
    rows: Sequence[FetchedTransaction],
    *,
    now: datetime,
    payout_id: str | None = None,
) -> set[str]:
    """Keep rows of Stripe's ledger, offer what is new, and ask for payments, refunds, disputes and payouts behind them.

    Returns the ids of balance transactions that were not known before.
    """
    fresh = await store_transactions(
        session,
        tenant_id=lane.claim.tenant_id,
        connection_id=lane.claim.connection_id,
        movements=[row.movement for row in rows],
        now=now,
        payout_id=payout_id,
    )
    refunds = await _take_refunds(lane, session, rows, fresh, now)
    await _ask_for_payments(lane, session, rows, now)
    for kind, ids in await _unknown(session, rows, fresh):
        for source_id in sorted(ids):
            await lane.ask_for(session, kind, source_id, now=now)
    await offer_news(session, News(refunds=refunds, transactions=fresh), now=now)
    return fresh


async def _take_refunds(
    lane: StripeLane, session: AsyncSession, rows: Sequence[FetchedTransaction], fresh: set[str], now: datetime
) -> list[Refund]:
    """Keep refunds that Stripe showed in whole behind their balance transaction: no read of their own is needed."""
    shown = {row.refund.stripe_id: row.refund for row in rows if row.refund is not None}
    moved = {row.refund.stripe_id for row in rows if row.refund is not None and row.movement.stripe_id in fresh}
    known = set((await session.execute(select(Refund.stripe_id).where(Refund.stripe_id.in_(shown)))).scalars())
    stored = []
    for refund_id in sorted(moved | (set(shown) - known)):
        refund = await store_refund(
            session,
            tenant_id=lane.claim.tenant_id,
            connection_id=lane.claim.connection_id,
            fetched=shown[refund_id],
            now=now,
        )
        await ask_for_payment(lane, session, refund, now)
        stored.append(refund)
    return stored


async def _ask_for_payments(
    lane: StripeLane, session: AsyncSession, rows: Sequence[FetchedTransaction], now: datetime
) -> None:
    """Ask for payments that are not known, or not known to be settled."""
    charges = {
        row.movement.source_id: row.payment_source_id
        for row in rows
        if row.movement.reporting_category in _SALES and row.movement.source_id and row.payment_source_id
    }
    settled = select(Payment.stripe_charge_id).where(
        Payment.stripe_charge_id.in_(charges), Payment.stripe_balance_transaction_id.is_not(None)
    )
    known = set((await session.execute(settled)).scalars())
    for source_id in sorted({charges[charge] for charge in charges if charge not in known}):
        await lane.ask_for(session, ItemKind.FETCH_PAYMENT, source_id, now=now)


async def _unknown(
    session: AsyncSession, rows: Sequence[FetchedTransaction], fresh: set[str]
) -> Iterable[tuple[ItemKind, set[str]]]:
    """Name what must be looked at: what is not known, and what has moved money since it was looked at."""
    told = {row.refund.stripe_id for row in rows if row.refund is not None}
    sources = {row.movement.source_id for row in rows if row.movement.source_id}
    moved = {row.movement.source_id for row in rows if row.movement.stripe_id in fresh}
    refunds = {one for one in sources if is_refund_id(one)} - told
    disputes = {one for one in sources if is_dispute_id(one)}
    payouts = {one for one in sources if is_payout_id(one)}
    wanted = (
        (ItemKind.FETCH_REFUND, refunds, select(Refund.stripe_id).where(Refund.stripe_id.in_(refunds))),
        (ItemKind.FETCH_DISPUTE, disputes, select(Dispute.stripe_id).where(Dispute.stripe_id.in_(disputes))),
        (ItemKind.FETCH_PAYOUT, payouts, select(Payout.stripe_id).where(Payout.stripe_id.in_(payouts))),
    )
    found = []
    for kind, ids, known in wanted:
        still = set((await session.execute(known)).scalars()) - moved if ids else set[str]()
        found.append((kind, ids - still))
    return found
