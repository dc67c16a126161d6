"""Customers, payment methods, cards of old."""

from web.sandbox.stripe import shapes
from web.sandbox.stripe.api.common import given, metadata_of, remove, texts, update
from web.sandbox.stripe.cards import make_method, method_of, other_method
from web.sandbox.stripe.events import emit
from web.sandbox.stripe.operations import Call, Table
from web.sandbox.stripe.paging import field, page, resource
from web.sandbox.stripe.params import mapping, required_text, text
from web.sandbox.stripe.shapes import address, shipping
from web.sandbox.stripe.world import Json

TABLE = Table()

_FIELDS = {
    **texts("name", "email", "phone", "description", "tax_exempt"),
    "address": lambda params, name: address(mapping(params, name)),
    "shipping": lambda params, name: shipping(mapping(params, name)),
}

resource(TABLE, "/v1/customers", "customer", filters={"email": field("email")})
resource(TABLE, "/v1/payment_methods", "payment_method", filters={"customer": field("customer"), "type": field("type")})


@TABLE.post("/v1/customers", "customer_write")
def create(call: Call) -> Json:
    customer = shapes.customer(call.world, call.account)
    customer.update(given(call.params, _FIELDS), metadata=metadata_of(call))
    call.account.add(customer)
    emit(call.world, call.account, "customer.created", customer)
    token = text(call.params, "source") or text(call.params, "payment_method")
    if token:
        method = method_of(call.world, call.account, token)
        method["customer"] = customer["id"]
        customer["invoice_settings"]["default_payment_method"] = method["id"]
    return customer


@TABLE.post("/v1/customers/{id}", "customer_write")
def change(call: Call) -> Json:
    customer = update(call, "customer", _FIELDS)
    default = text(mapping(call.params, "invoice_settings"), "default_payment_method")
    if default:
        customer["invoice_settings"]["default_payment_method"] = default
    return customer


@TABLE.delete("/v1/customers/{id}", "customer_write")
def delete(call: Call) -> Json:
    return remove(call, "customer")


@TABLE.get("/v1/customers/{id}/payment_methods", "payment_method_read")
def methods(call: Call) -> Json:
    customer = call.load("customer")
    filters = {"customer": field("customer"), "type": field("type")}
    narrowed = Call(call.world, call.caller, call.ids, {**call.params, "customer": customer["id"]})
    return page(narrowed, "payment_method", f"/v1/customers/{customer['id']}/payment_methods", filters)


@TABLE.post("/v1/customers/{id}/sources", "customer_write")
def add_source(call: Call) -> Json:
    customer = call.load("customer")
    method = make_method(call.world, call.account, required_text(call.params, "source"))
    card: Json = {
        **{name: method["card"][name] for name in ("brand", "country", "exp_month", "exp_year", "funding", "last4")},
        "id": call.world.new_id("card_"),
        "object": "card",
        "created": call.world.now(),
        "customer": customer["id"],
        "fingerprint": method["card"]["fingerprint"],
        "metadata": {},
        "name": None,
    }
    call.account.add(card)
    customer["default_source"] = card["id"]
    emit(call.world, call.account, "customer.source.created", card)
    return card


@TABLE.post("/v1/customers/{id}/sources/{source}", "customer_write")
def change_source(call: Call) -> Json:
    call.load("customer")
    narrowed = Call(call.world, call.caller, call.ids[1:], call.params)
    return update(narrowed, "card", texts("name"), event="customer.source.updated")


@TABLE.post("/v1/payment_methods", "payment_method_write")
def create_method(call: Call) -> Json:
    kind = required_text(call.params, "type")
    billing = mapping(call.params, "billing_details")
    if kind != "card":
        return other_method(call.world, call.account, kind, mapping(call.params, kind), billing)
    token = text(mapping(call.params, "card"), "token") or "tok_visa"
    return make_method(call.world, call.account, token, billing)


@TABLE.post("/v1/payment_methods/{id}", "payment_method_write")
def change_method(call: Call) -> Json:
    return update(call, "payment_method", {})


@TABLE.post("/v1/payment_methods/{id}/attach", "payment_method_write")
def attach(call: Call) -> Json:
    customer = call.load("customer", required_text(call.params, "customer"), param="customer")
    method = method_of(call.world, call.account, call.ids[0])
    method["customer"] = customer["id"]
    emit(call.world, call.account, "payment_method.attached", method)
    return method


@TABLE.post("/v1/payment_methods/{id}/detach", "payment_method_write")
def detach(call: Call) -> Json:
    method = call.load("payment_method")
    before = method["customer"]
    method["customer"] = None
    emit(call.world, call.account, "payment_method.detached", method, previous={"customer": before})
    return method


@TABLE.post("/v1/tokens", "token_write")
def create_token(call: Call) -> Json:
    return {
        "id": "tok_visa",
        "object": "token",
        "card": None,
        "client_ip": None,
        "created": call.world.now(),
        "livemode": call.account.livemode,
        "type": "card",
        "used": False,
    }
