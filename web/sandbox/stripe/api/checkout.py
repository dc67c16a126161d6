"""Checkout sessions, payment links, and the payment page that the Stripe CLI drives."""

from typing import Any

from web.sandbox.stripe import checkout, sales, shapes, shapes_billing
from web.sandbox.stripe.api.common import given, metadata_of, texts, update
from web.sandbox.stripe.cards import behaviour_of
from web.sandbox.stripe.errors import StripeError, missing_param
from web.sandbox.stripe.events import emit
from web.sandbox.stripe.operations import Call, Table
from web.sandbox.stripe.paging import field, page_of, resource
from web.sandbox.stripe.params import boolean, integer, mapping, mappings, required_text, sequence, text
from web.sandbox.stripe.payments import Settlement
from web.sandbox.stripe.sales import Line
from web.sandbox.stripe.world import Json

TABLE = Table()

_DELAYED_METHODS = {"sepa_debit", "us_bank_account", "bacs_debit", "acss_debit", "au_becs_debit"}


def _of_customer_details(call: Call, row: Json, value: Any) -> bool:
    details = row["customer_details"] or {}
    return bool(details.get("email") == value.get("email")) if isinstance(value, dict) else False


resource(
    TABLE,
    "/v1/checkout/sessions",
    "checkout.session",
    filters={
        "payment_intent": field("payment_intent"),
        "payment_link": field("payment_link"),
        "customer": field("customer"),
        "status": field("status"),
        "customer_details": _of_customer_details,
    },
)
resource(TABLE, "/v1/payment_links", "payment_link", filters={"active": field("active")})


@TABLE.post("/v1/checkout/sessions", "checkout_session_write")
def create_session(call: Call) -> Json:
    lines, currency = _lines(call)
    session = checkout.open_session(call.world, call.account, lines, currency)
    session.update(
        given(call.params, texts("success_url", "cancel_url", "client_reference_id", "customer", "customer_email")),
        metadata=metadata_of(call),
        mode=text(call.params, "mode") or "payment",
        payment_method_types=sequence(call.params, "payment_method_types") or ["card"],
        _intent_data=mapping(call.params, "payment_intent_data"),
    )
    return session


@TABLE.get("/v1/checkout/sessions/{id}/line_items", "checkout_session_read")
def session_items(call: Call) -> Json:
    session = call.load("checkout.session")
    return page_of(call, session["_items"], f"/v1/checkout/sessions/{session['id']}/line_items")


@TABLE.post("/v1/checkout/sessions/{id}/expire", "checkout_session_write")
def expire_session(call: Call) -> Json:
    session = call.load("checkout.session")
    if session["status"] != "open":
        message = f'Only Checkout Sessions with a status in ["open"] can be expired. It is {session["status"]}.'
        raise StripeError(message)
    checkout.expire(call.world, call.account, session)
    return session


@TABLE.post("/v1/payment_links", "payment_links_write")
def create_link(call: Call) -> Json:
    lines, currency = _lines(call)
    link = shapes_billing.payment_link(call.world, call.account, currency)
    link["_items"] = [sales.session_item(call.world, call.account, line, currency) for line in lines]
    link["_lines"] = lines
    link["metadata"] = metadata_of(call)
    call.account.add(link)
    emit(call.world, call.account, "payment_link.created", link)
    return link


@TABLE.post("/v1/payment_links/{id}", "payment_links_write")
def change_link(call: Call) -> Json:
    return update(call, "payment_link", {"active": boolean})


@TABLE.get("/v1/payment_links/{id}/line_items", "payment_links_read")
def link_items(call: Call) -> Json:
    link = call.load("payment_link")
    return page_of(call, link["_items"], f"/v1/payment_links/{link['id']}/line_items")


@TABLE.get("/v1/payment_pages/{id}")
def payment_page(call: Call) -> Json:
    session = call.load("checkout.session")
    return {"id": session["id"], "object": "payment_page", "session_id": session["id"], "created": session["created"]}


@TABLE.post("/v1/payment_pages/{id}/confirm")
def confirm_page(call: Call) -> Json:
    """What the hosted page does when the client presses "Pay"; undocumented, used by ``stripe trigger``."""
    world, account = call.world, call.account
    session = call.load("checkout.session")
    if integer(call.params, "expected_amount") not in {None, session["amount_total"]}:
        message = "The expected amount does not match the session."
        raise StripeError(message)
    method = call.load("payment_method", required_text(call.params, "payment_method"), param="payment_method")
    card = behaviour_of(method)
    if card.decline_code:
        message = "Your card was declined."
        raise StripeError(message, status=402, type="card_error", code="card_declined")
    data = session.get("_intent_data", {})
    delayed = method["type"] in _DELAYED_METHODS
    checkout.pay_session(
        world,
        account,
        session,
        billing=method["billing_details"],
        payment_method=method["id"],
        intent_fields={
            "description": text(data, "description"),
            "metadata": dict(mapping(data, "metadata")),
            "shipping": shapes.shipping(mapping(data, "shipping")),
        },
        settles_later=delayed,
    )
    if delayed:
        checkout.money_arrives(world, account, session, Settlement())
    return {"id": session["id"], "object": "payment_page", "created": session["created"], "status": "complete"}


def _lines(call: Call) -> tuple[list[Line], str]:
    entries = mappings(call.params, "line_items")
    if not entries:
        raise missing_param("line_items")
    lines = [_line(call, entry) for entry in entries]
    first = next((line.price for line in lines if line.price), None)
    currency = first["currency"] if first else (text(call.params, "currency") or call.account.currency)
    return lines, str(currency)


def _line(call: Call, entry: Json) -> Line:
    quantity = integer(entry, "quantity") or 1
    price_id = text(entry, "price")
    if price_id:
        price = call.load("price", price_id, param="line_items[price]")
    else:
        data = mapping(entry, "price_data")
        product_id = text(data, "product")
        if product_id:
            product = call.load("product", product_id, param="line_items[price_data][product]")
        else:
            product = shapes.product(call.world, call.account, required_text(mapping(data, "product_data"), "name"))
            call.account.add(product)
        currency = required_text(data, "currency").lower()
        price = shapes.price(call.world, call.account, product["id"], integer(data, "unit_amount"), currency)
        call.account.add(price)
    line = sales.line_of_price(call.account, price, quantity)
    for rate_id in sequence(entry, "tax_rates"):
        rate = call.load("tax_rate", str(rate_id), param="line_items[tax_rates]")
        line.taxes.append(sales.Tax(rate["percentage"], rate["inclusive"], rate["display_name"], rate_id=rate["id"]))
    return line
