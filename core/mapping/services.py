"""The mapping page's content: every service with its use, its decision and what waits for it. Few queries, own rows."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from core.accounting.port import AccountType
from core.books.mapping import MappingChoice, MappingRules
from core.books.roles import AccountRole
from core.db.models import (
    BooksAccount,
    BooksTaxCode,
    Payment,
    PaymentLine,
    PaymentState,
    RoleVersion,
    Service,
    ServiceSource,
)
from core.mapping.rules import (
    DEFAULT_KEY,
    TIP_KEY,
    Decision,
    current_roles,
    load_decisions,
    rules_of,
)
from core.mapping.suggest import suggest_account
from core.reasons import Reason
from core.reports.standing import Books

USE_DAYS = 90
MAX_SERVICES = 1000
"""More rows than anyone maps by hand; the rest inherits the default row."""

INCOME_TYPES = (
    AccountType.INCOME,
    AccountType.OTHER_INCOME,
    AccountType.CURRENT_LIABILITY,
    AccountType.OTHER_LIABILITY,
)
"""Where income may go; liabilities are for retainers and vouchers, which are owed until they are delivered."""

MAPPING_REASONS = (Reason.SERVICE_NOT_MAPPED, Reason.ACCOUNT_INACTIVE, Reason.TAX_CODE_MISFIT)
"""Why payments stop that another choice on a service's row cures."""


@dataclass(slots=True)
class Use:
    """How much of a service was sold in :data:`USE_DAYS`, in its most sold currency, and what waits for a choice."""

    payments: int = 0
    amount_minor: int = 0
    currency: str | None = None
    waiting: int = 0
    waiting_minor: int = 0
    waiting_currency: str | None = None


@dataclass(frozen=True, slots=True)
class _Stopped:
    """Payments that stopped for one reason, one of whose services is this one."""

    service_id: UUID
    reason: Reason
    currency: str
    count: int
    amount_minor: int


@dataclass(frozen=True, slots=True)
class ServiceRow:
    """One service. ``own`` is its decision, ``effective`` the one that holds, ``suggestion`` an account to offer."""

    id: UUID
    name: str
    source: ServiceSource
    price_minor: int | None
    price_currency: str | None
    use: Use
    own: Decision | None
    effective: MappingChoice | None
    suggestion: BooksAccount | None


@dataclass(frozen=True, slots=True)
class MappingPage:
    """Everything on the page. ``default`` is None until the default row was first decided."""

    rows: list[ServiceRow]
    default: Decision | None
    rules: MappingRules
    income_accounts: list[BooksAccount]
    accounts: dict[str, BooksAccount]
    tax_codes: list[BooksTaxCode]
    roles: dict[AccountRole, RoleVersion]
    fetched_at: datetime | None
    waiting: Use

    @property
    def unmapped(self) -> int:
        """Services that have no account and inherit none."""
        return sum(row.effective is None for row in self.rows)


async def mapping_page(session: AsyncSession, books: Books, *, now: datetime) -> MappingPage:
    """Read the page for one set of books."""
    connection_id = books.connection.id
    decisions = await load_decisions(session, connection_id)
    rules = rules_of(decisions)
    roles = await current_roles(session, connection_id)
    accounts = await _accounts(session, connection_id)
    by_service = {found.service_id: found for found in decisions}
    income = [a for a in accounts if a.is_active and a.type in INCOME_TYPES]
    by_id = {a.external_id: a for a in accounts}
    use = await _use(session, now)
    for stopped in await _waiting(session):
        if _concerns(stopped, rules.choose(stopped.service_id), by_id):
            _wait(use[stopped.service_id], stopped.currency, stopped.count, stopped.amount_minor)
    rows = [
        ServiceRow(
            id=service.id,
            name=service.name,
            source=service.source,
            price_minor=service.unit_amount_minor,
            price_currency=service.currency,
            use=use[service.id],
            own=by_service.get(service.id),
            effective=rules.choose(service.id),
            suggestion=_suggestion(service, by_service.get(service.id), income),
        )
        for service in await _services(session)
        if service.key != TIP_KEY or AccountRole.TIPS not in roles
    ]
    rows.sort(key=lambda row: (row.effective is not None, -row.use.amount_minor, row.name.casefold()))
    return MappingPage(
        rows=rows,
        default=next((found for found in decisions if found.choice.is_default), None),
        rules=rules,
        income_accounts=income,
        accounts=by_id,
        tax_codes=await _tax_codes(session, connection_id),
        roles=roles,
        fetched_at=max((a.read_at for a in accounts), default=None),
        waiting=await _all_waiting(session),
    )


async def _services(session: AsyncSession) -> list[Service]:
    statement = (
        select(Service)
        .where(Service.key != DEFAULT_KEY, Service.is_active.is_(True))
        .order_by(Service.created_at.desc())
        .limit(MAX_SERVICES)
    )
    return list((await session.execute(statement)).scalars())


async def _accounts(session: AsyncSession, connection_id: UUID) -> list[BooksAccount]:
    statement = (
        select(BooksAccount)
        .where(BooksAccount.connection_id == connection_id)
        .order_by(BooksAccount.number.nulls_last(), BooksAccount.name)
    )
    return list((await session.execute(statement)).scalars())


async def _tax_codes(session: AsyncSession, connection_id: UUID) -> list[BooksTaxCode]:
    statement = select(BooksTaxCode).where(BooksTaxCode.connection_id == connection_id, BooksTaxCode.on_sales)
    return list((await session.execute(statement.order_by(BooksTaxCode.name))).scalars())


async def _use(session: AsyncSession, now: datetime) -> defaultdict[UUID, Use]:
    """Count sales and money per service. The money of several currencies is not added up; the biggest one is shown."""
    statement = (
        select(
            PaymentLine.service_id,
            Payment.currency,
            func.count(Payment.id.distinct()),
            func.sum(PaymentLine.amount_minor + PaymentLine.tax_minor),
        )
        .join(Payment, Payment.id == PaymentLine.payment_id)
        .where(Payment.paid_at >= now - timedelta(days=USE_DAYS))
        .group_by(PaymentLine.service_id, Payment.currency)
    )
    use: defaultdict[UUID, Use] = defaultdict(Use)
    for service_id, currency, payments, amount in await session.execute(statement):
        found = use[service_id]
        found.payments += payments
        if int(amount) >= found.amount_minor:
            found.amount_minor, found.currency = int(amount), currency
    return use


async def _waiting(session: AsyncSession) -> list[_Stopped]:
    """Count the payments that a choice on this page would let go on, by service and reason."""
    parts = (
        select(PaymentLine.payment_id, PaymentLine.service_id)
        .join(Payment, Payment.id == PaymentLine.payment_id)
        .where(Payment.state == PaymentState.NEEDS_ATTENTION, Payment.reason.in_(MAPPING_REASONS))
        .distinct()
        .subquery()
    )
    statement = (
        select(parts.c.service_id, Payment.reason, Payment.currency, func.count(), func.sum(Payment.amount_minor))
        .join(parts, parts.c.payment_id == Payment.id)
        .group_by(parts.c.service_id, Payment.reason, Payment.currency)
    )
    return [
        _Stopped(service_id, reason, currency, count, int(amount))
        for service_id, reason, currency, count, amount in await session.execute(statement)
        if reason is not None
    ]


async def _all_waiting(session: AsyncSession) -> Use:
    """Count them once each, whatever they were for."""
    statement = (
        select(Payment.currency, func.count(), func.sum(Payment.amount_minor))
        .where(Payment.state == PaymentState.NEEDS_ATTENTION, Payment.reason.in_(MAPPING_REASONS))
        .group_by(Payment.currency)
    )
    everything = Use()
    for currency, count, amount in await session.execute(statement):
        _wait(everything, currency, count, int(amount))
    return everything


def _concerns(stopped: _Stopped, choice: MappingChoice | None, accounts: dict[str, BooksAccount]) -> bool:
    """Tell whether this service's row is what the payments wait for; they may have been for several services."""
    match stopped.reason:
        case Reason.SERVICE_NOT_MAPPED:
            return choice is None
        case Reason.ACCOUNT_INACTIVE:
            return choice is not None and not is_usable(accounts.get(choice.income_account_id or ""))
        case _:
            return choice is not None and choice.tax_code_id is not None


def is_usable(account: BooksAccount | None) -> bool:
    """Tell whether income can go to the account."""
    return account is not None and account.is_active and account.type in INCOME_TYPES


def _wait(use: Use, currency: str, count: int, amount_minor: int) -> None:
    use.waiting += count
    if amount_minor >= use.waiting_minor:
        use.waiting_minor, use.waiting_currency = amount_minor, currency


def _suggestion(service: Service, own: Decision | None, income: list[BooksAccount]) -> BooksAccount | None:
    if own is not None and own.choice.income_account_id is not None:
        return None
    found = suggest_account(service.name, income)
    return found if isinstance(found, BooksAccount) else None
