"""Documents to Xero bodies. Pure: the same document gives the same bytes."""

import re
from collections.abc import Mapping

from core.accounting.xero.amounts import amount
from core.accounting.xero.client import is_guid
from core.accounting.xero.names import (
    contact_name,
    contact_number,
    payee_name,
    payee_number,
    usable_email,
    usable_phone,
)
from core.accounting.xero.schemas import (
    AccountRef,
    ContactBody,
    ContactRef,
    CreditNoteBody,
    CreditNoteRef,
    InvoiceBody,
    InvoiceRef,
    LineItem,
    PaymentBody,
    Phone,
    RepaymentBody,
)
from core.accounting.xero.taxes import Sold, has_no_tax, line_tax
from core.books.documents import CreditNote, Customer, Invoice, Payee, Payment, Repayment, SaleLine
from core.errors import StopError
from core.reasons import Reason

MAX_DESCRIPTION = 4000
MAX_REFERENCE = 255
MAX_PAYMENT_REFERENCE = 100
"""Xero names no limit for a payment's reference; bank statement lines show about this much."""

# Line ends and tabs are text; the rest of the control characters is refused.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def contact_body(customer: Customer, *, revision: int) -> ContactBody:
    """Return the client under the ``revision``-th candidate name."""
    phone = usable_phone(customer.phone)
    return ContactBody(
        name=contact_name(customer, revision),
        contact_number=contact_number(customer),
        email_address=usable_email(customer.email),
        phones=(Phone(phone_type="DEFAULT", phone_number=phone),) if phone else (),
    )


def payee_body(payee: Payee, *, revision: int) -> ContactBody:
    """Return who takes the fees under the ``revision``-th candidate name."""
    return ContactBody(name=payee_name(payee, revision), contact_number=payee_number(payee))


def invoice_body(invoice: Invoice, ids: Mapping[str, str], *, untaxed_type: str) -> InvoiceBody:
    """Return the sale, one line per line of the document, due on the day on which it was paid.

    The currency is always named: left out, a contact with a currency of its own would decide it. A rate never is: Xero
    then takes that of the invoice's day, and which way round ``CurrencyRate`` counts is not settled.
    """
    return InvoiceBody(
        type="ACCREC",
        status="AUTHORISED",
        contact=ContactRef(contact_id=needed(ids, invoice.customer_step)),
        date=invoice.date.isoformat(),
        due_date=invoice.date.isoformat(),
        line_amount_types="NoTax" if has_no_tax(invoice) else "Inclusive",
        currency_code=invoice.currency.upper(),
        invoice_number=invoice.reference,
        reference=clean_text(invoice.memo)[:MAX_REFERENCE],
        line_items=sale_lines(invoice, untaxed_type=untaxed_type),
    )


def credit_note_body(note: CreditNote, ids: Mapping[str, str], *, untaxed_type: str) -> CreditNoteBody:
    """Return what is taken back from a sale, written as the sale was."""
    return CreditNoteBody(
        type="ACCRECCREDIT",
        status="AUTHORISED",
        contact=ContactRef(contact_id=needed(ids, note.customer_step)),
        date=note.date.isoformat(),
        line_amount_types="NoTax" if has_no_tax(note) else "Inclusive",
        currency_code=note.currency.upper(),
        credit_note_number=note.reference,
        reference=clean_text(note.memo)[:MAX_REFERENCE],
        line_items=sale_lines(note, untaxed_type=untaxed_type),
    )


def paid_body(document: Payment | Repayment, ids: Mapping[str, str]) -> PaymentBody | RepaymentBody:
    """Return the money of an invoice or of a credit note."""
    return payment_body(document, ids) if isinstance(document, Payment) else repayment_body(document, ids)


def payment_body(payment: Payment, ids: Mapping[str, str]) -> PaymentBody:
    """Return the money of one invoice; of a foreign one also what it came to on the account, to the cent."""
    settled, home = payment.home_minor, payment.home_currency
    return PaymentBody(
        invoice=InvoiceRef(invoice_id=needed(ids, payment.invoice_step)),
        account=AccountRef(account_id=guid(payment.clearing_account_id)),
        date=payment.date.isoformat(),
        amount=amount(payment.amount_minor, payment.currency),
        reference=_said(payment),
        bank_amount=amount(settled, home) if settled is not None and home is not None else None,
    )


def repayment_body(repayment: Repayment, ids: Mapping[str, str]) -> RepaymentBody:
    """Return the money of one credit note."""
    return RepaymentBody(
        credit_note=CreditNoteRef(credit_note_id=needed(ids, repayment.credit_note_step)),
        account=AccountRef(account_id=guid(repayment.account.external_id)),
        date=repayment.date.isoformat(),
        amount=amount(repayment.amount_minor, repayment.currency),
        reference=_said(repayment),
    )


def sale_lines(document: Sold, *, untaxed_type: str) -> tuple[LineItem, ...]:
    """Return the lines of a sale or credit note, one per line of the document."""
    return tuple(_line(line, document, untaxed_type) for line in document.lines)


def clean_text(text: str) -> str:
    """Return ``text`` without control characters and lone surrogates."""
    return _CONTROL.sub(" ", text).strip()


def described(*candidates: str) -> str:
    """Return the first text that says something: an empty description is refused."""
    return next(text for candidate in candidates if (text := clean_text(candidate)[:MAX_DESCRIPTION].strip()))


def needed(ids: Mapping[str, str], step: str) -> str:
    """Return the id of an object that must stand in the books before; its absence is a mistake of ours."""
    if step not in ids:
        raise StopError(Reason.OUR_FAULT, {"missing_step": step})
    return guid(ids[step])


def guid(external_id: str) -> str:
    """Return the id, after a look at it (I4)."""
    if not is_guid(external_id):
        raise StopError(Reason.OUR_FAULT, {"malformed_id": external_id[:40]})
    return external_id


def _said(paid: Payment | Repayment) -> str:
    """The reference leads, so that Stripe's ids may be cut off, never it."""
    return f"{paid.reference} {clean_text(paid.memo)}".strip()[:MAX_PAYMENT_REFERENCE].strip()


def _line(line: SaleLine, document: Sold, untaxed_type: str) -> LineItem:
    tax = line_tax(line, document, untaxed_type=untaxed_type)
    return LineItem(
        description=described(line.description, line.service_name, "Sale"),
        quantity=1,
        unit_amount=amount(line.amount_minor + line.tax_minor, document.currency),
        # Xero's guides ask for the code, which a bank account may lack and a person may change; its file knows both.
        account_code=line.income_account_number,
        account_id=guid(line.income_account_id),
        tax_type=tax.tax_type,
        tax_amount=tax.tax_amount,
    )
