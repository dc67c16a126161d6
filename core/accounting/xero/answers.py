"""What Xero answers, as far as we read it. Unknown keys are ignored: new ones appear without notice.

The envelope says ``"Status": "OK"`` even when every element was refused, so only the element itself is believed.
"""

from decimal import Decimal
from typing import TypeVar

import msgspec

from core.errors import OutcomeUnknownError, ProviderUnavailableError

T = TypeVar("T")


class _Part(msgspec.Struct, frozen=True, rename="pascal"):
    """One object of an answer."""


class Message(_Part, frozen=True):
    """One sentence of a refusal or a warning."""

    message: str | None = None


class Element(_Part, frozen=True, kw_only=True):
    """What every element of a write says about itself."""

    has_errors: bool | None = None
    has_validation_errors: bool | None = None
    status_attribute_string: str | None = None
    validation_errors: tuple[Message, ...] | None = None

    @property
    def id(self) -> str:
        """Xero's id of this element; the zero id where nothing was made."""
        return ""

    @property
    def is_refused(self) -> bool:
        """Whether Xero says in any of its four ways that this element was not saved."""
        says_so = self.has_errors or self.has_validation_errors or self.status_attribute_string == "ERROR"
        return bool(says_so or self.validation_errors)

    @property
    def messages(self) -> tuple[str, ...]:
        """Xero's words."""
        return tuple(error.message for error in self.validation_errors or () if error.message)


class Contact(Element, frozen=True, kw_only=True):
    """A contact."""

    contact_id: str = msgspec.field(name="ContactID", default="")
    merged_to_contact_id: str | None = msgspec.field(name="MergedToContactID", default=None)
    contact_number: str | None = None
    contact_status: str = "ACTIVE"
    name: str = ""
    email_address: str | None = None

    @property
    def id(self) -> str:
        """Xero's id."""
        return self.contact_id

    @property
    def is_active(self) -> bool:
        """Whether sales may be written for it: neither archived nor forgotten on request."""
        return self.contact_status == "ACTIVE"


class Line(_Part, frozen=True, kw_only=True):
    """A line of a document or bank transaction."""

    description: str | None = None
    account_id: str | None = msgspec.field(name="AccountID", default=None)
    account_code: str | None = None
    tax_type: str | None = None


class Payment(Element, frozen=True, kw_only=True):
    """A payment or repayment, whole or as it stands within its document.

    Of a repayment, Xero shows the credit note under ``Invoice`` as well.
    """

    payment_id: str = msgspec.field(name="PaymentID", default="")
    date: str = ""
    amount: Decimal | None = None
    bank_amount: Decimal | None = None
    payment_type: str = ""
    reference: str | None = None
    status: str = "AUTHORISED"
    invoice: "Invoice | None" = None
    credit_note: "CreditNote | None" = None
    account: "Account | None" = None
    updated_date_utc: str | None = msgspec.field(name="UpdatedDateUTC", default=None)

    @property
    def id(self) -> str:
        """Xero's id."""
        return self.payment_id

    @property
    def document_id(self) -> str:
        """The id of what it pays."""
        if self.credit_note is not None and self.credit_note.credit_note_id:
            return self.credit_note.credit_note_id
        return self.invoice.invoice_id if self.invoice else ""


class _Sold(Element, frozen=True, kw_only=True):
    """What invoices and credit notes share."""

    type: str = ""
    date: str = ""
    reference: str | None = None
    status: str = ""
    contact: Contact | None = None
    total: Decimal | None = None
    currency_code: str | None = None
    updated_date_utc_string: str | None = msgspec.field(name="UpdatedDateUTCString", default=None)
    updated_date_utc: str | None = msgspec.field(name="UpdatedDateUTC", default=None)
    line_items: tuple[Line, ...] = ()
    payments: tuple[Payment, ...] = ()


class Invoice(_Sold, frozen=True, kw_only=True):
    """An invoice."""

    invoice_id: str = msgspec.field(name="InvoiceID", default="")
    invoice_number: str | None = None
    amount_due: Decimal | None = None

    @property
    def id(self) -> str:
        """Xero's id."""
        return self.invoice_id

    @property
    def number(self) -> str | None:
        """Its number, unique among sales."""
        return self.invoice_number


class CreditNote(_Sold, frozen=True, kw_only=True):
    """A credit note."""

    credit_note_id: str = msgspec.field(name="CreditNoteID", default="")
    credit_note_number: str | None = None
    remaining_credit: Decimal | None = None

    @property
    def id(self) -> str:
        """Xero's id."""
        return self.credit_note_id

    @property
    def number(self) -> str | None:
        """Its number, unique among credit notes to clients."""
        return self.credit_note_number


class BankTransaction(Element, frozen=True, kw_only=True):
    """Money spent or received."""

    bank_transaction_id: str = msgspec.field(name="BankTransactionID", default="")
    type: str = ""
    date: str = ""
    reference: str | None = None
    status: str = "AUTHORISED"
    contact: Contact | None = None
    bank_account: "Account | None" = None
    total: Decimal | None = None
    currency_code: str | None = None
    updated_date_utc: str | None = msgspec.field(name="UpdatedDateUTC", default=None)
    line_items: tuple[Line, ...] = ()

    @property
    def id(self) -> str:
        """Xero's id."""
        return self.bank_transaction_id


class BankTransfer(Element, frozen=True, kw_only=True):
    """Money from one bank account to another; always in the currency of both."""

    bank_transfer_id: str = msgspec.field(name="BankTransferID", default="")
    date: str = ""
    reference: str | None = None
    status: str = "AUTHORISED"
    amount: Decimal | None = None
    from_bank_account: "Account | None" = None
    to_bank_account: "Account | None" = None

    @property
    def id(self) -> str:
        """Xero's id."""
        return self.bank_transfer_id


Sold = Invoice | CreditNote
"""What carries lines for a client."""

Dated = Invoice | CreditNote | Payment | BankTransaction | BankTransfer
"""What lies on a day."""

Row = Contact | Payment | Invoice | CreditNote | BankTransaction | BankTransfer
"""Every element that we write."""


class Account(Element, frozen=True, kw_only=True):
    """An account of the chart."""

    account_id: str = msgspec.field(name="AccountID", default="")
    code: str | None = None
    name: str = ""
    type: str = ""
    status: str = "ACTIVE"
    account_class: str = msgspec.field(name="Class", default="")
    system_account: str | None = None
    bank_account_type: str | None = None
    currency_code: str | None = None

    @property
    def id(self) -> str:
        """Xero's id."""
        return self.account_id


class TaxRate(_Part, frozen=True, kw_only=True):
    """A tax rate; ``TaxType`` is its identity."""

    name: str = ""
    tax_type: str = ""
    status: str = ""
    effective_rate: Decimal | None = None
    can_apply_to_revenue: bool | None = None
    can_apply_to_expenses: bool | None = None


class Organisation(_Part, frozen=True, kw_only=True):
    """Whose books these are."""

    name: str = ""
    legal_name: str = ""
    version: str = ""
    base_currency: str = ""
    country_code: str = ""
    is_demo_company: bool = False
    period_lock_date: str | None = None
    end_of_year_lock_date: str | None = None
    short_code: str = ""


def read_list(body: bytes, name: str, shape: type[T], *, request_id: str | None) -> list[T]:
    """Return the elements called ``name`` of the answer to a read.

    Raises:
        ProviderUnavailableError: the answer cannot be read.
    """
    try:
        return _decoded(body, name, shape)
    except ValueError as exc:
        raise ProviderUnavailableError(
            f"Xero answered without readable {name}", request_id=request_id, status=200
        ) from exc


def written_list(body: bytes, name: str, shape: type[T], *, request_id: str | None) -> list[T]:
    """Return the elements called ``name`` of the answer to a write.

    Raises:
        OutcomeUnknownError: the answer cannot be read; what it was about may still have been written.
    """
    try:
        return _decoded(body, name, shape)
    except ValueError as exc:
        raise OutcomeUnknownError(
            f"Xero answered without readable {name}", answered=True, request_id=request_id, status=200
        ) from exc


def _decoded(body: bytes, name: str, shape: type[T]) -> list[T]:
    try:
        envelope = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        # Decimal fields take the digits of the text, never a float.
        rows: list[T] = msgspec.json.decode(envelope[name], type=list[shape])  # type: ignore[valid-type]  # a run-time type
    except (msgspec.MsgspecError, KeyError, RecursionError, UnicodeDecodeError) as exc:
        raise ValueError(name) from exc
    return rows
