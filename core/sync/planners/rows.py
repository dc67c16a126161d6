"""Rows of Stripe's facts as the plain values that the pure planners read."""

from collections.abc import Sequence
from datetime import date
from zoneinfo import ZoneInfo

from sqlalchemy import and_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from core.books.common import Reference
from core.books.documents import MONEY
from core.books.facts import BalanceTransactionFacts, FeePart
from core.books.keys import reference_for
from core.db.models import BalanceTransaction, Operation, OperationState, SyncItem, Tenant

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


async def movement_rows(session: AsyncSession, source_id: str) -> Sequence[BalanceTransaction]:
    """Return what moved for one object of Stripe's, oldest first."""
    statement = (
        select(BalanceTransaction)
        .where(BalanceTransaction.stripe_source_id == source_id)
        .order_by(BalanceTransaction.created_at, BalanceTransaction.stripe_id)
    )
    return (await session.execute(statement)).scalars().all()


def references(item: SyncItem, prefix: str) -> Reference:
    """Return what gives the lasting reference of each step of an item."""
    return lambda step: reference_for(item.connection_id, f"{item.source_id}:{step}", prefix)


def base_name(source_id: str) -> str:
    """Return the day, payout or transaction of an item of fees, without the number of a later one."""
    return source_id.partition("#")[0]


async def may_stand(session: AsyncSession, item: SyncItem, step: str) -> bool:
    """Say whether a step of an item stands in the books, or may: a part of it was sent and not refused."""
    statement = select(Operation.id).where(
        Operation.item_id == item.id,
        Operation.kind.in_(MONEY),
        Operation.step.startswith(step, autoescape=True),
        or_(
            Operation.state == OperationState.CONFIRMED,
            and_(Operation.state != OperationState.REJECTED, Operation.sends > 0),
        ),
    )
    return (await session.execute(statement.limit(1))).first() is not None
