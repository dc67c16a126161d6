"""Tax of a document: the US engine with its two pseudo codes, and tax codes with rates everywhere else."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from web.sandbox.quickbooks.amounts import from_cents, number, times, to_cents
from web.sandbox.quickbooks.company import Company, Fields, Record
from web.sandbox.quickbooks.errors import Refused, business

HUNDRED = Decimal(100)


@dataclass
class TaxableLine:
    """What the tax depends on; ``net`` is corrected here where a gross amount came in."""

    net: int
    code: str | None
    number: int = 0


@dataclass
class Tax:
    """The result: the total, the legs per liability account (cents, positive), and the answer's part."""

    total: int = 0
    by_account: dict[str, int] = field(default_factory=dict)
    detail: Fields = field(default_factory=dict)


def compute(company: Company, fields: Fields, lines: Sequence[TaxableLine], *, purchase: bool = False) -> Tax:
    if company.is_us:
        return Tax(detail={"TotalTax": 0}) if purchase else _us(company, fields, lines)
    return _elsewhere(company, fields, lines, purchase=purchase)


def check_us_code(code: str) -> None:
    if code not in ("TAX", "NON"):
        raise Refused("6100", f"Invalid Line TaxCode in the request. Supplied value:{code}", element="TaxCodeRef")


def _us(company: Company, fields: Fields, lines: Sequence[TaxableLine]) -> Tax:
    sent = fields.get("TxnTaxDetail") or {}
    taxable = sum(line.net for line in lines if line.code == "TAX")
    has_taxable = any(line.code == "TAX" for line in lines)
    behaviour = company.behaviour
    code = next(c for c in company.records["TaxCode"].values() if c.fields.get("TaxGroup"))
    rate_ref = code.fields["SalesTaxRateList"]["TaxRateDetail"][0]["TaxRateRef"]
    rate = company.records["TaxRate"][rate_ref["value"]]
    if not behaviour.using_sales_tax or not has_taxable:
        return Tax(detail={"TotalTax": 0})
    if "TotalTax" in sent and (behaviour.honour_total_tax or not behaviour.partner_tax):
        total = to_cents(sent["TotalTax"])
    elif behaviour.partner_tax or sent.get("TxnTaxCodeRef"):
        total = times(taxable, number(rate.fields["RateValue"]) / HUNDRED)
    else:
        return Tax(detail={"TotalTax": 0})
    detail = {
        "TxnTaxCodeRef": {"value": code.id},
        "TotalTax": from_cents(total),
        "TaxLine": [_tax_line(rate, total, taxable)],
    }
    return Tax(total, {_liability(company, rate): total}, detail)


def _elsewhere(company: Company, fields: Fields, lines: Sequence[TaxableLine], *, purchase: bool) -> Tax:
    mode = fields.get("GlobalTaxCalculation", "TaxExcluded")
    sent = fields.get("TxnTaxDetail") or {}
    if mode == "NotApplicable":
        if sent.get("TaxLine") or sent.get("TotalTax"):
            raise Refused("6170", "TxnTaxDetail is not allowed when GlobalTaxCalculation is NotApplicable")
        return Tax(detail={})
    behaviour = company.behaviour
    if any(line.code is None for line in lines) and behaviour.using_sales_tax and behaviour.require_tax_code:
        raise business("Make sure all your transactions have a tax rate before you save.")
    if any(line.code for line in lines) and not behaviour.using_sales_tax:
        raise business("Sales tax is turned off in this company.")
    bases = _bases(
        company, lines, gross=mode == "TaxInclusive" and behaviour.inclusive_amount_is_gross, purchase=purchase
    )
    amounts = {rate: times(base, _percent(company, rate) / HUNDRED) for rate, base in bases.items()}
    amounts |= _sent_amounts(sent, amounts)
    tax = Tax(total=sum(amounts.values()))
    tax_lines = []
    for rate_id, cents in amounts.items():
        rate = company.records["TaxRate"][rate_id]
        account = _liability(company, rate)
        tax.by_account[account] = tax.by_account.get(account, 0) + cents
        tax_lines.append(_tax_line(rate, cents, bases[rate_id]))
    tax.detail = {"TotalTax": from_cents(tax.total), "TaxLine": tax_lines}
    return tax


def _bases(company: Company, lines: Sequence[TaxableLine], *, gross: bool, purchase: bool) -> dict[str, int]:
    """Net amount per tax rate; where amounts came in gross, the lines are made net on the way."""
    bases: defaultdict[str, int] = defaultdict(int)
    for line in lines:
        if line.code is None:
            continue
        rates = code_rates(company, line.code, purchase=purchase)
        if gross:
            whole = HUNDRED + sum(_percent(company, rate) for rate in rates)
            line.net = times(line.net, HUNDRED / whole)
        for rate in rates:
            bases[rate] += line.net
    return dict(bases)


def code_rates(company: Company, code: str, *, purchase: bool) -> list[str]:
    record = company.reference("TaxCode", {"TaxCodeRef": {"value": code}}, "TaxCodeRef")
    side = "PurchaseTaxRateList" if purchase else "SalesTaxRateList"
    details = record.fields.get(side, {}).get("TaxRateDetail", []) if record else []
    if not details:
        raise Refused("6160", f"The tax code {code} cannot be used on this transaction", element="TaxCodeRef")
    return [detail["TaxRateRef"]["value"] for detail in details]


def _sent_amounts(sent: Fields, computed: dict[str, int]) -> dict[str, int]:
    amounts: dict[str, int] = {}
    for line in sent.get("TaxLine", []):
        rate = line.get("TaxLineDetail", {}).get("TaxRateRef", {}).get("value", "")
        if rate not in computed:
            raise business(f"The tax rate {rate} does not belong to the tax codes of the lines.")
        amounts[rate] = amounts.get(rate, 0) + to_cents(line.get("Amount", 0))
    return amounts


def _percent(company: Company, rate_id: str) -> Decimal:
    return number(company.records["TaxRate"][rate_id].fields["RateValue"])


def _liability(company: Company, rate: Record) -> str:
    return company.account(f"tax:{rate.fields['AgencyRef']['value']}")


def _tax_line(rate: Record, cents: int, base: int) -> Fields:
    detail = {"TaxRateRef": {"value": rate.id}, "PercentBased": True, "TaxPercent": rate.fields["RateValue"]}
    detail["NetAmountTaxable"] = from_cents(base)
    return {"Amount": from_cents(cents), "DetailType": "TaxLineDetail", "TaxLineDetail": detail}
