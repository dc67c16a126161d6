"""The documents that Tieout puts into a set of books, provider-neutral and frozen.

Amounts are ``int`` minor units of ``currency``. A document names what it needs (a customer, an invoice) by *step*:
a short stable string such as ``customer:8d3f…``. The adapter is given the external id of each step when the document is
prepared, so the same document reads the same on every provider.

Source of the shapes: Tieout's bookkeeping rules (invoice + payment to the Stripe clearing account, booked gross).
"""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum


class DocumentKind(StrEnum):
    """Kinds of things written into books. ``CUSTOMER`` and ``ITEM`` support documents and move no money."""

    CUSTOMER = "customer"
    ITEM = "item"
    INVOICE = "invoice"
    PAYMENT = "payment"


class LineKind(StrEnum):
    """What a sale line stands for."""

    SERVICE = "service"
    DISCOUNT = "discount"
    TIP = "tip"
    SHIPPING = "shipping"


@dataclass(frozen=True, slots=True)
class Why:
    """How one line explains itself: the Stripe field, the arithmetic, the mapping rule with its version and author."""

    stripe_field: str
    arithmetic: str
    rule: str
    mapping_id: str | None = None
    mapping_version: int | None = None
    set_by: str | None = None


@dataclass(frozen=True, slots=True)
class Customer:
    """A client as the books should know them. ``customer_id`` is ours and decides the step."""

    customer_id: str
    name: str
    email: str | None
    currency: str
    phone: str | None = None
    stripe_customer_id: str | None = None

    kind = DocumentKind.CUSTOMER

    @property
    def step(self) -> str:
        """Stable name of this object among the steps of a connection."""
        return f"customer:{self.customer_id}"

    @property
    def needs(self) -> tuple[str, ...]:
        """A customer needs nothing else."""
        return ()


@dataclass(frozen=True, slots=True)
class Item:
    """What QuickBooks calls a service item: the thing on a sales line that carries the income account.

    One per (service, income account): a changed mapping points to another item, never re-points one with history.
    """

    service_id: str
    name: str
    income_account_id: str

    kind = DocumentKind.ITEM

    @property
    def step(self) -> str:
        """Stable name of this object among the steps of a connection."""
        return f"item:{self.service_id}:{self.income_account_id}"

    @property
    def needs(self) -> tuple[str, ...]:
        """An item needs nothing else."""
        return ()


@dataclass(frozen=True, slots=True)
class SaleLine:
    """One line of an invoice.

    Attributes:
        amount_minor: net of tax; negative for a discount.
        tax_minor: tax on this line, same sign as the amount.
        tax_code_id: the provider's id of the mapped tax code; None where the books know no tax.
        tax_rate_ppm: the code's rate in parts per million (8.25 % = 82 500), None where unknown.
        tax_rate_id: the provider's id of the rate behind the code (``TaxCode.rate_external_id``), None where unknown.
        income_account_number: the account's own number or code in the chart, None where it has none.
    """

    kind: LineKind
    service_id: str
    service_name: str
    description: str
    amount_minor: int
    tax_minor: int
    income_account_id: str
    income_account_name: str
    tax_code_id: str | None
    tax_code_name: str | None
    tax_rate_ppm: int | None
    why: Why
    tax_rate_id: str | None = None
    income_account_number: str | None = None


@dataclass(frozen=True, slots=True)
class Invoice:
    """A sale on the day of the charge, gross. ``total_minor`` is what the client paid, to the cent."""

    reference: str
    customer_step: str
    date: date
    currency: str
    lines: tuple[SaleLine, ...]
    memo: str

    kind = DocumentKind.INVOICE

    @property
    def step(self) -> str:
        """Name of this document among the steps of its item."""
        return "invoice"

    @property
    def needs(self) -> tuple[str, ...]:
        """The customer comes first."""
        return (self.customer_step,)

    @property
    def net_minor(self) -> int:
        """Sum of the lines before tax."""
        return sum(line.amount_minor for line in self.lines)

    @property
    def tax_minor(self) -> int:
        """Sum of the tax of all lines."""
        return sum(line.tax_minor for line in self.lines)

    @property
    def total_minor(self) -> int:
        """Net plus tax."""
        return self.net_minor + self.tax_minor


@dataclass(frozen=True, slots=True)
class Payment:
    """The money of one invoice arriving on the Stripe clearing account."""

    reference: str
    customer_step: str
    invoice_step: str
    date: date
    currency: str
    amount_minor: int
    clearing_account_id: str
    clearing_account_name: str
    memo: str
    why: Why

    kind = DocumentKind.PAYMENT

    @property
    def step(self) -> str:
        """Name of this document among the steps of its item."""
        return "payment"

    @property
    def needs(self) -> tuple[str, ...]:
        """Customer and invoice come first."""
        return (self.customer_step, self.invoice_step)

    @property
    def total_minor(self) -> int:
        """The amount that arrives."""
        return self.amount_minor


Document = Customer | Item | Invoice | Payment
