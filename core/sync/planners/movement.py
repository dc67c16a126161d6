"""The documents of a balance transaction that stands for itself, and of the opening balance."""

from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core.books.documents import MoneyDocument
from core.books.movements import plan_movement
from core.books.opening import plan_opening
from core.db.models import BalanceTransaction, OpeningBalance, SyncItem, Tenant
from core.sync.plan import ConnectedBooks, books_profile
from core.sync.planners.rows import OPENING, movement_facts, references


async def plan_movement_item(session: AsyncSession, item: SyncItem, profile: ConnectedBooks) -> list[MoneyDocument]:
    """Plan one balance transaction that belongs to no payment, refund, dispute or payout.

    Raises:
        StopError: why nothing can be posted yet.
    """
    tenant = await session.get_one(Tenant, item.tenant_id)
    found = select(BalanceTransaction).where(BalanceTransaction.stripe_id == item.source_id)
    row = (await session.execute(found)).scalar_one_or_none()
    if row is None:
        return []
    books = await books_profile(session, profile)
    return plan_movement(movement_facts(row, tenant), books, reference=references(item, "TM"))


async def plan_opening_item(session: AsyncSession, item: SyncItem, profile: ConnectedBooks) -> list[MoneyDocument]:
    """Plan the opening entry of one currency.

    Raises:
        StopError: why nothing can be posted yet.
    """
    tenant = await session.get_one(Tenant, item.tenant_id)
    found = select(OpeningBalance).where(
        OpeningBalance.currency == item.source_id.removeprefix(OPENING),
        OpeningBalance.starts_at == tenant.posting_starts_at,
    )
    opening = (await session.execute(found)).scalar_one_or_none()
    if opening is None:
        return []
    day = opening.starts_at.astimezone(ZoneInfo(tenant.time_zone)).date()
    books = await books_profile(session, profile)
    return plan_opening(opening.amount_minor, opening.currency, day, books, reference=references(item, "TB"))
