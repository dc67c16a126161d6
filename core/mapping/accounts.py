"""The accounts page's content: who plays which role, how things are booked, what waits for an answer, the first day."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core.accounting.port import AccountType
from core.books.roles import AccountRole, BookkeepingSettings
from core.db.models import (
    BooksAccount,
    BooksTaxCode,
    ItemState,
    OpeningBalance,
    RoleVersion,
    SyncItem,
)
from core.mapping.role_specs import SPECS
from core.mapping.rules import current_bookkeeping, current_roles
from core.reasons import Reason

MAX_QUESTIONS = 50


@dataclass(frozen=True, slots=True)
class Question:
    """A kind of movement that nobody has placed yet, and how many wait for the answer."""

    category: str
    waiting: int
    example: str


@dataclass(frozen=True, slots=True)
class AccountsPage:
    """Everything on the page."""

    accounts: dict[str, BooksAccount]
    tax_codes: list[BooksTaxCode]
    roles: dict[AccountRole, RoleVersion]
    bookkeeping: BookkeepingSettings
    questions: list[Question]
    opening: list[OpeningBalance]
    feed_account: BooksAccount | None
    fetched_at: datetime | None

    @property
    def missing(self) -> list[AccountRole]:
        """Roles that we would create and that nobody plays, the optional ones left out."""
        return [
            role for role, spec in SPECS.items() if role not in self.roles and spec.creatable and not spec.is_optional
        ]


async def accounts_page(session: AsyncSession, connection_id: UUID) -> AccountsPage:
    """Read the page for one set of books."""
    accounts = await _accounts(session, connection_id)
    roles = await current_roles(session, connection_id)
    codes = select(BooksTaxCode).where(BooksTaxCode.connection_id == connection_id, BooksTaxCode.on_purchases)
    opening = select(OpeningBalance).order_by(OpeningBalance.read_at.desc()).limit(10)
    return AccountsPage(
        accounts={account.external_id: account for account in accounts},
        tax_codes=list((await session.execute(codes.order_by(BooksTaxCode.name))).scalars()),
        roles=roles,
        bookkeeping=await current_bookkeeping(session, connection_id),
        questions=await _questions(session, connection_id),
        opening=list((await session.execute(opening)).scalars()),
        feed_account=_feed_account(accounts, roles),
        fetched_at=max((account.read_at for account in accounts), default=None),
    )


async def _accounts(session: AsyncSession, connection_id: UUID) -> list[BooksAccount]:
    statement = (
        select(BooksAccount)
        .where(BooksAccount.connection_id == connection_id)
        .order_by(BooksAccount.number.nulls_last(), BooksAccount.name)
    )
    return list((await session.execute(statement)).scalars())


async def _questions(session: AsyncSession, connection_id: UUID) -> list[Question]:
    statement = (
        select(SyncItem)
        .where(
            SyncItem.connection_id == connection_id,
            SyncItem.state == ItemState.NEEDS_ATTENTION,
            SyncItem.reason == Reason.UNKNOWN_CATEGORY,
        )
        .order_by(SyncItem.created_at)
        .limit(1000)
    )
    found: dict[str, list[str]] = {}
    for item in (await session.execute(statement)).scalars():
        # ``category`` is the word for people; the answer is stored under Stripe's own.
        category = str(item.reason_detail.get("reporting_category") or item.reason_detail.get("category", ""))
        found.setdefault(category, []).append(str(item.reason_detail.get("amount", "")))
    return [Question(category, len(amounts), amounts[0]) for category, amounts in list(found.items())[:MAX_QUESTIONS]]


def _feed_account(accounts: Iterable[BooksAccount], roles: dict[AccountRole, RoleVersion]) -> BooksAccount | None:
    """Return a bank account that the ledger's own Stripe feed may fill, unless it is the clearing account itself.

    With a feed on one account and our entries on another, every payment would be in the books twice.
    """
    clearing = roles.get(AccountRole.CLEARING)
    chosen = clearing.account_id if clearing else None
    for account in accounts:
        is_bank = account.type == AccountType.BANK.value and account.is_active
        if is_bank and "stripe" in account.name.casefold() and account.external_id != chosen:
            return account
    return None
