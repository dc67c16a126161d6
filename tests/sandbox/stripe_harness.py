"""A sandbox on a real port, Stripe's own SDK to talk to it, and a webhook intake that remembers."""

import asyncio
import contextlib
import functools
import json
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import stripe as stripe_lib
import uvicorn
from jsonschema import Draft202012Validator

from tests.loopback import real_line
from web.sandbox.app import Sandbox, create_sandbox
from web.sandbox.client import SandboxClient
from web.sandbox.settings import SandboxSettings

SCHEMA_FILE = Path(__file__).resolve().parents[3] / "shared" / "specs" / "stripe" / "objects.schema.json"
SCENARIO_FILE = SCHEMA_FILE.with_name("scenario_card_refund_dispute_payout.json")
HOOK = "http://app.test/webhooks/stripe"
SECRET = "whsec_sandbox_connect"

Json = dict[str, Any]


class SharedHttpx(stripe_lib.HTTPClient):
    """The SDK over our own httpx client: no second pool, no deprecated calls, 429 retried."""

    name = "httpx"

    def __init__(self, client: httpx.AsyncClient) -> None:
        super().__init__()
        self._client = client

    def _should_retry(
        self, response: Any, api_connection_error: Any, num_retries: int, max_network_retries: int | None
    ) -> bool:
        if response is not None and response[1] == 429:
            return num_retries < (max_network_retries or 0)
        return bool(super()._should_retry(response, api_connection_error, num_retries, max_network_retries))

    async def sleep_async(self, secs: float) -> None:
        await asyncio.sleep(0)

    async def request_async(self, method: str, url: str, headers: Any, post_data: Any = None) -> Any:
        try:
            answer = await self._client.request(method, url, headers=headers, content=post_data)
        except httpx.HTTPError as error:
            raise stripe_lib.APIConnectionError(type(error).__name__, should_retry=True) from error
        return answer.content, answer.status_code, answer.headers

    async def close_async(self) -> None:
        await self._client.aclose()


@dataclass
class Intake:
    """What the application under test would have received."""

    status: int = 200
    requests: list[httpx.Request] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return httpx.Response(self.status)

    @property
    def events(self) -> list[Json]:
        return [json.loads(request.content) for request in self.requests]

    @property
    def types(self) -> list[str]:
        return [event["type"] for event in self.events]

    def of_type(self, event_type: str) -> list[Json]:
        return [event for event in self.events if event["type"] == event_type]


@dataclass
class Running:
    """A served sandbox and everything to use it with."""

    sandbox: Sandbox
    url: str
    http: httpx.AsyncClient
    control: SandboxClient
    intake: Intake

    def stripe(self, key: str, *, retries: int = 0, account: str | None = None) -> stripe_lib.StripeClient:
        return stripe_lib.StripeClient(
            key,
            stripe_account=account,
            base_addresses={"api": self.url, "connect": self.url},
            max_network_retries=retries,
            http_client=SharedHttpx(self.http),
        )

    async def get(self, key: str, path: str) -> Json:
        answer = await self.http.get(self.url + path, headers={"authorization": f"Bearer {key}"})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


@contextlib.asynccontextmanager
async def serve(settings: SandboxSettings | None = None, *, own_sender: bool = False) -> AsyncIterator[Running]:
    """A sandbox on a free port; balance transactions come at once, in the background.

    Its webhooks reach :class:`Intake` without a socket, unless ``own_sender`` lets it use its own client.
    """
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    intake = Intake()
    chosen = settings or SandboxSettings(
        base_url=url,
        stripe_webhook_url=HOOK,
        stripe_webhook_secret=SECRET,
        stripe_bt_delay_s=(0.0, 0.0),
        stripe_rate_limit=None,
    )
    sender = httpx.AsyncClient(transport=httpx.MockTransport(intake))
    sandbox = create_sandbox(chosen, http=None if own_sender else sender)
    server = _Server(uvicorn.Config(sandbox.app, log_level="critical", timeout_graceful_shutdown=1))
    task = asyncio.create_task(server.serve(sockets=[listener]))
    async with sender, httpx.AsyncClient(transport=real_line(), timeout=10) as http:
        try:
            await server.ready.wait()
            yield Running(sandbox, url, http, SandboxClient(url, http), intake)
        finally:
            server.should_exit = True
            await task
            listener.close()


class _Server(uvicorn.Server):
    """Says when it listens, and leaves the signals of the test process alone."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def schema_problems(body: Json) -> list[str]:
    """What is wrong with an object, an event or a list by Stripe's published shapes."""
    kind = body["object"]
    if kind == "list":
        return [problem for item in body["data"] for problem in schema_problems(item)]
    problems = [f"{kind}: {error.message[:200]} at {list(error.path)}" for error in _errors(kind, body)]
    if kind == "event":
        problems += schema_problems(body["data"]["object"])
    return problems


def _errors(kind: str, body: Json) -> list[Any]:
    validator = _validator(kind)
    return list(validator.iter_errors(body)) if validator else []


@functools.cache
def _validator(kind: str) -> Draft202012Validator | None:
    document = _schema()
    if kind not in document["$defs"]:
        return None
    whole = {"$schema": document["$schema"], "$defs": document["$defs"], "$ref": f"#/$defs/{kind}"}
    return Draft202012Validator(whole)


@functools.cache
def _schema() -> Json:
    return dict(json.loads(SCHEMA_FILE.read_text(encoding="utf-8")))


needs_schema = pytest.mark.skipif(not SCHEMA_FILE.is_file(), reason="Stripe's published shapes are not in this clone")
