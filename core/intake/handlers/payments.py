"""Events about payments and what was bought with them."""

from typing import Any

from core.db.models import ItemKind
from core.intake.handlers.registry import Target, handles, id_of, is_payment_id


def _payment(payment_intent: Any, fallback: Any = None) -> list[Target]:
    source_id = id_of(payment_intent) or id_of(fallback)
    return [Target(ItemKind.FETCH_PAYMENT, source_id)] if source_id and is_payment_id(source_id) else []


@handles("payment_intent.succeeded")
def payment_intent_succeeded(obj: dict[str, Any]) -> list[Target]:
    """A client has paid."""
    return _payment(obj)


@handles("charge.succeeded", "charge.updated", "charge.captured")
def charge_changed(obj: dict[str, Any]) -> list[Target]:
    """A charge exists or has its balance transaction now; one without an intent is a payment of its own."""
    return _payment(obj.get("payment_intent"), obj)


@handles("checkout.session.completed", "checkout.session.async_payment_succeeded")
def checkout_completed(obj: dict[str, Any]) -> list[Target]:
    """The lines of a sale are known now."""
    return _payment(obj.get("payment_intent"))


@handles("invoice_payment.paid")
def invoice_payment_paid(obj: dict[str, Any]) -> list[Target]:
    """An invoice of Stripe's was paid by a payment intent or a charge."""
    paid_by = obj.get("payment")
    if not isinstance(paid_by, dict):
        return []
    return _payment(paid_by.get("payment_intent"), paid_by.get("charge"))
