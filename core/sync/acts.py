"""What a person may do to a payment: retry, retry all, ignore; and what a changed mapping sets going again."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from core.db.models import (
    POSTED_KINDS,
    Attempt,
    AttemptOutcome,
    BooksDocument,
    BooksLink,
    DocumentState,
    ItemKind,
    ItemState,
    Lane,
    Operation,
    OperationState,
    Payment,
    PaymentLine,
    PaymentState,
    SyncItem,
)
from core.db.session import announce
from core.errors import NotFoundError
from core.live import touch
from core.reasons import WORDING, Action, Reason
from core.signals import WORK
from core.sync.items import books_connection, find_sale, mirror, offer_sale, reopen
from core.sync.planners.offers import wake_dependents
from core.sync.recreate import ask_again

_STOPPED = (ItemState.NEEDS_ATTENTION, ItemState.IGNORED)
_MAPPING_REASONS = frozenset(
    {
        Reason.SERVICE_NOT_MAPPED,
        Reason.CLEARING_NOT_CHOSEN,
        Reason.ROLE_NOT_CHOSEN,
        Reason.UNKNOWN_CATEGORY,
        Reason.ACCOUNT_INACTIVE,
        Reason.TAX_CODE_MISFIT,
    }
)
_RELINK = frozenset({Reason.CUSTOMER_INACTIVE, Reason.REFUSED, Reason.NAME_TAKEN, Reason.ACCOUNT_INACTIVE})
"""Reasons after which the customer and items are looked up by name again: a person may have merged or renamed them."""

RETRY_ALL_LIMIT = 500


async def retry_payment(session: AsyncSession, payment_id: UUID, *, by_user_id: UUID | None, now: datetime) -> bool:
    """Put a stopped or waiting payment back to work. Clicking again while it is being worked on changes nothing (F24).

    Returns:
        Whether anything changed.

    Raises:
        NotFoundError: no such payment of this tenant.
    """
    payment = await _payment(session, payment_id)
    item = await find_sale(session, payment, await books_connection(session))
    if item is None:
        return await _offer_again(session, payment, now)
    if item.state is ItemState.PENDING and item.due_at is not None and item.due_at > now:
        item.due_at = now
    elif item.state in _STOPPED and not await ask_again(session, item, now=now):
        await _plan_anew(session, item)
        reopen(item, now=now)
        mirror(payment, PaymentState.WAITING, item)
    elif item.state not in _STOPPED:
        return False
    session.add(
        Attempt(
            tenant_id=item.tenant_id,
            item_id=item.id,
            outcome=AttemptOutcome.RETRY_ASKED,
            at=now,
            by_user_id=by_user_id,
        )
    )
    await end_rest(session, item.connection_id)
    announce(session, WORK, str(item.connection_id))
    await touch(session, payment.tenant_id)
    return True


async def retry_item(session: AsyncSession, item_id: UUID, *, by_user_id: UUID | None, now: datetime) -> bool:
    """Put a stopped or waiting refund, dispute, payout or other movement back to work, as :func:`retry_payment` does.

    Returns:
        Whether anything changed.

    Raises:
        NotFoundError: no such item of this tenant.
    """
    statement = select(SyncItem).where(SyncItem.id == item_id, SyncItem.kind.in_(POSTED_KINDS))
    item = (await session.execute(statement)).scalar_one_or_none()
    if item is None:
        raise NotFoundError("no such item")
    if item.kind is ItemKind.SALE and item.payment_id is not None:
        return await retry_payment(session, item.payment_id, by_user_id=by_user_id, now=now)
    locked = statement.with_for_update(key_share=True).execution_options(populate_existing=True)
    item = (await session.execute(locked)).scalar_one()
    if item.state is ItemState.PENDING and item.due_at is not None and item.due_at > now:
        item.due_at = now
    elif item.state in _STOPPED and not await ask_again(session, item, now=now):
        await _plan_anew(session, item)
        reopen(item, now=now)
    elif item.state not in _STOPPED:
        return False
    session.add(
        Attempt(
            tenant_id=item.tenant_id, item_id=item.id, outcome=AttemptOutcome.RETRY_ASKED, at=now, by_user_id=by_user_id
        )
    )
    await end_rest(session, item.connection_id)
    announce(session, WORK, str(item.connection_id))
    await touch(session, item.tenant_id)
    return True


async def end_rest(session: AsyncSession, connection_id: UUID) -> None:
    """End a pause that a person can end: an outage may be over, a plan paid. A stated slow-down is kept (F10)."""
    await session.execute(
        update(Lane)
        .where(Lane.connection_id == connection_id, Lane.hold_reason != Reason.RATE_LIMITED.value)
        .values(hold_until=None, hold_reason=None)
        .execution_options(synchronize_session=False)
    )


async def stop_posting(session: AsyncSession, connection_id: UUID, *, now: datetime) -> bool:
    """Let nothing more be posted to these books until somebody resumes; what is under way is finished.

    Returns:
        Whether anything changed.
    """
    return await _set_stopped(session, connection_id, now)


async def resume_posting(session: AsyncSession, connection_id: UUID) -> bool:
    """Let posting go on where it was stopped. Return whether anything changed."""
    changed = await _set_stopped(session, connection_id, None)
    announce(session, WORK, str(connection_id))
    return changed


async def _set_stopped(session: AsyncSession, connection_id: UUID, at: datetime | None) -> bool:
    was = Lane.stopped_at.is_(None) if at is not None else Lane.stopped_at.is_not(None)
    changed = await session.execute(
        update(Lane)
        .where(Lane.connection_id == connection_id, was)
        .values(stopped_at=at)
        .returning(Lane.tenant_id)
        .execution_options(synchronize_session=False)
    )
    tenant_id = changed.scalar_one_or_none()
    if tenant_id is None:
        return False
    await touch(session, tenant_id)
    return True


async def retry_all(session: AsyncSession, *, by_user_id: UUID, now: datetime) -> int:
    """Retry everything that a retry can help; return how much."""
    can_help = [reason for reason, wording in WORDING.items() if wording.action in (Action.RETRY, Action.SEE_LINES)]
    can_help.remove(Reason.IGNORED_BY_PERSON)
    # Each of them is a question of its own: all at once would double a history that was entered by hand.
    can_help.remove(Reason.LOOKS_LIKE_DUPLICATE)
    payments = (
        select(Payment.id)
        .where(Payment.state == PaymentState.NEEDS_ATTENTION, Payment.reason.in_(can_help))
        .order_by(Payment.paid_at)
        .limit(RETRY_ALL_LIMIT)
    )
    count = 0
    # In the order of their ids, as the worker locks them, so that the two never wait for each other in a circle.
    for payment_id in sorted((await session.execute(payments)).scalars().all()):
        count += await retry_payment(session, payment_id, by_user_id=by_user_id, now=now)
    others = (
        select(SyncItem.id)
        .where(
            SyncItem.kind.in_(POSTED_KINDS - {ItemKind.SALE}),
            SyncItem.state == ItemState.NEEDS_ATTENTION,
            SyncItem.reason.in_(can_help),
        )
        .order_by(SyncItem.created_at)
        .limit(RETRY_ALL_LIMIT)
    )
    for item_id in sorted((await session.execute(others)).scalars().all()):
        count += await retry_item(session, item_id, by_user_id=by_user_id, now=now)
    return count


async def ignore_payment(session: AsyncSession, payment_id: UUID, *, why: str, by_user_id: UUID, now: datetime) -> bool:
    """Leave a payment out of the books. Refused (False) once something of it may stand there, or while it is worked on.

    Raises:
        NotFoundError: no such payment of this tenant.
    """
    payment = await _payment(session, payment_id)
    item = await find_sale(session, payment, await books_connection(session))
    if item is not None:
        if not await _leave_out(session, item, why=why, by_user_id=by_user_id, now=now):
            return False
    elif payment.state is PaymentState.IGNORED:
        return False
    payment.state, payment.reason, payment.reason_detail = PaymentState.IGNORED, Reason.IGNORED_BY_PERSON, {"why": why}
    payment.next_try_at = None
    # Its refunds and disputes no longer wait for its sale: they say themselves what they need.
    await wake_dependents(session, payment, now=now)
    await touch(session, payment.tenant_id)
    return True


async def ignore_item(session: AsyncSession, item_id: UUID, *, why: str, by_user_id: UUID, now: datetime) -> bool:
    """Leave an item out of the books; a sale with its payment. Refused (False) as for :func:`ignore_payment`.

    Raises:
        NotFoundError: no such item of this tenant, or it is none that posts.
    """
    item = await _item(session, item_id)
    if item.kind is ItemKind.SALE and item.payment_id is not None:
        return await ignore_payment(session, item.payment_id, why=why, by_user_id=by_user_id, now=now)
    if not await _leave_out(session, item, why=why, by_user_id=by_user_id, now=now):
        return False
    await touch(session, item.tenant_id)
    return True


async def _leave_out(session: AsyncSession, item: SyncItem, *, why: str, by_user_id: UUID, now: datetime) -> bool:
    if item.state in (ItemState.DONE, ItemState.WORKING, ItemState.IGNORED) or await _may_stand(session, item):
        return False
    item.state, item.due_at = ItemState.IGNORED, None
    item.reason, item.reason_detail = Reason.IGNORED_BY_PERSON, {"why": why}
    item.changed_at = now
    session.add(
        Attempt(
            tenant_id=item.tenant_id,
            item_id=item.id,
            outcome=AttemptOutcome.IGNORED,
            at=now,
            text=why[:300],
            by_user_id=by_user_id,
        )
    )
    return True


async def reopen_for_mapping(
    session: AsyncSession, *, connection_id: UUID, service_id: UUID | None, now: datetime
) -> int:
    """Let go on what a missing choice stopped; ``service_id`` None means all of it. Return how many."""
    statement = select(SyncItem).where(
        SyncItem.connection_id == connection_id,
        SyncItem.kind.in_(POSTED_KINDS),
        SyncItem.state == ItemState.NEEDS_ATTENTION,
        SyncItem.reason.in_(_MAPPING_REASONS),
    )
    if service_id is not None:
        selling = select(PaymentLine.payment_id).where(PaymentLine.service_id == service_id)
        statement = statement.where(SyncItem.payment_id.in_(selling))
    items = (await session.execute(statement)).scalars().all()
    for item in items:
        await _plan_anew(session, item)
        reopen(item, now=now)
        if item.kind is ItemKind.SALE and item.payment_id is not None:
            mirror(await session.get_one(Payment, item.payment_id), PaymentState.WAITING, item)
    if items:
        announce(session, WORK, str(connection_id))
        await touch(session, items[0].tenant_id)
    return len(items)


async def _item(session: AsyncSession, item_id: UUID) -> SyncItem:
    """Read an item that posts, after the payment that it belongs to: locked in this order as everywhere."""
    of_ours = (SyncItem.id == item_id, SyncItem.kind.in_(POSTED_KINDS))
    found = (await session.execute(select(SyncItem.payment_id).where(*of_ours))).one_or_none()
    if found is None:
        raise NotFoundError("no such item")
    if found[0] is not None:
        await _payment(session, found[0])
    return (await session.execute(select(SyncItem).where(*of_ours).with_for_update())).scalar_one()


async def _payment(session: AsyncSession, payment_id: UUID) -> Payment:
    # Locked before its item, as everywhere, so that two clicks, or a click and the worker, come one after the other.
    statement = select(Payment).where(Payment.id == payment_id).with_for_update(key_share=True)
    payment = (await session.execute(statement)).scalar_one_or_none()
    if payment is None:
        raise NotFoundError("no such payment")
    return payment


async def _offer_again(session: AsyncSession, payment: Payment, now: datetime) -> bool:
    before = payment.reason
    if payment.reason is Reason.IGNORED_BY_PERSON:
        payment.state, payment.reason = PaymentState.WAITING, None
    await offer_sale(session, payment, now=now)
    await touch(session, payment.tenant_id)
    return payment.reason is not before


async def _may_stand(session: AsyncSession, item: SyncItem) -> bool:
    """Whether a document of this item is in the books, or may be."""
    statement = (
        select(Operation.id)
        .where(
            Operation.item_id == item.id,
            Operation.total_minor.is_not(None),
            Operation.state.in_((OperationState.SENT, OperationState.UNCERTAIN, OperationState.CONFIRMED)),
        )
        .limit(1)
    )
    return (await session.execute(statement)).first() is not None


async def _plan_anew(session: AsyncSession, item: SyncItem) -> None:
    """Drop frozen documents that were definitely refused or never sent; keep every one that stands or may stand."""
    if item.reason in _RELINK:
        await _forget_links(session, item)
    planned = select(BooksDocument).where(
        BooksDocument.item_id == item.id, BooksDocument.state == DocumentState.PLANNED
    )
    dropped = False
    for row in (await session.execute(planned)).scalars().all():
        in_doubt = (
            select(Operation.id)
            .where(
                Operation.item_id == item.id,
                Operation.step == row.step,
                Operation.plan_version == row.plan_version,
                Operation.state.in_((OperationState.SENT, OperationState.UNCERTAIN)),
            )
            .limit(1)
        )
        if (await session.execute(in_doubt)).first() is None:
            row.state = DocumentState.DROPPED
            dropped = True
    if dropped:
        item.plan_version += 1


async def _forget_links(session: AsyncSession, item: SyncItem) -> None:
    if item.kind is not ItemKind.SALE:
        payee = BooksLink.step.startswith("payee:")
        await session.execute(delete(BooksLink).where(BooksLink.connection_id == item.connection_id, payee))
    if item.payment_id is None:
        return
    payment = await session.get_one(Payment, item.payment_id)
    await session.execute(
        delete(BooksLink).where(
            BooksLink.connection_id == item.connection_id, BooksLink.step.startswith(f"customer:{payment.customer_id}")
        )
    )
    services = select(PaymentLine.service_id).where(PaymentLine.payment_id == payment.id)
    for service_id in (await session.execute(services)).scalars().all():
        await session.execute(
            delete(BooksLink).where(
                BooksLink.connection_id == item.connection_id, BooksLink.step.startswith(f"item:{service_id}:")
            )
        )
