"""Reading loosely shaped data: nothing here raises, whatever stands where something else was expected."""

import json
import re
from collections.abc import Mapping
from typing import Any

import msgspec

_DEEPEST = 100
"""Objects and lists within each other that are read. Stripe's own go some ten deep."""

_LONGEST_INTEGER = 4_000
"""Digits. Python itself refuses to count beyond 4,300."""

_MARK = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[][{}]', re.DOTALL)
"""A text, so that brackets in it count for nothing, or a bracket."""


def read_json(raw: bytes) -> Any:
    """Decode JSON, also such as only its grammar allows: half an emoji that was cut off, a number beyond any double.

    Stripe hands on what people and programs typed. Strings may come with lone surrogates then, numbers as infinity, and
    what is nested beyond all sense as None: the rest of it can be read all the same.

    Raises:
        ValueError, RecursionError: it is no JSON.
    """
    try:
        return _decode(raw)
    except RecursionError:
        return _decode(_cut_depths(raw))


def _decode(raw: bytes) -> Any:
    try:
        return msgspec.json.decode(raw)
    except msgspec.DecodeError:
        return json.loads(raw.decode(), parse_int=_integer_or_infinity, parse_constant=_refuse)


def _cut_depths(raw: bytes) -> bytes:
    """Write null in place of what lies too deep. It is not looked at: what cannot be read cannot be checked."""
    kept: list[bytes] = []
    depth = begin = 0
    for mark in _MARK.finditer(raw):
        if mark[0] in (b"[", b"{"):
            depth += 1
            if depth == _DEEPEST + 1:
                kept.append(raw[begin : mark.start()])
        elif mark[0] in (b"]", b"}"):
            if depth == _DEEPEST + 1:
                kept.append(b"null")
                begin = mark.end()
            depth -= 1
    if depth:
        raise ValueError("not JSON: what was opened is not closed")
    return b"".join([*kept, raw[begin:]])


def _integer_or_infinity(digits: str) -> int | float:
    return int(digits) if len(digits) <= _LONGEST_INTEGER else float(digits)


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
