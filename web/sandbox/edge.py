"""The outermost layer of the sandbox: names the provider, writes the log, applies faults, cuts connections.

It is plain ASGI so that a fault can do what a web framework never lets a handler do: send half an answer,
or none.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, cast

import httpx

from web.sandbox.clock import SandboxClock
from web.sandbox.faults import FaultAnswer, FaultKind, FaultRule, Faults
from web.sandbox.log import LogEntry, RequestLog, attach

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

_MAX_BODY = 16 * 1024 * 1024

# Order matters: Intuit's user-info endpoint also starts with /v1/.
_PROVIDER_PATHS: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "sandbox",
        re.compile(r"^/(_control/|_static/|_pages/|quickbooks(/|$)|app/|xero(/|$)|AccountsReceivable/|Bank/|$)"),
    ),
    (
        "xero",
        re.compile(
            r"^/(api\.xro/|identity/connect/|connect/(token|revocation)$|connections(/|$)|\.well-known/openid-)"
        ),
    ),
    (
        "quickbooks",
        re.compile(
            r"^/(v3/company/|connect/oauth2|oauth2/v1/|v2/oauth2/|v1/openid_connect/|op/v1/|\.well-known/openid)"
        ),
    ),
    ("stripe", re.compile(r"^/(v1|v2|oauth)/")),
)


def provider_of(path: str) -> str:
    """The stand-in that owns ``path``."""
    return next((name for name, pattern in _PROVIDER_PATHS if pattern.match(path)), "unknown")


class ConnectionCut(httpx.ReadError):
    """Raised where no socket exists to cut (in-process transport): the client sees the same kind of error."""


class Edge:
    """ASGI wrapper around the Litestar app of the sandbox."""

    def __init__(self, app: AsgiApp, *, clock: SandboxClock, faults: Faults, log: RequestLog) -> None:
        self._app = app
        self._clock = clock
        self._faults = faults
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        provider = provider_of(scope["path"]) if scope["type"] == "http" else "sandbox"
        if provider == "sandbox":
            await self._app(scope, receive, send)
            return
        body = await _read_body(receive)
        entry = self._open_entry(scope, provider, body)
        target = entry.path + (f"?{entry.query}" if entry.query else "")
        rule = self._faults.take(provider=provider, method=entry.method, path=target, body=body)
        call = _Call(self._app, scope, receive, send, body, entry)
        try:
            await self._serve(rule, provider, call, entry)
        finally:
            entry.ended_at = self._clock.timestamp()

    async def _serve(self, rule: FaultRule | None, provider: str, call: "_Call", entry: LogEntry) -> None:
        if rule is None:
            await call.pass_through()
            return
        entry.fault = rule.kind.value
        if rule.delay_s:
            await self._clock.sleep(rule.delay_s)
        await _apply(rule, self._faults.answer(rule, provider), call)

    def _open_entry(self, scope: Scope, provider: str, body: bytes) -> LogEntry:
        entry = self._log.start(
            at=self._clock.timestamp(),
            provider=provider,
            method=scope["method"],
            path=scope["path"],
            query=scope["query_string"].decode("latin-1"),
        )
        entry.body_size = len(body)
        if self._log.record_bodies:
            entry.body = body.decode("utf-8", "replace")[:20_000]
        entry.idempotency_key = _header(scope, b"idempotency-key")
        attach(scope, entry)
        return entry


class _Call:
    """One request on its way through the edge."""

    def __init__(self, app: AsgiApp, scope: Scope, receive: Receive, send: Send, body: bytes, entry: LogEntry) -> None:
        self._app = app
        self._scope = scope
        self._receive = receive
        self._send = send
        self._body = body
        self._body_given = False
        self._entry = entry

    async def pass_through(self) -> None:
        async def noting_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._entry.status = message["status"]
            await self._send(message)

        await self._app(self._scope, self._replay_body, noting_send)

    async def perform(self) -> list[Message]:
        """Let the app do its work and keep what it would have answered."""
        messages: list[Message] = []

        async def keep(message: Message) -> None:
            messages.append(message)

        await self._app(self._scope, self._replay_body, keep)
        return messages

    async def answer(self, answer: FaultAnswer) -> None:
        self._entry.status = answer.status
        headers = [(k.encode("latin-1"), v.encode("latin-1")) for k, v in answer.headers]
        headers.append((b"content-length", str(len(answer.body)).encode()))
        await self._send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await self._send({"type": "http.response.body", "body": answer.body})

    async def answer_half(self, messages: list[Message]) -> None:
        start = messages[0]
        body = b"".join(m.get("body", b"") for m in messages[1:])
        self._entry.status = start["status"]
        await self._send(start)
        await self._send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
        # Give the loop a turn, or the abort may overtake the half that was written.
        await asyncio.sleep(0)
        await self.cut(abort=False)

    async def cut(self, *, abort: bool = True) -> None:
        """Close the socket under the client's feet.

        ASGI has no word for this. Uvicorn's ``send`` is a bound method of an object that holds the transport;
        without one (in-process client) the exception travels to the client instead.
        """
        transport = _transport_of(self._send)
        if transport is None:
            message = "the sandbox cut the connection"
            raise ConnectionCut(message)
        transport.abort() if abort else transport.close()
        # Uvicorn learns of the loss in the next turns of the loop; returning before would make it answer 500.
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def hang(self) -> None:
        if _transport_of(self._send) is None:
            message = "the sandbox does not answer"
            raise httpx.ReadTimeout(message)
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def _replay_body(self) -> Message:
        if self._body_given:
            return await self._receive()
        self._body_given = True
        return {"type": "http.request", "body": self._body, "more_body": False}


async def _apply(rule: FaultRule, answer: FaultAnswer | None, call: _Call) -> None:
    match rule.kind:
        case FaultKind.DROP_BEFORE_COMMIT:
            await call.cut()
        case FaultKind.DROP_AFTER_COMMIT:
            await call.perform()
            await call.cut()
        case FaultKind.HANG:
            if rule.after_commit:
                await call.perform()
            await call.hang()
        case FaultKind.TRUNCATE:
            await call.answer_half(await call.perform())
        case _ if answer is not None:
            if rule.after_commit:
                await call.perform()
            await call.answer(answer)
        case _:
            await call.pass_through()


async def _read_body(receive: Receive) -> bytes:
    body = b""
    while len(body) <= _MAX_BODY:
        message = await receive()
        body += message.get("body", b"")
        if message["type"] == "http.disconnect" or not message.get("more_body"):
            break
    return body


def _header(scope: Scope, name: bytes) -> str | None:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), None)


def _transport_of(send: Send) -> asyncio.Transport | None:
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    # By its methods, not its class: other event loops bring transports of their own.
    return cast("asyncio.Transport", transport) if hasattr(transport, "abort") else None
