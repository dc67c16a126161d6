"""The body checker itself, and the stand-in's tables held against Xero's own file."""

import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.sandbox.xero.harness import Xero
from tests.xero_openapi import FORGOTTEN, query_problems, request_problems, response_problems, schemas, spec
from web.sandbox.xero.endpoints import ENDPOINTS
from web.sandbox.xero.fields import KEYS, TWINS, VALUES, Key
from web.sandbox.xero.records import CLASSES
from web.sandbox.xero.render_lists import ACTIONS
from web.sandbox.xero.seed import COUNTRIES, CURRENCY_NAMES

FACTS = Path(__file__).resolve().parents[4] / "shared" / "facts" / "xero.md"
GUID = "430fa14a-f945-44d3-9f97-5df5e28441b8"
INVOICE = {
    "Type": "ACCREC",
    "Contact": {"ContactID": GUID},
    "Date": "2026-11-02",
    "LineItems": [{"Description": "Portrait", "UnitAmount": Decimal("250.00")}],
}
_PRIMITIVES = {"s": "string", "n": "number", "b": "boolean", "d": "string", "g": "string"}


def test_the_bodies_of_the_fact_sheet_pass() -> None:
    spec()
    if not FACTS.is_file():
        pytest.skip("the fact sheet is not beside this checkout")
    bodies = re.findall(
        r'\{"(?:Invoices|Payments)":\[\n? ?\{.*?\]\}\n```', FACTS.read_text(encoding="utf-8"), re.DOTALL
    )
    assert len(bodies) == 2
    for text in bodies:
        filled = re.sub(r'"(?:…|<Stripe clearing>)"', f'"{GUID}"', text.removesuffix("```"))
        body = msgspec.json.decode(filled)
        assert request_problems("PUT", next(iter(body)), body) == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"Nonsense": 1}, "unknown key"),
        ({"invoiceNumber": "1"}, "unknown key"),
        ({"DateString": "2026-11-02"}, "unknown key"),
        ({"Contact": GUID}, "an object expected"),
        ({"Contact": {"ContactID": "7"}}, "a guid expected"),
        ({"LineItems": {}}, "an array expected"),
        ({"LineItems": [{"Quantity": "1"}]}, "a number expected"),
        ({"LineItems": [{"Account": "1"}]}, "unknown key"),
        ({"Type": "INVOICE"}, "is not one of"),
        ({"LineAmountTypes": "INCLUSIVE"}, "is not one of"),
        ({"CurrencyCode": "QQQ"}, "is not one of"),
        ({"Date": "2026-2-3"}, "a date YYYY-MM-DD expected"),
        ({"SentToContact": "true"}, "true or false expected"),
        ({"Reference": 5}, "a string expected"),
        ({"InvoiceNumber": "x" * 256}, "longer than 255"),
        ({"Total": 5}, "filled by Xero only"),
        ({"Url": None}, "null is never sent"),
    ],
)
def test_a_broken_request_is_named(change: dict[str, Any], expected: str) -> None:
    assert request_problems("PUT", "Invoices", {"Invoices": [INVOICE]}) == []
    problems = request_problems("PUT", "Invoices", {"Invoices": [{**INVOICE, **change}]})
    assert any(expected in problem for problem in problems), problems


def test_operations_and_parameters_are_known() -> None:
    assert request_problems("PUT", "Invoice", {}) == ["PUT Invoice: Xero has no such operation"]
    assert query_problems("PUT", "Invoices", ["summarizeErrors", "unitdp"]) == []
    assert query_problems("GET", "Invoices", ["pagesize"]) == ["GET Invoices: no parameter pagesize"]
    assert request_problems("PUT", "BankTransactions", {"BankTransactions": [{"Type": "SPEND"}]})
    delete = {"Status": "DELETED"}
    for body in (delete, {"Payments": [delete]}):
        assert request_problems("POST", f"Payments/{GUID}", body) == []


def test_broken_answers_are_named() -> None:
    envelope = {"Id": GUID, "Status": "OK", "ProviderName": "p", "DateTimeUTC": "/Date(1)/"}
    assert response_problems("GET", "Invoices", 200, {**envelope, "Invoices": []}) == []
    broken: list[dict[str, Any]] = [{"Invoices": []}, envelope]
    for body in (*broken, {**envelope, "Invoices": [{"Nonsense": 1}]}, {**envelope, "Invoices": {}}):
        assert response_problems("GET", "Invoices", 200, body)
    wrong_date = {**envelope, "Invoices": [{"Date": "2.11.2026"}]}
    assert response_problems("GET", "Invoices", 200, wrong_date)
    assert response_problems("GET", "Invoices", 401, {"Status": 401, "Oops": 1})
    assert response_problems("PUT", "Invoices", 400, {"ErrorNumber": 10})
    assert response_problems("PUT", "Invoices", 400, []) == ["an object expected"]


def test_the_tables_of_the_sandbox_are_a_part_of_the_file() -> None:
    known = schemas()
    problems = [
        f"{shape}.{name}"
        for shape, keys in KEYS.items()
        for name, key in keys.items()
        if not _is_in_file(known[shape]["properties"].get(name), key)
    ]
    assert problems == []
    assert FORGOTTEN["Invoice"] >= TWINS


def _is_in_file(told: Any, key: Key) -> bool:
    if told is None:
        return False
    if key.is_array:
        return told.get("type") == "array" and str(told["items"].get("$ref", "")).endswith(f"/{key.type}")
    if "$ref" in told:
        target = schemas()[told["$ref"].rpartition("/")[2]]
        return told["$ref"].endswith(f"/{key.type}") or _is_in_file(target, key)
    if key.type.startswith("e."):
        return VALUES[key.type[2:]].issubset(told.get("enum", []))
    return bool(told.get("type") == _PRIMITIVES.get(key.type)) and (key.max_length or 0) <= int(
        told.get("maxLength", 10**6)
    )


def test_parameters_are_those_of_the_file() -> None:
    for endpoint in ENDPOINTS.values():
        calls = (
            ("GET", endpoint.path, endpoint.list_query),
            ("PUT", endpoint.path, endpoint.put_query or frozenset()),
            ("POST", endpoint.path, endpoint.post_query or frozenset()),
            ("POST", f"{endpoint.path}/{GUID}", endpoint.post_one_query or frozenset()),
            ("GET", f"{endpoint.path}/{GUID}", endpoint.one_query),
        )
        for method, path, names in calls:
            if names:
                assert query_problems(method, path, sorted(names)) == [], path


def test_words_of_the_seed_are_words_of_the_file() -> None:
    known = schemas()
    assert set(CLASSES) == set(known["AccountType"]["enum"])
    assert set(CURRENCY_NAMES) <= set(known["CurrencyCode"]["enum"])
    for country in COUNTRIES.values():
        assert country.version in known["Organisation"]["properties"]["Version"]["enum"]
        assert country.timezone_code in known["TimeZone"]["enum"]
        for tax_type, _, _, report, _ in country.rates:
            assert tax_type in known["TaxType"]["enum"] or tax_type.startswith("TAX0")
            assert report in known["TaxRate"]["properties"]["ReportTaxType"]["enum"]
    assert len(ACTIONS) == len(set(ACTIONS))


async def test_settings_lists_keep_to_the_file(xero: Xero) -> None:
    for country in COUNTRIES:
        books = await xero.books(country)
        for path in (
            "Organisation",
            "Organisation/Actions",
            "Accounts",
            "TaxRates",
            "Currencies",
            "TrackingCategories",
        ):
            # Every answer is checked on its way back.
            assert (await books.call("GET", path)).status_code == 200
