"""Slow-downs (F10): the connection rests as long as it was told to, costs no try, and slows nobody else."""

from datetime import timedelta
from email.utils import format_datetime

import pytest

from core.config import Settings
from core.db.models import PaymentState, SyncItem
from core.reasons import Reason
from tests.core.sync.conftest import sale
from tests.core.sync.limits import SYNCED, calls, desks, fresh_settings, lane_of
from tests.core.sync.test_doubts import Desk, desk
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
