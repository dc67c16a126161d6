"""The HTTP server and its limits (D11)."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from litestar import Litestar
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from core.config import Settings
from web.background import Background

MAX_CONNECTIONS = 8_192
"""Above this the server answers 503. Idle sockets cost about 10 kB each, so it may be far above the honest number."""

HEAD_WITHIN_S = 10.0
"""The head of a request must be complete after this; uvicorn itself waits for ever."""

KEEP_ALIVE_S = 5
GRACE_S = 20
MAX_HEAD_BYTES = 16 * 1024
TOO_LONG = "The head of this request is too long."


class HeadTooLongError(Exception):
    """The head of a request has more bytes than we read."""


class PatientProtocol(HttpToolsProtocol):
    """uvicorn's own protocol, with an end to its patience for a head that never gets complete, or never gets short.

    Its parser is the one of Node.js and knows no limits by itself. A line between two requests is waiting for a head as
    soon as it says anything at all.
    """

    _head_timer: asyncio.TimerHandle | None = None
    _is_in_head = True
    _head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """A connection that says nothing is a head that never gets complete."""
        super().connection_made(transport)
        self._watch_head()

    def data_received(self, data: bytes) -> None:
        """Keep the timer while a head is incomplete, whatever trickles in."""
        if self._is_waiting_for_head():
            self._head_bytes += len(data)
        super().data_received(data)
        if self._is_in_head and self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            # A single endless line: the parser tells of it only when it is complete.
            self.send_400_response(TOO_LONG)
        self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go."""
        self._stop_timer()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        super().on_message_begin()
        self._is_in_head = True

    def on_headers_complete(self) -> None:
        """The head is there; what it has in bytes may have come together with the body."""
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > MAX_HEAD_BYTES:
            raise HeadTooLongError
        self._is_in_head, self._head_bytes = False, 0
        super().on_headers_complete()

    def _is_waiting_for_head(self) -> bool:
        return self._is_in_head or self.cycle is None or self.cycle.response_complete

    def _watch_head(self) -> None:
        if not self._is_waiting_for_head():
            self._stop_timer()
        elif self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_WITHIN_S, self._give_up)

    def _give_up(self) -> None:
        self._head_timer = None
        if self._is_waiting_for_head() and not self.transport.is_closing():
            self.transport.close()

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


class CalmServer(uvicorn.Server):
    """Ends the event streams before it waits for open responses, so that a deploy takes no longer than its requests."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """End with 0: uvicorn raises the signal once more, and the process would die of it with its work done."""
        with super().capture_signals():
            yield
            self._captured_signals.clear()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop, streams first."""
        background: Background | None = self.config.app.state.get("background")  # type: ignore[union-attr]  # our own app
        if background is not None:
            background.live.close()
        await super().shutdown(sockets)


def server_config(app: Litestar, settings: Settings, **changes: Any) -> uvicorn.Config:
    """Return the configuration of the web process."""
    return uvicorn.Config(
        app,
        **{
            "host": settings.host,
            "port": settings.port,
            "http": PatientProtocol,
            "ws": "none",
            "lifespan": "on",
            "limit_concurrency": MAX_CONNECTIONS,
            "backlog": 2_048,
            "timeout_keep_alive": KEEP_ALIVE_S,
            # Endless by default: one open event stream would keep a deploy waiting (trap 16).
            "timeout_graceful_shutdown": GRACE_S,
            # The client's address is worked out by web/client.py; uvicorn would believe the forged entry (A5).
            "proxy_headers": False,
            "server_header": False,
            "access_log": False,
            "log_config": None,
            **changes,
        },
    )


def run_server(app: Litestar, settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT."""
    CalmServer(server_config(app, settings)).run()
