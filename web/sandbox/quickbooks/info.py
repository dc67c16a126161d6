"""CompanyInfo, Preferences and ExchangeRate: what a preflight reads about a company."""

from datetime import datetime

from web.sandbox.quickbooks.amounts import pacific, pacific_date
from web.sandbox.quickbooks.company import Company, Fields
from web.sandbox.quickbooks.errors import Refused
from web.sandbox.quickbooks.seed import CURRENCIES


def _head(company: Company) -> Fields:
    time = pacific(company.created)
    return {
        "domain": "QBO",
        "sparse": False,
        "Id": "1",
        "SyncToken": "0",
        "MetaData": {"CreateTime": time, "LastUpdatedTime": time},
    }


def company_info(company: Company) -> Fields:
    status = "CANCELLED" if company.behaviour.subscription_ended else "SUBSCRIBED"
    return {
        **_head(company),
        "CompanyName": company.name,
        "LegalName": company.name,
        "CompanyAddr": {"Id": "1", "Country": company.country},
        "CompanyStartDate": company.created.date().isoformat(),
        "FiscalYearStartMonth": "January",
        "Country": company.country,
        "SupportedLanguages": "en",
        "NameValue": [
            {"Name": "OfferingSku", "Value": "QuickBooks Online Plus"},
            {"Name": "SubscriptionStatus", "Value": status},
            {"Name": "NeoEnabled", "Value": "true"},
        ],
    }


def preferences(company: Company) -> Fields:
    behaviour = company.behaviour
    tax: Fields = {"UsingSalesTax": behaviour.using_sales_tax}
    if company.is_us and behaviour.partner_tax:
        tax["PartnerTaxEnabled"] = behaviour.using_sales_tax
        tax["TaxGroupCodeRef"] = {
            "value": next(c.id for c in company.records["TaxCode"].values() if c.fields["TaxGroup"])
        }
    accounting: Fields = {
        "UseAccountNumbers": False,
        "TrackDepartments": False,
        "ClassTrackingPerTxn": False,
        "ClassTrackingPerTxnLine": False,
        "FirstMonthOfFiscalYear": "January",
        "TaxYearMonth": "January",
    }
    if behaviour.book_close_date:
        accounting["BookCloseDate"] = behaviour.book_close_date
    return {
        **_head(company),
        "AccountingInfoPrefs": accounting,
        "ProductAndServicesPrefs": {
            "ForSales": True,
            "ForPurchase": False,
            "QuantityWithPriceAndRate": True,
            "QuantityOnHand": False,
        },
        "SalesFormsPrefs": {
            "CustomTxnNumbers": behaviour.custom_txn_numbers,
            "AllowDeposit": False,
            "AllowDiscount": behaviour.allow_discount,
            "AllowEstimates": True,
            "AllowServiceDate": False,
            "AllowShipping": False,
            "AutoApplyCredit": False,
            "AutoApplyPayments": False,
            "IPNSupportEnabled": False,
        },
        "VendorAndPurchasesPrefs": {"TrackingByCustomer": False, "BillableExpenseTracking": False},
        "TaxPrefs": tax,
        "CurrencyPrefs": {
            "MultiCurrencyEnabled": behaviour.multicurrency,
            "HomeCurrency": {"value": company.home_currency},
        },
        "OtherPrefs": {
            "NameValue": [{"Name": "SalesFormsPrefs.DefaultCustomerMessage", "Value": "Thank you for your business."}]
        },
    }


def exchange_rate(company: Company, source: str, as_of: str | None, now: datetime) -> Fields:
    rate = company.rates.get(source.upper())
    if rate is None:
        raise Refused("2220", f"Invalid Currency Type : {source}", message="Invalid Currency Type")
    return {
        **_head(company),
        "SourceCurrencyCode": source.upper(),
        "TargetCurrencyCode": company.home_currency,
        "Rate": rate,
        "AsOfDate": as_of or pacific_date(now),
    }


def currencies(company: Company) -> list[Fields]:
    if not company.behaviour.multicurrency:
        return []
    codes = [code for code in company.rates if code != company.home_currency]
    return [
        {**_head(company), "Id": str(n), "Code": code, "Name": CURRENCIES.get(code, code), "Active": True}
        for n, code in enumerate(codes, start=1)
    ]
