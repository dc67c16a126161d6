"""Drift watch: the books are asked what changed there, and only that is compared with what we posted.

A round is one question, a few times a day; an answer without news costs nothing more. Our own writes come back in it
as well, and are their first reading. What others did to our documents is named by :mod:`core.sync.readings`; what they
wrote themselves on the clearing account is kept, too, since it alone explains a difference that is not ours.

Books tell changes for a limited time, and not more than so many at once. Whoever was away for longer begins anew, and
everything is read back one by one, as :mod:`core.sync.verify` does.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from uuid import uuid4
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core.accounting.port import Change, Changes, Standing
from core.db.models import (
    BooksDocument,
    Connection,
    DocumentState,
    ItemKind,
    ItemState,
    OthersEntry,
    SyncItem,
    Tenant,
)
from core.db.upsert import insert_missing, upsert
from core.errors import ProviderError, ProviderRejectedError
from core.live import touch
from core.logging import get_logger
from core.reasons import Reason
from core.sync.call_counts import Spent, rest_of_day
from core.sync.items import enqueue
from core.sync.lane_work import BooksLane
from core.sync.readings import clearing_accounts, keep_readings, round_failed, say
from core.sync.verify import EVERY, VERIFY_ID, rest

CHANGES_ID = "changes"
"""Name of the one item of a set of books that asks what changed."""

MARGIN = timedelta(days=1)
"""So long before the books would refuse a mark, everything is read back instead."""

_AT_ONCE = 500
_REFERENCE = re.compile(r"[A-Z]{2}-[0-9A-HJKMNP-TV-Z]{12}")

log = get_logger("drift")


async def make_standing(session: AsyncSession, connection: Connection, *, now: datetime) -> None:
    """Give a set of books its two standing readings, if it has none yet: of changes now, of the rest in a day."""
    rows: list[dict[str, object]] = [
        {
            "id": uuid4(), "tenant_id": connection.tenant_id, "connection_id": connection.id, "kind": kind,
            "source_id": source_id, "payment_id": None, "state": ItemState.PENDING, "wanted": 1, "done": 1,
            "plan_version": 0, "tries": 0, "due_at": due_at, "reason": None, "reason_detail": {},
            "created_at": now, "changed_at": now,
        }
        for kind, source_id, due_at in (
            (ItemKind.CHANGES, CHANGES_ID, now),
            (ItemKind.VERIFY, VERIFY_ID, now + EVERY),
        )
    ]  # fmt: skip
    await insert_missing(session, SyncItem, rows)


async def read_changes(lane: BooksLane, item: SyncItem) -> bool:
    """Ask what changed since the last time, and say what it means. Return whether the lane may go on."""
    mark, until = await _begin(lane, item)
    if until is not None:
        await rest(lane, item, until)
        return True
    try:
        changes = await _ask(lane, mark)
    except ProviderError as exc:
        await round_failed(lane, item, exc)
        return not lane.paused

    async def work(session: AsyncSession, now: datetime) -> None:
        is_lost = mark is None or not changes.is_whole
        ours = await _our_documents(session, lane, changes.rows)
        news = await keep_readings(session, lane, {row.id: standing for row, standing in ours}, now)
        await say(session, lane, news, now)
        known = {row.external_id for row, _ in ours}
        others = [one for one in changes.rows if one.standing.external_id not in known]
        await _keep_others(session, lane, others, now)
        await _settle(session, lane, item, changes, is_lost=is_lost, now=now)
        await lane.count(session, Spent(), now)
        await touch(session, lane.claim.tenant_id)

    await lane.record(work)
    lane.failures = 0
    return True


async def _begin(lane: BooksLane, item: SyncItem) -> tuple[str | None, datetime | None]:
    """Return from where to ask, None where that is too long ago; and until when to rest where calls are short."""
    async with lane.db.tenant(lane.claim.tenant_id) as session:
        now = await lane.db.now(session)
        connection = await session.get_one(Connection, lane.claim.connection_id)
        if item.wanted <= item.done:
            until = await rest_of_day(session, lane.claim.connection_id, lane.limits.calls_per_day, lane.runtime, now)
            if until is not None:
                return None, until
        if connection.changes_mark is None or connection.changes_read_at is None:
            return "", None
        reach = lane.limits.changes_reach
        is_too_old = reach is not None and connection.changes_read_at <= now - reach + MARGIN
        return None if is_too_old else connection.changes_mark, None


async def _ask(lane: BooksLane, mark: str | None) -> Changes:
    now = lane.runtime.now()
    try:
        return await lane.ask(lambda books: books.list_changes(mark or "", now=now))
    except ProviderRejectedError as refused:
        if not mark or refused.reason is not Reason.OUR_FAULT:
            raise
    # The books do not know this mark any more, whatever we believe of its age.
    begun = await lane.ask(lambda books: books.list_changes("", now=now))
    return Changes((), begun.mark, is_whole=False)


async def _our_documents(
    session: AsyncSession, lane: BooksLane, changes: Sequence[Change]
) -> list[tuple[BooksDocument, Standing]]:
    by_id = {change.standing.external_id: change for change in changes}
    found: list[tuple[BooksDocument, Standing]] = []
    for some in _chunks(list(by_id)):
        statement = select(BooksDocument).where(
            BooksDocument.connection_id == lane.claim.connection_id,
            BooksDocument.state == DocumentState.POSTED,
            BooksDocument.external_id.in_(some),
        )
        for row in (await session.execute(statement)).scalars():
            change = by_id[row.external_id or ""]
            # Some books know of a deleted document nothing but its id.
            if row.kind in change.kinds or not change.standing.stands:
                found.append((row, change.standing))
    return found


async def _keep_others(session: AsyncSession, lane: BooksLane, changes: Sequence[Change], now: datetime) -> None:
    """Keep what somebody else wrote on the clearing account since the first day, and what became of it."""
    tenant = await session.get_one(Tenant, lane.claim.tenant_id)
    accounts = await clearing_accounts(session, lane.claim.connection_id)
    if not changes or not accounts or tenant.posting_starts_at is None:
        return
    first_day = tenant.posting_starts_at.astimezone(ZoneInfo(tenant.time_zone)).date()
    ours = await _ours_in_doubt(session, lane, changes)
    known = {(row.word, row.external_id): row for row in await _others_known(session, lane, changes)}
    for change in changes:
        key = (change.word, change.standing.external_id)
        if _touches(change, accounts[0], first_day) and not ours & set(_references(change)):
            await upsert(
                session,
                OthersEntry,
                _entry(lane, change, accounts[0], now),
                key=("tenant_id", "connection_id", "word", "external_id"),
                update=("number", "note", "day", "account_id", "effect_minor", "is_gone", "changed_at"),
            )
        elif key in known:
            known[key].is_gone, known[key].changed_at = True, now


def _touches(change: Change, account_id: str, first_day: date) -> bool:
    standing = change.standing
    is_young = standing.date is None or standing.date >= first_day
    return standing.stands and is_young and bool(standing.effects) and account_id in (standing.effects or {})


def _entry(lane: BooksLane, change: Change, account_id: str, now: datetime) -> dict[str, object]:
    standing = change.standing
    return {
        "id": uuid4(), "tenant_id": lane.claim.tenant_id, "connection_id": lane.claim.connection_id,
        "word": change.word[:32], "external_id": standing.external_id, "number": (standing.number or "")[:64],
        "note": next((text for text in reversed(change.texts) if text != standing.number), "")[:200],
        "day": standing.date, "account_id": account_id, "effect_minor": (standing.effects or {}).get(account_id),
        "is_gone": False, "seen_at": now, "changed_at": now,
    }  # fmt: skip


async def _others_known(session: AsyncSession, lane: BooksLane, changes: Sequence[Change]) -> list[OthersEntry]:
    found: list[OthersEntry] = []
    for some in _chunks([change.standing.external_id for change in changes]):
        statement = select(OthersEntry).where(
            OthersEntry.connection_id == lane.claim.connection_id, OthersEntry.external_id.in_(some)
        )
        found += (await session.execute(statement)).scalars()
    return found


async def _ours_in_doubt(session: AsyncSession, lane: BooksLane, changes: Sequence[Change]) -> set[str]:
    """Return references of ours on documents that we have not proven, or have given up: nobody else wrote those."""
    found: set[str] = set()
    for some in _chunks(sorted({reference for change in changes for reference in _references(change)})):
        statement = select(BooksDocument.reference).where(
            BooksDocument.connection_id == lane.claim.connection_id, BooksDocument.reference.in_(some)
        )
        found |= set((await session.execute(statement)).scalars())
    return found


def _references(change: Change) -> Iterable[str]:
    return (reference for text in change.texts for reference in _REFERENCE.findall(text))


def _chunks(values: list[str]) -> Iterable[list[str]]:
    return (values[start : start + _AT_ONCE] for start in range(0, len(values), _AT_ONCE))


async def _settle(
    session: AsyncSession, lane: BooksLane, item: SyncItem, changes: Changes, *, is_lost: bool, now: datetime
) -> None:
    connection = await session.get_one(Connection, lane.claim.connection_id, with_for_update={"key_share": True})
    connection.changes_mark, connection.changes_read_at = changes.mark, now
    if is_lost:
        log.warning("changes_lost", connection_id=str(connection.id))
        connection.changes_lost_at = now
        await _read_everything(session, connection, now)
    row = await session.get_one(SyncItem, item.id, with_for_update=True, populate_existing=True)
    if row.due_at is None:
        # Disconnected meanwhile: it waits for a sign-in, and stays so.
        return
    row.state, row.tries, row.reason, row.reason_detail = ItemState.PENDING, 0, None, {}
    row.done, row.changed_at = item.wanted, now
    # Not all tenants at once, and not all of them at the same hour of every day.
    pause = lane.limits.changes_every * (0.9 + 0.2 * lane.runtime.random())
    row.due_at = now if row.wanted > item.wanted else now + pause


async def _read_everything(session: AsyncSession, connection: Connection, now: datetime) -> None:
    await enqueue(
        session,
        tenant_id=connection.tenant_id,
        connection_id=connection.id,
        kind=ItemKind.VERIFY,
        source_id=VERIFY_ID,
        due_at=now,
        now=now,
    )
