"""Documents and movements of money in Xero's words."""

from datetime import date
from typing import Any

from web.sandbox.xero import contacts, sales
from web.sandbox.xero.amounts import day_text, money, ms_day, ms_time, rounded, time_text
from web.sandbox.xero.call import Call
from web.sandbox.xero.errors import validation_errors
from web.sandbox.xero.lines import render_line
from web.sandbox.xero.records import (
    Account,
    Allocation,
    BankTransaction,
    BankTransfer,
    Document,
    Journal,
    Json,
    Payment,
)
from web.sandbox.xero.settling import TYPES


def _day(name: str, day: date) -> Json:
    return {f"{name}String": day_text(day), name: ms_day(day)}


def account_ref(record: Account) -> Json:
    ref = {"AccountID": record.id, "Name": record.name}
    return ref | ({"Code": record.code} if record.code else {})


def document(call: Call, record: Document, full: bool = True) -> Json:
    """``full`` is false in lists without a page: Xero leaves out the lines there."""
    books = call.organisation
    is_invoice = record.entity == "Invoice"
    shown: Json = {
        "Type": record.type,
        sales.ID_KEY[record.entity]: record.id,
        sales.NUMBER_KEY[record.entity]: record.number,
        "Reference": "",
        **{key: value for key, value in record.extra.items() if not key.endswith("Date")},
        "Payments": [_payment_of_document(books.payments[key], call) for key in record.paid] if full else [],
        "CurrencyRate": sales.shown_rate(books, record.rate),
        "HasErrors": False,
        "HasAttachments": False,
        "Contact": contacts.render(record.contact) if full else contacts.render_short(record.contact),
        **_day("Date", record.day),
        "Status": record.status,
        "LineAmountTypes": record.mode,
        "LineItems": [render_line(line, call.unit_places) for line in record.lines] if full else [],
        "SubTotal": money(record.subtotal),
        "TotalTax": money(record.tax),
        "Total": money(record.total),
        "UpdatedDateUTC": ms_time(record.updated),
        "UpdatedDateUTCString": time_text(record.updated),
        "CurrencyCode": record.currency,
    }
    if record.due is not None:
        shown |= _day("DueDate", record.due)
    if record.paid_on is not None and record.status == "PAID":
        shown["FullyPaidOnDate"] = ms_day(record.paid_on)
    if record.warnings:
        shown["Warnings"] = validation_errors(record.warnings)
    return shown | (_invoice_sums(call, record) if is_invoice else _credit_sums(call, record))


def _invoice_sums(call: Call, record: Document) -> Json:
    is_live = record.status in ("AUTHORISED", "PAID", "DRAFT", "SUBMITTED")
    return {
        "Prepayments": [],
        "Overpayments": [],
        "CreditNotes": [
            {
                "CreditNoteID": made.note.id,
                "CreditNoteNumber": made.note.number,
                "AppliedAmount": money(made.cents),
                **_day("Date", made.day),
            }
            for made in (call.organisation.allocations[key] for key in record.credited)
        ],
        "AmountDue": money(record.open if is_live else 0),
        "AmountPaid": money(sum(part.cents for part in record.paid.values())),
        "AmountCredited": money(sum(part.cents for part in record.credited.values())),
        "SentToContact": bool(record.extra.get("SentToContact", False)),
        "IsDiscounted": any(line.discount_rate or line.discount_amount for line in record.lines),
    }


def _credit_sums(call: Call, record: Document) -> Json:
    is_live = record.status not in ("VOIDED", "DELETED")
    allocations = [call.organisation.allocations[key] for key in record.credited]
    return {
        "ID": record.id,
        "RemainingCredit": money(record.open if is_live else 0),
        "Allocations": [allocation(made) for made in allocations],
    }


def allocation(made: Allocation) -> Json:
    return {
        "AllocationID": made.id,
        "Amount": money(made.cents),
        "Date": ms_day(made.day),
        "Invoice": {"InvoiceID": made.invoice.id, "InvoiceNumber": made.invoice.number},
        "CreditNote": {"CreditNoteID": made.note.id, "CreditNoteNumber": made.note.number},
        "IsDeleted": False,
    }


def _payment_of_document(record: Payment, call: Call) -> Json:
    return {
        "PaymentID": record.id,
        "Date": ms_day(record.day),
        "Amount": money(record.cents),
        "Reference": record.reference,
        "CurrencyRate": sales.shown_rate(call.organisation, record.rate),
        "HasAccount": False,
        "HasValidationErrors": False,
    }


def payment(call: Call, record: Payment, full: bool = True) -> Json:
    return {
        "PaymentID": record.id,
        "Date": ms_day(record.day),
        "BankAmount": money(record.bank_cents),
        "Amount": money(record.cents),
        "Reference": record.reference,
        "CurrencyRate": sales.shown_rate(call.organisation, record.rate),
        "PaymentType": TYPES[record.document.type],
        "Status": record.status,
        "UpdatedDateUTC": ms_time(record.updated),
        "UpdatedDateUTCString": time_text(record.updated),
        "HasAccount": True,
        "IsReconciled": record.is_reconciled,
        "Account": account_ref(record.account),
        "Invoice": _paid_document(record.document),
        "HasValidationErrors": False,
    }


def _paid_document(record: Document) -> Json:
    """A refunded credit note stands under ``Invoice``, too; that is how Xero shows it."""
    is_invoice = record.entity == "Invoice"
    paid = sum(part.cents for part in record.paid.values())
    return {
        "Type": record.type,
        "InvoiceID": record.id,
        "InvoiceNumber": record.number,
        "Reference": record.reference,
        "Payments": [],
        "CreditNotes": [],
        "Prepayments": [],
        "Overpayments": [],
        "AmountDue": money(record.open if is_invoice else 0),
        "AmountPaid": money(paid if is_invoice else 0),
        "IsDiscounted": False,
        "HasErrors": False,
        "Contact": contacts.render_short(record.contact),
        "LineItems": [],
        "Status": record.status,
        "Total": money(record.total),
        "CurrencyCode": record.currency,
    }


def bank_transaction(call: Call, record: BankTransaction, full: bool = True) -> Json:
    return {
        "BankTransactionID": record.id,
        "BankAccount": account_ref(record.account),
        "Type": record.type,
        "Reference": "",
        **record.extra,
        "IsReconciled": record.is_reconciled,
        "HasAttachments": False,
        "CurrencyRate": sales.shown_rate(call.organisation, record.rate),
        "Contact": contacts.render(record.contact) if full else contacts.render_short(record.contact),
        **_day("Date", record.day),
        "Status": record.status,
        "LineAmountTypes": record.mode,
        "LineItems": [render_line(line, call.unit_places) for line in record.lines] if full else [],
        "SubTotal": money(record.subtotal),
        "TotalTax": money(record.tax),
        "Total": money(record.total),
        "UpdatedDateUTC": ms_time(record.updated),
        "CurrencyCode": record.currency,
    }


def bank_transfer(call: Call, record: BankTransfer, full: bool = True) -> Json:
    return {
        "BankTransferID": record.id,
        "CreatedDateUTCString": time_text(record.created),
        "CreatedDateUTC": ms_time(record.created),
        **_day("Date", record.day),
        "Status": record.status,
        "FromBankAccount": account_ref(record.source),
        "ToBankAccount": account_ref(record.target),
        "Amount": money(record.cents),
        "FromBankTransactionID": record.source_transaction_id,
        "ToBankTransactionID": record.target_transaction_id,
        "FromIsReconciled": record.is_reconciled,
        "ToIsReconciled": record.is_reconciled,
        "Reference": record.reference,
        "CurrencyRate": rounded(call.organisation.day_rate(record.source.currency), 6),
        "HasAttachments": False,
    }


def journal(_: Call, record: Journal, full: bool = True) -> Json:
    lines: list[dict[str, Any]] = [
        {
            "Description": line.description,
            "TaxType": line.tax_type,
            "LineAmount": money(line.amount),
            "TaxAmount": money(line.tax),
            "AccountCode": line.account.code,
            "AccountID": line.account.id,
            "Tracking": [],
            "IsBlank": False,
        }
        for line in record.lines
    ]
    return {
        "ManualJournalID": record.id,
        "Narration": record.narration,
        "Date": ms_day(record.day),
        "Status": record.status,
        "LineAmountTypes": record.mode,
        "ShowOnCashBasisReports": False,
        **record.extra,
        "UpdatedDateUTC": ms_time(record.updated),
        "HasAttachments": False,
        "JournalLines": lines if full else [],
    }
