"""The HTTP server and its limits (D11)."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import h11
import uvicorn
from litestar import Litestar
from uvicorn.protocols.http.h11_impl import H11Protocol

from core.config import Settings
from web.background import Background

MAX_CONNECTIONS = 8_192
"""Above this the server answers 503. Idle sockets cost about 10 kB each, so it may be far above the honest number."""

HEAD_WITHIN_S = 10.0
"""The head of a request must be complete after this; uvicorn itself waits for ever."""

KEEP_ALIVE_S = 5
GRACE_S = 20
MAX_HEAD_BYTES = 16 * 1024


class PatientProtocol(H11Protocol):
    """uvicorn's own protocol, with an end to its patience for a head that never gets complete."""

    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """A connection that says nothing is a head that never gets complete."""
        super().connection_made(transport)
        self._watch_head()

    def data_received(self, data: bytes) -> None:
        """Keep the timer while a head is incomplete, whatever trickles in."""
        super().data_received(data)
        self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go."""
        self._stop_timer()
        super().connection_lost(exc)

    def _watch_head(self) -> None:
        if self.conn.their_state is not h11.IDLE:
            self._stop_timer()
        elif self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_WITHIN_S, self._give_up)

    def _give_up(self) -> None:
        self._head_timer = None
        if self.conn.their_state is h11.IDLE and not self.transport.is_closing():
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
            "h11_max_incomplete_event_size": MAX_HEAD_BYTES,
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
