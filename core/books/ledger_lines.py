"""Documents as the debits and credits that they mean, each with its reason. Pure.

These are the lines that a bookkeeper checks. The books make them from the document; nothing here is sent anywhere.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from core.books.documents import (
    AccountLine,
    CreditNote,
    Deposit,
    DocumentKind,
    Expense,
    Invoice,
    MoneyDocument,
    Payment,
    Refund,
    Repayment,
    SaleLine,
    SalesReceipt,
    Transfer,
    Why,
)
from core.books.presentment import at_home, difference
from core.money import MoneyError, exponent

RECEIVABLE = "Accounts receivable"
SALES_TAX = "Sales tax"
EXCHANGE = "Exchange gain or loss"
GROUPS = {
    DocumentKind.INVOICE: "Invoice",
    DocumentKind.PAYMENT: "Payment on the invoice",
    DocumentKind.SALES_RECEIPT: "Sales receipt",
    DocumentKind.REFUND: "Refund",
    DocumentKind.CREDIT_NOTE: "Credit note",
    DocumentKind.REPAYMENT: "Credit note paid out",
    DocumentKind.EXPENSE: "Expense",
    DocumentKind.DEPOSIT: "Deposit",
    DocumentKind.TRANSFER: "Transfer",
}
"""What a document is called above its lines."""

_PLAIN_NUMBER = re.compile(r"-?[0-9]+")


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """One debit or credit, in minor units; the other side is None. ``group`` names the document that it belongs to."""

    account_name: str
    debit_minor: int | None
    credit_minor: int | None
    why: str
    group: str
    note: str = ""


def currency_of(document: MoneyDocument) -> str:
    """Return the currency in which a document moves the accounts: the books' own, whatever the client's is."""
    if isinstance(document, Invoice | Payment) and document.home_currency is not None:
        return document.home_currency
    return document.currency


def ledger_lines(document: MoneyDocument) -> list[LedgerLine]:
    """Return the lines of one document in the books' own currency; debits equal credits.

    Where the books apply a rate of their own to a foreign invoice, it stands here at what Stripe settled: they divide
    that into the sale and its exchange difference.

    Raises:
        MoneyError: they do not, so the document must not be believed.
    """
    lines = list(_lines(document))
    if sum(line.debit_minor or 0 for line in lines) != sum(line.credit_minor or 0 for line in lines):
        raise MoneyError("debits and credits of a document differ")
    return lines


def _lines(document: MoneyDocument) -> Iterator[LedgerLine]:
    group = GROUPS[document.kind]
    match document:
        case Invoice():
            sale = at_home(document)
            yield _line(RECEIVABLE, sale.total_minor, "What the client owes until the payment below", group)
            yield from _sold(sale, -1)
        case CreditNote():
            yield from _sold(document, 1)
            yield _line(RECEIVABLE, -document.total_minor, "What the client is owed until it is paid out below", group)
        case Payment():
            yield from _paid(document, group)
        case Repayment():
            why = explain(document.why, document.currency)
            yield _line(RECEIVABLE, document.amount_minor, "The credit note above is paid out", group)
            yield _line(document.account.name, -document.amount_minor, why, group)
        case SalesReceipt():
            why = explain(document.why, document.currency)
            yield _line(document.account.name, document.total_minor, why, group)
            yield from _sold(document, -1)
        case Refund():
            yield from _sold(document, 1)
            why = explain(document.why, document.currency)
            yield _line(document.account.name, -document.total_minor, why, group)
        case Expense():
            yield from _booked(document, 1)
            yield _line(document.account.name, -document.total_minor, "Taken for the lines above", group)
        case Deposit():
            yield _line(document.account.name, document.total_minor, "Received for the lines below", group)
            yield from _booked(document, -1)
        case Transfer():
            why = explain(document.why, document.currency)
            yield _line(document.to_account.name, document.amount_minor, why, group)
            yield _line(document.from_account.name, -document.amount_minor, why, group)


def _paid(payment: Payment, group: str) -> Iterator[LedgerLine]:
    """Return the lines of a payment in the books' own currency, with what the client's currency gained or lost."""
    arrived = payment.amount_minor if payment.home_minor is None else payment.home_minor
    gained = difference(payment)
    yield _line(payment.clearing_account_name, arrived, explain(payment.why, payment.currency), group)
    yield _line(RECEIVABLE, gained - arrived, "The invoice above is paid", group)
    if gained:
        why = f"What {payment.currency.upper()} gained or lost since the invoice; your books compute this line"
        yield _line(EXCHANGE, -gained, why, group)


def _sold(document: Invoice | SalesReceipt | Refund | CreditNote, sign: int) -> Iterator[LedgerLine]:
    """Return the lines of a sale (sign -1) or of what is taken back of one (sign 1), then its tax."""
    group = GROUPS[document.kind]
    for line in document.lines:
        why = explain(line.why, document.currency)
        yield _line(line.income_account_name, sign * line.amount_minor, why, group, note=line.tax_code_name or "")
    yield from _tax(document.lines, sign, "Tax on the lines above", group)


def _booked(document: Expense | Deposit, sign: int) -> Iterator[LedgerLine]:
    """Return the lines of money spent (sign 1) or received (sign -1), then the input tax in them."""
    group = GROUPS[document.kind]
    for line in document.lines:
        why = explain(line.why, document.currency)
        yield _line(line.account.name, sign * line.amount_minor, why, group, note=line.tax_code_name or "")
    yield from _tax(document.lines, sign, "Tax on the lines above that you can reclaim", group)


def _tax(lines: Iterable[SaleLine | AccountLine], sign: int, why: str, group: str) -> Iterator[LedgerLine]:
    """The books keep tax by code, so it is one line per code, whatever the number of lines."""
    by_code: dict[str, int] = {}
    for line in lines:
        name = line.tax_code_name or ""
        by_code[name] = by_code.get(name, 0) + line.tax_minor
    for name, amount in by_code.items():
        if amount:
            yield _line(SALES_TAX, sign * amount, why, group, note=name)


def _line(account: str, amount_minor: int, why: str, group: str, *, note: str = "") -> LedgerLine:
    """Make a debit of a positive amount, a credit of a negative one."""
    debit = amount_minor if amount_minor >= 0 else None
    credit = -amount_minor if amount_minor < 0 else None
    return LedgerLine(account, debit, credit, why, group, note)


def explain(why: Why, currency: str) -> str:
    """Say in one sentence where an amount comes from, and whose decision put it on its account."""
    parts = [f"Stripe’s {why.stripe_field}" if why.stripe_field else ""]
    if why.arithmetic and not _PLAIN_NUMBER.fullmatch(why.arithmetic):
        parts[0] += f" ({why.arithmetic}{_unit(currency)})"
    parts.append(why.rule)
    if why.mapping_version is not None:
        parts.append(f"version {why.mapping_version}")
    if why.set_by:
        parts.append(f"set by {why.set_by}")
    return ", ".join(part for part in parts if part)


def _unit(currency: str) -> str:
    try:
        return ", in cents" if exponent(currency) == 2 else ""
    except MoneyError:
        return ""
