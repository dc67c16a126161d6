"""Rows of Stripe's facts as the plain values that the pure planners read."""

from collections.abc import Sequence
from datetime import date
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core.books.facts import BalanceTransactionFacts, FeePart
from core.db.models import BalanceTransaction, Tenant

OPENING = "opening:"
"""How the name of an opening item begins; the rest is the currency."""


def local_day(row: BalanceTransaction, zone: ZoneInfo) -> date:
    """Return the tenant's local day on which a balance transaction was made."""
    return row.book_date or row.created_at.astimezone(zone).date()


def movement_facts(row: BalanceTransaction, tenant: Tenant) -> BalanceTransactionFacts:
    """Return one balance transaction as plain values, with its day and whether it is not before the first one."""
    return BalanceTransactionFacts(
        stripe_id=row.stripe_id,
        type=row.type,
        reporting_category=row.reporting_category,
        amount_minor=row.amount_minor,
        fee_minor=row.fee_minor,
        net_minor=row.net_minor,
        currency=row.currency,
        fee_parts=tuple(
            FeePart(str(part.get("type") or ""), int(part.get("amount") or 0), str(part.get("description") or ""))
            for part in row.fee_details
        ),
        source_id=row.stripe_source_id,
        payout_id=row.stripe_payout_id,
        description=row.description or "",
        book_date=local_day(row, ZoneInfo(tenant.time_zone)),
        in_scope=tenant.posting_starts_at is not None and row.created_at >= tenant.posting_starts_at,
    )


async def movements_of(session: AsyncSession, source_id: str, tenant: Tenant) -> Sequence[BalanceTransactionFacts]:
    """Return what moved for one object of Stripe's, oldest first."""
    statement = (
        select(BalanceTransaction)
        .where(BalanceTransaction.stripe_source_id == source_id)
        .order_by(BalanceTransaction.created_at, BalanceTransaction.stripe_id)
    )
    return [movement_facts(row, tenant) for row in (await session.execute(statement)).scalars()]
