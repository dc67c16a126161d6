"""G3: the same signed bodies, fired by the same generator, at dj-stripe on gunicorn and at ``tieout web``."""

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import asyncpg

from core.db.migrate import upgrade
from tests.bench import load
from tests.bench.events import event_templates
from tests.bench.figures import RUNS, Figure, at_least, median, milliseconds, note, percentile
from tests.bench.intake import check_stored
from tests.bench.processes import WEBHOOK_SECRET, free_port, running_app, running_module
from tests.postgres import Cluster, NoServerError, running_cluster

_HERE = Path(__file__).parent
_ENVIRONMENT = Path("build/peer-env")
_ENDPOINT = "6f1d3c1e-0000-4000-8000-000000000001"
# Events of each run; fewer are for trying it out.
_COUNT = int(os.environ.get("PEER_COUNT", "2000"))
# Seen to suit the peer: one thread beat four in three of four pairs of runs.
_THREADS = "1"
_WITHOUT_HANDLER = "review.opened"
_OURS = "SELECT event_id FROM stripe_event"


@dataclass(frozen=True, slots=True)
class _Way:
    """One way to use dj-stripe. ``stored`` selects what it kept: the id, or the body, of each event."""

    what: str
    defers: str
    stored: str


_WAYS = (
    # Its documented callback: verify, store the request, answer, leave the work to a queue. This is what Tieout does.
    _Way("kept for later", "yes", "SELECT body FROM djstripe_webhookeventtrigger WHERE valid"),
    # Its default. For a payment it asks Stripe for the object within the request, and there is no Stripe here: both
    # sides get events of a type that dj-stripe stores but has no handler for, which is less work than a payment.
    _Way(f"event row, {_WITHOUT_HANDLER}", "", "SELECT id FROM djstripe_event"),
)


@dataclass(slots=True)
class _Side:
    """One of the two while its processes run. The first result is the warm-up."""

    ports: list[int]
    path: str
    results: list[load.Result] = field(default_factory=list)

    def send(self, run: str, templates: list[str], folder: Path) -> None:
        job = load.Job(ports=self.ports, templates=templates, run=run, count=_COUNT, path=self.path)
        self.results.append(load.send(job, folder))

    def rates(self) -> list[float]:
        # An answer that refuses is quick, and is no intake.
        return [len(result.accepted) / result.elapsed_s for result in self.results[1:]]

    def rate(self) -> str:
        return f"{median(self.rates()):.0f}/s ({min(self.rates()):.0f} to {max(self.rates()):.0f})"

    def spread(self) -> str:
        latencies = [latency for result in self.results[1:] for latency in result.latencies_s]
        return f"{milliseconds(percentile(latencies, 0.5))}, {milliseconds(percentile(latencies, 0.99))}"

    def kept(self, stored: set[str]) -> int:
        return len(stored & {event_id for result in self.results for event_id in result.accepted})

    def tally(self, stored: set[str]) -> str:
        accepted = sum(len(result.accepted) for result in self.results)
        refused = sum(result.refused for result in self.results)
        return f"{accepted}, {self.kept(stored)} of them stored, {refused} refused"


def dj_stripe(folder: Path) -> list[Figure]:
    """Compare on SQLite and PostgreSQL, one process and two, in both ways of using dj-stripe."""
    python = _environment()
    templates = asyncio.run(event_templates())
    figures: list[Figure] = []
    for number, (way, count) in enumerate(product(_WAYS, (1, 2))):
        ours = f"sqlite:///{folder / f'ours{number}.db'}"
        upgrade(ours)
        figures += _compare("SQLite", way, count, (ours, str(folder / f"peer{number}.db")), templates, python, folder)
    try:
        with running_cluster(is_durable=True) as cluster:
            for way, count in product(_WAYS, (1, 2)):
                urls = asyncio.run(_databases(cluster))
                figures += _compare("PostgreSQL", way, count, urls, templates, python, folder)
    except NoServerError as exc:
        figures.append(note("peer, PostgreSQL", f"not measured: {exc}"))
    return figures


def _environment() -> Path:
    """Make the peer's environment, from wherever pip is told to look, unless it is there."""
    python = (_ENVIRONMENT / "bin/python").absolute()
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(_ENVIRONMENT)], check=True)
    words = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(_HERE / "requirements.txt")]
    subprocess.run([str(python), *words], check=True)
    return python


async def _databases(cluster: Cluster) -> tuple[str, str]:
    ours, theirs = await cluster.new_database(), f"peer_{free_port()}"
    connection = await asyncpg.connect(cluster.url(ours))
    try:
        await connection.execute(f'CREATE DATABASE "{theirs}"')
    finally:
        await connection.close()
    return cluster.url(ours), cluster.url(theirs)


def _compare(
    database: str,
    way: _Way,
    count: int,
    urls: tuple[str, str],
    templates: list[str],
    python: Path,
    folder: Path,
) -> list[Figure]:
    environ = {
        "PEER_DATABASE": urls[1],
        "PEER_SECRET": WEBHOOK_SECRET,
        "PEER_ACCOUNT": str(json.loads(templates[0])["account"]),
        "PEER_ENDPOINT": _ENDPOINT,
        "PEER_DEFERS": way.defers,
    }
    subprocess.run([str(python), str(_HERE / "project.py")], env=environ, check=True)
    if not way.defers:
        templates = [json.dumps({**json.loads(template), "type": _WITHOUT_HANDLER}, indent=2) for template in templates]
    with ExitStack() as running:
        apps = [running.enter_context(running_app(urls[0], folder / "ours.log")) for _ in range(count)]
        ours = _Side([app.port for app in apps], "/webhooks/stripe")
        theirs = _Side([], f"/stripe/webhook/{_ENDPOINT}/")
        for port in [free_port() for _ in range(count)]:
            running.enter_context(running_module(python, _gunicorn(port), environ, port, folder / "peer.log"))
            theirs.ports.append(port)
        for run in range(RUNS + 1):
            ours.send(f"run{run}", templates, folder)
            theirs.send(f"run{run}", templates, folder)
    ours_stored, theirs_stored = _stored(urls[0], _OURS), _stored(urls[1], way.stored)
    check_stored(ours.results, ours_stored)
    what = f"intake, {database}, {count} process{'es' if count > 1 else ''}; dj-stripe: {way.what}"
    sent = _COUNT * (RUNS + 1)
    if ours.kept(ours_stored) == theirs.kept(theirs_stored) == sent:
        ratio = median(ours.rates()) / median(theirs.rates())
        verdict = at_least("G3", what, ours.rate(), f"{theirs.rate()} dj-stripe", ratio, 10)
    else:
        # Whoever does less of the work is not faster at it.
        verdict = note(f"{what}: NOT COMPARABLE, not all of {sent} were kept", ours.rate(), theirs.rate())
    return [
        verdict,
        note("  its answers, p50 and p99", ours.spread(), theirs.spread()),
        note("  accepted", ours.tally(ours_stored), theirs.tally(theirs_stored)),
    ]


def _gunicorn(port: int) -> list[str]:
    # Not gunicorn's plain worker: it closes the connection after each answer, and the load keeps its own open.
    words = ["--worker-class", "gthread", "--threads", _THREADS, "--workers", "1", "--keep-alive", "75"]
    place = ["--pythonpath", str(_HERE), "--bind", f"127.0.0.1:{port}", "--no-control-socket"]
    return ["gunicorn", *words, *place, "--log-level", "warning", "project:application"]


def _stored(url: str, query: str) -> set[str]:
    rows = asyncio.run(_fetch(url, query)) if url.startswith("postgresql:") else _read(url, query)
    return {json.loads(value)["id"] if value.startswith("{") else value for value in rows}


async def _fetch(url: str, query: str) -> list[str]:
    connection = await asyncpg.connect(url)
    try:
        return [row[0] for row in await connection.fetch(query)]
    finally:
        await connection.close()


def _read(url: str, query: str) -> list[str]:
    with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
        return [row[0] for row in connection.execute(query)]
