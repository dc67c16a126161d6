"""How tax is written into Xero, so that totals and tax are Stripe's to the cent.

Stripe's totals are gross, so lines are written with the tax inside: then the total is the sum of the lines whatever
the rate. How much of a line is tax, Xero works out itself, and that is what it wants; only where its cent would not
surely be Stripe's, the tax is named as well.
"""

from decimal import ROUND_HALF_UP, Decimal
from typing import NamedTuple

from core.accounting.xero.amounts import amount
from core.books.documents import AccountLine, CreditNote, Deposit, Expense, Invoice, SaleLine, SalesReceipt
from core.errors import ProviderRejectedError
from core.money import to_decimal
from core.reasons import Reason

PPM = 1_000_000

Sold = Invoice | SalesReceipt | CreditNote
Booked = Expense | Deposit


class LineTax(NamedTuple):
    """The tax part of one line; None is left out."""

    tax_type: str | None
    tax_amount: Decimal | None


def has_no_tax(document: Sold | Booked) -> bool:
    """Tell whether the document is written as having nothing to do with tax."""
    return not any(line.tax_code_id or line.tax_minor for line in document.lines)


def line_tax(line: SaleLine, document: Sold, *, untaxed_type: str) -> LineTax:
    """Return how the tax of a sale's or credit note's ``line`` is written.

    Args:
        line: of ``document``.
        document: the sale.
        untaxed_type: what these books call a line without tax. Left out, Xero takes the account's own type, which
            could carve tax out of the price.

    Raises:
        ProviderRejectedError: ``TAX_CODE_MISFIT``: tax without a code, or of another rate than the code's.
    """
    if line.tax_code_id is not None and line.tax_rate_ppm is not None:
        _refuse_other_rate(line, document.currency)
    return _written(line, document, untaxed_type)


def account_line_tax(line: AccountLine, document: Booked, *, untaxed_type: str) -> LineTax:
    """Return how the input tax of an expense's or deposit's ``line`` is written.

    Stripe's tax need not be the code's rate of the whole line, since a part of a fee may be free of it; so a rate that
    differs is named in money, not refused.

    Raises:
        ProviderRejectedError: ``TAX_CODE_MISFIT``: tax without a code, or with one of no rate.
    """
    if line.tax_code_id is not None and line.tax_minor and line.tax_rate_ppm == 0:
        raise _misfit(line, document.currency, line.tax_code_name or "the tax code")
    return _written(line, document, untaxed_type)


def _written(line: SaleLine | AccountLine, document: Sold | Booked, untaxed_type: str) -> LineTax:
    if has_no_tax(document):
        return LineTax(None, None)
    if line.tax_code_id is None:
        if line.tax_minor:
            raise _misfit(line, document.currency, "no tax code")
        return LineTax(untaxed_type, None)
    if line.tax_rate_ppm is not None and _is_surely(line):
        return LineTax(line.tax_code_id, None)
    return LineTax(line.tax_code_id, amount(line.tax_minor, document.currency))


def _is_surely(line: SaleLine | AccountLine) -> bool:
    """Tell whether Xero's own tax is Stripe's. Which way it rounds half a cent is nowhere said."""
    inside = _inside(line)
    if abs(inside % 1) == Decimal("0.5"):
        return False
    return inside.to_integral_value(rounding=ROUND_HALF_UP) == line.tax_minor


def _inside(line: SaleLine | AccountLine) -> Decimal:
    rate = line.tax_rate_ppm or 0
    return Decimal((line.amount_minor + line.tax_minor) * rate) / Decimal(PPM + rate)


def _refuse_other_rate(line: SaleLine, currency: str) -> None:
    """A code of another rate than Stripe charged would put the sale into the wrong box of the tax return."""
    # Stripe rounds, and a settled foreign amount rounds net and tax each: under two units.
    if abs(_inside(line) - line.tax_minor) >= 2:
        raise _misfit(line, currency, line.tax_code_name or "the tax code")


def _misfit(line: SaleLine | AccountLine, currency: str, tax_code: str) -> ProviderRejectedError:
    charged = f"{to_decimal(line.tax_minor, currency)} {currency.upper()}"
    return ProviderRejectedError(Reason.TAX_CODE_MISFIT, detail={"charged": charged, "tax_code": tax_code})
