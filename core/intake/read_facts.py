"""From Stripe's objects to the facts of a payment. Pure: dictionaries in, facts out.

Pointers run from checkout sessions and invoices to the payment, never back, so the reader hands in whatever it found.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from core.intake.facts import Client, Movement, PaidInvoice, PaymentFacts, Sources
from core.intake.handlers.registry import id_of
from core.intake.loose import clean_text, dig, integer, rows_of
from core.intake.read_lines import read_lines
from core.intake.read_service import normal


def payment_facts(sources: Sources) -> PaymentFacts:
    """Read the facts of one succeeded payment."""
    charge, intent = sources.charge, sources.intent
    amount = integer(intent.get("amount_received")) if intent else _captured(charge)
    movement = charge.get("balance_transaction")
    return PaymentFacts(
        source_id=str(intent["id"] if intent else charge["id"]),
        charge_id=clean_text(charge.get("id"), 255) or None,
        amount_minor=amount,
        refunded_minor=integer(charge.get("amount_refunded")),
        currency=str((intent or charge)["currency"]).lower(),
        is_live=bool((intent or charge).get("livemode")),
        paid_at=datetime.fromtimestamp(integer(charge.get("created")), UTC),
        description=clean_text((intent or {}).get("description") or charge.get("description"), 1000),
        paid_with=_paid_with(charge.get("payment_method_details")),
        client=_client(sources),
        lines=tuple(read_lines(sources, amount)),
        movement=read_movement(movement) if isinstance(movement, dict) else None,
        invoiced_at=max(filter(None, map(_invoiced_at, sources.invoices)), default=None),
    )


def read_movement(bt: Mapping[str, Any]) -> Movement:
    """Read one balance transaction. Its figures are taken, never recomputed; the rate is for people only."""
    rate = bt.get("exchange_rate")
    return Movement(
        stripe_id=str(bt["id"]),
        type=clean_text(bt.get("type"), 64),
        reporting_category=clean_text(bt.get("reporting_category"), 64),
        amount_minor=integer(bt["amount"]),
        fee_minor=integer(bt["fee"]),
        net_minor=integer(bt["net"]),
        currency=str(bt["currency"]).lower(),
        exchange_rate=None if rate is None else str(rate)[:40],
        fee_details=tuple(_clean(detail) for detail in rows_of(bt.get("fee_details"))),
        source_id=id_of(bt.get("source")),
        status=clean_text(bt.get("status"), 32),
        available_at=datetime.fromtimestamp(integer(bt.get("available_on") or bt["created"]), UTC),
        created_at=datetime.fromtimestamp(integer(bt["created"]), UTC),
        description=clean_text(bt.get("description"), 500) or None,
    )


def _invoiced_at(paid: PaidInvoice) -> datetime | None:
    """Return when the client was sent the invoice: a draft of last month may be finalised today."""
    said = integer(dig(paid.invoice, "status_transitions", "finalized_at") or paid.invoice.get("created"))
    return datetime.fromtimestamp(said, UTC) if said else None


def _captured(charge: Mapping[str, Any]) -> int:
    """Return what was taken of an authorisation; the rest of it never was the business's money."""
    captured = charge.get("amount_captured")
    return integer(captured if captured is not None else charge.get("amount"))


def _clean(detail: Mapping[str, Any]) -> dict[str, Any]:
    return {str(key): clean_text(value, 500) if isinstance(value, str) else value for key, value in detail.items()}


def _client(sources: Sources) -> Client:
    customer = sources.customer or {}
    billing = sources.charge.get("billing_details") or {}
    details = dig(sources.session, "customer_details") or {}
    stripe_id = clean_text(id_of((sources.intent or sources.charge).get("customer")), 255) or None
    email = _first("email", customer, billing, details) or clean_text(
        (sources.intent or sources.charge).get("receipt_email"), 320
    )
    name = _first("name", customer, billing, details) or email or "Stripe client"
    key = stripe_id or (f"email:{email.casefold()}" if email else f"name:{normal(name)}")
    return Client(
        key=key[:400],
        stripe_customer_id=stripe_id,
        name=name,
        email=email or None,
        phone=_first("phone", customer, billing, details)[:64] or None,
    )


def _first(field: str, *sources: Mapping[str, Any]) -> str:
    return next((text for source in sources if (text := clean_text(source.get(field), 320))), "")


def _paid_with(details: Any) -> str:
    if not isinstance(details, dict):
        return ""
    kind = clean_text(details.get("type"), 60)
    card = details.get("card")
    if kind == "card" and isinstance(card, dict):
        brand = clean_text(card.get("brand"), 30).replace("_", " ").title() or "Card"
        last4 = clean_text(card.get("last4"), 4)
        return f"{brand} ending {last4}" if last4 else brand
    return kind.replace("_", " ").capitalize()
