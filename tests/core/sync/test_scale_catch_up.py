"""Catch-up (F3): after days of silence everything is found, once, soon after the silence ends, in bounded reads."""

from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pytest
from sqlalchemy import select

from core.db.models import ItemKind, Payment, StripeEvent
from core.intake.forget import KEPT_FOR, forget_payloads
from core.intake.pages import MAX_PAGES
from core.sync.worker import Worker
from core.wiring import Wiring
from tests.core.sync.fetching import Account, connect
from tests.outside import Outside
from web.sandbox.faults import FaultKind, FaultRule

SOON = timedelta(minutes=15)


@pytest.fixture
async def account(wiring: Wiring) -> AsyncIterator[Account]:
    outside = Outside(wiring)
    async with httpx.AsyncClient(transport=outside.transport) as http:
        business = await outside.business()
        account = await connect(wiring, outside, http, business)
        await account.work()
        yield account


async def paid(account: Account, count: int = 3) -> set[str]:
    """Let clients pay; no event of it ever arrives."""
    made = [await account.client.pay(account.id, 12_500 + number) for number in range(count)]
    await account.client.flush()
    return {str(payment.payment_intent) for payment in made}


async def known(account: Account) -> list[str]:
    return sorted(payment.source_id for payment in await account.rows(Payment))


async def wake(account: Account) -> None:
    """Start a worker after the silence, and give it a quarter of an hour."""
    account.worker = Worker(account.wiring)
    await account.work()
    end = account.runtime.now() + SOON
    while account.runtime.now() < end:
        account.runtime.forward(minutes=3)
        await account.work()


@pytest.mark.parametrize("days", [3, 40])
async def test_what_no_event_told_of_is_found_once_after_days(account: Account, days: int) -> None:
    """Forty days: Stripe has forgotten the first events, its ledger has not."""
    made: set[str] = set()
    for _ in range(4):
        made |= await paid(account)
        account.runtime.forward(days=days / 4)
        await account.client.flush()
    assert await known(account) == []
    before = len(await account.reads())
    await wake(account)
    assert await known(account) == sorted(made)
    assert all(payment.stripe_balance_transaction_id for payment in await account.rows(Payment))
    lists = [
        path
        for path in (await account.reads())[before:]
        if path.split("?")[0].endswith(("/events", "/balance_transactions"))
    ]
    assert len(lists) <= 2 * MAX_PAGES
    # And no second time, in any later pass.
    for _ in range(3):
        account.runtime.forward(hours=1)
        await account.work()
    assert await known(account) == sorted(made)


async def test_it_is_found_within_a_quarter_of_an_hour_of_the_end_of_an_outage(account: Account) -> None:
    rule = account.outside.sandbox.faults.add(
        FaultRule(kind=FaultKind.STATUS, provider="stripe", path="/v1/", status=503, count=None)
    )
    made = await paid(account)
    for _ in range(5 * 6):
        account.runtime.forward(minutes=10)
        await account.work()
    # A probe in each quarter of an hour, each of at most three requests.
    assert rule.hits < 5 * 6 * 6
    assert await known(account) == []
    account.outside.sandbox.faults.clear()
    end = account.runtime.now() + SOON
    while account.runtime.now() < end:
        account.runtime.forward(minutes=3)
        await account.work()
    assert await known(account) == sorted(made)


async def test_a_clock_that_was_ahead_hides_nothing(account: Account) -> None:
    """A pass by a clock two days ahead must not make the next ones skip two days (F26)."""
    account.runtime.forward(days=2)
    await account.work()
    await account.hurry(ItemKind.CATCH_UP, ItemKind.SWEEP)
    account.runtime.forward(days=-2)
    made = await paid(account)
    account.runtime.forward(hours=1)
    await account.hurry(ItemKind.CATCH_UP, ItemKind.SWEEP)
    assert await known(account) == sorted(made)


async def test_old_payloads_are_let_go_and_the_history_stays(account: Account) -> None:
    await account.tell(await account.client.events(account.id))
    made = await paid(account)
    await account.tell(await account.client.events(account.id))
    await account.work()
    events = await account_events(account)
    assert [event.id for event in events if not event.payload] == []
    assert await forget_payloads(account.wiring.db) == 0
    account.runtime.forward(seconds=(KEPT_FOR + timedelta(days=1)).total_seconds())
    routed = [event for event in events if event.state.value == "routed"]
    assert await forget_payloads(account.wiring.db) == len(routed) > 0
    assert await forget_payloads(account.wiring.db) == 0
    after = await account_events(account)
    assert {event.id for event in after} == {event.id for event in events}
    assert {event.payload for event in after if event.state.value == "forgotten"} == {b""}
    # What had not been settled keeps what it said.
    assert all(event.payload for event in after if event.state.value != "forgotten")
    # The very same event once more is known, and changes nothing.
    await account.tell(await account.client.events(account.id))
    await account.work()
    assert await known(account) == sorted(made)
    assert len(await account_events(account)) == len(events)


async def account_events(account: Account) -> list[StripeEvent]:
    # Across tenants: events belong to nobody until they are routed.
    async with account.wiring.db.system() as session:
        return list((await session.execute(select(StripeEvent))).scalars())
