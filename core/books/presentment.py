"""A sale in the client's own currency: an invoice at the rate of its day, paid later at Stripe's. Pure.

What the currency gained or lost between the two is a realised exchange difference. The books compute it when the
payment is posted; the entries here are those that they must arrive at.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from core.books.common import money
from core.books.documents import DocumentKind, Invoice, Payment, SaleLine, Why
from core.books.facts import SaleFacts
from core.books.mapping import MappingRules
from core.books.posting import TAX_TOLERANCE_MINOR, check_rates, check_sum, check_total, rescale, sale_line, sale_memo
from core.books.profile import BooksProfile
from core.books.roles import AccountRole, BookkeepingSettings, ForeignStyle, SaleStyle
from core.errors import StopError
from core.money import convert
from core.reasons import Reason


def presents(settings: BookkeepingSettings) -> bool:
    """Whether foreign sales are booked in the client's currency: a receipt has no day between sale and money."""
    return settings.foreign_style is ForeignStyle.PRESENTMENT and settings.sale_style is SaleStyle.INVOICE


def keep_style(settings: BookkeepingSettings, standing: Mapping[DocumentKind, str], home: str) -> BookkeepingSettings:
    """Return the settings under which the documents that stand of a sale were made: one sale has one style.

    Args:
        settings: those in force.
        standing: kind -> currency of the documents that stand, or may stand.
        home: the books' own currency.
    """
    if DocumentKind.SALES_RECEIPT in standing:
        return replace(settings, sale_style=SaleStyle.RECEIPT)
    currency = standing.get(DocumentKind.INVOICE)
    if currency is None:
        return settings
    is_foreign = currency.lower() != home.lower()
    foreign_style = ForeignStyle.PRESENTMENT if is_foreign else ForeignStyle.SETTLED
    return replace(settings, sale_style=SaleStyle.INVOICE, foreign_style=foreign_style)


def is_presented(facts: SaleFacts, books: BooksProfile) -> bool:
    """Whether this sale is booked in the client's currency: Stripe settled it in the currency of the books."""
    is_foreign = facts.currency != books.home_currency and facts.settled_currency == books.home_currency
    return presents(books.settings) and is_foreign and facts.settled_minor is not None


def plan_presented_sale(
    facts: SaleFacts, rules: MappingRules, books: BooksProfile, *, reference: str
) -> tuple[Invoice, Payment]:
    """Build the invoice in the client's currency and the payment that brings what Stripe settled.

    Args:
        facts: what Stripe says of a sale that :func:`is_presented`.
        rules: the mapping in force.
        books: the connected books.
        reference: lasting identity of both documents.

    Raises:
        StopError: with the reason why nothing can be posted yet.
    """
    settled = facts.settled_minor
    if settled is None:
        raise StopError(Reason.SETTLEMENT_PENDING, {"currency": facts.currency.upper()})
    check_sum(facts.lines, facts.amount_minor, facts.currency)
    lines = tuple(sale_line(line, rules, books) for line in facts.lines)
    check_rates(lines, TAX_TOLERANCE_MINOR)
    owed = settled
    if facts.invoice_rate is not None:
        owed = convert(facts.amount_minor, facts.currency, Decimal(facts.invoice_rate), books.home_currency)
    invoice = Invoice(
        reference=reference,
        customer_step=facts.customer.step,
        date=facts.invoiced_on or facts.book_date,
        currency=facts.currency,
        lines=lines,
        memo=sale_memo(facts),
        exchange_rate=facts.invoice_rate,
        home_minor=owed,
        home_currency=books.home_currency,
    )
    check_total(invoice.total_minor, facts.amount_minor, books)
    return invoice, _payment(facts, invoice, settled, owed, books)


def _payment(facts: SaleFacts, invoice: Invoice, settled: int, owed: int, books: BooksProfile) -> Payment:
    clearing = books.role(AccountRole.CLEARING)
    chosen = books.roles[AccountRole.CLEARING]
    paid = money(facts.amount_minor, facts.currency)
    return Payment(
        reference=invoice.reference,
        customer_step=invoice.customer_step,
        invoice_step=invoice.step,
        date=facts.book_date,
        currency=facts.currency,
        amount_minor=facts.amount_minor,
        clearing_account_id=clearing.external_id,
        clearing_account_name=clearing.label,
        memo=f"{invoice.memo} | settled as {money(settled, books.home_currency)}",
        why=Why(
            stripe_field="balance_transaction.amount",
            arithmetic=f"{paid} settled as {money(settled, books.home_currency)}",
            rule="Stripe clearing account",
            mapping_version=chosen.version or None,
            set_by=chosen.set_by or None,
        ),
        home_minor=settled,
        owed_minor=owed,
        home_currency=books.home_currency,
    )


def at_home(invoice: Invoice) -> Invoice:
    """Return an invoice in the books' own currency: each line's share of what the whole is worth there."""
    if invoice.home_minor is None or invoice.home_currency is None:
        return invoice
    parts = [part for line in invoice.lines for part in (line.amount_minor, line.tax_minor)]
    worth = rescale(invoice.home_minor, parts)
    return replace(
        invoice,
        currency=invoice.home_currency,
        lines=tuple(_worth(line, worth[2 * n], worth[2 * n + 1], invoice) for n, line in enumerate(invoice.lines)),
        exchange_rate=None,
        home_minor=None,
        home_currency=None,
    )


def _worth(line: SaleLine, amount_minor: int, tax_minor: int, invoice: Invoice) -> SaleLine:
    rate = f"at {invoice.exchange_rate}" if invoice.exchange_rate else "at what Stripe settled"
    said = f"{money(line.amount_minor, invoice.currency)} {rate}"
    return replace(line, amount_minor=amount_minor, tax_minor=tax_minor, why=replace(line.why, arithmetic=said))


def difference(payment: Payment) -> int:
    """Return the exchange gain (positive) or loss that a payment realises, in the books' own currency."""
    if payment.home_minor is None or payment.owed_minor is None:
        return 0
    return payment.home_minor - payment.owed_minor


def home_lines(invoice: Invoice) -> Sequence[SaleLine]:
    """Return the lines of a sale in the books' own currency, for what is given back of it.

    Raises:
        StopError: ``RATE_NOT_KNOWN``: the books booked it at a rate that only they know.
    """
    if invoice.home_minor is not None and invoice.exchange_rate is None:
        raise StopError(Reason.RATE_NOT_KNOWN, {"currency": invoice.currency.upper()})
    return at_home(invoice).lines
