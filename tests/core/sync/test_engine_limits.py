"""Workers running for real: slow books, a deploy, wake-ups by signal, two workers on one database."""

import asyncio

import msgspec
import pytest

from core.config import Settings
from core.db.listen import listen
from core.db.models import PaymentState
from core.sync.worker import Worker
from core.wiring import open_wiring
from tests.core.sync.conftest import sale
from tests.core.sync.limits import SYNCED, desks, fresh_settings, lane_of, running, until
from tests.postgres import Cluster

__all__ = ["fresh_settings"]


async def test_slow_books_hold_up_their_own_tenant_alone(fresh_settings: Settings) -> None:
    async with desks(fresh_settings, 2) as ([slow, quick], doorman):
        doorman.holds[f"/{slow.realm}/"] = gate = asyncio.Event()
        stuck = await slow.pay(sale(1))
        async with running(slow.worker):
            await asyncio.wait_for(doorman.arrived.wait(), 20)
            for number in (2, 3):
                await until(quick, await quick.pay(sale(number)))
            assert (await slow.stands(stuck))[0] is PaymentState.SYNCING
            gate.set()
            await until(slow, stuck)
        await quick.assert_once(sales=2)


async def test_a_deploy_finishes_the_payment_in_flight_and_begins_no_other(fresh_settings: Settings) -> None:
    async with desks(fresh_settings, 1) as ([desk], doorman):
        doorman.holds["/invoice"] = gate = asyncio.Event()
        first = await desk.pay(sale(1))
        desk.runtime.forward(seconds=0.5)
        second = await desk.pay(sale(2))
        async with running(desk.worker) as stop:
            await asyncio.wait_for(doorman.arrived.wait(), 20)
            stop.set()
            await asyncio.sleep(0)
            gate.set()
        assert await desk.stands(first) == SYNCED
        assert await desk.stands(second) == (PaymentState.WAITING, None)
        assert (await lane_of(desk)).lease_until is None
        await desk.assert_once()


async def _wakes_by_signal(settings: Settings) -> None:
    async with desks(settings, 1) as ([desk], _):
        hearing = asyncio.create_task(listen(desk.wiring))
        async with running(desk.worker):
            # The clock stands still: no sweep comes, ever. Only a signal wakes the worker.
            for number in range(1, 4):
                for _ in range(300):
                    await asyncio.sleep(0)
                await until(desk, await desk.pay(sale(number)))
        hearing.cancel()
        await asyncio.gather(hearing, return_exceptions=True)
        await desk.assert_once(sales=3)


async def test_the_worker_is_woken_by_a_signal_not_by_the_sweep(fresh_settings: Settings) -> None:
    await _wakes_by_signal(fresh_settings)


@pytest.mark.postgres
async def test_on_postgres_too_the_worker_is_woken_by_the_commit(settings: Settings, postgres: Cluster) -> None:
    name = await postgres.new_database()
    await _wakes_by_signal(msgspec.structs.replace(settings, database_url=postgres.url(name)))
    await postgres.take_back(name)


@pytest.mark.postgres
async def test_two_workers_on_one_database_post_everything_once_and_never_overlap(
    settings: Settings, postgres: Cluster
) -> None:
    name = await postgres.new_database()
    settings = msgspec.structs.replace(settings, database_url=postgres.url(name))
    async with desks(settings, 6) as (all_desks, doorman):
        payments = [(desk, await desk.pay(sale(number))) for number in range(1, 11) for desk in all_desks]
        first = all_desks[0].wiring
        async with open_wiring(first.settings, runtime=first.runtime, transport=doorman) as second:
            workers = [Worker(first), Worker(second)]

            async def work(worker: Worker) -> int:
                done = 0
                while served := await worker.step():
                    done += served
                return done

            async with asyncio.timeout(60):
                while True:
                    shares = await asyncio.gather(*map(work, workers))
                    if not any(shares):
                        break
        assert {await desk.stands(payment_id) for desk, payment_id in payments} == {SYNCED}
        for desk in all_desks:
            await desk.assert_once(sales=10)
        companies = {desk.realm for desk in all_desks}
        assert {company: doorman.most[company] for company in companies} == dict.fromkeys(companies, 1)
    await postgres.take_back(name)
