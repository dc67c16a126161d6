"""Sales, their money and what they need, as QuickBooks bodies. Pure: the same document gives the same bytes."""

import re
from collections.abc import Mapping
from decimal import Decimal

from core.accounting.quickbooks.amounts import amount, settled_rate
from core.accounting.quickbooks.client import is_object_id
from core.accounting.quickbooks.names import customer_name, item_name, usable_email, usable_phone
from core.accounting.quickbooks.schemas import (
    CustomerBody,
    EmailAddress,
    InvoiceBody,
    ItemBody,
    LinkedTxn,
    PaymentBody,
    PaymentLine,
    PhoneNumber,
    Ref,
    RefundReceiptBody,
    SalesItemLineDetail,
    SalesLine,
    SalesReceiptBody,
)
from core.accounting.quickbooks.taxes import TaxParts, TaxProfile, sale_tax
from core.books.documents import (
    Customer,
    Invoice,
    Item,
    Payment,
    Refund,
    SaleLine,
    SalesReceipt,
)
from core.errors import StopError
from core.reasons import Reason

MAX_TEXT = 4000
"""Longest Description and PrivateNote."""

# Line ends and tabs are text; the rest of the control characters is refused (2040).
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def customer_body(customer: Customer, *, currency: Ref | None, revision: int) -> CustomerBody:
    """Return the client under the ``revision``-th candidate name."""
    email, phone = usable_email(customer.email), usable_phone(customer.phone)
    return CustomerBody(
        display_name=customer_name(customer, revision),
        primary_email_addr=EmailAddress(address=email) if email else None,
        primary_phone=PhoneNumber(free_form_number=phone) if phone else None,
        currency_ref=currency,
        notes=f"Stripe {customer.stripe_customer_id}" if customer.stripe_customer_id else None,
    )


def item_body(item: Item, *, revision: int) -> ItemBody:
    """Return the service item under the ``revision``-th candidate name. Every sale line says its own tax code."""
    return ItemBody(
        name=item_name(item, revision),
        type="Service",
        income_account_ref=object_ref(item.income_account_id),
        taxable=False,
    )


def invoice_body(invoice: Invoice, ids: Mapping[str, str], *, currency: Ref | None, taxes: TaxProfile) -> InvoiceBody:
    """Return the sale, one line per line of the document, due on the day on which it was paid."""
    parts = sale_tax(invoice, taxes)
    return InvoiceBody(
        customer_ref=needed(ids, invoice.customer_step),
        txn_date=invoice.date.isoformat(),
        due_date=invoice.date.isoformat(),
        doc_number=invoice.reference,
        private_note=note(invoice.memo, invoice.reference),
        allow_online_credit_card_payment=False,
        allow_online_ach_payment=False,
        line=_sales_lines(invoice, ids, parts),
        currency_ref=currency,
        exchange_rate=Decimal(invoice.exchange_rate) if invoice.exchange_rate else None,
        global_tax_calculation=parts.calculation,
        txn_tax_detail=parts.detail,
    )


def sales_receipt_body(
    receipt: SalesReceipt, ids: Mapping[str, str], *, currency: Ref | None, taxes: TaxProfile
) -> SalesReceiptBody:
    """Return the sale with its money, on the account that the document names."""
    parts = sale_tax(receipt, taxes)
    return SalesReceiptBody(
        customer_ref=needed(ids, receipt.customer_step),
        txn_date=receipt.date.isoformat(),
        doc_number=receipt.reference,
        payment_ref_num=receipt.reference,
        deposit_to_account_ref=object_ref(receipt.account.external_id),
        private_note=note(receipt.memo, receipt.reference),
        line=_sales_lines(receipt, ids, parts),
        currency_ref=currency,
        global_tax_calculation=parts.calculation,
        txn_tax_detail=parts.detail,
    )


def refund_body(
    refund: Refund, ids: Mapping[str, str], *, currency: Ref | None, taxes: TaxProfile
) -> RefundReceiptBody:
    """Return what a client gets back: what was sold, with amounts that are taken back, and where the money leaves."""
    parts = sale_tax(refund, taxes)
    return RefundReceiptBody(
        customer_ref=needed(ids, refund.customer_step),
        txn_date=refund.date.isoformat(),
        doc_number=refund.reference,
        payment_ref_num=refund.reference,
        print_status="NotSet",
        deposit_to_account_ref=object_ref(refund.account.external_id),
        private_note=note(refund.memo, refund.reference),
        line=_sales_lines(refund, ids, parts),
        currency_ref=currency,
        global_tax_calculation=parts.calculation,
        txn_tax_detail=parts.detail,
    )


def payment_body(payment: Payment, ids: Mapping[str, str], *, currency: Ref | None) -> PaymentBody:
    """Return the money of one invoice, applied to it whole."""
    value = amount(payment.amount_minor, payment.currency)
    invoice_id = needed(ids, payment.invoice_step).value
    return PaymentBody(
        customer_ref=needed(ids, payment.customer_step),
        total_amt=value,
        txn_date=payment.date.isoformat(),
        payment_ref_num=payment.reference,
        deposit_to_account_ref=object_ref(payment.clearing_account_id),
        private_note=note(payment.memo, payment.reference),
        line=(PaymentLine(amount=value, linked_txn=(LinkedTxn(txn_id=invoice_id, txn_type="Invoice"),)),),
        currency_ref=currency,
        exchange_rate=settled_rate(payment),
    )


def item_for(line: SaleLine) -> Item:
    """Return the item that a sale line needs: QuickBooks hangs the income account on it."""
    return Item(service_id=line.service_id, name=line.service_name, income_account_id=line.income_account_id)


def note(memo: str, reference: str) -> str:
    """Return the internal note. It always holds the reference, so that a renumbered document is still found."""
    cleaned = clean_text(memo)
    if reference in cleaned[:MAX_TEXT]:
        return cleaned[:MAX_TEXT]
    return f"{cleaned[: MAX_TEXT - len(reference) - 3]} | {reference}" if cleaned else reference


def clean_text(text: str) -> str:
    """Return ``text`` without control characters and lone surrogates."""
    return _CONTROL.sub(" ", text).strip()


def needed(ids: Mapping[str, str], step: str) -> Ref:
    """Return the reference to an object that must stand in the books before; its absence is a mistake of ours."""
    if step not in ids:
        raise StopError(Reason.OUR_FAULT, {"missing_step": step})
    return object_ref(ids[step])


def object_ref(external_id: str) -> Ref:
    """Return a reference, after a look at the id (I4)."""
    if not is_object_id(external_id):
        raise StopError(Reason.OUR_FAULT, {"malformed_id": external_id[:40]})
    return Ref(external_id)


def _sales_lines(
    document: Invoice | SalesReceipt | Refund, ids: Mapping[str, str], parts: TaxParts
) -> tuple[SalesLine, ...]:
    return tuple(
        _sales_line(line, document.currency, needed(ids, item_for(line).step), tax_code)
        for line, tax_code in zip(document.lines, parts.line_refs, strict=True)
    )


def _sales_line(line: SaleLine, currency: str, item: Ref, tax_code: Ref | None) -> SalesLine:
    value = amount(line.amount_minor, currency)
    return SalesLine(
        amount=value,
        detail_type="SalesItemLineDetail",
        sales_item_line_detail=SalesItemLineDetail(item_ref=item, qty=1, unit_price=value, tax_code_ref=tax_code),
        description=clean_text(line.description)[:MAX_TEXT] or None,
    )
