"""What moved for one payment after it was paid: refunds, disputes, its fee, the payout that took it to the bank."""

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core.books.documents import AccountLine, Deposit, Expense, MoneyDocument
from core.db.models import (
    POSTED_KINDS,
    BalanceTransaction,
    BooksDocument,
    Dispute,
    DocumentState,
    ItemKind,
    Payment,
    Payout,
    Refund,
    SyncItem,
)
from core.sync.documents import thaw

MAX_DOCUMENTS = 100


@dataclass(frozen=True, slots=True)
class Moved:
    """One thing that Stripe says happened to the payment. Amounts in minor units of ``currency``, as Stripe states it.

    ``kind``: refund, dispute. ``status`` is Stripe's word.
    """

    at: datetime
    kind: str
    amount_minor: int
    currency: str
    status: str


@dataclass(frozen=True, slots=True)
class PaidOut:
    """The payout that carried the payment's net amount to the bank, or will."""

    id: UUID
    stripe_id: str
    arrives: date
    status: str


@dataclass(frozen=True, slots=True)
class FeeShare:
    """The document that books the payment's fee, with the lines that are this payment's alone."""

    row: BooksDocument
    document: Expense | Deposit


async def moved_for(session: AsyncSession, payment: Payment) -> list[Moved]:
    """Return refunds and disputes of a payment, oldest first."""
    refunds = (await session.execute(select(Refund).where(Refund.payment_id == payment.id))).scalars()
    disputes = (await session.execute(select(Dispute).where(Dispute.payment_id == payment.id))).scalars()
    found = [Moved(row.created_at, "refund", row.amount_minor, row.currency, row.status) for row in refunds]
    found += [Moved(row.created_at, "dispute", row.amount_minor, row.currency, row.status) for row in disputes]
    return sorted(found, key=lambda one: one.at)


async def paid_out_by(session: AsyncSession, payment: Payment) -> PaidOut | None:
    """Return the payout of a payment; None while Stripe has not named one."""
    if payment.stripe_balance_transaction_id is None:
        return None
    statement = (
        select(Payout)
        .join(BalanceTransaction, BalanceTransaction.stripe_payout_id == Payout.stripe_id)
        .where(BalanceTransaction.stripe_id == payment.stripe_balance_transaction_id)
        .limit(1)
    )
    row = (await session.execute(statement)).scalar_one_or_none()
    return PaidOut(row.id, row.stripe_id, row.arrival_date, row.status) if row else None


async def later_items(session: AsyncSession, payment_id: UUID, connection_id: UUID) -> list[SyncItem]:
    """Return the items that book refunds and disputes of a payment in one set of books."""
    statement = (
        select(SyncItem)
        .where(
            SyncItem.payment_id == payment_id,
            SyncItem.connection_id == connection_id,
            SyncItem.kind.in_(POSTED_KINDS - {ItemKind.SALE}),
        )
        .order_by(SyncItem.created_at, SyncItem.id)
    )
    return list((await session.execute(statement)).scalars())


async def documents_of(session: AsyncSession, items: list[SyncItem]) -> list[BooksDocument]:
    """Return the documents of items that stand or are planned, in the order of their days."""
    if not items:
        return []
    statement = (
        select(BooksDocument)
        .where(BooksDocument.item_id.in_([item.id for item in items]), BooksDocument.state != DocumentState.DROPPED)
        .order_by(BooksDocument.book_date, BooksDocument.item_id, BooksDocument.position)
        .limit(MAX_DOCUMENTS)
    )
    return list((await session.execute(statement)).scalars())


async def fee_share(session: AsyncSession, payment: Payment) -> FeeShare | None:
    """Return the posted document that books the payment's fee; its other lines belong to other payments."""
    if payment.stripe_balance_transaction_id is None:
        return None
    statement = (
        select(BooksDocument)
        .join(BalanceTransaction, BalanceTransaction.fee_item_id == BooksDocument.item_id)
        .where(
            BalanceTransaction.stripe_id == payment.stripe_balance_transaction_id,
            BooksDocument.state == DocumentState.POSTED,
        )
        .order_by(BooksDocument.position)
    )
    for row in (await session.execute(statement)).scalars():
        document = thaw(row.kind, row.content)
        lines = _lines_of(document, payment.stripe_balance_transaction_id)
        if lines and isinstance(document, Expense):
            return FeeShare(row, _only(document, lines))
    return None


def _lines_of(document: MoneyDocument, balance_transaction_id: str) -> tuple[AccountLine, ...]:
    if not isinstance(document, Expense | Deposit):
        return ()
    return tuple(line for line in document.lines if line.balance_transaction_id == balance_transaction_id)


def _only(document: Expense, lines: tuple[AccountLine, ...]) -> Expense:
    return Expense(
        reference=document.reference,
        payee_step=document.payee_step,
        date=document.date,
        currency=document.currency,
        account=document.account,
        lines=lines,
        memo=document.memo,
        name=document.name,
    )
