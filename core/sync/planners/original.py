"""The sale that a refund or a dispute goes back to: as it stands in the books, or as it would be booked now."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core.books.categories import BookedBy, booked_by
from core.books.documents import DocumentKind, Invoice, MoneyDocument, SalesReceipt
from core.books.facts import GivenBack, OriginalSale
from core.books.keys import reference_for
from core.books.presentment import home_lines
from core.db.models import (
    BalanceTransaction,
    BooksDocument,
    DocumentState,
    ItemKind,
    Payment,
    PaymentState,
    Refund,
    SyncItem,
)
from core.errors import StopError
from core.reasons import Reason
from core.sync.documents import thaw
from core.sync.items import is_begun
from core.sync.plan import ConnectedBooks, customer_document, plan_now

_FAILED = "refund_failure"


async def original_sale(session: AsyncSession, payment_id: UUID | None, profile: ConnectedBooks) -> OriginalSale:
    """Return the sale of a payment in the books' home currency.

    Raises:
        StopError: ``PAYMENT_NOT_KNOWN`` before the payment has been fetched, ``WAITS_FOR_PAYMENT`` while its sale has
            no plan; what stops the plan itself where no sale will ever be posted; ``RATE_NOT_KNOWN`` where the sale
            stands in another currency, at a rate that only the books know.
    """
    if payment_id is None:
        raise StopError(Reason.PAYMENT_NOT_KNOWN)
    payment = await session.get_one(Payment, payment_id)
    sold = await _sold(session, payment, profile)
    lines = home_lines(sold) if isinstance(sold, Invoice) else sold.lines
    return OriginalSale(
        source_id=payment.source_id,
        customer=await customer_document(session, payment, profile.home_currency),
        lines=tuple(lines),
        total_minor=sum(line.amount_minor + line.tax_minor for line in lines),
        paid_minor=payment.amount_minor,
        paid_currency=payment.currency,
    )


async def _sold(session: AsyncSession, payment: Payment, profile: ConnectedBooks) -> Invoice | SalesReceipt:
    standing = await _standing(session, payment, profile)
    if standing is not None:
        return standing
    reference = reference_for(profile.connection_id, payment.source_id)
    try:
        return _first_sold(await plan_now(session, payment, profile, reference=reference))
    except StopError as stop:
        if payment.state is PaymentState.IGNORED:
            # Its sale will never be posted here, so nobody else will be asked.
            raise
        raise StopError(Reason.WAITS_FOR_PAYMENT) from stop


async def _standing(session: AsyncSession, payment: Payment, profile: ConnectedBooks) -> Invoice | SalesReceipt | None:
    """Return the document of the sale that stands in these books, or may stand there."""
    statement = (
        select(BooksDocument)
        .join(SyncItem, SyncItem.id == BooksDocument.item_id)
        .where(
            SyncItem.payment_id == payment.id,
            SyncItem.kind == ItemKind.SALE,
            SyncItem.connection_id == profile.connection_id,
            is_begun(),
            BooksDocument.state != DocumentState.DROPPED,
            BooksDocument.kind.in_((DocumentKind.INVOICE, DocumentKind.SALES_RECEIPT)),
        )
        .order_by(BooksDocument.plan_version.desc())
        .limit(1)
    )
    row = (await session.execute(statement)).scalar_one_or_none()
    return _first_sold([thaw(row.kind, row.content)]) if row is not None else None


def _first_sold(documents: Sequence[MoneyDocument]) -> Invoice | SalesReceipt:
    return next(document for document in documents if isinstance(document, Invoice | SalesReceipt))


async def given_back_before(
    session: AsyncSession, payment_id: UUID | None, before: tuple[datetime, str]
) -> tuple[GivenBack, ...]:
    """Return what a payment gave back before a moment, oldest first: its refunds, and those that came back.

    Args:
        session: of the tenant.
        payment_id: the payment; without one nothing is known of it.
        before: moment and id of a balance transaction; the order of all of them is that of (moment, id).
    """
    if payment_id is None:
        return ()
    statement = (
        select(Refund.stripe_id, Refund.amount_minor, BalanceTransaction)
        .join(BalanceTransaction, BalanceTransaction.stripe_source_id == Refund.stripe_id)
        .where(Refund.payment_id == payment_id)
        .order_by(BalanceTransaction.created_at, BalanceTransaction.stripe_id)
    )
    return tuple(
        GivenBack(refund_id, -amount if row.reporting_category == _FAILED else amount)
        for refund_id, amount, row in (await session.execute(statement)).all()
        if (row.created_at, row.stripe_id) < before
        and booked_by(row.reporting_category, row.type, row.stripe_source_id) is BookedBy.REFUND
    )
