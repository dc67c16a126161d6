"""A line between a process and PostgreSQL that hands everything on, and can be cut in the middle of a COMMIT (F28).

Ending a session on the server seldom does it: between the commit and its answer nobody listens for the order to end.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import StrEnum

_COMMIT = b"COMMIT;\x00"
"""As asyncpg sends it: a plain query."""


class Cut(StrEnum):
    """Where the line is cut: the server never hears of the COMMIT, or nobody hears its answer."""

    BEFORE = "before"
    AFTER = "after"


class Cutter:
    """All lines through one port. ``commits``: how many COMMITs came by; ``cuts``: how many lines were cut."""

    def __init__(self, server_port: int) -> None:
        self.server_port = server_port
        self.port = 0
        self.commits = 0
        self.cuts = 0
        self._next: tuple[int, Cut, asyncio.Future[None]] | None = None
        self.lines: set[_Line] = set()

    def arm(self, where: Cut, *, after: int = 0) -> "asyncio.Future[None]":
        """Cut the next COMMIT but ``after``; the future is done when it has happened."""
        done = asyncio.get_running_loop().create_future()
        self._next = (self.commits + after + 1, where, done)
        return done

    def disarm(self) -> None:
        """Cut nothing any more."""
        self._next = None

    def commit_comes(self) -> Cut | None:
        """Count a COMMIT and say whether its line is to be cut."""
        self.commits += 1
        if self._next is None or self.commits < self._next[0]:
            return None
        _, where, done = self._next
        self._next = None
        self.cuts += 1
        if not done.done():
            done.set_result(None)
        return where


class _Line(asyncio.Protocol):
    """The client's end of one line."""

    def __init__(self, cutter: Cutter) -> None:
        self._cutter = cutter
        self._client: asyncio.Transport | None = None
        self._server: asyncio.Transport | None = None
        self._early: list[bytes] = []
        self.is_deaf = False
        self._opening: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._client = transport
        self._cutter.lines.add(self)
        self._opening = asyncio.create_task(self._open())

    async def _open(self) -> None:
        try:
            server, _ = await asyncio.get_running_loop().create_connection(
                lambda: _Answers(self), "127.0.0.1", self._cutter.server_port
            )
        except OSError:
            self.end()
            return
        self._server = server
        for data in self._early:
            server.write(data)

    def data_received(self, data: bytes) -> None:
        if _COMMIT in data:
            where = self._cutter.commit_comes()
            if where is Cut.BEFORE:
                self.end()
                return
            self.is_deaf = where is Cut.AFTER
        if self._server is None:
            self._early.append(data)
        else:
            self._server.write(data)

    def answer(self, data: bytes) -> None:
        """Hand an answer on, unless nobody is to hear it."""
        if self.is_deaf:
            self.end()
        elif self._client is not None:
            self._client.write(data)

    def end(self) -> None:
        """Cut it, at both ends."""
        self._cutter.lines.discard(self)
        for transport in (self._client, self._server):
            if transport is not None:
                transport.abort()

    def connection_lost(self, _exc: Exception | None) -> None:
        self.end()


class _Answers(asyncio.Protocol):
    """The server's end of a line."""

    def __init__(self, line: _Line) -> None:
        self._line = line

    def data_received(self, data: bytes) -> None:
        self._line.answer(data)

    def connection_lost(self, _exc: Exception | None) -> None:
        self._line.end()


@asynccontextmanager
async def running_cutter(server_port: int, port: int = 0) -> AsyncIterator[Cutter]:
    """Listen on loopback while the block runs, and hand on to the server at ``server_port``."""
    cutter = Cutter(server_port)
    server = await asyncio.get_running_loop().create_server(lambda: _Line(cutter), "127.0.0.1", port)
    cutter.port = server.sockets[0].getsockname()[1]
    try:
        yield cutter
    finally:
        server.close()
        for line in list(cutter.lines):
            line.end()
