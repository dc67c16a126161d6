"""G1, G2, G4: how many signed events a second are accepted and durable, and how long each waits for its answer."""

import asyncio
import shutil
import sqlite3
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg

from core.db.migrate import upgrade
from tests.bench import floors, load
from tests.bench.events import bodies, event_templates
from tests.bench.figures import RUNS, Figure, at_least, median, milliseconds, note, percentile
from tests.bench.processes import Running, running_app
from tests.postgres import Cluster, running_cluster

_WARM, _COUNT = 1_000, 4_000
_FLOOR_COUNT = 2_000
_GROUP = 16


class LostEventError(AssertionError):
    """An event was answered 200 and is not there (N3)."""


def on_sqlite(folder: Path) -> list[Figure]:
    """Measure on SQLite: one process, one file."""
    templates = asyncio.run(event_templates())
    empty, path = folder / "empty.db", folder / "intake.db"
    upgrade(f"sqlite:///{empty}")
    shutil.copyfile(empty, path)
    floor, grouped, rates, answers = [], [], [], []
    with running_app(f"sqlite:///{path}", folder / "intake.log") as app:
        with _reader(path):
            before = floors.wal_commits(path) if path.with_name("intake.db-wal").exists() else 0
            results = [load.send(_job([app], templates, "warm", _WARM), folder)]
            commits = floors.wal_commits(path) - before
        for run in range(RUNS):
            floor.append(_sqlite_floor(empty, folder / "floor.db", templates, 1))
            grouped.append(_sqlite_floor(empty, folder / "floor.db", templates, _GROUP))
            results.append(load.send(_job([app], templates, f"run{run}", _COUNT), folder))
            rates.append(_COUNT / results[-1].elapsed_s)
            answers += results[-1].latencies_s
        cpu = app.cpu_s() / sum(len(result.accepted) for result in results)
        with _somebody_looking(app):
            steady = load.send(_job([app], templates, "steady", 500, per_second=100), folder)
        results.append(steady)
    with sqlite3.connect(path) as connection:
        stored = {row[0] for row in connection.execute("SELECT event_id FROM stripe_event")}
    check_stored(results, stored)
    ratio = median(rates) / median(floor)
    return [
        at_least("G1", "intake, SQLite, 32 connections", _rate(rates), f"{_rate(floor)} raw commits", ratio, 0.7),
        # Where the disk is slow or busy, shared commits beat lone ones and G1 flatters; this line does not.
        note(
            f"  against {_GROUP} rows in each raw commit", _rate(rates), _rate(grouped), median(rates) / median(grouped)
        ),
        note("  its answers, p50 and p99", _spread(answers), f"{cpu * 1e6:.0f} us of CPU each"),
        note("  events in one commit, mean", f"{_WARM / max(1, commits):.1f}"),
        _steady(steady),
        note("  accepted and found stored", _tally(results)),
    ]


def on_postgres(folder: Path) -> list[Figure]:
    """Measure on PostgreSQL with the disk's own durability: one process, then two."""
    templates = asyncio.run(event_templates())
    with running_cluster(is_durable=True) as cluster:
        return [
            *_with_processes(cluster, folder, templates, 1, 0.45),
            *_with_processes(cluster, folder, templates, 2, 0.55),
        ]


def _with_processes(cluster: Cluster, folder: Path, templates: list[str], count: int, limit: float) -> list[Figure]:
    name, empty = asyncio.run(cluster.new_database()), asyncio.run(cluster.new_database())
    url, log = cluster.url(name), folder / "intake.log"
    floor, rates, answers = [], [], []
    with running_app(url, log) as first, running_app(url, log) as second:
        apps = [first, second][:count]
        results = [load.send(_job(apps, templates, f"warm{count}", _WARM), folder)]
        for run in range(RUNS):
            rows = floors.event_rows(list(bodies(templates, f"floor{run}", _FLOOR_COUNT)))
            floor.append(asyncio.run(floors.postgres_commits(cluster.url(empty), rows)))
            results.append(load.send(_job(apps, templates, f"run{count}{run}", _COUNT), folder))
            rates.append(_COUNT / results[-1].elapsed_s)
            answers += results[-1].latencies_s
    stored, commits = asyncio.run(stored_events(url))
    check_stored(results, stored)
    ratio = median(rates) / median(floor)
    plural = "process" if count == 1 else "processes"
    what = f"intake, PostgreSQL, {count} {plural}, 32 connections"
    return [
        at_least("G2", what, _rate(rates), f"{_rate(floor)} raw inserts", ratio, limit),
        note("  its answers, p50 and p99", _spread(answers)),
        note("  events in one commit, mean", f"{len(stored) / max(1, commits):.1f}"),
        note("  accepted and found stored", _tally(results)),
    ]


async def stored_events(url: str) -> tuple[set[str], int]:
    """Return the ids of all events that are there, and how many commits brought them."""
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch("SELECT event_id FROM stripe_event")
        commits = await connection.fetchval("SELECT count(DISTINCT xmin::text) FROM stripe_event")
    finally:
        await connection.close()
    return {row[0] for row in rows}, commits


def _job(apps: list[Running], templates: list[str], run: str, count: int, per_second: float | None = None) -> load.Job:
    ports = [app.port for app in apps]
    return load.Job(ports=ports, templates=templates, run=run, count=count, per_second=per_second)


def _sqlite_floor(empty: Path, path: Path, templates: list[str], group: int) -> float:
    for left in path.parent.glob(f"{path.name}-*"):
        left.unlink()
    shutil.copyfile(empty, path)
    rows = floors.event_rows(list(bodies(templates, "floor", _FLOOR_COUNT)))
    return floors.sqlite_commits(path, rows, group=group)


@contextmanager
def _reader(path: Path) -> Iterator[None]:
    """Hold a transaction open, so that the log grows and every commit can be counted in it."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM stripe_event").fetchall()
        yield
    finally:
        connection.close()


@contextmanager
def _somebody_looking(app: Running) -> Iterator[None]:
    """Ask for a page every fifth of a second meanwhile."""
    done = threading.Event()

    def look() -> None:
        while not done.wait(0.2):
            urllib.request.urlopen(f"{app.base}/sign-in", timeout=10).read()

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def check_stored(results: list[load.Result], stored: set[str]) -> None:
    """Fail if an event that was answered 200 is not there."""
    accepted = {event_id for result in results for event_id in result.accepted}
    lost = accepted - stored
    if lost:
        raise LostEventError(f"{len(lost)} of {len(accepted)} accepted events are not stored")


def _steady(result: load.Result) -> Figure:
    worst = percentile(result.latencies_s, 0.99)
    what = "intake at 100 a second while a page is polled, p99"
    return Figure("G4", what, milliseconds(worst), "", None, "<= 50 ms", worst <= 0.05)


def _tally(results: list[load.Result]) -> str:
    refused = sum(result.refused for result in results)
    return f"{sum(len(result.accepted) for result in results)}, {refused} refused"


def _rate(rates: list[float]) -> str:
    # With its range: where the floor itself wanders, the ratio says little.
    return f"{median(rates):.0f}/s ({min(rates):.0f} to {max(rates):.0f})"


def _spread(latencies: list[float]) -> str:
    return f"{milliseconds(percentile(latencies, 0.5))}, {milliseconds(percentile(latencies, 0.99))}"
