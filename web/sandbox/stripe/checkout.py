"""Checkout: sessions and payment links, opened, paid (at once or later), expired."""

from collections.abc import Sequence

from web.sandbox.stripe import payments, shapes, shapes_billing, shapes_payment
from web.sandbox.stripe.events import emit
from web.sandbox.stripe.payments import Settlement
from web.sandbox.stripe.sales import Line, session_item
from web.sandbox.stripe.world import Account, Json, World


def open_session(
    world: World,
    account: Account,
    lines: Sequence[Line],
    currency: str,
    *,
    shipping_amount: int = 0,
    at: int | None = None,
) -> Json:
    """A session that waits for its client."""
    session = shapes_billing.checkout_session(world, account, currency, at=at)
    session["_items"] = [session_item(world, account, line, currency) for line in lines]
    if shipping_amount:
        session["shipping_cost"] = {
            "amount_subtotal": shipping_amount,
            "amount_tax": 0,
            "amount_total": shipping_amount,
            "shipping_rate": None,
        }
    _total(session, lines, shipping_amount)
    account.add(session)
    return session


def pay_session(
    world: World,
    account: Account,
    session: Json,
    *,
    billing: Json,
    payment_method: str | None = None,
    intent_fields: Json | None = None,
    tip: int = 0,
    settlement: Settlement | None = None,
    settles_later: bool = False,
) -> Json:
    """The client pays.

    With ``settles_later`` (a bank debit) the session completes unpaid; :func:`money_arrives` follows.
    """
    terms = settlement or Settlement()
    session["amount_total"] += tip
    intent = shapes_payment.payment_intent(
        world, account, session["amount_total"], session["currency"], at=session["created"] if terms.imported else None
    )
    intent.update(intent_fields or {})
    intent.update(customer=session["customer"], payment_method=payment_method, _billing=billing)
    if tip:
        intent["amount_details"] = {"tip": {"amount": tip}}
    session["payment_intent"] = intent["id"]
    session["customer_details"] = _details(billing)
    account.add(intent)
    emit(world, account, "payment_intent.created", intent, send=terms.send_events)
    session.update(status="complete", url=None)
    if settles_later:
        intent["status"] = "processing"
        emit(world, account, "payment_intent.processing", intent, send=terms.send_events)
    else:
        payments.charge_intent(world, account, intent, terms)
        session["payment_status"] = "paid"
    emit(world, account, "checkout.session.completed", session, send=terms.send_events)
    return intent


def money_arrives(world: World, account: Account, session: Json, terms: Settlement) -> None:
    """The delayed method succeeded."""
    intent = account.shelf("payment_intent").by_id[session["payment_intent"]]
    payments.charge_intent(world, account, intent, terms)
    session["payment_status"] = "paid"
    emit(world, account, "checkout.session.async_payment_succeeded", session)


def expire(world: World, account: Account, session: Json) -> None:
    session.update(status="expired", url=None)
    emit(world, account, "checkout.session.expired", session)


def _total(session: Json, lines: Sequence[Line], shipping_amount: int) -> None:
    session["amount_subtotal"] = sum(line.subtotal for line in lines)
    session["amount_total"] = sum(line.total for line in lines) + shipping_amount
    session["total_details"] = {
        "amount_discount": sum(line.discount for line in lines),
        "amount_shipping": shipping_amount,
        "amount_tax": sum(line.tax for line in lines),
    }
    if any(line.taxes for line in lines):
        session["automatic_tax"] = {
            "enabled": True,
            "liability": {"type": "self"},
            "provider": "stripe",
            "status": "complete",
        }


def _details(billing: Json) -> Json:
    full = shapes.billing_details(billing)
    return {
        "address": full["address"],
        "business_name": None,
        "email": full["email"],
        "individual_name": None,
        "name": full["name"],
        "phone": full["phone"],
        "tax_exempt": "none",
        "tax_ids": [],
    }
