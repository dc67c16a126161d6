"""Reading back: whether what we posted still stands in the books as it was sent, and what clearing holds there.

Nothing is ever posted again or overwritten here. What a person changed or removed is said, with both values; when it
has been put right there, the next reading takes the word back.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from core.accounting.port import Standing
from core.books.documents import DocumentKind
from core.books.roles import AccountRole
from core.db.models import (
    BooksDocument,
    ClearingReading,
    Connection,
    DocumentState,
    ItemKind,
    ItemState,
    Payment,
    PaymentState,
    ReadState,
    RoleVersion,
    SyncItem,
)
from core.db.upsert import insert_missing, upsert
from core.errors import (
    AccessExpiredError,
    ProviderError,
    ProviderRejectedError,
    RateLimitedError,
    ReconnectRequiredError,
)
from core.live import touch
from core.reasons import Reason
from core.sync import ladder
from core.sync.call_counts import Spent
from core.sync.items import difference, mirror, reopen
from core.sync.lane_work import BooksLane

VERIFY_ID = "books"
"""Name of the one item of a set of books that reads back; who asks for it by name wants everything read now."""

EVERY = timedelta(days=1)
FRESH = timedelta(days=3)
"""Documents are read daily while they are this young, and as long as something is wrong with them."""

STALE_AFTER = timedelta(days=7)
"""Older ones are read once in this time."""

PAGE = 200
_AGAIN = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class _Page:
    """Documents to read now.

    Attributes:
        clearing_account_id: None where none is chosen.
        asked_at: since when everything is to be read, by a person's word; None on an ordinary day.
    """

    rows: Sequence[BooksDocument]
    clearing_account_id: str | None
    asked_at: datetime | None


async def make_standing(session: AsyncSession, connection: Connection, *, now: datetime) -> None:
    """Give a set of books its daily reading, if it has none yet; the first is due in a day."""
    row = {
        "id": uuid4(), "tenant_id": connection.tenant_id, "connection_id": connection.id, "kind": ItemKind.VERIFY,
        "source_id": VERIFY_ID, "payment_id": None, "state": ItemState.PENDING, "wanted": 1, "done": 1,
        "plan_version": 0, "tries": 0, "due_at": now + EVERY, "reason": None, "reason_detail": {},
        "created_at": now, "changed_at": now,
    }  # fmt: skip
    await insert_missing(session, SyncItem, [row])


async def read_books(lane: BooksLane, item: SyncItem) -> bool:
    """Read one page of documents back, and what clearing holds. Return whether the lane may go on."""
    page = await _page(lane, item)
    try:
        balance = await _balance(lane, page.clearing_account_id)
        found = await _read(lane, page.rows)
    except ProviderError as exc:
        await _failed(lane, item, exc)
        return not lane.paused

    async def work(session: AsyncSession, now: datetime) -> None:
        if balance is not None and page.clearing_account_id is not None:
            await _keep_balance(session, lane, page.clearing_account_id, balance, now)
        changed = await _keep_readings(session, found, now)
        await _say(session, lane, changed, now)
        await _settle(session, item, page, now=now)
        await lane.count(session, Spent(), now)
        await touch(session, lane.claim.tenant_id)

    await lane.record(work)
    lane.failures = 0
    return True


async def _page(lane: BooksLane, item: SyncItem) -> _Page:
    async with lane.db.tenant(lane.claim.tenant_id) as session:
        now = await lane.db.now(session)
        asked_at = _asked_at(item, now)
        statement = (
            select(BooksDocument)
            .where(
                BooksDocument.connection_id == lane.claim.connection_id,
                BooksDocument.state == DocumentState.POSTED,
                BooksDocument.external_id.is_not(None),
                _is_due(asked_at, now),
            )
            .order_by(BooksDocument.read_at.nulls_first(), BooksDocument.posted_at, BooksDocument.id)
            .limit(PAGE)
        )
        clearing = (
            select(RoleVersion.account_id)
            .where(RoleVersion.connection_id == lane.claim.connection_id, RoleVersion.role == AccountRole.CLEARING)
            .order_by(RoleVersion.version.desc())
            .limit(1)
        )
        rows = (await session.execute(statement)).scalars().all()
        return _Page(rows, (await session.execute(clearing)).scalar_one_or_none(), asked_at)


def _asked_at(item: SyncItem, now: datetime) -> datetime | None:
    begun = item.reason_detail.get("asked_at")
    if isinstance(begun, str):
        return datetime.fromisoformat(begun)
    return now if item.wanted > item.done else None


def _is_due(asked_at: datetime | None, now: datetime) -> ColumnElement[bool]:
    if asked_at is not None:
        return or_(BooksDocument.read_at.is_(None), BooksDocument.read_at < asked_at)
    # A little less than a day, so that a reading that was late yesterday is not skipped today.
    watched = or_(BooksDocument.posted_at >= now - FRESH, BooksDocument.read_state != ReadState.STANDS)
    return or_(
        BooksDocument.read_at.is_(None),
        BooksDocument.read_at < now - STALE_AFTER,
        and_(watched, BooksDocument.read_at < now - EVERY / 2),
    )


async def _balance(lane: BooksLane, account_id: str | None) -> int | None:
    if account_id is None:
        return None
    try:
        return await lane.ask(lambda books: books.read_balance(account_id))
    except ProviderRejectedError:
        # An account that the books no longer know has no balance; the postings themselves will say so.
        return None


async def _read(lane: BooksLane, rows: Sequence[BooksDocument]) -> Mapping[UUID, Standing]:
    """Ask the books for the documents, kind by kind."""
    found: dict[UUID, Standing] = {}
    for kind, group in groupby(sorted(rows, key=lambda row: row.kind), key=lambda row: row.kind):
        by_id = {row.external_id: row.id for row in group if row.external_id}
        read = await _read_kind(lane, kind, list(by_id))
        found |= {by_id[external_id]: standing for external_id, standing in read.items() if external_id in by_id}
    return found


async def _read_kind(lane: BooksLane, kind: DocumentKind, ids: Sequence[str]) -> Mapping[str, Standing]:
    return await lane.ask(lambda books: books.read_back(kind, ids))


async def _keep_balance(
    session: AsyncSession, lane: BooksLane, account_id: str, balance_minor: int, now: datetime
) -> None:
    await upsert(
        session,
        ClearingReading,
        {
            "id": uuid4(), "tenant_id": lane.claim.tenant_id, "connection_id": lane.claim.connection_id,
            "account_id": account_id, "balance_minor": balance_minor, "currency": lane.profile.home_currency,
            "read_at": now,
        },
        key=("tenant_id", "connection_id"),
        update=("account_id", "balance_minor", "currency", "read_at"),
    )  # fmt: skip


async def _keep_readings(session: AsyncSession, found: Mapping[UUID, Standing], now: datetime) -> set[UUID]:
    """Write down how each document stands; return the items about which there may be something to say."""
    changed: set[UUID] = set()
    rows = select(BooksDocument).where(BooksDocument.id.in_(found), BooksDocument.state == DocumentState.POSTED)
    for row in (await session.execute(rows)).scalars():
        standing = found[row.id]
        state = _state(row, standing)
        if state is not ReadState.STANDS or row.read_state not in (ReadState.STANDS, ReadState.UNREAD):
            changed.add(row.item_id)
        row.read_state, row.read_at = state, now
        row.read_total_minor, row.read_date = standing.total_minor, standing.date
    await session.flush()
    return changed


def _state(row: BooksDocument, standing: Standing) -> ReadState:
    if not standing.stands:
        return ReadState.GONE
    other_total = standing.total_minor is not None and standing.total_minor != row.total_minor
    other_currency = standing.currency is not None and standing.currency.lower() != row.currency.lower()
    other_date = standing.date is not None and standing.date != row.book_date
    return ReadState.CHANGED if other_total or other_currency or other_date else ReadState.STANDS


async def _say(session: AsyncSession, lane: BooksLane, item_ids: set[UUID], now: datetime) -> None:
    """Show on each item whether its documents stand; payments are locked before items, as everywhere."""
    whose = select(SyncItem.payment_id).where(SyncItem.id.in_(item_ids), SyncItem.payment_id.is_not(None))
    payments = select(Payment).where(Payment.id.in_(whose)).order_by(Payment.id).with_for_update(key_share=True)
    by_id = {payment.id: payment for payment in (await session.execute(payments)).scalars()}
    items = select(SyncItem).where(SyncItem.id.in_(item_ids)).order_by(SyncItem.id).with_for_update()
    for item in (await session.execute(items)).scalars().all():
        payment = by_id.get(item.payment_id) if item.payment_id and item.kind is ItemKind.SALE else None
        documents = await _documents(session, item)
        wrong = next((row for row in documents if row.read_state in (ReadState.CHANGED, ReadState.GONE)), None)
        if wrong is not None and _may_be_told(item):
            _tell(item, payment, wrong, lane.profile.name, now)
        elif wrong is None and _was_told(item, documents):
            _take_back(item, payment, now)


async def _documents(session: AsyncSession, item: SyncItem) -> list[BooksDocument]:
    statement = (
        select(BooksDocument)
        .where(BooksDocument.item_id == item.id, BooksDocument.state != DocumentState.DROPPED)
        .order_by(BooksDocument.position)
    )
    return list((await session.execute(statement)).scalars())


def _may_be_told(item: SyncItem) -> bool:
    """Whether nothing else is being said or done about the item."""
    return item.state is ItemState.DONE or item.reason is Reason.CHANGED_IN_BOOKS


def _was_told(item: SyncItem, documents: Sequence[BooksDocument]) -> bool:
    """Whether a reading said it; a doubt about a document that was never proven is not for a reading to end."""
    is_said = item.state is ItemState.NEEDS_ATTENTION and item.reason is Reason.CHANGED_IN_BOOKS
    return is_said and all(row.state is DocumentState.POSTED for row in documents)


def _tell(item: SyncItem, payment: Payment | None, row: BooksDocument, books: str, now: datetime) -> None:
    found = 0 if row.read_state is ReadState.GONE else row.read_total_minor
    item.state, item.due_at, item.reason = ItemState.NEEDS_ATTENTION, None, Reason.CHANGED_IN_BOOKS
    item.reason_detail = {
        "books": books,
        "document": row.kind.value,
        "number": row.external_number or row.reference,
        "is_gone": row.read_state is ReadState.GONE,
        "date": row.book_date.isoformat(),
        "found_date": row.read_date.isoformat() if row.read_date else "",
        **difference(row.total_minor if found is None else found, row.total_minor, row.currency),
    }
    item.changed_at = now
    if payment is not None:
        mirror(payment, PaymentState.NEEDS_ATTENTION, item)


def _take_back(item: SyncItem, payment: Payment | None, now: datetime) -> None:
    item.state, item.due_at, item.reason, item.reason_detail = ItemState.DONE, None, None, {}
    item.changed_at = now
    if item.kind is not ItemKind.SALE:
        # What Stripe told while this was said has reached nobody: it is looked at now, which costs no call.
        reopen(item, now=now)
    if payment is not None:
        mirror(payment, PaymentState.SYNCED, item)


async def _settle(session: AsyncSession, item: SyncItem, page: _Page, *, now: datetime) -> None:
    row = await session.get_one(SyncItem, item.id, with_for_update=True, populate_existing=True)
    if row.due_at is None:
        # Disconnected meanwhile: it waits for a sign-in, and stays so.
        return
    row.state, row.tries, row.reason, row.changed_at = ItemState.PENDING, 0, None, now
    if len(page.rows) == PAGE:
        row.due_at = now + _AGAIN
        row.reason_detail = {"asked_at": page.asked_at.isoformat()} if page.asked_at else {}
        return
    row.done, row.reason_detail = item.wanted, {}
    row.due_at = now if row.wanted > item.wanted else now + EVERY


async def _failed(lane: BooksLane, item: SyncItem, error: ProviderError) -> None:
    async def work(session: AsyncSession, now: datetime) -> None:
        row = await session.get_one(SyncItem, item.id, with_for_update=True, populate_existing=True)
        await lane.count(session, Spent(), now)
        if row.due_at is None:
            return
        row.changed_at = now
        if isinstance(error, ReconnectRequiredError | AccessExpiredError):
            await lane.block_connection(session, now)
            row.state, row.due_at, row.reason = ItemState.BLOCKED, None, Reason.RECONNECT_BOOKS
        elif isinstance(error, RateLimitedError):
            lane.spent.slow_downs += 1
            row.due_at = await lane.pause(session, error.retry_after_s, Reason.RATE_LIMITED, now)
        else:
            row.tries += 1
            row.due_at = now + ladder.next_delay(lane.runtime, row.tries)

    await lane.record(work)
