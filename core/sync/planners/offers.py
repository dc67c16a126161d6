"""Offering Stripe's facts to the books: each fact gets the item that books it, once the tenant has books and a start.

Every function may be called again at any time; what stands is found and left alone. Called in the transaction that
stores the facts.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import count
from uuid import UUID

from sqlalchemy import ColumnElement, CompoundSelect, and_, exists, or_, select, tuple_, union_all
from sqlalchemy.ext.asyncio import AsyncSession

from core.books.categories import CHARGE_PREFIXES, BookedBy, booked_by, books_its_fee
from core.books.roles import FeeStyle
from core.db.models import (
    BalanceTransaction,
    Dispute,
    ItemKind,
    ItemState,
    OpeningBalance,
    Payment,
    Payout,
    Refund,
    SyncItem,
)
from core.db.session import announce
from core.mapping.rules import current_bookkeeping
from core.reasons import Reason
from core.signals import WORK
from core.sync.items import books_connection, enqueue_waiting_sales, is_begun, reopen
from core.sync.planners.rows import OPENING, local_day
from core.sync.planners.wanted import Ground, Wanted, ask_for, find_ground

FEES_WAIT = timedelta(hours=1)
"""How long after the end of a day its fees are booked: what Stripe tells late should still be among them."""

_SETTLED_PAYOUTS = frozenset({"paid", "failed", "canceled"})
_CHUNK = 500


async def offer_refund(session: AsyncSession, refund: Refund, *, now: datetime, is_news: bool = True) -> None:
    """Offer a refund to the books, if any of its balance transactions is not before the first day."""
    await _offer_source(session, ItemKind.REFUND, refund.stripe_id, refund.payment_id, now=now, is_news=is_news)


async def offer_dispute(session: AsyncSession, dispute: Dispute, *, now: datetime, is_news: bool = True) -> None:
    """Offer a dispute to the books, if any of its balance transactions is not before the first day."""
    await _offer_source(session, ItemKind.DISPUTE, dispute.stripe_id, dispute.payment_id, now=now, is_news=is_news)


async def offer_payout(session: AsyncSession, payout: Payout, *, now: datetime, is_news: bool = True) -> None:
    """Offer a payout to the books once it has arrived or come back; and its fees, where they are booked by payout."""
    ground = await find_ground(session)
    if ground is None:
        return
    if payout.status in _SETTLED_PAYOUTS:
        await _offer_source(session, ItemKind.PAYOUT, payout.stripe_id, None, now=now, is_news=is_news)
    if (await current_bookkeeping(session, ground.books.id)).fee_style is not FeeStyle.PER_PAYOUT:
        return
    if payout.lines_read:
        rows = select(BalanceTransaction).where(BalanceTransaction.stripe_payout_id == payout.stripe_id)
        await offer_fees(session, (await session.execute(rows)).scalars().all(), now=now)
    elif not payout.automatic:
        # Stripe will never name what is in it: what waited to be named goes by day.
        await offer_open_fees(session, now=now)


async def _offer_source(
    session: AsyncSession, kind: ItemKind, source_id: str, payment_id: UUID | None, *, now: datetime, is_news: bool
) -> None:
    ground = await find_ground(session)
    if ground is None:
        return
    moved = select(BalanceTransaction.id).where(
        BalanceTransaction.stripe_source_id == source_id, BalanceTransaction.created_at >= ground.starts_at
    )
    if (await session.execute(moved.limit(1))).first() is not None:
        await ask_for(session, ground, [Wanted(kind, source_id, now, payment_id, is_news)], now=now)


async def offer_movements(
    session: AsyncSession, rows: Iterable[BalanceTransaction], *, now: datetime, is_news: bool = True
) -> None:
    """Offer balance transactions to whoever books them: their amounts, and their fees.

    Sales are offered with their payments. Refunds, disputes and payouts are offered here only when they are known
    already; otherwise they are offered once they have been fetched.
    """
    ground = await find_ground(session)
    if ground is not None:
        wanted = await wanted_for(session, ground, rows, now=now, is_news=is_news)
        await ask_for(session, ground, wanted, now=now)


async def wanted_for(
    session: AsyncSession, ground: Ground, rows: Iterable[BalanceTransaction], *, now: datetime, is_news: bool = True
) -> list[Wanted]:
    """Return the items that book balance transactions and their fees, without asking for any; no sales."""
    in_scope = [row for row in rows if row.created_at >= ground.starts_at]
    by: dict[BookedBy, set[str]] = {who: set() for who in BookedBy}
    for row in in_scope:
        who = booked_by(row.reporting_category, row.type, row.stripe_source_id)
        by[who].add(row.stripe_id if who is BookedBy.MOVEMENT else row.stripe_source_id or "")
    wanted = [Wanted(ItemKind.MOVEMENT, stripe_id, now, is_news=False) for stripe_id in sorted(by[BookedBy.MOVEMENT])]
    wanted += [
        Wanted(kind, stripe_id, now, payment_id, is_news) for kind, stripe_id, payment_id in await _known(session, by)
    ]
    return wanted + await _wanted_fees(session, ground, in_scope, now=now)


async def _known(session: AsyncSession, by: dict[BookedBy, set[str]]) -> list[tuple[ItemKind, str, UUID | None]]:
    """Return those refunds, disputes and settled payouts that have been fetched, and every failed charge."""
    found: list[tuple[ItemKind, str, UUID | None]] = []
    refunds = select(Refund).where(Refund.stripe_id.in_(by[BookedBy.REFUND]))
    found += [(ItemKind.REFUND, row.stripe_id, row.payment_id) for row in (await session.execute(refunds)).scalars()]
    failed = {name for name in by[BookedBy.REFUND] if name.startswith(CHARGE_PREFIXES)}
    payments = select(Payment.stripe_charge_id, Payment.id).where(Payment.stripe_charge_id.in_(failed))
    payment_of = {row.stripe_charge_id: row.id for row in (await session.execute(payments)).all()}
    found += [(ItemKind.REFUND, name, payment_of.get(name)) for name in sorted(failed)]
    disputes = select(Dispute).where(Dispute.stripe_id.in_(by[BookedBy.DISPUTE]))
    found += [(ItemKind.DISPUTE, row.stripe_id, row.payment_id) for row in (await session.execute(disputes)).scalars()]
    payouts = select(Payout).where(Payout.stripe_id.in_(by[BookedBy.PAYOUT]), Payout.status.in_(_SETTLED_PAYOUTS))
    found += [(ItemKind.PAYOUT, row.stripe_id, None) for row in (await session.execute(payouts)).scalars()]
    return found


async def offer_fees(session: AsyncSession, rows: Iterable[BalanceTransaction], *, now: datetime) -> None:
    """Offer the fees of balance transactions that no document has taken up yet, in the style that the tenant chose."""
    ground = await find_ground(session)
    if ground is not None:
        in_scope = [row for row in rows if row.created_at >= ground.starts_at]
        await ask_for(session, ground, await _wanted_fees(session, ground, in_scope, now=now), now=now)


async def offer_open_fees(session: AsyncSession, *, now: datetime) -> None:
    """Offer every fee that no document has taken up yet: the style has changed, so it may wait for nothing any more."""
    ground = await find_ground(session)
    if ground is None:
        return
    async for rows in rows_since(session, ground):
        await offer_fees(session, rows, now=now)


async def offer_late_fees(session: AsyncSession, item: SyncItem, *, now: datetime) -> None:
    """Offer what Stripe told of a day or payout while its documents were frozen: they do not hold it."""
    name = item.source_id.partition("#")[0]
    if name.startswith("txn_"):
        return
    is_theirs = (
        BalanceTransaction.stripe_payout_id == name
        if name.startswith("po_")
        else BalanceTransaction.book_date == date.fromisoformat(name)
    )
    late = select(BalanceTransaction).where(
        is_theirs, BalanceTransaction.fee_minor != 0, BalanceTransaction.fee_item_id.is_(None)
    )
    await offer_fees(session, (await session.execute(late)).scalars().all(), now=now)


async def offer_to_next_books(session: AsyncSession, item: SyncItem, *, now: datetime) -> None:
    """Offer what an item of books that are gone would have posted, and surely has not begun to (F23)."""
    books = await books_connection(session)
    is_theirs = books is not None and books.id == item.connection_id
    begun = await session.execute(select(SyncItem.id).where(SyncItem.id == item.id, is_begun()))
    if is_theirs or begun.first() is not None:
        return
    fees = (
        await session.execute(select(BalanceTransaction).where(BalanceTransaction.fee_item_id == item.id))
    ).scalars()
    freed = fees.all()
    for row in freed:
        row.fee_item_id = None
    await session.flush()
    await offer_fees(session, freed, now=now)
    ground = await find_ground(session)
    if ground is not None and item.kind is not ItemKind.FEES:
        await ask_for(session, ground, [Wanted(item.kind, item.source_id, now, item.payment_id)], now=now)


async def _wanted_fees(
    session: AsyncSession, ground: Ground, rows: Sequence[BalanceTransaction], *, now: datetime
) -> list[Wanted]:
    open_ = [
        row
        for row in rows
        if row.fee_minor
        and row.fee_item_id is None
        and not books_its_fee(row.reporting_category, row.type, row.stripe_source_id)
    ]
    if not open_:
        return []
    style = await _fee_style(session, ground)
    wanted: dict[str, Wanted] = {}
    for row in open_:
        base, due_at = _fee_name(ground, style, row, now=now)
        if base not in wanted and (style is not FeeStyle.PER_PAYOUT or await _is_read(session, base)):
            name, is_first = await _free_name(session, base)
            # What comes late waits for what else is late, so that a day makes few documents.
            wanted[base] = Wanted(ItemKind.FEES, name, due_at if is_first else max(due_at, now + FEES_WAIT))
    return list(wanted.values())


async def _fee_style(session: AsyncSession, ground: Ground) -> FeeStyle:
    """Return how fees are booked; by day instead of by payout where Stripe names no payout for its transactions."""
    style = (await current_bookkeeping(session, ground.books.id)).fee_style
    if style is not FeeStyle.PER_PAYOUT:
        return style
    newest = select(Payout.automatic).order_by(Payout.created_at.desc()).limit(1)
    by_hand = (await session.execute(newest)).scalar_one_or_none() is False
    return FeeStyle.DAILY if by_hand else style


def _fee_name(ground: Ground, style: FeeStyle, row: BalanceTransaction, *, now: datetime) -> tuple[str, datetime]:
    """Return what the item of a fee is called, and when it is due."""
    if style is FeeStyle.PER_CHARGE or row.currency != ground.books.currency:
        # Fees in another currency stop by themselves and hold up nobody else's.
        return row.stripe_id, now
    if style is FeeStyle.PER_PAYOUT:
        return row.stripe_payout_id or "", now
    day = local_day(row, ground.zone)
    end = datetime.combine(day + timedelta(days=1), time(), ground.zone)
    return day.isoformat(), (end + FEES_WAIT).astimezone(UTC)


async def _is_read(session: AsyncSession, payout_id: str) -> bool:
    """Say whether Stripe has named everything in a payout; names of other items are always complete."""
    if not payout_id.startswith("po_"):
        return payout_id != ""
    found = select(Payout.lines_read).where(Payout.stripe_id == payout_id)
    return bool((await session.execute(found)).scalar_one_or_none())


async def _free_name(session: AsyncSession, base: str) -> tuple[str, bool]:
    """Return the first name of a day (or payout) whose documents are not frozen yet: the day, the day#2, and so on."""
    # In whichever books: what stands in others under a name is never asked of these under the same one.
    taken = select(SyncItem.source_id).where(
        SyncItem.kind == ItemKind.FEES,
        SyncItem.source_id.startswith(base, autoescape=True),
        exists().where(BalanceTransaction.fee_item_id == SyncItem.id),
    )
    frozen = set((await session.execute(taken)).scalars())
    number = next(n for n in count(1) if _numbered(base, n) not in frozen)
    return _numbered(base, number), number == 1


def _numbered(base: str, number: int) -> str:
    return base if number == 1 else f"{base}#{number}"


async def offer_opening(session: AsyncSession, opening: OpeningBalance, *, now: datetime) -> None:
    """Offer what Stripe held at the first day, if it is the day that posting has started from."""
    ground = await find_ground(session)
    if ground is not None and opening.starts_at == ground.starts_at and opening.amount_minor:
        name = f"{OPENING}{opening.currency}"
        await ask_for(session, ground, [Wanted(ItemKind.OPENING, name, now, is_news=False)], now=now)


async def offer_everything(session: AsyncSession, tenant_id: UUID, *, now: datetime, is_news: bool = False) -> None:
    """Offer everything from the first day on: when posting starts, when other books come, when facts were read in bulk.

    What stands already, or stands in other books, is left alone. ``is_news``: the books were away, and nobody has told
    them of what happened meanwhile to refunds, disputes and payouts that they hold.
    """
    books = await books_connection(session)
    if books is None:
        return
    # Before the start they only learn what they wait for now.
    await enqueue_waiting_sales(session, tenant_id, books.id, now)
    ground = await find_ground(session)
    if ground is None:
        return
    for opening in (await session.execute(select(OpeningBalance))).scalars().all():
        await offer_opening(session, opening, now=now)
    async for rows in rows_since(session, ground):
        await offer_movements(session, rows, now=now, is_news=is_news)


async def rows_since(session: AsyncSession, ground: Ground) -> AsyncIterator[Sequence[BalanceTransaction]]:
    """Yield the balance transactions since the first day, oldest first, some hundreds at a time."""
    after: tuple[datetime, UUID] = (ground.starts_at, UUID(int=0))
    while True:
        key = tuple_(BalanceTransaction.created_at, BalanceTransaction.id)
        statement = select(BalanceTransaction).where(key >= after).order_by(*key)
        rows = (await session.execute(statement.limit(_CHUNK))).scalars().all()
        yield rows
        if len(rows) < _CHUNK:
            return
        after = (rows[-1].created_at, rows[-1].id)


async def wake_all_dependents(session: AsyncSession, payments: Sequence[Payment], *, now: datetime) -> None:
    """Do so for several payments; nearly always nobody waits, and asking once is enough to know."""
    if not payments:
        return
    waiting = select(SyncItem.id).where(_waits_for_payment(), SyncItem.source_id.in_(_belonging_to(payments)))
    if (await session.execute(waiting.limit(1))).first() is not None:
        for payment in payments:
            await wake_dependents(session, payment, now=now)


async def wake_dependents(session: AsyncSession, payment: Payment, *, now: datetime) -> int:
    """Let refunds and disputes go on that waited for their payment; return how many.

    Called when a payment has been stored and when its sale has been booked.
    """
    statement = (
        select(SyncItem).where(_waits_for_payment(), SyncItem.source_id.in_(_belonging_to([payment]))).with_for_update()
    )
    found = (await session.execute(statement)).scalars().all()
    for item in found:
        item.payment_id = item.payment_id or payment.id
        reopen(item, now=now)
        announce(session, WORK, str(item.connection_id))
    return len(found)


def _waits_for_payment() -> ColumnElement[bool]:
    return and_(
        SyncItem.kind.in_((ItemKind.REFUND, ItemKind.DISPUTE)),
        SyncItem.state == ItemState.BLOCKED,
        SyncItem.reason.in_((Reason.PAYMENT_NOT_KNOWN, Reason.WAITS_FOR_PAYMENT)),
    )


def _belonging_to(payments: Sequence[Payment]) -> CompoundSelect[tuple[str]]:
    ids, sources = [payment.id for payment in payments], [payment.source_id for payment in payments]
    refunds = select(Refund.stripe_id).where(or_(Refund.payment_id.in_(ids), Refund.payment_source_id.in_(sources)))
    disputes = select(Dispute.stripe_id).where(or_(Dispute.payment_id.in_(ids), Dispute.payment_source_id.in_(sources)))
    charge = select(Payment.stripe_charge_id).where(Payment.id.in_(ids), Payment.stripe_charge_id.is_not(None))
    return union_all(refunds, disputes, charge)
