"""G8: the engine alone. Sales wait, the books answer at once; beside it the raw drivers write the very same rows."""

import asyncio
import resource
import shutil
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from core.books.roles import SaleStyle
from core.db.migrate import upgrade
from tests.bench import engine_floor
from tests.bench.engine_stage import check, make_studio, opened, prompt_books, queue_sales, work_off
from tests.bench.figures import RUNS, Figure, median, note
from tests.postgres import running_cluster

_WARM = 60
_DOCUMENTS = {SaleStyle.INVOICE: 2, SaleStyle.RECEIPT: 1}


@dataclass(frozen=True, slots=True)
class _Way:
    """How the sales go: how many side by side, how many in one run, and what the goal asks for."""

    name: str
    together: int
    count: int
    goal: float


_WAYS = (_Way("singly", 1, 60, 500), _Way("50 together", 50, 500, 10_000))


@dataclass(frozen=True, slots=True)
class _Run:
    rate: float
    cpu_s: float


def on_sqlite(folder: Path) -> list[Figure]:
    """Measure on a file."""
    empty = folder / "empty.db"
    upgrade(f"sqlite:///{empty}")
    made = 0

    async def measure(way: _Way, style: SaleStyle) -> tuple[_Run, float]:
        nonlocal made
        made += 1
        path, floor = folder / f"engine{made}.db", folder / f"floor{made}.db"
        shutil.copyfile(empty, path)
        shutil.copyfile(empty, floor)
        run = await _run(f"sqlite:///{path}", way, style)
        return run, await engine_floor.on_sqlite(path, floor, together=way.together)

    return asyncio.run(_all("SQLite", measure))


def on_postgres(folder: Path) -> list[Figure]:
    """Measure on PostgreSQL with the disk's own durability."""
    del folder
    with running_cluster(is_durable=True) as cluster:

        async def measure(way: _Way, style: SaleStyle) -> tuple[_Run, float]:
            name, floor = await cluster.new_database(), await cluster.new_database()
            run = await _run(cluster.url(name), way, style)
            rate = await engine_floor.on_postgres(cluster.url(name), cluster.url(floor), together=way.together)
            return run, rate

        return asyncio.run(_all("PostgreSQL", measure))


async def _all(database: str, measure: Callable[[_Way, SaleStyle], Awaitable[tuple[_Run, float]]]) -> list[Figure]:
    figures = []
    for way in _WAYS:
        for style, documents in _DOCUMENTS.items():
            runs = [await measure(way, style) for _ in range(RUNS)]
            figures += _figures(f"{database}, {way.name}, {documents} documents each", way, runs)
    return figures


async def _run(url: str, way: _Way, style: SaleStyle) -> _Run:
    async with opened(url) as wiring, prompt_books(together=way.together) as books:
        studio = await make_studio(wiring, style=style)
        await queue_sales(wiring, studio, 0, _WARM)
        await work_off(wiring)
        await queue_sales(wiring, studio, _WARM, way.count)
        began, cpu = time.perf_counter(), _cpu_s()
        await work_off(wiring)
        taken, cpu = time.perf_counter() - began, _cpu_s() - cpu
        await check(wiring, books, _WARM + way.count, _DOCUMENTS[style])
    return _Run(way.count / taken, cpu / way.count)


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _figures(what: str, way: _Way, runs: list[tuple[_Run, float]]) -> list[Figure]:
    rates, floors = [run.rate for run, _ in runs], [floor for _, floor in runs]
    rate, floor, cpu = median(rates), median(floors), median([run.cpu_s for run, _ in runs])
    ours = f"{rate:.0f}/s ({min(rates):.0f} to {max(rates):.0f})"
    goal = f">= {way.goal:g}/s"
    return [
        Figure("G8", what, ours, f"{floor:.0f}/s the same rows, raw driver", rate / floor, goal, rate >= way.goal),
        note("  processor for each, this process", f"{cpu * 1000:.1f} ms", "", None),
    ]
