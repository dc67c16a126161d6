"""Outages (F11): few probes, nothing fails from counting, everything drains in order afterwards."""

from collections import Counter

from core.db.models import PaymentState, SyncItem
from tests.core.sync.conftest import sale
from tests.core.sync.limits import SYNCED
from tests.core.sync.test_doubts import Desk, desk
from web.sandbox.faults import FaultKind, FaultRule

__all__ = ["desk"]


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
