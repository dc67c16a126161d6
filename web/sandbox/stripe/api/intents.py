"""Payment intents and setup intents."""

from web.sandbox.stripe import disputes, payments, shapes, shapes_payment
from web.sandbox.stripe.api.common import given, metadata_of, texts, update
from web.sandbox.stripe.cards import behaviour_of, method_of, other_method
from web.sandbox.stripe.errors import StripeError, invalid_param
from web.sandbox.stripe.events import emit
from web.sandbox.stripe.operations import Call, Table
from web.sandbox.stripe.paging import field, page_of, resource
from web.sandbox.stripe.params import boolean, integer, mapping, required_integer, required_text, sequence, text
from web.sandbox.stripe.payments import Settlement
from web.sandbox.stripe.world import Json

TABLE = Table()

_FIELDS = {
    **texts(
        "customer",
        "customer_account",
        "description",
        "on_behalf_of",
        "receipt_email",
        "setup_future_usage",
        "statement_descriptor",
        "statement_descriptor_suffix",
        "transfer_group",
    ),
    "application_fee_amount": integer,
    "shipping": lambda params, name: shapes.shipping(mapping(params, name)),
}
_CANCELABLE = {"requires_payment_method", "requires_capture", "requires_confirmation", "requires_action", "processing"}

resource(TABLE, "/v1/payment_intents", "payment_intent", filters={"customer": field("customer")})
resource(TABLE, "/v1/setup_intents", "setup_intent", filters={"customer": field("customer")})


@TABLE.post("/v1/payment_intents", "payment_intent_write")
def create(call: Call) -> Json:
    amount = required_integer(call.params, "amount")
    currency = required_text(call.params, "currency").lower()
    if amount < 1:
        message = "This value must be greater than or equal to 1."
        raise StripeError(message, code="parameter_invalid_integer", param="amount")
    if len(currency) != 3 or not currency.isalpha():
        raise invalid_param("currency", f"Invalid currency: {currency}.")
    intent = shapes_payment.payment_intent(call.world, call.account, amount, currency)
    intent.update(given(call.params, _FIELDS), metadata=metadata_of(call))
    if intent["customer"]:
        call.load("customer", intent["customer"], param="customer")
    if intent["application_fee_amount"]:
        intent["application"] = call.world.settings.stripe_client_id
    intent["capture_method"] = text(call.params, "capture_method") or "automatic_async"
    intent["confirmation_method"] = text(call.params, "confirmation_method") or "automatic"
    types = sequence(call.params, "payment_method_types")
    if types:
        intent["payment_method_types"] = types
    call.account.add(intent)
    emit(call.world, call.account, "payment_intent.created", intent)
    if text(call.params, "payment_method") or "payment_method_data" in call.params:
        intent["payment_method"] = _method(call, intent)["id"]
        intent["status"] = "requires_confirmation"
    if boolean(call.params, "confirm"):
        return _confirm(call, intent)
    return intent


@TABLE.post("/v1/payment_intents/{id}", "payment_intent_write")
def change(call: Call) -> Json:
    return update(call, "payment_intent", _FIELDS)


@TABLE.post("/v1/payment_intents/{id}/confirm", "payment_intent_write")
def confirm(call: Call) -> Json:
    intent = call.load("payment_intent")
    if text(call.params, "payment_method") or "payment_method_data" in call.params:
        intent["payment_method"] = _method(call, intent)["id"]
    if intent["status"] not in {"requires_payment_method", "requires_confirmation", "requires_action"}:
        raise _unexpected_state(intent, "confirm")
    return _confirm(call, intent)


@TABLE.post("/v1/payment_intents/{id}/capture", "payment_intent_write")
def capture(call: Call) -> Json:
    intent = call.load("payment_intent")
    if intent["status"] != "requires_capture":
        raise _unexpected_state(intent, "capture")
    payments.capture(call.world, call.account, intent, integer(call.params, "amount_to_capture"))
    return intent


@TABLE.post("/v1/payment_intents/{id}/cancel", "payment_intent_write")
def cancel(call: Call) -> Json:
    intent = call.load("payment_intent")
    if intent["status"] not in _CANCELABLE:
        raise _unexpected_state(intent, "cancel")
    payments.cancel(call.world, call.account, intent, text(call.params, "cancellation_reason"))
    return intent


@TABLE.get("/v1/payment_intents/{id}/amount_details_line_items", "payment_intent_read")
def line_items(call: Call) -> Json:
    intent = call.load("payment_intent")
    url = f"/v1/payment_intents/{intent['id']}/amount_details_line_items"
    return page_of(call, intent.get("_l3", []), url)


@TABLE.post("/v1/setup_intents", "setup_intent_write")
def create_setup(call: Call) -> Json:
    intent = shapes.setup_intent(call.world, call.account)
    intent.update(given(call.params, texts("customer", "description")), metadata=metadata_of(call))
    call.account.add(intent)
    emit(call.world, call.account, "setup_intent.created", intent)
    token = text(call.params, "payment_method")
    if token:
        intent["payment_method"] = method_of(call.world, call.account, token)["id"]
        intent["status"] = "requires_confirmation"
    if boolean(call.params, "confirm"):
        _confirm_setup(call, intent)
    return intent


@TABLE.post("/v1/setup_intents/{id}/cancel", "setup_intent_write")
def cancel_setup(call: Call) -> Json:
    intent = call.load("setup_intent")
    intent.update(status="canceled", cancellation_reason=text(call.params, "cancellation_reason"))
    emit(call.world, call.account, "setup_intent.canceled", intent)
    return intent


def _confirm(call: Call, intent: Json) -> Json:
    world, account = call.world, call.account
    method = account.get("payment_method", intent["payment_method"] or "")
    if method is None:
        message = (
            "You cannot confirm this PaymentIntent because it's missing a payment method. You can either update the "
            "PaymentIntent with a payment method and then confirm it again, or confirm it again directly."
        )
        raise StripeError(message, code="payment_intent_unexpected_state")
    card = behaviour_of(method)
    if card.decline_code:
        error = payments.decline(world, account, intent, card.decline_code)
        raise StripeError(
            error["message"],
            status=402,
            type="card_error",
            code=error["code"],
            decline_code=error["decline_code"],
            charge=error["charge"],
        )
    if card.needs_action:
        intent.update(status="requires_action", next_action={"type": "use_stripe_sdk", "use_stripe_sdk": {}})
        emit(world, account, "payment_intent.requires_action", intent)
        return intent
    if method["type"] == "customer_balance":
        intent.update(status="requires_action", next_action={"type": "display_bank_transfer_instructions"})
        emit(world, account, "payment_intent.requires_action", intent)
        return intent
    # pm_card_bypassPending: the funds are there at once, so that a payout can follow in the same breath.
    terms = Settlement(available_on=world.now(), delay_s=0.0) if card.available_at_once else Settlement()
    charge = payments.charge_intent(world, account, intent, terms)
    if card.available_at_once:
        payments.settle(world, account, charge, terms, announce=True)
    if card.dispute:
        disputes.create(world, account, charge, inquiry=card.dispute == "inquiry")
    return intent


def _method(call: Call, intent: Json) -> Json:
    token = text(call.params, "payment_method")
    if token:
        return method_of(call.world, call.account, token)
    data = mapping(call.params, "payment_method_data")
    kind = text(data, "type") or "card"
    return other_method(call.world, call.account, kind, mapping(data, kind), mapping(data, "billing_details"))


def _confirm_setup(call: Call, intent: Json) -> None:
    method = call.account.get("payment_method", intent["payment_method"] or "")
    card = behaviour_of(method)
    if card.decline_code:
        intent.update(status="requires_payment_method", payment_method=None)
        intent["last_setup_error"] = {"code": "card_declined", "type": "card_error"}
        emit(call.world, call.account, "setup_intent.setup_failed", intent)
        message = "Your card was declined."
        raise StripeError(message, status=402, type="card_error", code="card_declined", decline_code=card.decline_code)
    if card.needs_action:
        intent.update(status="requires_action", next_action={"type": "use_stripe_sdk", "use_stripe_sdk": {}})
        emit(call.world, call.account, "setup_intent.requires_action", intent)
        return
    if method and intent["customer"]:
        method["customer"] = intent["customer"]
    intent["status"] = "succeeded"
    emit(call.world, call.account, "setup_intent.succeeded", intent)


def _unexpected_state(intent: Json, verb: str) -> StripeError:
    message = f"You cannot {verb} this PaymentIntent because it has a status of {intent['status']}."
    return StripeError(message, code="payment_intent_unexpected_state", payment_intent={"id": intent["id"]})
