"""What Xero answers, as far as we read it. Unknown keys are ignored: new ones appear without notice.

The envelope says ``"Status": "OK"`` even when every element was refused, so only the element itself is believed.
"""

from decimal import Decimal
from typing import TypeVar

import msgspec

from core.accounting.xero.client import is_guid
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
    """A line of an invoice."""

    account_id: str | None = msgspec.field(name="AccountID", default=None)
    account_code: str | None = None
    tax_type: str | None = None


class Payment(Element, frozen=True, kw_only=True):
    """A payment, whole or as it stands within its invoice."""

    payment_id: str = msgspec.field(name="PaymentID", default="")
    date: str = ""
    amount: Decimal | None = None
    reference: str | None = None
    status: str = "AUTHORISED"
    invoice: "Invoice | None" = None
    account: "Account | None" = None

    @property
    def id(self) -> str:
        """Xero's id."""
        return self.payment_id


class Invoice(Element, frozen=True, kw_only=True):
    """An invoice."""

    invoice_id: str = msgspec.field(name="InvoiceID", default="")
    type: str = ""
    date: str = ""
    invoice_number: str | None = None
    reference: str | None = None
    status: str = ""
    contact: Contact | None = None
    total: Decimal | None = None
    currency_code: str | None = None
    updated_date_utc_string: str | None = msgspec.field(name="UpdatedDateUTCString", default=None)
    line_items: tuple[Line, ...] = ()
    payments: tuple[Payment, ...] = ()

    @property
    def id(self) -> str:
        """Xero's id."""
        return self.invoice_id


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


E = TypeVar("E", bound=Element)


def written(body: bytes, name: str, shape: type[E], *, request_id: str | None) -> E:
    """Return the one element called ``name`` from the answer to a write; it may be a refused one.

    Raises:
        OutcomeUnknownError: the answer is not what was announced: cut off, empty, of another shape, or an element that
            is not refused and yet has no id. It may still have been written.
    """
    try:
        rows = _decoded(body, name, shape)
    except ValueError as exc:
        raise _unreadable(name, request_id) from exc
    if len(rows) != 1 or not (rows[0].is_refused or is_guid(rows[0].id)):
        raise _unreadable(name, request_id)
    return rows[0]


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


def _unreadable(name: str, request_id: str | None) -> OutcomeUnknownError:
    return OutcomeUnknownError(
        f"Xero answered without readable {name}", answered=True, request_id=request_id, status=200
    )


def _decoded(body: bytes, name: str, shape: type[T]) -> list[T]:
    try:
        envelope = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        # Decimal fields take the digits of the text, never a float.
        rows: list[T] = msgspec.json.decode(envelope[name], type=list[shape])  # type: ignore[valid-type]  # a run-time type
    except (msgspec.MsgspecError, KeyError, RecursionError, UnicodeDecodeError) as exc:
        raise ValueError(name) from exc
    return rows
