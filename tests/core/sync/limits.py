"""What the tests of the engine's limits share: companies beside one another, and a way to them that can be held up."""

import asyncio
import shutil
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import httpx
import pytest

from core.config import Settings
from core.db.models import Lane, PaymentState
from core.reasons import Reason
from core.sync.lanes import HEARTBEAT_S
from core.sync.worker import SWEEP_S, Worker
from core.wiring import open_wiring
from tests.core.sync.conftest import Studio
from tests.core.sync.test_doubts import BASE, Desk, desk_settings, open_desk
from tests.runtime import VirtualRuntime
from web.sandbox.app import create_sandbox
from web.sandbox.quickbooks.client import QuickBooksControl
from web.sandbox.settings import SandboxSettings

ON_SQLITE = pytest.mark.parametrize("studio", ["sqlite"], indirect=True)
ON_POSTGRES = pytest.mark.parametrize("studio", [pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True)
SYNCED = (PaymentState.SYNCED, None)


async def lane_of(studio: Studio) -> Lane:
    return next(lane for lane in await studio.rows(Lane) if lane.connection_id == studio.books.id)


async def calls(desk: Desk) -> int:
    return len([entry for entry in desk.sandbox.log.entries() if entry.provider == "quickbooks"])


class Doorman(httpx.AsyncBaseTransport):
    """Carries calls, counts how many of one company are under way, and can hold some back."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self.inner = inner
        self.holds: dict[str, asyncio.Event] = {}
        self.arrived = asyncio.Event()
        self.under_way: Counter[str] = Counter()
        self.most: Counter[str] = Counter()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        company = path.split("/")[3] if path.startswith("/v3/company/") else ""
        self.under_way[company] += 1
        self.most[company] = max(self.most[company], self.under_way[company])
        try:
            for part, gate in self.holds.items():
                if part in path:
                    self.arrived.set()
                    await gate.wait()
            await asyncio.sleep(0)
            return await self.inner.handle_async_request(request)
        finally:
            self.under_way[company] -= 1


class LongSleeper(VirtualRuntime):
    """The waits for sweep and heartbeat end only when told to; the pace of calls goes by itself."""

    async def sleep(self, seconds: float) -> None:
        self.skips = seconds not in (SWEEP_S, HEARTBEAT_S)
        await super().sleep(seconds)


@asynccontextmanager
async def desks(settings: Settings, count: int) -> AsyncIterator[tuple[list[Desk], Doorman]]:
    runtime = LongSleeper()
    sandbox = create_sandbox(SandboxSettings(base_url=BASE), runtime)
    inner = httpx.ASGITransport(app=sandbox.app)
    doorman = Doorman(inner)
    async with (
        open_wiring(desk_settings(settings), runtime=runtime, transport=doorman) as wiring,
        httpx.AsyncClient(transport=inner) as http,
    ):
        control = QuickBooksControl(BASE, http)
        yield [await open_desk(wiring, sandbox, control, f"Studio {n}") for n in range(count)], doorman


async def until(desk: Studio, payment_id: UUID, state: tuple[PaymentState, Reason | None] = SYNCED) -> None:
    async with asyncio.timeout(20):
        while await desk.stands(payment_id) != state:  # noqa: ASYNC110 - what is awaited is a row
            await asyncio.sleep(0)


@asynccontextmanager
async def running(worker: Worker) -> AsyncIterator[asyncio.Event]:
    stop = asyncio.Event()
    task = asyncio.create_task(worker.run(stop))
    try:
        yield stop
    finally:
        stop.set()
        async with asyncio.timeout(20):
            await task


@pytest.fixture
def fresh_settings(settings: Settings, migrated_file: Path) -> Settings:
    shutil.copyfile(migrated_file, settings.database_url.removeprefix("sqlite:///"))
    return settings
