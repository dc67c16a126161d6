"""The books as plain-text double entry, for an auditor that is not ours (Beancount's ``bean-check``).

Every document that stands is one transaction. Against them stands what Stripe says: on the day after the last one the
clearing account must hold what the balance transactions add up to. The two sides come from different tables, so the
outside checker proves one against the other.

Source of the format: Beancount 3, "Beancount Language Syntax".
"""

import re
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, exists, func, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from core.accounting.port import AccountType
from core.books.documents import MoneyDocument
from core.books.effects import entries
from core.books.ledger_lines import EXCHANGE, GROUPS, RECEIVABLE, SALES_TAX, currency_of
from core.books.roles import AccountRole
from core.db.models import (
    POSTED_KINDS,
    BalanceTransaction,
    BooksAccount,
    BooksDocument,
    ClearingLine,
    Connection,
    DocumentState,
    ItemState,
    OpeningBalance,
    SyncItem,
    Tenant,
)
from core.mapping.rules import current_roles
from core.money import to_decimal
from core.sync.documents import thaw

PAGE = 500
_PAYOUTS = ("payout", "payout_reversal")

_ROOTS = {
    AccountType.BANK: "Assets",
    AccountType.RECEIVABLE: "Assets",
    AccountType.CURRENT_ASSET: "Assets",
    AccountType.OTHER_ASSET: "Assets",
    AccountType.PAYABLE: "Liabilities",
    AccountType.CREDIT_CARD: "Liabilities",
    AccountType.CURRENT_LIABILITY: "Liabilities",
    AccountType.OTHER_LIABILITY: "Liabilities",
    AccountType.EQUITY: "Equity",
    AccountType.INCOME: "Income",
    AccountType.OTHER_INCOME: "Income",
    AccountType.EXPENSE: "Expenses",
    AccountType.OTHER_EXPENSE: "Expenses",
}
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9]+")


@dataclass(frozen=True, slots=True)
class _Expected:
    """What Stripe's side makes of the clearing account as ``day`` begins; ``not_booked`` items are missing."""

    clearing: str
    day: date
    amount_minor: int
    not_booked: int


async def write_journal(session: AsyncSession, connection: Connection) -> AsyncIterator[str]:
    """Yield the journal of one set of books, line by line; memory does not grow with its length.

    Args:
        session: of the connection's tenant.
        connection: the set of books.
    """
    tenant = await session.get_one(Tenant, connection.tenant_id)
    names = await account_names(session, connection.id)
    first = await session.scalar(select(func.min(BooksDocument.book_date)).where(*_standing(connection.id)))
    expected = await _expected(session, connection, tenant)
    currency = connection.currency.upper()
    yield f'option "title" "{_text(tenant.name)}, kept by Tieout"'
    yield f'option "operating_currency" "{currency}"'
    yield ""
    for name in sorted(set(names.values())):
        yield f"{(first or date(2000, 1, 1)).isoformat()} open {name} {currency}"
    async for row in _rows(session, connection.id):
        yield ""
        for line in transaction_lines(row, thaw(row.kind, row.content), names):
            yield line
    yield ""
    for line in _assertion(expected, names, currency):
        yield line


def transaction_lines(row: BooksDocument, document: MoneyDocument, names: dict[str, str]) -> Iterator[str]:
    """Yield one document as a transaction: its number in the books, our reference, each entry."""
    title = _text(f"{GROUPS[row.kind]} {row.external_number or ''}")
    yield f'{row.book_date.isoformat()} * "{title}" "{_text(document.memo)}"'
    yield f'  reference: "{_text(row.reference)}"'
    yield f'  document: "{_text(row.external_id or "")}"'
    currency = currency_of(document)
    for entry in entries(document):
        amount = to_decimal(entry.amount_minor, currency)
        yield f"  {names[entry.account_id]}  {amount} {currency.upper()}"
        if entry.balance_transaction_id:
            yield f'    stripe: "{_text(entry.balance_transaction_id)}"'


async def account_names(session: AsyncSession, connection_id: UUID) -> dict[str, str]:
    """Return each account's name in the journal by its external id, those of the books' own accounts included."""
    statement = select(BooksAccount).where(BooksAccount.connection_id == connection_id).order_by(BooksAccount.name)
    names = {
        RECEIVABLE: "Assets:Accounts-receivable",
        SALES_TAX: "Liabilities:Sales-tax",
        EXCHANGE: "Income:Exchange-gain-or-loss",
    }
    taken = set(names.values())
    for account in (await session.execute(statement)).scalars():
        root = _ROOTS[AccountType(account.type)]
        name = f"{root}:{_component(account.number, account.name)}"
        if name in taken:
            name = f"{name}-{_component(None, account.external_id)}"
        names[account.external_id] = name
        taken.add(name)
    return names


def _component(number: str | None, name: str) -> str:
    words = _NOT_IN_A_NAME.sub("-", f"{number or ''} {name}".strip()).strip("-")
    return f"{words[:1].upper()}{words[1:]}" or "Account"


def _assertion(expected: _Expected | None, names: dict[str, str], currency: str) -> Iterable[str]:
    if expected is None:
        return ["; Stripe has moved nothing yet, so there is nothing to hold the clearing account against."]
    if expected.not_booked:
        what = "item of Stripe's is" if expected.not_booked == 1 else "items of Stripe's are"
        return [f"; {expected.not_booked} {what} not in the books, so clearing is not held against Stripe's balance."]
    amount = to_decimal(expected.amount_minor, currency)
    return [
        "; What Stripe's balance transactions add up to since the first day, on top of what Stripe held then.",
        # Without a tolerance of its own Beancount would let a cent pass.
        f"{expected.day.isoformat()} balance {names[expected.clearing]}  {amount} ~ 0 {currency}",
    ]


async def _expected(session: AsyncSession, connection: Connection, tenant: Tenant) -> _Expected | None:
    """Add up, from Stripe's side alone, what must stand on the clearing account when everything is booked.

    Every balance transaction since the first day, and what Stripe held then. A payout that has left Stripe and has not
    arrived is on its way: its transfer is booked on the day of arrival, so it is left out.
    """
    roles = await current_roles(session, connection.id)
    last = await session.scalar(select(func.max(BooksDocument.book_date)).where(*_standing(connection.id)))
    if last is None or AccountRole.CLEARING not in roles or tenant.posting_starts_at is None:
        return None
    moved = await session.scalar(
        select(func.coalesce(func.sum(BalanceTransaction.net_minor), 0)).where(
            BalanceTransaction.created_at >= tenant.posting_starts_at,
            BalanceTransaction.currency == connection.currency.lower(),
            or_(BalanceTransaction.reporting_category.not_in(_PAYOUTS), _is_booked(connection.id)),
        )
    )
    opening = await session.scalar(
        select(func.coalesce(func.sum(OpeningBalance.amount_minor), 0)).where(
            OpeningBalance.starts_at == tenant.posting_starts_at,
            OpeningBalance.currency == connection.currency.lower(),
        )
    )
    not_booked = await session.scalar(
        select(func.count(SyncItem.id)).where(
            SyncItem.connection_id == connection.id,
            SyncItem.kind.in_(POSTED_KINDS),
            SyncItem.state != ItemState.DONE,
        )
    )
    return _Expected(
        clearing=roles[AccountRole.CLEARING].account_id,
        day=last + timedelta(days=1),
        amount_minor=int(moved or 0) + int(opening or 0),
        not_booked=not_booked or 0,
    )


def _is_booked(connection_id: UUID) -> ColumnElement[bool]:
    return exists().where(
        ClearingLine.stripe_balance_transaction_id == BalanceTransaction.stripe_id,
        ClearingLine.document_id == BooksDocument.id,
        *_standing(connection_id),
    )


def _standing(connection_id: UUID) -> tuple[ColumnElement[bool], ...]:
    return BooksDocument.connection_id == connection_id, BooksDocument.state == DocumentState.POSTED


async def _rows(session: AsyncSession, connection_id: UUID) -> AsyncIterator[BooksDocument]:
    """Yield the documents that stand, oldest first, page by page."""
    after: tuple[date, UUID] | None = None
    while True:
        statement = (
            select(BooksDocument)
            .where(*_standing(connection_id))
            .order_by(BooksDocument.book_date, BooksDocument.id)
            .limit(PAGE)
        )
        if after is not None:
            statement = statement.where(tuple_(BooksDocument.book_date, BooksDocument.id) > after)
        rows = (await session.execute(statement)).scalars().all()
        for row in rows:
            yield row
        if len(rows) < PAGE:
            return
        after = (rows[-1].book_date, rows[-1].id)
        session.expunge_all()


def _text(text: str) -> str:
    """Return words that cannot end their own quotation."""
    return " ".join(text.replace("\\", " ").replace('"', "'").split())
