"""G4 for ten minutes: a hundred events a second on PostgreSQL, a worker at work, somebody looking at the payments.

The events tell of real payments of a sandbox's account, so each one is routed, and its payment is asked for at Stripe
again. Before the end a burst of a thousand arrives at once. Whatever was answered 200 is looked for in the database.
"""

import asyncio
import os
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import msgspec

from core.clock import SystemRuntime
from core.config import Settings
from core.connections.attach import Person
from core.identity.sessions import start_session
from core.wiring import Wiring, open_wiring
from tests.bench import load
from tests.bench.events import marked_events
from tests.bench.figures import Figure, milliseconds, note, percentile
from tests.bench.intake import check_stored, stored_events
from tests.bench.processes import (
    SECRET_KEY,
    TOKEN_KEYS,
    WEBHOOK_SECRET,
    Running,
    environ_of,
    free_port,
    running_sandbox,
    started_app,
)
from tests.postgres import Cluster, running_cluster
from web.demo.run import demo_settings
from web.demo.seed import Demo
from web.sandbox.client import SandboxClient
from web.sessions import SESSION

_MINUTES = float(os.environ.get("HOLD_MINUTES", "10"))
_PER_SECOND = 100
_BURST = 1_000
_PAYMENTS = 20
"""New payments that the events tell of, over and over."""

_LOOK_EVERY_S = 1.0


def on_postgres(folder: Path) -> list[Figure]:
    """Hold it for ``HOLD_MINUTES``, ten unless told."""
    with running_cluster(is_durable=True) as cluster:
        return asyncio.run(_hold(cluster, folder))


async def _hold(cluster: Cluster, folder: Path) -> list[Figure]:
    port, url = free_port(), cluster.url(await cluster.new_database())
    with running_sandbox(f"http://127.0.0.1:{port}/webhooks/stripe", folder / "sandbox.log") as sandbox:
        settings = msgspec.structs.replace(
            demo_settings(port, sandbox.port, SystemRuntime()),
            app_base_url=f"http://127.0.0.1:{port}",
            allowed_hosts=f"127.0.0.1:{port},{load.HOST}",
            database_url=url,
            token_keys=TOKEN_KEYS,
            secret_key=SECRET_KEY,
            stripe_webhook_secrets=WEBHOOK_SECRET,
            embedded_worker="no",
            operator_token="",
        )
        async with httpx.AsyncClient(timeout=60) as web, open_wiring(settings) as wiring:
            demo, control = Demo(sandbox.base, web, wiring), SandboxClient(sandbox.base, web)
            person = await demo.seed()
            token = await _sign_in(wiring, person)
            for _ in range(_PAYMENTS):
                await demo.pay_once()
            business = (await control.accounts())[-1].id
            templates = marked_events(await control.events(business), business)
        return await asyncio.to_thread(_measure, settings, templates, token, folder)


async def _sign_in(wiring: Wiring, person: Person) -> str:
    async with wiring.db.open_session(write=True) as session:
        return await start_session(session, user_id=person.user_id, tenant_id=person.tenant_id, runtime=wiring.runtime)


def _measure(settings: Settings, templates: list[str], token: str, folder: Path) -> list[Figure]:
    environ = environ_of(settings)
    count = int(_MINUTES * 60 * _PER_SECOND)
    port = int(settings.app_base_url.rpartition(":")[2])
    looks: list[float] = []
    with (
        started_app(environ, port, folder / "hold.log") as app,
        _working(environ, folder / "worker.log") as worker,
        _somebody_looking(app, token, looks),
    ):
        steady = load.send(_job(app, templates, "hold", count, per_second=_PER_SECOND), folder)
        burst = load.send(_job(app, templates, "burst", _BURST, connections=_BURST), folder)
        cpu, memory = app.cpu_s() / steady.elapsed_s, app.memory_mb()
        is_alive = worker.poll() is None
    stored, commits = asyncio.run(stored_events(settings.database_url))
    check_stored([steady, burst], stored)
    if not is_alive:
        raise RuntimeError(f"the worker ended: {(folder / 'worker.log').read_text()[-2000:]}")
    return _figures(steady, burst, looks, f"{cpu:.0%} of one core, {memory:.0f} MB", len(stored) / max(1, commits))


def _figures(steady: load.Result, burst: load.Result, looks: list[float], needs: str, together: float) -> list[Figure]:
    worst = percentile(steady.latencies_s, 0.99)
    what = f"{_PER_SECOND} events a second for {_MINUTES:g} min, PostgreSQL, worker on, p99"
    refused = steady.refused + burst.refused
    return [
        Figure("G4", what, milliseconds(worst), "", None, "<= 50 ms", worst <= 0.05),
        note(
            "  p50, p99.9, slowest",
            ", ".join(
                milliseconds(value)
                for value in (
                    percentile(steady.latencies_s, 0.5),
                    percentile(steady.latencies_s, 0.999),
                    max(steady.latencies_s),
                )
            ),
            f"{together:.1f} events in one commit",
        ),
        note(f"  a burst of {_BURST:,} at once, slowest answer", milliseconds(max(burst.latencies_s))),
        Figure(
            "",
            "  accepted and found stored",
            f"{len(steady.accepted) + len(burst.accepted)}, {refused} refused",
            "",
            None,
            "none refused",
            refused == 0,
        ),
        note(f"  the payments page meanwhile, p50 and p99 of {len(looks)}", _spread(looks), f"web process {needs}"),
    ]


def _spread(looks: list[float]) -> str:
    return f"{milliseconds(percentile(looks, 0.5))}, {milliseconds(percentile(looks, 0.99))}" if looks else ""


def _job(
    app: Running,
    templates: list[str],
    run: str,
    count: int,
    *,
    connections: int = 32,
    per_second: float | None = None,
) -> load.Job:
    return load.Job(
        ports=[app.port], templates=templates, run=run, count=count, connections=connections, per_second=per_second
    )


@contextmanager
def _working(environ: dict[str, str], log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Run ``tieout worker``."""
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    with log.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "web.cli", "worker"], env={**inherited, **environ}, stdout=out, stderr=out
        )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(60)


@contextmanager
def _somebody_looking(app: Running, token: str, looks: list[float]) -> Iterator[None]:
    """Open the payments page once a second, signed in."""
    done = threading.Event()
    request = urllib.request.Request(f"{app.base}/payments", headers={"Cookie": f"{SESSION}={token}"})

    def look() -> None:
        while not done.wait(_LOOK_EVERY_S):
            begun = time.perf_counter()
            with urllib.request.urlopen(request, timeout=30) as answer:
                if b"Payments" not in answer.read():
                    raise RuntimeError("this is not the payments page")
            looks.append(time.perf_counter() - begun)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
