"""Lines of documents and bank transactions: amounts, accounts, tax per line."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from web.sandbox.xero.amounts import money, rounded, to_cents
from web.sandbox.xero.call import Call
from web.sandbox.xero.errors import Invalid
from web.sandbox.xero.fields import GUID
from web.sandbox.xero.records import Account, Json, Line, TaxRate

HUNDRED = Decimal(100)
_CLOSED_SYSTEM = ("DEBTORS", "CREDITORS")


@dataclass(frozen=True)
class Setting:
    """What the lines of one document have in common."""

    mode: str
    is_sale: bool
    is_draft: bool
    allows_discount: bool = False


def build_lines(call: Call, sent: list[Json], setting: Setting, old: list[Line], warnings: list[str]) -> list[Line]:
    """Work out all lines. A line that names no LineItemID of ``old`` is a new line."""
    known = {line.id for line in old}
    return [_line(call, item, setting, known, warnings) for item in sent]


def _line(call: Call, sent: Json, setting: Setting, known: set[str], warnings: list[str]) -> Line:
    sent = _with_item(call, sent, setting)
    description = str(sent.get("Description", ""))
    if not description.strip() and not setting.is_draft:
        raise Invalid("Description must not be empty.")
    account = _account(call, sent, setting, warnings)
    quantity = rounded(Decimal(sent.get("Quantity", 1)), 4)
    unit, amount = _amount(call, sent, quantity, setting)
    rate = _tax_rate(call, sent, account, setting)
    tax = 0 if rate is None else _tax(sent, amount, rate.percent, setting.mode)
    line_id = str(sent.get("LineItemID", "")).lower()
    return Line(
        id=line_id if line_id in known else call.new_id(),
        description=description,
        quantity=quantity,
        unit=unit,
        amount=amount,
        tax=tax,
        net=amount - tax if setting.mode == "Inclusive" else amount,
        account=account,
        tax_type=rate.tax_type if rate else "NONE",
        item_code=str(sent.get("ItemCode", "")),
        discount_rate=sent.get("DiscountRate"),
        discount_amount=sent.get("DiscountAmount"),
        tracking=_tracking(call, sent.get("Tracking", [])),
    )


def _with_item(call: Call, sent: Json, setting: Setting) -> Json:
    """Fill what was left out from the price list."""
    code = sent.get("ItemCode")
    if not code:
        return sent
    item = next((item for item in call.organisation.items.values() if item.code == code), None)
    if item is None:
        message = f"Item code '{code}' is not valid."
        raise Invalid(message)
    details: Json = item.fields.get("SalesDetails" if setting.is_sale else "PurchaseDetails", {})
    filled = {"Description": item.fields.get("Description")}
    filled |= {"UnitAmount": details.get("UnitPrice"), "TaxType": details.get("TaxType")}
    if "AccountID" not in sent:
        filled["AccountCode"] = details.get("AccountCode")
    return {**{key: value for key, value in filled.items() if value is not None}, **sent}


def _account(call: Call, sent: Json, setting: Setting, warnings: list[str]) -> Account | None:
    organisation = call.organisation
    code, account_id = sent.get("AccountCode"), sent.get("AccountID")
    if not code and not account_id:
        if setting.is_draft:
            return None
        raise Invalid("Account code must be specified.")
    if account_id:
        account = organisation.accounts.get(str(account_id).lower())
    else:
        # A guid in AccountCode never finds anything, though people try it.
        account = None if GUID.fullmatch(str(code)) else organisation.account_by_code(str(code))
    shown = code or account_id
    if account is None:
        if setting.is_draft:
            warnings.append(f"Account code ''{shown}'' has been removed as it does not match a recognised account.")
            return None
        message = f"Account code '{shown}' is not a valid code for this document."
        raise Invalid(message)
    if account.status != "ACTIVE":
        message = f"Account code '{shown}' has been archived, or deleted."
        raise Invalid(message)
    if account.is_bank or account.system in _CLOSED_SYSTEM:
        message = f"Account code '{shown}' is not a valid code for this document."
        raise Invalid(message)
    return account


def _amount(call: Call, sent: Json, quantity: Decimal, setting: Setting) -> tuple[Decimal, int]:
    """Unit price and line total; a total that disagrees with price and quantity is refused."""
    if "UnitAmount" not in sent and "LineAmount" in sent and quantity:
        return rounded(Decimal(sent["LineAmount"]) / quantity, 4), to_cents(sent["LineAmount"])
    unit = rounded(Decimal(sent.get("UnitAmount", 0)), call.unit_places)
    gross = quantity * unit
    if "DiscountRate" in sent or "DiscountAmount" in sent:
        if not setting.allows_discount or ("DiscountRate" in sent and "DiscountAmount" in sent):
            raise Invalid("Discounts are only allowed on sales, either as a rate or as an amount.")
        gross -= Decimal(sent.get("DiscountAmount", 0)) + gross * Decimal(sent.get("DiscountRate", 0)) / HUNDRED
    amount = to_cents(gross)
    if "LineAmount" in sent and to_cents(sent["LineAmount"]) != amount:
        shown = money(to_cents(sent["LineAmount"]))
        message = f"The line total {shown} does not match the expected line total {money(amount)}"
        raise Invalid(message)
    return unit, amount


def _tax_rate(call: Call, sent: Json, account: Account | None, setting: Setting) -> TaxRate | None:
    """The rate of a line; None where no tax is computed."""
    if setting.mode == "NoTax":
        return None
    tax_type = sent.get("TaxType") or (account.tax_type if account else "")
    if not tax_type:
        return None
    rate = call.organisation.tax_rate(tax_type)
    if rate is None or rate.status != "ACTIVE":
        message = f"The TaxType code '{tax_type}' does not exist or cannot be used for this type of transaction."
        raise Invalid(message)
    if account is not None and not _fits(rate, account):
        message = f"The TaxType code '{tax_type}' cannot be used with account code '{account.code}'."
        raise Invalid(message)
    return rate


def _fits(rate: TaxRate, account: Account) -> bool:
    match account.cls:
        case "REVENUE":
            return rate.on_revenue
        case "EXPENSE":
            return rate.on_expenses
        case _:
            return True


def _tax(sent: Json, amount: int, percent: Decimal, mode: str) -> int:
    if "TaxAmount" in sent:
        return to_cents(sent["TaxAmount"])
    return tax_of(amount, percent, mode)


def tax_of(amount: int, percent: Decimal, mode: str) -> int:
    """Tax of one line, in cents, a half rounded away from zero."""
    match mode:
        case "NoTax":
            return 0
        case "Inclusive":
            return int(rounded(amount * percent / (HUNDRED + percent), 0))
        case _:
            return int(rounded(amount * percent / HUNDRED, 0))


def _tracking(call: Call, sent: list[Json]) -> list[Json]:
    if len(sent) > 2:
        raise Invalid("A line cannot have more than two tracking categories.")
    return [_option(call, choice) for choice in sent]


def _option(call: Call, choice: Json) -> Json:
    for category in call.organisation.tracking:
        if choice.get("TrackingCategoryID", choice.get("Name")) not in (
            category["TrackingCategoryID"],
            category["Name"],
        ):
            continue
        for option in category["Options"]:
            if choice.get("TrackingOptionID", choice.get("Option")) in (option["TrackingOptionID"], option["Name"]):
                return {
                    "Name": category["Name"],
                    "Option": option["Name"],
                    "TrackingCategoryID": category["TrackingCategoryID"],
                    "TrackingOptionID": option["TrackingOptionID"],
                }
    raise Invalid("The tracking category or option does not exist or is archived.")


def render_line(line: Line, places: int) -> Json:
    shown: dict[str, Any] = {
        "LineItemID": line.id,
        "Description": line.description,
        "Quantity": line.quantity,
        "UnitAmount": rounded(line.unit, places),
        "LineAmount": money(line.amount),
        "TaxType": line.tax_type,
        "TaxAmount": money(line.tax),
        "Tracking": line.tracking,
        "ValidationErrors": [],
    }
    if line.item_code:
        shown["ItemCode"] = line.item_code
    if line.account:
        shown |= {"AccountID": line.account.id}
        if line.account.code:
            shown["AccountCode"] = line.account.code
    if line.discount_rate is not None:
        shown["DiscountRate"] = line.discount_rate
    if line.discount_amount is not None:
        shown["DiscountAmount"] = line.discount_amount
    return shown
