"""Which collections there are, who may touch them, and which query parameters each call knows."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from web.sandbox.xero import bank, contacts, journals, lists, render, render_lists, sales, settling
from web.sandbox.xero.call import Call
from web.sandbox.xero.organisation import Organisation
from web.sandbox.xero.records import Json

INVOICES = ("accounting.invoices", "accounting.transactions")
PAYMENTS = ("accounting.payments", "accounting.transactions")
BANKING = ("accounting.banktransactions", "accounting.transactions")
JOURNALS = ("accounting.manualjournals", "accounting.transactions")
CONTACTS = ("accounting.contacts",)
SETTINGS = ("accounting.settings",)
TRIAL_BALANCE = ("accounting.reports.trialbalance", "accounting.reports")

Write = Callable[..., Any]
Render = Callable[[Call, Any, bool], Json]


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


@dataclass(frozen=True)
class Endpoint:
    """One collection."""

    path: str
    element: str
    scopes: tuple[str, ...]
    records: Callable[[Organisation], Mapping[str, Any]]
    render: Render
    write: Write | None = None
    flag: str = ""
    """The key that says whether an element failed; none where Xero has none."""
    has_status_text: bool = True
    is_paged: bool = False
    omits_lines: bool = False
    """Lists without a page come without lines."""
    list_query: frozenset[str] = frozenset()
    put_query: frozenset[str] | None = None
    post_query: frozenset[str] | None = None
    post_one_query: frozenset[str] | None = None
    one_query: frozenset[str] = frozenset()
    has_history: bool = True
    number_of: Callable[[Any], str] | None = None
    """What a single read takes instead of the id."""
    quick: Callable[[Any], Json] = field(default=lambda _: {})
    """Properties that filters ask for most, without rendering the record."""
    optimised: frozenset[str] = frozenset()
    """At least one of them must be in a filter on a large organisation."""

    @property
    def id_key(self) -> str:
        return f"{self.element}ID"


def _contact(_: Call, record: Any, full: bool = True) -> Json:
    return contacts.render(record)


def _document_facts(record: Any) -> Json:
    entity = record.entity
    return {
        sales.ID_KEY[entity]: record.id,
        sales.NUMBER_KEY[entity]: record.number,
        "Reference": record.reference,
        "Type": record.type,
        "Status": record.status,
    }


def _payment_facts(record: Any) -> Json:
    return {
        "PaymentID": record.id,
        "Invoice.InvoiceID": record.document.id,
        "Reference": record.reference,
        "Status": record.status,
    }


_ENDPOINTS = (
    Endpoint(
        "Accounts",
        "Account",
        SETTINGS,
        lambda books: books.accounts,
        render_lists.account,
        lists.write_account,
        has_status_text=False,
        list_query=_names("where order"),
        put_query=frozenset(),
        post_one_query=frozenset(),
        has_history=False,
    ),
    Endpoint(
        "TaxRates",
        "TaxRate",
        SETTINGS,
        lambda books: books.tax_rates,
        render_lists.tax_rate,
        list_query=_names("where order"),
        has_history=False,
    ),
    Endpoint(
        "Contacts",
        "Contact",
        CONTACTS,
        lambda books: books.contacts,
        _contact,
        contacts.write,
        flag="HasValidationErrors",
        is_paged=True,
        list_query=_names("where order IDs page includeArchived summaryOnly searchTerm pageSize"),
        put_query=_names("summarizeErrors"),
        post_query=_names("summarizeErrors"),
        post_one_query=frozenset(),
        number_of=lambda record: record.number,
        quick=lambda record: {"ContactID": record.id, "Name": record.name, "ContactNumber": record.number},
        optimised=_names("Name EmailAddress AccountNumber ContactID ContactNumber"),
    ),
    Endpoint(
        "Items",
        "Item",
        ("accounting.invoices", "accounting.settings", "accounting.transactions"),
        lambda books: books.items,
        render_lists.item,
        lists.write_item,
        list_query=_names("where order unitdp"),
        put_query=_names("summarizeErrors unitdp"),
        post_query=_names("summarizeErrors unitdp"),
        post_one_query=_names("unitdp"),
        one_query=_names("unitdp"),
        number_of=lambda record: record.code,
    ),
    Endpoint(
        "Invoices",
        "Invoice",
        INVOICES,
        lambda books: books.invoices,
        render.document,
        lambda call, sent, target, *, creates_only: sales.write(
            call, "Invoice", sent, target, creates_only=creates_only
        ),
        flag="HasErrors",
        is_paged=True,
        omits_lines=True,
        list_query=_names(
            "where order IDs InvoiceNumbers ContactIDs Statuses page includeArchived createdByMyApp unitdp summaryOnly "
            "pageSize searchTerm"
        ),
        put_query=_names("summarizeErrors unitdp"),
        post_query=_names("summarizeErrors unitdp"),
        post_one_query=_names("unitdp"),
        one_query=_names("unitdp"),
        number_of=lambda record: record.number,
        quick=_document_facts,
        optimised=_names("Reference InvoiceNumber InvoiceID Status Type Date Contact.ContactID"),
    ),
    Endpoint(
        "CreditNotes",
        "CreditNote",
        INVOICES,
        lambda books: books.credit_notes,
        render.document,
        lambda call, sent, target, *, creates_only: sales.write(
            call, "CreditNote", sent, target, creates_only=creates_only
        ),
        flag="HasErrors",
        is_paged=True,
        omits_lines=True,
        list_query=_names("where order page unitdp pageSize"),
        put_query=_names("summarizeErrors unitdp"),
        post_query=_names("summarizeErrors unitdp"),
        post_one_query=_names("unitdp"),
        one_query=_names("unitdp"),
        number_of=lambda record: record.number,
        quick=_document_facts,
        optimised=_names("Reference CreditNoteNumber CreditNoteID Status Type Date Contact.ContactID"),
    ),
    Endpoint(
        "Payments",
        "Payment",
        PAYMENTS,
        lambda books: books.payments,
        render.payment,
        settling.write,
        flag="HasValidationErrors",
        is_paged=True,
        list_query=_names("where order page pageSize"),
        put_query=_names("summarizeErrors"),
        post_query=frozenset(),
        post_one_query=frozenset(),
        has_history=False,
        quick=_payment_facts,
        optimised=_names("PaymentType Invoice.InvoiceID PaymentID Status"),
    ),
    Endpoint(
        "BankTransactions",
        "BankTransaction",
        BANKING,
        lambda books: books.bank_transactions,
        render.bank_transaction,
        bank.write_transaction,
        is_paged=True,
        omits_lines=True,
        list_query=_names("where order page unitdp pageSize"),
        put_query=_names("summarizeErrors unitdp"),
        post_query=_names("summarizeErrors unitdp"),
        post_one_query=_names("unitdp"),
        one_query=_names("unitdp"),
        quick=lambda record: {"Reference": record.reference, "Type": record.type, "Status": record.status},
        optimised=_names("Type Status Date Contact.ContactID Reference BankTransactionID"),
    ),
    Endpoint(
        "BankTransfers",
        "BankTransfer",
        BANKING,
        lambda books: books.bank_transfers,
        render.bank_transfer,
        bank.write_transfer,
        has_status_text=False,
        list_query=_names("where order includeDeleted"),
        put_query=frozenset(),
        post_query=_names("summarizeErrors"),
        post_one_query=frozenset(),
        quick=lambda record: {"Reference": record.reference},
    ),
    Endpoint(
        "ManualJournals",
        "ManualJournal",
        JOURNALS,
        lambda books: books.journals,
        render.journal,
        journals.write,
        is_paged=True,
        omits_lines=True,
        list_query=_names("where order page pageSize"),
        put_query=_names("summarizeErrors"),
        post_query=_names("summarizeErrors"),
        post_one_query=frozenset(),
    ),
)
ENDPOINTS = {endpoint.path: endpoint for endpoint in _ENDPOINTS}
BY_ELEMENT = {endpoint.element.lower(): endpoint for endpoint in _ENDPOINTS}


def allows(granted: frozenset[str], wanted: tuple[str, ...], *, is_read: bool) -> bool:
    """A scope for writing includes reading; reports exist for reading only."""
    return any(scope in granted or (is_read and f"{scope}.read" in granted) for scope in wanted)
