"""Reading back: whether what we posted still stands in the books as it was sent, and what clearing holds there.

The books tell by themselves what changed (:mod:`core.sync.drift`), so only what they may not have told is read here:
what has never been told, what they hide, what was not read for a month; everything, when a person asks or when they
have told nothing for too long.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from core.accounting.port import Standing
from core.books.documents import DocumentKind
from core.db.models import (
    BooksDocument,
    ClearingReading,
    Connection,
    DocumentState,
    ItemState,
    OthersEntry,
    ReadState,
    SyncItem,
)
from core.db.upsert import upsert
from core.errors import ProviderError, ProviderRejectedError
from core.live import touch
from core.sync.call_counts import Spent, rest_of_day
from core.sync.lane_work import BooksLane
from core.sync.readings import clearing_accounts, keep_readings, round_failed, say

VERIFY_ID = "books"
"""Name of the one item of a set of books that reads back; who asks for it by name wants everything read now."""

EVERY = timedelta(days=1)
"""How often clearing is read, and the youngest documents of kinds whose changes the books may hide."""

BALANCE_AGAIN_AFTER = timedelta(days=3)
"""Clearing is read once in this time although nothing of ours, and nothing that we heard of, has moved it."""

TOLD_WITHIN = timedelta(days=2)
"""What the books have not told of a document of ours for so long after it was posted, is read."""

WRONG_AGAIN_AFTER = timedelta(days=7)
"""What is wrong there is read again, should the books not have told that it was put right."""

STALE_AFTER = timedelta(days=30)
"""Everything else is read once in this time, whatever the books tell."""

PAGE = 200
_AGAIN = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class _Page:
    """Documents to read now.

    Attributes:
        clearing_account_id: None where none is chosen.
        asked_at: since when everything is to be read, by a person's word; None on an ordinary day.
        wants_balance: whether what clearing holds may be another amount than it was when it was read last.
        rests_until: set where the books take no more calls of ours today than the postings need.
    """

    rows: Sequence[BooksDocument]
    clearing_account_id: str | None
    asked_at: datetime | None
    wants_balance: bool = True
    rests_until: datetime | None = None


async def read_books(lane: BooksLane, item: SyncItem) -> bool:
    """Read one page of documents back, and what clearing holds. Return whether the lane may go on."""
    page = await _page(lane, item)
    if page.rests_until is not None:
        await rest(lane, item, page.rests_until)
        return True
    try:
        # Once, at the end: it is the newest that counts.
        account_id = page.clearing_account_id if page.wants_balance else None
        balance = await _balance(lane, account_id) if len(page.rows) < PAGE else None
        found = await _read(lane, page.rows)
    except ProviderError as exc:
        await round_failed(lane, item, exc)
        return not lane.paused

    async def work(session: AsyncSession, now: datetime) -> None:
        if balance is not None and page.clearing_account_id is not None:
            await _keep_balance(session, lane, page.clearing_account_id, balance, now)
        changed = await keep_readings(session, lane, found, now)
        await say(session, lane, changed, now)
        await _settle(session, item, page, now=now)
        await _all_is_read(session, lane, page)
        await lane.count(session, Spent(), now)
        await touch(session, lane.claim.tenant_id)

    await lane.record(work)
    lane.failures = 0
    return True


async def _page(lane: BooksLane, item: SyncItem) -> _Page:
    async with lane.db.tenant(lane.claim.tenant_id) as session:
        now = await lane.db.now(session)
        asked_at = _asked_at(item, now)
        if asked_at is None:
            most = lane.limits.calls_per_day
            until = await rest_of_day(session, lane.claim.connection_id, most, lane.runtime, now)
            if until is not None:
                return _Page((), None, None, rests_until=until)
        statement = (
            select(BooksDocument)
            .where(
                BooksDocument.connection_id == lane.claim.connection_id,
                BooksDocument.state == DocumentState.POSTED,
                BooksDocument.external_id.is_not(None),
                _is_due(asked_at, lane.limits.changes_hide, now),
            )
            .order_by(BooksDocument.read_at.nulls_first(), BooksDocument.posted_at, BooksDocument.id)
            .limit(PAGE)
        )
        rows = (await session.execute(statement)).scalars().all()
        accounts = await clearing_accounts(session, lane.claim.connection_id)
        account_id = accounts[0] if accounts else None
        is_asked = asked_at is not None
        return _Page(rows, account_id, asked_at, is_asked or await _may_have_moved(session, lane, account_id, now))


async def _may_have_moved(session: AsyncSession, lane: BooksLane, account_id: str | None, now: datetime) -> bool:
    """Say whether clearing has to be read: it is long ago, or something was posted, changed or heard of since."""
    mine = ClearingReading.connection_id == lane.claim.connection_id
    reading = (await session.execute(select(ClearingReading).where(mine))).scalar_one_or_none()
    if reading is None or reading.account_id != account_id or reading.read_at < now - BALANCE_AGAIN_AFTER:
        return True
    is_later = or_(BooksDocument.posted_at >= reading.read_at, BooksDocument.read_state != ReadState.STANDS)
    posted = select(BooksDocument.id).where(
        BooksDocument.connection_id == lane.claim.connection_id, BooksDocument.state == DocumentState.POSTED, is_later
    )
    heard = select(OthersEntry.id).where(
        OthersEntry.connection_id == lane.claim.connection_id, OthersEntry.changed_at >= reading.read_at
    )
    for some in (posted, heard):
        if (await session.execute(some.limit(1))).first() is not None:
            return True
    return False


def _asked_at(item: SyncItem, now: datetime) -> datetime | None:
    begun = item.reason_detail.get("asked_at")
    if isinstance(begun, str):
        return datetime.fromisoformat(begun)
    return now if item.wanted > item.done else None


def _is_due(asked_at: datetime | None, hidden: Iterable[DocumentKind], now: datetime) -> ColumnElement[bool]:
    if asked_at is not None:
        return or_(BooksDocument.read_at.is_(None), BooksDocument.read_at < asked_at)
    is_young = BooksDocument.posted_at >= now - STALE_AFTER
    is_wrong = BooksDocument.read_state.in_((ReadState.CHANGED, ReadState.GONE))
    # A little less than a day, so that a reading that was late yesterday is not skipped today.
    return or_(
        and_(BooksDocument.read_at.is_(None), BooksDocument.posted_at < now - TOLD_WITHIN),
        BooksDocument.read_at < now - STALE_AFTER,
        and_(is_wrong, BooksDocument.read_at < now - WRONG_AGAIN_AFTER),
        and_(BooksDocument.kind.in_(sorted(hidden)), is_young, BooksDocument.read_at < now - EVERY / 2),
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


async def _all_is_read(session: AsyncSession, lane: BooksLane, page: _Page) -> None:
    """After everything was read back that the books did not tell, take back the word that it has to be."""
    if page.asked_at is None or len(page.rows) == PAGE:
        return
    connection = await session.get_one(Connection, lane.claim.connection_id, with_for_update={"key_share": True})
    if connection.changes_lost_at is not None and connection.changes_lost_at <= page.asked_at:
        connection.changes_lost_at = None


async def rest(lane: BooksLane, item: SyncItem, until: datetime) -> None:
    """Leave the day's last calls to the postings: a standing reading is due again when the next day begins."""

    async def work(session: AsyncSession, now: datetime) -> None:
        row = await session.get_one(SyncItem, item.id, with_for_update=True, populate_existing=True)
        if row.due_at is not None:
            row.due_at, row.changed_at = until, now

    await lane.record(work)
