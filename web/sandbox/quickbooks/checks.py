"""The first look at a body: known keys only, right types, lengths, enumerations. Answers are the real codes."""

import re
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from web.sandbox.quickbooks.errors import Refused
from web.sandbox.quickbooks.fields import KEYS, VALUES, Key

# Below a transaction's lines there are no read-only parts worth keeping; nesting deeper than this is an attack.
_MAX_DEPTH = 8


def clean(entity: str, body: Any) -> dict[str, Any]:
    """Return the writable part of ``body``, or refuse it the way QuickBooks does."""
    if not isinstance(body, dict):
        raise _unsupported(entity)
    return _object(entity, body, 0)


def _object(shape: str, value: dict[str, Any], depth: int) -> dict[str, Any]:
    if depth > _MAX_DEPTH:
        raise _unsupported(shape)
    kept: dict[str, Any] = {}
    for name, inner in value.items():
        key = KEYS[shape].get(name)
        if key is None:
            raise _unsupported(name)
        checked = _member(name, key, inner, depth)
        if not key.is_read_only and checked is not None:
            kept[name] = checked
    return kept


def _member(name: str, key: Key, value: Any, depth: int) -> Any:
    if value is None:
        return None
    if not key.is_array:
        return _value(name, key, value, depth)
    if not isinstance(value, list):
        raise _unsupported(name)
    return [_value(name, key, item, depth) for item in value]


def _value(name: str, key: Key, value: Any, depth: int) -> Any:
    if key.type in KEYS:
        if not isinstance(value, dict):
            raise _unsupported(name)
        return _object(key.type, value, depth + 1)
    match key.type:
        case "n":
            return _number(name, value)
        case "b":
            return _boolean(name, value)
        case "d":
            return _date(name, value)
    if not isinstance(value, str):
        raise _unsupported(name)
    if key.type.startswith("e.") and value not in VALUES[key.type[2:]]:
        raise Refused("2170", f"Invalid Enumeration : {name} : {value}", element=name)
    if key.max_length is not None and len(value) > key.max_length:
        detail = f"Min:0 Max:{key.max_length} supplied length: {len(value)}. Supplied value:{value}"
        raise Refused("2050", detail, element=name)
    return value


def _number(name: str, value: Any) -> Decimal | int:
    if isinstance(value, (int, Decimal)) and not isinstance(value, bool):
        return value
    try:
        parsed = Decimal(value) if isinstance(value, str) else Decimal("NaN")
    except InvalidOperation:
        parsed = Decimal("NaN")
    if not parsed.is_finite():
        raise Refused("2080", f"Invalid Number : {name} : {value}", element=name)
    return parsed


def _boolean(name: str, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return bool(value == "true")
    raise Refused("2230", f"Invalid Boolean : {name} : {value}", element=name)


def _date(name: str, value: Any) -> str:
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", value):
        try:
            return date.fromisoformat(value).isoformat()
        except ValueError:
            pass
    raise Refused("2060", f"Invalid Date Format : {name} : {value}", element=name)


def _unsupported(name: str) -> Refused:
    return Refused(
        "2010", f"Property Name:Unrecognized field or invalid value in {name} is unsupported or invalid", element=name
    )
