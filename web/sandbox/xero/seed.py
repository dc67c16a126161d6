"""A new organisation: a photographer's chart of accounts and the tax rates of the country."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from web.sandbox.xero.organisation import Organisation
from web.sandbox.xero.records import Account, Contact, TaxRate


@dataclass(frozen=True)
class Country:
    """What differs from country to country."""

    name: str
    currency: str
    version: str
    timezone: str
    timezone_code: str
    sales: str
    """Tax type of income accounts; ``costs`` of most expense accounts, ``fees`` of bank fees, ``none`` of the rest."""
    costs: str
    fees: str
    none: str
    tax_account: str
    rates: tuple[tuple[str, str, str, str, str], ...]
    """Tax type, name, percent, report type, where it applies (r revenue, e expenses)."""


COUNTRIES = {
    "AU": Country(
        "Australia",
        "AUD",
        "AU",
        "Australia/Sydney",
        "AUSEASTERNSTANDARDTIME",
        "OUTPUT",
        "INPUT",
        "EXEMPTEXPENSES",
        "BASEXCLUDED",
        "GST",
        (
            ("OUTPUT", "GST on Income", "10", "OUTPUT", "r"),
            ("INPUT", "GST on Expenses", "10", "INPUT", "e"),
            ("EXEMPTOUTPUT", "GST Free Income", "0", "EXEMPTOUTPUT", "r"),
            ("EXEMPTEXPENSES", "GST Free Expenses", "0", "EXEMPTEXPENSES", "e"),
            ("EXEMPTEXPORT", "GST Free Exports", "0", "EXEMPTEXPORT", "r"),
            ("BASEXCLUDED", "BAS Excluded", "0", "BASEXCLUDED", "re"),
        ),
    ),
    "NZ": Country(
        "New Zealand",
        "NZD",
        "NZ",
        "Pacific/Auckland",
        "NEWZEALANDSTANDARDTIME",
        "OUTPUT2",
        "INPUT2",
        "NONE",
        "NONE",
        "GST",
        (
            ("OUTPUT2", "15% GST on Income", "15", "OUTPUT", "r"),
            ("INPUT2", "15% GST on Expenses", "15", "INPUT", "e"),
            ("ZERORATED", "Zero Rated", "0", "ZERORATEDOUTPUT", "re"),
            ("NONE", "No GST", "0", "NONE", "re"),
        ),
    ),
    "GB": Country(
        "United Kingdom",
        "GBP",
        "UK",
        "Europe/London",
        "GMTSTANDARDTIME",
        "OUTPUT2",
        "INPUT2",
        "EXEMPTINPUT",
        "NONE",
        "VAT",
        (
            ("OUTPUT2", "20% (VAT on Income)", "20", "OUTPUT", "r"),
            ("INPUT2", "20% (VAT on Expenses)", "20", "INPUT", "e"),
            ("RROUTPUT", "5% (VAT on Income)", "5", "OUTPUT", "r"),
            ("RRINPUT", "5% (VAT on Expenses)", "5", "INPUT", "e"),
            ("ZERORATEDOUTPUT", "Zero Rated Income", "0", "ZERORATEDOUTPUT", "r"),
            ("ZERORATEDINPUT", "Zero Rated Expenses", "0", "ZERORATEDINPUT", "e"),
            ("EXEMPTOUTPUT", "Exempt Income", "0", "EXEMPTOUTPUT", "r"),
            ("EXEMPTINPUT", "Exempt Expenses", "0", "EXEMPTINPUT", "e"),
            ("NONE", "No VAT", "0", "NONE", "re"),
        ),
    ),
    "US": Country(
        "United States",
        "USD",
        "US",
        "America/Chicago",
        "CENTRALSTANDARDTIME",
        "TAX001",
        "NONE",
        "NONE",
        "NONE",
        "Sales Tax",
        (
            ("TAX001", "Texas Sales Tax", "8.25", "USSALESTAX", "re"),
            ("TAX002", "City Sales Tax", "1.5", "USSALESTAX", "re"),
            ("NONE", "Tax Exempt", "0", "NONE", "re"),
        ),
    ),
}
CURRENCY_NAMES = {
    "AUD": "Australian Dollar",
    "NZD": "New Zealand Dollar",
    "GBP": "British Pound",
    "USD": "United States Dollar",
    "EUR": "Euro",
    "CAD": "Canadian Dollar",
    "JPY": "Japanese Yen",
    "CHF": "Swiss Franc",
    "SEK": "Swedish Krona",
    "SGD": "Singapore Dollar",
}
# Dollars for one unit; close enough to look right in a demo.
_DOLLARS = {
    "USD": "1",
    "GBP": "1.27",
    "AUD": "0.65",
    "NZD": "0.60",
    "EUR": "1.08",
    "CAD": "0.72",
    "JPY": "0.0066",
    "CHF": "1.12",
    "SEK": "0.095",
    "SGD": "0.75",
}

# Code, name, type, tax (s sales, c costs, f fees, n none), system role or flags: p takes payments.
_ACCOUNTS = (
    ("090", "Business Bank Account", "BANK", "n", ""),
    ("", "Business Savings Account", "BANK", "n", ""),
    ("095", "Stripe Clearing", "BANK", "n", ""),
    ("200", "Session Fees", "REVENUE", "s", ""),
    ("205", "Wedding Photography", "REVENUE", "s", ""),
    ("210", "Coaching Packages", "REVENUE", "s", ""),
    ("215", "Prints and Albums", "SALES", "s", ""),
    ("260", "Other Revenue", "REVENUE", "s", ""),
    ("270", "Interest Income", "OTHERINCOME", "n", ""),
    ("310", "Print Lab Costs", "DIRECTCOSTS", "c", ""),
    ("400", "Advertising", "EXPENSE", "c", ""),
    ("404", "Bank Fees", "EXPENSE", "f", ""),
    ("408", "Payment Processing Fees", "EXPENSE", "f", ""),
    ("429", "General Expenses", "EXPENSE", "c", ""),
    ("469", "Studio Rent", "OVERHEADS", "c", ""),
    ("497", "Bank Revaluations", "EXPENSE", "n", "BANKCURRENCYGAIN"),
    ("498", "Unrealised Currency Gains", "EXPENSE", "n", "UNREALISEDCURRENCYGAIN"),
    ("499", "Realised Currency Gains", "EXPENSE", "n", "REALISEDCURRENCYGAIN"),
    ("610", "Accounts Receivable", "CURRENT", "n", "DEBTORS"),
    ("620", "Prepayments", "CURRENT", "n", ""),
    ("710", "Camera Equipment", "FIXED", "c", ""),
    ("800", "Accounts Payable", "CURRLIAB", "n", "CREDITORS"),
    ("815", "Client Deposits", "CURRLIAB", "n", ""),
    ("820", "", "CURRLIAB", "n", "GST"),
    ("840", "Historical Adjustment", "CURRLIAB", "n", "HISTORICAL"),
    ("860", "Rounding", "CURRLIAB", "n", "ROUNDING"),
    ("880", "Owner A Drawings", "EQUITY", "n", "p"),
    ("960", "Retained Earnings", "EQUITY", "n", "RETAINEDEARNINGS"),
    ("970", "Owner A Share Capital", "EQUITY", "n", "p"),
)
_CONTACTS = ("Harbor Lane Weddings", "Meridian Leadership Group", "Paperwhite Print Lab")


def new_organisation(
    new_id: Callable[[], str], name: str, country_code: str, currency: str | None, now: datetime
) -> Organisation:
    country = COUNTRIES[country_code]
    tenant_id = new_id()
    base = currency or country.currency
    made = Organisation(
        tenant_id, name, country_code, base, country.timezone, now, short_code="!" + tenant_id.replace("-", "")[:5]
    )
    dollars = Decimal(_DOLLARS[base])
    made.rates = {code: (dollars / Decimal(rate)).quantize(Decimal("0.000001")) for code, rate in _DOLLARS.items()}
    made.currencies = [base, *[code for code in ("USD", "EUR", "GBP") if code != base]]
    for tax_type, title, percent, report, where in country.rates:
        made.tax_rates[tax_type] = TaxRate(
            id=new_id(),
            created=now,
            updated=now,
            name=title,
            tax_type=tax_type,
            percent=Decimal(percent),
            report_type=report,
            on_revenue="r" in where,
            on_expenses="e" in where,
        )
    taxes = {"s": country.sales, "c": country.costs, "f": country.fees, "n": country.none}
    for number, (code, title, kind, tax, flags) in enumerate(_ACCOUNTS):
        account = Account(
            id=new_id(),
            created=now,
            updated=now,
            code=code,
            name=title or country.tax_account,
            type=kind,
            tax_type=taxes[tax],
            currency=base if kind == "BANK" else "",
            takes_payments=flags == "p",
            system="" if flags == "p" else flags,
            bank_number=f"0209087654321{number:03}" if kind == "BANK" else "",
        )
        made.accounts[account.id] = account
    for contact in _CONTACTS:
        record = Contact(id=new_id(), created=now, updated=now, fields={"Name": contact})
        made.contacts[record.id] = record
    made.tracking = [_category(new_id, "Region", ("North", "South"))]
    return made


def _category(new_id: Callable[[], str], name: str, options: tuple[str, ...]) -> dict[str, object]:
    return {
        "Name": name,
        "Status": "ACTIVE",
        "TrackingCategoryID": new_id(),
        "Options": [{"TrackingOptionID": new_id(), "Name": option, "Status": "ACTIVE"} for option in options],
    }
