"""Invoice, SalesReceipt, RefundReceipt, CreditMemo: item lines, tax, totals, and what they post."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from web.sandbox.quickbooks import tax as tax_rules
from web.sandbox.quickbooks.amounts import from_cents, number, times, to_cents
from web.sandbox.quickbooks.common import (
    Draft,
    Exchange,
    deposit_account,
    money_account,
    receivable_account,
    set_currency,
    set_date,
    set_number,
)
from web.sandbox.quickbooks.company import Built, Company, Fields, Record
from web.sandbox.quickbooks.errors import Refused, business, missing
from web.sandbox.quickbooks.ledger import Posting

_DUE_DAYS = 30
_MAX_LINES = 10_000


@dataclass
class _Line:
    """One line that counts: its amount goes to an account."""

    taxable: tax_rules.TaxableLine
    account_id: str
    is_discount: bool = False

    @property
    def cents(self) -> int:
        return -self.taxable.net if self.is_discount else self.taxable.net


def build_sale(draft: Draft) -> Built:
    """Work out one of the four sales forms."""
    company, fields = draft.company, draft.fields
    customer = company.reference("Customer", fields, "CustomerRef")
    if customer is None and draft.entity != "RefundReceipt":
        raise missing("CustomerRef")
    set_date(draft)
    exchange = set_currency(draft, customer)
    set_number(draft)
    lines = _read_lines(company, fields, customer)
    tax = tax_rules.compute(company, fields, _tax_base(fields, lines))
    if not company.is_us and tax.detail:
        # What was worked out is stored: changing an amount later without a new TxnTaxDetail keeps the stale tax.
        fields["TxnTaxDetail"] = tax.detail
    total = sum(line.cents for line in lines) + tax.total
    if total < 0:
        raise business("Transaction amount must be 0 or greater.")
    if draft.entity == "Invoice":
        due = date.fromisoformat(fields["TxnDate"]) + timedelta(days=_DUE_DAYS)
        fields.setdefault("DueDate", due.isoformat())
    _copy_addresses(fields, customer)
    return _post(draft, exchange, customer, lines, tax, total)


def _read_lines(company: Company, fields: Fields, customer: Record | None) -> list[_Line]:
    if "Line" not in fields:
        raise missing("Line")
    sent = [line for line in fields["Line"] if line.get("DetailType") != "SubTotalLineDetail"]
    if not sent or len(sent) > _MAX_LINES:
        raise Refused("2250", "You must fill out at least one split line.", element="Line")
    stored: list[Fields] = []
    lines: list[_Line] = []
    for position, line in enumerate(sent, start=1):
        kept = {**line, "Id": line.get("Id") or str(position), "LineNum": position}
        match line.get("DetailType"):
            case "SalesItemLineDetail":
                read = _read_item_line(company, kept, customer)
            case "DiscountLineDetail":
                read = _read_discount(company, kept, sum(x.cents for x in lines))
            case "DescriptionOnly":
                read = None
            case None:
                raise missing("Line.DetailType")
            case other:
                raise Refused("2170", f"Invalid Enumeration : DetailType : {other}", element="DetailType")
        stored.append(kept if read else _text_line(kept))
        if read:
            lines.append(read)
    fields["Line"] = stored
    return lines


def _text_line(line: Fields) -> Fields:
    """A line without an item is a remark: whatever amount came with it does not count."""
    text: Fields = {key: line[key] for key in ("Id", "LineNum", "Description") if key in line}
    return {**text, "DetailType": "DescriptionOnly", "DescriptionLineDetail": {}}


def _read_item_line(company: Company, line: Fields, customer: Record | None) -> _Line | None:
    detail: Fields = dict(line.get("SalesItemLineDetail") or {})
    item = company.reference("Item", detail, "ItemRef")
    if item is None:
        return None
    if "Amount" not in line:
        raise missing("Line.Amount")
    cents = to_cents(line["Amount"])
    if "Qty" in detail and "UnitPrice" in detail:
        expected = times(1, number(detail["Qty"]) * number(detail["UnitPrice"]) * 100)
        if expected != cents:
            raise Refused(
                "6070", f"Amount is not equal to UnitPrice * Qty. Supplied value:{line['Amount']}", element="Amount"
            )
    account = item.fields.get("IncomeAccountRef")
    if not account:
        raise business(f"The item {item.fields['Name']} has no income account.")
    company.reference("Account", item.fields, "IncomeAccountRef")
    code = (detail.get("TaxCodeRef") or {}).get("value") or _default_code(company, item, customer)
    if code is not None:
        if company.is_us:
            tax_rules.check_us_code(code)
        detail["TaxCodeRef"] = {"value": code}
    line["SalesItemLineDetail"] = detail
    line["Amount"] = from_cents(cents)
    return _Line(tax_rules.TaxableLine(cents, code, line["LineNum"]), account["value"])


def _default_code(company: Company, item: Record, customer: Record | None) -> str | None:
    if not company.is_us:
        ref: dict[str, str] = item.fields.get("SalesTaxCodeRef") or {}
        return ref.get("value")
    customer_pays = customer is None or customer.fields.get("Taxable", True)
    return "TAX" if item.fields.get("Taxable") and customer_pays else "NON"


def _read_discount(company: Company, line: Fields, subtotal: int) -> _Line:
    if not company.behaviour.allow_discount:
        raise Refused("5030", "Feature Not Supported Error : discounts are turned off in this company")
    detail = dict(line.get("DiscountLineDetail") or {})
    if detail.get("PercentBased"):
        if "DiscountPercent" not in detail:
            raise Refused("6090", "A discount amount or percent is required.")
        cents = times(subtotal, number(detail["DiscountPercent"]) / tax_rules.HUNDRED)
    elif "Amount" in line:
        cents = to_cents(line["Amount"])
    else:
        raise Refused("6090", "A discount amount or percent is required.")
    account = company.reference("Account", detail, "DiscountAccountRef")
    account_id = account.id if account else company.account("discounts")
    detail["DiscountAccountRef"] = {"value": account_id}
    line |= {"Amount": from_cents(cents), "DiscountLineDetail": detail}
    return _Line(tax_rules.TaxableLine(cents, None), account_id, is_discount=True)


def _tax_base(fields: Fields, lines: list[_Line]) -> list[tax_rules.TaxableLine]:
    """The lines that tax is taken from; after-discount tax shrinks each in proportion."""
    items = [line.taxable for line in lines if not line.is_discount]
    discount = sum(line.taxable.net for line in lines if line.is_discount)
    subtotal = sum(item.net for item in items)
    if not fields.get("ApplyTaxAfterDiscount") or not discount or not subtotal:
        return items
    share = number(subtotal - discount) / number(subtotal)
    return [tax_rules.TaxableLine(times(item.net, share), item.code) for item in items]


def _copy_addresses(fields: Fields, customer: Record | None) -> None:
    for name in ("BillAddr", "ShipAddr"):
        if customer is not None and name not in fields and name in customer.fields:
            fields[name] = customer.fields[name]


def _post(
    draft: Draft, exchange: Exchange, customer: Record | None, lines: list[_Line], tax: tax_rules.Tax, total: int
) -> Built:
    legs = [Posting(line.account_id, -exchange.home(line.cents)) for line in lines]
    legs += [Posting(account, -exchange.home(cents)) for account, cents in tax.by_account.items()]
    home_total = -sum(leg.cents for leg in legs)
    match draft.entity:
        case "Invoice" | "CreditMemo":
            against = receivable_account(draft.company, exchange)
            who = customer.id if customer else ""
            legs.append(Posting(against, home_total, customer_id=who, foreign=total))
        case "SalesReceipt":
            legs.append(Posting(deposit_account(draft, exchange), home_total))
        case _:
            legs.append(Posting(money_account(draft, "DepositToAccountRef", exchange), home_total))
            _set_print_status(draft)
    if draft.entity in ("RefundReceipt", "CreditMemo"):
        legs = [Posting(leg.account_id, -leg.cents, leg.customer_id, -leg.foreign) for leg in legs]
    return Built(draft.fields, total, home_total, legs, answer=_answer(draft.company, lines, tax))


def _set_print_status(draft: Draft) -> None:
    """A refund from a bank account waits for the printer unless it is told not to."""
    fields = draft.fields
    kind = draft.company.account_type(fields["DepositToAccountRef"]["value"])
    if kind == "Bank" and fields.get("PrintStatus") != "NotSet":
        fields |= {"PrintStatus": "NeedToPrint", "PaymentRefNum": "To Print"}


def _answer(company: Company, lines: list[_Line], tax: tax_rules.Tax) -> Fields:
    subtotal = sum(line.cents for line in lines if not line.is_discount)
    extra: dict[str, Any] = {"TxnTaxDetail": tax.detail, "SubTotal": from_cents(subtotal)}
    extra["ItemAccounts"] = {line.taxable.number: line.account_id for line in lines if line.taxable.number}
    if not company.is_us:
        extra["Net"] = {line.taxable.number: line.taxable.net for line in lines if line.taxable.number}
    return extra
