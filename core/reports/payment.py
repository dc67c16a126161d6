"""One payment: what is known of it, what stands or will stand in the books, and what happened on the way."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core.books.documents import DocumentKind
from core.books.ledger_lines import LedgerLine, currency_of, ledger_lines
from core.db.models import (
    Attempt,
    BooksDocument,
    Customer,
    DocumentState,
    ItemKind,
    Payment,
    PaymentState,
    Service,
    StripeEvent,
    SyncItem,
    User,
)
from core.db.models import PaymentLine as PaymentLineRow
from core.errors import NotFoundError, StopError
from core.reports import words
from core.reports.differences import Difference, difference_of
from core.reports.payment_movements import (
    FeeShare,
    Moved,
    PaidOut,
    documents_of,
    fee_share,
    later_items,
    moved_for,
    paid_out_by,
)
from core.reports.payments import client_name
from core.reports.standing import Standing
from core.reports.timeline import Happening, Try, tell
from core.sync.documents import thaw
from core.sync.preview import preview_sale
from core.sync.recreate import can_recreate, gone_of, in_the_way

MAX_TRIES_SHOWN = 200


@dataclass(frozen=True, slots=True)
class SoldLine:
    """One part of the payment, as Stripe says it, in the client's currency."""

    service: str
    service_id: UUID
    description: str
    quantity: int
    amount_minor: int
    tax_minor: int
    found_by: str


@dataclass(frozen=True, slots=True)
class InBooks:
    """A document of ours in the books. ``difference`` is None while it stands as it was sent."""

    kind: DocumentKind
    number: str
    external_id: str
    day: date
    total_minor: int
    currency: str
    difference: Difference | None = None


@dataclass(frozen=True, slots=True)
class Ledger:
    """The debits and credits, in minor units of ``currency``. ``is_posted``: all of them stand in the books."""

    currency: str
    lines: list[LedgerLine]
    is_posted: bool


@dataclass(frozen=True, slots=True)
class Seen:
    """The message of Stripe that told us of the payment."""

    at: datetime
    type: str


@dataclass(frozen=True, slots=True)
class PaymentDetail:
    """The whole record. ``tries`` counts calls that were refused or unclear; ``said`` are the provider's own words.

    ``recreate_item_id`` is set where a person may have made again what was removed in the books; ``in_the_way`` is what
    they have to put right there first.
    """

    payment: Payment
    client: str
    email: str | None
    service: str
    service_id: UUID | None
    lines: list[SoldLine]
    why: words.Why | None
    can_retry: bool
    can_ignore: bool
    ledger: Ledger | None
    documents: list[InBooks]
    reference: str | None
    said: str
    said_reference: str
    tries: int
    last_tried_at: datetime | None
    seen: Seen | None
    history: list[Happening]
    moved: list[Moved]
    paid_out: PaidOut | None
    recreate_item_id: UUID | None = None
    in_the_way: InBooks | None = None


async def payment_detail(session: AsyncSession, payment_id: UUID, *, standing: Standing) -> PaymentDetail:
    """Read one payment of the session's tenant.

    Raises:
        NotFoundError: there is none with this id, or it is another tenant's (T6).
    """
    payment, customer = await _payment(session, payment_id)
    lines = await _lines(session, payment_id)
    item = await _item(session, payment_id, standing)
    documents = await _documents(session, item) if item else []
    later = await later_items(session, payment_id, item.connection_id) if item else []
    after = await documents_of(session, later)
    fee = await fee_share(session, payment)
    blocks = in_the_way(documents) if gone_of(documents) else None
    tries = await _tries(session, [item, *later]) if item else []
    posted = [row for row in documents if row.state is DocumentState.POSTED]
    shown = [*posted, *([fee.row] if fee else []), *(row for row in after if row.state is DocumentState.POSTED)]
    client, service = (
        client_name(customer.name, customer.email),
        ", ".join(dict.fromkeys(line.service for line in lines)),
    )
    return PaymentDetail(
        payment=payment,
        client=client,
        email=customer.email,
        service=service or payment.description[:120],
        service_id=lines[0].service_id if lines else None,
        lines=lines,
        why=words.explain(
            standing,
            state=payment.state,
            reason=payment.reason,
            detail=payment.reason_detail,
            next_try_at=payment.next_try_at,
            client=client,
            service=lines[0].service if lines else "",
        ),
        can_retry=words.can_retry(
            standing, state=payment.state, reason=payment.reason, next_try_at=payment.next_try_at
        ),
        can_ignore=words.can_ignore(payment.state) and not posted,
        ledger=await _ledger(session, payment, documents, fee, after),
        documents=[_in_books(row) for row in shown],
        reference=documents[0].reference if documents else None,
        said=(item.provider_text or "") if item else "",
        said_reference=(item.provider_request_id or "") if item else "",
        tries=sum(one.outcome in words.FAILED for one in tries),
        last_tried_at=max((one.at for one in tries if one.outcome in words.FAILED), default=None),
        seen=await _seen(session, payment),
        history=tell(tries, books=standing.books_name),
        moved=await moved_for(session, payment),
        paid_out=await paid_out_by(session, payment),
        recreate_item_id=item.id if item and can_recreate(item, documents) else None,
        in_the_way=_in_books(blocks) if blocks else None,
    )


async def _payment(session: AsyncSession, payment_id: UUID) -> tuple[Payment, Customer]:
    statement = (
        select(Payment, Customer).join(Customer, Customer.id == Payment.customer_id).where(Payment.id == payment_id)
    )
    found = (await session.execute(statement)).one_or_none()
    if found is None:
        raise NotFoundError("no such payment")
    return found[0], found[1]


async def _lines(session: AsyncSession, payment_id: UUID) -> list[SoldLine]:
    statement = (
        select(PaymentLineRow, Service.name)
        .join(Service, Service.id == PaymentLineRow.service_id)
        .where(PaymentLineRow.payment_id == payment_id)
        .order_by(PaymentLineRow.position)
    )
    return [
        SoldLine(name, row.service_id, row.description, row.quantity, row.amount_minor, row.tax_minor, row.found_by)
        for row, name in (await session.execute(statement)).all()
    ]


async def _item(session: AsyncSession, payment_id: UUID, standing: Standing) -> SyncItem | None:
    """Return the sale's item in the present books; in earlier books when there are no other."""
    statement = (
        select(SyncItem)
        .where(SyncItem.payment_id == payment_id, SyncItem.kind == ItemKind.SALE)
        .order_by(SyncItem.created_at.desc())
    )
    items = (await session.execute(statement)).scalars().all()
    present = standing.books.connection.id if standing.books else None
    return next((item for item in items if item.connection_id == present), items[0] if items else None)


async def _documents(session: AsyncSession, item: SyncItem) -> list[BooksDocument]:
    """Return the documents that were not dropped, invoice first; of what was planned anew, each step once."""
    statement = (
        select(BooksDocument)
        .where(BooksDocument.item_id == item.id, BooksDocument.state != DocumentState.DROPPED)
        .order_by(BooksDocument.plan_version, BooksDocument.position)
    )
    newest = {row.step: row for row in (await session.execute(statement)).scalars()}
    return sorted(newest.values(), key=lambda row: row.position)


async def _tries(session: AsyncSession, items: Sequence[SyncItem]) -> list[Try]:
    statement = (
        select(Attempt, User.name, User.email)
        .outerjoin(User, User.id == Attempt.by_user_id)
        .where(Attempt.item_id.in_([item.id for item in items]))
        .order_by(Attempt.at.desc())
        .limit(MAX_TRIES_SHOWN)
    )
    return [
        Try(row.outcome, row.step, row.at, row.text, name or email)
        for row, name, email in (await session.execute(statement)).all()
    ]


async def _seen(session: AsyncSession, payment: Payment) -> Seen | None:
    """Find the first message about the payment. The inbox is no tenant's table, so the tenant is asked for by name."""
    statement = (
        select(StripeEvent.received_at, StripeEvent.type)
        .where(StripeEvent.object_id == payment.source_id, StripeEvent.tenant_id == payment.tenant_id)
        .order_by(StripeEvent.received_at)
        .limit(1)
    )
    found = (await session.execute(statement)).one_or_none()
    return Seen(*found) if found else None


async def _ledger(
    session: AsyncSession,
    payment: Payment,
    documents: list[BooksDocument],
    fee: FeeShare | None,
    after: list[BooksDocument],
) -> Ledger | None:
    """Return the frozen lines, or those that a plan made now would freeze; None where there can be none yet.

    Of the fees that are booked together only this payment's own lines are shown.
    """
    frozen = [thaw(row.kind, row.content) for row in documents]
    if not frozen and payment.state in (PaymentState.IGNORED, PaymentState.UNDONE):
        return None
    if not frozen:
        planned = await preview_sale(session, payment.id)
        if isinstance(planned, StopError):
            return None
        frozen = list(planned)
    frozen += [fee.document] if fee else []
    frozen += [thaw(row.kind, row.content) for row in after]
    return Ledger(
        currency=currency_of(frozen[0]),
        lines=[line for document in frozen for line in ledger_lines(document)],
        is_posted=bool(documents) and all(row.state is DocumentState.POSTED for row in [*documents, *after]),
    )


def _in_books(row: BooksDocument) -> InBooks:
    return InBooks(
        kind=row.kind,
        number=row.external_number or row.reference,
        external_id=row.external_id or "",
        day=row.book_date,
        total_minor=row.total_minor,
        currency=row.currency,
        difference=difference_of(row),
    )
