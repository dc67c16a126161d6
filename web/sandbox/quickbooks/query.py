"""Answers queries over a company: which objects, in which order, which page of them."""

import re
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from web.sandbox.quickbooks import info
from web.sandbox.quickbooks.company import Company, Fields
from web.sandbox.quickbooks.errors import Refused
from web.sandbox.quickbooks.fields import NAME_LISTS
from web.sandbox.quickbooks.query_language import Condition, Query, parse
from web.sandbox.quickbooks.render import render

_COUNTED = ("Invoice", "Deposit", "JournalEntry", "TaxCode", "TaxRate", "RefundReceipt", "Transfer")
_HIDES_INACTIVE = (*NAME_LISTS, "TaxCode", "TaxRate", "PaymentMethod")


def run(company: Company, statement: str) -> Fields:
    """Answer a statement with the inside of ``QueryResponse``."""
    query = parse(statement)
    found = [body for body in _candidates(company, query) if all(_matches(body, c) for c in query.conditions)]
    if query.is_count:
        return {"totalCount": len(found)}
    for name, descending in reversed(query.order):
        found = _sorted(found, name, descending=descending)
    page = found[query.start - 1 : query.start - 1 + query.limit]
    if not page:
        return {}
    answer: Fields = {query.entity: page, "startPosition": query.start, "maxResults": len(page)}
    if query.entity in _COUNTED:
        answer["totalCount"] = len(found)
    return answer


def _candidates(company: Company, query: Query) -> list[Fields]:
    match query.entity:
        case "CompanyInfo":
            return [info.company_info(company)]
        case "Preferences":
            return [info.preferences(company)]
        case "CompanyCurrency":
            return info.currencies(company)
    records = list(company.records[query.entity].values())
    if query.entity in _HIDES_INACTIVE and not any(c.name == "Active" for c in query.conditions):
        records = [record for record in records if record.is_active]
    # Cheap conditions first: rendering every document to look at one number would make big companies slow.
    for condition in query.conditions:
        if condition.name in ("Id", "DocNumber", "PaymentRefNum", "TxnDate", "DisplayName", "Name"):
            records = [r for r in records if _matches({**r.fields, "Id": r.id}, condition)]
    return [render(company, record) for record in records]


def _read(body: Fields, name: str) -> Any:
    value: Any = body
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if isinstance(value, dict):
        return value.get("value", value.get("Address"))
    return value


def _matches(body: Fields, condition: Condition) -> bool:
    value = _read(body, condition.name)
    match condition.operator:
        case "LIKE":
            pattern = ".*".join(re.escape(part) for part in condition.values[0].split("%"))
            return value is not None and re.fullmatch(pattern, str(value), re.IGNORECASE | re.DOTALL) is not None
        case "IN":
            return any(_compare(value, wanted) == 0 for wanted in condition.values)
        case operator:
            return _COMPARISONS[operator](_compare(value, condition.values[0]))


_COMPARISONS: dict[str, Callable[[int | None], bool]] = {
    "=": lambda order: order == 0,
    "<": lambda order: order is not None and order < 0,
    ">": lambda order: order is not None and order > 0,
    "<=": lambda order: order is not None and order <= 0,
    ">=": lambda order: order is not None and order >= 0,
}


def _compare(value: Any, wanted: str) -> int | None:
    """-1, 0, 1, or None when the two cannot be compared. A single blank stands for "nothing there"."""
    if value is None:
        return 0 if wanted == " " else None
    try:
        left, right = _comparable(value, wanted)
    except (ValueError, InvalidOperation):
        raise Refused("4001", f"QueryValidationError: value '{wanted}' is not valid here") from None
    return int(left > right) - int(left < right)


def _comparable(value: Any, wanted: str) -> tuple[Any, Any]:
    if isinstance(value, bool):
        return value, wanted.lower() == "true"
    if isinstance(value, (int, Decimal)):
        return Decimal(value), Decimal(wanted)
    if re.match(r"\d{4}-\d\d-\d\dT", value):
        moment = datetime.fromisoformat(wanted)
        left = datetime.fromisoformat(value)
        return left, moment if moment.tzinfo else moment.replace(tzinfo=left.tzinfo)
    return value.casefold(), wanted.casefold()


def _sorted(found: list[Fields], name: str, *, descending: bool) -> list[Fields]:
    return sorted(found, key=lambda body: _sort_key(_read(body, name)), reverse=descending)


def _sort_key(value: Any) -> tuple[int, Any]:
    if value is None:
        return 0, 0
    if isinstance(value, str) and value.isdigit():
        return 1, Decimal(value)
    return (1, Decimal(value)) if isinstance(value, (int, Decimal)) else (2, value.casefold())
