"""What becomes of a connection's work when it ends (F23)."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, and_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from core.db.models import BalanceTransaction, ItemKind, ItemState, Payment, PaymentState, SyncItem
from core.reasons import Reason
from core.sync.items import is_begun

_OF_A_PERSON = (Reason.LOOKS_LIKE_DUPLICATE, Reason.TOTALS_DIFFER, Reason.CHANGED_IN_BOOKS)
_OPEN = (ItemState.PENDING, ItemState.WORKING, ItemState.BLOCKED, ItemState.NEEDS_ATTENTION)


async def park(session: AsyncSession, connection_id: UUID, *, is_stripe: bool, name: str, now: datetime) -> None:
    """Stop every open item of a connection that ends. The same account again sets them going where they stood.

    A sale of which nothing stands in these books may be posted to the next ones: its payment waits for books. One that
    was begun belongs to these books for good, and says so.
    """
    detail = {"books": name}
    reason = Reason.RECONNECT_STRIPE if is_stripe else Reason.RECONNECT_BOOKS
    await session.execute(
        update(SyncItem)
        .where(SyncItem.connection_id == connection_id, SyncItem.state.in_(_OPEN), ~_is_held_back())
        .values(state=ItemState.BLOCKED, due_at=None, reason=reason, reason_detail=detail, changed_at=now)
        .execution_options(synchronize_session="fetch")
    )
    # Standing items that rest between two rounds must not come back either.
    await session.execute(
        update(SyncItem)
        .where(SyncItem.connection_id == connection_id, SyncItem.due_at.is_not(None))
        .values(state=ItemState.BLOCKED, due_at=None, reason=reason, reason_detail=detail, changed_at=now)
        .execution_options(synchronize_session="fetch")
    )
    if is_stripe:
        return
    await release_fees(session, connection_id)
    stopped = select(SyncItem.payment_id).where(
        SyncItem.connection_id == connection_id,
        SyncItem.kind == ItemKind.SALE,
        SyncItem.state == ItemState.BLOCKED,
        SyncItem.payment_id.is_not(None),
    )
    open_payment = Payment.state.in_((PaymentState.WAITING, PaymentState.SYNCING, PaymentState.NEEDS_ATTENTION))
    for whose, waits_for in (
        (stopped.where(is_begun()), Reason.RECONNECT_BOOKS),
        (stopped.where(~is_begun()), Reason.BOOKS_NOT_CONNECTED),
    ):
        await session.execute(
            update(Payment)
            .where(Payment.id.in_(whose), open_payment)
            .values(state=PaymentState.WAITING, reason=waits_for, reason_detail=detail, next_try_at=None)
            .execution_options(synchronize_session="fetch")
        )


def _is_held_back() -> ColumnElement[bool]:
    """What waits for a person's word alone: the way back of the books must not set it going, nor take the word away.

    That is what looks entered by hand, and what was found to be another amount in the books, or changed there.
    """
    return and_(
        SyncItem.state == ItemState.NEEDS_ATTENTION,
        SyncItem.reason.is_not(None),
        SyncItem.reason.in_(_OF_A_PERSON),
    )


async def release_fees(session: AsyncSession, connection_id: UUID) -> None:
    """Let the next books have the fees that documents of these have taken up, and of which nothing was sent."""
    theirs = select(SyncItem.id).where(
        SyncItem.connection_id == connection_id, SyncItem.kind == ItemKind.FEES, ~is_begun()
    )
    await session.execute(
        update(BalanceTransaction)
        .where(BalanceTransaction.fee_item_id.in_(theirs))
        .values(fee_item_id=None)
        .execution_options(synchronize_session=False)
    )
