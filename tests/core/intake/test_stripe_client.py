"""Stripe's SDK over our one way out: hosts, retries on our clock, and every error in our words."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
import stripe as stripe_lib

from core.config import Settings
from core.errors import (
    AccessExpiredError,
    ConfigurationError,
    NotFoundError,
    ProviderRejectedError,
    ProviderUnavailableError,
    RateLimitedError,
    ReconnectRequiredError,
    TieoutError,
)
from core.intake.stripe_client import STRIPE_API_VERSION, make_stripe, read_retry_after, stripe_errors
from core.outgoing import Outgoing
from tests.runtime import VirtualRuntime

Answer = httpx.Response | Exception
OK = httpx.Response(200, json={"id": "acct_1", "object": "account"})
SLOW = httpx.Response(429, json={"error": {"type": "invalid_request_error", "message": "slow down"}})


def failed(status: int, **error: Any) -> httpx.Response:
    return httpx.Response(status, json={"error": {"message": "said Stripe", **error}}, headers={"Request-Id": "req_1"})


class Peer:
    """Answers in order, the last one for ever."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def client(settings: Settings, runtime: VirtualRuntime) -> Callable[[Peer], stripe_lib.StripeClient]:
    def make(peer: Peer) -> stripe_lib.StripeClient:
        outgoing = Outgoing(settings.outgoing_urls, transport=httpx.MockTransport(peer))
        return make_stripe(outgoing, settings, runtime, "rk_test_tenant")

    return make


async def ask(client: stripe_lib.StripeClient) -> str:
    with stripe_errors():
        return (await client.v1.accounts.retrieve_current_async()).id


async def test_a_call_carries_version_key_and_no_telemetry(client: Callable[[Peer], Any]) -> None:
    peer = Peer(OK)
    assert await ask(client(peer)) == "acct_1"
    (request,) = peer.requests
    assert str(request.url) == "https://api.stripe.com/v1/account"
    assert request.headers["stripe-version"] == STRIPE_API_VERSION
    assert request.headers["authorization"] == "Bearer rk_test_tenant"
    assert "x-stripe-client-telemetry" not in request.headers
    assert "telemetry_id" not in request.headers["x-stripe-client-user-agent"]


async def test_a_burst_passes_and_waits_on_our_clock(client: Callable[[Peer], Any], runtime: VirtualRuntime) -> None:
    peer, start = Peer(SLOW, httpx.ReadTimeout("silence"), OK), runtime.now()
    assert await ask(client(peer)) == "acct_1"
    assert len(peer.requests) == 3
    assert runtime.now() > start


async def test_a_stated_wait_is_left_to_the_caller(client: Callable[[Peer], Any]) -> None:
    peer = Peer(httpx.Response(429, headers={"Retry-After": "77"}, json={"error": {"message": "slow down"}}))
    with pytest.raises(RateLimitedError) as limited:
        await ask(client(peer))
    assert limited.value.retry_after_s == 77
    assert len(peer.requests) == 1


async def test_a_repeated_write_keeps_its_idempotency_key(client: Callable[[Peer], Any]) -> None:
    peer = Peer(failed(500), httpx.Response(200, json={"id": "we_1", "object": "webhook_endpoint"}))
    await client(peer).v1.webhook_endpoints.create_async({"url": "https://x.example/", "enabled_events": ["a"]})
    first, second = (request.headers["idempotency-key"] for request in peer.requests)
    assert first == second


async def test_a_notice_of_stripe_is_no_warning_in_our_process(client: Callable[[Peer], Any]) -> None:
    noticed = httpx.Response(200, json={"id": "acct_1", "object": "account"}, headers={"Stripe-Notice": "upgrade!"})
    assert await ask(client(Peer(noticed))) == "acct_1"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (failed(401), AccessExpiredError),
        (failed(403), ReconnectRequiredError),
        (failed(404, type="invalid_request_error", code="resource_missing"), NotFoundError),
        (failed(400, type="invalid_request_error", code="resource_missing", param="id"), NotFoundError),
        (failed(400, type="invalid_request_error", param="limit"), ProviderRejectedError),
        (failed(402, type="card_error", code="card_declined"), ProviderRejectedError),
        (failed(400, type="idempotency_error"), ProviderRejectedError),
        (failed(409), ProviderUnavailableError),
        (SLOW, RateLimitedError),
        (failed(500), ProviderUnavailableError),
        (httpx.Response(503, html="<h1>down</h1>"), ProviderUnavailableError),
        (httpx.Response(200, html="<h1>hello</h1>"), ProviderUnavailableError),
        (httpx.ConnectError("no route"), ProviderUnavailableError),
        (httpx.RemoteProtocolError("cut"), ProviderUnavailableError),
    ],
)
async def test_every_failure_is_one_of_ours(
    client: Callable[[Peer], Any], answer: Answer, error: type[TieoutError]
) -> None:
    with pytest.raises(error) as failure:
        await ask(client(Peer(answer)))
    assert failure.value.__cause__ is None
    if isinstance(failure.value, AccessExpiredError | ProviderRejectedError):
        assert failure.value.request_id == "req_1"


async def test_another_host_is_never_called(settings: Settings, runtime: VirtualRuntime) -> None:
    peer = Peer(OK)
    outgoing = Outgoing(["https://elsewhere.example"], transport=httpx.MockTransport(peer))
    with pytest.raises(ConfigurationError):
        await ask(make_stripe(outgoing, settings, runtime, "rk_test_tenant"))
    assert peer.requests == []


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "12"}, 12.0),
        ({"retry-after": "0"}, 0.0),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "9" * 30}, None),
        ({"Retry-After": "Mon, 02 Mar 2026 09:01:00 GMT", "Date": "Mon, 02 Mar 2026 09:00:00 GMT"}, 60.0),
        ({"Retry-After": "Mon, 02 Mar 2026 08:00:00 GMT", "Date": "Mon, 02 Mar 2026 09:00:00 GMT"}, 0.0),
        ({"Retry-After": "Mon, 02 Mar 2026 09:01:00 GMT"}, None),
    ],
)
def test_retry_after_is_seconds_a_date_or_nothing(headers: dict[str, str], seconds: float | None) -> None:
    assert read_retry_after(headers) == seconds
