"""How the tax that Stripe took is written into a QuickBooks sale, so that net plus tax is the payment to the cent.

In the United States a line is TAX or NON and the amount stands in ``TotalTax``. Elsewhere each line names a tax code
and the amounts stand per rate. The tax is always Stripe's; what QuickBooks makes of it comes back in the total.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from core.accounting.quickbooks.amounts import amount
from core.accounting.quickbooks.schemas import Ref, TaxLine, TaxLineDetail, TxnTaxDetail
from core.books.documents import Invoice, SaleLine
from core.errors import ProviderRejectedError
from core.money import to_decimal
from core.reasons import Reason

US_TAXABLE = "TAX"
US_EXEMPT = "NON"

PPM_PER_PERCENT = 10_000


@dataclass(frozen=True, slots=True)
class TaxProfile:
    """How the company treats sales tax."""

    is_us: bool
    using_sales_tax: bool


@dataclass(frozen=True, slots=True)
class TaxParts:
    """The tax part of an invoice: one reference per line, the document's calculation, and the amounts."""

    line_refs: tuple[Ref | None, ...]
    calculation: Literal["TaxExcluded", "NotApplicable"] | None
    detail: TxnTaxDetail | None


def tax_parts(invoice: Invoice, profile: TaxProfile) -> TaxParts:
    """Return how the tax of ``invoice`` is written for this company.

    Raises:
        ProviderRejectedError: ``TAX_CODE_MISFIT`` when the company cannot hold this tax, before anything is sent.
    """
    if not profile.using_sales_tax:
        _refuse_untracked(invoice)
        return TaxParts((None,) * len(invoice.lines), None if profile.is_us else "NotApplicable", None)
    if profile.is_us:
        refs = tuple(Ref(US_TAXABLE if line.tax_minor else US_EXEMPT) for line in invoice.lines)
        detail = TxnTaxDetail(total_tax=_amount(invoice.tax_minor, invoice)) if any_tax(invoice) else None
        return TaxParts(refs, None, detail)
    for line in invoice.lines:
        if line.tax_minor and line.tax_code_id is None:
            raise _misfit(invoice, "no tax code")
    if not any(line.tax_code_id for line in invoice.lines):
        return TaxParts((None,) * len(invoice.lines), "NotApplicable", None)
    _refuse_other_rates(invoice)
    refs_by_code = tuple(Ref(line.tax_code_id) if line.tax_code_id else None for line in invoice.lines)
    return TaxParts(refs_by_code, "TaxExcluded", _detail_by_rate(invoice) if any_tax(invoice) else None)


def any_tax(invoice: Invoice) -> bool:
    """Tell whether any line carries tax."""
    return any(line.tax_minor for line in invoice.lines)


def _refuse_untracked(invoice: Invoice) -> None:
    if any_tax(invoice):
        raise _misfit(invoice, "sales tax is switched off")


def _refuse_other_rates(invoice: Invoice) -> None:
    """A code of another rate than Stripe charged would put the sale into the wrong box of the tax return."""
    for lines in _by_code(invoice).values():
        rate = lines[0].tax_rate_ppm
        if rate is None:
            continue
        expected = Decimal(sum(line.amount_minor for line in lines)) * rate / (100 * PPM_PER_PERCENT)
        # Stripe rounds line by line, and a settled foreign amount rounds net and tax each: under two units a line.
        if abs(expected - sum(line.tax_minor for line in lines)) >= 2 * len(lines):
            raise _misfit(invoice, lines[0].tax_code_name or "the tax code")


def _by_code(invoice: Invoice) -> Mapping[str, Sequence[SaleLine]]:
    grouped: dict[str, list[SaleLine]] = {}
    for line in invoice.lines:
        if line.tax_code_id is not None:
            grouped.setdefault(line.tax_code_id, []).append(line)
    return grouped


def _detail_by_rate(invoice: Invoice) -> TxnTaxDetail:
    """Name the amount of each rate; when one rate is unknown, only the total, and QuickBooks spreads it itself."""
    total = _amount(invoice.tax_minor, invoice)
    taxed = [lines for lines in _by_code(invoice).values() if any(line.tax_minor for line in lines)]
    if any(line.tax_rate_id is None for lines in taxed for line in lines):
        return TxnTaxDetail(total_tax=total)
    return TxnTaxDetail(total_tax=total, tax_line=tuple(_tax_line(lines, invoice) for lines in taxed))


def _tax_line(lines: Sequence[SaleLine], invoice: Invoice) -> TaxLine:
    rate = lines[0].tax_rate_ppm
    return TaxLine(
        amount=_amount(sum(line.tax_minor for line in lines), invoice),
        detail_type="TaxLineDetail",
        tax_line_detail=TaxLineDetail(
            tax_rate_ref=Ref(lines[0].tax_rate_id or ""),
            percent_based=True,
            net_amount_taxable=_amount(sum(line.amount_minor for line in lines), invoice),
            tax_percent=None if rate is None else _percent(rate),
        ),
    )


def _percent(rate_ppm: int) -> Decimal:
    """20 % is 200 000 parts per million; written without zeros at the end."""
    return Decimal(f"{Decimal(rate_ppm).scaleb(-4).normalize():f}")


def _amount(minor: int, invoice: Invoice) -> Decimal:
    return amount(minor, invoice.currency)


def _misfit(invoice: Invoice, tax_code: str) -> ProviderRejectedError:
    charged = f"{to_decimal(invoice.tax_minor, invoice.currency)} {invoice.currency.upper()}"
    return ProviderRejectedError(Reason.TAX_CODE_MISFIT, detail={"charged": charged, "tax_code": tax_code})
