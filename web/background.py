"""What runs beside the pages in the same process: the inbox's writer, listener and live watcher, and the worker."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from core.db.listen import listen
from core.intake.webhook import Inbox
from core.logging import get_logger
from core.ops.pulse import DEAD_AFTER, WEB, Pulse
from core.sync.worker import DRAIN_S, Worker
from core.wiring import Wiring
from web.live import LiveHub

log = get_logger("background")


@dataclass(frozen=True, slots=True)
class Background:
    """What handlers may hand work to."""

    inbox: Inbox
    live: LiveHub
    is_working: Callable[[], bool]


@asynccontextmanager
async def start_background(wiring: Wiring, *, beats: bool = False) -> AsyncIterator[Background]:
    """Run everything while the context is open; the worker finishes what is in flight before it goes (F32).

    ``beats``: this is a process of its own, which writes down that it lives; not a part of a test's process.
    """
    inbox, live = Inbox(wiring), LiveHub(wiring)
    worker = Worker(wiring) if wiring.settings.runs_worker else None
    work = [inbox.run(), listen(wiring), live.run()]
    if beats:
        work.append(Pulse(wiring, WEB, (lambda: worker.passed_at) if worker else None).run())
    tasks = [asyncio.create_task(part) for part in work]
    stop = asyncio.Event()
    working = asyncio.create_task(worker.run(stop)) if worker else None

    def is_working() -> bool:
        """Whether the worker inside goes on; also where there is none."""
        if worker is None or working is None:
            return True
        return not working.done() and wiring.runtime.monotonic() - worker.passed_at < DEAD_AFTER.total_seconds()

    try:
        yield Background(inbox, live, is_working)
    finally:
        live.close()
        stop.set()
        if working is not None:
            await _drain(working)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _drain(worker: "asyncio.Task[None]") -> None:
    """Give the worker its time; what it leaves behind stands in the ledger of operations and is looked up later."""
    done, _ = await asyncio.wait({worker}, timeout=DRAIN_S)
    if not done:
        log.warning("worker_cut_short", seconds=DRAIN_S)
        worker.cancel()
    with suppress(asyncio.CancelledError):
        await worker
