"""Whose books these are, how they are set up, and which accounts and tax codes they have."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TypeVar

from core.accounting.port import Account, AccountType, Company, TaxCode
from core.accounting.quickbooks import answers
from core.accounting.quickbooks.client import QuickBooksClient
from core.accounting.quickbooks.queries import ANY_STATE, PAGE, select
from core.accounting.quickbooks.taxes import PPM_PER_PERCENT, US_EXEMPT, US_TAXABLE
from core.errors import ProviderUnavailableError

N = TypeVar("N", answers.Account, answers.TaxCode, answers.TaxRate)

MAX_PAGES = 20
"""20 000 accounts; QuickBooks' own largest edition has fewer."""

TYPES: Mapping[str, AccountType] = {
    "Bank": AccountType.BANK,
    "Accounts Receivable": AccountType.RECEIVABLE,
    "Other Current Asset": AccountType.CURRENT_ASSET,
    "Fixed Asset": AccountType.OTHER_ASSET,
    "Other Asset": AccountType.OTHER_ASSET,
    "Accounts Payable": AccountType.PAYABLE,
    "Credit Card": AccountType.CREDIT_CARD,
    "Other Current Liability": AccountType.CURRENT_LIABILITY,
    "Long Term Liability": AccountType.OTHER_LIABILITY,
    "Equity": AccountType.EQUITY,
    "Income": AccountType.INCOME,
    "Other Income": AccountType.OTHER_INCOME,
    "Expense": AccountType.EXPENSE,
    "Cost of Goods Sold": AccountType.EXPENSE,
    "Other Expense": AccountType.OTHER_EXPENSE,
}

NEW_TYPES: Mapping[AccountType, tuple[str, str | None]] = {
    # A bank account without a subtype becomes "cash on hand".
    AccountType.BANK: ("Bank", "Checking"),
    AccountType.CURRENT_ASSET: ("Other Current Asset", None),
    AccountType.CURRENT_LIABILITY: ("Other Current Liability", None),
    AccountType.EQUITY: ("Equity", None),
    AccountType.INCOME: ("Income", None),
    AccountType.OTHER_INCOME: ("Other Income", None),
    AccountType.EXPENSE: ("Expense", None),
    AccountType.OTHER_EXPENSE: ("Other Expense", None),
}
"""Account types that may be created, with QuickBooks' type and subtype."""

UNTAXED = ("no vat", "out of scope", "no tax", "not applicable", "exempt")
"""What the codes for "nothing to do with tax" are called in the companies that QuickBooks sets up, best first."""


async def read_company(client: QuickBooksClient, realm_id: str) -> Company:
    """Ask CompanyInfo and Preferences."""
    reply = await client.read(f"/companyinfo/{realm_id}")
    info = answers.read_object(reply.body, "CompanyInfo", answers.CompanyInfo, request_id=reply.request_id)
    reply = await client.read("/preferences")
    prefs = answers.read_object(reply.body, "Preferences", answers.Preferences, request_id=reply.request_id)
    home = prefs.currency_prefs.home_currency
    if home is None:
        raise ProviderUnavailableError("QuickBooks named no home currency", request_id=reply.request_id)
    taxes, country = prefs.tax_prefs, _country(info.country)
    return Company(
        external_id=realm_id,
        name=info.company_name or info.legal_name,
        country=country,
        home_currency=home.value.upper(),
        options={
            "custom_txn_numbers": _flag(prefs.sales_forms_prefs.custom_txn_numbers),
            "using_sales_tax": _flag(taxes.using_sales_tax),
            "partner_tax": _flag(taxes.partner_tax_enabled is not None),
            "multicurrency": _flag(prefs.currency_prefs.multi_currency_enabled),
            "book_close_date": prefs.accounting_info_prefs.book_close_date,
            **(await _purchase_options(client) if taxes.using_sales_tax and country != "US" else {}),
        },
    )


async def _purchase_options(client: QuickBooksClient) -> dict[str, str]:
    """Ask what ``prepare`` must know of tax outside the United States: one question more, asked once a day.

    A code has another rate on purchases than on sales, and a line without tax needs a code that says so.
    """
    codes = [code for code in (await _pages(client, "TaxCode", answers.TaxCode)).values() if code.active]
    details = ((code.id, code.purchase_tax_rate_list) for code in codes)
    rates = {
        code_id: rates.tax_rate_detail[0].tax_rate_ref.value
        for code_id, rates in details
        if rates and len(rates.tax_rate_detail) == 1
    }
    return {
        "purchase_rates": " ".join(f"{code_id}:{rate_id}" for code_id, rate_id in sorted(rates.items())),
        "untaxed_code": _untaxed(codes),
    }


def _untaxed(codes: Sequence[answers.TaxCode]) -> str:
    """Return the code that keeps a line out of the tax return, known by its name; empty where there is none."""
    for words in UNTAXED:
        for code in sorted(codes, key=lambda code: code.name.casefold()):
            if words in code.name.casefold() and not code.hidden and _stands_on_both_sides(code):
                return code.id
    return ""


def _stands_on_both_sides(code: answers.TaxCode) -> bool:
    """A code without rates on sales, or on purchases, is refused there."""
    sides = (code.sales_tax_rate_list, code.purchase_tax_rate_list)
    return all(side is not None and side.tax_rate_detail for side in sides)


def purchase_rates(company: Company) -> dict[str, str]:
    """Read the rate of each tax code on purchases back, as :func:`read_company` stored them."""
    pairs = (pair.partition(":") for pair in company.options.get("purchase_rates", "").split())
    return {code_id: rate_id for code_id, _, rate_id in pairs}


def is_on(company: Company, option: str) -> bool:
    """Read one of the switches back that :func:`read_company` stored."""
    return company.options.get(option) == "true"


async def list_accounts(client: QuickBooksClient) -> list[Account]:
    """Read the whole chart of accounts, archived ones included, by name."""
    rows = await _pages(client, "Account", answers.Account)
    accounts = [account for row in rows.values() if (account := account_of(row)) is not None]
    return sorted(accounts, key=lambda account: account.name.casefold())


def account_of(row: answers.Account) -> Account | None:
    """Return the account in the port's words; None for a type that we do not know."""
    if row.account_type not in TYPES:
        return None
    return Account(
        external_id=row.id,
        name=row.fully_qualified_name or row.name,
        number=row.acct_num or None,
        type=TYPES[row.account_type],
        currency=row.currency_ref.value if row.currency_ref else None,
        active=row.active,
    )


async def list_tax_codes(client: QuickBooksClient, company: Company) -> list[TaxCode]:
    """Read what may stand on a sale. In the United States that is taxable or not; the rate is then Stripe's."""
    if not is_on(company, "using_sales_tax"):
        return []
    if company.country == "US":
        return [TaxCode(US_TAXABLE, "Taxable", None, True), TaxCode(US_EXEMPT, "Non-taxable", 0, True)]
    codes = await _pages(client, "TaxCode", answers.TaxCode)
    rates = await _pages(client, "TaxRate", answers.TaxRate)
    return [
        _tax_code(code, code.sales_tax_rate_list.tax_rate_detail, rates)
        for code in sorted(codes.values(), key=lambda code: code.name.casefold())
        if code.sales_tax_rate_list and code.sales_tax_rate_list.tax_rate_detail
    ]


def _tax_code(
    code: answers.TaxCode, details: tuple[answers.RateDetail, ...], rates: Mapping[str, answers.TaxRate]
) -> TaxCode:
    values = [rates[d.tax_rate_ref.value].rate_value if d.tax_rate_ref.value in rates else None for d in details]
    known = [value for value in values if value is not None]
    # A tax on another tax is more than the sum of the two: then only QuickBooks knows the rate.
    is_plain = len(known) == len(details) and all(detail.tax_on_tax_order == 0 for detail in details)
    return TaxCode(
        external_id=code.id,
        name=code.name,
        rate_ppm=int(sum(known, Decimal(0)) * PPM_PER_PERCENT) if is_plain else None,
        active=code.active and not code.hidden,
        rate_external_id=details[0].tax_rate_ref.value if len(details) == 1 else None,
    )


async def _pages(client: QuickBooksClient, entity: str, shape: type[N]) -> dict[str, N]:
    """Read all pages of a list. Keyed by id: a page's window moves when someone adds a row meanwhile."""
    found: dict[str, N] = {}
    condition = () if entity == "TaxRate" else (ANY_STATE,)
    for page in range(MAX_PAGES):
        reply = await client.query(select(entity, *condition, order_by="Name", start=1 + page * PAGE))
        rows = answers.read_list(reply.body, entity, shape, request_id=reply.request_id)
        found.update((row.id, row) for row in rows)
        if len(rows) < PAGE:
            break
    return found


def _country(text: str) -> str:
    code = text.strip().upper()
    return {"UK": "GB", "USA": "US"}.get(code, code)


def _flag(value: bool) -> str:
    return "true" if value else "false"
