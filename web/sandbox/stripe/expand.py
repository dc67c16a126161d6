"""``expand``: turns ids into objects, and adds the lists that are left out by default."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

from web.sandbox.stripe import shapes
from web.sandbox.stripe.auth import Caller
from web.sandbox.stripe.errors import StripeError
from web.sandbox.stripe.present import shown
from web.sandbox.stripe.shapes import list_object
from web.sandbox.stripe.world import Account, Json, World, public

MAX_DEPTH = 4
_LIST_PAGE = 10
_LEFT_OUT = {("refund", "failure_balance_transaction")}
"""Fields that the API knows and leaves out while they have no value: asking to expand one is no mistake."""


def expand(world: World, caller: Caller, body: Json, paths: list[Any]) -> Json:
    """Apply every path of ``expand`` to ``body`` (changed in place).

    Raises:
        StripeError: for a path that is too deep, or leads to something that cannot be expanded.
    """
    for path in paths:
        parts = str(path).split(".")
        if len(parts) > MAX_DEPTH:
            message = f"You cannot expand more than {MAX_DEPTH} levels of a property. Property: {path}"
            raise StripeError(message, param="expand")
        _walk(world, caller, body, parts, str(path))
    return body


def _walk(world: World, caller: Caller, node: Json, parts: list[str], path: str) -> None:
    name, rest = parts[0], parts[1:]
    if name == "amount_details" and rest == ["line_items"] and node.get("object") == "payment_intent":
        node[name]["line_items"] = _intent_line_items(world, caller.account, node)
        return
    if node.get("object") == "list" and name == "data":
        for child in node["data"]:
            if rest:
                _walk(world, caller, child, rest, path)
        return
    extra = _EXTRAS.get((str(node.get("object")), name))
    if extra is not None and not node.get(name):
        caller.require_kind(_EXTRA_KIND.get(name))
        node[name] = extra(world, caller.account, node)
    elif name not in node and (str(node.get("object")), name) in _LEFT_OUT:
        return
    elif name not in node:
        message = f"This property cannot be expanded ({path})."
        raise StripeError(message, param="expand")
    node[name] = _resolve(world, caller, node, name, path)
    for child in _children(node[name]):
        if rest:
            _walk(world, caller, child, rest, path)


def _resolve(world: World, caller: Caller, node: Json, name: str, path: str) -> Any:
    value = node[name]
    if isinstance(value, list):
        return [_object_of(world, caller, v, path) if isinstance(v, str) else v for v in value]
    if not isinstance(value, str):
        return value
    if node.get("object") == "balance_transaction" and name == "source":
        caller.require("balance_transaction_source_read")
        if caller.account.find(value) is None:
            # A row that the control API made up may name something that exists in its name alone.
            return value
    return _object_of(world, caller, value, path)


def _object_of(world: World, caller: Caller, object_id: str, path: str) -> Json:
    if object_id in world.accounts:
        return shapes.account_object(world.accounts[object_id])
    item = caller.account.find(object_id)
    if item is None:
        message = f"This property cannot be expanded ({path})."
        raise StripeError(message, param="expand")
    caller.require_kind(item["object"])
    return shown(world, caller.account, item)


def _children(value: Any) -> list[Json]:
    if isinstance(value, dict):
        return [value]
    return [child for child in value if isinstance(child, dict)] if isinstance(value, list) else []


def _stored(account: Account, node: Json) -> Json:
    return account.shelf(node["object"]).by_id[node["id"]]


def _session_items(world: World, account: Account, session: Json) -> Json:
    items = _stored(account, session)["_items"]
    url = f"/v1/checkout/sessions/{session['id']}/line_items"
    return list_object(url, [public(i) for i in items[:_LIST_PAGE]], has_more=len(items) > _LIST_PAGE)


def _link_items(world: World, account: Account, link: Json) -> Json:
    items = _stored(account, link)["_items"]
    url = f"/v1/payment_links/{link['id']}/line_items"
    return list_object(url, [public(i) for i in items[:_LIST_PAGE]], has_more=len(items) > _LIST_PAGE)


def _charge_refunds(world: World, account: Account, charge: Json) -> Json:
    found = [r for r in account.shelf("refund").newest_first() if r["charge"] == charge["id"]]
    data = [shown(world, account, r) for r in found[:_LIST_PAGE]]
    return list_object(f"/v1/charges/{charge['id']}/refunds", data, has_more=len(found) > _LIST_PAGE)


def _invoice_payments(world: World, account: Account, invoice: Json) -> Json:
    shelf = account.shelf("invoice_payment")
    found = [shelf.by_id[payment_id] for payment_id in _stored(account, invoice)["_payments"]]
    data = [public(p) for p in found[:_LIST_PAGE]]
    return list_object("/v1/invoice_payments", data, has_more=len(found) > _LIST_PAGE)


def _line_taxes(world: World, account: Account, item: Json) -> Any:
    return deepcopy(account.line_items.get(item["id"], item).get("_taxes", []))


def _line_discounts(world: World, account: Account, item: Json) -> Any:
    return deepcopy(account.line_items.get(item["id"], item).get("_discounts", []))


def _intent_line_items(world: World, account: Account, intent: Json) -> Json:
    lines = _stored(account, intent).get("_l3", [])
    url = f"/v1/payment_intents/{intent['id']}/amount_details_line_items"
    return list_object(url, deepcopy(lines[:_LIST_PAGE]), has_more=len(lines) > _LIST_PAGE)


_EXTRAS: dict[tuple[str, str], Callable[[World, Account, Json], Any]] = {
    ("checkout.session", "line_items"): _session_items,
    ("payment_link", "line_items"): _link_items,
    ("charge", "refunds"): _charge_refunds,
    ("invoice", "payments"): _invoice_payments,
    ("item", "taxes"): _line_taxes,
    ("item", "discounts"): _line_discounts,
    ("payment_intent", "amount_details_line_items"): _intent_line_items,
}
_EXTRA_KIND = {"refunds": "refund", "payments": "invoice"}
