"""How the tax that Stripe took is written into QuickBooks, so that net plus tax is the money to the cent.

In the United States a sale line is TAX or NON and the amount stands in ``TotalTax``; what is bought has no tax there.
Elsewhere each line names a tax code and the amounts stand per rate, on sales and on purchases alike. The tax is always
Stripe's; what QuickBooks makes of it comes back in the total.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from core.accounting.quickbooks.amounts import amount
from core.accounting.quickbooks.schemas import Ref, TaxCalculation, TaxLine, TaxLineDetail, TxnTaxDetail
from core.books.documents import Deposit, Expense, Invoice, Refund, SalesReceipt
from core.errors import ProviderRejectedError
from core.money import to_decimal
from core.reasons import Reason

US_TAXABLE = "TAX"
US_EXEMPT = "NON"

PPM_PER_PERCENT = 10_000


@dataclass(frozen=True, slots=True)
class TaxProfile:
    """How the company treats sales tax.

    Attributes:
        untaxed_code: outside the United States, the code that a line without one gets beside lines that have one;
            companies there may refuse a document of which only some lines name a code.
        purchase_rates: the rate behind each tax code when it stands on a purchase: another one than on a sale.
    """

    is_us: bool
    using_sales_tax: bool
    untaxed_code: str | None = None
    purchase_rates: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TaxParts:
    """The tax part of a document: one reference per line, the document's calculation, and the amounts."""

    line_refs: tuple[Ref | None, ...]
    calculation: TaxCalculation | None
    detail: TxnTaxDetail | None


@dataclass(frozen=True, slots=True)
class _Line:
    """What of a line the tax depends on."""

    amount_minor: int
    tax_minor: int
    code_id: str | None
    code_name: str | None
    rate_ppm: int | None
    rate_id: str | None


@dataclass(frozen=True, slots=True)
class _Taxed:
    """The lines of one document and their currency."""

    lines: tuple[_Line, ...]
    currency: str

    @property
    def tax_minor(self) -> int:
        return sum(line.tax_minor for line in self.lines)

    @property
    def has_tax(self) -> bool:
        return any(line.tax_minor for line in self.lines)


def sale_tax(document: Invoice | SalesReceipt | Refund, profile: TaxProfile) -> TaxParts:
    """Return how the tax of a sale, or of a sale taken back, is written for this company.

    Raises:
        ProviderRejectedError: ``TAX_CODE_MISFIT`` when the company cannot hold this tax, before anything is sent.
    """
    taxed = _taxed(document)
    if profile.using_sales_tax and profile.is_us:
        refs = tuple(Ref(US_TAXABLE if line.tax_minor else US_EXEMPT) for line in taxed.lines)
        return TaxParts(refs, None, TxnTaxDetail(total_tax=_amount(taxed.tax_minor, taxed)) if taxed.has_tax else None)
    return _by_codes(taxed, profile)


def input_tax(document: Expense | Deposit, profile: TaxProfile) -> TaxParts:
    """Return how the tax on Stripe's fees, or on fees given back, is written for this company.

    Raises:
        ProviderRejectedError: ``TAX_CODE_MISFIT`` when the company cannot hold this tax, as always in the United
            States, before anything is sent.
    """
    taxed = _taxed(document)
    if profile.is_us:
        _refuse_untracked(taxed)
        return _without_tax(taxed, profile)
    # A fee that Stripe took without tax must not be taxed by the books, whatever code is chosen for fees.
    lines = (
        line if line.tax_minor or line.rate_ppm == 0 else replace(line, code_id=None, rate_ppm=None)
        for line in taxed.lines
    )
    rates = profile.purchase_rates
    return _by_codes(
        _Taxed(tuple(replace(line, rate_id=rates.get(line.code_id or "")) for line in lines), taxed.currency), profile
    )


def _taxed(document: Invoice | SalesReceipt | Refund | Expense | Deposit) -> _Taxed:
    lines = tuple(
        _Line(
            line.amount_minor,
            line.tax_minor,
            line.tax_code_id,
            line.tax_code_name,
            line.tax_rate_ppm,
            line.tax_rate_id,
        )
        for line in document.lines
    )
    return _Taxed(lines, document.currency)


def _by_codes(taxed: _Taxed, profile: TaxProfile) -> TaxParts:
    if not profile.using_sales_tax:
        _refuse_untracked(taxed)
        return _without_tax(taxed, profile)
    for line in taxed.lines:
        if line.tax_minor and line.code_id is None:
            raise _misfit(taxed, "no tax code")
    if not any(line.code_id for line in taxed.lines):
        return _without_tax(taxed, profile)
    _refuse_other_rates(taxed)
    codes = (line.code_id or profile.untaxed_code for line in taxed.lines)
    refs = tuple(Ref(code) if code else None for code in codes)
    return TaxParts(refs, "TaxExcluded", _detail_by_rate(taxed) if taxed.has_tax else None)


def _without_tax(taxed: _Taxed, profile: TaxProfile) -> TaxParts:
    return TaxParts((None,) * len(taxed.lines), None if profile.is_us else "NotApplicable", None)


def _refuse_untracked(taxed: _Taxed) -> None:
    if taxed.has_tax:
        raise _misfit(taxed, "sales tax is switched off")


def _refuse_other_rates(taxed: _Taxed) -> None:
    """A code of another rate than Stripe charged would put the money into the wrong box of the tax return."""
    for lines in _lines_by_code(taxed).values():
        rate = lines[0].rate_ppm
        if rate is None:
            continue
        expected = Decimal(sum(line.amount_minor for line in lines)) * rate / (100 * PPM_PER_PERCENT)
        # Stripe rounds line by line, and a settled foreign amount rounds net and tax each: under two units a line.
        if abs(expected - sum(line.tax_minor for line in lines)) >= 2 * len(lines):
            raise _misfit(taxed, lines[0].code_name or "the tax code")


def _lines_by_code(taxed: _Taxed) -> Mapping[str, Sequence[_Line]]:
    grouped: dict[str, list[_Line]] = {}
    for line in taxed.lines:
        if line.code_id is not None:
            grouped.setdefault(line.code_id, []).append(line)
    return grouped


def _detail_by_rate(taxed: _Taxed) -> TxnTaxDetail:
    """Name the amount of each rate; when one rate is unknown, only the total, and QuickBooks spreads it itself."""
    total = _amount(taxed.tax_minor, taxed)
    groups = [lines for lines in _lines_by_code(taxed).values() if any(line.tax_minor for line in lines)]
    if any(line.rate_id is None for lines in groups for line in lines):
        return TxnTaxDetail(total_tax=total)
    return TxnTaxDetail(total_tax=total, tax_line=tuple(_tax_line(lines, taxed) for lines in groups))


def _tax_line(lines: Sequence[_Line], taxed: _Taxed) -> TaxLine:
    rate = lines[0].rate_ppm
    return TaxLine(
        amount=_amount(sum(line.tax_minor for line in lines), taxed),
        detail_type="TaxLineDetail",
        tax_line_detail=TaxLineDetail(
            tax_rate_ref=Ref(lines[0].rate_id or ""),
            percent_based=True,
            net_amount_taxable=_amount(sum(line.amount_minor for line in lines), taxed),
            tax_percent=None if rate is None else _percent(rate),
        ),
    )


def _percent(rate_ppm: int) -> Decimal:
    """20 % is 200 000 parts per million; written without zeros at the end."""
    return Decimal(f"{Decimal(rate_ppm).scaleb(-4).normalize():f}")


def _amount(minor: int, taxed: _Taxed) -> Decimal:
    return amount(minor, taxed.currency)


def _misfit(taxed: _Taxed, tax_code: str) -> ProviderRejectedError:
    charged = f"{to_decimal(taxed.tax_minor, taxed.currency)} {taxed.currency.upper()}"
    return ProviderRejectedError(Reason.TAX_CODE_MISFIT, detail={"charged": charged, "tax_code": tax_code})
