"""Reads Stripe's form encoding: ``a[b]=1``, ``a[]=1``, ``a[0][b]=1`` become nested dicts and lists."""

import re
from typing import Any
from urllib.parse import parse_qsl

from web.sandbox.stripe.errors import StripeError, invalid_param, missing_param

Params = dict[str, Any]

_MAX_FIELDS = 2000
_KEY = re.compile(r"^([^\[\]]+)((?:\[[^\[\]]*\])*)$")
_PART = re.compile(r"\[([^\[\]]*)\]")


def decode(raw: str) -> Params:
    """Decode a query string or form body.

    Raises:
        StripeError: for a key that is no well-formed path, or one that is both a value and a container.
    """
    tree: Params = {}
    for key, value in parse_qsl(raw, keep_blank_values=True, max_num_fields=_MAX_FIELDS):
        match = _KEY.match(key)
        if match is None:
            raise invalid_param(key, f"Invalid parameter name: {key}")
        _put(tree, [match[1], *_PART.findall(match[2])], value, key)
    return {name: _listify(child) for name, child in tree.items()}


def flat(body: bytes) -> dict[str, str]:
    """A plain form; the last of repeated fields wins, brackets mean nothing."""
    return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=_MAX_FIELDS))


def _put(tree: Params, path: list[str], value: str, key: str) -> None:
    node = tree
    for part in path[:-1]:
        # An empty bracket starts a new entry: [] followed by more is "append".
        name = part or str(len(node))
        child = node.setdefault(name, {})
        if not isinstance(child, dict):
            raise invalid_param(key, f"Invalid object: {key}")
        node = child
    node[path[-1] or str(len(node))] = value


def _listify(node: Any) -> Any:
    if not isinstance(node, dict):
        return node
    children = {name: _listify(child) for name, child in node.items()}
    if children and all(name.isdigit() for name in children):
        return [children[name] for name in sorted(children, key=int)]
    return children


def text(params: Params, name: str) -> str | None:
    """A string; the empty string means "unset", as Stripe treats it."""
    value = params.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise invalid_param(name, f"Invalid string: {name}")
    return value


def required_text(params: Params, name: str) -> str:
    value = text(params, name)
    if value is None:
        raise missing_param(name)
    return value


def integer(params: Params, name: str) -> int | None:
    value = text(params, name)
    if value is None:
        return None
    if not re.fullmatch(r"-?\d{1,15}", value):
        raise StripeError(f"Invalid integer: {value}", code="parameter_invalid_integer", param=name)
    return int(value)


def required_integer(params: Params, name: str) -> int:
    value = integer(params, name)
    if value is None:
        raise missing_param(name)
    return value


def boolean(params: Params, name: str, *, default: bool = False) -> bool:
    value = text(params, name)
    if value is None:
        return default
    if value not in {"true", "false"}:
        raise invalid_param(name, f"Invalid boolean: {value}")
    return value == "true"


def mapping(params: Params, name: str) -> Params:
    value = params.get(name)
    if value is None or value == "":
        return {}
    if not isinstance(value, dict):
        raise invalid_param(name, f"Invalid object: {name}")
    return value


def sequence(params: Params, name: str) -> list[Any]:
    value = params.get(name)
    if value is None or value == "":
        return []
    if isinstance(value, list):
        return value
    if isinstance(value, dict):
        return [value]
    raise invalid_param(name, f"Invalid array: {name}")


def mappings(params: Params, name: str) -> list[Params]:
    """A list of objects."""
    entries = sequence(params, name)
    for entry in entries:
        if not isinstance(entry, dict):
            raise invalid_param(name, f"Invalid object: {name}")
    return entries


def merge_metadata(current: dict[str, str], params: Params) -> dict[str, str]:
    """New metadata: given keys are set, empty values remove a key, an empty ``metadata`` removes all."""
    if params.get("metadata") == "":
        return {}
    merged = {**current, **{key: str(value) for key, value in mapping(params, "metadata").items()}}
    return {key: value for key, value in merged.items() if value != ""}
