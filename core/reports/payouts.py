"""The payouts of one month: what was in each, what stands in the books for it, and whether both are the same."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from uuid import UUID

from sqlalchemy import and_, case, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from core.db.models import (
    BalanceTransaction,
    BooksDocument,
    ClearingLine,
    DocumentState,
    ItemKind,
    Payment,
    Payout,
    ReadState,
    SyncItem,
)
from core.reasons import Reason
from core.reports.reconciliation import UNDER_WAY
from core.reports.reconciliation_changes import Changed, Touched, read_changed, read_touched, standing_effect
from core.reports.reconciliation_kinds import IS_PAYOUT_ITSELF, Group, group_of, is_left_out
from core.reports.standing import Standing

PAGE_SIZE = 25
MAX_PAYOUTS = 2000
"""Payouts of one month that are added up; nobody is paid out more often than every twenty minutes."""


class PayoutState(StrEnum):
    """How a payout stands. ``BY_HAND``: Stripe names no parts of it, or a person left a part out of the books."""

    BEFORE_START = "before_start"
    ON_ITS_WAY = "on_its_way"
    TIED = "tied"
    OFF = "off"
    WAITING = "waiting"
    BY_HAND = "by_hand"
    FAILED = "failed"


@dataclass(slots=True)
class Parts:
    """What a payout is made of, by Stripe. Amounts in minor units, signed as they move Stripe's balance.

    gross + fees + refunds + disputes + other = net. ``fees_minor`` holds the fees of every balance transaction and
    Stripe's charges of their own.
    """

    payments: int = 0
    refunds: int = 0
    disputes: int = 0
    lines: int = 0
    gross_minor: int = 0
    fees_minor: int = 0
    refunds_minor: int = 0
    disputes_minor: int = 0
    other_minor: int = 0
    dispute_fees_minor: int = 0

    @property
    def net_minor(self) -> int:
        """The sum of all of them."""
        return self.gross_minor + self.fees_minor + self.refunds_minor + self.disputes_minor + self.other_minor

    def add(self, group: Group, *, count: int, amount_minor: int, fee_minor: int) -> None:
        """Count balance transactions of one group."""
        self.lines += count
        self.fees_minor -= fee_minor
        match group:
            case Group.PAYMENTS:
                self.payments += count
                self.gross_minor += amount_minor
            case Group.REFUNDS:
                self.refunds += count
                self.refunds_minor += amount_minor
            case Group.DISPUTES:
                self.disputes += count
                self.disputes_minor += amount_minor
                self.dispute_fees_minor -= fee_minor
            case Group.FEES:
                self.fees_minor += amount_minor
            case _:
                self.other_minor += amount_minor

    def join(self, other: "Parts") -> None:
        """Add all of another payout's."""
        for name in Parts.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass(slots=True)
class Evidence:
    """What is known of one payout beside Stripe's own words; filled from the tables, judged by :func:`judge`.

    ``missing``: balance transactions whose documents do not stand yet, and by how much; ``left_out`` those that a
    person chose to enter by hand. ``deviation_minor``: by how much its documents differ in the books.
    ``transfer_minor`` is what its transfer moves in the books, None while there is none; ``planned_minor`` what ours
    moves.
    """

    parts: Parts = field(default_factory=Parts)
    missing: int = 0
    missing_minor: int = 0
    left_out: int = 0
    left_out_minor: int = 0
    deviations: int = 0
    deviation_minor: int = 0
    transfer_minor: int | None = None
    planned_minor: int | None = None
    does_not_add_up: bool = False


@dataclass(frozen=True, slots=True)
class PayoutRow:
    """One payout with its proof in figures. ``in_books_minor`` and ``difference_minor`` are None where it is too early.

    ``parts`` is None where Stripe names none. ``waiting`` counts what is not in the books yet. ``transfer_minor`` is
    what its own transfers move to the bank by the books, None while there are none.
    """

    id: UUID
    stripe_id: str
    arrival_date: date
    state: PayoutState
    currency: str
    amount_minor: int
    parts: Parts | None
    in_books_minor: int | None
    difference_minor: int | None
    waiting: int
    left_out: int
    transfer_minor: int | None = None


@dataclass(frozen=True, slots=True)
class PayoutCursor:
    """A place among the payouts of a month: the row beside it."""

    arrival_date: date
    payout_id: UUID


@dataclass(frozen=True, slots=True)
class PayoutMonth:
    """One month of payouts, and its sums in ``currency``.

    The sums leave out what did not reach the bank and what lies before the first day. ``differ_minor`` is by how much
    the books differ, over the payouts that do not tie.
    """

    first: date
    last: date
    currency: str
    rows: tuple[PayoutRow, ...]
    total: int
    parts: Parts
    paid_minor: int
    without_parts_minor: int
    differ_minor: int
    off: int
    newer: PayoutCursor | None
    older: PayoutCursor | None


async def read_payout_month(
    session: AsyncSession,
    *,
    standing: Standing,
    month: date,
    before: PayoutCursor | None = None,
    after: PayoutCursor | None = None,
    page_size: int = PAGE_SIZE,
) -> PayoutMonth:
    """Return the payouts that arrive in the month of ``month``, newest first, one page of them as rows.

    Args:
        session: of the tenant.
        standing: read before, in the same session.
        month: any day of it.
        before: the row above the page, as the last page named it.
        after: the row below the page.
        page_size: rows of a page, n >= 1.
    """
    first = month.replace(day=1)
    last = (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    statement = (
        select(Payout)
        .where(Payout.arrival_date >= first, Payout.arrival_date <= last)
        .order_by(Payout.arrival_date.desc(), Payout.id.desc())
        .limit(MAX_PAYOUTS)
    )
    payouts = (await session.execute(statement)).scalars().all()
    rows = await judge_payouts(session, payouts, standing=standing)
    shown, newer, older = _page(rows, before, after, page_size)
    return _sum_up(rows, shown, newer, older, first=first, last=last, currency=standing.main_currency)


async def judge_payouts(session: AsyncSession, payouts: Sequence[Payout], *, standing: Standing) -> list[PayoutRow]:
    """Return each payout with its proof in figures, in four reads however many there are."""
    evidence = await read_evidence(session, payouts, standing=standing)
    start = standing.posting_starts_at
    return [judge(payout, evidence[payout.stripe_id], starts_at=start) for payout in payouts]


def judge(payout: Payout, found: Evidence, *, starts_at: datetime | None) -> PayoutRow:
    """Say how a payout stands. Pure.

    The books' figure is the payout and everything by which they differ: its documents, and its transfer.
    """
    has_parts = payout.automatic and found.parts.lines > 0
    off = found.deviation_minor - found.left_out_minor
    if found.transfer_minor is not None and found.planned_minor is not None:
        off += found.transfer_minor - found.planned_minor
    if found.does_not_add_up:
        off += found.parts.net_minor - payout.amount_minor
    state = _state(payout, found, has_parts=has_parts, is_off=bool(off + found.left_out_minor), starts_at=starts_at)
    is_told = state in (PayoutState.TIED, PayoutState.OFF) or (
        state is PayoutState.BY_HAND and found.transfer_minor is not None
    )
    is_off_in_parts = is_told and state is PayoutState.OFF and not off
    return PayoutRow(
        id=payout.id,
        stripe_id=payout.stripe_id,
        arrival_date=payout.arrival_date,
        state=state,
        currency=payout.currency.lower(),
        amount_minor=payout.amount_minor,
        parts=found.parts if has_parts else None,
        in_books_minor=payout.amount_minor + off if is_told and not is_off_in_parts else None,
        difference_minor=off if is_told and not is_off_in_parts else None,
        waiting=found.missing + (found.transfer_minor is None and payout.status == "paid"),
        left_out=found.left_out,
        transfer_minor=found.transfer_minor,
    )


def _state(
    payout: Payout, found: Evidence, *, has_parts: bool, is_off: bool, starts_at: datetime | None
) -> PayoutState:
    if starts_at is not None and payout.created_at < starts_at:
        return PayoutState.BEFORE_START
    if payout.status in UNDER_WAY:
        return PayoutState.ON_ITS_WAY
    if is_off or found.deviations or found.does_not_add_up:
        return PayoutState.OFF
    if payout.status != "paid":
        return PayoutState.FAILED
    if found.missing or found.transfer_minor is None or (payout.automatic and not has_parts):
        return PayoutState.WAITING
    return PayoutState.BY_HAND if not payout.automatic or found.left_out else PayoutState.TIED


async def read_evidence(session: AsyncSession, payouts: Sequence[Payout], *, standing: Standing) -> dict[str, Evidence]:
    """Return what the tables hold about each payout, by Stripe's id."""
    found: dict[str, Evidence] = {payout.stripe_id: Evidence() for payout in payouts}
    if not found:
        return found
    await _read_parts(session, found)
    if standing.books is None:
        return found
    books_id = standing.books.connection.id
    await _read_missing(session, found, books_id, standing.posting_starts_at)
    await _read_transfers(session, found, books_id)
    changed = {one.id: one for one in await read_changed(session, books_id)}
    if changed:
        _add_deviations(found, changed, await read_touched(session, found))
    return found


async def _read_parts(session: AsyncSession, found: dict[str, Evidence]) -> None:
    statement = (
        select(
            BalanceTransaction.stripe_payout_id,
            BalanceTransaction.reporting_category,
            func.count(),
            func.sum(BalanceTransaction.amount_minor),
            func.sum(BalanceTransaction.fee_minor),
        )
        .where(BalanceTransaction.stripe_payout_id.in_(list(found)), ~IS_PAYOUT_ITSELF)
        .group_by(BalanceTransaction.stripe_payout_id, BalanceTransaction.reporting_category)
    )
    for payout_id, category, count, amount, fee in await session.execute(statement):
        parts = found[str(payout_id)].parts
        parts.add(group_of(category), count=count, amount_minor=int(amount), fee_minor=int(fee))


async def _read_missing(
    session: AsyncSession, found: dict[str, Evidence], books_id: UUID, starts_at: datetime | None
) -> None:
    """Find the balance transactions whose own lines do not come to their net; those before the start need none."""
    booked = (
        select(func.coalesce(func.sum(ClearingLine.amount_minor), 0))
        .join(BooksDocument, BooksDocument.id == ClearingLine.document_id)
        .where(
            ClearingLine.stripe_balance_transaction_id == BalanceTransaction.stripe_id,
            BooksDocument.connection_id == books_id,
            BooksDocument.state == DocumentState.POSTED,
        )
        .correlate(BalanceTransaction)
        .scalar_subquery()
    )
    left_out = case((and_(is_left_out(books_id), booked == 0), 1), else_=0)
    unequal = (
        select(
            BalanceTransaction.stripe_payout_id.label("payout"),
            left_out.label("left_out"),
            (BalanceTransaction.net_minor - booked).label("missing"),
        )
        .outerjoin(Payment, Payment.stripe_balance_transaction_id == BalanceTransaction.stripe_id)
        .where(
            BalanceTransaction.stripe_payout_id.in_(list(found)),
            ~IS_PAYOUT_ITSELF,
            BalanceTransaction.net_minor != booked,
        )
    )
    if starts_at is not None:
        unequal = unequal.where(BalanceTransaction.created_at >= starts_at)
    inner = unequal.subquery()
    statement = select(inner.c.payout, inner.c.left_out, func.count(), func.sum(inner.c.missing)).group_by(
        inner.c.payout, inner.c.left_out
    )
    for payout_id, left_out, count, missing in await session.execute(statement):
        one = found[payout_id]
        if left_out:
            one.left_out, one.left_out_minor = count, int(missing)
        else:
            one.missing, one.missing_minor = count, int(missing)


async def _read_transfers(session: AsyncSession, found: dict[str, Evidence], books_id: UUID) -> None:
    """Read what the transfers of the payouts move: ours, and as they were read back."""
    effect = (
        select(func.coalesce(func.sum(ClearingLine.amount_minor), 0))
        .where(ClearingLine.document_id == BooksDocument.id)
        .scalar_subquery()
    )
    statement = (
        select(SyncItem.source_id, SyncItem.reason, BooksDocument, effect)
        .outerjoin(
            BooksDocument, and_(BooksDocument.item_id == SyncItem.id, BooksDocument.state == DocumentState.POSTED)
        )
        .where(
            SyncItem.connection_id == books_id, SyncItem.kind == ItemKind.PAYOUT, SyncItem.source_id.in_(list(found))
        )
    )
    for source_id, reason, document, effect_minor in await session.execute(statement):
        one = found[source_id]
        one.does_not_add_up = one.does_not_add_up or reason is Reason.PAYOUT_DOES_NOT_TIE
        if document is not None:
            stands = standing_effect(int(effect_minor), document.total_minor, read_total(document))
            if document.read_effect_minor is not None and document.read_state is ReadState.CHANGED:
                stands = document.read_effect_minor
            one.transfer_minor = (one.transfer_minor or 0) - stands
            one.planned_minor = (one.planned_minor or 0) - int(effect_minor)


def read_total(document: BooksDocument) -> int | None:
    """Return the total that a document has in the books, as far as was read back; None where it is gone."""
    if document.read_state is ReadState.GONE:
        return None
    return document.total_minor if document.read_total_minor is None else document.read_total_minor


def _add_deviations(found: dict[str, Evidence], changed: dict[UUID, Changed], touched: Iterable[Touched]) -> None:
    """Count each thing that is off once: an invoice and its payment that were changed alike are one change."""
    by_item: dict[tuple[str, UUID], list[int]] = defaultdict(list)
    for one in touched:
        document = changed.get(one.document_id)
        if document is not None:
            by_item[one.payout_id, document.item_id].append(share_of(document, one))
    for (payout_id, _), amounts in by_item.items():
        found[payout_id].deviations += 1
        found[payout_id].deviation_minor += max(amounts, key=abs)


def share_of(document: Changed, touched: Touched) -> int:
    """Return by how much a payout is off because of a document; of one that is gone, only the payout's own share."""
    return -touched.share_minor if document.is_gone and touched.share_minor else document.deviation_minor


def _page(
    rows: Sequence[PayoutRow], before: PayoutCursor | None, after: PayoutCursor | None, size: int
) -> tuple[Sequence[PayoutRow], PayoutCursor | None, PayoutCursor | None]:
    """Cut one page out of a month, which is short enough to be read as a whole; the place is a row, not a number."""
    start = 0
    if before is not None:
        start = sum(_key(row) >= (before.arrival_date, before.payout_id) for row in rows)
    elif after is not None:
        start = max(0, sum(_key(row) > (after.arrival_date, after.payout_id) for row in rows) - size)
    if start >= len(rows):
        start = 0
    shown = rows[start : start + size]
    newer = PayoutCursor(*_key(shown[0])) if start else None
    older = PayoutCursor(*_key(shown[-1])) if start + size < len(rows) else None
    return shown, newer, older


def _key(row: PayoutRow) -> tuple[date, UUID]:
    return row.arrival_date, row.id


def _sum_up(
    rows: Sequence[PayoutRow],
    shown: Sequence[PayoutRow],
    newer: PayoutCursor | None,
    older: PayoutCursor | None,
    *,
    first: date,
    last: date,
    currency: str,
) -> PayoutMonth:
    counted = [
        row
        for row in rows
        if row.currency == currency and row.state not in (PayoutState.BEFORE_START, PayoutState.FAILED)
    ]
    parts = Parts()
    for row in counted:
        if row.parts is not None:
            parts.join(row.parts)
    return PayoutMonth(
        first=first,
        last=last,
        currency=currency,
        rows=tuple(shown),
        total=len(rows),
        parts=parts,
        paid_minor=sum(row.amount_minor for row in counted),
        without_parts_minor=sum(row.amount_minor - (row.parts.net_minor if row.parts else 0) for row in counted),
        differ_minor=sum(row.difference_minor or 0 for row in counted),
        off=sum(row.state is PayoutState.OFF for row in rows),
        newer=newer,
        older=older,
    )
