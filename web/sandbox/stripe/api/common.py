"""What several families share: updates with their event, and removal."""

from collections.abc import Callable
from typing import Any

from web.sandbox.stripe.events import emit
from web.sandbox.stripe.operations import Call
from web.sandbox.stripe.params import merge_metadata, text
from web.sandbox.stripe.shapes import deleted
from web.sandbox.stripe.world import Json

Reader = Callable[[dict[str, Any], str], Any]


def given(params: dict[str, Any], fields: dict[str, Reader]) -> Json:
    """The listed fields that the request carries, read by their readers; metadata apart."""
    return {name: read(params, name) for name, read in fields.items() if name in params}


def texts(*names: str) -> dict[str, Reader]:
    return dict.fromkeys(names, text)


def update(call: Call, kind: str, fields: dict[str, Reader], *, event: str | None = None) -> Json:
    """``POST /v1/things/{id}``: change the given fields and say so, with the old values."""
    item = call.load(kind)
    changes = given(call.params, fields)
    if "metadata" in call.params:
        changes["metadata"] = merge_metadata(item["metadata"] or {}, call.params)
    previous = {name: item[name] for name, value in changes.items() if item.get(name) != value}
    item.update(changes)
    if previous:
        emit(call.world, call.account, event or f"{kind}.updated", item, previous=previous)
    return item


def remove(call: Call, kind: str, *, event: str | None = None) -> Json:
    """``DELETE /v1/things/{id}``."""
    item = call.load(kind)
    call.account.shelf(kind).remove(item["id"])
    emit(call.world, call.account, event or f"{kind}.deleted", item)
    call.account.tombstones[item["id"]] = deleted(item)
    return deleted(item)


def metadata_of(call: Call) -> dict[str, str]:
    return merge_metadata({}, call.params)
