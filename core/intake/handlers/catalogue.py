"""Events about products and prices: the services that the mapping page lists."""

from typing import Any

from core.db.models import ItemKind
from core.intake.handlers.registry import Target, handles, id_of, is_product_id


@handles("product.created", "product.updated", "product.deleted")
def product_changed(obj: dict[str, Any]) -> list[Target]:
    """A service has a new name or is gone."""
    product_id = id_of(obj)
    return [Target(ItemKind.FETCH_SERVICE, product_id)] if product_id and is_product_id(product_id) else []


@handles("price.created", "price.updated")
def price_changed(obj: dict[str, Any]) -> list[Target]:
    """A service may cost something else now."""
    product_id = id_of(obj.get("product"))
    return [Target(ItemKind.FETCH_SERVICE, product_id)] if product_id and is_product_id(product_id) else []
