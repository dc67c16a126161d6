"""The one place where what was fetched from Stripe is handed to the books."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core.db.models import BalanceTransaction, Dispute, Payment, Payout, Refund
from core.intake.store_movements import link_to_payment
from core.sync.planners.offers import (
    offer_dispute,
    offer_movements,
    offer_payout,
    offer_refund,
    wake_dependents,
)

_CHUNK = 500


@dataclass(frozen=True, slots=True)
class News:
    """What one pass of a Stripe lane has stored. ``transactions`` are Stripe's ids of balance transactions."""

    refunds: Collection[Refund] = ()
    disputes: Collection[Dispute] = ()
    payouts: Collection[Payout] = ()
    transactions: Collection[str] = ()


async def offer_news(session: AsyncSession, news: News, *, now: datetime) -> None:
    """Offer what was stored to the books that are connected; safe to repeat."""
    for refund in news.refunds:
        await offer_refund(session, refund, now=now)
    for dispute in news.disputes:
        await offer_dispute(session, dispute, now=now)
    for payout in news.payouts:
        await offer_payout(session, payout, now=now)
    ids = iter(sorted(news.transactions))
    while chunk := list(islice(ids, _CHUNK)):
        rows = select(BalanceTransaction).where(BalanceTransaction.stripe_id.in_(chunk))
        await offer_movements(session, (await session.execute(rows)).scalars().all(), now=now)


async def payment_arrived(session: AsyncSession, payment: Payment, *, now: datetime) -> None:
    """Join what was stored before its payment, let go on what waited for it, and offer the fee of its money."""
    await link_to_payment(session, payment)
    await wake_dependents(session, payment, now=now)
    if payment.stripe_balance_transaction_id is not None:
        await offer_news(session, News(transactions=[payment.stripe_balance_transaction_id]), now=now)
