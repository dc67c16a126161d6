"""What the control API is told: the bodies of its calls, with their defaults."""

from typing import Any, Literal

import msgspec

from web.sandbox.stripe.disputes import COUNTERED_FEE, DISPUTE_FEE


class AccountInput(msgspec.Struct, kw_only=True):
    """A new business."""

    name: str
    email: str = "owner@example.com"
    country: str = "US"
    currency: str | None = None
    id: str | None = None
    payout_delay_days: int = 2
    daily_payouts: bool = False
    """Pay out automatically at every midnight UTC of the sandbox's clock."""
    platform_controlled: bool = False
    """Owned by a booking platform: Connect OAuth is refused, the Stripe App works."""


class ProductInput(msgspec.Struct, kw_only=True):
    """A product and its default price."""

    name: str
    unit_amount: int | None = None
    currency: str | None = None
    description: str | None = None
    metadata: dict[str, str] = {}


class CustomerInput(msgspec.Struct, kw_only=True):
    """A customer object, or only the details that a client typed."""

    name: str | None = None
    email: str | None = None
    phone: str | None = None
    address: dict[str, str] | None = None
    metadata: dict[str, str] = {}


class TaxInput(msgspec.Struct, kw_only=True):
    """A tax on a line; ``amount`` overrides the arithmetic."""

    percentage: float
    inclusive: bool = False
    display_name: str = "Sales tax"
    amount: int | None = None


class LineInput(msgspec.Struct, kw_only=True):
    """One thing sold: an existing ``price`` or ``product``, or a name with an amount."""

    price: str | None = None
    product: str | None = None
    name: str | None = None
    unit_amount: int | None = None
    quantity: int = 1
    discount: int = 0
    taxes: list[TaxInput] = []
    metadata: dict[str, str] = {}


class FeeInput(msgspec.Struct, kw_only=True):
    """One line of ``fee_details``."""

    amount: int
    type: str = "stripe_fee"
    description: str | None = None
    application: str | None = None


class PaymentInput(msgspec.Struct, kw_only=True):
    """One payment of a client. Everything but ``amount`` (or ``lines``) may be left out."""

    via: Literal["payment_intent", "checkout", "payment_link", "invoice", "charge"] = "payment_intent"
    """``charge``: a ``py_`` charge without an intent, as the receiving side of a destination charge sees it."""
    amount: int | None = None
    currency: str | None = None
    lines: list[LineInput] = []
    tip: int = 0
    shipping: int = 0
    tax: int = 0
    """Part of ``amount`` that a plain intent declares as tax (``amount_details.tax``)."""
    description: str | None = None
    metadata: dict[str, str] = {}
    session_metadata: dict[str, str] = {}
    client_reference_id: str | None = None
    statement_descriptor: str | None = None
    receipt_email: str | None = None
    customer: str | None = None
    """Id of an existing customer."""
    new_customer: CustomerInput | None = None
    billing: CustomerInput | None = None
    """What the client typed on the payment form, without a customer object."""
    customer_account: str | None = None
    application: str | None = None
    application_fee_amount: int | None = None
    payment_method: str = "pm_card_visa"
    capture_method: Literal["automatic_async", "automatic", "manual"] = "automatic_async"
    presentment_amount: int | None = None
    presentment_currency: str | None = None
    line_items_l3: list[dict[str, Any]] = []
    """``amount_details.line_items``: dicts with product_name, unit_cost, quantity, product_code, tax."""
    fee: int | None = None
    fee_details: list[FeeInput] | None = None
    fee_tax: int = 0
    foreign_card: bool = False
    settled_currency: str | None = None
    settled_amount: int | None = None
    exchange_rate: float | None = None
    available_on: int | None = None
    bt_delay_s: float | None = None
    settles_after_s: float | None = None
    """A slow method (bank debit): the session completes unpaid, the money follows this much later."""
    invoiced_days_ago: float = 0
    """How long before the payment its invoice was finalised."""
    created: int | None = None
    """Import as history of that moment."""
    webhooks: bool = True


class RefundInput(msgspec.Struct, kw_only=True):
    """``payment`` is a ``pi_`` or ``ch_``/``py_`` id."""

    payment: str
    amount: int | None = None
    reason: str | None = None
    metadata: dict[str, str] = {}
    fee: int = 0
    settled_amount: int | None = None
    exchange_rate: float | None = None
    refund_application_fee: int = 0
    pending: bool = False


class DisputeInput(msgspec.Struct, kw_only=True):
    """A new dispute or inquiry."""

    payment: str
    amount: int | None = None
    fee: int = DISPUTE_FEE
    reason: str = "fraudulent"
    inquiry: bool = False
    withdraw: bool = True


class EvidenceInput(msgspec.Struct, kw_only=True):
    """Answer to a dispute."""

    countered_fee: int = COUNTERED_FEE


class CloseInput(msgspec.Struct, kw_only=True):
    """End of a dispute."""

    outcome: Literal["won", "lost", "warning_closed", "prevented"]
    fee_returned: int = 0
    countered_fee_returned: int = 0


class PayoutInput(msgspec.Struct, kw_only=True):
    """Automatic takes whole balance transactions; manual (with ``amount``) any amount."""

    automatic: bool = True
    currency: str | None = None
    amount: int | None = None
    balance_transactions: list[str] = []
    include_pending: bool = False
    arrival_days: int = 1
    method: Literal["standard", "instant"] = "standard"
    until: Literal["pending", "in_transit", "paid"] = "pending"
    """Carry it on at once to this state."""


class FailInput(msgspec.Struct, kw_only=True):
    """Why something failed."""

    code: str | None = None


class RowInput(msgspec.Struct, kw_only=True):
    """Any other balance transaction: Stripe's own fees, taxes, reserves, adjustments."""

    type: str
    amount: int
    currency: str | None = None
    reporting_category: str | None = None
    description: str | None = None
    source: str | None = None
    fee_details: list[FeeInput] = []
    available_on: int | None = None


class PermissionsInput(msgspec.Struct, kw_only=True):
    """Permissions of a restricted key."""

    permissions: list[str]


class ConnectInput(msgspec.Struct, kw_only=True):
    """Grant access without the consent page."""

    flow: Literal["connect", "app"] = "app"


class ResendInput(msgspec.Struct, kw_only=True):
    """Old events to deliver again; none named = all of the account."""

    account: str
    events: list[str] = []


class ReleaseInput(msgspec.Struct, kw_only=True):
    """Order in which held deliveries go out (indices); none = as they came."""

    order: list[int] | None = None


class OddInput(msgspec.Struct, kw_only=True):
    """One strange delivery to the platform's Connect endpoint."""

    kind: Literal[
        "other_mode",
        "unknown_account",
        "unknown_type",
        "old_api_version",
        "junk",
        "not_utf8",
        "json_list",
        "thin",
        "bad_signature",
        "stale",
        "future",
        "no_object",
    ]
    account: str | None = None
    event: str | None = None
    """Event to bend; none = the account's newest, or an invented one."""


class LimitInput(msgspec.Struct, kw_only=True):
    """Requests per second and account; None = no limit."""

    per_second: float | None
