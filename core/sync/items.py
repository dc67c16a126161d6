"""Items: what is to be brought up to date, and when. The items are the queue."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, exists, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from core.accounting import registry
from core.books.documents import MONEY, DocumentKind
from core.db.models import (
    POSTED_KINDS,
    BalanceTransaction,
    BooksDocument,
    ClearingLine,
    Connection,
    ConnectionStatus,
    DocumentState,
    ItemKind,
    ItemState,
    Operation,
    OperationState,
    Payment,
    PaymentState,
    SyncItem,
    Tenant,
)
from core.db.session import announce
from core.db.upsert import insert_missing
from core.intake.facts import PaymentFacts
from core.intake.store import store_payment
from core.live import touch
from core.money import to_decimal
from core.reasons import Reason
from core.signals import WORK

WAITS = frozenset({Reason.SETTLEMENT_PENDING, Reason.PAYMENT_NOT_KNOWN, Reason.WAITS_FOR_PAYMENT})
"""Reasons that end by themselves: what is missing is on its way, and nobody has to do anything."""

_WAITED_LONG = timedelta(hours=1)

_OF_THE_FACTS = frozenset(
    {
        Reason.LINES_DO_NOT_ADD_UP,
        Reason.SERVICE_NOT_MAPPED,
        Reason.TAX_CODE_MISFIT,
        Reason.CURRENCY_NOT_ENABLED,
        Reason.SETTLED_ELSEWHERE,
    }
)
"""Reasons that other facts may end: Stripe's lines, or the product behind them, came later than the money."""


async def enqueue(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    connection_id: UUID,
    kind: ItemKind,
    source_id: str,
    due_at: datetime,
    payment_id: UUID | None = None,
    now: datetime | None = None,
) -> None:
    """Ask for an item to be brought up to date at ``due_at``; an item that exists learns that there is news."""
    await insert_missing(
        session,
        SyncItem,
        [
            {
                "id": uuid4(),
                "tenant_id": tenant_id,
                "connection_id": connection_id,
                "kind": kind,
                "source_id": source_id,
                "payment_id": payment_id,
                "state": ItemState.PENDING,
                "wanted": 0,
                "done": 0,
                "plan_version": 0,
                "tries": 0,
                "due_at": None,
                "reason": None,
                "reason_detail": {},
                "created_at": now or due_at,
                "changed_at": now or due_at,
            }
        ],
    )
    item = (
        await session.execute(
            select(SyncItem)
            .where(
                SyncItem.tenant_id == tenant_id,
                SyncItem.connection_id == connection_id,
                SyncItem.kind == kind,
                SyncItem.source_id == source_id,
            )
            .with_for_update()
            # Whoever held the row until now has changed it: a copy in this session's memory is from before.
            .execution_options(populate_existing=True)
        )
    ).scalar_one()
    item.wanted += 1
    item.payment_id = item.payment_id or payment_id
    if item.state is ItemState.BLOCKED and item.reason in WAITS:
        # What it waited for may be the very news.
        reopen(item, now=due_at)
    elif item.state not in (ItemState.NEEDS_ATTENTION, ItemState.BLOCKED, ItemState.IGNORED):
        item.due_at = min(item.due_at, due_at) if item.due_at else due_at
        if item.state is ItemState.DONE:
            # It waits again, and must be parked with the others when its connection ends.
            item.state = ItemState.PENDING
    announce(session, WORK, str(connection_id))


def mirror(payment: Payment, state: PaymentState, item: SyncItem | None = None) -> None:
    """Show an item's standing on its payment, so that the table reads one row."""
    payment.state = state
    payment.reason = item.reason if item else None
    payment.reason_detail = dict(item.reason_detail) if item else {}
    payment.next_try_at = item.due_at if item and item.state is ItemState.PENDING and item.reason else None


def set_waiting(payment: Payment, reason: Reason, detail: Mapping[str, object] | None = None) -> None:
    """Let a payment wait for a stated reason that no item stands for yet."""
    payment.state = PaymentState.WAITING
    payment.reason = reason
    payment.reason_detail = dict(detail or {})
    payment.next_try_at = None


async def books_connection(session: AsyncSession) -> Connection | None:
    """Return the tenant's set of books in use, if any."""
    statement = (
        select(Connection)
        .where(Connection.kind != "stripe", Connection.status != ConnectionStatus.CLOSED)
        .order_by(Connection.created_at.desc())
        .limit(1)
    )
    return (await session.execute(statement)).scalar_one_or_none()


def is_begun() -> ColumnElement[bool]:
    """Say of an item that a document of it stands, or may stand, in its books: it belongs to them for good."""
    return exists().where(
        Operation.item_id == SyncItem.id,
        Operation.kind.in_(MONEY),
        or_(
            Operation.state == OperationState.CONFIRMED,
            (Operation.state != OperationState.REJECTED) & (Operation.sends > 0),
        ),
    )


async def find_sale(session: AsyncSession, payment: Payment, books: Connection | None) -> SyncItem | None:
    """Return the sale item that speaks for a payment, locked.

    The one of which something stands in some books, connected or not; otherwise that of the books in use.
    """
    mine = select(SyncItem).where(SyncItem.payment_id == payment.id, SyncItem.kind == ItemKind.SALE)
    standing = mine.where(or_(SyncItem.state == ItemState.DONE, is_begun())).order_by(SyncItem.created_at)
    found = (await session.execute(standing.limit(1).with_for_update())).scalar_one_or_none()
    if found is None and books is not None:
        theirs = mine.where(SyncItem.connection_id == books.id).with_for_update()
        found = (await session.execute(theirs)).scalar_one_or_none()
    return found


async def take_facts(
    session: AsyncSession, *, tenant_id: UUID, connection_id: UUID, facts: PaymentFacts, now: datetime
) -> Payment:
    """Store what Stripe says of a payment and offer it to the books."""
    known = select(Payment.facts_hash).where(Payment.source_id == facts.source_id)
    before = (await session.execute(known)).scalar_one_or_none()
    payment = await store_payment(session, tenant_id=tenant_id, connection_id=connection_id, facts=facts, now=now)
    await offer_sale(session, payment, now=now, is_news=before not in (None, payment.facts_hash))
    await fill_clearing_lines(session, payment)
    return payment


async def fill_clearing_lines(session: AsyncSession, payment: Payment) -> None:
    """Name the balance transaction of a sale's money in its clearing lines, once Stripe has made it."""
    if payment.stripe_balance_transaction_id is None:
        return
    documents = (
        select(BooksDocument.id)
        .join(SyncItem, SyncItem.id == BooksDocument.item_id)
        .where(SyncItem.payment_id == payment.id, SyncItem.kind == ItemKind.SALE)
    )
    await session.execute(
        update(ClearingLine)
        .where(ClearingLine.document_id.in_(documents), ClearingLine.stripe_balance_transaction_id.is_(None))
        .values(stripe_balance_transaction_id=payment.stripe_balance_transaction_id)
        .execution_options(synchronize_session=False)
    )


async def fill_all_clearing_lines(session: AsyncSession, payments: Sequence[Payment]) -> None:
    """The same for several payments: nearly always Stripe had made it before the sale was planned."""
    known = {payment.id: payment for payment in payments if payment.stripe_balance_transaction_id is not None}
    if not known:
        return
    unnamed = (
        select(SyncItem.payment_id)
        .join(BooksDocument, BooksDocument.item_id == SyncItem.id)
        .join(ClearingLine, ClearingLine.document_id == BooksDocument.id)
        .where(
            SyncItem.payment_id.in_(known),
            SyncItem.kind == ItemKind.SALE,
            ClearingLine.stripe_balance_transaction_id.is_(None),
        )
        .distinct()
    )
    for payment_id in (await session.execute(unnamed)).scalars().all():
        if payment_id is not None:
            await fill_clearing_lines(session, known[payment_id])


async def offer_sale(session: AsyncSession, payment: Payment, *, now: datetime, is_news: bool = False) -> None:
    """Give a payment its sale item if it can be posted now; otherwise say what it waits for.

    Called whenever facts, the books or the start date change; safe to repeat. What stands in some books is never
    offered to others. ``is_news``: Stripe says something else than it did before.
    """
    books = await books_connection(session)
    item = await find_sale(session, payment, books)
    if item is not None and (item.state is ItemState.DONE or await _is_begun(session, item)):
        if is_news and item.state is ItemState.DONE:
            await _compare(session, payment, item, now=now)
        return
    if payment.state is PaymentState.IGNORED and payment.reason is not Reason.BEFORE_START:
        return
    if books is None:
        set_waiting(payment, Reason.BOOKS_NOT_CONNECTED)
        return
    tenant = await session.get_one(Tenant, payment.tenant_id)
    name = registry.get(books.kind).display_name
    if tenant.posting_starts_at is None:
        set_waiting(payment, Reason.NOT_STARTED, {"books": name})
        return
    if await _moved_at(session, payment) < tenant.posting_starts_at:
        payment.state = PaymentState.IGNORED
        payment.reason = Reason.BEFORE_START
        payment.reason_detail = {"books": name, "start": tenant.posting_starts_at.date().isoformat()}
        return
    if item is None:
        await enqueue(
            session,
            tenant_id=payment.tenant_id,
            connection_id=books.id,
            kind=ItemKind.SALE,
            source_id=payment.source_id,
            payment_id=payment.id,
            due_at=now,
        )
        payment.state, payment.reason, payment.reason_detail = PaymentState.WAITING, None, {}
    elif _may_go_on(item, is_news=is_news):
        reopen(item, now=now)
        mirror(payment, PaymentState.WAITING, item)
        announce(session, WORK, str(item.connection_id))


async def _moved_at(session: AsyncSession, payment: Payment) -> datetime:
    """Return when the money reached Stripe's balance: for slow ways of paying, days after the client began to pay."""
    moved = select(BalanceTransaction.created_at).where(
        BalanceTransaction.stripe_id == payment.stripe_balance_transaction_id
    )
    return (await session.execute(moved)).scalar_one_or_none() or payment.paid_at


async def say_where_it_stays(session: AsyncSession, payment: Payment, item: SyncItem, *, now: datetime) -> None:
    """Tell of a sale whose books are disconnected whether it belongs to them for good, or may go to the next ones."""
    if not await _is_begun(session, item):
        await offer_sale(session, payment, now=now)
        return
    connection = await session.get_one(Connection, item.connection_id)
    set_waiting(payment, Reason.RECONNECT_BOOKS, {"books": registry.get(connection.kind).display_name})


def _may_go_on(item: SyncItem, *, is_news: bool) -> bool:
    if item.state is ItemState.BLOCKED:
        return item.reason is Reason.SETTLEMENT_PENDING
    if item.state is ItemState.NEEDS_ATTENTION:
        return is_news and item.reason in _OF_THE_FACTS
    # Left out once, in these books, and taken up again while others were connected.
    return item.state is ItemState.IGNORED


async def _is_begun(session: AsyncSession, item: SyncItem) -> bool:
    found = await session.execute(select(SyncItem.id).where(SyncItem.id == item.id, is_begun()))
    return found.first() is not None


async def _compare(session: AsyncSession, payment: Payment, item: SyncItem, *, now: datetime) -> None:
    """Say so when Stripe's amount is no longer the one that stands in the books; nothing there is changed."""
    statement = select(BooksDocument).where(
        BooksDocument.item_id == item.id,
        BooksDocument.kind.in_((DocumentKind.INVOICE, DocumentKind.SALES_RECEIPT)),
        BooksDocument.state == DocumentState.POSTED,
    )
    invoice = (await session.execute(statement)).scalar_one_or_none()
    if invoice is None:
        return
    off = off_by(payment, invoice)
    if off is None:
        return
    connection = await session.get_one(Connection, item.connection_id)
    item.state, item.due_at, item.reason = ItemState.NEEDS_ATTENTION, None, Reason.TOTALS_DIFFER
    item.reason_detail = {"books": registry.get(connection.kind).display_name, **off}
    item.changed_at = now
    mirror(payment, PaymentState.NEEDS_ATTENTION, item)


def off_by(payment: Payment, sold: BooksDocument) -> dict[str, object] | None:
    """Return by how much an invoice or a receipt is off what Stripe says of its payment; None where it is not."""
    is_home = payment.currency == sold.currency.lower()
    expected = payment.amount_minor if is_home else payment.settled_minor
    if expected is None or expected == sold.total_minor:
        return None
    return difference(sold.total_minor, expected, sold.currency)


def difference(found_minor: int, expected_minor: int, currency: str) -> dict[str, object]:
    """Return two amounts that should be equal, for people."""
    values = {"found": found_minor, "expected": expected_minor, "difference": abs(found_minor - expected_minor)}
    return {name: f"{to_decimal(minor, currency)} {currency.upper()}" for name, minor in values.items()}


def reopen(item: SyncItem, *, now: datetime) -> None:
    """Put a stopped item back into the queue."""
    item.state = ItemState.PENDING
    item.reason = None
    item.reason_detail = {}
    item.provider_text = None
    item.provider_request_id = None
    item.tries = 0
    item.due_at = now
    item.changed_at = now


async def look_at_waiting(session: AsyncSession, connection_id: UUID, *, now: datetime) -> int:
    """Look again at what has waited for its payment for a while; return how many (F2).

    The payment wakes them when it comes, but not one that only begins to wait in the same moment.
    """
    statement = select(SyncItem).where(
        SyncItem.connection_id == connection_id,
        SyncItem.kind != ItemKind.SALE,
        SyncItem.state == ItemState.BLOCKED,
        SyncItem.reason.in_((Reason.PAYMENT_NOT_KNOWN, Reason.WAITS_FOR_PAYMENT)),
        SyncItem.changed_at <= now - _WAITED_LONG,
    )
    found = (await session.execute(statement.order_by(SyncItem.id).with_for_update())).scalars().all()
    for item in found:
        reopen(item, now=now)
    return len(found)


async def enqueue_waiting_sales(session: AsyncSession, tenant_id: UUID, connection_id: UUID, now: datetime) -> int:
    """Offer every payment that waits for books or for the start to the books that are there now; return how many."""
    waiting = {Reason.BOOKS_NOT_CONNECTED, Reason.NOT_STARTED, Reason.BEFORE_START}
    statement = select(Payment).where(Payment.reason.in_(waiting)).order_by(Payment.paid_at)
    count = 0
    for payment in (await session.execute(statement)).scalars().all():
        await offer_sale(session, payment, now=now)
        count += 1
    announce(session, WORK, str(connection_id))
    await touch(session, tenant_id)
    return count


async def unblock_connection(session: AsyncSession, connection_id: UUID, *, now: datetime) -> int:
    """Let everything go on that waited for a sign-in to this connection; return how many items."""
    statement = select(SyncItem).where(
        SyncItem.connection_id == connection_id,
        SyncItem.state == ItemState.BLOCKED,
        SyncItem.reason.in_({Reason.RECONNECT_BOOKS, Reason.RECONNECT_STRIPE, Reason.OTHER_COMPANY}),
    )
    items = (await session.execute(statement)).scalars().all()
    count = 0
    for item in items:
        payment = await session.get_one(Payment, item.payment_id) if item.payment_id is not None else None
        if item.kind is ItemKind.SALE and payment is not None:
            count += await _take_back(session, payment, item, now=now)
        elif not await _is_elsewhere(session, item, now=now):
            reopen(item, now=now)
            count += 1
    announce(session, WORK, str(connection_id))
    return count


async def _take_back(session: AsyncSession, payment: Payment, item: SyncItem, *, now: datetime) -> bool:
    """Let a sale go on in the books that are back, unless other books have it by now, or a person left it out."""
    speaks = await find_sale(session, payment, None)
    if speaks is not None and speaks.id != item.id:
        return False
    if payment.state is PaymentState.IGNORED:
        item.state, item.reason, item.reason_detail = ItemState.IGNORED, payment.reason, dict(payment.reason_detail)
        return False
    mirror(payment, PaymentState.WAITING)
    reopen(item, now=now)
    return True


async def _is_elsewhere(session: AsyncSession, item: SyncItem, *, now: datetime) -> bool:
    """Say whether other books have by now what an item of books that are back would post, or a person left it out."""
    if item.kind not in POSTED_KINDS or await _is_begun(session, item):
        return False
    others = select(SyncItem, is_begun()).where(
        SyncItem.kind == item.kind, SyncItem.source_id == item.source_id, SyncItem.id != item.id
    )
    found = [(other, begun) for other, begun in (await session.execute(others)).all()]
    if any(begun for _, begun in found):
        # There is nothing to do here, and news of it are for the books that have it.
        item.state, item.due_at, item.reason, item.reason_detail = ItemState.DONE, None, None, {}
        item.changed_at = now
        return True
    left_out = [other for other, _ in found if other.reason is Reason.IGNORED_BY_PERSON]
    if left_out:
        item.state, item.due_at = ItemState.IGNORED, None
        item.reason, item.reason_detail = left_out[0].reason, dict(left_out[0].reason_detail)
        item.changed_at = now
    return bool(left_out)
