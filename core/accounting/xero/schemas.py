"""Bodies that we send, in Xero's own field names. Field order is the order of the bytes, so it stays as it is."""

from decimal import Decimal
from typing import Literal

import msgspec


class _Body(msgspec.Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """Fields with a default are left out while they have it; what must always be sent has none."""


class ContactRef(_Body, frozen=True, kw_only=True):
    """A contact by its id alone: any further field would change the contact."""

    contact_id: str = msgspec.field(name="ContactID")


class InvoiceRef(_Body, frozen=True, kw_only=True):
    """An invoice by its id."""

    invoice_id: str = msgspec.field(name="InvoiceID")


class CreditNoteRef(_Body, frozen=True, kw_only=True):
    """A credit note by its id."""

    credit_note_id: str = msgspec.field(name="CreditNoteID")


class AccountRef(_Body, frozen=True, kw_only=True):
    """An account by its id: a bank account often has no code."""

    account_id: str = msgspec.field(name="AccountID")


class Phone(_Body, frozen=True, kw_only=True):
    """One number, as typed."""

    phone_type: Literal["DEFAULT"]
    phone_number: str


class ContactBody(_Body, frozen=True, kw_only=True):
    """A client. ``ContactNumber`` is ours: people cannot edit it, and it is unique."""

    name: str
    contact_number: str
    email_address: str | None = None
    phones: tuple[Phone, ...] = ()


class LineItem(_Body, frozen=True, kw_only=True):
    """One line. ``Quantity`` 1 makes the line amount the unit amount, to the cent."""

    description: str
    quantity: int
    unit_amount: Decimal
    account_code: str | None = None
    account_id: str = msgspec.field(name="AccountID")
    tax_type: str | None = None
    tax_amount: Decimal | None = None


class InvoiceBody(_Body, frozen=True, kw_only=True):
    """A sale. AUTHORISED, since only that is posted and can be paid."""

    type: Literal["ACCREC"]
    status: Literal["AUTHORISED"]
    contact: ContactRef
    date: str
    due_date: str
    line_amount_types: Literal["Inclusive", "NoTax"]
    currency_code: str
    invoice_number: str
    reference: str
    line_items: tuple[LineItem, ...]


class PaymentBody(_Body, frozen=True, kw_only=True):
    """Money arriving on an account, for one invoice."""

    invoice: InvoiceRef
    account: AccountRef
    date: str
    amount: Decimal
    reference: str
    bank_amount: Decimal | None = None


class CreditNoteBody(_Body, frozen=True, kw_only=True):
    """Money owed back to a client, or taken back from one. Its number is unique, as an invoice's."""

    type: Literal["ACCRECCREDIT"]
    status: Literal["AUTHORISED"]
    contact: ContactRef
    date: str
    line_amount_types: Literal["Inclusive", "NoTax"]
    currency_code: str
    credit_note_number: str
    reference: str
    line_items: tuple[LineItem, ...]


class RepaymentBody(_Body, frozen=True, kw_only=True):
    """Money leaving an account, for one credit note."""

    credit_note: CreditNoteRef
    account: AccountRef
    date: str
    amount: Decimal
    reference: str


class BankTransactionBody(_Body, frozen=True, kw_only=True):
    """Money spent from, or received on, a bank account without a document. Nothing of it is unique."""

    type: Literal["SPEND", "RECEIVE"]
    contact: ContactRef
    bank_account: AccountRef
    date: str
    reference: str
    currency_code: str
    line_amount_types: Literal["Inclusive", "NoTax"]
    line_items: tuple[LineItem, ...]


class BankTransferBody(_Body, frozen=True, kw_only=True):
    """Money from one bank account to another. Nothing of it is unique."""

    from_bank_account: AccountRef
    to_bank_account: AccountRef
    amount: Decimal
    date: str
    reference: str


class AccountBody(_Body, frozen=True, kw_only=True):
    """An account of the chart."""

    code: str
    name: str
    type: str
    bank_account_number: str | None = None
    enable_payments_to_account: bool = False


class Contacts(_Body, frozen=True, kw_only=True):
    """Contacts of one call."""

    contacts: tuple[ContactBody, ...]


class Invoices(_Body, frozen=True, kw_only=True):
    """Invoices of one call."""

    invoices: tuple[InvoiceBody, ...]


class Payments(_Body, frozen=True, kw_only=True):
    """Payments of one call, for invoices or for credit notes."""

    payments: tuple[PaymentBody | RepaymentBody, ...]


class CreditNotes(_Body, frozen=True, kw_only=True):
    """Credit notes of one call."""

    credit_notes: tuple[CreditNoteBody, ...]


class BankTransactions(_Body, frozen=True, kw_only=True):
    """Bank transactions of one call."""

    bank_transactions: tuple[BankTransactionBody, ...]


class BankTransfers(_Body, frozen=True, kw_only=True):
    """Bank transfers of one call."""

    bank_transfers: tuple[BankTransferBody, ...]


_ENCODER = msgspec.json.Encoder(decimal_format="number")


def encode(body: msgspec.Struct) -> bytes:
    """Return the exact bytes; decimals are written as they are, digit for digit."""
    return _ENCODER.encode(body)
