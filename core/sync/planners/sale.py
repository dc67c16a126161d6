"""The documents of a sale: its payment's rows and the mapping in force."""

from sqlalchemy.ext.asyncio import AsyncSession

from core.books.documents import MoneyDocument
from core.books.keys import reference_for
from core.db.models import Payment, SyncItem
from core.errors import StopError
from core.reasons import Reason
from core.sync.plan import ConnectedBooks, plan_now


async def plan_sale_item(session: AsyncSession, item: SyncItem, profile: ConnectedBooks) -> list[MoneyDocument]:
    """Plan the sale of an item's payment.

    Raises:
        StopError: why nothing can be posted yet.
    """
    if item.payment_id is None:
        raise StopError(Reason.PAYMENT_NOT_KNOWN)
    payment = await session.get_one(Payment, item.payment_id)
    return list(await plan_now(session, payment, profile, reference=reference_for(item.connection_id, item.source_id)))
