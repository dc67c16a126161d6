"""Writes of one or many elements, each of which stands or falls alone."""

import copy
from dataclasses import dataclass
from typing import Any

from web.sandbox.faults import FaultAnswer
from web.sandbox.xero import lists, settling
from web.sandbox.xero.call import Call
from web.sandbox.xero.endpoints import Endpoint
from web.sandbox.xero.errors import (
    NO_ID,
    Invalid,
    Stopped,
    bad_data,
    not_found,
    server_error,
    summary,
    validation_errors,
)
from web.sandbox.xero.fields import clean
from web.sandbox.xero.organisation import Break
from web.sandbox.xero.records import Json, Note
from web.sandbox.xero.render import allocation

_MAX_ELEMENTS = 1000


@dataclass(frozen=True)
class Order:
    """How the elements of a call are to be written."""

    creates_only: bool
    summarize: bool
    target: Any = None


def write_all(call: Call, endpoint: Endpoint, body: Any, order: Order) -> Json:
    """Write every element; with ``summarize`` one wrong element turns the whole answer into a 400."""
    elements = elements_of(endpoint.path, body)
    if order.target is not None and len(elements) != 1:
        raise bad_data("exactly one element expected")
    organisation = call.organisation
    keeps = organisation.behaviour.keep_good_elements or not order.summarize
    before = None if keeps else copy.deepcopy(organisation.__dict__)
    broken = organisation.breaks.pop(0) if organisation.breaks else None
    shown: list[Json] = []
    failed: list[Json] = []
    for number, raw in enumerate(elements):
        if broken is not None and number >= broken.after_elements:
            _interrupt(call, broken)
            broken = None
        element, is_good = _write_one(call, endpoint, raw, order)
        shown.append(element)
        if not is_good:
            failed.append(element)
        organisation.counters["elements"] += 1
        organisation.counters[f"elements {endpoint.path}"] += 1
    if broken is not None:
        _interrupt(call, broken)
    if failed and order.summarize:
        if before is not None:
            organisation.__dict__.update(before)
        raise Stopped(summary(failed))
    return {endpoint.path: shown}


def elements_of(path: str, body: Any) -> list[Any]:
    """The wrapped list, or a single element that stands alone."""
    if not isinstance(body, dict):
        raise bad_data("an object expected")
    if path not in body:
        return [body]
    if len(body) != 1:
        extra = next(key for key in body if key != path)
        message = f"Sandbox: {extra} is not a field that Xero knows beside {path}"
        raise bad_data(message)
    elements = body[path] if isinstance(body[path], list) else [body[path]]
    if not elements or len(elements) > _MAX_ELEMENTS:
        raise bad_data("between 1 and 1000 elements expected")
    return elements


def _interrupt(call: Call, broken: Break) -> None:
    """Die here, or let the owner archive an account between two elements."""
    if broken.archives is None:
        raise Stopped(_broken(broken.status, call.new_id()))
    lists.archive(call, call.organisation.accounts[broken.archives])
    call.undo.clear()


def _broken(status: int, instance: str) -> FaultAnswer:
    answer = server_error(instance)
    answer.status = status
    return answer


def _write_one(call: Call, endpoint: Endpoint, raw: Any, order: Order) -> tuple[Json, bool]:
    too_long: list[str] = []
    sent = clean(endpoint.element, raw, too_long)
    target = order.target
    named = str(sent.get(endpoint.id_key, "")).lower()
    if target is not None and named not in ("", target.id):
        raise bad_data("the id in the address is not the id in the body")
    write = endpoint.write
    if write is None:
        raise not_found()
    try:
        if too_long:
            raise Invalid(*too_long)
        record = write(call, sent, target, creates_only=order.creates_only)
    except Invalid as invalid:
        call.roll_back()
        return _failure(call, endpoint, sent, invalid.messages), False
    call.undo.clear()
    shown = endpoint.render(call, record, True)
    if endpoint.has_status_text:
        shown["StatusAttributeString"] = "WARNING" if shown.get("Warnings") else "OK"
    return shown, True


def _failure(call: Call, endpoint: Endpoint, sent: Json, messages: tuple[str, ...]) -> Json:
    # A failed payment comes back with an id that belongs to nothing; every other element with the empty one.
    no_id = call.new_id() if endpoint.element == "Payment" else NO_ID
    shown = {**sent, endpoint.id_key: no_id}
    if endpoint.has_status_text:
        shown["StatusAttributeString"] = "ERROR"
    if endpoint.flag:
        shown[endpoint.flag] = True
    return {**shown, "ValidationErrors": validation_errors(messages)}


def allocate_all(call: Call, note: Any, body: Any, *, summarize: bool) -> Json:
    """``PUT /CreditNotes/{id}/Allocations``."""
    shown: list[Json] = []
    failed: list[Json] = []
    for raw in elements_of("Allocations", body):
        too_long: list[str] = []
        sent = clean("Allocation", raw, too_long)
        try:
            made = settling.allocate(call, note, sent)
        except Invalid as invalid:
            failed.append({**sent, "ValidationErrors": validation_errors(invalid.messages)})
            shown.append({**failed[-1], "StatusAttributeString": "ERROR"})
        else:
            shown.append({**allocation(made), "ValidationErrors": []})
    if failed and summarize:
        raise Stopped(summary(failed))
    return {"Allocations": shown}


def add_notes(call: Call, record: Any, body: Any) -> list[Note]:
    """``PUT /{collection}/{id}/History``."""
    made: list[Note] = []
    for raw in elements_of("HistoryRecords", body):
        too_long: list[str] = []
        sent = clean("HistoryRecord", raw, too_long)
        if too_long or not sent.get("Details"):
            messages = too_long or ["Details must be specified."]
            raise Stopped(summary([{**sent, "ValidationErrors": validation_errors(messages)}]))
        made.append(Note(call.now, sent["Details"], "Sandbox app"))
    record.notes.extend(made)
    return made
