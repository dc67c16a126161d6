"""What a payment says about itself, read from Stripe's objects. Pure: dictionaries in, facts out.

Pointers run from checkout sessions and invoices to the payment, never back, so the reader hands in whatever it found.
The first source that answers names the services; which one it was is kept and shown.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from core.books.documents import LineKind
from core.books.posting import rescale
from core.intake.handlers.registry import id_of

SERVICE_METADATA = (
    "product_id",
    "product",
    "price_id",
    "price",
    "service_id",
    "service",
    "service_name",
    "appointment_type",
    "appointment_type_id",
    "booking_type",
    "event_type",
    "package",
    "plan",
    "sku",
)
"""Metadata keys that booking platforms use for what was sold, in the order in which they are tried."""

DEFAULT_KEY = "*"
_NUMBERS = re.compile(r"(#\s*\w+|\b\d[\d/.:-]*\b)")


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


@dataclass(frozen=True, slots=True)
class PaymentFacts:
    """Everything that one payment's fetched objects say."""

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

    @property
    def digest(self) -> str:
        """Hash over all facts: equal digests mean that nothing has changed."""
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()


@dataclass(frozen=True, slots=True)
class Sources:
    """The fetched objects of one payment, as plain dictionaries. ``charge`` is always there."""

    intent: Mapping[str, Any] | None
    charge: Mapping[str, Any]
    session: Mapping[str, Any] | None = None
    session_items: tuple[Mapping[str, Any], ...] = ()
    invoice: Mapping[str, Any] | None = None
    invoice_lines: tuple[Mapping[str, Any], ...] = ()
    invoice_paid_minor: int | None = None
    detail_lines: tuple[Mapping[str, Any], ...] = ()
    customer: Mapping[str, Any] | None = None


def payment_facts(sources: Sources) -> PaymentFacts:
    """Read the facts of one succeeded payment."""
    charge, intent = sources.charge, sources.intent
    amount = _int(intent.get("amount_received")) if intent else _int(charge.get("amount"))
    movement = charge.get("balance_transaction")
    return PaymentFacts(
        source_id=str(intent["id"] if intent else charge["id"]),
        charge_id=_text(charge.get("id"), 255) or None,
        amount_minor=amount,
        refunded_minor=_int(charge.get("amount_refunded")),
        currency=str((intent or charge)["currency"]).lower(),
        is_live=bool((intent or charge).get("livemode")),
        paid_at=datetime.fromtimestamp(_int(charge.get("created")), UTC),
        description=_text((intent or {}).get("description") or charge.get("description"), 1000),
        paid_with=_paid_with(charge.get("payment_method_details")),
        client=_client(sources),
        lines=tuple(_lines(sources, amount)),
        movement=read_movement(movement) if isinstance(movement, dict) else None,
    )


def read_movement(bt: Mapping[str, Any]) -> Movement:
    """Read one balance transaction. Its figures are taken, never recomputed; the rate is for people only."""
    rate = bt.get("exchange_rate")
    return Movement(
        stripe_id=str(bt["id"]),
        type=str(bt.get("type", "")),
        reporting_category=str(bt.get("reporting_category", "")),
        amount_minor=_int(bt["amount"]),
        fee_minor=_int(bt["fee"]),
        net_minor=_int(bt["net"]),
        currency=str(bt["currency"]).lower(),
        exchange_rate=None if rate is None else str(rate)[:40],
        fee_details=tuple(detail for detail in bt.get("fee_details") or () if isinstance(detail, dict)),
        source_id=id_of(bt.get("source")),
        status=str(bt.get("status", "")),
        available_at=datetime.fromtimestamp(_int(bt.get("available_on") or bt["created"]), UTC),
        created_at=datetime.fromtimestamp(_int(bt["created"]), UTC),
    )


# Lines


def _lines(sources: Sources, amount: int) -> Iterator[Line]:
    lines = list(_sold(sources, amount))
    tip = _int(_dig(sources.intent, "amount_details", "tip", "amount"))
    if tip and not any(line.kind is LineKind.TIP for line in lines):
        lines = _without_tip(lines, tip, amount)
        lines.append(
            Line(
                LineKind.TIP,
                ServiceRef("text:tip", "Tip"),
                "Tip",
                1,
                tip,
                0,
                True,
                "payment_intent.amount_details.tip.amount",
                "Stripe's own tip field",
            )
        )
    yield from (line for line in lines if line.amount_minor or line.tax_minor or line.kind is LineKind.SERVICE)


def _without_tip(lines: list[Line], tip: int, amount: int) -> list[Line]:
    """A line that stands for the whole payment contains the tip; Stripe's own lines do not."""
    if len(lines) == 1 and lines[0].amount_minor + lines[0].tax_minor == amount:
        line = lines[0]
        return [
            Line(
                line.kind,
                line.service,
                line.description,
                line.quantity,
                line.amount_minor - tip,
                line.tax_minor,
                line.has_tax,
                f"{line.stripe_field} - tip",
                line.found_by,
            )
        ]
    return lines


def _sold(sources: Sources, amount: int) -> Iterator[Line]:
    if sources.session_items:
        yield from _session_lines(sources)
        return
    if sources.invoice_lines:
        yield from _invoice_lines(sources)
        return
    if sources.detail_lines:
        yield from _detail_lines(sources.detail_lines)
        return
    service, found_by = _service_by_words(sources)
    tax = _dig(sources.intent, "amount_details", "tax", "total_tax_amount")
    tax_minor = _int(tax)
    yield Line(
        LineKind.SERVICE,
        service,
        _text((sources.intent or {}).get("description") or sources.charge.get("description") or service.name, 500),
        1,
        amount - tax_minor,
        tax_minor,
        tax is not None,
        "payment_intent.amount_received" if sources.intent else "charge.amount",
        found_by,
    )


def _session_lines(sources: Sources) -> Iterator[Line]:
    for item in sources.session_items:
        service = _product(_dig(item, "price", "product"), item.get("description"))
        yield from _with_discount(
            service=service,
            description=_text(item.get("description") or service.name, 500),
            quantity=_int(item.get("quantity")) or 1,
            subtotal=_int(item.get("amount_subtotal")),
            discount=_int(item.get("amount_discount")),
            tax=_int(item.get("amount_tax")),
            total=_int(item.get("amount_total")),
            field="checkout.session.line_items.data.amount_subtotal",
            found_by="Stripe checkout line",
        )
    shipping = _dig(sources.session, "shipping_cost")
    if isinstance(shipping, dict) and _int(shipping.get("amount_total")):
        tax = _int(shipping.get("amount_tax"))
        yield Line(
            LineKind.SHIPPING,
            ServiceRef("text:shipping", "Shipping"),
            "Shipping",
            1,
            _int(shipping.get("amount_total")) - tax,
            tax,
            True,
            "checkout.session.shipping_cost.amount_total",
            "Stripe checkout shipping",
        )


def _with_discount(
    *,
    service: ServiceRef,
    description: str,
    quantity: int,
    subtotal: int,
    discount: int,
    tax: int,
    total: int,
    field: str,
    found_by: str,
) -> Iterator[Line]:
    """Split one Stripe line into what was sold and what was taken off, each with its share of the tax.

    Exclusive tax: subtotal - discount + tax = total, and the amounts are net already. Inclusive: the tax is inside.
    """
    tax_off = rescale(tax, [subtotal, -discount])[1] if tax and discount else 0
    tax_on = tax - tax_off
    inside = subtotal - discount == total and tax != 0
    yield Line(
        LineKind.SERVICE,
        service,
        description,
        quantity,
        subtotal - (tax_on if inside else 0),
        tax_on,
        True,
        field,
        found_by,
    )
    if discount:
        yield Line(
            LineKind.DISCOUNT,
            service,
            f"Discount on {description}"[:500],
            1,
            -discount - (tax_off if inside else 0),
            tax_off,
            True,
            field.replace("amount_subtotal", "amount_discount"),
            found_by,
        )


def _invoice_lines(sources: Sources) -> Iterator[Line]:
    lines: list[Line] = []
    for item in sources.invoice_lines:
        service = _product(_dig(item, "pricing", "price_details", "product"), item.get("description"))
        taxes = [t for t in item.get("taxes") or () if isinstance(t, dict)]
        tax = sum(_int(t.get("amount")) for t in taxes)
        inside = any(t.get("tax_behavior") == "inclusive" for t in taxes)
        subtotal = _int(item.get("subtotal") if item.get("subtotal") is not None else item.get("amount"))
        discount = sum(_int(d.get("amount")) for d in item.get("discount_amounts") or () if isinstance(d, dict))
        lines += _with_discount(
            service=service,
            description=_text(item.get("description") or service.name, 500),
            quantity=_int(item.get("quantity")) or 1,
            subtotal=subtotal,
            discount=discount,
            tax=tax,
            total=subtotal - discount + (0 if inside else tax),
            field="invoice.lines.data.amount_subtotal",
            found_by="Stripe invoice line",
        )
    yield from _paid_part(lines, sources.invoice_paid_minor)


def _paid_part(lines: list[Line], paid_minor: int | None) -> list[Line]:
    """An invoice may be paid in parts by several payments: take this payment's share of every line."""
    parts = [part for line in lines for part in (line.amount_minor, line.tax_minor)]
    if paid_minor is None or sum(parts) == paid_minor or sum(parts) <= 0:
        return lines
    shares = rescale(paid_minor, parts)
    return [
        Line(
            line.kind,
            line.service,
            line.description,
            line.quantity,
            shares[2 * i],
            shares[2 * i + 1],
            line.has_tax,
            f"{line.stripe_field} × invoice_payment.amount_paid",
            line.found_by,
        )
        for i, line in enumerate(lines)
    ]


def _detail_lines(items: tuple[Mapping[str, Any], ...]) -> Iterator[Line]:
    for item in items:
        name = _text(item.get("product_name"), 300) or "Sale"
        quantity = _int(item.get("quantity")) or 1
        code = _text(item.get("product_code"), 100)
        service = ServiceRef(f"text:{_normal(code or name)}", name)
        net = _int(item.get("unit_cost")) * quantity
        tax, off = _dig(item, "tax", "total_tax_amount"), _int(item.get("discount_amount"))
        field = "payment_intent.amount_details.line_items.data"
        found_by = "Stripe payment line"
        yield Line(LineKind.SERVICE, service, name, quantity, net, _int(tax), tax is not None, field, found_by)
        if off:
            description = f"Discount on {name}"[:500]
            yield Line(LineKind.DISCOUNT, service, description, 1, -off, 0, tax is not None, field, found_by)


# Services


def _product(product: Any, description: Any) -> ServiceRef:
    product_id = id_of(product)
    name = _text(product.get("name"), 300) if isinstance(product, dict) else ""
    name = name or _text(description, 300) or product_id or "Sale"
    return ServiceRef(product_id, name) if product_id else ServiceRef(f"text:{_normal(name)}", name)


def _service_by_words(sources: Sources) -> tuple[ServiceRef, str]:
    """Metadata first, then the description, then nothing: the default row decides (never a guess)."""
    for owner, data in (("payment", sources.intent), ("charge", sources.charge), ("checkout", sources.session)):
        metadata = _dig(data, "metadata")
        if isinstance(metadata, dict):
            for key in SERVICE_METADATA:
                value = _text(metadata.get(key), 300)
                if value:
                    return _service_from(value), f"metadata “{key}” of the {owner}"
    for field in ("description", "statement_descriptor_suffix", "statement_descriptor"):
        value = _text((sources.intent or {}).get(field) or sources.charge.get(field), 300)
        cleaned = clean_words(value)
        if cleaned:
            return ServiceRef(f"text:{_normal(cleaned)}", cleaned), f"{field.replace('_', ' ')} of the payment"
    return ServiceRef(DEFAULT_KEY, "Anything else"), "nothing on the payment names a service"


def _service_from(value: str) -> ServiceRef:
    if re.fullmatch(r"prod_[A-Za-z0-9]{1,250}", value):
        return ServiceRef(value, value)
    return ServiceRef(f"text:{_normal(value)}", value)


def clean_words(text: str) -> str:
    """Return ``text`` without booking numbers and dates, so that each booking is not a service of its own."""
    words = _NUMBERS.sub(" ", text)
    return " ".join(words.split()).strip(" -–—:,|()#").strip()


def _normal(text: str) -> str:
    return " ".join(text.casefold().split())[:280]


# Clients


def _client(sources: Sources) -> Client:
    customer = sources.customer or {}
    billing = sources.charge.get("billing_details") or {}
    details = _dig(sources.session, "customer_details") or {}
    stripe_id = id_of((sources.intent or sources.charge).get("customer"))
    email = _first("email", customer, billing, details) or _text(
        (sources.intent or sources.charge).get("receipt_email"), 320
    )
    name = _first("name", customer, billing, details) or email or "Stripe client"
    key = stripe_id or (f"email:{email.casefold()}" if email else f"name:{_normal(name)}")
    return Client(
        key=key[:400],
        stripe_customer_id=stripe_id,
        name=name,
        email=email or None,
        phone=_first("phone", customer, billing, details)[:64] or None,
    )


def _first(field: str, *sources: Mapping[str, Any]) -> str:
    return next((text for source in sources if (text := _text(source.get(field), 320))), "")


def _paid_with(details: Any) -> str:
    if not isinstance(details, dict):
        return ""
    kind = _text(details.get("type"), 60)
    card = details.get("card")
    if kind == "card" and isinstance(card, dict):
        brand = _text(card.get("brand"), 30).replace("_", " ").title() or "Card"
        last4 = _text(card.get("last4"), 4)
        return f"{brand} ending {last4}" if last4 else brand
    return kind.replace("_", " ").capitalize()


# Reading loosely shaped data


def _dig(data: Any, *path: str) -> Any:
    for key in path:
        if not isinstance(data, Mapping):
            return None
        data = data.get(key)
    return data


def _int(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _text(value: Any, limit: int) -> str:
    """Return a clean text: no NUL and no lone surrogates, which PostgreSQL refuses."""
    if not isinstance(value, str):
        return ""
    text = value.replace("\x00", "").encode("utf-8", "ignore").decode("utf-8")
    return " ".join(text.split())[:limit]
