"""QuickBooks' query language: statements are built here and nowhere else (I5)."""

import re
from collections.abc import Sequence

PAGE = 1000
"""Largest page that QuickBooks gives."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def literal(text: str) -> str:
    """Return ``text`` as a quoted value. A backslash escapes a quote there, so backslashes are escaped first."""
    cleaned = _CONTROL.sub(" ", text)
    return "'" + cleaned.replace("\\", "\\\\").replace("'", "\\'") + "'"


def equals(field: str, value: str) -> str:
    """Return ``field = 'value'``; ``field`` is one of our own constants."""
    return f"{field} = {literal(value)}"


def one_of(field: str, values: Sequence[str]) -> str:
    """Return ``field in ('a', 'b')``; ``field`` is one of our own constants."""
    return f"{field} in ({', '.join(literal(value) for value in values)})"


def between(field: str, first: str, last: str) -> list[str]:
    """Return the two conditions of a range, both ends included; ``field`` is one of our own constants."""
    return [f"{field} >= {literal(first)}", f"{field} <= {literal(last)}"]


ANY_STATE = "Active in (true, false)"
"""Without this condition inactive names, items and accounts stay hidden."""


def select(entity: str, *conditions: str, order_by: str = "", start: int = 1, limit: int = PAGE) -> str:
    """Return a whole statement. All parts but the values inside ``conditions`` are our own constants."""
    where = f" where {' and '.join(conditions)}" if conditions else ""
    order = f" orderby {order_by}" if order_by else ""
    return f"select * from {entity}{where}{order} startposition {start} maxresults {limit}"  # noqa: S608 - not SQL
