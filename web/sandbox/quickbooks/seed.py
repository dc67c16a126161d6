"""A new company: a photographer's small chart of accounts, the country's tax codes, a few names."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from web.sandbox.quickbooks.company import Company, Record

CURRENCIES = {
    "USD": "United States Dollar",
    "GBP": "British Pound Sterling",
    "AUD": "Australian Dollar",
    "CAD": "Canadian Dollar",
    "EUR": "Euro",
}
HOME = {"US": "USD", "GB": "GBP", "AU": "AUD", "CA": "CAD"}
# Home units per foreign unit, through the dollar; close enough to look right in a demo.
_DOLLARS = {"USD": "1", "GBP": "1.27", "AUD": "0.65", "CAD": "0.72", "EUR": "1.08"}

# Name, type, subtype, role.
_ACCOUNTS = (
    ("Checking", "Bank", "Checking", ""),
    ("Savings", "Bank", "Savings", ""),
    ("Accounts Receivable (A/R)", "Accounts Receivable", "AccountsReceivable", "receivable"),
    ("Undeposited Funds", "Other Current Asset", "UndepositedFunds", "undeposited"),
    ("Prepaid Expenses", "Other Current Asset", "PrepaidExpenses", ""),
    ("Camera Equipment", "Fixed Asset", "MachineryAndEquipment", ""),
    ("Accounts Payable (A/P)", "Accounts Payable", "AccountsPayable", "payable"),
    ("Business Credit Card", "Credit Card", "CreditCard", ""),
    ("Client Deposits", "Other Current Liability", "OtherCurrentLiabilities", ""),
    ("Opening Balance Equity", "Equity", "OpeningBalanceEquity", ""),
    ("Owner's Equity", "Equity", "OwnersEquity", ""),
    ("Retained Earnings", "Equity", "RetainedEarnings", ""),
    ("Services", "Income", "ServiceFeeIncome", ""),
    ("Sales of Product Income", "Income", "SalesOfProductIncome", ""),
    ("Session Income", "Income", "ServiceFeeIncome", ""),
    ("Wedding Photography Income", "Income", "ServiceFeeIncome", ""),
    ("Coaching Income", "Income", "ServiceFeeIncome", ""),
    ("Print Sales", "Income", "SalesOfProductIncome", ""),
    ("Tips Received", "Income", "OtherPrimaryIncome", ""),
    ("Discounts Given", "Income", "DiscountsRefundsGiven", "discounts"),
    ("Prints and Albums", "Cost of Goods Sold", "SuppliesMaterialsCogs", ""),
    ("Bank Charges & Fees", "Expense", "BankCharges", ""),
    ("Advertising & Marketing", "Expense", "AdvertisingPromotional", ""),
    ("Software & Subscriptions", "Expense", "OfficeGeneralAdministrativeExpenses", ""),
    ("Studio Rent", "Expense", "RentOrLeaseOfBuildings", ""),
    ("Travel", "Expense", "Travel", ""),
    ("Supplies & Materials", "Expense", "SuppliesMaterials", ""),
    ("Exchange Gain or Loss", "Other Expense", "ExchangeGainOrLoss", "exchange"),
)
_CUSTOMERS = ("Harbor Lane Weddings", "Juniper & Oak Studio", "Meridian Leadership Group")
_VENDORS = ("Stripe", "Northlight Camera Repair", "Paperwhite Print Lab")


@dataclass(frozen=True)
class _Code:
    name: str
    rates: tuple[tuple[str, str, int], ...]  # rate name, percent, index of the agency
    on_purchases: bool = True


@dataclass(frozen=True)
class _TaxRegime:
    agencies: tuple[tuple[str, str], ...]  # agency, its liability account
    codes: tuple[_Code, ...]


_REGIMES = {
    "US": _TaxRegime(
        (("Texas State Comptroller", "Sales Tax Payable"),),
        (_Code("Texas", (("Texas", "8.25", 0),), on_purchases=False),),
    ),
    "GB": _TaxRegime(
        (("HM Revenue & Customs", "VAT Control"),),
        (
            _Code("20.0% S", (("20.0% S", "20", 0),)),
            _Code("5.0% R", (("5.0% R", "5", 0),)),
            _Code("0.0% Z", (("0.0% Z", "0", 0),)),
            _Code("Exempt", (("Exempt", "0", 0),)),
            _Code("No VAT", (("No VAT", "0", 0),)),
        ),
    ),
    "AU": _TaxRegime(
        (("Australian Taxation Office", "GST Liabilities Payable"),),
        (
            _Code("GST", (("GST", "10", 0),)),
            _Code("GST free", (("GST free", "0", 0),)),
            _Code("Out of Scope", (("Out of Scope", "0", 0),)),
        ),
    ),
    "CA": _TaxRegime(
        (("Canada Revenue Agency", "GST/HST Payable"), ("British Columbia Minister of Finance", "PST Payable (BC)")),
        (
            _Code("GST", (("GST", "5", 0),)),
            _Code("HST ON", (("HST ON", "13", 0),)),
            _Code("GST/PST BC", (("GST BC", "5", 0), ("PST BC", "7", 1))),
            _Code("Zero-rated", (("Zero-rated", "0", 0),)),
            _Code("Exempt", (("Exempt", "0", 0),)),
        ),
    ),
}


def new_company(
    realm_id: str, name: str, country: str, home_currency: str, now: datetime, first_txn_id: int
) -> Company:
    company = Company(realm_id, name, country, home_currency, now, first_txn_id)
    home = Decimal(_DOLLARS.get(home_currency, "1"))
    company.rates = {code: (Decimal(rate) / home).quantize(Decimal("0.000001")) for code, rate in _DOLLARS.items()}
    company.behaviour.partner_tax = company.is_us
    for account, kind, subtype, role in _ACCOUNTS:
        add_account(company, account, kind, subtype, now, role=role)
    _add_taxes(company, _REGIMES.get(country, _REGIMES["GB"]), now)
    for title in ("Services", "Hours"):
        income = {"value": account_id(company, "Services")}
        add(company, "Item", {"Name": title, "Type": "Service", "IncomeAccountRef": income, "Taxable": False}, now)
    currency = {"value": home_currency}
    for customer in _CUSTOMERS:
        add(company, "Customer", {"DisplayName": customer, "Taxable": True, "CurrencyRef": currency}, now)
    for vendor in _VENDORS:
        add(company, "Vendor", {"DisplayName": vendor, "CurrencyRef": currency}, now)
    for method in ("Cash", "Check", "Credit Card"):
        kind = "CREDIT_CARD" if method == "Credit Card" else "NON_CREDIT_CARD"
        add(company, "PaymentMethod", {"Name": method, "Type": kind}, now)
    return company


def add(company: Company, entity: str, fields: dict[str, Any], now: datetime, record_id: str | None = None) -> Record:
    return company.put_list_record(entity, record_id or company.new_list_id(entity), fields, now)


def add_account(company: Company, name: str, kind: str, subtype: str, now: datetime, *, role: str = "") -> str:
    currency = {"value": company.home_currency}
    fields = {"Name": name, "AccountType": kind, "AccountSubType": subtype, "CurrencyRef": currency}
    record = add(company, "Account", fields, now)
    if role:
        company.roles[role] = record.id
    return record.id


def account_id(company: Company, name: str) -> str:
    return next(r.id for r in company.records["Account"].values() if r.fields["Name"] == name)


def _add_taxes(company: Company, regime: _TaxRegime, now: datetime) -> None:
    if company.is_us:
        for pseudo in ("TAX", "NON"):
            pseudo_fields = {"Name": pseudo, "Description": pseudo, "Taxable": pseudo == "TAX", "TaxGroup": False}
            add(company, "TaxCode", pseudo_fields, now, record_id=pseudo)
    agencies = []
    for agency, account in regime.agencies:
        agency_fields = {"DisplayName": agency, "TaxTrackedOnSales": True, "TaxTrackedOnPurchases": not company.is_us}
        record = add(company, "TaxAgency", agency_fields, now)
        subtype = "SalesTaxPayable" if company.is_us else "GlobalTaxPayable"
        add_account(company, account, "Other Current Liability", subtype, now, role=f"tax:{record.id}")
        agencies.append(record.id)
    for code in regime.codes:
        fields: dict[str, Any] = {
            "Name": code.name,
            "Description": code.name,
            "Taxable": True,
            "TaxGroup": True,
            "Hidden": False,
        }
        fields["SalesTaxRateList"] = _rate_list(company, code, agencies, "", now)
        purchases: dict[str, Any] = {"TaxRateDetail": []}
        if code.on_purchases:
            purchases = _rate_list(company, code, agencies, " (Purchases)", now)
        fields["PurchaseTaxRateList"] = purchases
        add(company, "TaxCode", fields, now)


def _rate_list(company: Company, code: _Code, agencies: list[str], suffix: str, now: datetime) -> dict[str, Any]:
    details = []
    for order, (name, percent, agency) in enumerate(code.rates):
        fields = {"Name": name + suffix, "Description": name + suffix, "RateValue": Decimal(percent)}
        fields |= {"AgencyRef": {"value": agencies[agency]}, "SpecialTaxType": "NONE", "DisplayType": "ReadOnly"}
        rate = add(company, "TaxRate", fields, now)
        ref = {"value": rate.id, "name": name + suffix}
        details.append({"TaxRateRef": ref, "TaxTypeApplicable": "TaxOnAmount", "TaxOrder": order})
    return {"TaxRateDetail": details}
