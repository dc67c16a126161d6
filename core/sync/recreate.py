"""Making again what somebody voided or deleted in the books: never by itself, only on a person's word (F21).

What was removed is let go of, with everything that is known of it, and planned anew from Stripe's facts, under a new
key and a new reference: the books may keep the old number for ever.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core.db.models import (
    POSTED_KINDS,
    Attempt,
    AttemptOutcome,
    BooksDocument,
    DocumentState,
    Drift,
    ItemKind,
    ItemState,
    Payment,
    PaymentState,
    ReadState,
    SyncItem,
)
from core.db.session import announce
from core.errors import NotFoundError
from core.live import touch
from core.reasons import Reason
from core.signals import WORK
from core.sync.documents import thaw
from core.sync.drift import CHANGES_ID
from core.sync.items import enqueue, mirror, reopen


def gone_of(rows: Sequence[BooksDocument]) -> list[BooksDocument]:
    """Return the documents that were voided or deleted. Pure."""
    return [row for row in rows if row.state is DocumentState.POSTED and row.read_state is ReadState.GONE]


def in_the_way(rows: Sequence[BooksDocument]) -> BooksDocument | None:
    """Return what must be put right in the books before anything is made again; None where nothing must. Pure.

    A payment that stands without its invoice would be applied to nothing; a document with another amount is wrong
    whatever is made beside it.
    """
    gone = {row.step for row in gone_of(rows)}
    for row in rows:
        if row.state is not DocumentState.POSTED or row.step in gone:
            continue
        if row.read_drift not in (None, Drift.UNPAID) or gone.intersection(thaw(row.kind, row.content).needs):
            return row
    return None


def can_recreate(item: SyncItem, rows: Sequence[BooksDocument]) -> bool:
    """Whether a person may have made again what is gone. Pure."""
    is_told = item.state is ItemState.NEEDS_ATTENTION and item.reason is Reason.CHANGED_IN_BOOKS
    return is_told and bool(gone_of(rows)) and in_the_way(rows) is None


async def documents_of(session: AsyncSession, item_id: UUID) -> list[BooksDocument]:
    """Return the documents of an item that were not dropped, in their order."""
    statement = (
        select(BooksDocument)
        .where(BooksDocument.item_id == item_id, BooksDocument.state != DocumentState.DROPPED)
        .order_by(BooksDocument.position)
    )
    return list((await session.execute(statement)).scalars())


async def recreate(session: AsyncSession, item_id: UUID, *, by_user_id: UUID, now: datetime) -> bool:
    """Let an item be posted again as far as it was voided or deleted in the books.

    Returns:
        False: nothing of it is gone, something is in the way, or it is being done already.

    Raises:
        NotFoundError: no such item of this tenant.
    """
    payment, item = await _locked(session, item_id)
    rows = await documents_of(session, item.id)
    if not can_recreate(item, rows):
        return False
    for row in gone_of(rows):
        row.state = DocumentState.DROPPED
    for row in rows:
        if row.read_drift is Drift.UNPAID:
            # It was open because of what is made again: the next reading says how it stands.
            row.read_state, row.read_drift, row.read_at = ReadState.UNREAD, None, None
    item.plan_version += 1
    reopen(item, now=now)
    if payment is not None:
        mirror(payment, PaymentState.WAITING, item)
    outcome = AttemptOutcome.RECREATE_ASKED
    session.add(Attempt(tenant_id=item.tenant_id, item_id=item.id, outcome=outcome, at=now, by_user_id=by_user_id))
    announce(session, WORK, str(item.connection_id))
    await touch(session, item.tenant_id)
    return True


async def ask_again(session: AsyncSession, item: SyncItem, *, now: datetime) -> bool:
    """Where a reading told what is wrong, only another one can take it back: ask what changed, now.

    Returns:
        False: no reading has told anything of the item.
    """
    if item.reason is not Reason.CHANGED_IN_BOOKS or not any(
        row.read_drift for row in await documents_of(session, item.id)
    ):
        return False
    await enqueue(
        session,
        tenant_id=item.tenant_id,
        connection_id=item.connection_id,
        kind=ItemKind.CHANGES,
        source_id=CHANGES_ID,
        due_at=now,
        now=now,
    )
    return True


async def _locked(session: AsyncSession, item_id: UUID) -> tuple[Payment | None, SyncItem]:
    """Read an item after the payment of its sale, locked in this order as everywhere."""
    mine = select(SyncItem).where(SyncItem.id == item_id, SyncItem.kind.in_(POSTED_KINDS))
    item = (await session.execute(mine)).scalar_one_or_none()
    if item is None:
        raise NotFoundError("no such item")
    payment = None
    if item.kind is ItemKind.SALE and item.payment_id is not None:
        payment = await session.get_one(Payment, item.payment_id, with_for_update={"key_share": True})
    locked = mine.with_for_update().execution_options(populate_existing=True)
    return payment, (await session.execute(locked)).scalar_one()
