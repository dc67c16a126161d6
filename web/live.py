"""Live updates: one watcher in each process tells every open stream that its tenant's pages have changed.

The stream carries a number and no content; the page then fetches its own address through the normal, authorised way.
Hints can be lost (a full queue, a database that restarts), so each stream also compares numbers at every beat.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from uuid import UUID

from sqlalchemy.exc import SQLAlchemyError

from core.live import current_seq
from core.logging import get_logger
from core.reports.news import read_news
from core.signals import LIVE
from core.wiring import Wiring

BEAT_S = 15.0
"""Below the patience of any proxy; also how long a stream can outlive its session."""

MAX_PER_SESSION = 10
"""Tabs of one browser that are told at once; one more ends the oldest, which may long be dead."""

MAX_STREAMS = 2_000
"""Of one process."""

_HELLO = b": open\r\n\r\n"
_BEAT = b": beat\r\n\r\n"

_log = get_logger("live")


class _Listener:
    """One open stream: what it should know by now, and whether it must end."""

    def __init__(self, session_hash: str) -> None:
        self.session_hash = session_hash
        self.seq: int | None = None
        self._is_over = False
        self.woken = asyncio.Event()

    def is_open(self) -> bool:
        return not self._is_over

    def tell(self, seq: int) -> None:
        self.seq = seq
        self.woken.set()

    def end(self) -> None:
        self._is_over = True
        self.woken.set()


class LiveHub:
    """The streams of one process."""

    def __init__(self, wiring: Wiring) -> None:
        self._wiring = wiring
        self._listeners: defaultdict[UUID, list[_Listener]] = defaultdict(list)
        self._is_closed = False

    @property
    def count(self) -> int:
        """How many streams are open."""
        return sum(len(found) for found in self._listeners.values())

    @property
    def is_full(self) -> bool:
        """Whether no more streams are taken."""
        return self._is_closed or self.count >= MAX_STREAMS

    def close(self) -> None:
        """End every stream: the server is about to stop, and waits for open responses."""
        self._is_closed = True
        for listeners in self._listeners.values():
            for listener in listeners:
                listener.end()

    async def run(self) -> None:
        """Pass hints on until cancelled; hints that came together are one read for each tenant."""
        async with self._wiring.signals.subscribe(LIVE) as hints:
            while True:
                tenants = {await hints.get()}
                while not hints.empty():
                    tenants.add(hints.get_nowait())
                for tenant_id in map(UUID, tenants):
                    if tenant_id in self._listeners:
                        await self._spread(tenant_id)

    async def stream(self, *, tenant_id: UUID, session_hash: str, since: int | None) -> AsyncIterator[bytes]:
        """Yield events for one page. No database session is open while it waits (trap 2).

        Args:
            tenant_id: whose pages.
            session_hash: of the session that asked; the stream ends with it.
            since: the number that the page was rendered at; None to hear of later changes only.
        """
        listener = self._enter(tenant_id, session_hash)
        seen = since
        try:
            yield _HELLO
            while listener.is_open():
                beat_at = self._wiring.runtime.monotonic() + BEAT_S
                seq = await self._look(tenant_id, listener)
                if seq is not None and seen is not None and seq != seen:
                    yield _event(seq)
                seen = seen if seq is None else seq
                while await self._hears(listener, beat_at):
                    if listener.seq is not None and listener.seq != seen:
                        seen = listener.seq
                        yield _event(seen)
                if listener.is_open():
                    yield _BEAT
        finally:
            self._leave(tenant_id, listener)

    def _enter(self, tenant_id: UUID, session_hash: str) -> _Listener:
        listener = _Listener(session_hash)
        same = [found for found in self._listeners[tenant_id] if found.session_hash == session_hash]
        for oldest in same[: max(len(same) - MAX_PER_SESSION + 1, 0)]:
            oldest.end()
        self._listeners[tenant_id].append(listener)
        return listener

    def _leave(self, tenant_id: UUID, listener: _Listener) -> None:
        self._listeners[tenant_id].remove(listener)
        if not self._listeners[tenant_id]:
            del self._listeners[tenant_id]

    async def _look(self, tenant_id: UUID, listener: _Listener) -> int | None:
        """Read the number, and end the stream if its session has ended. None: the database cannot be asked now."""
        try:
            seq = await read_news(self._wiring.db, tenant_id=tenant_id, session_hash=listener.session_hash)
        except (SQLAlchemyError, OSError) as exc:
            _log.warning("news_unknown", exc_info=exc)
            return None
        if seq is None:
            listener.end()
        return seq

    async def _hears(self, listener: _Listener, beat_at: float) -> bool:
        """Wait for news. False: it is time for the beat, or the end."""
        left = beat_at - self._wiring.runtime.monotonic()
        if left <= 0 or not listener.is_open():
            return False
        news = asyncio.ensure_future(listener.woken.wait())
        beat = asyncio.ensure_future(self._wiring.runtime.sleep(left))
        try:
            await asyncio.wait({news, beat}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            news.cancel()
            beat.cancel()
            await asyncio.gather(news, beat, return_exceptions=True)
        has_news = listener.woken.is_set()
        listener.woken.clear()
        return has_news and listener.is_open()

    async def _spread(self, tenant_id: UUID) -> None:
        try:
            async with self._wiring.db.open_session() as session:
                seq = await current_seq(session, tenant_id)
        except (SQLAlchemyError, OSError) as exc:
            # The next beat of each stream makes up for it.
            _log.warning("news_unknown", exc_info=exc)
            return
        for listener in self._listeners.get(tenant_id, ()):
            listener.tell(seq)


def _event(seq: int) -> bytes:
    return f"id: {seq}\r\nevent: payments-changed\r\ndata: {seq}\r\n\r\n".encode()
