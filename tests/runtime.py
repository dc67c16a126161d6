"""Time and chance in a test's own hands."""

import asyncio
import heapq
import itertools
import random
from datetime import UTC, datetime, timedelta

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
"""Monday morning: where every virtual clock starts."""

_TURNS = 20
"""Turns of the event loop that woken sleepers get before the clock goes on."""


class VirtualRuntime:
    """A :class:`core.clock.Runtime` whose clock moves only when told, and whose dice fall the same way every time.

    Args:
        start: first moment of the clock.
        seed: of the random numbers and tokens.
        skips: True: a sleeper moves the clock itself and goes on at once. False: sleepers wait for :meth:`advance`.
    """

    def __init__(self, start: datetime = START, *, seed: int = 1, skips: bool = True) -> None:
        self._now = start
        self._start = start
        self._dice = random.Random(seed)
        self._sleepers: list[tuple[datetime, int, asyncio.Future[None]]] = []
        self._order = itertools.count()
        self.skips = skips

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return (self._now - self._start).total_seconds()

    async def sleep(self, seconds: float) -> None:
        if self.skips or seconds <= 0:
            self._now += timedelta(seconds=max(seconds, 0))
            await asyncio.sleep(0)
            return
        woken = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now + timedelta(seconds=seconds), next(self._order), woken))
        await woken

    def random(self) -> float:
        return self._dice.random()

    def token_bytes(self, size: int) -> bytes:
        return self._dice.randbytes(size)

    def forward(self, **delta: float) -> None:
        """Move the clock by ``timedelta(**delta)`` where nobody sleeps."""
        self._now += timedelta(**delta)

    async def advance(self, **delta: float) -> None:
        """Move the clock by ``timedelta(**delta)``; each sleeper wakes at its own moment, in order."""
        end = self._now + timedelta(**delta)
        await self._settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            due, _, woken = heapq.heappop(self._sleepers)
            self._now = max(self._now, due)
            if not woken.done():
                woken.set_result(None)
            await self._settle()
        self._now = end
        await self._settle()

    async def _settle(self) -> None:
        for _ in range(_TURNS):
            await asyncio.sleep(0)
