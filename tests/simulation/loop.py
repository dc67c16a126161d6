"""An event loop of pure memory: no sockets, no threads, no machine clock. The same steps in the same order."""

import asyncio
import heapq
from typing import Any


class NothingToDoError(RuntimeError):
    """Everybody waits and nobody is going to wake anybody."""


class _NoSockets:
    """Stands where a loop keeps its selector: nothing ever arrives from outside."""

    def __init__(self, loop: "MemoryLoop") -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            raise NothingToDoError("every task waits for another one")
        if timeout > 0:
            self._loop.skip()
        return []


class MemoryLoop(asyncio.BaseEventLoop):
    """Runs what is ready; where only timers are left, its clock jumps to the next one.

    It holds nothing of the operating system, so that a process may fork while it rests and go on in the child.
    """

    def __init__(self) -> None:
        super().__init__()
        self._selector = _NoSockets(self)
        self._moment = 0.0

    def time(self) -> float:
        return self._moment

    def skip(self) -> None:
        """Let the clock of the timers jump to the first of them."""
        scheduled: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined]
        while scheduled and scheduled[0].cancelled():
            heapq.heappop(scheduled)
        if scheduled:
            self._moment = max(self._moment, scheduled[0].when())

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> asyncio.Future[Any]:
        """Do at once what a thread would do: there is none, and nobody could repeat its order."""
        done = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as exc:  # noqa: BLE001 - whatever it was goes to whoever asked
            done.set_exception(exc)
        return done

    def _process_events(self, event_list: list[Any]) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """Nobody sleeps in a system call that would have to be woken from."""
