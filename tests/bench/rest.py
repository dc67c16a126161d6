"""G9, G11: what the embedded process needs while nothing happens, and how soon it moves when something does."""

import asyncio
import http.client
import subprocess
import sys
import time
from pathlib import Path

import httpx
import msgspec

from core.clock import SystemRuntime
from core.db.migrate import upgrade
from core.wiring import open_wiring
from tests.bench.figures import RUNS, Figure, median, milliseconds, note, percentile
from tests.bench.processes import Running, environ_of, free_port, running_app, running_sandbox, started_app
from web.demo.run import demo_settings
from web.demo.seed import Demo
from web.sandbox.client import SandboxClient
from web.sandbox.log import LogEntry

_PAYMENTS = 12
_QUIET_S = 0.8
_SETTLED_S = 6.0
_PATIENCE_S = 60.0
_LIBRARIES = """
import pathlib
import alembic, aiosqlite, cryptography, httpx, jinja2, litestar, sqlalchemy.ext.asyncio, stripe, structlog, uvicorn
lines = pathlib.Path("/proc/self/status").read_text().splitlines()
print(next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:")))
"""


def start_and_rest(folder: Path) -> list[Figure]:
    """Start on a migrated file, worker embedded; ask for the first page; let it rest."""
    url = f"sqlite:///{folder / 'rest.db'}"
    upgrade(url)
    starts, memory, idle, floors, floor_memory = [], [], [], [], []
    for _ in range(RUNS):
        with running_app(url, folder / "rest.log", first_page="/sign-in", EMBEDDED_WORKER="yes") as app:
            starts.append(app.started_s)
            time.sleep(1)
            before = app.cpu_s()
            time.sleep(2)
            idle.append((app.cpu_s() - before) / 2)
            memory.append(app.memory_mb())
        begun = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", _LIBRARIES], stdout=subprocess.PIPE, check=True, timeout=60)
        floors.append(time.perf_counter() - begun)
        floor_memory.append(float(done.stdout))
    start, rss = median(starts), median(memory)
    libraries = f"{median(floors):.2f} s importing the libraries alone"
    return [
        Figure(
            "G11",
            "start to first page, SQLite",
            f"{start:.2f} s",
            libraries,
            start / median(floors),
            "<= 2 s",
            start <= 2,
        ),
        Figure(
            "G11",
            "memory at rest, worker embedded",
            f"{rss:.0f} MB",
            f"{median(floor_memory):.0f} MB the libraries alone",
            rss / median(floor_memory),
            "<= 120 MB",
            rss <= 120,
        ),
        note("  processor while idle", f"{median(idle):.1%} of one core"),
    ]


def first_call(folder: Path) -> list[Figure]:
    """Let clients pay at the sandbox, one at a time, and see when the product asks Stripe about it."""
    return asyncio.run(_first_call(folder))


async def _first_call(folder: Path) -> list[Figure]:
    port, runtime = free_port(), SystemRuntime()
    with running_sandbox(f"http://127.0.0.1:{port}/webhooks/stripe", folder / "sandbox.log") as sandbox:
        settings = msgspec.structs.replace(
            demo_settings(port, sandbox.port, runtime),
            app_base_url=f"http://127.0.0.1:{port}",
            database_url=f"sqlite:///{folder / 'call.db'}",
            operator_token="",
        )
        async with httpx.AsyncClient(timeout=30) as web, open_wiring(settings, runtime=runtime) as wiring:
            demo, control = Demo(sandbox.base, web, wiring), SandboxClient(sandbox.base, web)
            await demo.seed()
            with started_app(environ_of(settings), port, folder / "call.log") as app:
                await _wait_until_quiet(control)
                delays = [await _delay(demo, control) for _ in range(_PAYMENTS)]
                trip = _round_trip(app)
    worst = percentile(delays, 0.95)
    what = "event sent to first call to Stripe, idle, p95"
    beside = f"{milliseconds(trip)} empty round trip"
    return [
        Figure("G9", what, milliseconds(worst), beside, worst / trip, "<= 50 ms", worst <= 0.05),
        note("  p50", milliseconds(median(delays))),
    ]


async def _delay(demo: Demo, control: SandboxClient) -> float:
    """Let one client pay; return the time from the first event that matters on its way to the first call it causes."""
    last, sent_before = (await control.log())[-1].seq, len(await control.attempts())
    await demo.pay_once()
    calls = await _calls_after(control, last)
    sent = (await control.attempts())[sent_before:]
    await _wait_until_quiet(control)
    # What Stripe settles seconds later must not run into the next payment.
    await control.advance(seconds=_SETTLED_S)
    await _wait_until_quiet(control)
    return calls[0].at - min(attempt.at for attempt in sent if not attempt.type.startswith("customer."))


async def _calls_after(control: SandboxClient, last: int) -> list[LogEntry]:
    async with asyncio.timeout(_PATIENCE_S):
        while True:
            found = await control.log(after_seq=last)
            if found:
                return found
            await asyncio.sleep(0.02)


async def _wait_until_quiet(control: SandboxClient) -> None:
    """Wait until the product has asked for nothing for a while."""
    async with asyncio.timeout(_PATIENCE_S):
        count = -1
        while (now := len(await control.log())) != count:
            count = now
            await asyncio.sleep(_QUIET_S)


def _round_trip(app: Running) -> float:
    connection = http.client.HTTPConnection("127.0.0.1", app.port, timeout=10)
    taken = []
    for _ in range(50):
        begun = time.perf_counter()
        connection.request("GET", "/health")
        connection.getresponse().read()
        taken.append(time.perf_counter() - begun)
    connection.close()
    return median(taken)
