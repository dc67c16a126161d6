"""Taking money: confirm an intent, make its charge, settle it later, decline, capture, cancel."""

from dataclasses import dataclass, field
from typing import Any

from web.sandbox.stripe import shapes, shapes_payment
from web.sandbox.stripe.currency import card_fee, convert
from web.sandbox.stripe.events import emit
from web.sandbox.stripe.ledger import fee_line, post
from web.sandbox.stripe.world import Account, Json, World


@dataclass
class Settlement:
    """How a charge turns into a balance transaction; everything not given is worked out."""

    fee: int | None = None
    """Total fee in settled minor units; the part that is no application fee or tax is Stripe's."""
    fee_details: list[Json] | None = None
    """Exact fee lines; they win over ``fee``."""
    fee_tax: int = 0
    foreign_card: bool = False
    settled_currency: str | None = None
    settled_amount: int | None = None
    exchange_rate: float | None = None
    available_on: int | None = None
    delay_s: float | None = None
    """Seconds until the balance transaction exists; None = the sandbox's setting, drawn at random."""
    send_events: bool = True
    imported: bool = False
    """History: everything carries the date of its intent, not of now."""


@dataclass
class Card:
    """What a payment method does when it is charged."""

    decline_code: str | None = None
    needs_action: bool = False
    dispute: str | None = None
    """``dispute`` or ``inquiry``: opened right after the payment."""
    available_at_once: bool = False
    details: Json = field(default_factory=dict)


def charge_intent(world: World, account: Account, intent: Json, settlement: Settlement | None = None) -> Json:
    """Charge a confirmed intent now; emits charge.succeeded and payment_intent.succeeded in the same second."""
    terms = settlement or Settlement()
    now = intent["created"] if terms.imported else world.now()
    made = shapes_payment.charge(world, account, intent["amount"], intent["currency"], prefix="ch_", at=now)
    _copy_from_intent(account, made, intent)
    manual = intent["capture_method"] == "manual"
    account.add(made)
    intent["latest_charge"] = made["id"]
    if manual:
        intent.update(status="requires_capture", amount_capturable=intent["amount"])
        emit(world, account, "charge.succeeded", made, send=terms.send_events)
        emit(world, account, "payment_intent.amount_capturable_updated", intent, send=terms.send_events)
        return made
    made.update(captured=True, amount_captured=made["amount"])
    intent.update(status="succeeded", amount_received=intent["amount"], amount_capturable=0)
    if intent["capture_method"] == "automatic":
        settle(world, account, made, terms, announce=False)
    emit(world, account, "charge.succeeded", made, at=now, send=terms.send_events)
    emit(world, account, "payment_intent.succeeded", intent, at=now, send=terms.send_events)
    if intent["capture_method"] != "automatic":
        settle_later(world, account, made, terms)
    return made


def capture(world: World, account: Account, intent: Json, amount: int | None, terms: Settlement | None = None) -> None:
    """Capture an authorised intent, wholly or in part; the rest is released."""
    captured = intent["amount"] if amount is None else amount
    charge = account.shelf("charge").by_id[intent["latest_charge"]]
    charge.update(captured=True, amount_captured=captured)
    intent.update(status="succeeded", amount_received=captured, amount_capturable=0)
    emit(world, account, "charge.captured", charge)
    emit(world, account, "payment_intent.succeeded", intent)
    settle_later(world, account, charge, terms or Settlement())


def decline(world: World, account: Account, intent: Json, decline_code: str) -> Json:
    """A refused card: a failed charge, an intent that wants another payment method. Returns the error."""
    made = shapes_payment.charge(world, account, intent["amount"], intent["currency"], prefix="ch_")
    _copy_from_intent(account, made, intent)
    made.update(status="failed", paid=False, failure_code="card_declined", failure_message="Your card was declined.")
    made["outcome"] = {**made["outcome"], "type": "issuer_declined", "network_status": "declined_by_network"}
    account.add(made)
    error = {
        "charge": made["id"],
        "code": "card_declined",
        "decline_code": decline_code,
        "doc_url": "https://docs.stripe.com/error-codes#card-declined",
        "message": "Your card was declined.",
        "type": "card_error",
    }
    intent.update(status="requires_payment_method", latest_charge=made["id"], last_payment_error=error)
    intent["payment_method"] = None
    emit(world, account, "charge.failed", made)
    emit(world, account, "payment_intent.payment_failed", intent)
    return error


def cancel(world: World, account: Account, intent: Json, reason: str | None) -> None:
    intent.update(status="canceled", canceled_at=world.now(), cancellation_reason=reason, amount_capturable=0)
    emit(world, account, "payment_intent.canceled", intent)


def direct_charge(world: World, account: Account, charge: Json, terms: Settlement) -> Json:
    """A charge without an intent: what the receiving side of a destination charge sees (``py_``)."""
    charge.update(captured=True, amount_captured=charge["amount"])
    account.add(charge)
    settle(world, account, charge, terms, announce=False, kind="payment")
    emit(world, account, "charge.succeeded", charge, send=terms.send_events)
    return charge


def settle_later(world: World, account: Account, charge: Json, terms: Settlement) -> None:
    """Asynchronous capture: the balance transaction follows in ``charge.updated``."""
    delay = terms.delay_s
    if delay is None:
        least, most = world.settings.stripe_bt_delay_s
        delay = least + (most - least) * world.clock.random()
    world.scheduler.later(delay, lambda: settle(world, account, charge, terms, announce=True))


def settle(
    world: World, account: Account, charge: Json, terms: Settlement, *, announce: bool, kind: str = "charge"
) -> None:
    """Write the balance transaction of a charge (once)."""
    if charge["balance_transaction"] is not None:
        return
    currency = terms.settled_currency or (account.currency if _converts(terms) else charge["currency"])
    amount, rate = _settled(charge, currency, terms)
    fees = _fee_lines(world, charge, amount, currency, terms)
    row = post(
        world,
        account,
        kind=kind,
        amount=amount,
        currency=currency,
        source=charge["id"],
        description=charge["description"],
        fees=fees,
        exchange_rate=rate,
        available_on=terms.available_on,
        created=charge["created"] if terms.imported else None,
    )
    previous: Json = {"balance_transaction": None}
    charge["balance_transaction"] = row["id"]
    if charge["application_fee_amount"]:
        previous["application_fee"] = None
        _book_application_fee(world, account, charge)
    if announce:
        emit(world, account, "charge.updated", charge, previous=previous, send=terms.send_events)


def _converts(terms: Settlement) -> bool:
    return terms.settled_amount is not None or terms.exchange_rate is not None


def _settled(charge: Json, currency: str, terms: Settlement) -> tuple[int, float | None]:
    amount = int(charge["amount_captured"])
    if currency == charge["currency"]:
        return amount, None
    if terms.settled_amount is not None:
        rate = terms.exchange_rate
        if rate is None:
            unit = convert(amount, charge["currency"], currency, 1.0) or 1
            rate = round(terms.settled_amount / unit, 5)
        return terms.settled_amount, rate
    rate = terms.exchange_rate or 1.0
    return convert(amount, charge["currency"], currency, rate), rate


def _fee_lines(world: World, charge: Json, amount: int, currency: str, terms: Settlement) -> list[Json]:
    if terms.fee_details is not None:
        return [
            fee_line(line["amount"], currency, line.get("type", "stripe_fee"), line.get("description"))
            | {"application": line.get("application")}
            for line in terms.fee_details
        ]
    app_fee = int(charge["application_fee_amount"] or 0)
    converted = currency != charge["currency"]
    total = terms.fee
    if total is None:
        total = card_fee(amount, currency, foreign=terms.foreign_card, converted=converted)
        total += app_fee + terms.fee_tax
    lines = []
    if app_fee:
        client_id = charge["application"] or world.settings.stripe_client_id
        line = fee_line(app_fee, currency, "application_fee", "Booking platform application fee")
        lines.append(line | {"application": client_id})
    stripe_part = total - app_fee - terms.fee_tax
    if stripe_part:
        lines.append(fee_line(stripe_part, currency))
    if terms.fee_tax:
        lines.append(fee_line(terms.fee_tax, currency, "tax", "Tax on Stripe fees"))
    return lines


def _book_application_fee(world: World, account: Account, charge: Json) -> None:
    platform = world.platform
    amount = charge["application_fee_amount"]
    client_id = charge["application"] or world.settings.stripe_client_id
    fee = shapes_payment.application_fee(world, account, charge, amount, client_id)
    row = post(world, platform, kind="application_fee", amount=amount, currency=charge["currency"], source=fee["id"])
    fee["balance_transaction"] = row["id"]
    platform.add(fee)
    charge["application_fee"] = fee["id"]
    emit(world, platform, "application_fee.created", fee)


def _copy_from_intent(account: Account, charge: Json, intent: Json) -> None:
    for name in (
        "application",
        "application_fee_amount",
        "customer",
        "description",
        "on_behalf_of",
        "payment_method",
        "receipt_email",
        "shipping",
        "statement_descriptor",
        "statement_descriptor_suffix",
        "transfer_group",
    ):
        charge[name] = intent[name]
    charge["payment_intent"] = intent["id"]
    charge["metadata"] = dict(intent["metadata"])
    if "presentment_details" in intent:
        charge["presentment_details"] = intent["presentment_details"]
    method: dict[str, Any] = account.get("payment_method", intent["payment_method"] or "") or {}
    charge["billing_details"] = shapes.billing_details(intent.get("_billing") or method.get("billing_details"))
    kind = method.get("type", "card")
    charge["payment_method_details"] = {"type": kind, kind: _shown_details(method.get(kind) or {})}


def _shown_details(details: Json) -> Json:
    names = ("brand", "country", "exp_month", "exp_year", "fingerprint", "funding", "last4", "network", "bank_name")
    return {name: details[name] for name in names if name in details}
