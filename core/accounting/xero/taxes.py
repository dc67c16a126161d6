"""How the tax that Stripe took is written into a Xero sale, so that the total is the payment to the cent.

Stripe's totals are gross, so lines are written with the tax inside: then the total is the sum of the lines whatever
the rate. How much of a line is tax, Xero works out itself, and that is what it wants; only where its cent would not
surely be Stripe's, the tax is named as well.
"""

from decimal import ROUND_HALF_UP, Decimal
from typing import NamedTuple

from core.accounting.xero.amounts import amount
from core.books.documents import Invoice, SaleLine
from core.errors import ProviderRejectedError
from core.money import to_decimal
from core.reasons import Reason

PPM = 1_000_000


class LineTax(NamedTuple):
    """The tax part of one line; None is left out."""

    tax_type: str | None
    tax_amount: Decimal | None


def has_no_tax(invoice: Invoice) -> bool:
    """Tell whether the sale is written as having nothing to do with tax."""
    return not any(line.tax_code_id or line.tax_minor for line in invoice.lines)


def line_tax(line: SaleLine, invoice: Invoice, *, untaxed_type: str) -> LineTax:
    """Return how the tax of ``line`` is written.

    Args:
        line: of ``invoice``.
        invoice: the sale.
        untaxed_type: what these books call a line without tax. Left out, Xero takes the account's own type, which
            could carve tax out of the price.

    Raises:
        ProviderRejectedError: ``TAX_CODE_MISFIT``: tax without a code, or of another rate than the code's.
    """
    if has_no_tax(invoice):
        return LineTax(None, None)
    if line.tax_code_id is None:
        if line.tax_minor:
            raise _misfit(line, invoice, "no tax code")
        return LineTax(untaxed_type, None)
    if line.tax_rate_ppm is not None:
        _refuse_other_rate(line, invoice)
        if _is_surely(line):
            return LineTax(line.tax_code_id, None)
    return LineTax(line.tax_code_id, amount(line.tax_minor, invoice.currency))


def _is_surely(line: SaleLine) -> bool:
    """Tell whether Xero's own tax is Stripe's. Which way it rounds half a cent is nowhere said."""
    inside = _inside(line)
    if abs(inside % 1) == Decimal("0.5"):
        return False
    return inside.to_integral_value(rounding=ROUND_HALF_UP) == line.tax_minor


def _inside(line: SaleLine) -> Decimal:
    rate = line.tax_rate_ppm or 0
    return Decimal((line.amount_minor + line.tax_minor) * rate) / Decimal(PPM + rate)


def _refuse_other_rate(line: SaleLine, invoice: Invoice) -> None:
    """A code of another rate than Stripe charged would put the sale into the wrong box of the tax return."""
    # Stripe rounds, and a settled foreign amount rounds net and tax each: under two units.
    if abs(_inside(line) - line.tax_minor) >= 2:
        raise _misfit(line, invoice, line.tax_code_name or "the tax code")


def _misfit(line: SaleLine, invoice: Invoice, tax_code: str) -> ProviderRejectedError:
    charged = f"{to_decimal(line.tax_minor, invoice.currency)} {invoice.currency.upper()}"
    return ProviderRejectedError(Reason.TAX_CODE_MISFIT, detail={"charged": charged, "tax_code": tax_code})
