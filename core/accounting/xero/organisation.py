"""Whose books these are, how they are set up, and which accounts and tax rates they have."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal

from core.accounting.port import Account, AccountType, Company, TaxCode
from core.accounting.xero import answers
from core.accounting.xero.amounts import read_day
from core.accounting.xero.client import XeroClient
from core.accounting.xero.schemas import AccountBody
from core.errors import ProviderUnavailableError, StopError
from core.reasons import Reason

CONNECTION_ID = "connection_id"
"""Option of a connection: Xero's id of it, by which alone it can be ended."""

TYPES: Mapping[str, AccountType] = {
    "BANK": AccountType.BANK,
    "CURRENT": AccountType.CURRENT_ASSET,
    "PREPAYMENT": AccountType.CURRENT_ASSET,
    "INVENTORY": AccountType.CURRENT_ASSET,
    "FIXED": AccountType.OTHER_ASSET,
    "NONCURRENT": AccountType.OTHER_ASSET,
    "CURRLIAB": AccountType.CURRENT_LIABILITY,
    "LIABILITY": AccountType.CURRENT_LIABILITY,
    "PAYG": AccountType.CURRENT_LIABILITY,
    "TERMLIAB": AccountType.OTHER_LIABILITY,
    "EQUITY": AccountType.EQUITY,
    "REVENUE": AccountType.INCOME,
    "SALES": AccountType.INCOME,
    "OTHERINCOME": AccountType.OTHER_INCOME,
    "EXPENSE": AccountType.EXPENSE,
    "OVERHEADS": AccountType.EXPENSE,
    "DIRECTCOSTS": AccountType.EXPENSE,
    "DEPRECIATN": AccountType.EXPENSE,
}
# Types that Xero may add, by their class.
_CLASSES: Mapping[str, AccountType] = {
    "ASSET": AccountType.OTHER_ASSET,
    "LIABILITY": AccountType.OTHER_LIABILITY,
    "EQUITY": AccountType.EQUITY,
    "REVENUE": AccountType.OTHER_INCOME,
    "EXPENSE": AccountType.OTHER_EXPENSE,
}
_SYSTEM: Mapping[str, AccountType] = {"DEBTORS": AccountType.RECEIVABLE, "CREDITORS": AccountType.PAYABLE}

NEW_TYPES: Mapping[AccountType, tuple[str, int]] = {
    AccountType.BANK: ("BANK", 91),
    AccountType.CURRENT_ASSET: ("CURRENT", 620),
    AccountType.CURRENT_LIABILITY: ("CURRLIAB", 840),
    AccountType.EQUITY: ("EQUITY", 970),
    AccountType.INCOME: ("REVENUE", 201),
    AccountType.OTHER_INCOME: ("OTHERINCOME", 271),
    AccountType.EXPENSE: ("EXPENSE", 405),
}
"""Account types that may be created: Xero's type, and the code from which on a free one is looked for."""

NEAREST: Mapping[AccountType, AccountType] = {AccountType.OTHER_EXPENSE: AccountType.EXPENSE}
"""Types that Xero does not tell apart, and the one that is created instead."""

_PPM_PER_PERCENT = 10_000


async def read_organisation(client: XeroClient, tenant_id: str) -> Company:
    """Ask for the organisation: its name, currency, lock dates."""
    reply = await client.read("/Organisation")
    rows = answers.read_list(reply.body, "Organisations", answers.Organisation, request_id=reply.request_id)
    if len(rows) != 1 or not rows[0].base_currency:
        raise ProviderUnavailableError("Xero named no organisation", request_id=reply.request_id, status=200)
    found = rows[0]
    return Company(
        external_id=tenant_id,
        name=found.name or found.legal_name,
        country=found.country_code.upper(),
        home_currency=found.base_currency.upper(),
        options={
            "version": found.version,
            "book_close_date": _lock_date(found),
            "short_code": found.short_code,
            "is_demo": "true" if found.is_demo_company else "false",
        },
    )


def locked_to(company: Company) -> str:
    """Return the last day of the locked period, or an empty text."""
    return company.options.get("book_close_date", "")


def untaxed_type(company: Company) -> str:
    """Return what these books call a line without tax. In Australia the type NONE is not known."""
    return "BASEXCLUDED" if company.options.get("version", "").startswith("AU") else "NONE"


async def list_accounts(client: XeroClient) -> list[Account]:
    """Read the whole chart of accounts, archived ones included, by name."""
    accounts = [account for row in await read_accounts(client) if (account := account_of(row)) is not None]
    return sorted(accounts, key=lambda account: account.name.casefold())


async def read_accounts(client: XeroClient) -> list[answers.Account]:
    """Read every account as Xero shows it. There are no pages."""
    reply = await client.read("/Accounts")
    rows = answers.read_list(reply.body, "Accounts", answers.Account, request_id=reply.request_id)
    return [row for row in rows if row.status != "DELETED"]


def account_of(row: answers.Account) -> Account | None:
    """Return the account in the port's words; None for one that nobody may post to, or of an unknown type."""
    kind = _type_of(row)
    if kind is None or not row.account_id:
        return None
    return Account(
        external_id=row.account_id,
        name=row.name,
        number=row.code or None,
        type=kind,
        currency=row.currency_code or None,
        active=row.status == "ACTIVE",
    )


def new_account(name: str, account_type: AccountType, *, tenant_id: str, codes: Collection[str]) -> AccountBody:
    """Return the account to create: Xero wants a code, and a number of each bank account.

    Raises:
        StopError: ``OUR_FAULT`` for a type that is not created.
    """
    if account_type not in NEW_TYPES:
        raise StopError(Reason.OUR_FAULT, {"account_type": account_type.value})
    xero_type, first = NEW_TYPES[account_type]
    code = next(f"{number:03d}" for number in range(first, first + len(codes) + 1) if f"{number:03d}" not in codes)
    # No bank knows this number. It only has to differ from every other one of the organisation.
    digest = hashlib.sha256(f"{tenant_id}{name}".encode()).digest()
    number = str(int.from_bytes(digest[:8], "big"))[:14].rjust(14, "0")
    return AccountBody(
        code=code,
        name=name,
        type=xero_type,
        bank_account_number=number if account_type is AccountType.BANK else None,
        # Money held for disputes leaves such an account by repayments, which Xero allows from no other.
        enable_payments_to_account=account_type is AccountType.CURRENT_ASSET,
    )


async def read_tax_rates(client: XeroClient) -> Sequence[answers.TaxRate]:
    """Read every tax rate, deleted ones included."""
    reply = await client.read("/TaxRates")
    return answers.read_list(reply.body, "TaxRates", answers.TaxRate, request_id=reply.request_id)


async def list_tax_codes(client: XeroClient) -> list[TaxCode]:
    """Read the tax rates that may stand on a sale or, as the tax on fees does, on a purchase."""
    return [
        TaxCode(
            external_id=row.tax_type,
            name=row.name,
            rate_ppm=_ppm(row.effective_rate),
            active=row.status == "ACTIVE",
            on_sales=bool(row.can_apply_to_revenue),
            on_purchases=bool(row.can_apply_to_expenses),
        )
        for row in await read_tax_rates(client)
        if (row.can_apply_to_revenue or row.can_apply_to_expenses) and row.tax_type and row.status != "DELETED"
    ]


def _type_of(row: answers.Account) -> AccountType | None:
    if row.system_account and row.system_account in _SYSTEM:
        return _SYSTEM[row.system_account]
    if row.system_account and row.account_class in ("REVENUE", "EXPENSE"):
        # Gains, losses and rounding: Xero alone writes there.
        return None
    if row.type == "BANK" and row.bank_account_type == "CREDITCARD":
        return AccountType.CREDIT_CARD
    return TYPES.get(row.type) or _CLASSES.get(row.account_class)


def _lock_date(found: answers.Organisation) -> str:
    """Two dates, for people and for everybody; we keep out of both periods."""
    return max(read_day(found.period_lock_date or ""), read_day(found.end_of_year_lock_date or ""))


def _ppm(rate: Decimal | None) -> int | None:
    if rate is None:
        return None
    ppm = rate * _PPM_PER_PERCENT
    return int(ppm) if ppm == ppm.to_integral_value() else None
