"""Several writes in one call: the very same call on every repeat, and each member's own end told from the answer."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import httpx
import pytest

from core.accounting.port import Posted, PreparedWrite
from core.accounting.quickbooks.batch import composed, member_id
from core.books.documents import SalesReceipt
from core.errors import (
    AccessExpiredError,
    NotSentError,
    OutcomeUnknownError,
    ProviderError,
    ProviderRejectedError,
    RateLimitedError,
    StopError,
)
from core.reasons import Reason
from tests.core.accounting.documents import CUSTOMER, PAYEE, sold, transfer
from tests.core.accounting.quickbooks.stub import answering, fault, found, opened
from tests.quickbooks_xsd import validate_request

IDS = {CUSTOMER.step: "60", PAYEE.step: "56", "item:prod_portrait:79": "23"}
KEY = "0c2bf3f1-6777-5411-8f76-30989e9e8160"
UNEXPECTED = "An unexpected error occurred while accessing or saving your data."


def writes(count: int = 3) -> list[PreparedWrite]:
    provider = opened()
    return [
        provider.prepare(transfer(1000 + n, reference=f"TP-{n:012}"), key=f"{KEY[:-2]}{n:02}", ids=IDS)
        for n in range(count)
    ]


def member(write: PreparedWrite, number: int, **changes: Any) -> dict[str, Any]:
    amount = (write.total_minor or 0) / 100
    row = {"Id": str(400 + number), "SyncToken": "0", "Amount": amount, "PrivateNote": f"po | {write.reference}"}
    return {"Transfer": {**row, **changes}, "bId": member_id(write)}


def refused(write: PreparedWrite, code: str, *, kind: str = "ValidationFault", detail: str = "") -> dict[str, Any]:
    error = {"Message": "Message", "Detail": detail, "code": code, "element": ""}
    return {"Fault": {"Error": [error], "type": kind}, "bId": member_id(write)}


def answer(members: Sequence[Any]) -> httpx.Response:
    content = {"BatchItemResponse": list(members), "time": "2026-11-20T01:02:03.004-08:00"}
    return httpx.Response(200, json=content, headers={"intuit_tid": "1-tid"})


async def sent(members: Sequence[Any], *more: httpx.Response) -> list[Posted | ProviderError]:
    provider, _ = answering(answer(members), *more)
    return list(await provider.execute_many(writes(len(members) or 3), key=KEY))


async def test_the_call_holds_the_frozen_bytes_under_ids_that_never_change() -> None:
    batch = writes()
    provider, requests = answering(answer([member(write, n) for n, write in enumerate(batch)]))
    ends = await provider.execute_many(batch, key=KEY)
    (request,) = requests
    assert str(request.url).endswith(f"/batch?requestid={KEY}&minorversion=75")
    assert request.content == composed(batch)
    assert all(write.body in request.content for write in batch)
    assert validate_request("BatchItemRequest", request.content) == []
    ids = [part["bId"] for part in json.loads(request.content)["BatchItemRequest"]]
    assert ids == [member_id(write) for write in batch]
    assert len(set(ids)) == 3
    assert all(len(i) == 10 and len(KEY + i) <= 50 for i in ids)
    assert [(end.external_id, end.total_minor, end.request_id) for end in ends if isinstance(end, Posted)] == [
        ("400", 1000, "1-tid"),
        ("401", 1001, "1-tid"),
        ("402", 1002, "1-tid"),
    ]
    assert provider.calls == 1


def test_a_member_is_known_by_its_writes_key_alone() -> None:
    first, second, _ = writes()
    assert member_id(first) == member_id(replace(first, body=b"{}", reference="X")) != member_id(second)


def test_a_call_that_quickbooks_would_mix_up_is_never_put_together() -> None:
    receipt = opened().prepare(sold(SalesReceipt), key="key-r", ids=IDS)
    payee = opened().prepare(PAYEE, key="key-p", ids={})
    for wrong in ([], [*writes(2), receipt], [*writes(1), *writes(1)], writes(26), [payee]):
        with pytest.raises(StopError) as stopped:
            composed(wrong)
        assert stopped.value.reason is Reason.OUR_FAULT


async def test_members_are_told_apart_by_their_id_never_by_their_place() -> None:
    batch = writes()
    ends = await sent([member(batch[2], 2), member(batch[0], 0), member(batch[1], 1)])
    assert [end.external_id for end in ends if isinstance(end, Posted)] == ["400", "401", "402"]


@pytest.mark.parametrize(
    ("code", "error", "reason"),
    [
        ("6140", ProviderRejectedError, Reason.NUMBER_TAKEN),
        ("6540", ProviderRejectedError, Reason.REFUSED),
        ("2300", ProviderRejectedError, Reason.OUR_FAULT),
        ("10000", OutcomeUnknownError, None),
        ("600", OutcomeUnknownError, None),
        ("6000", OutcomeUnknownError, None),
        ("3001", RateLimitedError, None),
        ("3200", AccessExpiredError, None),
    ],
)
async def test_a_member_fails_as_it_would_alone_and_the_others_stand(
    code: str, error: type[ProviderError], reason: Reason | None
) -> None:
    batch = writes()
    detail = UNEXPECTED if code == "6000" else ""
    ends = await sent([member(batch[0], 0), refused(batch[1], code, detail=detail), member(batch[2], 2)])
    assert [type(end) for end in ends] == [Posted, error, Posted]
    failed = ends[1]
    assert isinstance(failed, ProviderError)
    assert failed.request_id == "1-tid"
    assert getattr(failed, "reason", None) is reason


async def test_what_the_answer_leaves_out_doubles_or_mangles_is_unknown() -> None:
    batch = writes(6)
    unreadable = {"Transfer": {"Id": 7}, "bId": member_id(batch[2])}
    other = member(batch[3], 3, PrivateNote="somebody else's")
    no_id = member(batch[4], 4, Id="")
    stranger = {"Transfer": {"Id": "9"}, "bId": "unknown"}
    members = [member(batch[1], 1), member(batch[1], 1), unreadable, other, no_id, stranger]
    ends = await sent(members)
    assert [type(end) for end in ends] == [OutcomeUnknownError] * 6


@pytest.mark.parametrize(
    ("broken", "error"),
    [
        pytest.param(httpx.ReadTimeout("slow"), OutcomeUnknownError, id="no answer"),
        pytest.param(httpx.ConnectError("refused"), NotSentError, id="not sent"),
        pytest.param(httpx.Response(504), OutcomeUnknownError, id="504"),
        pytest.param(httpx.Response(200), OutcomeUnknownError, id="empty after success"),
        pytest.param(httpx.Response(200, json={}), OutcomeUnknownError, id="no members"),
        pytest.param(httpx.Response(200, json={"BatchItemResponse": 7}), OutcomeUnknownError, id="another type"),
        pytest.param(httpx.Response(200, json={"BatchItemResponse": [7]}), OutcomeUnknownError, id="odd member"),
        pytest.param(httpx.Response(200, content=b"[" * 100_000), OutcomeUnknownError, id="deep"),
        pytest.param(httpx.Response(200, content=b'{"BatchItemResponse":[{"bId"'), OutcomeUnknownError, id="cut"),
        pytest.param(httpx.Response(429), RateLimitedError, id="429"),
        pytest.param(httpx.Response(401), AccessExpiredError, id="401"),
        pytest.param(fault("1040"), ProviderRejectedError, id="too large"),
        pytest.param(fault("6190", status=200), ProviderRejectedError, id="whole refusal with 200"),
        pytest.param(fault("10000", status=200, kind="SystemFault"), OutcomeUnknownError, id="whole fault with 200"),
    ],
)
async def test_a_call_that_failed_as_a_whole_holds_for_every_member(
    broken: httpx.Response | Exception, error: type[ProviderError]
) -> None:
    provider, requests = answering(broken)
    with pytest.raises(ProviderError) as caught:
        await provider.execute_many(writes(), key=KEY)
    assert type(caught.value) is error
    assert len(requests) == 1


async def test_no_members_in_the_answer_means_each_is_unknown() -> None:
    assert [type(end) for end in await sent([])] == [OutcomeUnknownError] * 3


async def test_what_is_archived_is_asked_once_for_a_whole_batch() -> None:
    batch = writes()
    archived = found(
        "Account",
        {"Id": "91", "Name": "Stripe clearing"},
        {"Id": "94", "Name": "Old bank (deleted)", "AccountType": "Bank", "Active": False},
    )
    ends = await sent([refused(write, "610") for write in batch], archived)
    assert [end.reason for end in ends if isinstance(end, ProviderRejectedError)] == [Reason.ACCOUNT_INACTIVE] * 3
    assert [end.detail for end in ends if isinstance(end, ProviderRejectedError)] == [{"account": "Old bank"}] * 3
