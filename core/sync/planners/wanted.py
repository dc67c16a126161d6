"""Asking for items in bulk, once per fact: whatever stands in some books is never offered to others."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from sqlalchemy import exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from core.accounting import registry
from core.books import disputes
from core.db.models import (
    BalanceTransaction,
    BooksDocument,
    ClearingLine,
    Connection,
    Dispute,
    DocumentState,
    ItemKind,
    ItemState,
    SyncItem,
    Tenant,
)
from core.db.session import announce
from core.db.upsert import insert_missing
from core.live import touch
from core.reasons import Reason
from core.signals import WORK
from core.sync.items import books_connection, enqueue, is_begun, reopen

_CHUNK = 200
_ENDED_BY_NEWS = frozenset(
    {
        Reason.PAYMENT_NOT_KNOWN,
        Reason.WAITS_FOR_PAYMENT,
        Reason.SETTLEMENT_PENDING,
        Reason.LINES_DO_NOT_ADD_UP,
        Reason.CURRENCY_NOT_ENABLED,
        Reason.SETTLED_ELSEWHERE,
    }
)
"""Reasons of a stopped item that other facts of Stripe's may end."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One item to ask for. ``is_news``: Stripe says something that the item has not seen."""

    kind: ItemKind
    source_id: str
    due_at: datetime
    payment_id: UUID | None = None
    is_news: bool = True


@dataclass(frozen=True, slots=True)
class Ground:
    """Where facts may be booked at all: the books in use, the first moment, the tenant's days."""

    tenant_id: UUID
    books: Connection
    starts_at: datetime
    zone: ZoneInfo


async def find_ground(session: AsyncSession) -> Ground | None:
    """Return the tenant's books and start, or None while there is no set of books or posting has not started."""
    books = await books_connection(session)
    if books is None:
        return None
    tenant = await session.get_one(Tenant, books.tenant_id)
    if tenant.posting_starts_at is None:
        return None
    return Ground(tenant.id, books, tenant.posting_starts_at, ZoneInfo(tenant.time_zone))


async def ask_for(session: AsyncSession, ground: Ground, wanted: Iterable[Wanted], *, now: datetime) -> int:
    """Put items into the queue of the books in use; return how many were new or have something to do again."""
    asked = list({(one.kind, one.source_id): one for one in wanted}.values())
    count = 0
    for start in range(0, len(asked), _CHUNK):
        count += await _ask_some(session, ground, asked[start : start + _CHUNK], now=now)
    if count:
        announce(session, WORK, str(ground.books.id))
    return count


async def _ask_some(session: AsyncSession, ground: Ground, wanted: Sequence[Wanted], *, now: datetime) -> int:
    mine, elsewhere = await existing_items(session, ground, wanted)
    left_out = await _left_out(session, wanted)
    new, count = [], 0
    for one in wanted:
        key = (one.kind, one.source_id)
        if key in elsewhere:
            await _tell_other(session, elsewhere[key], one, now=now)
            continue
        item = mine.get(key)
        if item is None:
            new.append(one)
        elif await _tell(session, ground, item, one, now=now):
            count += 1
    rows = [{**_row(ground, one, now), **left_out.get((one.kind, one.source_id), {})} for one in new]
    made = set(await insert_missing(session, SyncItem, rows))
    for one, row in zip(new, rows, strict=True):
        if row["id"] not in made:
            # Somebody else has just asked for it, perhaps before what we know was there to see.
            item = (await existing_items(session, ground, [one]))[0].get((one.kind, one.source_id))
            count += item is not None and await _tell(session, ground, item, one, now=now)
    return count + len(made)


async def _left_out(session: AsyncSession, wanted: Sequence[Wanted]) -> dict[tuple[ItemKind, str], dict[str, object]]:
    """Return what a person has left out of whichever books: it stays out of the next ones until it is taken up."""
    statement = select(SyncItem).where(
        SyncItem.source_id.in_({one.source_id for one in wanted}),
        SyncItem.kind.in_({one.kind for one in wanted}),
        SyncItem.state == ItemState.IGNORED,
        SyncItem.reason == Reason.IGNORED_BY_PERSON,
    )
    return {
        (item.kind, item.source_id): {
            "state": ItemState.IGNORED,
            "due_at": None,
            "reason": item.reason,
            "reason_detail": dict(item.reason_detail),
        }
        for item in (await session.execute(statement)).scalars()
    }


async def existing_items(
    session: AsyncSession, ground: Ground, wanted: Sequence[Wanted]
) -> tuple[dict[tuple[ItemKind, str], SyncItem], dict[tuple[ItemKind, str], SyncItem]]:
    """Return the items of the books in use, and those that other books have for good."""
    statement = select(SyncItem, is_begun().label("is_begun")).where(
        SyncItem.source_id.in_({one.source_id for one in wanted}), SyncItem.kind.in_({one.kind for one in wanted})
    )
    mine: dict[tuple[ItemKind, str], SyncItem] = {}
    elsewhere: dict[tuple[ItemKind, str], SyncItem] = {}
    for item, begun in (await session.execute(statement)).all():
        if item.connection_id == ground.books.id:
            mine[item.kind, item.source_id] = item
        elif begun:
            elsewhere[item.kind, item.source_id] = item
    return mine, elsewhere


async def _tell_other(session: AsyncSession, item: SyncItem, one: Wanted, *, now: datetime) -> None:
    """Say that Stripe tells something new of what stands in a company that was replaced: nobody else would book it."""
    if not one.is_news or item.state is not ItemState.DONE or not await _has_more(session, item):
        return
    company = await session.get_one(Connection, item.connection_id)
    item.wanted += 1
    item.state, item.due_at, item.reason = ItemState.BLOCKED, None, Reason.OTHER_COMPANY
    item.reason_detail = {"books": registry.get(company.kind).display_name, "company": company.external_name}
    item.changed_at = now
    await touch(session, item.tenant_id)


async def _has_more(session: AsyncSession, item: SyncItem) -> bool:
    """Say whether Stripe moved money for this that its documents do not hold, or took away what was held of it."""
    documents = (BooksDocument.item_id == item.id, BooksDocument.state == DocumentState.POSTED)
    is_held = exists().where(
        ClearingLine.stripe_balance_transaction_id == BalanceTransaction.stripe_id,
        ClearingLine.document_id == BooksDocument.id,
        *documents,
    )
    moved = select(BalanceTransaction.id).where(
        BalanceTransaction.stripe_source_id == item.source_id, BalanceTransaction.net_minor != 0, ~is_held
    )
    if (await session.execute(moved.limit(1))).first() is not None:
        return True
    # A lost dispute moves nothing: its money went when it was opened, and lies with what is held.
    is_told = exists().where(*documents, BooksDocument.step.startswith(disputes.LOST))
    lost = select(Dispute.id).where(Dispute.stripe_id == item.source_id, Dispute.status == "lost", ~is_told)
    return item.kind is ItemKind.DISPUTE and (await session.execute(lost.limit(1))).first() is not None


async def _tell(session: AsyncSession, ground: Ground, item: SyncItem, one: Wanted, *, now: datetime) -> bool:
    if item.state in (ItemState.BLOCKED, ItemState.NEEDS_ATTENTION):
        if item.reason not in _ENDED_BY_NEWS:
            return False
        reopen(item, now=now)
        return True
    if not one.is_news or item.state is ItemState.IGNORED:
        return False
    await enqueue(
        session,
        tenant_id=ground.tenant_id,
        connection_id=ground.books.id,
        kind=one.kind,
        source_id=one.source_id,
        payment_id=one.payment_id,
        due_at=one.due_at,
        now=now,
    )
    return True


def _row(ground: Ground, one: Wanted, now: datetime) -> dict[str, object]:
    return {
        "id": uuid4(),
        "tenant_id": ground.tenant_id,
        "connection_id": ground.books.id,
        "kind": one.kind,
        "source_id": one.source_id,
        "payment_id": one.payment_id,
        "state": ItemState.PENDING,
        "wanted": 1,
        "done": 0,
        "plan_version": 0,
        "tries": 0,
        "due_at": one.due_at,
        "reason": None,
        "reason_detail": {},
        "created_at": now,
        "changed_at": now,
    }
