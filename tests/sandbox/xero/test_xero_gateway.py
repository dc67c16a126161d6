"""Headers, limits, idempotency, faults: what stands between a client and the books."""

import asyncio
from decimal import Decimal

import httpx
import pytest

from tests.sandbox.xero.harness import Books, Xero, invoice, line
from web.sandbox.faults import FaultKind, FaultRule
from web.sandbox.xero.amounts import decode


async def test_without_accept_json_the_answer_is_xml(books: Books) -> None:
    answer = await books.call("GET", "Organisation", headers={"accept": "*/*"})
    assert answer.headers["content-type"].startswith("text/xml")
    assert "<Organisations><Organisation>" in answer.text
    assert [violation["kind"] for violation in await books.xero.control.violations(books.tenant)] == ["accept"]


async def test_every_answer_says_what_is_left(xero: Xero) -> None:
    books = await xero.books(throttle=True, day_limit=1000)
    answer = await books.call("GET", "Organisation")
    assert answer.headers["x-minlimit-remaining"] == "59"
    assert answer.headers["x-daylimit-remaining"] == "999"
    assert answer.headers["x-appminlimit-remaining"] == "9999"
    assert answer.headers["xero-correlation-id"]


async def test_the_minute_limit_is_a_fixed_window_of_one_organisation(xero: Xero) -> None:
    books, other = await xero.books(throttle=True), await xero.books(throttle=True)
    await books.get("Organisation")
    xero.clock.advance(20)
    for _ in range(59):
        await books.get("Organisation")
    answer = await books.call("GET", "Organisation")
    assert (answer.status_code, answer.headers["x-rate-limit-problem"]) == (429, "minute")
    assert answer.headers["retry-after"] == "40"
    assert answer.headers["x-minlimit-remaining"] == "0"
    assert (await other.call("GET", "Organisation")).status_code == 200
    xero.clock.advance(40)
    assert (await books.call("GET", "Organisation")).status_code == 200
    assert (await xero.control.counters(books.tenant))["throttled"] == 1


async def test_the_day_limit_can_last_for_hours_and_the_app_has_a_limit_of_its_own(xero: Xero) -> None:
    books = await xero.books(throttle=True, day_limit=1)
    await books.get("Organisation")
    answer = await books.call("GET", "Organisation")
    assert answer.headers["x-rate-limit-problem"] == "day"
    assert int(answer.headers["retry-after"]) > 86_000
    await xero.control.configure(app_minute_limit=1)
    other = await xero.books(throttle=True)
    assert (await other.call("GET", "Organisation")).headers["x-rate-limit-problem"] == "appminute"


async def test_five_calls_at_a_time(xero: Xero) -> None:
    books = await xero.books(throttle=True, latency_s=1.0)
    answers = await asyncio.gather(*(books.call("GET", "Organisation") for _ in range(7)))
    assert sorted(answer.status_code for answer in answers) == [200] * 5 + [429] * 2
    refused = [answer for answer in answers if answer.status_code == 429]
    assert {answer.headers["x-rate-limit-problem"] for answer in refused} == {"concurrent"}
    assert "retry-after" not in refused[0].headers


async def send(books: Books, key: str, number: str = "TO-1") -> httpx.Response:
    contact = (await books.rows("Contacts"))[0]["ContactID"]
    body = {"Invoices": [invoice(contact, line(10), number=number)]}
    return await books.call("PUT", "Invoices", body, {"idempotency-key": key}, summarizeErrors="false")


async def test_a_key_repeats_the_first_answer_for_six_minutes(books: Books) -> None:
    first, again = await send(books, "k1"), await send(books, "k1")
    assert again.content == first.content
    assert (await books.xero.control.counters(books.tenant))["replayed"] == 1
    assert [entry.replayed for entry in books.xero.log.entries() if entry.idempotency_key] == [False, True]
    books.xero.clock.advance(360)
    late = decode((await send(books, "k1")).content)["Invoices"][0]
    assert late["ValidationErrors"] == [{"Message": "Invoice # must be unique."}]


async def test_a_key_belongs_to_one_request_of_one_organisation_of_the_app(books: Books) -> None:
    await send(books, "k1")
    other = await books.xero.books()
    for answer in (await send(books, "k1", "TO-2"), await send(other, "k1")):
        assert answer.status_code == 400
        assert "Idempotency Key: k1 is used with a different request." in answer.text
    assert [v["kind"] for v in await books.xero.control.violations(other.tenant)] == ["idempotency-key"]
    assert (await send(books, "k" * 129, "TO-3")).status_code == 400
    assert await books.xero.control.forget_idempotency() == 1


async def test_two_at_once_under_one_key_are_one(xero: Xero) -> None:
    books = await xero.books(latency_s=0.5)
    answers = await asyncio.gather(send(books, "k1"), send(books, "k1"))
    assert answers[0].content == answers[1].content
    assert len(await books.rows("Invoices")) == 1


async def test_a_refusal_before_the_key_is_not_remembered(xero: Xero) -> None:
    books = await xero.books()
    await books.behave(throttle=True, minute_limit=1)
    assert (await send_raw(books, "k1")).status_code == 429
    await books.behave(throttle=False)
    assert (await send_raw(books, "k1")).status_code == 200


async def send_raw(books: Books, key: str) -> httpx.Response:
    await books.call("GET", "Organisation")
    return await books.call("PUT", "Contacts", {"Contacts": [{"Name": "Ana"}]}, {"idempotency-key": key})


async def test_a_call_that_dies_half_way_is_remembered_as_dead(books: Books) -> None:
    contact = await books.contact()
    body = {"Invoices": [invoice(contact, line(10), number=f"TO-{n}") for n in range(4)]}
    await books.xero.control.break_next(books.tenant, after_elements=3)
    for _ in range(2):
        answer = await books.call("PUT", "Invoices", body, {"idempotency-key": "k9"}, summarizeErrors="false")
        assert answer.status_code == 500
    assert [row["InvoiceNumber"] for row in await books.rows("Invoices")] == ["TO-0", "TO-1", "TO-2"]
    again = await books.call("PUT", "Invoices", body, {"idempotency-key": "k10"}, summarizeErrors="false")
    states = [row["StatusAttributeString"] for row in decode(again.content)["Invoices"]]
    assert states == ["ERROR", "ERROR", "ERROR", "OK"]


@pytest.mark.parametrize(
    ("rule", "status", "expected"),
    [
        (FaultRule(kind=FaultKind.RATE_LIMIT, code="day", retry_after="77000"), 429, "Rate limit exceeded"),
        (FaultRule(kind=FaultKind.STATUS, status=500), 500, "An error occurred in Xero"),
        (FaultRule(kind=FaultKind.STATUS, status=503), 503, "The Organisation is offline"),
        (FaultRule(kind=FaultKind.STATUS, status=401), 401, "TokenExpired"),
        (FaultRule(kind=FaultKind.STATUS, status=403), 403, "AuthenticationUnsuccessful"),
        (FaultRule(kind=FaultKind.STATUS, status=400, message="Odd"), 400, "ValidationException"),
        (FaultRule(kind=FaultKind.STATUS, status=400, code="QueryParseException"), 400, "QueryParseException"),
        (FaultRule(kind=FaultKind.STATUS, status=412), 412, "Error"),
    ],
)
async def test_injected_faults_are_worded_like_xero(books: Books, rule: FaultRule, status: int, expected: str) -> None:
    rule.provider, rule.path = "xero", "^/api.xro/"
    books.xero.faults.add(rule)
    answer = await books.call("GET", "Organisation")
    assert (answer.status_code, expected in answer.text) == (status, True)
    if status == 429:
        assert (answer.headers["x-rate-limit-problem"], answer.headers["retry-after"]) == ("day", "77000")


async def test_an_answer_lost_after_the_work_is_found_again_under_its_key(books: Books) -> None:
    rule = FaultRule(kind=FaultKind.DROP_AFTER_COMMIT, provider="xero", method="PUT", path="Invoices")
    books.xero.faults.add(rule)
    with pytest.raises(httpx.ReadError):
        await send(books, "k1")
    made = decode((await send(books, "k1")).content)["Invoices"][0]
    assert (made["InvoiceNumber"], made["Total"]) == ("TO-1", Decimal("10.00"))


async def test_an_offline_organisation(books: Books) -> None:
    await books.behave(offline=True)
    answer = await books.call("GET", "Organisation")
    assert (answer.status_code, answer.text) == (503, "The Organisation is offline")


@pytest.mark.parametrize(
    ("method", "path", "query", "body", "expected"),
    [
        ("GET", "Invoices", {"pagesize": "10"}, None, "knows no parameter pagesize"),
        ("PUT", "BankTransfers", {"summarizeErrors": "false"}, {"BankTransfers": [{}]}, "knows no parameter"),
        ("PUT", "Invoices", {}, {"Invoices": [{"Typ": "ACCREC"}]}, "Invoice.Typ is not a field"),
        ("PUT", "Invoices", {}, {"Invoices": [{"Contact": {"Id": "1"}}]}, "Invoice.Contact.Id is not a field"),
        ("PUT", "Invoices", {}, {"Invoices": [{"LineAmountTypes": "INCLUSIVE"}]}, "one of Exclusive"),
        ("PUT", "Invoices", {}, {"Invoices": [{"Date": "2.3.2026"}]}, "a date expected"),
        ("PUT", "Invoices", {}, {"Invoices": [{"LineItems": {}}]}, "an array expected"),
        ("PUT", "Invoices", {}, {"Invoices": [{"LineItems": [{"UnitAmount": "1"}]}]}, "a number expected"),
        ("PUT", "Invoices", {}, {"Invoices": [{"InvoiceID": "7"}]}, "a guid expected"),
        ("PUT", "Invoices", {}, {"Invoices": [{"SentToContact": "yes"}]}, "true or false expected"),
        ("PUT", "Invoices", {}, {"Invoices": [{"Reference": 5}]}, "a text expected"),
        (
            "PUT",
            "Invoices",
            {},
            {
                "Invoices": [],
            },
            "between 1 and 1000",
        ),
        ("PUT", "Invoices", {}, {"Invoices": [{}], "Status": "x"}, "Status is not a field"),
        ("PUT", "Invoices", {}, b"{", "JSON for post data was invalid"),
        ("PUT", "Invoices", {}, b"[]", "an object expected"),
    ],
)
async def test_slips_of_the_pen_are_refused_loudly(
    books: Books, method: str, path: str, query: dict[str, str], body: object, expected: str
) -> None:
    answer = await books.call(method, path, body, **query)
    assert answer.status_code == 400
    assert expected in decode(answer.content)["Message"]


async def test_what_does_not_exist_is_404(books: Books) -> None:
    for method, path in (
        ("GET", "Quotes"),
        ("GET", "Invoices/TO-none"),
        ("DELETE", "Payments"),
        ("PUT", "TaxRates"),
        ("POST", "TaxRates/NONE"),
        ("GET", "Reports/BalanceSheet"),
    ):
        answer = await books.call(method, path, {} if method != "GET" else None)
        # Reports other than the trial balance would need scopes of their own.
        assert answer.status_code == 404, path
    xml = await books.call("PUT", "Contacts", b"<Contacts/>", {"content-type": "application/xml"})
    assert xml.status_code == 400
