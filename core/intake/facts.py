"""What a payment says about itself: the facts, and the fetched objects that they are read from."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from core.books.documents import LineKind

DEFAULT_KEY = "*"


@dataclass(frozen=True, slots=True)
class ServiceRef:
    """What was sold: ``prod_…``, ``text:…`` or ``*``, with a name for people."""

    key: str
    name: str


@dataclass(frozen=True, slots=True)
class Line:
    """One part of the payment. ``amount_minor`` is net of ``tax_minor``; a discount is negative."""

    kind: LineKind
    service: ServiceRef
    description: str
    quantity: int
    amount_minor: int
    tax_minor: int
    has_tax: bool
    stripe_field: str
    found_by: str


@dataclass(frozen=True, slots=True)
class Client:
    """Who paid. ``key`` keeps one client one customer: Stripe's id, else the address, else the name."""

    key: str
    stripe_customer_id: str | None
    name: str
    email: str | None
    phone: str | None


@dataclass(frozen=True, slots=True)
class Movement:
    """One balance transaction, amounts in minor units of ``currency``; ``net = amount - fee``."""

    stripe_id: str
    type: str
    reporting_category: str
    amount_minor: int
    fee_minor: int
    net_minor: int
    currency: str
    exchange_rate: str | None
    fee_details: tuple[Mapping[str, Any], ...]
    source_id: str | None
    status: str
    available_at: datetime
    created_at: datetime
    description: str | None = None


@dataclass(frozen=True, slots=True)
class PaymentFacts:
    """Everything that one payment's fetched objects say.

    ``invoiced_at``: when the invoice that it paid was finalised, the last of several; None where it paid none.
    """

    source_id: str
    charge_id: str | None
    amount_minor: int
    refunded_minor: int
    currency: str
    is_live: bool
    paid_at: datetime
    description: str
    paid_with: str
    client: Client
    lines: tuple[Line, ...]
    movement: Movement | None
    invoiced_at: datetime | None = None

    @property
    def digest(self) -> str:
        """Hash over all facts: equal digests mean that nothing has changed."""
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()


@dataclass(frozen=True, slots=True)
class PaidInvoice:
    """An invoice that the payment paid, whole or in part, with all of its lines."""

    invoice: Mapping[str, Any]
    lines: tuple[Mapping[str, Any], ...]
    paid_minor: int | None
    """What of the payment went to it; None where Stripe does not say yet."""


@dataclass(frozen=True, slots=True)
class Sources:
    """The fetched objects of one payment, as plain dictionaries. ``charge`` is always there."""

    intent: Mapping[str, Any] | None
    charge: Mapping[str, Any]
    session: Mapping[str, Any] | None = None
    session_items: tuple[Mapping[str, Any], ...] = ()
    invoices: tuple[PaidInvoice, ...] = ()
    detail_lines: tuple[Mapping[str, Any], ...] = ()
    customer: Mapping[str, Any] | None = None
