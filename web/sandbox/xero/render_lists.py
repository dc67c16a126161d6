"""The organisation and its lists in Xero's words."""

from web.sandbox.xero.amounts import ms_day, ms_time, rounded
from web.sandbox.xero.call import Call
from web.sandbox.xero.records import Account, Item, Json, TaxRate
from web.sandbox.xero.seed import COUNTRIES, CURRENCY_NAMES

ACTIONS = (
    "CreateApprovedInvoice",
    "CreateDraftPurchaseOrder",
    "CreateApprovedBill",
    "AttachFilesIntoInvoice",
    "UseMulticurrency",
    "CreateDraftInvoice",
    "CreateInvoicePayment",
)


def organisation(call: Call) -> Json:
    books, country = call.organisation, COUNTRIES[call.organisation.country]
    behaviour = books.behaviour
    shown: Json = {
        "OrganisationID": books.tenant_id,
        "Name": books.name,
        "LegalName": books.name,
        "PaysTax": True,
        "Version": country.version,
        "OrganisationType": "COMPANY",
        "BaseCurrency": books.currency,
        "CountryCode": books.country,
        "IsDemoCompany": False,
        "OrganisationStatus": "ACTIVE",
        "FinancialYearEndDay": 31,
        "FinancialYearEndMonth": 12,
        "SalesTaxBasis": "ACCRUALS",
        "SalesTaxPeriod": "QUARTERLY",
        "DefaultSalesTax": "Tax Inclusive",
        "DefaultPurchasesTax": "Tax Inclusive",
        "CreatedDateUTC": ms_time(books.created),
        "OrganisationEntityType": "COMPANY",
        "Timezone": country.timezone_code,
        "ShortCode": books.short_code,
        "Edition": "BUSINESS",
        "Class": "PREMIUM",
        "Addresses": [],
        "Phones": [],
        "ExternalLinks": [],
        "PaymentTerms": {},
    }
    locks = (("PeriodLockDate", behaviour.period_lock_date), ("EndOfYearLockDate", behaviour.end_of_year_lock_date))
    return shown | {name: ms_day(lock) for name, lock in locks if lock is not None}


def actions(call: Call) -> list[Json]:
    left = call.organisation.behaviour.approvals_left
    refused = {"CreateApprovedInvoice"} if left is not None and left <= 0 else set()
    return [{"Name": name, "Status": "NOT-ALLOWED" if name in refused else "ALLOWED"} for name in ACTIONS]


def account(_: Call, record: Account, full: bool = True) -> Json:
    shown: Json = {
        "AccountID": record.id,
        "Name": record.name,
        "Status": record.status,
        "Type": record.type,
        "TaxType": record.tax_type,
        "Description": record.description,
        "Class": record.cls,
        "EnablePaymentsToAccount": record.takes_payments,
        "ShowInExpenseClaims": False,
        "ReportingCode": record.cls[:3],
        "HasAttachments": False,
        "UpdatedDateUTC": ms_time(record.updated),
        "AddToWatchlist": False,
    }
    if record.code:
        shown["Code"] = record.code
    if record.system:
        shown["SystemAccount"] = record.system
    if record.is_bank:
        shown |= {"BankAccountNumber": record.bank_number, "BankAccountType": record.bank_type}
        shown["CurrencyCode"] = record.currency
    return shown


def tax_rate(_: Call, record: TaxRate, full: bool = True) -> Json:
    percent = rounded(record.percent, 4)
    return {
        "Name": record.name,
        "TaxType": record.tax_type,
        "ReportTaxType": record.report_type,
        "CanApplyToAssets": True,
        "CanApplyToEquity": True,
        "CanApplyToExpenses": record.on_expenses,
        "CanApplyToLiabilities": True,
        "CanApplyToRevenue": record.on_revenue,
        "DisplayTaxRate": percent,
        "EffectiveRate": percent,
        "Status": record.status,
        "TaxComponents": [
            {"Name": record.name, "Rate": percent, "IsCompound": False, "IsNonRecoverable": False},
        ],
    }


def currency(code: str) -> Json:
    return {"Code": code, "Description": CURRENCY_NAMES.get(code, code)}


def item(_: Call, record: Item, full: bool = True) -> Json:
    return {
        "ItemID": record.id,
        "IsSold": "SalesDetails" in record.fields,
        "IsPurchased": "PurchaseDetails" in record.fields,
        **record.fields,
        "IsTrackedAsInventory": False,
        "UpdatedDateUTC": ms_time(record.updated),
    }
