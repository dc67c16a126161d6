"""What one element of an answer says about one write: what stands, what was refused, or that nobody knows."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from core.accounting.port import Posted, PreparedWrite
from core.accounting.xero import answers
from core.accounting.xero.amounts import minor_units
from core.accounting.xero.client import is_guid
from core.accounting.xero.faults import refusal
from core.accounting.xero.freezing import (
    BANK_TRANSACTIONS,
    BANK_TRANSFERS,
    CONTACTS,
    CREDIT_NOTES,
    INVOICES,
    PAYMENTS,
    frozen,
)
from core.errors import OutcomeUnknownError

STANDING = ("AUTHORISED", "PAID")
"""Statuses in which a document is posted."""

SHAPES: Mapping[str, type[answers.Row]] = {
    CONTACTS: answers.Contact,
    INVOICES: answers.Invoice,
    PAYMENTS: answers.Payment,
    CREDIT_NOTES: answers.CreditNote,
    BANK_TRANSACTIONS: answers.BankTransaction,
    BANK_TRANSFERS: answers.BankTransfer,
}


def posted_by(write: PreparedWrite, row: answers.Row, *, home_currency: str, request_id: str | None) -> Posted:
    """Return what the element says was written.

    Both halves are needed: no word of a refusal, and an id of its own. Xero has been seen to answer either alone.

    Raises:
        ProviderRejectedError: it was refused.
        OutcomeUnknownError: it is about something else, or says too little.
    """
    if row.is_refused:
        raise refusal(row.messages, request_id=request_id, status=200)
    if not is_guid(row.id):
        raise unclear("the answer has no id", request_id)
    if not _is_about(row, write):
        raise unclear("the answer is about another document", request_id)
    if not isinstance(row, answers.Contact) and row.status not in STANDING:
        raise unclear("the answer is about a draft", request_id)
    return posted(row, home_currency=home_currency, currency=write.currency, request_id=request_id)


def posted(
    row: answers.Row, *, home_currency: str, currency: str | None = None, request_id: str | None = None
) -> Posted:
    """Return what stands in the books, as an answer shows it; ``currency`` is what was sent, where it names none.

    Raises:
        OutcomeUnknownError: it has no total, or none of its currency.
    """
    named = currency or home_currency
    match row:
        case answers.Contact():
            return Posted(row.contact_id, row.name, None, None, None, None, request_id)
        case answers.Invoice() | answers.CreditNote():
            version, number = row.updated_date_utc_string, row.number
            return _money(row.id, number, version, row.total, row, named, request_id)
        case answers.Payment():
            parent = row.invoice or row.credit_note or answers.Invoice()
            paid = _money(row.id, row.reference, None, row.amount, parent, named, request_id)
            if row.bank_amount is None:
                return paid
            return replace(paid, home_minor=minor_units(row.bank_amount, home_currency))
        case answers.BankTransaction():
            return _money(row.id, row.reference, None, row.total, row, named, request_id)
        case answers.BankTransfer():
            return _money(row.id, row.reference, None, row.amount, answers.Invoice(), named, request_id)


def mark(row: answers.Row) -> str:
    """Return by what an element is told from the others of its call; the same for what was sent and what came back."""
    match row:
        case answers.Contact():
            return row.contact_number or ""
        case answers.Invoice() | answers.CreditNote():
            return row.number or ""
        case answers.Payment():
            return f"{row.document_id.lower()} {_plain(row.amount)}" if row.document_id else ""
        case answers.BankTransaction() | answers.BankTransfer():
            return row.reference or ""


def mark_of(write: PreparedWrite) -> str:
    """Return the mark of the one element that was frozen."""
    return mark(frozen(write).only)


def unclear(text: str, request_id: str | None = None) -> OutcomeUnknownError:
    """Return the doubt that an answer leaves."""
    return OutcomeUnknownError(text, answered=True, request_id=request_id, status=200)


def _is_about(row: answers.Row, write: PreparedWrite) -> bool:
    found = mark(row)
    # A contact that was found rather than made may have no number of ours.
    return found == mark_of(write) or (isinstance(row, answers.Contact) and not found)


def _plain(value: Decimal | None) -> str:
    return "" if value is None else f"{value.normalize():f}"


def _money(
    external_id: str,
    number: str | None,
    version: str | None,
    total: Decimal | None,
    of: answers.Sold | answers.BankTransaction,
    named: str,
    request_id: str | None,
) -> Posted:
    currency = (of.currency_code or named).upper()
    if total is None:
        raise unclear("the answer has no total", request_id)
    return Posted(
        external_id=external_id,
        number=number,
        version=version,
        total_minor=minor_units(total, currency),
        currency=currency,
        party_id=of.contact.contact_id if of.contact else None,
        request_id=request_id,
    )
