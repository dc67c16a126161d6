"""Account, Customer, Vendor, Item: names that must be free, and lists from which nothing is ever deleted."""

import re

from web.sandbox.quickbooks.amounts import number
from web.sandbox.quickbooks.common import Draft, check_kind
from web.sandbox.quickbooks.company import Built, Company, Fields
from web.sandbox.quickbooks.errors import Refused, business, missing

_DELETED = " (deleted)"
_DEFAULT_SUBTYPES = {
    "Bank": "CashOnHand",
    "Accounts Receivable": "AccountsReceivable",
    "Other Current Asset": "OtherCurrentAssets",
    "Fixed Asset": "OtherFixedAssets",
    "Other Asset": "OtherLongTermAssets",
    "Accounts Payable": "AccountsPayable",
    "Credit Card": "CreditCard",
    "Other Current Liability": "OtherCurrentLiabilities",
    "Long Term Liability": "OtherLongTermLiabilities",
    "Equity": "OwnersEquity",
    "Income": "SalesOfProductIncome",
    "Cost of Goods Sold": "SuppliesMaterialsCogs",
    "Expense": "OtherMiscellaneousServiceCost",
    "Other Income": "OtherMiscellaneousIncome",
    "Other Expense": "OtherMiscellaneousExpense",
}

_ITEM_KINDS = ("Income", "Other Income", "Other Current Liability")
_EXPENSES = ("Expense", "Other Expense")


def build_account(draft: Draft) -> Built:
    fields, company = draft.fields, draft.company
    _set_activity_suffix(draft, "Name")
    _check_name(fields, "Name", r'[":]')
    if "AccountType" not in fields:
        fields["AccountType"] = _type_of_subtype(fields.get("AccountSubType"))
    fields.setdefault("AccountSubType", _DEFAULT_SUBTYPES[fields["AccountType"]])
    if draft.previous is not None and draft.previous.fields["AccountType"] != fields["AccountType"]:
        raise business("The type of an account that is in use can't be changed.")
    _set_list_currency(draft)
    _check_unique(draft, "Name")
    if not fields.get("Active", True) and company.ledger.account_balance(draft.id):
        raise business("An account with a balance can't be made inactive.")
    return Built(fields)


def _type_of_subtype(subtype: str | None) -> str:
    found = next((kind for kind, default in _DEFAULT_SUBTYPES.items() if default == subtype), None)
    known = {"Checking": "Bank", "Savings": "Bank", "ServiceFeeIncome": "Income", "BankCharges": "Expense"}
    found = found or known.get(subtype or "")
    if found is None:
        raise Refused("6010", "You must specify either an Account.AccountType or an Account.AccountSubType.")
    return found


def build_person(draft: Draft) -> Built:
    """Customer or vendor: one namespace, compared without regard to case."""
    fields = draft.fields
    parts = [fields.get(part, "") for part in ("Title", "GivenName", "MiddleName", "FamilyName", "Suffix")]
    display = fields.get("DisplayName") or " ".join(part for part in parts if part) or fields.get("CompanyName")
    if not display or not display.strip():
        raise Refused(
            "6080", "At least one of Title, GivenName, MiddleName, FamilyName, DisplayName, Suffix is required."
        )
    fields["DisplayName"] = display.strip()
    fields.setdefault("Active", True)
    for name in ("DisplayName", "GivenName", "FamilyName", "CompanyName"):
        _check_name(fields, name, r"[:\t\n]", required=False)
    _check_email(fields)
    _set_list_currency(draft)
    _check_unique(draft, "DisplayName")
    if draft.entity == "Customer":
        fields.setdefault("Taxable", True)
    return Built(fields)


def _check_email(fields: Fields) -> None:
    address = (fields.get("PrimaryEmailAddr") or {}).get("Address")
    if address and not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", address):
        raise Refused(
            "2210", f"Email Address does not conform to the syntax rules of RFC 822. Supplied value:{address}"
        )


def build_item(draft: Draft) -> Built:
    fields, company = draft.fields, draft.company
    _set_activity_suffix(draft, "Name")
    _check_name(fields, "Name", r"[:\t\n]")
    fields.setdefault("Type", "Service")
    if fields["Type"] not in ("Service", "NonInventory"):
        raise Refused("5030", "Feature Not Supported Error : the sandbox keeps services and non-inventory items only")
    income = company.reference("Account", fields, "IncomeAccountRef")
    if income is None:
        raise missing("IncomeAccountRef")
    kinds = _ITEM_KINDS + (_EXPENSES if company.behaviour.item_on_expense else ())
    check_kind(income, "IncomeAccountRef", kinds)
    _check_unique(draft, "Name")
    fields.setdefault("Taxable", False)
    fields["UnitPrice"] = number(fields.get("UnitPrice", 0))
    return Built(fields)


def _set_activity_suffix(draft: Draft, name: str) -> None:
    """QuickBooks marks an object that is made inactive in its name, which frees the name."""
    fields = draft.fields
    fields.setdefault("Active", True)
    if not isinstance(fields.get(name), str):
        return
    fields[name] = fields[name].removesuffix(_DELETED)
    if fields["Active"] is False:
        fields[name] += _DELETED


def _check_name(fields: Fields, name: str, forbidden: str, *, required: bool = True) -> None:
    value = fields.get(name)
    if not value:
        if required:
            raise missing(name)
        return
    if re.search(forbidden, value):
        raise Refused("2040", f"Element contains invalid characters: {value}", element=name)


def _check_unique(draft: Draft, name: str) -> None:
    owner = draft.company.name_owner(draft.entity, draft.fields[name])
    if owner is not None and owner != (draft.entity, draft.id):
        raise Refused("6240", f"The name supplied already exists. : Id={owner[1]}")


def _set_list_currency(draft: Draft) -> None:
    fields, company = draft.fields, draft.company
    currency = company.currency_of(fields)
    if currency != company.home_currency and not company.behaviour.multicurrency:
        raise business("Multicurrency is not enabled for this company.")
    if draft.previous is not None and company.currency_of(draft.previous.fields) != currency:
        raise business("The currency can't be changed after creation.")
    fields["CurrencyRef"] = {"value": currency}
    if draft.entity == "Customer":
        _ensure_receivable(draft, company, currency)


def _ensure_receivable(draft: Draft, company: Company, currency: str) -> None:
    """The first customer in a currency brings that currency's receivable account."""
    role = f"receivable:{currency}"
    if currency == company.home_currency or role in company.roles:
        return
    company.roles[role] = company.new_list_id("Account")
    fields: Fields = {"Name": f"Accounts Receivable (A/R) - {currency}", "AccountType": "Accounts Receivable"}
    fields |= {"AccountSubType": "AccountsReceivable", "Active": True, "CurrencyRef": {"value": currency}}
    company.put_list_record("Account", company.roles[role], fields, draft.now)
