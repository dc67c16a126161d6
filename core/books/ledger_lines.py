"""Documents as the debits and credits that they mean, each with its reason. Pure.

These are the lines that a bookkeeper checks. The books make them from the document; nothing here is sent anywhere.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from core.books.documents import Invoice, Payment, Why
from core.money import MoneyError, exponent

RECEIVABLE = "Accounts receivable"
SALES_TAX = "Sales tax"
INVOICE_GROUP = "Invoice"
PAYMENT_GROUP = "Payment on the invoice"

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


def ledger_lines(document: Invoice | Payment) -> list[LedgerLine]:
    """Return the lines of one document; debits equal credits.

    Raises:
        MoneyError: they do not, so the document must not be believed.
    """
    lines = _invoice_lines(document) if isinstance(document, Invoice) else _payment_lines(document)
    if sum(line.debit_minor or 0 for line in lines) != sum(line.credit_minor or 0 for line in lines):
        raise MoneyError("debits and credits of a document differ")
    return lines


def _invoice_lines(invoice: Invoice) -> list[LedgerLine]:
    owed = _line(RECEIVABLE, invoice.total_minor, "What the client owes until the payment below", INVOICE_GROUP)
    return [owed, *_income(invoice), *_tax(invoice)]


def _income(invoice: Invoice) -> Iterable[LedgerLine]:
    for line in invoice.lines:
        yield _line(
            line.income_account_name,
            -line.amount_minor,
            explain(line.why, invoice.currency),
            INVOICE_GROUP,
            note=line.tax_code_name or "",
        )


def _tax(invoice: Invoice) -> Iterable[LedgerLine]:
    """The books keep tax by code, so it is one line per code, whatever the number of sale lines."""
    by_code: dict[str, int] = {}
    for line in invoice.lines:
        name = line.tax_code_name or ""
        by_code[name] = by_code.get(name, 0) + line.tax_minor
    for name, amount in by_code.items():
        if amount:
            yield _line(SALES_TAX, -amount, "Tax on the lines above", INVOICE_GROUP, note=name)


def _payment_lines(payment: Payment) -> list[LedgerLine]:
    return [
        _line(
            payment.clearing_account_name,
            payment.amount_minor,
            explain(payment.why, payment.currency),
            PAYMENT_GROUP,
        ),
        _line(RECEIVABLE, -payment.amount_minor, "The invoice above is paid", PAYMENT_GROUP),
    ]


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
