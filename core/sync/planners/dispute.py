"""The documents of a dispute: what it holds, its fee, and its outcome."""

from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core.books.categories import BookedBy, booked_by
from core.books.disputes import LOST, plan_dispute
from core.books.documents import MoneyDocument
from core.books.facts import DisputeFacts, GivenBack
from core.db.models import BalanceTransaction, Dispute, SyncItem, Tenant
from core.sync.plan import ConnectedBooks, books_profile
from core.sync.planners.given_back import history_of
from core.sync.planners.original import original_sale
from core.sync.planners.rows import may_stand, movement_facts, movement_rows, references


async def plan_dispute_item(session: AsyncSession, item: SyncItem, profile: ConnectedBooks) -> list[MoneyDocument]:
    """Plan one dispute; nothing for an inquiry, which moves no money.

    What is held does not wait for the payment: only a lost dispute needs to know its lines.

    Raises:
        StopError: why nothing can be posted yet.
    """
    tenant = await session.get_one(Tenant, item.tenant_id)
    rows = [row for row in await movement_rows(session, item.source_id) if _is_of_dispute(row)]
    dispute = (await session.execute(select(Dispute).where(Dispute.stripe_id == item.source_id))).scalar_one_or_none()
    movements = tuple(movement_facts(row, tenant) for row in rows)
    if dispute is None or not any(one.in_scope for one in movements):
        return []
    is_loss_booked = await may_stand(session, item, LOST)
    needs_sale = dispute.status == LOST or is_loss_booked
    closed_at = dispute.closed_at
    facts = DisputeFacts(
        source_id=dispute.stripe_id,
        amount_minor=dispute.amount_minor,
        currency=dispute.currency,
        status=dispute.status,
        closed_on=closed_at.astimezone(ZoneInfo(tenant.time_zone)).date() if closed_at is not None else None,
        sale=await original_sale(session, dispute.payment_id, profile) if needs_sale else None,
        movements=movements,
        history=(
            *await history_of(session, item, dispute.payment_id, (rows[0].created_at, rows[0].stripe_id)),
            *await _lost_before(session, dispute),
        ),
        is_loss_booked=is_loss_booked,
    )
    books = await books_profile(session, profile)
    return plan_dispute(facts, books, reference=references(item, "TD"))


def _is_of_dispute(row: BalanceTransaction) -> bool:
    return booked_by(row.reporting_category, row.type, row.stripe_source_id) is BookedBy.DISPUTE


async def _lost_before(session: AsyncSession, dispute: Dispute) -> list[GivenBack]:
    """Return what earlier disputes of the same payment have lost of it: a bank may come for the rest later."""
    if dispute.payment_id is None or dispute.closed_at is None:
        return []
    statement = (
        select(Dispute)
        .where(
            Dispute.payment_id == dispute.payment_id,
            Dispute.stripe_id != dispute.stripe_id,
            Dispute.status == LOST,
            Dispute.closed_at.is_not(None),
        )
        .order_by(Dispute.closed_at, Dispute.stripe_id)
    )
    mine = (dispute.closed_at, dispute.stripe_id)
    lost = (await session.execute(statement)).scalars()
    return [
        GivenBack(row.stripe_id, row.amount_minor)
        for row in lost
        if row.closed_at is not None and (row.closed_at, row.stripe_id) < mine
    ]
