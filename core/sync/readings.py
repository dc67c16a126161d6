"""What a reading of the books says about a document of ours, and how its item and its payment tell it.

Nothing is ever posted again or overwritten here. What a person changed or removed is named, with both values; when it
has been put right there, the next reading takes the word back.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core.accounting.port import Standing
from core.books.effects import clearing_effects
from core.books.roles import AccountRole
from core.db.models import (
    BooksDocument,
    DocumentState,
    Drift,
    ItemKind,
    ItemState,
    Payment,
    PaymentState,
    ReadState,
    RoleVersion,
    SyncItem,
)
from core.errors import (
    AccessExpiredError,
    ProviderError,
    RateLimitedError,
    ReconnectRequiredError,
)
from core.money import to_decimal
from core.reasons import Reason
from core.sync import ladder
from core.sync.call_counts import Spent
from core.sync.documents import thaw
from core.sync.items import difference, mirror, reopen
from core.sync.lane_work import BooksLane

_WORST_FIRST = (Drift.DELETED, Drift.VOIDED, Drift.MOVED, Drift.EDITED, Drift.DATED, Drift.UNPAID)


@dataclass(frozen=True, slots=True)
class _Known:
    """What all judgements of one transaction need.

    ``clearing``: every account that has ever been the clearing account of these books. ``unfinished``: items of which
    some document does not stand yet, so that an open invoice of theirs is no news.
    """

    clearing: Sequence[str]
    unfinished: frozenset[UUID]


async def clearing_accounts(session: AsyncSession, connection_id: UUID) -> list[str]:
    """Return every account that was chosen as the clearing account of these books, the present one first."""
    statement = (
        select(RoleVersion.account_id)
        .where(RoleVersion.connection_id == connection_id, RoleVersion.role == AccountRole.CLEARING)
        .order_by(RoleVersion.version.desc())
    )
    return list(dict.fromkeys((await session.execute(statement)).scalars()))


async def keep_readings(
    session: AsyncSession, lane: BooksLane, found: Mapping[UUID, Standing], now: datetime
) -> set[UUID]:
    """Write down how each document stands, by our ids; return the items about which there may be something to say."""
    changed: set[UUID] = set()
    statement = select(BooksDocument).where(BooksDocument.id.in_(found), BooksDocument.state == DocumentState.POSTED)
    rows = (await session.execute(statement)).scalars().all()
    known = await _known(session, lane.claim.connection_id, [row for row in rows if found[row.id].open_minor])
    for row in rows:
        standing = found[row.id]
        drift = _drift(row, standing, known)
        if drift is not None or row.read_state not in (ReadState.STANDS, ReadState.UNREAD):
            changed.add(row.item_id)
        is_gone = drift in (Drift.DELETED, Drift.VOIDED)
        row.read_state = ReadState.GONE if is_gone else ReadState.CHANGED if drift else ReadState.STANDS
        row.read_drift, row.read_at, row.read_version = drift, now, standing.version
        row.read_total_minor, row.read_date = standing.total_minor, standing.date
        row.read_open_minor = standing.open_minor
        row.read_effect_minor = None if is_gone else _effect(standing, known)
    await session.flush()
    return changed


async def _known(session: AsyncSession, connection_id: UUID, owed: Sequence[BooksDocument]) -> _Known:
    planned = select(BooksDocument.item_id).where(
        BooksDocument.item_id.in_({row.item_id for row in owed}), BooksDocument.state == DocumentState.PLANNED
    )
    unfinished = frozenset((await session.execute(planned)).scalars()) if owed else frozenset()
    return _Known(await clearing_accounts(session, connection_id), unfinished)


def _drift(row: BooksDocument, standing: Standing, known: _Known) -> Drift | None:
    """Name what became of a document; None while it stands as it was sent. Pure."""
    if not standing.stands:
        return Drift.VOIDED if standing.is_void else Drift.DELETED
    other_total = standing.total_minor is not None and standing.total_minor != row.total_minor
    other_currency = standing.currency is not None and standing.currency.lower() != row.currency.lower()
    if other_total or other_currency:
        return Drift.EDITED
    if _is_moved(row, standing, known.clearing):
        return Drift.MOVED
    if standing.date is not None and standing.date != row.book_date:
        return Drift.DATED
    return Drift.UNPAID if standing.open_minor and row.item_id not in known.unfinished else None


def _is_moved(row: BooksDocument, standing: Standing, clearing: Sequence[str]) -> bool:
    """Whether its money no longer runs through the clearing account as we sent it, or runs there anew."""
    if standing.effects is None:
        return False
    document = thaw(row.kind, row.content)
    return any(
        sum(effect.amount_minor for effect in clearing_effects(document, account)) != standing.effects.get(account, 0)
        for account in clearing
    )


def _effect(standing: Standing, known: _Known) -> int | None:
    if standing.effects is None:
        return None
    return sum(standing.effects.get(account, 0) for account in known.clearing)


async def say(session: AsyncSession, lane: BooksLane, item_ids: set[UUID], now: datetime) -> None:
    """Show on each item whether its documents stand; payments are locked before items, as everywhere."""
    if not item_ids:
        return
    whose = select(SyncItem.payment_id).where(SyncItem.id.in_(item_ids), SyncItem.payment_id.is_not(None))
    payments = select(Payment).where(Payment.id.in_(whose)).order_by(Payment.id).with_for_update(key_share=True)
    by_id = {payment.id: payment for payment in (await session.execute(payments)).scalars()}
    items = select(SyncItem).where(SyncItem.id.in_(item_ids)).order_by(SyncItem.id).with_for_update()
    for item in (await session.execute(items)).scalars().all():
        payment = by_id.get(item.payment_id) if item.payment_id and item.kind is ItemKind.SALE else None
        documents = await _documents(session, item)
        wrong = sorted((row for row in documents if row.read_drift), key=_badness)
        if wrong and _may_be_told(item):
            _tell(item, payment, wrong[0], lane.profile.name, now)
        elif not wrong and _was_told(item, documents):
            _take_back(item, payment, now)


def _badness(row: BooksDocument) -> int:
    return _WORST_FIRST.index(row.read_drift) if row.read_drift else len(_WORST_FIRST)


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
        "change": _in_words(row),
        "date": row.book_date.isoformat(),
        "found_date": row.read_date.isoformat() if row.read_date else "",
        **difference(row.total_minor if found is None else found, row.total_minor, row.currency),
    }
    item.changed_at = now
    if payment is not None:
        mirror(payment, PaymentState.NEEDS_ATTENTION, item)


def _in_words(row: BooksDocument) -> str:
    """Say in half a sentence what became of a document; the page completes it."""
    name = f"The {row.kind.value.replace('_', ' ')} {row.external_number or row.reference}"
    match row.read_drift:
        case Drift.DELETED:
            return f"{name} was deleted there"
        case Drift.VOIDED:
            return f"{name} was voided there"
        case Drift.MOVED:
            return f"{name} was moved to other accounts there"
        case Drift.DATED:
            return f"{name} has another date there"
        case Drift.UNPAID:
            still_open = f"{to_decimal(row.read_open_minor or 0, row.currency)} {row.currency.upper()}"
            return f"{name} is not settled there: {still_open} is open"
        case _:
            return f"{name} has another amount there"


def _take_back(item: SyncItem, payment: Payment | None, now: datetime) -> None:
    item.state, item.due_at, item.reason, item.reason_detail = ItemState.DONE, None, None, {}
    item.changed_at = now
    if item.kind is not ItemKind.SALE:
        # What Stripe told while this was said has reached nobody: it is looked at now, which costs no call.
        reopen(item, now=now)
    if payment is not None:
        mirror(payment, PaymentState.SYNCED, item)


async def round_failed(lane: BooksLane, item: SyncItem, error: ProviderError) -> None:
    """Let a standing reading that got no answer rest: until a sign-in, until the books take calls again, or a while."""

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
