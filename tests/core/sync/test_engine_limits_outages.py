"""Outages (F11): few probes, nothing fails from counting, everything drains in order afterwards."""

import asyncio
from collections import Counter
from uuid import UUID, uuid4

from core.config import Settings
from core.db.models import PaymentState, SyncItem
from core.sync.breaker import LANES_AT_ONCE, LANES_OF_ONE, Breakers
from tests.core.sync.conftest import sale
from tests.core.sync.limits import SYNCED, desks, fresh_settings, running, until
from tests.core.sync.test_doubts import Desk, desk
from tests.runtime import VirtualRuntime
from web.sandbox.faults import FaultKind, FaultRule

__all__ = ["desk", "fresh_settings"]


async def test_an_outage_is_probed_once_a_minute_at_most_and_everything_drains_after_it(desk: Desk) -> None:
    payments = [await desk.pay(sale(number)) for number in range(1, 13)]
    rule = desk.sandbox.faults.add(
        FaultRule(kind=FaultKind.STATUS, provider="quickbooks", path="/v3/company", status=503, count=None)
    )
    await desk.quiet()
    opened = rule.hits
    per_minute: Counter[int] = Counter()
    for minute in range(90):
        desk.runtime.forward(seconds=60)
        before = rule.hits
        while await desk.worker.step():
            pass
        per_minute[minute] = rule.hits - before
    assert opened <= 6
    assert max(per_minute.values()) <= 1
    assert sum(per_minute.values()) >= 90 // 19
    assert {(await desk.stands(payment))[0] for payment in payments} == {PaymentState.WAITING}
    assert max(item.tries for item in await desk.rows(SyncItem)) <= 1
    desk.sandbox.faults.clear()
    await desk.quiet(hours=1)
    assert {await desk.stands(payment) for payment in payments} == {SYNCED}
    await desk.assert_once(sales=12)


def served(breakers: Breakers, kind: str, connection: UUID, *, is_answering: bool) -> None:
    breakers.claimed(kind)
    breakers.note(kind, connection, is_answering=is_answering)


def test_a_provider_that_answers_nobody_is_asked_once_a_minute_whoever_waits() -> None:
    runtime = VirtualRuntime()
    breakers = Breakers(runtime)
    for _ in range(4):
        served(breakers, "quickbooks", uuid4(), is_answering=False)
    assert breakers.room([]) == (LANES_OF_ONE, set())
    served(breakers, "quickbooks", uuid4(), is_answering=False)
    assert breakers.room([]) == (LANES_OF_ONE, {"quickbooks"})
    asked = 0
    for _ in range(3600):
        runtime.forward(seconds=1)
        room, without = breakers.room([])
        if "quickbooks" not in without:
            # One lane, and no second one beside it.
            assert room == 1
            assert breakers.room(["quickbooks"])[1] == {"quickbooks"}
            served(breakers, "quickbooks", uuid4(), is_answering=False)
            asked += 1
    assert 55 <= asked <= 60
    runtime.forward(seconds=60)
    served(breakers, "quickbooks", uuid4(), is_answering=True)
    assert breakers.room([]) == (LANES_OF_ONE, set())


def test_one_company_that_is_down_says_nothing_about_its_provider() -> None:
    breakers = Breakers(VirtualRuntime())
    broken = uuid4()
    for _ in range(20):
        served(breakers, "quickbooks", broken, is_answering=False)
    assert breakers.room([]) == (LANES_OF_ONE, set())
    for number in range(20):
        served(breakers, "quickbooks", uuid4(), is_answering=bool(number % 4))
    assert breakers.room([]) == (LANES_OF_ONE, set())


def test_lanes_of_one_provider_never_take_the_room_of_the_others() -> None:
    breakers = Breakers(VirtualRuntime())
    room, without = breakers.room(["quickbooks"] * LANES_OF_ONE)
    assert (room, without) == (LANES_AT_ONCE - LANES_OF_ONE, {"quickbooks"})
    assert breakers.room(["quickbooks"] * LANES_OF_ONE + ["xero"] * room)[0] <= 0


async def test_eight_slow_companies_hold_up_nobody_else(fresh_settings: Settings) -> None:
    """Eight lanes were all that a worker served: eight companies that took 30 s each stopped everybody."""
    async with desks(fresh_settings, 9) as (all_desks, doorman):
        *slow, quick = all_desks
        gate = asyncio.Event()
        doorman.holds |= {f"/{desk.realm}/": gate for desk in slow}
        for number, desk in enumerate(slow):
            await desk.pay(sale(number))
        async with running(quick.worker):
            async with asyncio.timeout(20):
                while sum(doorman.under_way[desk.realm] for desk in slow) < len(slow):  # noqa: ASYNC110 - counts calls
                    await asyncio.sleep(0)
            await until(quick, await quick.pay(sale(99)))
            gate.set()
        await quick.assert_once()
