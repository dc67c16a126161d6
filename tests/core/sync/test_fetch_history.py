"""History: a year read by the hundred is known as if each payment had come by itself, and nothing of it is posted."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, date, datetime, timedelta

import httpx
import pytest

from core.connections.disconnect import disconnect
from core.db.models import (
    BalanceTransaction,
    Dispute,
    HistoryState,
    ItemKind,
    OpeningBalance,
    Payment,
    Payout,
    Refund,
    SyncItem,
)
from core.errors import InputError
from core.sync.history import Part, Progress, progress, resume, start_history, stop
from core.wiring import Wiring
from tests.core.sync.conftest import SteadyRuntime
from tests.core.sync.fetching import Account, connect
from tests.core.sync.test_fetch_movements import month, settle
from tests.outside import BASE, Outside
from tests.runtime import VirtualRuntime
from web.sandbox.client import SandboxClient
from web.sandbox.faults import FaultRule

BACKGROUND = (ItemKind.CATCH_UP, ItemKind.SWEEP)


@pytest.fixture
def runtime() -> VirtualRuntime:
    """Begins now: PostgreSQL measures due times by its own clock."""
    return SteadyRuntime(datetime.now(UTC))


@pytest.fixture
async def account(any_wiring: Wiring) -> AsyncIterator[Account]:
    outside = Outside(any_wiring)
    async with httpx.AsyncClient(transport=outside.transport, base_url=BASE) as http:
        yield await connect(any_wiring, outside, http, await outside.business())


async def sell_everything(client: SandboxClient, account: str) -> None:
    """Sell in every way there is, some with more lines than a page of Stripe's shows."""
    many = [{"name": f"Print {n}", "unit_amount": 1000 + n} for n in range(14)]
    taxed = [{"name": "Portrait", "unit_amount": 30000, "discount": 2000, "taxes": [{"percentage": 8.25}]}]
    details = [{"product_name": "Album", "unit_cost": 9000, "quantity": 2, "tax": {"total_tax_amount": 1500}}]
    for options in (
        {"via": "checkout", "lines": many, "tip": 500},
        {"via": "checkout", "lines": taxed, "shipping": 900},
        {"via": "payment_link", "lines": taxed},
        {"via": "invoice", "lines": many},
        {"via": "invoice", "lines": taxed},
        {"amount": 19500, "line_items_l3": details},
        {"amount": 12600, "line_items_l3": [{"product_name": f"Hour {n}", "unit_cost": 1050} for n in range(12)]},
        {"amount": 5000, "description": "Deposit #12", "tip": 700, "metadata": {"service": "Wedding"}},
        {"amount": 50000, "currency": "eur", "settled_currency": "usd", "settled_amount": 54125, "fee": 2952},
    ):
        await client.pay(account, **options, new_customer={"name": "Bo Li", "email": "bo@x.org"})
        await client.advance(seconds=30)


async def begin(account: Account, day: date) -> None:
    async with account.wiring.db.tenant(account.owner.tenant_id, write=True) as session:
        await start_history(
            session,
            tenant_id=account.owner.tenant_id,
            first_day=day,
            by_user_id=account.owner.user_id,
            now=await account.wiring.db.now(session),
        )


async def come(account: Account) -> Progress:
    async with account.wiring.db.tenant(account.owner.tenant_id) as session:
        found = await progress(session)
    assert found is not None
    return found


async def read_all(account: Account) -> Progress:
    for _ in range(40):
        await account.hurry(ItemKind.HISTORY)
        if (await come(account)).state is HistoryState.READ:
            break
    return await come(account)


def last_week(account: Account) -> date:
    return (account.runtime.now() - timedelta(days=7)).date()


async def test_history_is_known_as_if_everything_had_been_fetched_alone(account: Account) -> None:
    await account.forget(*BACKGROUND)
    await sell_everything(account.client, account.id)
    await month(account.client, account.id)
    await account.tell(await account.client.events(account.id))
    await account.work()
    single = await account.picture()
    await disconnect(account.wiring, account.owner, "stripe")

    read = await connect(account.wiring, account.outside, account.http, account.id)
    await read.forget(*BACKGROUND)
    await read.work()
    await begin(read, last_week(read))
    assert (await read_all(read)).state is HistoryState.READ
    whole = await read.picture()
    assert len(single["Payment"]) == 16
    assert {name: len(rows) for name, rows in single.items()} == {name: len(rows) for name, rows in whole.items()}
    assert single == whole


async def test_the_opening_balance_is_what_stripe_held_before(account: Account) -> None:
    await account.forget(*BACKGROUND)
    long_ago = int((account.runtime.now() - timedelta(days=60)).timestamp())
    await account.client.pay(account.id, 100000, fee=3000, created=long_ago)
    await account.client.pay(account.id, 20000, fee=600)
    await settle(account.client)
    await begin(account, last_week(account))
    found = await read_all(account)
    assert (found.state, found.part, found.parts_done) == (HistoryState.READ, None, found.parts)
    assert found.counts["payments"] == 1
    [opening] = await account.rows(OpeningBalance)
    assert (opening.currency, opening.amount_minor, opening.starts_at) == ("usd", 97000, found.starts_at)
    assert {item.kind for item in await account.rows(SyncItem)} <= {
        ItemKind.HISTORY,
        ItemKind.KEEP_ALIVE,
        ItemKind.FETCH_PAYMENT,
        ItemKind.SWEEP,
    }


async def test_a_run_goes_on_where_it_broke_off_or_was_stopped(account: Account) -> None:
    await account.forget(*BACKGROUND)
    for _ in range(3):
        await account.client.pay(account.id, 10000)
    await settle(account.client)
    await account.client.add_fault(FaultRule(kind="status", path="/v1/refunds", count=None))
    await begin(account, last_week(account))
    await account.work()
    broken = await come(account)
    assert (broken.state, broken.part, broken.counts["payments"]) == (HistoryState.READING, Part.REFUNDS, 3)

    async def change(how: Callable[..., Awaitable[bool]]) -> bool:
        async with account.wiring.db.tenant(account.owner.tenant_id, write=True) as session:
            return await how(session, broken.run_id, now=await account.wiring.db.now(session))

    assert [await change(stop), await change(stop)] == [True, False]
    await account.client.clear_faults()
    await account.hurry(ItemKind.HISTORY)
    assert ((await come(account)).state, (await come(account)).part) == (HistoryState.STOPPED, Part.REFUNDS)
    assert [await change(resume), await change(resume)] == [True, False]
    assert (await read_all(account)).counts["payments"] == 3
    assert (await account.reads()).count("/v1/payment_intents") == 1
    assert [await change(stop), await change(resume)] == [False, False]


async def test_a_new_first_day_begins_anew_and_the_old_run_rests(account: Account) -> None:
    await account.forget(*BACKGROUND)
    await begin(account, last_week(account))
    first = await come(account)
    account.runtime.forward(seconds=5)
    await begin(account, last_week(account) - timedelta(days=3))
    assert (await come(account)).run_id != first.run_id
    found = await read_all(account)
    assert (found.state, found.run_id != first.run_id) == (HistoryState.READ, True)


async def test_a_day_that_has_not_come_is_refused(account: Account) -> None:
    with pytest.raises(InputError):
        await begin(account, (account.runtime.now() + timedelta(days=3)).date())


async def test_a_hundred_payments_cost_a_handful_of_reads(account: Account) -> None:
    await account.forget(*BACKGROUND)
    for number in range(120):
        await account.client.pay(account.id, 1000 + number, description="Session")
    await settle(account.client)
    await account.work()
    await account.client.clear_log()
    await begin(account, last_week(account))
    assert (await read_all(account)).counts["payments"] == 120
    assert len([path for path in await account.reads() if path != "/v1/account"]) <= 25
    assert [await account.count(kind) for kind in (Payment, BalanceTransaction)] == [120, 120]
    assert [await account.count(kind) for kind in (Refund, Dispute, Payout)] == [0, 0, 0]
