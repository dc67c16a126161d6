"""What would be posted for a payment, before anything is: the very plan that the engine would freeze."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core.accounting import registry
from core.books.documents import MoneyDocument
from core.books.keys import reference_for
from core.db.models import Payment
from core.errors import NotFoundError, StopError
from core.reasons import Reason
from core.sync.items import books_connection
from core.sync.plan import ConnectedBooks, plan_now


async def preview_sale(session: AsyncSession, payment_id: UUID) -> tuple[MoneyDocument, ...] | StopError:
    """Return the planned documents, or the reason why there is no plan.

    Raises:
        NotFoundError: no such payment of this tenant.
    """
    payment = (await session.execute(select(Payment).where(Payment.id == payment_id))).scalar_one_or_none()
    if payment is None:
        raise NotFoundError("no such payment")
    connection = await books_connection(session)
    if connection is None:
        return StopError(Reason.BOOKS_NOT_CONNECTED)
    books = ConnectedBooks(connection, registry.get(connection.kind).display_name)
    try:
        return await plan_now(session, payment, books, reference=reference_for(connection.id, payment.source_id))
    except StopError as stop:
        return stop
