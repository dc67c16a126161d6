"""Products, prices, plans and tax rates."""

from web.sandbox.stripe import shapes
from web.sandbox.stripe.api.common import given, metadata_of, remove, texts, update
from web.sandbox.stripe.errors import invalid_param
from web.sandbox.stripe.events import emit
from web.sandbox.stripe.operations import Call, Table
from web.sandbox.stripe.paging import field, resource
from web.sandbox.stripe.params import boolean, integer, mapping, required_text, text
from web.sandbox.stripe.world import Json

TABLE = Table()

_PRODUCT = {
    **texts("name", "description", "tax_code", "unit_label", "url", "statement_descriptor", "default_price"),
    "active": boolean,
}
_PRICE = {**texts("nickname", "lookup_key", "tax_behavior"), "active": boolean}
_RATE = {**texts("display_name", "description", "country", "state", "jurisdiction", "tax_type"), "active": boolean}

resource(TABLE, "/v1/products", "product", filters={"active": field("active")})
resource(
    TABLE,
    "/v1/prices",
    "price",
    filters={
        "active": field("active"),
        "product": field("product"),
        "currency": field("currency"),
        "type": field("type"),
    },
)
resource(TABLE, "/v1/tax_rates", "tax_rate", filters={"active": field("active"), "inclusive": field("inclusive")})


@TABLE.post("/v1/products", "product_write")
def create_product(call: Call) -> Json:
    product = shapes.product(call.world, call.account, required_text(call.params, "name"))
    product.update(given(call.params, _PRODUCT), metadata=metadata_of(call))
    call.account.add(product)
    price_data = mapping(call.params, "default_price_data")
    if price_data:
        price = _new_price(call, product["id"], price_data)
        product["default_price"] = price["id"]
        emit(call.world, call.account, "price.created", price)
    emit(call.world, call.account, "product.created", product)
    return product


@TABLE.post("/v1/products/{id}", "product_write")
def change_product(call: Call) -> Json:
    product = update(call, "product", _PRODUCT)
    product["updated"] = call.world.now()
    return product


@TABLE.delete("/v1/products/{id}", "product_write")
def delete_product(call: Call) -> Json:
    product = call.load("product")
    if any(p["product"] == product["id"] for p in call.account.shelf("price").newest_first()):
        message = "This product cannot be deleted because it has one or more user-created prices."
        raise invalid_param("id", message)
    return remove(call, "product")


@TABLE.post("/v1/prices", "plan_write")
def create_price(call: Call) -> Json:
    product_data = mapping(call.params, "product_data")
    if product_data:
        product = shapes.product(call.world, call.account, required_text(product_data, "name"))
        call.account.add(product)
        emit(call.world, call.account, "product.created", product)
    else:
        product = call.load("product", required_text(call.params, "product"), param="product")
    price = _new_price(call, product["id"], call.params)
    price["metadata"] = metadata_of(call)
    emit(call.world, call.account, "price.created", price)
    return price


@TABLE.post("/v1/prices/{id}", "plan_write")
def change_price(call: Call) -> Json:
    return update(call, "price", _PRICE)


@TABLE.post("/v1/tax_rates", "tax_rates_write")
def create_rate(call: Call) -> Json:
    percentage = required_text(call.params, "percentage")
    try:
        value = float(percentage)
    except ValueError:
        raise invalid_param("percentage", f"Invalid decimal: {percentage}") from None
    rate = shapes.tax_rate(
        call.world,
        call.account,
        required_text(call.params, "display_name"),
        value,
        inclusive=boolean(call.params, "inclusive"),
    )
    rate.update(given(call.params, _RATE), metadata=metadata_of(call))
    call.account.add(rate)
    emit(call.world, call.account, "tax_rate.created", rate)
    return rate


@TABLE.post("/v1/tax_rates/{id}", "tax_rates_write")
def change_rate(call: Call) -> Json:
    return update(call, "tax_rate", _RATE)


def _new_price(call: Call, product_id: str, params: Json) -> Json:
    currency = required_text(params, "currency").lower()
    price = shapes.price(call.world, call.account, product_id, integer(params, "unit_amount"), currency)
    price.update(given(params, _PRICE))
    recurring = mapping(params, "recurring")
    if recurring:
        price["type"] = "recurring"
        price["recurring"] = {
            "interval": text(recurring, "interval") or "month",
            "interval_count": integer(recurring, "interval_count") or 1,
            "meter": None,
            "trial_period_days": None,
            "usage_type": "licensed",
        }
    return call.account.add(price)
