"""The conditions and small reads that the table, the sums and the exports share, so that they cannot disagree."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo
from uuid import UUID

from sqlalchemy import ColumnElement, exists, func, literal, select
from sqlalchemy.ext.asyncio import AsyncSession

from core.books.documents import DocumentKind
from core.db.models import BooksDocument, DocumentState, ItemKind, Payment, PaymentLine, Service, SyncItem
from core.reports.query import PaymentQuery, bounds, like_pattern


@dataclass(frozen=True, slots=True)
class Sold:
    """What a payment was for: its services in words, the first one, and the tax in it (None: Stripe said nothing)."""

    label: str
    service_id: UUID | None
    tax_minor: int | None


@dataclass(frozen=True, slots=True)
class PostedInvoice:
    """The invoice that stands in the books for a payment."""

    number: str | None
    external_id: str


NOTHING_SOLD = Sold("", None, None)


def conditions(query: PaymentQuery, zone: tzinfo) -> list[ColumnElement[bool]]:
    """Return what rows of ``query`` satisfy, whatever their state and page."""
    found = in_period(query, zone)
    if query.service_id is not None:
        # Wrapped so that no index on the service is used: SQLite would walk all its sales again for each payment.
        service = func.coalesce(PaymentLine.service_id, PaymentLine.service_id)
        found.append(exists().where(PaymentLine.payment_id == Payment.id, service == query.service_id))
    spaced = literal(" ") + Payment.search
    found.extend(spaced.like(like_pattern(word), escape="\\") for word in query.words)
    return found


def in_period(query: PaymentQuery, zone: tzinfo) -> list[ColumnElement[bool]]:
    """Return what the dates of ``query`` ask of a row."""
    start, end = bounds(query, zone)
    found: list[ColumnElement[bool]] = []
    if start is not None:
        found.append(Payment.paid_at >= start)
    if end is not None:
        found.append(Payment.paid_at < end)
    return found


async def read_sold(session: AsyncSession, payment_ids: Sequence[UUID]) -> dict[UUID, Sold]:
    """Return what each payment was for."""
    statement = (
        select(PaymentLine.payment_id, PaymentLine.service_id, Service.name, PaymentLine.tax_minor, PaymentLine.has_tax)
        .join(Service, Service.id == PaymentLine.service_id)
        .where(PaymentLine.payment_id.in_(payment_ids))
        .order_by(PaymentLine.payment_id, PaymentLine.position)
    )
    lines = defaultdict(list)
    for payment_id, service_id, name, tax_minor, has_tax in await session.execute(statement):
        lines[payment_id].append((service_id, name, tax_minor, has_tax))
    return {
        payment_id: Sold(
            label=label(list(dict.fromkeys(name for _, name, _, _ in parts))),
            service_id=parts[0][0],
            tax_minor=sum(tax for _, _, tax, _ in parts) if any(known for *_, known in parts) else None,
        )
        for payment_id, parts in lines.items()
    }


async def read_posted_invoices(session: AsyncSession, payment_ids: Sequence[UUID]) -> dict[UUID, PostedInvoice]:
    """Return the invoice in the books of each payment that has one; the newest where there were several."""
    # Said twice on purpose: without the inner list SQLite walks through every document of the tenant.
    items = select(SyncItem.id).where(SyncItem.payment_id.in_(payment_ids), SyncItem.kind == ItemKind.SALE)
    statement = (
        select(SyncItem.payment_id, BooksDocument.external_number, BooksDocument.external_id)
        .join(BooksDocument, BooksDocument.item_id == SyncItem.id)
        .where(
            BooksDocument.item_id.in_(items),
            BooksDocument.kind == DocumentKind.INVOICE,
            BooksDocument.state == DocumentState.POSTED,
            BooksDocument.external_id.is_not(None),
        )
        .order_by(BooksDocument.created_at)
    )
    found = await session.execute(statement)
    return {
        payment_id: PostedInvoice(number, external_id)
        for payment_id, number, external_id in found
        if payment_id is not None and external_id is not None
    }


def label(names: list[str]) -> str:
    """Say several services in one line: "Album", "Album and Prints", "Album and 2 more"."""
    if len(names) <= 2:
        return " and ".join(names)
    return f"{names[0]} and {len(names) - 1} more"
