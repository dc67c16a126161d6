"""G12: 200 connections on one PostgreSQL, books that take 20 ms: one worker process against four.

``python -m tests.bench.engine_workers URL`` is such a worker; it says ``ready`` and works until its input ends.
"""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import func, select

from core.books.roles import SaleStyle
from core.db.listen import listen
from core.db.models import ItemState, SyncItem
from core.logging import configure_logging
from core.sync.worker import Worker
from tests.bench.engine_stage import LostItemError, make_studio, opened, prompt_books, queue_sales
from tests.bench.figures import Figure, note
from tests.postgres import running_cluster

_CONNECTIONS = 200
_SALES_EACH = 2
_DELAY_S = 0.02
_WORKERS = (1, 4)
_LEAD_S = 8.0
_PATIENCE_S = 240.0


def on_postgres(folder: Path) -> list[Figure]:
    """Let one worker, then four, work off the same number of sales."""
    with running_cluster(is_durable=True) as cluster:
        name = asyncio.run(cluster.new_database())
        return asyncio.run(_measure(cluster.url(name), folder))


async def _measure(url: str, folder: Path) -> list[Figure]:
    rates = []
    async with opened(url) as wiring:
        studios = [await make_studio(wiring, style=SaleStyle.RECEIPT) for _ in range(_CONNECTIONS)]
        for run, count in enumerate(_WORKERS):
            with _workers(url, count, folder):
                begins = wiring.runtime.now()
                await queue_sales(wiring, studios, run * _SALES_EACH, _SALES_EACH, due_in_s=_LEAD_S)
                taken = (wiring.runtime.now() - begins).total_seconds()
                if taken > _LEAD_S:
                    raise LostItemError(f"some were due while others were not there yet: {taken:.1f} s")
                rates.append(await _rate(url, (run + 1) * _CONNECTIONS * _SALES_EACH))
    one, four = rates
    cores = os.cpu_count() or 1
    what = f"workers 1 to 4, PostgreSQL, {_CONNECTIONS} connections, books that take {_DELAY_S * 1000:.0f} ms"
    return [
        Figure("G12", what, f"{four:.0f}/s", f"{one:.0f}/s one worker", four / one, ">= 3", four / one >= 3),
        note("  cores of this machine, the server's among them", str(cores)),
    ]


async def _rate(url: str, expected: int) -> float:
    """Wait until all are done; return how many of the last run were finished a second, from when they were due."""
    async with opened(url) as wiring, asyncio.timeout(_PATIENCE_S):
        finished = select(func.count(), func.max(SyncItem.changed_at)).where(SyncItem.state == ItemState.DONE)
        while True:
            # Across tenants: it is the sum that is measured.
            async with wiring.db.system() as session:
                count, last = (await session.execute(finished)).one()
                newest = select(func.max(SyncItem.created_at))
                made = (await session.execute(newest)).scalar_one()
            if count == expected:
                of_run = _CONNECTIONS * _SALES_EACH
                return of_run / ((last - made).total_seconds() - _LEAD_S)
            await asyncio.sleep(0.5)


@contextmanager
def _workers(url: str, count: int, folder: Path) -> Iterator[None]:
    with (folder / "workers.log").open("ab") as log:
        words = [sys.executable, "-m", "tests.bench.engine_workers", url]
        started = [
            subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log) for _ in range(count)
        ]
        try:
            for process in started:
                assert process.stdout is not None
                if process.stdout.readline() != b"ready\n":
                    raise LostItemError(f"a worker did not begin: {(folder / 'workers.log').read_text()[-2000:]}")
            yield
        finally:
            for process in started:
                process.communicate()


async def _work(url: str) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(sys.stdin.fileno(), stop.set)
    async with opened(url) as wiring, prompt_books(together=1, delay_s=_DELAY_S):
        listening = asyncio.create_task(listen(wiring))
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await Worker(wiring).run(stop)
        listening.cancel()


if __name__ == "__main__":
    configure_logging("warning", tracebacks=True)
    asyncio.run(_work(sys.argv[1]))
