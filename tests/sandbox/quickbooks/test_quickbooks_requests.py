"""requestid, batches, SyncTokens, faults, throttles and counters."""

import re
from typing import Any

import httpx
import pytest

from tests.quickbooks_xsd import validate_response
from tests.sandbox.quickbooks.harness import Books, Intuit, line, payment, sale
from web.sandbox.faults import FaultKind, FaultRule
from web.sandbox.quickbooks.amounts import decode

TRANSFER_NOTE = "po_1"


def transfer(books: Books, **more: Any) -> dict[str, Any]:
    accounts = {"FromAccountRef": books.ref("Checking"), "ToAccountRef": books.ref("Savings")}
    return {**accounts, "Amount": 5, "TxnDate": "2026-03-02", "PrivateNote": TRANSFER_NOTE, **more}


async def test_a_repeat_gets_the_first_answer_byte_for_byte(books: Books) -> None:
    first = await books.call("POST", "transfer", transfer(books), requestid="k-1")
    books.intuit.clock.advance(60)
    again = await books.call("POST", "transfer", transfer(books), requestid="k-1", minorversion="75")
    assert (again.status_code, again.content) == (200, first.content)
    assert await books.trial_balance() == {"Checking": -500, "Savings": 500}
    other = await books.call("POST", "transfer", transfer(books), requestid="k-2")
    assert other.content != first.content


async def test_updates_deletes_and_refusals_are_remembered_too(books: Books) -> None:
    made = await books.send("Transfer", transfer(books))
    change = {"Id": made["Id"], "SyncToken": "0", "sparse": True, "Amount": 7}
    first = await books.call("POST", "transfer", change, requestid="u-1")
    assert (await books.call("POST", "transfer", change, requestid="u-1")).content == first.content
    gone = {"Id": made["Id"], "SyncToken": "1"}
    first = await books.call("POST", "transfer", gone, operation="delete", requestid="d-1")
    assert (await books.call("POST", "transfer", gone, operation="delete", requestid="d-1")).content == first.content
    assert await books.refused("Transfer", transfer(books, Amount=-1), requestid="f-1") == "2140"
    assert await books.refused("Transfer", transfer(books, Amount=-1), requestid="f-1") == "2140"
    assert await books.trial_balance() == {}


async def test_another_content_under_the_same_key_is_a_loud_failure(books: Books) -> None:
    await books.send("Transfer", transfer(books), requestid="k-1")
    assert await books.refused("Transfer", transfer(books, Amount=6), requestid="k-1") == "990001"
    violations = await books.control("GET", "/requestids/violations")
    assert [v["key"] for v in violations] == ["k-1"]
    reordered = dict(reversed(transfer(books).items()))
    assert (await books.call("POST", "transfer", reordered, requestid="k-1")).status_code == 200
    assert len(await books.control("GET", "/requestids/violations")) == 1


async def test_a_bad_request_id_is_2130_and_forgotten_ones_work_anew(books: Books) -> None:
    for bad in ("x" * 51, "with blank", "ä"):
        assert await books.refused("Transfer", transfer(books), requestid=bad) == "2130"
    first = await books.send("Transfer", transfer(books), requestid="x" * 50)
    assert (await books.control("DELETE", "/requestids"))["forgotten"] == 1
    second = await books.send("Transfer", transfer(books), requestid="x" * 50)
    assert first["Id"] != second["Id"]


@pytest.mark.parametrize("code", ["600", "6000"])
async def test_a_repeat_may_be_answered_unclearly(books: Books, code: str) -> None:
    await books.behave(replay=code)
    await books.send("Transfer", transfer(books), requestid="k-1")
    assert await books.refused("Transfer", transfer(books), requestid="k-1") == code
    assert await books.trial_balance() == {"Checking": -500, "Savings": 500}


def batch_of(books: Books, *b_ids: str) -> dict[str, Any]:
    return {"BatchItemRequest": [{"bId": b, "operation": "create", "Transfer": transfer(books)} for b in b_ids]}


async def test_a_batch_is_no_transaction_and_answers_200(books: Books) -> None:
    body = batch_of(books, "a1")
    body["BatchItemRequest"] += [
        {"bId": "a2", "operation": "create", "Transfer": transfer(books, Amount=-1)},
        {"bId": "a3", "Query": "select * from Customer where DisplayName = 'Harbor Lane Weddings'"},
        {"bId": "a4", "Query": "select Id from Customer"},
    ]
    answer = await books.call("POST", "batch", body, requestid="b-1")
    items = {item["bId"]: item for item in decode(answer.content)["BatchItemResponse"]}
    assert answer.status_code == 200
    assert items["a1"]["Transfer"]["Amount"] == 5
    assert items["a2"]["Fault"]["Error"][0]["code"] == "2140"
    assert items["a3"]["QueryResponse"]["Customer"][0]["DisplayName"] == "Harbor Lane Weddings"
    assert items["a4"]["Fault"]["Error"][0]["code"] == "4000"


async def test_the_key_of_a_batch_item_is_requestid_and_bid(books: Books) -> None:
    for b_ids, moved in ((("a1", "a2"), 10), (("a1", "a2"), 10), (("a2", "a3"), 15)):
        answer = await books.call("POST", "batch", batch_of(books, *b_ids), requestid="b-1")
        assert all("Transfer" in item for item in decode(answer.content)["BatchItemResponse"])
        assert (await books.trial_balance())["Savings"] == moved * 100
    await books.call("POST", "batch", batch_of(books, "a1"))
    assert (await books.trial_balance())["Savings"] == 2000


async def test_a_joined_key_over_50_fails_each_item_and_too_many_items_fail_the_batch(books: Books) -> None:
    answer = await books.call("POST", "batch", batch_of(books, "b" * 15, "c" * 14), requestid="k" * 36)
    first, second = decode(answer.content)["BatchItemResponse"]
    assert first["Fault"]["Error"][0]["code"] == "6000"
    assert "Transfer" in second
    too_many = await books.call("POST", "batch", batch_of(books, *(str(n) for n in range(31))))
    assert decode(too_many.content)["Fault"]["Error"][0]["code"] == "1040"


async def test_sync_tokens_guard_updates(books: Books) -> None:
    made = await books.send("Transfer", transfer(books))
    change = {"Id": made["Id"], "SyncToken": "0", "sparse": True, "PrivateNote": "a"}
    assert (await books.send("Transfer", change))["SyncToken"] == "1"
    assert await books.refused("Transfer", change) == "5010"
    same = await books.send("Transfer", {**change, "SyncToken": "1"})
    assert same["SyncToken"] == "1"
    assert await books.refused("Transfer", {"Id": made["Id"], "sparse": True}) == "2020"
    assert await books.refused("Transfer", {"Id": "99", "SyncToken": "0", "sparse": True}) == "610"
    assert await books.refused("Transfer", {"Id": "po_1", "SyncToken": "0", "sparse": True}) == "2030"
    assert await books.refused("Transfer", {"Id": made["Id"], "SyncToken": "0"}, operation="delete") == "5010"


async def test_a_full_update_empties_what_it_leaves_out_and_a_sparse_one_does_not(books: Books) -> None:
    customer, item = (
        await books.customer(Notes="kept", PrimaryEmailAddr={"Address": "ana@example.com"}),
        await books.item(),
    )
    sparse = await books.send("Customer", {"Id": customer, "SyncToken": "0", "sparse": True, "GivenName": "Ana"})
    assert (sparse["Notes"], sparse["GivenName"]) == ("kept", "Ana")
    full = await books.send("Customer", {"Id": customer, "SyncToken": "1", "DisplayName": "Ana Lima"})
    assert "Notes" not in full
    assert "PrimaryEmailAddr" not in full
    invoice = await books.sale("Invoice", line(item, 10), customer=customer, PrivateNote="keep me")
    lines = {"Line": [line(item, 20)]}
    changed = await books.send("Invoice", {"Id": invoice["Id"], "SyncToken": "0", "sparse": True, **lines})
    assert (changed["TotalAmt"], changed["PrivateNote"]) == (20, "keep me")
    full = await books.send(
        "Invoice", {"Id": invoice["Id"], "SyncToken": "1", "CustomerRef": {"value": customer}, **lines}
    )
    assert "PrivateNote" not in full
    assert "DocNumber" not in full


async def test_one_sequence_numbers_all_transactions(books: Books) -> None:
    customer, item = await books.customer(), await books.item()
    invoice = await books.sale("Invoice", line(item, 10), customer=customer)
    moved = await books.send("Transfer", transfer(books))
    paid = await books.send("Payment", payment(customer, 10, (invoice["Id"], 10)))
    assert [int(x["Id"]) - int(invoice["Id"]) for x in (invoice, moved, paid)] == [0, 1, 2]


async def test_changes_since_a_time_include_what_was_deleted(books: Books) -> None:
    await books.send("Transfer", transfer(books))
    books.intuit.clock.advance(600)
    since = books.intuit.clock.now().isoformat()
    new = await books.send("Transfer", transfer(books))
    gone = await books.send("Transfer", transfer(books))
    await books.send("Transfer", {"Id": gone["Id"], "SyncToken": "0"}, operation="delete")
    answer = await books.call("GET", "cdc", entities="Transfer,Invoice", changedSince=since)
    transfers, invoices = decode(answer.content)["CDCResponse"][0]["QueryResponse"]
    assert [(t["Id"], t.get("status")) for t in transfers["Transfer"]] == [(new["Id"], None), (gone["Id"], "Deleted")]
    assert invoices == {}
    old = await books.call("GET", "cdc", entities="Transfer", changedSince="2025-01-01T00:00:00Z")
    assert old.status_code == 400


async def test_json_that_is_none_and_paths_that_do_not_exist(books: Books) -> None:
    assert await books.refused("Transfer", b"{not json") == "2010"
    assert await books.refused("Transfer", []) == "2010"
    assert await books.refused("Nonsense", {}) == "500"
    assert (await books.call("GET", "nonsense/1")).status_code == 400
    assert (await books.call("GET", "invoice/999999")).status_code == 400


def rule(kind: FaultKind, **more: Any) -> FaultRule:
    return FaultRule(kind=kind, provider="quickbooks", path="/transfer", **more)


async def test_a_lost_answer_has_done_its_work_and_the_repeat_finds_it(intuit: Intuit, books: Books) -> None:
    intuit.faults.add(rule(FaultKind.DROP_AFTER_COMMIT))
    with pytest.raises(httpx.ReadError):
        await books.send("Transfer", transfer(books), requestid="k-1")
    assert (await books.trial_balance())["Savings"] == 500
    await books.send("Transfer", transfer(books), requestid="k-1")
    assert (await books.trial_balance())["Savings"] == 500


@pytest.mark.parametrize(
    ("more", "status", "code"),
    [
        ({"status": 503}, 503, "10000"),
        ({"status": 400, "code": "6000", "after_commit": True}, 400, "6000"),
        ({"status": 200, "code": "6000"}, 200, "6000"),
        ({"status": 400, "code": "6540"}, 400, "6540"),
    ],
)
async def test_injected_faults_come_in_the_envelope(
    intuit: Intuit, books: Books, more: dict[str, Any], status: int, code: str
) -> None:
    intuit.faults.add(rule(FaultKind.STATUS, **more))
    answer = await books.call("POST", "transfer", transfer(books), requestid="k-1")
    assert answer.status_code == status
    assert answer.json()["Fault"]["Error"][0]["code"] == code
    assert validate_response(answer.json()) == []
    assert ("Savings" in await books.trial_balance()) == more.get("after_commit", False)
    await books.send("Transfer", transfer(books), requestid="k-1")
    assert (await books.trial_balance())["Savings"] == 500


async def test_an_injected_401_looks_like_the_gateway(intuit: Intuit, books: Books) -> None:
    intuit.faults.add(rule(FaultKind.STATUS, status=401))
    answer = await books.call("POST", "transfer", transfer(books))
    assert answer.status_code == 401
    assert answer.json()["fault"]["error"][0]["code"] == "3200"


async def test_throttle_answers_are_xml_or_json(intuit: Intuit, books: Books) -> None:
    intuit.faults.add(rule(FaultKind.RATE_LIMIT, retry_after="60"))
    answer = await books.call("POST", "transfer", transfer(books))
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "60"
    assert re.search(r'<Error code="3001">', answer.text)
    intuit.faults.add(rule(FaultKind.RATE_LIMIT, code="json"))
    answer = await books.call("POST", "transfer", transfer(books))
    assert answer.json()["Fault"]["Error"][0]["code"] == "3001"


async def test_ten_calls_a_second_and_five_hundred_a_minute(intuit: Intuit, books: Books) -> None:
    await books.behave(throttle=True)
    statuses = [(await books.call("GET", "preferences")).status_code for _ in range(11)]
    assert statuses == [200] * 10 + [429]
    for _ in range(49):
        intuit.clock.advance(1.001)
        for _ in range(10):
            assert (await books.call("GET", "preferences")).status_code == 200
    intuit.clock.advance(1.001)
    assert (await books.call("GET", "preferences")).status_code == 429
    intuit.clock.advance(60)
    assert (await books.call("GET", "preferences")).status_code == 200
    assert (await books.control("GET", "/counters"))["throttled"] == 2


async def test_forty_batches_a_minute(intuit: Intuit, books: Books) -> None:
    await books.behave(throttle=True)
    body = {"BatchItemRequest": [{"bId": "q", "Query": "select * from TaxCode"}]}
    for _ in range(40):
        assert (await books.call("POST", "batch", body)).status_code == 200
        intuit.clock.advance(0.2)
    assert (await books.call("POST", "batch", body)).status_code == 429
    assert (await books.call("GET", "preferences")).status_code == 200


async def test_reads_are_counted_as_core_plus_and_writes_as_core(books: Books) -> None:
    await books.control("DELETE", "/counters")
    customer, item = await books.customer(), await books.item()
    await books.sale("Invoice", line(item, 10), customer=customer)
    await books.refused("Invoice", sale(customer=customer))
    await books.query("select * from Customer")
    body = batch_of(books, "a1", "a2")
    body["BatchItemRequest"].append({"bId": "q", "Query": "select * from TaxCode"})
    await books.call("POST", "batch", body)
    assert await books.control("GET", "/counters") == {
        "requests": 6,
        "batches": 1,
        "core": 5,
        "core_plus": 2,
        "throttled": 0,
    }


async def test_the_log_knows_realm_and_request_id(intuit: Intuit, books: Books) -> None:
    for _ in range(2):
        await books.send("Transfer", transfer(books), requestid="k-1")
    first, second = [e for e in intuit.log.entries(provider="quickbooks", account=books.realm) if e.method == "POST"]
    assert (first.idempotency_key, first.replayed, second.replayed) == ("k-1", False, True)


@pytest.mark.parametrize(("switch", "code"), [({"subscription_ended": True}, "6190"), (None, "10200")])
async def test_a_company_may_be_gone(books: Books, switch: dict[str, Any] | None, code: str) -> None:
    if switch:
        await books.behave(**switch)
    else:
        await books.control("POST", "/reset")
    assert await books.refused("Transfer", transfer(books)) == code
