"""From an item of the queue to the documents that should stand for it now: one planner for each kind of item.

The planners read rows into plain facts; what the documents are is decided by the pure functions of :mod:`core.books`.
They may be called again at any time, and as long as nothing has changed they return the same documents.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from core.books.documents import Customer, MoneyDocument
from core.db.models import Customer as CustomerRow
from core.db.models import ItemKind, SyncItem
from core.sync.documents import is_foreign_step, step_customer_id
from core.sync.plan import ConnectedBooks
from core.sync.planners.dispute import plan_dispute_item
from core.sync.planners.fees import plan_fees_item, take_up
from core.sync.planners.movement import plan_movement_item, plan_opening_item
from core.sync.planners.payout import plan_payout_item
from core.sync.planners.refund import plan_refund_item
from core.sync.planners.sale import plan_sale_item

Planner = Callable[[AsyncSession, SyncItem, ConnectedBooks], Awaitable[list[MoneyDocument]]]

PLANNERS: Mapping[ItemKind, Planner] = {
    ItemKind.SALE: plan_sale_item,
    ItemKind.REFUND: plan_refund_item,
    ItemKind.DISPUTE: plan_dispute_item,
    ItemKind.PAYOUT: plan_payout_item,
    ItemKind.FEES: plan_fees_item,
    ItemKind.MOVEMENT: plan_movement_item,
    ItemKind.OPENING: plan_opening_item,
}
"""Who plans what; every kind of :data:`core.db.models.POSTED_KINDS` is here."""


async def plan(session: AsyncSession, item: SyncItem, profile: ConnectedBooks) -> list[MoneyDocument]:
    """Return the documents that should stand in the books for an item now, in the order in which to post them.

    An empty list means that nothing is to be booked, such as for a refund that is still pending.

    Raises:
        StopError: why nothing can be posted yet.
    """
    return await PLANNERS[item.kind](session, item, profile)


async def after_freeze(session: AsyncSession, item: SyncItem, documents: Sequence[MoneyDocument]) -> None:
    """Note what the documents of an item take up for good; called in the transaction that freezes them."""
    if item.kind is ItemKind.FEES:
        await take_up(session, item, documents)


async def customer_for(session: AsyncSession, step: str, currency: str) -> Customer:
    """Return the client of a step ``customer:…`` as the books should know them.

    Args:
        session: of the tenant.
        step: as the document names it.
        currency: of the document, in which the client pays.
    """
    row = await session.get_one(CustomerRow, step_customer_id(step))
    return Customer(
        customer_id=str(row.id),
        name=row.name,
        email=row.email,
        currency=currency,
        phone=row.phone,
        stripe_customer_id=row.stripe_customer_id,
        is_foreign=is_foreign_step(step),
    )
