"""The clearing line: what Stripe holds, what the books say that it holds, and everything that lies between.

The arithmetic is an identity. Books and Stripe started from the same opening balance, every balance transaction moved
Stripe by its net, every document moved the books by its clearing lines. So their difference is the balance transactions
whose lines are missing, the documents that were changed in the books, and whatever somebody else wrote on the account.
The first two are named with their amounts; the last one remains as the difference, and is never explained away.

At a past day both sides are taken back from what they hold now: Stripe by the balance transactions since, the books by
our documents dated since.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, String, and_, case, func, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from core.db.models import (
    BalanceReading,
    BalanceTransaction,
    BooksAccount,
    BooksDocument,
    ClearingLine,
    ClearingReading,
    DocumentState,
    ItemKind,
    OpeningBalance,
    Payment,
    Payout,
    SyncItem,
)
from core.reports.reconciliation_changes import Changed, read_changed
from core.reports.reconciliation_kinds import Group, group_column, is_fee_left_out, is_left_out
from core.reports.standing import Standing

UNDER_WAY = ("pending", "in_transit")
"""Stripe's words for a payout that has left but not arrived."""

_SLACK = timedelta(days=2)
"""A document may be dated a day before Stripe's balance transaction: look so far beyond a cut-off for those."""


class Gap(StrEnum):
    """Why the books do not hold what Stripe holds. The values stand in tests and in the page's words."""

    OPENING = "opening"
    PAYMENTS = "payments"
    UNSETTLED = "unsettled"
    FEES = "fees"
    REFUNDS = "refunds"
    DISPUTES = "disputes"
    OTHER = "other"
    PAYOUTS = "payouts"
    IN_TRANSIT = "in_transit"
    CHANGED = "changed"
    LEFT_OUT = "left_out"


@dataclass(frozen=True, slots=True)
class Explained:
    """One reason with its amount: what is still to be added to the books' figure. ``count`` of its pieces."""

    gap: Gap
    count: int
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Clearing:
    """The clearing line at the end of ``day``, or now. Amounts in minor units of ``currency``.

    ``books_minor`` or ``stripe_minor`` is None until it was read once. ``left_out`` is what a person chose to enter by
    hand: it is no promise of ours, so it does not settle anything. ``elsewhere``: balances in other currencies.
    """

    currency: str
    day: date | None
    account_name: str
    books_minor: int | None
    books_read_at: datetime | None
    stripe_minor: int | None
    stripe_read_at: datetime | None
    explained: tuple[Explained, ...]
    left_out: Explained | None
    elsewhere: tuple[tuple[str, int], ...]

    @property
    def settled_minor(self) -> int | None:
        """What the account will hold once everything named is done."""
        if self.books_minor is None:
            return None
        return self.books_minor + sum(one.amount_minor for one in self.explained)

    @property
    def difference_minor(self) -> int | None:
        """What nothing explains: settled books less Stripe."""
        settled = self.settled_minor
        return None if settled is None or self.stripe_minor is None else settled - self.stripe_minor

    @property
    def is_tied(self) -> bool:
        """Whether everything is accounted for, to the cent."""
        return self.difference_minor == 0


@dataclass(frozen=True, slots=True)
class _Scope:
    """Whose clearing account at which moment. ``until`` is None for now; ``start`` is the first moment in scope."""

    stripe_id: UUID
    books_id: UUID
    currency: str
    start: datetime
    day: date | None
    until: datetime | None
    today: date

    @property
    def own(self) -> ColumnElement[bool]:
        return (BalanceTransaction.connection_id == self.stripe_id) & (BalanceTransaction.currency == self.currency)

    @property
    def posted(self) -> ColumnElement[bool]:
        """Documents that our books hold at the cut-off."""
        stands = (BooksDocument.connection_id == self.books_id) & (BooksDocument.state == DocumentState.POSTED)
        return stands & (BooksDocument.book_date <= self.day) if self.day else stands


async def read_clearing(session: AsyncSession, *, standing: Standing, day: date | None, today: date) -> Clearing | None:
    """Return the clearing line of the session's tenant; None before Stripe and books are connected and started.

    Args:
        session: of the tenant.
        standing: read before, in the same session.
        day: the tenant's day at whose end to look; None for now.
        today: the tenant's present day.
    """
    if standing.books is None or standing.stripe is None or standing.posting_starts_at is None:
        return None
    scope = _Scope(
        stripe_id=standing.stripe.id,
        books_id=standing.books.connection.id,
        currency=standing.main_currency,
        start=standing.posting_starts_at,
        day=day,
        until=None if day is None else _end_of(day, standing),
        today=today,
    )
    changed = await read_changed(session, scope.books_id)
    stripe_minor, stripe_read_at, elsewhere = await _stripe_side(session, scope)
    books_minor, books_read_at, name = await _books_side(session, scope, changed)
    opening = await _opening(session, scope, stripe_minor)
    rest = [*opening, *_deviations(changed, day)]
    found = await _missing(session, scope, since=max(scope.start, _window(scope, standing)))
    line = _line(scope, name, (books_minor, books_read_at), (stripe_minor, stripe_read_at), [*rest, *found], elsewhere)
    if line.difference_minor:
        # What is off may be older than the days looked at: look at everything, at the price of a slower page.
        found = await _missing(session, scope, since=scope.start)
        line = _line(
            scope, name, (books_minor, books_read_at), (stripe_minor, stripe_read_at), [*rest, *found], elsewhere
        )
    return line


def _line(
    scope: _Scope,
    name: str,
    books: tuple[int | None, datetime | None],
    stripe: tuple[int | None, datetime | None],
    reasons: Sequence[Explained],
    elsewhere: tuple[tuple[str, int], ...],
) -> Clearing:
    sums: dict[Gap, Explained] = {}
    for one in reasons:
        before = sums.get(one.gap, Explained(one.gap, 0, 0))
        sums[one.gap] = Explained(one.gap, before.count + one.count, before.amount_minor + one.amount_minor)
    left_out = sums.pop(Gap.LEFT_OUT, None)
    return Clearing(
        currency=scope.currency,
        day=scope.day,
        account_name=name,
        books_minor=books[0],
        books_read_at=books[1],
        stripe_minor=stripe[0],
        stripe_read_at=stripe[1],
        explained=tuple(sums[gap] for gap in Gap if gap in sums and sums[gap].amount_minor),
        left_out=left_out,
        elsewhere=elsewhere,
    )


def _end_of(day: date, standing: Standing) -> datetime:
    return datetime.combine(day + timedelta(days=1), time.min, standing.zone).astimezone(UTC)


def _window(scope: _Scope, standing: Standing) -> datetime:
    """Return the start of the month before the cut-off: what is open is nearly always younger."""
    first = ((scope.day or scope.today).replace(day=1) - timedelta(days=1)).replace(day=1)
    return datetime.combine(first, time.min, standing.zone).astimezone(UTC)


async def _stripe_side(
    session: AsyncSession, scope: _Scope
) -> tuple[int | None, datetime | None, tuple[tuple[str, int], ...]]:
    """Return Stripe's balance at the cut-off, when it was asked for, and what it holds in other currencies."""
    statement = select(BalanceReading).where(BalanceReading.connection_id == scope.stripe_id)
    readings = {row.currency.lower(): row for row in (await session.execute(statement)).scalars()}
    elsewhere = tuple(
        (currency, row.available_minor + row.pending_minor)
        for currency, row in sorted(readings.items())
        if currency != scope.currency and row.available_minor + row.pending_minor
    )
    reading = readings.get(scope.currency)
    if reading is None:
        return None, None, elsewhere
    moved = BalanceTransaction.net_minor
    until = scope.until or datetime.max.replace(tzinfo=UTC)
    # Forward to the cut-off by what Stripe told since the reading, or back by what came after the cut-off.
    change = case(
        (
            BalanceTransaction.created_at > reading.read_at,
            case((BalanceTransaction.created_at < until, moved), else_=0),
        ),
        else_=case((BalanceTransaction.created_at >= until, -moved), else_=0),
    )
    since = min(reading.read_at, until)
    total = select(func.coalesce(func.sum(change), 0)).where(scope.own, BalanceTransaction.created_at >= since)
    moved_minor = int((await session.execute(total)).scalar_one())
    return reading.available_minor + reading.pending_minor + moved_minor, reading.read_at, elsewhere


async def _books_side(
    session: AsyncSession, scope: _Scope, changed: Sequence[Changed]
) -> tuple[int | None, datetime | None, str]:
    """Return what the books say the account holds at the cut-off, when they were read, and the account's name."""
    statement = (
        select(ClearingReading, BooksAccount.name, BooksAccount.number)
        .outerjoin(
            BooksAccount,
            and_(
                BooksAccount.connection_id == ClearingReading.connection_id,
                BooksAccount.external_id == ClearingReading.account_id,
            ),
        )
        .where(ClearingReading.connection_id == scope.books_id)
    )
    found = (await session.execute(statement)).one_or_none()
    if found is None:
        return None, None, ""
    reading, name, number = found
    since = select(
        func.coalesce(
            func.sum(
                case((BooksDocument.posted_at > reading.read_at, ClearingLine.amount_minor), else_=0)
                - _later(scope, ClearingLine.amount_minor)
            ),
            0,
        )
    )
    joined = since.join(BooksDocument, BooksDocument.id == ClearingLine.document_id).where(
        BooksDocument.connection_id == scope.books_id,
        BooksDocument.state == DocumentState.POSTED,
        _since(scope, reading.read_at),
    )
    moved = int((await session.execute(joined)).scalar_one())
    if scope.day is not None:
        # The books' own word holds what was changed there; taken back by our documents it must be taken back alike.
        moved -= sum(one.deviation_minor_after(scope.day) for one in changed)
    return reading.balance_minor + moved, reading.read_at, f"{number or ''} {name or ''}".strip()


def _later(scope: _Scope, amount: ColumnElement[int] | Any) -> ColumnElement[int] | int:
    return case((BooksDocument.book_date > scope.day, amount), else_=0) if scope.day else 0


def _since(scope: _Scope, read_at: datetime) -> ColumnElement[bool]:
    is_newer = BooksDocument.posted_at > read_at
    return or_(is_newer, BooksDocument.book_date > scope.day) if scope.day else is_newer


async def _opening(session: AsyncSession, scope: _Scope, stripe_minor: int | None) -> list[Explained]:
    """Return what the opening entry has still to bring, and the sales that stand before Stripe has settled them."""
    lines = (
        select(SyncItem.kind, func.count(), func.sum(ClearingLine.amount_minor))
        .join(BooksDocument, BooksDocument.id == ClearingLine.document_id)
        .join(SyncItem, SyncItem.id == BooksDocument.item_id)
        .where(scope.posted, ClearingLine.stripe_balance_transaction_id.is_(None))
        .group_by(SyncItem.kind)
    )
    booked = {kind: (count, int(total)) for kind, count, total in await session.execute(lines)}
    statement = select(OpeningBalance.amount_minor).where(
        OpeningBalance.connection_id == scope.stripe_id,
        OpeningBalance.currency == scope.currency,
        OpeningBalance.starts_at == scope.start,
    )
    opening = (await session.execute(statement)).scalar_one_or_none()
    if opening is None and stripe_minor is not None:
        opening = stripe_minor - await _moved_since_start(session, scope)
    _, brought = booked.pop(ItemKind.OPENING, (0, 0))
    found = [Explained(Gap.OPENING, 1, (opening or 0) - brought)]
    return found + [Explained(Gap.UNSETTLED, count, -total) for count, total in booked.values()]


async def _moved_since_start(session: AsyncSession, scope: _Scope) -> int:
    statement = select(func.coalesce(func.sum(BalanceTransaction.net_minor), 0)).where(
        scope.own, BalanceTransaction.created_at >= scope.start
    )
    if scope.until is not None:
        statement = statement.where(BalanceTransaction.created_at < scope.until)
    return int((await session.execute(statement)).scalar_one())


def _deviations(changed: Sequence[Changed], day: date | None) -> list[Explained]:
    off = [one.deviation_at(day) for one in changed]
    return [Explained(Gap.CHANGED, 1, -amount) for amount in off if amount]


async def _missing(session: AsyncSession, scope: _Scope, *, since: datetime) -> list[Explained]:
    """Return what balance transactions since ``since`` lack in the books, or have too much of, by group.

    Each one is compared with its own lines over an index, so the cost follows the days looked at.
    """
    inner = _unequal(scope, since).subquery()
    statement = select(inner.c.gap, func.count(), func.sum(inner.c.net - inner.c.booked)).group_by(inner.c.gap)
    return [Explained(Gap(gap), count, int(total)) for gap, count, total in await session.execute(statement)]


def _unequal(scope: _Scope, since: datetime) -> Any:
    booked = (
        select(func.coalesce(func.sum(ClearingLine.amount_minor), 0))
        .join(BooksDocument, BooksDocument.id == ClearingLine.document_id)
        .where(ClearingLine.stripe_balance_transaction_id == BalanceTransaction.stripe_id, scope.posted)
        .correlate(BalanceTransaction)
        .scalar_subquery()
    )
    net: ColumnElement[int] = BalanceTransaction.net_minor.expression
    if scope.until is not None:
        net = case((BalanceTransaction.created_at < scope.until, BalanceTransaction.net_minor), else_=0)
    group, left_out = group_column(), is_left_out(scope.books_id)
    is_on_its_way = or_(Payout.status.in_(UNDER_WAY), Payout.arrival_date > (scope.day or scope.today))
    only_the_fee = and_(
        BalanceTransaction.fee_minor != 0,
        net - booked == -BalanceTransaction.fee_minor,
        group.in_((Group.PAYMENTS.value, Group.REFUNDS.value)),
    )
    gap = case(
        (and_(left_out, booked == 0), literal(Gap.LEFT_OUT.value, String)),
        (
            and_(is_fee_left_out(), or_(only_the_fee, group == Group.FEES.value)),
            literal(Gap.LEFT_OUT.value, String),
        ),
        (only_the_fee, literal(Gap.FEES.value, String)),
        (and_(group == Group.PAYOUTS.value, is_on_its_way), literal(Gap.IN_TRANSIT.value, String)),
        else_=group,
    )
    statement = (
        select(gap.label("gap"), net.label("net"), booked.label("booked"))
        .outerjoin(Payment, Payment.stripe_balance_transaction_id == BalanceTransaction.stripe_id)
        .outerjoin(Payout, Payout.stripe_id == BalanceTransaction.stripe_source_id)
        .where(scope.own, BalanceTransaction.created_at >= since, net != booked)
    )
    if scope.until is not None:
        statement = statement.where(BalanceTransaction.created_at < scope.until + _SLACK)
    return statement
