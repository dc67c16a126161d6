"""What stands between Stripe and the web processes: one address, any process behind it, and a note of every 200."""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import msgspec
import uvicorn

_NO_ANSWER = 502


class Relay:
    """Hands each delivery to one of the web processes and its answer back; tries no other, as Stripe tries again.

    ``acked``: events that were answered 200, by id. ``answers``: how often each status was given.
    """

    def __init__(self, ports: Callable[[], list[int]]) -> None:
        self._ports = ports
        self._http = httpx.AsyncClient(
            timeout=20, limits=httpx.Limits(max_connections=None, max_keepalive_connections=0)
        )
        self.acked: set[str] = set()
        self.answers: Counter[int] = Counter()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        status = await self._hand_on(scope, body)
        self.answers[status] += 1
        if status == 200:
            self.acked.add(msgspec.json.decode(body)["id"])
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    async def _hand_on(self, scope: Any, body: bytes) -> int:
        port = random.choice(self._ports())
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        kept = {name: headers[name] for name in ("content-type", "stripe-signature")}
        try:
            answer = await self._http.post(f"http://127.0.0.1:{port}{scope['path']}", content=body, headers=kept)
        except httpx.TransportError:
            return _NO_ANSWER
        return answer.status_code

    async def aclose(self) -> None:
        """Close every line."""
        await self._http.aclose()


class _Quiet(uvicorn.Server):
    """A server that leaves the signals to whoever runs it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        yield


@asynccontextmanager
async def running_relay(port: int, ports: Callable[[], list[int]]) -> AsyncIterator[Relay]:
    """Serve a relay on ``port`` while the block runs; ``ports`` says where the web processes listen."""
    relay = Relay(ports)
    config = uvicorn.Config(
        relay, host="127.0.0.1", port=port, log_config=None, access_log=False, lifespan="off",
        timeout_graceful_shutdown=2,
    )  # fmt: skip
    server = _Quiet(config)
    serving = asyncio.create_task(server.serve())
    try:
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.02)
        yield relay
    finally:
        server.should_exit = True
        await serving
        await relay.aclose()
