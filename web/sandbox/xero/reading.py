"""Lists: filters, order, pages."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from web.sandbox.faults import FaultAnswer
from web.sandbox.xero import where
from web.sandbox.xero.call import Call
from web.sandbox.xero.endpoints import Endpoint
from web.sandbox.xero.errors import TEXT_HEADERS, Stopped, bad_query, not_found
from web.sandbox.xero.records import Json, Record

_SINCE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
_SUMMARY_DROPS = ("LineItems", "Payments", "CreditNotes", "Allocations", "ContactPersons", "Addresses", "Phones")
_MAX_PAGE = 1000


def read_list(call: Call, endpoint: Endpoint, query: Mapping[str, str], since: str | None) -> Json:
    records = _filtered(call, endpoint, list(endpoint.records(call.organisation).values()), query)
    records = _changed(call, records, since)
    has_page = endpoint.is_paged and "page" in query
    full = has_page or not endpoint.omits_lines
    test = _where(call, endpoint, query.get("where"))
    if test is not None:
        records = [record for record in records if test.test(_resolver(call, endpoint, record))]
    page, size = _page(query) if has_page else (1, max(len(records), 1))
    first = (page - 1) * size
    order = query.get("order")
    if order:
        shown = _ordered(call, endpoint, records, order, full)[first : first + size]
    else:
        shown = [endpoint.render(call, record, full) for record in records[first : first + size]]
    if query.get("summaryOnly", "").lower() == "true":
        shown = [{key: value for key, value in element.items() if key not in _SUMMARY_DROPS} for element in shown]
    body: Json = {}
    if has_page:
        count = -(-len(records) // size)
        body["pagination"] = {"page": page, "pageSize": size, "pageCount": count, "itemCount": len(records)}
    return {**body, endpoint.path: shown}


def find_one(call: Call, endpoint: Endpoint, text: str) -> Any:
    """By id, or by the number that people see."""
    records = endpoint.records(call.organisation)
    found = records.get(text.lower()) or records.get(text)
    if found is None and endpoint.number_of is not None:
        number_of = endpoint.number_of
        found = next((record for record in records.values() if text and number_of(record) == text), None)
    if found is None:
        raise not_found()
    return found


def _filtered(call: Call, endpoint: Endpoint, records: list[Any], query: Mapping[str, str]) -> list[Any]:
    if "IDs" in query:
        wanted = _set(query["IDs"].lower())
        records = [record for record in records if record.id in wanted]
    if "InvoiceNumbers" in query:
        wanted = _set(query["InvoiceNumbers"])
        records = [record for record in records if record.number in wanted]
    if "ContactIDs" in query:
        wanted = _set(query["ContactIDs"].lower())
        records = [record for record in records if record.contact.id in wanted]
    if "Statuses" in query:
        wanted = _set(query["Statuses"])
        records = [record for record in records if record.status in wanted]
    if query.get("createdByMyApp", "").lower() == "true":
        records = [record for record in records if record.by_app]
    if "searchTerm" in query:
        term = query["searchTerm"].casefold()
        records = [record for record in records if term in _searchable(record)]
    if endpoint.element == "Contact" and query.get("includeArchived", "").lower() != "true":
        records = [record for record in records if record.status == "ACTIVE" or "IDs" in query]
    if endpoint.element == "BankTransfer" and query.get("includeDeleted", "").lower() != "true":
        records = [record for record in records if record.status != "DELETED"]
    return records


def _set(text: str) -> set[str]:
    return {part.strip() for part in text.split(",")}


def _searchable(record: Any) -> str:
    texts = [record.number]
    if hasattr(record, "contact"):
        texts += [record.reference, record.contact.name]
    else:
        texts += [str(record.fields.get(key, "")) for key in ("Name", "EmailAddress", "FirstName", "LastName")]
    return "\n".join(texts).casefold()


def _changed(call: Call, records: list[Any], since: str | None) -> list[Any]:
    """If-Modified-Since; in any other form than Xero's own it is ignored, which people notice too late."""
    if not since:
        return records
    if not _SINCE.fullmatch(since):
        call.organisation.note_violation("if-modified-since", since)
        return records
    try:
        moment = datetime.fromisoformat(since).replace(tzinfo=UTC)
    except ValueError:
        return records
    return [record for record in records if record.updated >= moment]


def _where(call: Call, endpoint: Endpoint, text: str | None) -> where.Filter | None:
    if not text:
        return None
    parsed = where.parse(text, endpoint.element)
    is_cheap = not endpoint.optimised or parsed.properties & endpoint.optimised
    if call.organisation.behaviour.large and not is_cheap:
        body = b"You are not filtering this large organisation efficiently. Use one of the optimised filters."
        raise Stopped(FaultAnswer(400, list(TEXT_HEADERS), body))
    return parsed


def _resolver(call: Call, endpoint: Endpoint, record: Record) -> where.Resolve:
    quick = endpoint.quick(record)
    rendered: list[where.Resolve] = []

    def resolve(path: str) -> Any:
        if path in quick:
            return quick[path]
        if not rendered:
            rendered.append(where.resolver(endpoint.render(call, record, True)))
        return rendered[0](path)

    return resolve


def _page(query: Mapping[str, str]) -> tuple[int, int]:
    page, size = query.get("page", "1"), query.get("pageSize", "100")
    if not page.isdigit() or not size.isdigit() or int(page) < 1 or not 1 <= int(size) <= _MAX_PAGE:
        raise bad_query("page and pageSize must be whole numbers, pageSize at most 1000")
    return int(page), int(size)


def _ordered(call: Call, endpoint: Endpoint, records: list[Any], order: str, full: bool) -> list[Json]:
    elements = [endpoint.render(call, record, full) for record in records]
    for clause in reversed(order.split(",")):
        name, _, direction = clause.strip().partition(" ")
        where.check_property(endpoint.element, name)
        if direction.strip().upper() not in ("", "ASC", "DESC"):
            message = f"Syntax error near '{direction}'"
            raise bad_query(message)
        elements.sort(key=where.sort_key(name), reverse=direction.strip().upper() == "DESC")
    return elements
