"""Items: what is to be brought up to date, and when. The items are the queue."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core.accounting import registry
from core.db.models import (
    Connection,
    ConnectionStatus,
    ItemKind,
    ItemState,
    Payment,
    PaymentState,
    SyncItem,
    Tenant,
)
from core.db.session import announce
from core.db.upsert import insert_missing
from core.live import touch
from core.reasons import Reason
from core.signals import WORK

_WAITING_REASONS = {
    None,
    Reason.BOOKS_NOT_CONNECTED,
    Reason.NOT_STARTED,
    Reason.SETTLEMENT_PENDING,
    Reason.RATE_LIMITED,
    Reason.PROVIDER_DOWN,
    Reason.OUTCOME_UNKNOWN,
    Reason.RECONNECT_BOOKS,
    Reason.RECONNECT_STRIPE,
}


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
        )
    ).scalar_one()
    item.wanted += 1
    item.payment_id = item.payment_id or payment_id
    if item.state not in (ItemState.NEEDS_ATTENTION, ItemState.BLOCKED, ItemState.IGNORED):
        item.due_at = min(item.due_at, due_at) if item.due_at else due_at
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


async def offer_sale(session: AsyncSession, payment: Payment, *, now: datetime) -> None:
    """Give a payment its sale item if it can be posted now; otherwise say what it waits for.

    Called whenever facts, the books or the start date change; safe to repeat.
    """
    tenant = await session.get_one(Tenant, payment.tenant_id)
    books = await books_connection(session)
    if payment.state is PaymentState.IGNORED and payment.reason is not Reason.BEFORE_START:
        return
    if books is None:
        set_waiting(payment, Reason.BOOKS_NOT_CONNECTED)
        return
    name = registry.get(books.kind).display_name
    if tenant.posting_starts_at is None:
        set_waiting(payment, Reason.NOT_STARTED, {"books": name})
        return
    if payment.paid_at < tenant.posting_starts_at:
        payment.state = PaymentState.IGNORED
        payment.reason = Reason.BEFORE_START
        payment.reason_detail = {"books": name, "start": tenant.posting_starts_at.date().isoformat()}
        return
    await _offer(session, payment, books, now=now)


async def _offer(session: AsyncSession, payment: Payment, books: Connection, *, now: datetime) -> None:
    statement = select(SyncItem).where(
        SyncItem.connection_id == books.id, SyncItem.kind == ItemKind.SALE, SyncItem.source_id == payment.source_id
    )
    item = (await session.execute(statement)).scalar_one_or_none()
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
        return
    if item.state is ItemState.BLOCKED and item.reason is Reason.SETTLEMENT_PENDING:
        reopen(item, now=now)
        mirror(payment, PaymentState.WAITING, item)
        announce(session, WORK, str(item.connection_id))


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
        SyncItem.reason.in_({Reason.RECONNECT_BOOKS, Reason.RECONNECT_STRIPE}),
    )
    items = (await session.execute(statement)).scalars().all()
    for item in items:
        reopen(item, now=now)
        if item.payment_id is not None:
            mirror(await session.get_one(Payment, item.payment_id), PaymentState.WAITING, item)
    announce(session, WORK, str(connection_id))
    return len(items)
