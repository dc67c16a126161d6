"""The documents of a payout."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core.books.categories import BookedBy, booked_by
from core.books.documents import MoneyDocument
from core.books.facts import PayoutFacts
from core.books.payouts import PAYOUT, plan_payout
from core.db.models import Payout, SyncItem, Tenant
from core.sync.plan import ConnectedBooks, books_profile
from core.sync.planners.rows import may_stand, movement_facts, movement_rows, references

_LEFT = "payout"


async def plan_payout_item(session: AsyncSession, item: SyncItem, profile: ConnectedBooks) -> list[MoneyDocument]:
    """Plan the transfers of one payout; nothing before it has arrived.

    Raises:
        StopError: why nothing can be posted yet.
    """
    tenant = await session.get_one(Tenant, item.tenant_id)
    payout = (await session.execute(select(Payout).where(Payout.stripe_id == item.source_id))).scalar_one_or_none()
    rows = await movement_rows(session, item.source_id)
    moved = [
        movement_facts(row, tenant)
        for row in rows
        if booked_by(row.reporting_category, row.type, row.stripe_source_id) is BookedBy.PAYOUT
    ]
    if payout is None or not moved:
        return []
    # The reversal of a payout is a payout of its own, whose only transaction is Stripe's other category.
    left = next(
        (one for one in moved if one.reporting_category == _LEFT), moved[0] if payout.amount_minor < 0 else None
    )
    facts = PayoutFacts(
        source_id=payout.stripe_id,
        amount_minor=payout.amount_minor,
        currency=payout.currency,
        status=payout.status,
        arrival_date=payout.arrival_date,
        automatic=payout.automatic,
        left=left,
        returned=next((one for one in moved if one.reporting_category != _LEFT and one is not left), None),
        is_booked=await may_stand(session, item, PAYOUT),
    )
    books = await books_profile(session, profile)
    return plan_payout(facts, books, reference=references(item, "TP"))
