"""One request after the gateway let it in: which collection, which act, which answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from web.sandbox.xero import render, render_lists, report
from web.sandbox.xero.amounts import decode, ms_time, read_day, time_text
from web.sandbox.xero.call import Call
from web.sandbox.xero.endpoints import ENDPOINTS, SETTINGS, TRIAL_BALANCE, Endpoint
from web.sandbox.xero.errors import Invalid, Stopped, bad_data, bad_query, not_found, summary, validation_errors
from web.sandbox.xero.reading import find_one, read_list
from web.sandbox.xero.records import Json, Note
from web.sandbox.xero.seed import CURRENCY_NAMES
from web.sandbox.xero.settling import take_back
from web.sandbox.xero.writing import Order, add_notes, allocate_all, elements_of, write_all

_SETTINGS_PATHS = ("Organisation", "Currencies", "TrackingCategories")
_NO_HISTORY = "The document with the supplied id was not found for this endpoint."


@dataclass(frozen=True)
class Asked:
    """A request, taken apart."""

    method: str
    parts: list[str]
    query: Mapping[str, str]
    since: str | None
    body: bytes
    content_type: str


def needed_scopes(parts: list[str]) -> tuple[str, ...]:
    """Any one of these lets the request in."""
    first = parts[0] if parts else ""
    if first in ENDPOINTS:
        return ENDPOINTS[first].scopes
    return TRIAL_BALANCE if first == "Reports" else SETTINGS


def perform(call: Call, asked: Asked) -> tuple[int, Json | None]:
    """Do it and return a status and what goes into the envelope."""
    match (asked.method, asked.parts):
        case ("GET", [name]) if name in _SETTINGS_PATHS:
            return 200, _settings(call, name, asked)
        case ("GET", ["Organisation", "Actions"]):
            return 200, {"Actions": render_lists.actions(call)}
        case ("PUT", ["Currencies"]):
            return 200, _add_currency(call, asked)
        case ("GET", ["Reports", "TrialBalance"]):
            _check_query(asked, frozenset(["date"]))
            return 200, report.trial_balance(call, read_day(asked.query.get("date", "")))
        case (_, [name, *rest]) if name in ENDPOINTS:
            return _collection(call, ENDPOINTS[name], asked, rest)
        case _:
            raise not_found()


def _collection(  # noqa: PLR0911 - one case per kind of call
    call: Call, endpoint: Endpoint, asked: Asked, rest: list[str]
) -> tuple[int, Json | None]:
    match (asked.method, rest):
        case ("GET", []):
            _check_query(asked, endpoint.list_query)
            return 200, read_list(call, endpoint, asked.query, asked.since)
        case ("GET", [name]):
            _check_query(asked, endpoint.one_query)
            found = find_one(call, endpoint, name)
            return 200, {endpoint.path: [endpoint.render(call, found, True)]}
        case ("PUT", []) if endpoint.put_query is not None:
            _check_query(asked, endpoint.put_query)
            return 200, write_all(call, endpoint, _json(asked), Order(True, _summarizes(call, asked)))
        case ("POST", []) if endpoint.post_query is not None:
            _check_query(asked, endpoint.post_query)
            return 200, write_all(call, endpoint, _json(asked), Order(False, _summarizes(call, asked)))
        case ("POST", [name]) if endpoint.post_one_query is not None:
            _check_query(asked, endpoint.post_one_query)
            target = find_one(call, endpoint, name)
            return 200, write_all(call, endpoint, _json(asked), Order(False, True, target))
        case (("GET" | "PUT"), [name, "History"]):
            return 200, {"HistoryRecords": _history(call, endpoint, asked, name)}
        case ("PUT", [name, "Allocations"]) if endpoint.element == "CreditNote":
            _check_query(asked, frozenset(["summarizeErrors"]))
            note = find_one(call, endpoint, name)
            return 200, allocate_all(call, note, _json(asked), summarize=_summarizes(call, asked))
        case ("DELETE", [name, "Allocations", allocation_id]) if endpoint.element == "CreditNote":
            return 200, _take_back(call, endpoint, name, allocation_id)
        case _:
            raise not_found()


def _settings(call: Call, name: str, asked: Asked) -> Json:
    match name:
        case "Organisation":
            _check_query(asked, frozenset())
            return {"Organisations": [render_lists.organisation(call)]}
        case "Currencies":
            _check_query(asked, frozenset())
            return {"Currencies": [render_lists.currency(code) for code in call.organisation.currencies]}
        case _:
            _check_query(asked, frozenset(["includeArchived"]))
            return {"TrackingCategories": call.organisation.tracking}


def _add_currency(call: Call, asked: Asked) -> Json:
    code = str(elements_of("Currencies", _json(asked))[0].get("Code", ""))
    if code not in CURRENCY_NAMES:
        raise Stopped(summary([{"Code": code, "ValidationErrors": validation_errors(["Currency code is not valid."])}]))
    if code not in call.organisation.currencies:
        call.organisation.currencies.append(code)
    return {"Currencies": [render_lists.currency(code)]}


def _history(call: Call, endpoint: Endpoint, asked: Asked, name: str) -> list[Json]:
    if not endpoint.has_history:
        raise Stopped(summary([{"ValidationErrors": validation_errors([_NO_HISTORY])}]))
    record = find_one(call, endpoint, name)
    return [_note(note) for note in (record.notes if asked.method == "GET" else add_notes(call, record, _json(asked)))]


def _note(note: Note) -> Json:
    return {
        "Changes": "Note",
        "DateUTCString": time_text(note.at),
        "DateUTC": ms_time(note.at),
        "User": note.user,
        "Details": note.details,
    }


def _take_back(call: Call, endpoint: Endpoint, name: str, allocation_id: str) -> Json:
    note = find_one(call, endpoint, name)
    made = call.organisation.allocations.get(allocation_id.lower())
    if made is None or made.note is not note:
        raise not_found()
    shown = render.allocation(made)
    try:
        take_back(call, made)
    except Invalid as invalid:
        raise Stopped(summary([{**shown, "ValidationErrors": validation_errors(invalid.messages)}])) from None
    return {"Allocations": [{**shown, "IsDeleted": True}]}


def _summarizes(call: Call, asked: Asked) -> bool:
    told = asked.query.get("summarizeErrors")
    return call.organisation.behaviour.summarize_by_default if told is None else told.lower() != "false"


def _check_query(asked: Asked, known: frozenset[str]) -> None:
    """Xero overlooks what it does not know; here a slip of the pen must not hide."""
    for name in asked.query:
        if name not in known:
            message = f"Sandbox: {asked.method} /{'/'.join(asked.parts)} knows no parameter {name}"
            raise bad_query(message)


def _json(asked: Asked) -> Any:
    if "json" not in asked.content_type:
        raise bad_data("Sandbox: only application/json is understood")
    try:
        return decode(asked.body)
    except msgspec.DecodeError as error:
        message = f"JSON for post data was invalid: {error}"
        raise bad_data(message) from None
