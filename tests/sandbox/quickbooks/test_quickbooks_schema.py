"""The body checker itself, and the stand-in's table of keys held against Intuit's schema."""

import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.quickbooks_xsd import schema, validate_request, validate_response
from web.sandbox.quickbooks.fields import KEYS, SCHEMA_TYPES, VALUES, Key

FACTS = Path(__file__).resolve().parents[4] / "shared" / "facts" / "quickbooks.md"
_PRIMITIVES = {
    "s": ("xs:string", "xs:anyURI"),
    "n": ("xs:decimal", "xs:int", "xs:positiveInteger"),
    "d": ("xs:date",),
    "t": ("xs:dateTime",),
    "b": ("xs:boolean",),
}
INVOICE = {
    "CustomerRef": {"value": "60"},
    "Line": [
        {
            "Amount": Decimal("10.00"),
            "DetailType": "SalesItemLineDetail",
            "SalesItemLineDetail": {"ItemRef": {"value": "23"}},
        }
    ],
}


def _examples() -> list[tuple[str, Any]]:
    if not FACTS.is_file():
        return []
    blocks = re.findall(r"```json (\w+)\n(.*?)```", FACTS.read_text(encoding="utf-8"), re.DOTALL)
    return [(entity, json.loads(text, parse_float=Decimal)) for entity, text in blocks]


def test_every_example_of_the_fact_sheet_passes() -> None:
    schema()
    examples = _examples()
    assert len(examples) >= 12
    for entity, body in examples:
        assert validate_request(entity, body) == [], entity


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"Nonsense": 1}, "unknown key"),
        ({"CustomerRef": "60"}, "an object of type ReferenceType expected"),
        ({"CustomerRef": {"value": 60}}, "a string expected"),
        ({"CustomerRef": {"value": "60", "nme": "Ana"}}, "unknown key"),
        ({"Line": INVOICE["Line"][0]}, "an array expected"),  # type: ignore[index]  # the literal above is a list
        ({"TxnDate": "2026-02-30"}, "a date"),
        ({"TxnDate": "2026-2-3"}, "a date"),
        ({"TxnDate": ["2026-02-03"]}, "one value expected"),
        ({"GlobalTaxCalculation": "TaxIncluded"}, "is not one of"),
        ({"ExchangeRate": "1.1"}, "a number expected"),
        ({"ApplyTaxAfterDiscount": "true"}, "true or false"),
        ({"Balance": 5}, "server only"),
        ({"MetaData": {}}, "server only"),
        ({"PrivateNote": None}, "never sent"),
        ({"Line": [{"Amount": 1, "DetailType": "SalesItemLineDetail", "DiscountLineDetail": {}}]}, "does not name"),
        ({"Line": [{"Amount": 1, "LineEx": {"any": []}}]}, "server only"),
        ({"Line": [{"SalesItemLineDetail": {"ItemRef": {"value": "1"}, "Quantity": 1}}]}, "unknown key"),
        ({"Line": [{"SalesItemLineDetail": {}, "DiscountLineDetail": {}}]}, "not together with"),
    ],
)
def test_a_broken_request_is_named(change: dict[str, Any], expected: str) -> None:
    assert validate_request("Invoice", INVOICE) == []
    assert any(expected in problem for problem in validate_request("Invoice", {**INVOICE, **change}))


def test_a_batch_is_checked_item_by_item() -> None:
    good = {"bId": "a", "operation": "create", "Invoice": INVOICE}
    assert validate_request("BatchItemRequest", {"BatchItemRequest": [good, {"bId": "b", "Query": "select"}]}) == []
    for bad in ({**good, "operation": "creat"}, {**good, "Query": "x"}, {"bId": "a", "Invoice": INVOICE}, {"bId": "c"}):
        assert validate_request("BatchItemRequest", {"BatchItemRequest": [bad]})


def test_answers_are_checked_by_envelope() -> None:
    time = "2026-05-05T02:08:54.543-07:00"
    fault = {"Fault": {"Error": [{"Message": "m", "code": "610"}], "type": "ValidationFault"}, "time": time}
    assert validate_response(fault) == []
    assert validate_response({"QueryResponse": {}, "time": time}) == []
    assert validate_response({"QueryResponse": {"Invoice": [INVOICE], "maxResults": 1}}) == []
    assert validate_response({"Payment": {"Line": [{"LineEx": {"any": [{"name": "x"}]}}]}, "time": time}) == []
    assert validate_response({"QueryResponse": {"Invoice": INVOICE}})
    assert validate_response({"Fault": {"error": []}})
    assert validate_response({"time": time})


def test_the_tables_of_the_sandbox_are_a_part_of_the_schema() -> None:
    problems = [
        f"{shape}.{name}"
        for shape, keys in KEYS.items()
        for name, key in keys.items()
        if not _is_in_schema(shape, name, key)
    ]
    assert problems == []


def _is_in_schema(shape: str, name: str, key: Key) -> bool:
    known = schema().object_type(SCHEMA_TYPES.get(shape, schema().entities.get(shape, shape)))
    member = known.members.get(name) if known else None
    if member is None or member.is_array != key.is_array:
        return False
    primitive, allowed = schema().enumeration(member.type_name)
    if key.type.startswith("e."):
        return VALUES[key.type[2:]] <= set(allowed)
    if key.type in _PRIMITIVES:
        return primitive in _PRIMITIVES[key.type]
    return member.type_name == SCHEMA_TYPES.get(key.type, key.type)
