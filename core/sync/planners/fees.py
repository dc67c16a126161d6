"""The documents of fees: of a day, of one balance transaction, or of a payout."""

from collections.abc import Sequence
from datetime import date

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from core.books.categories import books_its_fee
from core.books.documents import Deposit, Expense, MoneyDocument
from core.books.fees import plan_fees
from core.db.models import BalanceTransaction, SyncItem, Tenant
from core.sync.plan import ConnectedBooks, books_profile
from core.sync.planners.rows import base_name, movement_facts, references


async def plan_fees_item(session: AsyncSession, item: SyncItem, profile: ConnectedBooks) -> list[MoneyDocument]:
    """Plan the fees that an item has taken up, or those that none has taken up yet.

    Raises:
        StopError: why nothing can be posted yet.
    """
    tenant = await session.get_one(Tenant, item.tenant_id)
    rows = await _rows(session, BalanceTransaction.fee_item_id == item.id)
    if not rows:
        open_ = await _rows(session, _belongs(item.source_id), BalanceTransaction.fee_item_id.is_(None))
        rows = [row for row in open_ if _fits(row, item.source_id, profile)]
    books = await books_profile(session, profile)
    facts = [
        movement_facts(row, tenant)
        for row in rows
        if not books_its_fee(row.reporting_category, row.type, row.stripe_source_id)
    ]
    return plan_fees(facts, books, reference=references(item, "TF"))


async def _rows(session: AsyncSession, *conditions: ColumnElement[bool]) -> Sequence[BalanceTransaction]:
    statement = (
        select(BalanceTransaction)
        .where(BalanceTransaction.fee_minor != 0, *conditions)
        .order_by(BalanceTransaction.created_at, BalanceTransaction.stripe_id)
    )
    return (await session.execute(statement)).scalars().all()


def _belongs(source_id: str) -> ColumnElement[bool]:
    name = base_name(source_id)
    if name.startswith("po_"):
        return BalanceTransaction.stripe_payout_id == name
    if name.startswith("txn_"):
        return BalanceTransaction.stripe_id == name
    return BalanceTransaction.book_date == date.fromisoformat(name)


def _fits(row: BalanceTransaction, source_id: str, profile: ConnectedBooks) -> bool:
    """Leave other currencies out of what is booked together: they stop by themselves."""
    return source_id.startswith("txn_") or row.currency.lower() == profile.home_currency.lower()


async def take_up(session: AsyncSession, item: SyncItem, documents: Sequence[MoneyDocument]) -> None:
    """Note on each balance transaction that this item books its fee, now that the documents are frozen."""
    named = {
        line.balance_transaction_id
        for document in documents
        if isinstance(document, Expense | Deposit)
        for line in document.lines
    }
    await session.execute(
        update(BalanceTransaction)
        .where(BalanceTransaction.stripe_id.in_(named), BalanceTransaction.fee_item_id.is_(None))
        .values(fee_item_id=item.id)
    )
