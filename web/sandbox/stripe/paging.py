"""Cursor lists, newest first, and the read endpoints that every resource shares."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from web.sandbox.stripe.auth import PERMISSION_OF_KIND
from web.sandbox.stripe.errors import StripeError, invalid_param, no_such
from web.sandbox.stripe.operations import Call, Table
from web.sandbox.stripe.params import integer
from web.sandbox.stripe.shapes import list_object
from web.sandbox.stripe.world import Json

Filter = Callable[[Call, Json, Any], bool]
_COMMON = frozenset({"limit", "starting_after", "ending_before", "expand", "created"})
_RANGE = ("gt", "gte", "lt", "lte")


def field(name: str) -> Filter:
    """Keep rows whose field equals the parameter."""

    def keeps(call: Call, row: Json, value: Any) -> bool:
        current = row.get(name)
        if isinstance(current, bool):
            return bool(str(current).lower() == value)
        return bool(current is not None and str(current) == value)

    return keeps


def resource(table: Table, path: str, kind: str, *, filters: Mapping[str, Filter] | None = None) -> None:
    """Add ``GET path`` and ``GET path/{id}``."""
    needs = f"{PERMISSION_OF_KIND[kind]}_read"
    table.add("GET", path, needs, lambda call: page(call, kind, path, filters))
    table.add("GET", path + "/{id}", needs, lambda call: _retrieve(call, kind))


def _retrieve(call: Call, kind: str) -> Json:
    gone = call.account.tombstones.get(call.ids[0])
    return gone if gone is not None and gone["object"] == kind else call.load(kind)


def page(call: Call, kind: str, url: str, filters: Mapping[str, Filter] | None = None) -> Json:
    """One page of a list."""
    _refuse_unknown(call.params, filters or {})
    shelf = call.account.shelf(kind)
    after, before = _cursor(call, kind, "starting_after"), _cursor(call, kind, "ending_before")
    limit = _limit(call.params)
    if before is None:
        found = list(islice(_kept(call, shelf.newest_first(after=after), filters), limit + 1))
    else:
        found = list(islice(_kept(call, shelf.oldest_first(after=before), filters), limit + 1))
    data = found[:limit]
    if before is not None:
        data.reverse()
    return list_object(url, data, has_more=len(found) > limit)


def page_of(call: Call, items: Iterable[Json], url: str) -> Json:
    """A page of a list inside an object (lines), in its own order."""
    every = list(items)
    after = call.params.get("starting_after")
    ids = [item["id"] for item in every]
    if after is not None:
        if after not in ids:
            raise no_such("line item", str(after), "starting_after")
        every = every[ids.index(after) + 1 :]
    limit = _limit(call.params)
    return list_object(url, every[:limit], has_more=len(every) > limit)


def _limit(params: dict[str, Any]) -> int:
    limit = integer(params, "limit")
    if limit is None:
        return 10
    if not 1 <= limit <= 100:
        message = "Invalid integer: limit must be between 1 and 100."
        raise invalid_param("limit", message)
    return limit


def _cursor(call: Call, kind: str, name: str) -> str | None:
    value = call.params.get(name)
    if value is None or value == "":
        return None
    if call.account.get(kind, str(value)) is None:
        raise no_such(kind, str(value), name)
    return str(value)


def _kept(call: Call, rows: Iterator[Json], filters: Mapping[str, Filter] | None) -> Iterator[Json]:
    wanted = {name: value for name, value in call.params.items() if filters and name in filters}
    created = call.params.get("created")
    for row in rows:
        if created is not None and not _in_range(row["created"], created):
            continue
        if all(filters[name](call, row, value) for name, value in wanted.items()) if filters else True:
            yield row


def _in_range(moment: int, wanted: Any) -> bool:
    if not isinstance(wanted, dict):
        return bool(moment == _timestamp(wanted))
    for name, value in wanted.items():
        if name not in _RANGE:
            raise invalid_param(f"created[{name}]", f"Received unknown parameter: created[{name}]")
        edge = _timestamp(value)
        tests = {"gt": moment > edge, "gte": moment >= edge, "lt": moment < edge, "lte": moment <= edge}
        if not tests[name]:
            return False
    return True


def _timestamp(value: Any) -> int:
    if not str(value).lstrip("-").isdigit():
        raise invalid_param("created", f"Invalid timestamp: {value}")
    return int(value)


def _refuse_unknown(params: dict[str, Any], filters: Mapping[str, Filter]) -> None:
    unknown = [name for name in params if name not in _COMMON and name not in filters]
    if unknown:
        message = f"Received unknown parameter: {unknown[0]}"
        raise StripeError(message, code="parameter_unknown", param=unknown[0])
