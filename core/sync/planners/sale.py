"""The documents of a sale: its payment's rows and the mapping in force."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core.books.documents import DocumentKind, MoneyDocument
from core.books.keys import reference_for
from core.db.models import BooksDocument, DocumentState, Payment, SyncItem
from core.errors import StopError
from core.reasons import Reason
from core.sync.items import is_begun
from core.sync.plan import ConnectedBooks, plan_now


async def plan_sale_item(session: AsyncSession, item: SyncItem, profile: ConnectedBooks) -> list[MoneyDocument]:
    """Plan the sale of an item's payment.

    Raises:
        StopError: why nothing can be posted yet.
    """
    if item.payment_id is None:
        raise StopError(Reason.PAYMENT_NOT_KNOWN)
    payment = await session.get_one(Payment, item.payment_id)
    reference = reference_for(item.connection_id, item.source_id)
    # Before its first plan was dropped, there is nothing that could stand.
    standing = await _standing(session, item) if item.plan_version else {}
    return list(await plan_now(session, payment, profile, reference=reference, standing=standing))


async def _standing(session: AsyncSession, item: SyncItem) -> dict[DocumentKind, str]:
    """Return kind and currency of the documents that stand, or may stand; a plan that nobody sent decides nothing."""
    statement = (
        select(BooksDocument.kind, BooksDocument.currency)
        .join(SyncItem, SyncItem.id == BooksDocument.item_id)
        .where(BooksDocument.item_id == item.id, BooksDocument.state != DocumentState.DROPPED, is_begun())
    )
    return {row.kind: row.currency for row in (await session.execute(statement)).all()}
