"""The outermost layer: what is refused before routing, and what is written down afterwards.

Litestar's middleware does not run for paths and methods that have no route, so this wraps the application itself.
"""

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

from litestar import Litestar
from litestar.enums import ScopeType
from litestar.exceptions import HTTPException
from litestar.types import (
    HTTPReceiveMessage,
    HTTPScope,
    LifeSpanReceive,
    LifeSpanScope,
    LifeSpanSend,
    Message,
    Receive,
    Scope,
    Send,
)

from core.config import Settings
from core.identity.throttle import network_of
from core.logging import get_logger
from core.wiring import Wiring
from web.client import client_address
from web.facts import RequestFacts, facts_of, put_facts

MAX_TARGET_BYTES = 8 * 1024
BODY_WITHIN_S = 20.0
"""A body that takes longer than this is not being sent, it is being held back."""

_log = get_logger("web")


class Edge(Litestar):
    """The application with its edge: request ids, allowed hosts, readable targets, one log line for each request."""

    async def __call__(
        self, scope: Scope | LifeSpanScope, receive: Receive | LifeSpanReceive, send: Send | LifeSpanSend
    ) -> None:
        """Answer one request."""
        if scope["type"] != ScopeType.HTTP:
            await super().__call__(scope, receive, send)
            return
        await self._answer(scope, receive, send)  # type: ignore[arg-type]  # the scope's type decides the other two

    async def _answer(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        settings: Settings = self.state.settings
        wiring: Wiring = self.state.wiring
        address = client_address(scope, settings.trusted_hops)
        put_facts(scope, RequestFacts(wiring.runtime.token_bytes(8).hex(), address, network_of(address)))
        started, status = wiring.runtime.monotonic(), 0

        async def watched_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            refusal = find_refusal(scope, settings.hosts)
            if refusal:
                await self._refuse(scope, watched_send, refusal)
            else:
                await super().__call__(scope, _within(receive, BODY_WITHIN_S), watched_send)
        finally:
            _write_log(scope, status, wiring.runtime.monotonic() - started)

    async def _refuse(self, scope: HTTPScope, send: Send, status: int) -> None:
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"0")]
        message: Message = {"type": "http.response.start", "status": status, "headers": headers}
        for hook in self.before_send:
            await hook(message, scope)
        await send(message)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def find_refusal(scope: HTTPScope, hosts: tuple[str, ...]) -> int | None:
    """Return the status of a request that is not even looked at, or None."""
    named = [value.decode("latin-1").lower() for name, value in scope["headers"] if name == b"host"]
    if len(named) != 1 or named[0] not in hosts:
        return 400
    raw_path, query = scope.get("raw_path") or scope["path"].encode("utf-8", "surrogatepass"), scope["query_string"]
    if len(raw_path) + len(query) > MAX_TARGET_BYTES:
        return 414
    if not (_is_text(raw_path) and _is_text(query)):
        return 400
    return None


def _is_text(encoded: bytes) -> bool:
    """Whether percent-decoding gives text that both databases take: UTF-8 without NUL (I1)."""
    plain = unquote_to_bytes(encoded)
    try:
        return "\0" not in plain.decode("utf-8")
    except UnicodeDecodeError:
        return False


def _within(receive: Receive, seconds: float) -> Receive:
    """Give the whole body ``seconds`` to arrive; afterwards ``receive`` waits for the disconnect without limit."""
    deadline: float | None = None
    complete = False

    async def limited() -> HTTPReceiveMessage | Any:
        nonlocal deadline, complete
        if complete:
            return await receive()
        if deadline is None:
            deadline = asyncio.get_running_loop().time() + seconds
        try:
            # Not wait_for(), which makes a task of each call: the body is usually there already.
            async with asyncio.timeout_at(deadline):
                message = await receive()
        except TimeoutError as exc:
            raise HTTPException(status_code=408) from exc
        complete = not message.get("more_body", False)
        return message

    return limited


def _write_log(scope: HTTPScope, status: int, seconds: float) -> None:
    facts = facts_of(scope)
    template = scope.get("path_template")
    handler: Any = scope.get("route_handler")
    if handler is not None and handler.opt.get("quiet"):
        return
    line: Mapping[str, object] = {
        "request_id": facts.request_id,
        "method": scope["method"],
        # The template, never the path: a path may carry a secret token, a query an OAuth code (L2).
        "route": template if isinstance(template, str) else None,
        "status": status,
        "duration_ms": round(seconds * 1000, 1),
        "tenant_id": str(facts.visitor.tenant_id) if facts.visitor else None,
    }
    _log.info("request", **line)
