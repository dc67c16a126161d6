"""Injected faults, as a client on a real socket sees them."""

import httpx
import pytest
import stripe as stripe_lib

from tests.sandbox.stripe_harness import Running
from web.sandbox.app import create_sandbox
from web.sandbox.client import SandboxClient
from web.sandbox.faults import FaultKind, FaultRule
from web.sandbox.settings import SandboxSettings


async def add(running: Running, kind: FaultKind, **options: object) -> FaultRule:
    body = {"kind": kind.value, "path": "^/v1/customers", **options}
    answer = await running.http.post(f"{running.url}/_control/faults", json=body)
    assert answer.status_code == 200, answer.text
    return FaultRule(kind=kind, id=answer.json()["id"])


async def customers(running: Running, key: str) -> int:
    return len((await running.get(key, "/v1/customers"))["data"])


@pytest.mark.parametrize(
    ("kind", "made"), [(FaultKind.DROP_BEFORE_COMMIT, 0), (FaultKind.DROP_AFTER_COMMIT, 1), (FaultKind.TRUNCATE, 1)]
)
async def test_a_cut_connection_is_a_transport_error(running: Running, kind: FaultKind, made: int) -> None:
    business = await running.control.create_account("Lumen Studio")
    await add(running, kind, method="POST")
    with pytest.raises(httpx.TransportError):
        await running.http.post(running.url + "/v1/customers", data={"name": "Ann"}, auth=(business.secret_key, ""))
    assert await customers(running, business.secret_key) == made
    entry = (await running.control.log(provider="stripe"))[0]
    assert entry.fault == kind.value


async def test_a_retry_after_a_lost_answer_makes_nothing_twice(running: Running) -> None:
    business = await running.control.create_account("Lumen Studio")
    await add(running, FaultKind.DROP_AFTER_COMMIT, method="POST")
    client = running.stripe(business.secret_key, retries=2)
    customer = await client.v1.customers.create_async({"name": "Ann"})
    assert customer.name == "Ann"
    assert await customers(running, business.secret_key) == 1
    posts = [e for e in await running.control.log(provider="stripe") if e.method == "POST"]
    assert [e.replayed for e in posts] == [False, True]
    assert posts[0].idempotency_key == posts[1].idempotency_key


async def test_hanging_ends_with_the_clients_timeout(running: Running) -> None:
    business = await running.control.create_account("Lumen Studio")
    await add(running, FaultKind.HANG, after_commit=True, method="POST")
    with pytest.raises(httpx.ReadTimeout):
        await running.http.post(
            running.url + "/v1/customers", data={"name": "Ann"}, auth=(business.secret_key, ""), timeout=0.2
        )
    assert await customers(running, business.secret_key) == 1


async def test_errors_have_stripes_shape(running: Running) -> None:
    business = await running.control.create_account("Lumen Studio")
    client = running.stripe(business.secret_key)
    await add(running, FaultKind.STATUS, status=500)
    with pytest.raises(stripe_lib.APIError):
        await client.v1.customers.list_async()
    await add(running, FaultKind.RATE_LIMIT, retry_after="2")
    with pytest.raises(stripe_lib.RateLimitError) as limited:
        await client.v1.customers.list_async()
    assert limited.value.headers is not None
    assert limited.value.headers["retry-after"] == "2"
    await add(running, FaultKind.STATUS, status=401)
    with pytest.raises(stripe_lib.AuthenticationError):
        await client.v1.customers.list_async()
    for kind in (FaultKind.JUNK, FaultKind.HTML_500):
        await add(running, kind)
        with pytest.raises(stripe_lib.APIError):
            await client.v1.customers.list_async()
    assert (await client.v1.customers.list_async()).data == []


async def test_skip_and_count_choose_the_calls(running: Running) -> None:
    business = await running.control.create_account("Lumen Studio")
    await add(running, FaultKind.STATUS, status=503, skip=1, count=2)
    statuses = [
        (await running.http.get(running.url + "/v1/customers", auth=(business.secret_key, ""))).status_code
        for _ in range(5)
    ]
    assert statuses == [200, 503, 503, 200, 200]
    rules = await running.control.faults()
    assert [(rule.matched, rule.hits) for rule in rules] == [(5, 2)]
    await running.control.clear_faults()
    assert await running.control.faults() == []


async def test_faults_work_in_process_too() -> None:
    sandbox = create_sandbox(SandboxSettings(seed=1))
    transport = httpx.ASGITransport(app=sandbox.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://sandbox.test") as http:
        control = SandboxClient("http://sandbox.test", http)
        business = await control.create_account("Lumen Studio")
        for kind in (FaultKind.DROP_AFTER_COMMIT, FaultKind.TRUNCATE, FaultKind.HANG):
            await control.add_fault(FaultRule(kind=kind, method="POST", path="^/v1/customers"))
            with pytest.raises(httpx.TransportError):
                await http.post("/v1/customers", data={"name": "Ann"}, auth=(business.secret_key, ""))
            await control.clear_faults()
        listed = await http.get("/v1/customers", auth=(business.secret_key, ""))
        assert len(listed.json()["data"]) == 2


async def test_a_broken_rule_is_refused(running: Running) -> None:
    for body in ({"kind": "explode"}, {"kind": "junk", "path": "("}):
        answer = await running.http.post(f"{running.url}/_control/faults", json=body)
        assert answer.status_code == 400
        assert answer.json()["error"]["message"]
