"""What an item that is not in the books yet will move on the clearing account, from Stripe's balance transactions."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, ScalarSelect, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from core.db.models import (
    BalanceTransaction,
    BooksDocument,
    ClearingLine,
    DocumentState,
    ItemKind,
    OpeningBalance,
    Payment,
    SyncItem,
)
from core.reports.query import OPEN_STATES
from core.reports.standing import Standing

_BY_SOURCE = (ItemKind.REFUND, ItemKind.DISPUTE, ItemKind.PAYOUT)


@dataclass(frozen=True, slots=True)
class Amount:
    """What is missing on the clearing account: gross less fee, in minor units of ``currency``."""

    currency: str
    gross_minor: int
    fee_minor: int


def booked_minor(books_id: UUID) -> ScalarSelect[Any]:
    """Return, for a statement over balance transactions, what our documents hold for each one in a set of books."""
    return (
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


async def read_amounts(session: AsyncSession, items: Sequence[SyncItem], standing: Standing) -> dict[UUID, Amount]:
    """Return the amount of each item, by its id; an item that Stripe has no balance transaction for is missing."""
    if standing.books is None or not items:
        return {}
    found: dict[UUID, Amount] = {}
    # What was begun in a company that was replaced lacks what those books do not hold.
    for books_id in {item.connection_id for item in items}:
        missing = BalanceTransaction.net_minor - booked_minor(books_id)
        found |= await _moved(session, [item for item in items if item.connection_id == books_id], missing)
    found |= await _fees(session, [item for item in items if item.kind is ItemKind.FEES])
    opening = [item for item in items if item.kind is ItemKind.OPENING]
    if opening and standing.stripe is not None:
        found |= await _opening(session, opening, standing.stripe.id, standing.main_currency)
    return found


async def _moved(session: AsyncSession, items: Sequence[SyncItem], missing: ColumnElement[int]) -> dict[UUID, Amount]:
    by_source = {item.source_id: item.id for item in items if item.kind in _BY_SOURCE}
    by_id = {item.source_id: item.id for item in items if item.kind is ItemKind.MOVEMENT}
    if not by_source and not by_id:
        return {}
    statement = select(
        BalanceTransaction.stripe_source_id, BalanceTransaction.stripe_id, BalanceTransaction.currency, missing
    ).where(
        or_(BalanceTransaction.stripe_source_id.in_(list(by_source)), BalanceTransaction.stripe_id.in_(list(by_id)))
    )
    sums: dict[UUID, Amount] = {}
    for source_id, stripe_id, currency, minor in await session.execute(statement):
        item_id = by_id.get(stripe_id) or by_source.get(source_id or "")
        if item_id is not None:
            before = sums.get(item_id, Amount(currency.lower(), 0, 0))
            sums[item_id] = Amount(before.currency, before.gross_minor + int(minor), 0)
    return sums


async def _fees(session: AsyncSession, items: Sequence[SyncItem]) -> dict[UUID, Amount]:
    """Return the fees that each item books or will book; those of open payments stand with their payments."""
    if not items:
        return {}
    days = {day for item in items if (day := _day(item.source_id)) is not None}
    names = [item.source_id for item in items]
    statement = (
        select(
            BalanceTransaction.fee_item_id,
            BalanceTransaction.book_date,
            BalanceTransaction.stripe_id,
            BalanceTransaction.stripe_payout_id,
            BalanceTransaction.currency,
            BalanceTransaction.fee_minor,
        )
        .outerjoin(Payment, Payment.stripe_balance_transaction_id == BalanceTransaction.stripe_id)
        .where(
            BalanceTransaction.fee_minor != 0,
            or_(Payment.id.is_(None), Payment.state.not_in(OPEN_STATES)),
            or_(
                BalanceTransaction.book_date.in_(days),
                BalanceTransaction.stripe_id.in_(names),
                BalanceTransaction.stripe_payout_id.in_(names),
            ),
        )
    )
    ids = {item.id for item in items}
    by_name = {item.source_id: item.id for item in items}
    sums: dict[UUID, Amount] = {}
    for item_id, day, stripe_id, payout_id, currency, fee in await session.execute(statement):
        named = by_name.get(stripe_id) or by_name.get(payout_id or "") or by_name.get(day.isoformat() if day else "")
        owner = item_id or named
        if owner in ids:
            before = sums.get(owner, Amount(currency.lower(), 0, 0))
            sums[owner] = Amount(before.currency, 0, before.fee_minor + fee)
    return sums


def _day(source_id: str) -> date | None:
    """Return the day of a day's fees; a second document of the day is called "2026-11-20#2"."""
    try:
        return date.fromisoformat(source_id.partition("#")[0])
    except ValueError:
        return None


async def _opening(
    session: AsyncSession, items: Sequence[SyncItem], stripe_id: UUID, currency: str
) -> dict[UUID, Amount]:
    statement = (
        select(OpeningBalance.currency, OpeningBalance.amount_minor)
        .where(OpeningBalance.connection_id == stripe_id)
        .order_by(OpeningBalance.starts_at)
    )
    known = {code.lower(): minor for code, minor in await session.execute(statement)}
    return {
        item.id: Amount(code, known[code], 0)
        for item in items
        if (code := item.source_id.partition(":")[2].lower() or currency) in known
    }
