"""Answers for a client that did not ask for JSON; right enough to be told apart from JSON at once."""

from typing import Any
from xml.sax.saxutils import escape

_SINGULAR = {"Addresses": "Address", "Currencies": "Currency", "TrackingCategories": "TrackingCategory"}


def to_xml(body: dict[str, Any]) -> bytes:
    root = "ApiException" if "ErrorNumber" in body else "Response"
    inner = "".join(_element(key, value) for key, value in body.items())
    return f'<?xml version="1.0" encoding="utf-8"?><{root}>{inner}</{root}>'.encode()


def _element(name: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        one = _SINGULAR.get(name, name.removesuffix("s"))
        return f"<{name}>{''.join(_element(one, item) for item in value)}</{name}>"
    if isinstance(value, dict):
        return f"<{name}>{''.join(_element(key, item) for key, item in value.items())}</{name}>"
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f"<{name}>{escape(text)}</{name}>"
