"""Accounts and items: what an app may make or change of the organisation's lists."""

from web.sandbox.xero.call import Call
from web.sandbox.xero.errors import Invalid
from web.sandbox.xero.records import Account, Item, Json


def write_account(call: Call, sent: Json, target: Account | None, *, creates_only: bool) -> Account:
    if target is None:
        return _new_account(call, sent)
    if sent.get("Status") == "ARCHIVED":
        return archive(call, target)
    if target.system:
        raise Invalid("System accounts cannot be changed.")
    _check_account(call, sent, target)
    target.code = sent.get("Code", target.code)
    target.name = sent.get("Name", target.name)
    target.tax_type = sent.get("TaxType", target.tax_type)
    target.takes_payments = sent.get("EnablePaymentsToAccount", target.takes_payments)
    target.description = sent.get("Description", target.description)
    target.status = sent.get("Status", target.status)
    call.touch(target)
    return target


def archive(call: Call, account: Account) -> Account:
    if account.system:
        raise Invalid("System accounts cannot be archived.")
    account.status = "ARCHIVED"
    call.touch(account)
    return account


def _new_account(call: Call, sent: Json) -> Account:
    for name in ("Name", "Type"):
        if name not in sent:
            message = f"{name} must be specified."
            raise Invalid(message)
    is_bank = sent["Type"] == "BANK"
    if not is_bank and not sent.get("Code"):
        raise Invalid("Code must be specified.")
    if is_bank and not sent.get("BankAccountNumber"):
        raise Invalid("A bank account number must be specified for a bank account.")
    _check_account(call, sent, None)
    organisation = call.organisation
    currency = sent.get("CurrencyCode", organisation.currency if is_bank else "")
    if currency:
        organisation.check_currency(currency)
    made = Account(
        id=call.new_id(),
        created=call.now,
        updated=call.now,
        by_app=call.by_app,
        code=sent.get("Code", ""),
        name=sent["Name"],
        type=sent["Type"],
        tax_type=sent.get("TaxType", _no_tax(call)),
        currency=currency if is_bank else "",
        takes_payments=bool(sent.get("EnablePaymentsToAccount", False)),
        bank_number=sent.get("BankAccountNumber", ""),
        bank_type=sent.get("BankAccountType", "BANK"),
        description=sent.get("Description", ""),
    )
    organisation.accounts[made.id] = made
    return made


def _no_tax(call: Call) -> str:
    return "NONE" if call.organisation.tax_rate("NONE") else "BASEXCLUDED"


def _check_account(call: Call, sent: Json, own: Account | None) -> None:
    others = [account for account in call.organisation.accounts.values() if account is not own]
    name, code = sent.get("Name"), sent.get("Code")
    if name is not None and any(account.name.casefold() == name.casefold() for account in others):
        raise Invalid("Please enter a unique Name.")
    if code and any(account.code == code for account in others):
        raise Invalid("Please enter a unique Code.")
    tax_type = sent.get("TaxType")
    if tax_type is not None and call.organisation.tax_rate(tax_type) is None:
        message = f"The TaxType code '{tax_type}' does not exist."
        raise Invalid(message)


def write_item(call: Call, sent: Json, target: Item | None, *, creates_only: bool) -> Item:
    items = call.organisation.items
    found = target or items.get(str(sent.get("ItemID", "")).lower())
    twin = next((item for item in items.values() if item.code == sent.get("Code") and item is not found), None)
    if twin is not None and (creates_only or found is not None):
        message = f"Price List Item with Code ''{twin.code}'' already exists"
        raise Invalid(message)
    found = found or twin
    if found is None and not sent.get("Code"):
        raise Invalid("Code must be specified.")
    for details in ("SalesDetails", "PurchaseDetails"):
        code = sent.get(details, {}).get("AccountCode")
        if code and call.organisation.account_by_code(code) is None:
            message = f"Account code '{code}' is not a valid code for this item."
            raise Invalid(message)
    if found is None:
        found = Item(id=call.new_id(), created=call.now, updated=call.now, by_app=call.by_app, fields={})
        items[found.id] = found
    found.fields = {**found.fields, **{key: value for key, value in sent.items() if key != "ItemID"}}
    call.touch(found)
    return found
