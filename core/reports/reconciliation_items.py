"""What is not reconciled: everything that waits or needs a person, and every document that was changed in the books."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import groupby
from uuid import UUID

from sqlalchemy import ColumnElement, and_, case, exists, func, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from core.db.models import (
    POSTED_KINDS,
    BalanceTransaction,
    BooksDocument,
    ClearingLine,
    Customer,
    Dispute,
    DocumentState,
    ItemKind,
    ItemState,
    Payment,
    PaymentState,
    Payout,
    Refund,
    SyncItem,
)
from core.reasons import Reason
from core.reports import words
from core.reports.payments import client_name
from core.reports.query import OPEN_STATES
from core.reports.reconciliation_amounts import Amount, read_amounts
from core.reports.reconciliation_changes import Changed, changed_of, changed_statement, is_changed
from core.reports.reconciliation_kinds import IS_PAYOUT_ITSELF
from core.reports.standing import Standing
from core.reports.statements import NOTHING_SOLD, Sold, read_sold
from core.sync.items import is_begun
from core.sync.recreate import can_recreate

PAGE_SIZE = 25
OTHER_KINDS = tuple(sorted(POSTED_KINDS - {ItemKind.SALE}))
OPEN_ITEM_STATES = (ItemState.PENDING, ItemState.WORKING, ItemState.BLOCKED, ItemState.NEEDS_ATTENTION)
_STATES = {
    ItemState.PENDING: PaymentState.WAITING,
    ItemState.WORKING: PaymentState.SYNCING,
    ItemState.BLOCKED: PaymentState.WAITING,
    ItemState.NEEDS_ATTENTION: PaymentState.NEEDS_ATTENTION,
}
MAX_OTHERS = 500
"""Open things beside payments that a page reads and adds up."""

Place = tuple[datetime, UUID]


class Open(StrEnum):
    """What kind of thing is open. ``CHANGED`` is a document; the others are named as their items."""

    PAYMENT = "payment"
    REFUND = "refund"
    DISPUTE = "dispute"
    PAYOUT = "payout"
    FEES = "fees"
    MOVEMENT = "movement"
    OPENING = "opening"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class OpenItem:
    """One thing that is not reconciled.

    Amounts are what is missing on the clearing account, in minor units of ``currency``: ``gross_minor`` less
    ``fee_minor`` is ``net_minor``. The fee of an open payment stands with the payment, not with the fees of its day.

    Attributes:
        id: of the payment, the item or the document.
        at: when it happened, or when the change was found.
        source_id: Stripe's id, or the day of fees.
        payment_id: the payment that it belongs to.
        changed: the document, where ``kind`` is ``CHANGED``.
        can_recreate: whether a person may have made again what was removed of its item.
        can_ignore: whether a person may leave it out of the books, other than with its payment.
    """

    id: UUID
    kind: Open
    at: datetime
    client: str
    email: str
    what_for: str
    source_id: str
    state: PaymentState
    why: words.Why | None
    can_retry: bool
    currency: str
    gross_minor: int
    fee_minor: int
    payment_id: UUID | None = None
    service_id: UUID | None = None
    changed: Changed | None = None
    payout_id: UUID | None = None
    can_recreate: bool = False
    can_ignore: bool = False

    @property
    def net_minor(self) -> int:
        """What the clearing account lacks."""
        return self.gross_minor - self.fee_minor


@dataclass(frozen=True, slots=True)
class OpenTotal:
    """Everything open in one currency."""

    currency: str
    count: int
    minor: int


@dataclass(frozen=True, slots=True)
class OpenPage:
    """One page of open things, newest first, and the sums of all of them, the main currency first.

    ``older`` is the last row's place, None where there is no more. ``totals`` are empty where there are more things
    than a page adds up; the file adds up any number.
    """

    items: tuple[OpenItem, ...]
    count: int
    totals: tuple[OpenTotal, ...]
    is_first_page: bool
    older: Place | None


async def read_open_items(
    session: AsyncSession, *, standing: Standing, before: Place | None = None, page_size: int = PAGE_SIZE
) -> OpenPage:
    """Return one page of what is not reconciled.

    Args:
        session: of the tenant.
        standing: read before, in the same session.
        before: place of the row above the page.
        page_size: rows of a page, n >= 1.
    """
    payments = await read_open_payments(session, standing, before=before, limit=page_size + 1)
    others = await read_open_others(session, standing, limit=MAX_OTHERS)
    others += await read_open_changes(session, standing, limit=MAX_OTHERS)
    found = payments + [one for one in others if before is None or (one.at, one.id) < before]
    found.sort(key=_place, reverse=True)
    shown = found[:page_size]
    paid = await _payment_totals(session)
    totals = Totals()
    for currency, count, minor in paid:
        totals.add(currency, minor, count)
    for one in others:
        totals.add(one.currency, one.net_minor)
    is_whole = len(others) < MAX_OTHERS
    return OpenPage(
        items=tuple(shown),
        count=sum(total.count for total in totals.by_currency(standing.main_currency)),
        totals=tuple(totals.by_currency(standing.main_currency)) if is_whole else (),
        is_first_page=before is None,
        older=_place(shown[-1]) if len(found) > page_size else None,
    )


class Totals:
    """Sums by currency, filled one thing at a time; page and file add up with the same code."""

    def __init__(self) -> None:
        self._sums: dict[str, list[int]] = {}

    def add(self, currency: str, minor: int, count: int = 1) -> None:
        """Add things of one currency."""
        total = self._sums.setdefault(currency, [0, 0])
        total[0] += count
        total[1] += minor

    def by_currency(self, main: str) -> list[OpenTotal]:
        """Return the sums, the ``main`` currency first."""
        order = sorted(self._sums, key=lambda currency: (currency != main, currency))
        return [OpenTotal(currency, *self._sums[currency]) for currency in order]


def _open_payment_states() -> ColumnElement[bool]:
    """Say of a payment that it is not in the books; one that was changed there is listed as its document instead."""
    item = aliased(SyncItem)
    stands_changed = (
        exists()
        .where(item.payment_id == Payment.id, item.kind == ItemKind.SALE)
        .where(BooksDocument.item_id == item.id, is_changed())
    )
    is_told_there = and_(Payment.reason == Reason.CHANGED_IN_BOOKS, stands_changed)
    return and_(Payment.state.in_(OPEN_STATES), or_(Payment.reason.is_(None), ~is_told_there))


def _open_item_states(books_id: UUID) -> ColumnElement[bool]:
    stands_changed = exists().where(BooksDocument.item_id == SyncItem.id, is_changed())
    is_told_there = and_(SyncItem.reason == Reason.CHANGED_IN_BOOKS, stands_changed)
    return and_(
        SyncItem.state.in_(OPEN_ITEM_STATES),
        SyncItem.kind.in_(OTHER_KINDS),
        or_(SyncItem.connection_id == books_id, _is_left_behind()),
        or_(SyncItem.reason.is_(None), ~is_told_there),
    )


def _is_left_behind() -> ColumnElement[bool]:
    """Say of an item that it was begun in a company that was replaced, and is not through there: no other books it."""
    waits = and_(
        SyncItem.state == ItemState.BLOCKED, SyncItem.reason.in_((Reason.OTHER_COMPANY, Reason.RECONNECT_BOOKS))
    )
    return and_(waits, is_begun())


def _place(one: OpenItem) -> Place:
    return one.at, one.id


async def _payment_totals(session: AsyncSession) -> list[tuple[str, int, int]]:
    currency = func.lower(func.coalesce(Payment.settled_currency, Payment.currency))
    net = func.coalesce(Payment.settled_minor, Payment.amount_minor) - func.coalesce(Payment.fee_minor, 0)
    statement = select(currency, func.count(), func.sum(net)).where(_open_payment_states()).group_by(currency)
    return [(code, count, int(minor)) for code, count, minor in await session.execute(statement)]


async def read_open_payments(
    session: AsyncSession, standing: Standing, *, before: Place | None = None, limit: int
) -> list[OpenItem]:
    """Return payments that are not in the books yet, newest first."""
    statement = (
        select(Payment, Customer.name, Customer.email)
        .join(Customer, Customer.id == Payment.customer_id)
        .where(_open_payment_states())
        .order_by(Payment.paid_at.desc(), Payment.id.desc())
        .limit(limit)
    )
    if before is not None:
        statement = statement.where(tuple_(Payment.paid_at, Payment.id) < tuple_(*before))
    rows = (await session.execute(statement)).all()
    sold = await read_sold(session, [row[0].id for row in rows]) if rows else {}
    return [
        _open_payment(payment, client_name(name, email), email or "", sold.get(payment.id, NOTHING_SOLD), standing)
        for payment, name, email in rows
    ]


def _open_payment(payment: Payment, client: str, email: str, what: Sold, standing: Standing) -> OpenItem:
    return OpenItem(
        id=payment.id,
        kind=Open.PAYMENT,
        at=payment.paid_at,
        client=client,
        email=email,
        what_for=what.label or payment.description[:120],
        source_id=payment.source_id,
        state=payment.state,
        why=words.explain(
            standing,
            state=payment.state,
            reason=payment.reason,
            detail=payment.reason_detail,
            next_try_at=payment.next_try_at,
            client=client,
            service=what.label,
        ),
        can_retry=words.can_retry(
            standing, state=payment.state, reason=payment.reason, next_try_at=payment.next_try_at
        ),
        currency=(payment.settled_currency or payment.currency).lower(),
        gross_minor=payment.amount_minor if payment.settled_minor is None else payment.settled_minor,
        fee_minor=payment.fee_minor or 0,
        payment_id=payment.id,
        service_id=what.service_id,
    )


async def read_open_others(
    session: AsyncSession, standing: Standing, *, before: Place | None = None, limit: int
) -> list[OpenItem]:
    """Return refunds, disputes, payouts, fees and other movements that are not in the books yet, newest first."""
    if standing.books is None:
        return []
    paid = aliased(Payment)
    statement = (
        select(SyncItem, Customer.name, Customer.email, paid.id, Payout.id)
        .outerjoin(Refund, and_(SyncItem.kind == ItemKind.REFUND, Refund.stripe_id == SyncItem.source_id))
        .outerjoin(Dispute, and_(SyncItem.kind == ItemKind.DISPUTE, Dispute.stripe_id == SyncItem.source_id))
        .outerjoin(Payout, and_(SyncItem.kind == ItemKind.PAYOUT, Payout.stripe_id == SyncItem.source_id))
        .outerjoin(paid, paid.id == func.coalesce(SyncItem.payment_id, Refund.payment_id, Dispute.payment_id))
        .outerjoin(Customer, Customer.id == paid.customer_id)
        .where(_open_item_states(standing.books.connection.id))
        .order_by(SyncItem.created_at.desc(), SyncItem.id.desc())
        .limit(limit)
    )
    if before is not None:
        statement = statement.where(tuple_(SyncItem.created_at, SyncItem.id) < tuple_(*before))
    rows = (await session.execute(statement)).all()
    amounts = await read_amounts(session, [row[0] for row in rows], standing)
    return [
        _open_item(
            item,
            client_name(name or "", email) if payment_id else "",
            email or "",
            amounts,
            standing,
            payment_id=payment_id,
            payout_id=payout_id,
        )
        for item, name, email, payment_id, payout_id in rows
    ]


def _open_item(
    item: SyncItem,
    client: str,
    email: str,
    amounts: dict[UUID, Amount],
    standing: Standing,
    *,
    payment_id: UUID | None,
    payout_id: UUID | None,
) -> OpenItem:
    state = _STATES[item.state]
    next_try_at = item.due_at if item.state is ItemState.PENDING and item.reason else None
    amount = amounts.get(item.id, Amount(standing.main_currency, 0, 0))
    return OpenItem(
        id=item.id,
        kind=Open(item.kind.value),
        at=item.created_at,
        client=client,
        email=email,
        what_for="",
        source_id=item.source_id,
        state=state,
        why=words.explain(
            standing,
            state=state,
            reason=item.reason,
            detail=item.reason_detail,
            next_try_at=next_try_at,
            client=client,
            service="",
        ),
        can_retry=words.can_retry(standing, state=state, reason=item.reason, next_try_at=next_try_at),
        currency=amount.currency,
        gross_minor=amount.gross_minor,
        fee_minor=amount.fee_minor,
        payment_id=payment_id,
        payout_id=payout_id,
        can_ignore=state is PaymentState.NEEDS_ATTENTION and item.reason is not Reason.OTHER_COMPANY,
    )


async def read_open_changes(
    session: AsyncSession, standing: Standing, *, before: Place | None = None, limit: int
) -> list[OpenItem]:
    """Return documents that were changed or removed in the books, newest discovery first."""
    if standing.books is None:
        return []
    statement = (
        changed_statement(standing.books.connection.id)
        .order_by(BooksDocument.read_at.desc(), BooksDocument.id.desc())
        .limit(limit)
    )
    if before is not None:
        statement = statement.where(tuple_(BooksDocument.read_at, BooksDocument.id) < tuple_(*before))
    rows = (await session.execute(statement)).all()
    changed = [changed_of(document, item, effect) for document, item, effect in rows]
    payouts = await _payouts_of(session, changed)
    again = await _recreatable(session, {item.id: item for _, item, _ in rows})
    return [
        OpenItem(
            id=one.id,
            kind=Open.CHANGED,
            at=one.read_at or document.created_at,
            client="",
            email="",
            what_for="",
            source_id=one.item_source_id,
            state=PaymentState.NEEDS_ATTENTION,
            why=None,
            can_retry=False,
            currency=one.currency,
            gross_minor=-one.deviation_minor,
            fee_minor=0,
            payment_id=one.payment_id,
            changed=one,
            payout_id=payouts.get(one.item_id),
            can_recreate=one.is_gone and one.item_id in again,
        )
        for one, (document, _, _) in zip(changed, rows, strict=True)
    ]


async def _recreatable(session: AsyncSession, items: dict[UUID, SyncItem]) -> set[UUID]:
    """Return of which items a person may have made again what was removed."""
    statement = (
        select(BooksDocument)
        .where(BooksDocument.item_id.in_(items), BooksDocument.state != DocumentState.DROPPED)
        .order_by(BooksDocument.item_id)
    )
    rows = (await session.execute(statement)).scalars()
    by_item = {item_id: list(group) for item_id, group in groupby(rows, key=lambda row: row.item_id)}
    return {item_id for item_id, group in by_item.items() if can_recreate(items[item_id], group)}


async def _payouts_of(session: AsyncSession, changed: Sequence[Changed]) -> dict[UUID, UUID]:
    """Return a payout whose proof names each item's documents, by the item's id."""
    if not changed:
        return {}
    of_movement = case(
        (IS_PAYOUT_ITSELF, BalanceTransaction.stripe_source_id), else_=BalanceTransaction.stripe_payout_id
    )
    statement = (
        select(BooksDocument.item_id, Payout.id)
        .join(ClearingLine, ClearingLine.document_id == BooksDocument.id)
        .join(BalanceTransaction, BalanceTransaction.stripe_id == ClearingLine.stripe_balance_transaction_id)
        .join(Payout, Payout.stripe_id == of_movement)
        .where(BooksDocument.item_id.in_({one.item_id for one in changed}))
        .group_by(BooksDocument.item_id, Payout.id)
    )
    return {found.item_id: found.id for found in await session.execute(statement)}
