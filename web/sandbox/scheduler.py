"""Work that falls due later: balance transactions, webhook deliveries, retries. Runs on the sandbox's clock."""

import asyncio
import heapq
import logging
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from web.sandbox.clock import SandboxClock

Job = Callable[[], Awaitable[object] | None]

_MAX_ROUNDS = 10_000
_log = logging.getLogger(__name__)


class _Due(NamedTuple):
    at: float
    seq: int
    job: Job


class Scheduler:
    """A heap of jobs. ``run`` works them off in the background; ``run_due`` does so on demand, for tests."""

    def __init__(self, clock: SandboxClock) -> None:
        self._clock = clock
        self._heap: list[_Due] = []
        self._seq = 0
        self._wake = asyncio.Event()
        self._running: set[asyncio.Task[None]] = set()
        clock.on_advance(self._wake.set)

    def later(self, delay_s: float, job: Job) -> None:
        """Run ``job`` once ``delay_s`` from now; equal times keep their order."""
        self.at(self._clock.timestamp() + max(delay_s, 0.0), job)

    def at(self, when: float, job: Job) -> None:
        self._seq += 1
        heapq.heappush(self._heap, _Due(when, self._seq, job))
        self._wake.set()

    def next_due(self) -> float | None:
        """When the next job falls due, in Unix seconds; for simulations that own the clock."""
        return self._heap[0].at if self._heap else None

    def pending(self) -> int:
        return len(self._heap) + len(self._running)

    async def run_due(self) -> int:
        """Run everything due now, and what that makes due now; wait for all of it. Return the number of jobs."""
        done = 0
        for _ in range(_MAX_ROUNDS):
            done += self._start_due()
            if not self._running:
                return done
            await asyncio.gather(*self._running, return_exceptions=True)
        message = "jobs keep making jobs that are due at once"
        raise RuntimeError(message)

    async def advance(self, seconds: float) -> int:
        """Move the clock forward, stopping at every due time, so that each job sees its own moment.

        Return the number of jobs that ran.
        """
        target = self._clock.timestamp() + seconds
        done = 0
        for _ in range(_MAX_ROUNDS):
            if not self._heap or self._heap[0].at > target or seconds < 0:
                break
            # The extra millisecond outweighs the clock's rounding, which could stop just short of the due time.
            self._clock.advance(max(self._heap[0].at - self._clock.timestamp(), 0.0) + 0.001)
            done += await self.run_due()
        self._clock.advance(min(seconds, max(target - self._clock.timestamp(), 0.0)))
        return done + await self.run_due()

    async def run(self) -> None:
        """Work until cancelled."""
        try:
            while True:
                self._wake.clear()
                self._start_due()
                await self._wait_for_next()
        finally:
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)

    def _start_due(self) -> int:
        now = self._clock.timestamp()
        started = 0
        while self._heap and self._heap[0].at <= now:
            due = heapq.heappop(self._heap)
            started += 1
            try:
                outcome = due.job()
            except Exception:  # noqa: BLE001 - the job runner: one broken job must not stop the others
                _log.exception("a sandbox job failed")
                continue
            if outcome is not None:
                self._spawn(outcome)
        return started

    def _spawn(self, work: Awaitable[object]) -> None:
        async def guarded() -> None:
            try:
                await work
            except Exception:  # noqa: BLE001 - the job runner: one broken job must not stop the others
                _log.exception("a sandbox job failed")

        task = asyncio.get_running_loop().create_task(guarded())
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _wait_for_next(self) -> None:
        """Until the next job is due or a new one came; an empty heap waits for the latter alone."""
        waiters: list[asyncio.Future[object]] = [asyncio.ensure_future(self._wake.wait())]
        if self._heap:
            delay = max(self._heap[0].at - self._clock.timestamp(), 0.0)
            waiters.append(asyncio.ensure_future(self._clock.sleep(delay)))
        try:
            await asyncio.wait(waiters, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for waiter in waiters:
                waiter.cancel()
            await asyncio.gather(*waiters, return_exceptions=True)
