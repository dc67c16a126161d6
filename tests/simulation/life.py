"""Processes that can die: at any statement, any commit, any call, before or after it."""

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from typing import Any, TypeVar

T = TypeVar("T")


class Death(BaseException):
    """The process ended here, with everything that it held in memory."""


class Life:
    """One process of the product: a worker, or the web. ``dies_in``: points until its end; None: it lives on.

    ``at_point`` is told of every point where it could have died; ``over``: it is dead, and nothing of it acts any more.
    """

    def __init__(self, name: str, *, dies_in: int | None = None) -> None:
        self.name = name
        self.dies_in = dies_in
        self.is_over = False
        self.tasks: list[asyncio.Task[Any]] = []
        self.died_at = ""
        self.at_point: Callable[[Life, str], None] | None = None

    def point(self, where: str) -> None:
        """Pass one point of this life, or die here."""
        if self.is_over:
            raise Death(where)
        if self.at_point is not None:
            self.at_point(self, where)
        if self.dies_in is None:
            return
        if self.dies_in == 0:
            self.is_over, self.died_at = True, where
            raise Death(where)
        self.dies_in -= 1


LIFE: ContextVar[Life | None] = ContextVar("life", default=None)


def point(where: str) -> None:
    """Pass one point of the life that is running."""
    life = LIFE.get()
    if life is not None:
        life.point(where)


def make_task(loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> asyncio.Task[Any]:
    """Start a task, and remember whose it is."""
    task = asyncio.Task(work, loop=loop, **options)
    life = LIFE.get()
    if life is not None:
        life.tasks.append(task)
    return task


async def live(life: Life, work: Coroutine[Any, Any, T]) -> T | None:
    """Let a process do ``work``; None where it died over it. Nothing of a dead one goes on."""

    async def inside() -> T:
        LIFE.set(life)
        return await work

    task = asyncio.get_running_loop().create_task(inside())
    try:
        return await task
    except Death:
        await bury(life)
        return None


async def bury(life: Life) -> None:
    """End everything that a dead process had begun, without letting it write or call."""
    life.is_over = True
    open_ = [task for task in life.tasks if not task.done()]
    for task in open_:
        task.cancel()
    await asyncio.gather(*open_, return_exceptions=True)
