"""From rows to the pure planner: facts of a payment, the mapping in force, the books as last read."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core.books.documents import Customer as CustomerDocument
from core.books.documents import DocumentKind, MoneyDocument
from core.books.facts import FactLine, SaleFacts
from core.books.mapping import MappingRules
from core.books.posting import plan_sale
from core.books.presentment import is_presented, keep_style, plan_presented_sale
from core.books.profile import BookAccount, BooksProfile, BookTaxCode
from core.books.roles import AccountRole, RoleChoice
from core.db.models import (
    BalanceTransaction,
    BooksAccount,
    BooksTaxCode,
    CategoryVersion,
    Connection,
    Customer,
    Payment,
    PaymentLine,
    RoleVersion,
    Service,
    Tenant,
    User,
)
from core.live import current_seq
from core.mapping.rules import current_bookkeeping, load_rules
from core.sync.rates import find_rate

_BANK = "bank"


async def plan_now(
    session: AsyncSession,
    payment: Payment,
    profile: "ConnectedBooks",
    *,
    reference: str,
    standing: Mapping[DocumentKind, str] | None = None,
) -> tuple[MoneyDocument, ...]:
    """Plan one sale with the mapping in force; what stands of it already decides its style, not the setting.

    Args:
        session: of the tenant.
        payment: whose sale it is.
        profile: the books.
        reference: lasting identity of its documents.
        standing: kind -> currency of its documents that stand, or may stand.

    Raises:
        StopError: why nothing can be posted yet.
    """
    facts = profile.sales.get(payment.id) or await sale_facts(session, payment, profile.home_currency)
    rules = profile.rules or await load_rules(session, profile.connection_id)
    books = await books_profile(session, profile)
    if standing:
        books = replace(books, settings=keep_style(books.settings, standing, books.home_currency))
    if is_presented(facts, books):
        facts = await _presented(session, payment, facts, profile)
        return plan_presented_sale(facts, rules, books, reference=reference)
    return plan_sale(facts, rules, books, reference=reference)


async def _presented(session: AsyncSession, payment: Payment, facts: SaleFacts, profile: "ConnectedBooks") -> SaleFacts:
    """Return the facts as a sale in the client's currency needs them: its day, the rate of that day, its client.

    Raises:
        RateMissingError: the rate has not been read yet.
    """
    tenant = await session.get_one(Tenant, payment.tenant_id)
    day = invoice_day(payment, tenant, facts.book_date)
    return replace(
        facts,
        customer=replace(facts.customer, currency=payment.currency, is_foreign=True),
        invoiced_on=day,
        invoice_rate=await find_rate(session, profile.connection_id, payment.currency, day),
    )


def invoice_day(payment: Payment, tenant: Tenant, paid_on: date) -> date:
    """Return the local day of the invoice that a payment paid, within the days that Tieout books.

    One that was raised before the first day lies on that day: what was before is not Tieout's to write.
    """
    zone = ZoneInfo(tenant.time_zone)
    raised = payment.invoiced_at.astimezone(zone).date() if payment.invoiced_at else paid_on
    first = tenant.posting_starts_at.astimezone(zone).date() if tenant.posting_starts_at else raised
    return min(max(raised, first), paid_on)


class ConnectedBooks:
    """What the planner needs to know of a connection.

    ``rules`` and ``profile`` are read anew for each plan, unless :meth:`remember` or :meth:`recall` has kept them.
    """

    def __init__(self, connection: Connection, name: str) -> None:
        self.connection_id = connection.id
        self.name = name
        self.home_currency = connection.currency
        self.sales: dict[UUID, SaleFacts] = {}
        # The tenant's number as of which the decisions are kept: each of them changes with it.
        self._seq: int | None = None
        self.rules: MappingRules | None = None
        self.profile: BooksProfile | None = None

    async def remember(self, session: AsyncSession) -> BooksProfile:
        """Keep the decisions of this moment, for whoever plans thousands of documents and posts none."""
        self.rules = await load_rules(session, self.connection_id)
        # Or those that were kept before would be handed out again.
        self.profile = None
        self.profile = await books_profile(session, self)
        return self.profile

    async def recall(self, session: AsyncSession, tenant_id: UUID) -> None:
        """Keep the decisions as long as nothing that the tenant sees has changed but by :meth:`passed`."""
        seq = await current_seq(session, tenant_id)
        if seq != self._seq:
            await self.remember(session)
            self._seq = seq

    def passed(self, seq: int) -> None:
        """Take down that the tenant's number has become ``seq`` by a change of our own, which was no decision."""
        if self._seq is not None and seq == self._seq + 1:
            self._seq = seq
        else:
            self.forget()

    async def remember_sales(self, session: AsyncSession, payments: Sequence[Payment]) -> None:
        """Keep the facts of several sales of this moment."""
        self.sales = await sales_facts(session, payments, self.home_currency)

    def forget(self) -> None:
        """Read decisions and facts anew from now on."""
        self.sales = {}
        self.rules = self.profile = self._seq = None


async def sale_facts(session: AsyncSession, payment: Payment, home_currency: str) -> SaleFacts:
    """Gather the facts of one payment from its rows."""
    return (await sales_facts(session, [payment], home_currency))[payment.id]


async def sales_facts(session: AsyncSession, payments: Sequence[Payment], home_currency: str) -> dict[UUID, SaleFacts]:
    """Gather the facts of several payments from their rows, by payment."""
    lines = await _lines(session, payments)
    days = await _book_dates(session, payments)
    clients = await _clients(session, payments)
    return {
        payment.id: SaleFacts(
            source_id=payment.source_id,
            stripe_charge_id=payment.stripe_charge_id,
            stripe_balance_transaction_id=payment.stripe_balance_transaction_id,
            amount_minor=payment.amount_minor,
            currency=payment.currency,
            settled_minor=payment.settled_minor,
            settled_currency=payment.settled_currency,
            book_date=days.get(payment.stripe_balance_transaction_id or "") or payment.book_date,
            customer=_customer_document(clients[payment.customer_id], home_currency),
            lines=tuple(lines[payment.id]),
        )
        for payment in payments
    }


async def _lines(session: AsyncSession, payments: Sequence[Payment]) -> Mapping[UUID, list[FactLine]]:
    statement = (
        select(
            PaymentLine.payment_id,
            PaymentLine.kind,
            PaymentLine.service_id,
            Service.name,
            PaymentLine.description,
            PaymentLine.amount_minor,
            PaymentLine.tax_minor,
            PaymentLine.has_tax,
            PaymentLine.stripe_field,
            PaymentLine.found_by,
        )
        .join(Service, Service.id == PaymentLine.service_id)
        .where(PaymentLine.payment_id.in_([payment.id for payment in payments]))
        .order_by(PaymentLine.payment_id, PaymentLine.position)
    )
    found: defaultdict[UUID, list[FactLine]] = defaultdict(list)
    for payment_id, *line in (await session.execute(statement)).all():
        found[payment_id].append(FactLine(*line))
    return found


async def _book_dates(session: AsyncSession, payments: Sequence[Payment]) -> dict[str, date | None]:
    """Return the local days on which the money reached Stripe's balance, as far as they are known.

    Until then it is the day of the payment that counts.
    """
    ids = [payment.stripe_balance_transaction_id for payment in payments if payment.stripe_balance_transaction_id]
    if not ids:
        return {}
    moved = select(BalanceTransaction.stripe_id, BalanceTransaction.book_date).where(
        BalanceTransaction.stripe_id.in_(ids)
    )
    return {row.stripe_id: row.book_date for row in (await session.execute(moved)).all()}


async def _clients(session: AsyncSession, payments: Sequence[Payment]) -> dict[UUID, Customer]:
    statement = select(Customer).where(Customer.id.in_({payment.customer_id for payment in payments}))
    return {row.id: row for row in (await session.execute(statement)).scalars()}


async def customer_document(session: AsyncSession, payment: Payment, currency: str) -> CustomerDocument:
    """Return the payment's client as the books should know them."""
    return _customer_document(await session.get_one(Customer, payment.customer_id), currency)


def _customer_document(customer: Customer, currency: str) -> CustomerDocument:
    return CustomerDocument(
        customer_id=str(customer.id),
        name=customer.name,
        email=customer.email,
        currency=currency,
        phone=customer.phone,
        stripe_customer_id=customer.stripe_customer_id,
    )


async def books_profile(session: AsyncSession, books: ConnectedBooks) -> BooksProfile:
    """Return the connected books as last read: accounts, tax codes, roles and settings in force."""
    if books.profile is not None:
        return books.profile
    accounts = await session.execute(select(BooksAccount).where(BooksAccount.connection_id == books.connection_id))
    codes = await session.execute(select(BooksTaxCode).where(BooksTaxCode.connection_id == books.connection_id))
    return BooksProfile(
        name=books.name,
        home_currency=books.home_currency,
        accounts={
            a.external_id: BookAccount(a.external_id, a.name, a.is_active, a.number, a.type == _BANK)
            for a in accounts.scalars()
        },
        tax_codes={
            c.external_id: BookTaxCode(c.external_id, c.name, c.rate_ppm, c.is_active, c.rate_external_id)
            for c in codes.scalars()
        },
        roles=await _roles(session, books.connection_id),
        settings=await current_bookkeeping(session, books.connection_id),
        categories=await _categories(session, books.connection_id),
    )


async def _roles(session: AsyncSession, connection_id: UUID) -> dict[AccountRole, RoleChoice]:
    statement = (
        select(RoleVersion, User.name)
        .outerjoin(User, User.id == RoleVersion.created_by)
        .where(RoleVersion.connection_id == connection_id)
        .order_by(RoleVersion.version)
    )
    found = (await session.execute(statement)).all()
    return {row.role: RoleChoice(row.account_id, row.version, name or "") for row, name in found}


async def _categories(session: AsyncSession, connection_id: UUID) -> dict[str, RoleChoice]:
    statement = (
        select(CategoryVersion, User.name)
        .outerjoin(User, User.id == CategoryVersion.created_by)
        .where(CategoryVersion.connection_id == connection_id)
        .order_by(CategoryVersion.version)
    )
    found = (await session.execute(statement)).all()
    return {row.category: RoleChoice(row.account_id, row.version, name or "") for row, name in found}
