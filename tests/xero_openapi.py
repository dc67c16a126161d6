"""Checks bodies against Xero's OpenAPI file, which the tests read but the project does not carry.

The file sets no ``additionalProperties``, so every key that a schema does not name is refused here. Where the file is
known to be wrong (its README beside it), the correction stands in :data:`FORGOTTEN` and :func:`_request_schema`.
"""

import re
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

SPEC_FILE = Path(__file__).resolve().parents[2] / "shared" / "specs" / "xero" / "xero_accounting.yaml"

# Keys that Xero's own examples carry and the schemas forget. Answers only: a request with one of them is wrong.
FORGOTTEN = {
    "*": frozenset({"ValidationErrors", "Warnings", "HasErrors", "HasValidationErrors", "StatusAttributeString"}),
    "Invoice": frozenset({"DateString", "DueDateString"}),
    "CreditNote": frozenset({"DateString", "DueDateString", "ID"}),
    "BankTransaction": frozenset({"DateString"}),
    "BankTransfer": frozenset({"DateString", "CreatedDateUTCString"}),
    "HistoryRecord": frozenset({"DateUTCString"}),
}
ENVELOPE = frozenset({"Id", "Status", "ProviderName", "DateTimeUTC", "pagination"})
# Nested references carry an id only; the file demands the whole element there.
_REFERENCES = frozenset({"Invoice", "CreditNote", "Account", "Contact", "BankTransfer", "BankTransaction"})
# The element itself: alone, or inside the list that wraps it.
_TOP = re.compile(r"\w+(\.\w+\[\d+\])?")
_MS_DATE = re.compile(r"/Date\(-?\d+(\+0000)?\)/")
_PROBLEM_KEYS = frozenset({"Type", "Title", "Status", "Detail", "Instance", "Extensions"})
_ERROR_KEYS = frozenset({"ErrorNumber", "Type", "Message", "Elements"})
Json = dict[str, Any]


@cache
def spec() -> Json:
    """Return the file, or skip the test when it is not there (a clone alone has none)."""
    if not SPEC_FILE.is_file():
        pytest.skip("Xero's OpenAPI file is not beside this checkout (../shared/specs/xero)")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    found: Json = yaml.load(SPEC_FILE.read_text(encoding="utf-8"), Loader=loader)
    return found


def schemas() -> Json:
    found: Json = spec()["components"]["schemas"]
    return found


def request_problems(method: str, path: str, body: Any) -> list[str]:
    """Return what is wrong with a body that is about to be sent; empty means nothing.

    Args:
        method: PUT or POST.
        path: below ``/api.xro/2.0/``, without query: ``Invoices``, ``Payments/<id>``.
        body: parsed JSON or bytes.
    """
    operation = _operation(method, path)
    if operation is None:
        return [f"{method} {path}: Xero has no such operation"]
    names = _request_schema(operation, path)
    checks = [
        list(_value(name, _parsed(body), {"$ref": f"#/components/schemas/{name}"}, is_sent=True)) for name in names
    ]
    return min(checks, key=len)


def query_problems(method: str, path: str, names: Iterator[str] | list[str]) -> list[str]:
    """Return which query parameters the operation does not know."""
    operation = _operation(method, path)
    if operation is None:
        return [f"{method} {path}: Xero has no such operation"]
    known = {parameter["name"] for parameter in _parameters(operation) if parameter["in"] == "query"}
    return [f"{method} {path}: no parameter {name}" for name in names if name not in known]


def response_problems(method: str, path: str, status: int, body: Any) -> list[str]:
    """Return what is wrong with an answer; empty means nothing."""
    body = _parsed(body)
    if not isinstance(body, dict):
        return ["an object expected"]
    if status >= 400:
        return _error_problems(body)
    problems: list[str] = []
    if missing := {"Id", "Status", "ProviderName", "DateTimeUTC"} - body.keys():
        problems.append(f"envelope: {', '.join(sorted(missing))} missing")
    content = {key: value for key, value in body.items() if key not in ENVELOPE}
    if len(content) != 1:
        problems.append(f"one collection expected, found {sorted(content)}")
    if "pagination" in body:
        problems += _value("pagination", body["pagination"], schemas()["Pagination"], is_sent=False)
    for name, elements in content.items():
        schema = schemas()["ReportWithRows" if name == "Reports" else name]["properties"][name]
        problems += _value(name, elements, schema, is_sent=False)
    return problems


def _error_problems(body: Json) -> list[str]:
    if "Status" in body:
        return [f"{key}: not part of a problem document" for key in body.keys() - _PROBLEM_KEYS]
    problems = [f"{key}: not part of an error" for key in body.keys() - _ERROR_KEYS]
    if not isinstance(body.get("ErrorNumber"), int) or not isinstance(body.get("Message"), str):
        problems.append("an error needs ErrorNumber and Message")
    return problems


def _parsed(body: Any) -> Any:
    return msgspec.json.decode(body) if isinstance(body, (bytes, str)) else body


def _operation(method: str, path: str) -> Json | None:
    wanted = path.split("?", maxsplit=1)[0].strip("/").split("/")
    for template, operations in spec()["paths"].items():
        parts = template.strip("/").split("/")
        fits = len(parts) == len(wanted) and all(
            part.startswith("{") or part == given for part, given in zip(parts, wanted, strict=True)
        )
        if fits and method.lower() in operations:
            found: Json = operations[method.lower()]
            return found
    return None


def _parameters(operation: Json) -> Iterator[Json]:
    for parameter in operation.get("parameters", []):
        yield _resolved(parameter) if "$ref" in parameter else parameter


def _request_schema(operation: Json, path: str) -> list[str]:
    """The schemas that a body may have: the file's, and the list or single element that it also takes."""
    told = operation.get("requestBody", {})
    told = _resolved(told) if "$ref" in told else told
    name = told["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    names = [name]
    if name in ("Payment", "PaymentDelete"):
        names.append("Payments")
    if name in ("Account", "Currency") and path.split("/", maxsplit=1)[0] in schemas():
        names.append(path.split("/", maxsplit=1)[0])
    return names


def _resolved(reference: Json) -> Json:
    found: Any = spec()
    for part in reference["$ref"].removeprefix("#/").split("/"):
        found = found[part]
    resolved: Json = found
    return resolved


def _value(where: str, value: Any, schema: Json, *, is_sent: bool, name: str = "") -> Iterator[str]:
    while "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        schema = _resolved(schema)
    if value is None:
        if is_sent:
            yield f"{where}: null is never sent"
        return
    if "properties" in schema or schema.get("type") == "object":
        yield from _object(where, value, schema, name, is_sent=is_sent)
    elif schema.get("type") == "array":
        yield from _array(where, value, schema, is_sent=is_sent)
    else:
        yield from _simple(where, value, schema, is_sent=is_sent)


def _object(where: str, value: Any, schema: Json, name: str, *, is_sent: bool) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{where}: an object expected"
        return
    known = schema.get("properties", {})
    forgotten = frozenset() if is_sent else FORGOTTEN["*"] | FORGOTTEN.get(name, frozenset())
    for key, inner in value.items():
        if key in known:
            if is_sent and known[key].get("readOnly"):
                yield f"{where}.{key}: filled by Xero only"
            yield from _value(f"{where}.{key}", inner, known[key], is_sent=is_sent)
        elif key not in forgotten:
            yield f"{where}.{key}: unknown key"
    is_reference = name in _REFERENCES and (not is_sent or not _TOP.fullmatch(where))
    if not is_reference:
        for key in schema.get("required", []):
            if key not in value and not _is_update(name, value):
                yield f"{where}.{key}: required"


def _is_update(name: str, value: Json) -> bool:
    """The file demands everything on updates as well; Xero does not. Failed elements echo what came."""
    return f"{name}ID" in value or bool(value.get("ValidationErrors"))


def _array(where: str, value: Any, schema: Json, *, is_sent: bool) -> Iterator[str]:
    if not isinstance(value, list):
        yield f"{where}: an array expected"
        return
    for number, item in enumerate(value):
        yield from _value(f"{where}[{number}]", item, schema["items"], is_sent=is_sent)


def _simple(where: str, value: Any, schema: Json, *, is_sent: bool) -> Iterator[str]:
    kind, allowed = schema.get("type"), schema.get("enum")
    match kind:
        case "number" | "integer":
            fits = isinstance(value, (int, float, Decimal)) and not isinstance(value, bool)
            if not fits or (kind == "integer" and int(value) != value):
                yield f"{where}: a{' whole' if kind == 'integer' else ''} number expected"
        case "boolean":
            if not isinstance(value, bool):
                yield f"{where}: true or false expected"
        case _:
            yield from _text(where, value, schema, is_sent=is_sent)
    if allowed and value not in allowed and value not in ("", None):
        yield f"{where}: {value!r} is not one of {len(allowed)} values"


def _text(where: str, value: Any, schema: Json, *, is_sent: bool) -> Iterator[str]:
    if not isinstance(value, str):
        yield f"{where}: a string expected"
        return
    if len(value) > schema.get("maxLength", len(value)):
        yield f"{where}: longer than {schema['maxLength']}"
    if schema.get("format") == "uuid" and not re.fullmatch(
        r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", value
    ):
        yield f"{where}: a guid expected"
    if schema.get("x-is-msdate") and is_sent and not _is_day(value):
        yield f"{where}: a date YYYY-MM-DD expected"
    is_time = schema.get("x-is-msdate") or schema.get("x-is-msdate-time")
    # Elements that failed echo the date as it was sent.
    if is_time and not is_sent and not _MS_DATE.fullmatch(value) and not _is_day(value):
        yield f"{where}: a date in Xero's own form expected"


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
