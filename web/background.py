"""What runs beside the pages in the same process: the inbox's writer, listener and live watcher, and the worker."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from core.db.listen import listen
from core.intake.webhook import Inbox
from core.logging import get_logger
from core.sync.worker import DRAIN_S, Worker
from core.wiring import Wiring
from web.live import LiveHub

log = get_logger("background")


@dataclass(frozen=True, slots=True)
class Background:
    """What handlers may hand work to."""

    inbox: Inbox
    live: LiveHub


@asynccontextmanager
async def start_background(wiring: Wiring) -> AsyncIterator[Background]:
    """Run everything while the context is open; the worker finishes what is in flight before it goes (F32)."""
    inbox, live = Inbox(wiring), LiveHub(wiring)
    tasks = [asyncio.create_task(work) for work in (inbox.run(), listen(wiring), live.run())]
    stop = asyncio.Event()
    worker = asyncio.create_task(Worker(wiring).run(stop)) if wiring.settings.runs_worker else None
    try:
        yield Background(inbox, live)
    finally:
        live.close()
        stop.set()
        if worker is not None:
            await _drain(worker)
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
