"""What QuickBooks answers for one object: the stored fields plus everything the server adds."""

from copy import deepcopy
from decimal import Decimal
from typing import Any

from web.sandbox.quickbooks.amounts import from_cents, number, pacific, times
from web.sandbox.quickbooks.company import Company, Deletion, Fields, Record
from web.sandbox.quickbooks.fields import BY_PATH
from web.sandbox.quickbooks.ledger import CLASSIFICATIONS
from web.sandbox.quickbooks.seed import CURRENCIES

_REFERS_TO = {
    "CustomerRef": "Customer",
    "ItemRef": "Item",
    "AccountRef": "Account",
    "DepositToAccountRef": "Account",
    "IncomeAccountRef": "Account",
    "ExpenseAccountRef": "Account",
    "FromAccountRef": "Account",
    "ToAccountRef": "Account",
    "ItemAccountRef": "Account",
    "DiscountAccountRef": "Account",
    "PaymentMethodRef": "PaymentMethod",
}
_SALES = ("Invoice", "SalesReceipt", "RefundReceipt", "CreditMemo")
_SCOPE = "javax.xml.bind.JAXBElement$GlobalScope"


def render(company: Company, record: Record) -> Fields:
    """Return the full object as a POST, a GET and a query answer it."""
    body: Fields = {
        "domain": "QBO",
        "sparse": False,
        "Id": record.id,
        "SyncToken": str(record.sync_token),
        "MetaData": {"CreateTime": pacific(record.created), "LastUpdatedTime": pacific(record.updated)},
        **deepcopy(record.fields),
    }
    match record.entity:
        case "Account":
            _account(company, record, body)
        case "Customer" | "Vendor":
            _person(company, record, body)
        case "Item":
            body |= {"FullyQualifiedName": body["Name"], "TrackQtyOnHand": False, "CustomExtensions": []}
        case "Payment":
            _payment(company, record, body)
        case "Deposit" | "Purchase" | "JournalEntry":
            body |= {"TotalAmt": from_cents(record.built.total), "CustomField": body.get("CustomField", [])}
            body |= deepcopy(record.built.answer)
        case entity if entity in _SALES:
            _sale(company, record, body)
    if "CurrencyRef" in body:
        _name_currency(company, record, body)
    _name_references(company, body)
    return body


def render_deleted(deletion: Deletion, *, with_time: bool = False) -> Fields:
    body: Fields = {"domain": "QBO", "status": "Deleted", "Id": deletion.id}
    if with_time:
        body["MetaData"] = {"LastUpdatedTime": pacific(deletion.at)}
    return body


def _account(company: Company, record: Record, body: Fields) -> None:
    classification = CLASSIFICATIONS[body["AccountType"]]
    # Balances are shown the way each kind of account normally stands: debit positive for assets and expenses.
    sign = 1 if classification in ("Asset", "Expense") else -1
    shown = classification in ("Asset", "Liability", "Equity")
    balance = from_cents(sign * company.ledger.account_balance(record.id)) if shown else 0
    body |= {
        "SubAccount": False,
        "FullyQualifiedName": body["Name"],
        "Classification": classification,
        "CurrentBalance": balance,
        "CurrentBalanceWithSubAccounts": balance,
    }


def _person(company: Company, record: Record, body: Fields) -> None:
    name = body["DisplayName"]
    body |= {"FullyQualifiedName": name, "PrintOnCheckName": body.get("PrintOnCheckName", name)}
    body["Balance"] = from_cents(company.ledger.customer_balance(record.id)) if record.entity == "Customer" else 0
    if record.entity == "Customer":
        body |= {"BalanceWithJobs": body["Balance"], "Job": False, "BillWithParent": False, "IsProject": False}
        body.setdefault("PreferredDeliveryMethod", "Print")
        if company.is_us:
            body.setdefault("DefaultTaxCodeRef", {"value": "2"})


def _payment(company: Company, record: Record, body: Fields) -> None:
    body.setdefault("ProcessPayment", False)
    body |= {"UnappliedAmt": record.built.answer["UnappliedAmt"], "LinkedTxn": [], "CustomField": []}
    deposit = company.deposited.get(record.id)
    if deposit:
        body["LinkedTxn"] = [{"TxnId": deposit, "TxnType": "Deposit"}]
    for line in body.get("Line", []):
        line["LineEx"] = _line_ex(company, line)


def _line_ex(company: Company, line: Fields) -> Fields:
    """Noise that comes back with every payment line and must never be sent."""
    link = line["LinkedTxn"][0]
    target = company.find(link["TxnType"], link["TxnId"])
    pairs = {"txnId": link["TxnId"], "txnOpenBalance": str(line["Amount"])}
    if target is not None and target.fields.get("DocNumber"):
        pairs["txnReferenceNumber"] = target.fields["DocNumber"]
    return {"any": [_any_element(name, value) for name, value in pairs.items()]}


def _any_element(name: str, value: str) -> Fields:
    return {
        "name": "{http://schema.intuit.com/finance/v3}NameValue",
        "declaredType": "com.intuit.schema.finance.v3.NameValue",
        "scope": _SCOPE,
        "value": {"Name": name, "Value": value},
        "nil": False,
        "globalScope": True,
        "typeSubstituted": False,
    }


def _sale(company: Company, record: Record, body: Fields) -> None:
    built = record.built
    total = from_cents(built.total)
    body |= {
        "TotalAmt": total,
        "CustomField": body.get("CustomField", []),
        "TxnTaxDetail": deepcopy(built.answer["TxnTaxDetail"]),
    }
    body.setdefault("ApplyTaxAfterDiscount", False)
    body.setdefault("PrintStatus", "NeedToPrint")
    body.setdefault("EmailStatus", "NotSet")
    body["LinkedTxn"] = _links(company, record)
    if "ExchangeRate" in body:
        body["HomeTotalAmt"] = from_cents(built.home_total)
    for line in body["Line"]:
        _sale_line(company, record, line)
    body["Line"].append(
        {"Amount": built.answer["SubTotal"], "DetailType": "SubTotalLineDetail", "SubTotalLineDetail": {}}
    )
    open_amount = from_cents(company.open_balance(record))
    if record.entity == "Invoice":
        body["Balance"] = open_amount
        body.setdefault("FreeFormAddress", True)
        for flag in ("AllowIPNPayment", "AllowOnlinePayment", "AllowOnlineCreditCardPayment", "AllowOnlineACHPayment"):
            body.setdefault(flag, False)
    elif record.entity == "CreditMemo":
        body |= {"RemainingCredit": open_amount, "Balance": open_amount}
    else:
        body["Balance"] = 0


def _sale_line(company: Company, record: Record, line: Fields) -> None:
    detail = line.get("SalesItemLineDetail")
    if detail is None:
        return
    line["CustomExtensions"] = []
    account = record.built.answer["ItemAccounts"].get(line["LineNum"])
    if account:
        detail["ItemAccountRef"] = {"value": account}
    net = record.built.answer.get("Net", {}).get(line["LineNum"])
    if net is not None and record.fields.get("GlobalTaxCalculation") == "TaxInclusive":
        line["Amount"] = from_cents(net)
        detail.setdefault("TaxInclusiveAmt", from_cents(net + _line_tax(company, detail, net)))


def _line_tax(company: Company, detail: Fields, net: int) -> int:
    code = company.find("TaxCode", (detail.get("TaxCodeRef") or {}).get("value", ""))
    rates = code.fields["SalesTaxRateList"]["TaxRateDetail"] if code else []
    percent = sum(
        (number(company.records["TaxRate"][r["TaxRateRef"]["value"]].fields["RateValue"]) for r in rates), Decimal(0)
    )
    return times(net, percent / 100)


def _links(company: Company, record: Record) -> list[Fields]:
    links = [{"TxnId": payment, "TxnType": "Payment"} for payment in company.applied[record.id]]
    deposit = company.deposited.get(record.id)
    return [*links, {"TxnId": deposit, "TxnType": "Deposit"}] if deposit else links


def _name_currency(company: Company, record: Record, body: Fields) -> None:
    if not company.behaviour.multicurrency and record.entity == "Item":
        del body["CurrencyRef"]
        return
    code = body["CurrencyRef"]["value"]
    body["CurrencyRef"] = {"value": code, "name": CURRENCIES.get(code, code)}


def _name_references(company: Company, value: Any) -> None:
    """Fill in the names beside the ids; a client's own name is never kept."""
    if isinstance(value, list):
        for item in value:
            _name_references(company, item)
    elif isinstance(value, dict):
        for key, inner in value.items():
            entity = _REFERS_TO.get(key)
            if entity is not None and isinstance(inner, dict):
                _name_one(company, entity, inner)
            elif key in ("EntityRef", "Entity") and isinstance(inner, dict) and "type" in inner:
                _name_one(company, BY_PATH.get(inner["type"].lower(), "Vendor"), inner)
            else:
                _name_references(company, inner)


def _name_one(company: Company, entity: str, ref: Fields) -> None:
    ref.pop("name", None)
    record = company.find(entity, ref.get("value", ""))
    if record is not None:
        ref["name"] = record.fields.get("DisplayName") or record.fields.get("Name")
