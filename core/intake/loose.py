"""Reading loosely shaped data: nothing here raises, whatever stands where something else was expected."""

import json
from collections.abc import Mapping
from typing import Any

import msgspec


def read_json(raw: bytes) -> Any:
    """Decode JSON, also such as only its grammar allows: half an emoji that was cut off, a number beyond any double.

    Stripe hands on what people and programs typed. Strings may come with lone surrogates then, numbers as infinity.

    Raises:
        ValueError, RecursionError: it is no JSON, or nested beyond all sense.
    """
    try:
        return msgspec.json.decode(raw)
    except msgspec.DecodeError:
        return json.loads(raw.decode(), parse_constant=_refuse)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def dig(data: Any, *path: str) -> Any:
    """Return what lies at ``path``, or None where the way ends."""
    for key in path:
        if not isinstance(data, Mapping):
            return None
        data = data.get(key)
    return data


def integer(value: Any) -> int:
    """Return an integer; anything else counts as zero."""
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def rows_of(value: Any) -> list[Mapping[str, Any]]:
    """Return the objects of a list; anything else is an empty one."""
    return [row for row in value if isinstance(row, Mapping)] if isinstance(value, list | tuple) else []


def clean_text(value: Any, limit: int) -> str:
    """Return a clean text: no NUL and no lone surrogates, which PostgreSQL refuses."""
    if not isinstance(value, str):
        return ""
    text = value.replace("\x00", "").encode("utf-8", "ignore").decode("utf-8")
    return " ".join(text.split())[:limit]
