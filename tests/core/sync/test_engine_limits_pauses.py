"""Slow-downs (F10): the connection rests as long as it was told to, costs no try, and slows nobody else."""

from datetime import timedelta
from email.utils import format_datetime

import httpx
import pytest
from sqlalchemy import select

from core.accounting.xero.faults import error_for
from core.config import Settings
from core.db.models import Lane, PaymentState, SyncItem
from core.errors import RateLimitedError
from core.outgoing import Answer
from core.reasons import Reason
from core.sync import lanes
from core.wiring import Wiring
from tests.core.sync.conftest import sale
from tests.core.sync.limits import SYNCED, calls, desks, fresh_settings, lane_of
from tests.core.sync.test_doubts import Desk, desk
from tests.factories import make_connection, make_person
from tests.runtime import START
from web.sandbox.faults import FaultKind, FaultRule

__all__ = ["desk", "fresh_settings"]

EARLIER = format_datetime(START - timedelta(days=1), usegmt=True)


@pytest.mark.parametrize(
    ("stated", "seconds"),
    [
        ("30", 30), (None, 60), ("0", 60), ("-5", 60), ("soon", 60), (EARLIER, 60), ("9" * 30, 60), ("86400", 86400),
        ("999999", 86400),
    ],
)  # fmt: skip
async def test_a_slow_down_pauses_the_connection_and_costs_no_try(
    desk: Desk, stated: str | None, seconds: float
) -> None:
    await desk.fail("invoice", FaultKind.RATE_LIMIT, retry_after=stated)
    first = await desk.pay(sale(1))
    desk.runtime.forward(seconds=1)
    second = await desk.pay(sale(2))
    await desk.quiet()
    lane, now = await lane_of(desk), desk.runtime.now()
    assert lane.hold_until is not None
    assert seconds - 2 <= (lane.hold_until - now).total_seconds() <= seconds * 1.2
    assert await desk.stands(first) == (PaymentState.WAITING, Reason.RATE_LIMITED)
    payment = await desk.payment(first)
    assert payment.next_try_at is not None
    assert all(item.tries == 0 for item in await desk.rows(SyncItem))
    before = await calls(desk)
    # A person's retry does not end a stated slow-down.
    assert await desk.retry(first)
    desk.runtime.forward(seconds=(lane.hold_until - now).total_seconds() - 1)
    await desk.quiet()
    assert await calls(desk) == before
    desk.runtime.forward(seconds=2)
    await desk.quiet()
    assert await desk.stands(first) == await desk.stands(second) == SYNCED
    await desk.assert_once(sales=2)


async def test_a_slow_down_of_one_company_slows_nobody_else(fresh_settings: Settings) -> None:
    async with desks(fresh_settings, 2) as ([slowed, other], _):
        rule = FaultRule(
            kind=FaultKind.RATE_LIMIT, provider="quickbooks", path=f"/{slowed.realm}/", retry_after="3600", count=None
        )
        slowed.sandbox.faults.add(rule)
        held, free = await slowed.pay(sale(1)), await other.pay(sale(2))
        while await slowed.worker.step():
            pass
        assert await slowed.stands(held) == (PaymentState.WAITING, Reason.RATE_LIMITED)
        assert await other.stands(free) == SYNCED
        assert rule.hits == 1


async def test_without_a_stated_time_each_slow_down_rests_longer_up_to_a_quarter_of_an_hour(desk: Desk) -> None:
    await desk.fail("invoice", FaultKind.RATE_LIMIT, count=10)
    payment = await desk.pay(sale(1))
    rests = []
    for _ in range(10):
        await desk.quiet()
        until_then = (await lane_of(desk)).hold_until
        assert until_then is not None
        rests.append((until_then - desk.runtime.now()).total_seconds())
        desk.runtime.forward(seconds=rests[-1] + 1)
    assert rests[0] <= 72
    assert rests[-1] > 700
    assert max(rests) <= 900
    await desk.quiet()
    assert await desk.stands(payment) == SYNCED
    assert {item.tries for item in await desk.rows(SyncItem)} == {0}
    await desk.assert_once()


async def test_the_limit_of_the_whole_app_rests_every_connection_to_that_provider_and_no_other(wiring: Wiring) -> None:
    """Xero's ``appminute``: ten thousand calls a minute over all organisations (xero.md, 2.5)."""
    people = [await make_person(wiring) for _ in range(3)]
    xero = [await make_connection(wiring, person.tenant_id, "xero") for person in people]
    others = [await make_connection(wiring, person.tenant_id, "quickbooks") for person in people]
    until_then = wiring.runtime.now() + timedelta(seconds=42)
    await lanes.hold_provider(wiring.db, "xero", until=until_then)
    async with wiring.db.system() as session:
        held = {lane.connection_id: lane.hold_until for lane in (await session.execute(select(Lane))).scalars()}
    assert {held[one.id] for one in xero} == {until_then}
    assert {held[one.id] for one in others} == {None}
    # A longer rest of one of them stays.
    await lanes.hold_provider(wiring.db, "xero", until=until_then - timedelta(seconds=10))
    async with wiring.db.system() as session:
        kept = (await session.execute(select(Lane.hold_until).where(Lane.connection_id == xero[0].id))).scalar_one()
    assert kept == until_then


LATER = {"retry-after": "Fri, 20 Nov 2026 10:02:00 GMT", "date": "Fri, 20 Nov 2026 10:00:30 GMT"}


@pytest.mark.parametrize(
    ("headers", "seconds", "is_of_all"),
    [
        ({"x-rate-limit-problem": "minute", "retry-after": "17"}, 17, False),
        ({"x-rate-limit-problem": "day", "retry-after": "77000"}, 77_000, False),
        ({"x-rate-limit-problem": "DayLimit", **LATER}, 90, False),
        ({"x-rate-limit-problem": "concurrent"}, 2, False),
        ({"x-rate-limit-problem": "appminute", "retry-after": "31"}, 31, True),
        ({"x-rate-limit-problem": "AppMinute", **LATER}, 90, True),
        ({"retry-after": "Fri, 20 Nov 2026 09:00:00 GMT", "date": LATER["date"]}, None, False),
        ({"retry-after": "0"}, None, False),
        ({"retry-after": "-5"}, None, False),
        ({"retry-after": "soon GMT"}, None, False),
        ({}, None, False),
    ],
)
def test_what_xero_says_with_a_429(headers: dict[str, str], seconds: float | None, is_of_all: bool) -> None:
    error = error_for(Answer(429, httpx.Headers(headers), b""), is_write=True)
    assert isinstance(error, RateLimitedError)
    assert (error.retry_after_s, error.is_of_all) == (seconds, is_of_all)
