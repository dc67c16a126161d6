"""Two living workers on one PostgreSQL, with backlogs that travel together: none serves a company beside the other."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import httpx
import msgspec
import pytest

from core.config import Settings
from core.db.models import Operation, Payment, PaymentState
from core.sync.acts import resume_posting, stop_posting
from core.sync.worker import Worker
from core.wiring import open_wiring
from tests.core.sync import test_doubts as quickbooks
from tests.core.sync import test_xero_books as xero
from tests.core.sync.conftest import SteadyRuntime, Studio, sale
from tests.core.sync.test_bulk import backlog, known_client
from tests.postgres import Cluster
from web.sandbox.app import create_sandbox
from web.sandbox.quickbooks.client import QuickBooksControl
from web.sandbox.settings import SandboxSettings
from web.sandbox.xero.client import XeroControl

pytestmark = pytest.mark.postgres

COMPANIES, SALES = 3, 24
PATIENCE_S = 60


@dataclass
class Town:
    """The way to all companies: which worker calls which one, and how many calls to one are under way at a time."""

    inner: httpx.AsyncBaseTransport
    made: Counter[tuple[str, str]] = field(default_factory=Counter)
    most: Counter[str] = field(default_factory=Counter)
    under_way: Counter[str] = field(default_factory=Counter)

    async def carry(self, worker: str, request: httpx.Request) -> httpx.Response:
        company = request.headers.get("Xero-Tenant-Id") or request.url.path.removeprefix("/v3/company/").split("/")[0]
        self.made[worker, company] += 1
        self.under_way[company] += 1
        self.most[company] = max(self.most[company], self.under_way[company])
        try:
            # Long enough for the other worker to go round its lanes.
            await asyncio.sleep(0.02)
            return await self.inner.handle_async_request(request)
        finally:
            self.under_way[company] -= 1


class Line(httpx.AsyncBaseTransport):
    """One worker's end of the way."""

    def __init__(self, town: Town, worker: str) -> None:
        self._town, self._worker = town, worker

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self._town.carry(self._worker, request)


@dataclass
class Scene:
    """Companies of one provider, and two workers that know nothing of each other."""

    desks: list[quickbooks.Desk] | list[xero.Desk]
    workers: list[Worker]
    town: Town

    async def work(self, feed: Callable[[], Awaitable[None]], *, until: int) -> None:
        """Let both go round side by side while ``feed`` brings work, until so many payments of each stand."""
        done = asyncio.Event()

        async def go_round(worker: Worker) -> None:
            while not done.is_set():
                await worker.step()
                await asyncio.sleep(0.005)

        async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
            for worker in self.workers:
                group.create_task(go_round(worker))
            await feed()
            while [await _synced(desk) for desk in self.desks] != [until] * len(self.desks):  # noqa: ASYNC110 - rows
                await asyncio.sleep(0.05)
            done.set()


async def posting(desk: Studio, *, on: bool) -> None:
    async with desk.wiring.db.tenant(desk.tenant_id, write=True) as session:
        if on:
            assert await resume_posting(session, desk.books.id)
        else:
            assert await stop_posting(session, desk.books.id, now=await desk.wiring.db.now(session))


async def _synced(desk: Studio) -> int:
    return sum(payment.state is PaymentState.SYNCED for payment in await desk.rows(Payment))


@asynccontextmanager
async def scene(settings: Settings, cluster: Cluster, kind: str) -> AsyncIterator[Scene]:
    name = await cluster.new_database()
    # PostgreSQL tells its own time: the world outside begins there, or tokens would have run out.
    runtime = SteadyRuntime(datetime.now(UTC).replace(microsecond=0))
    sandbox = create_sandbox(SandboxSettings(base_url=quickbooks.BASE), runtime)
    direct = httpx.ASGITransport(app=sandbox.app)
    town = Town(direct)
    desk_settings = quickbooks.desk_settings(settings) if kind == "quickbooks" else xero.desk_settings(settings)
    shared = msgspec.structs.replace(desk_settings, database_url=cluster.url(name))
    async with (
        open_wiring(shared, runtime=runtime, transport=Line(town, "one")) as one,
        open_wiring(shared, runtime=runtime, transport=Line(town, "two")) as two,
        httpx.AsyncClient(transport=direct) as http,
    ):
        names = [f"Studio {number}" for number in range(COMPANIES)]
        desks: list[quickbooks.Desk] | list[xero.Desk]
        if kind == "quickbooks":
            hand = QuickBooksControl(quickbooks.BASE, http)
            desks = [await quickbooks.open_desk(one, sandbox, hand, name) for name in names]
        else:
            control = XeroControl(xero.BASE, http)
            desks = [await xero.open_desk(one, sandbox, control, name) for name in names]
        yield Scene(desks, [Worker(one), Worker(two)], town)
    await cluster.take_back(name)


@pytest.mark.parametrize("kind", ["quickbooks", "xero"])
async def test_two_workers_share_the_companies_and_book_each_payment_once(
    settings: Settings, postgres: Cluster, kind: str
) -> None:
    async with scene(settings, postgres, kind) as told:
        for desk in told.desks:
            await known_client(desk)
            await posting(desk, on=False)
            await backlog(desk, 1, SALES)
        told.town.made.clear()

        async def begin_one_after_the_other() -> None:
            """Whoever is at one company must leave the next to the other, and nobody waits for anybody."""
            for desk in told.desks:
                await posting(desk, on=True)
                await asyncio.sleep(0.1)
            for number in (1, 2):
                await asyncio.gather(*(desk.pay(sale(SALES + number)) for desk in told.desks))

        await told.work(begin_one_after_the_other, until=3 + SALES)
        for desk in told.desks:
            await desk.assert_once(sales=3 + SALES)
            operations = await desk.rows(Operation)
            assert {row.sends for row in operations} == {1}
            assert sum(row.batch_id is not None for row in operations) >= 2 * SALES
        companies = {company for _, company in told.town.made}
        assert len(companies) == COMPANIES
        assert {told.town.most[company] for company in companies} == {1}
        assert {worker for worker, _ in told.town.made} == {"one", "two"}
