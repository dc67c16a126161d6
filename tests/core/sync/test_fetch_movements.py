"""Refunds, disputes, payouts and Stripe's own ledger: known whole, whichever event came, when, and how often."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from sqlalchemy import update

from core.connections.disconnect import disconnect
from core.db.models import (
    BalanceReading,
    BalanceTransaction,
    Dispute,
    EventState,
    ItemKind,
    ItemState,
    Payment,
    Payout,
    Refund,
    StripeEvent,
)
from core.wiring import Wiring
from tests.core.sync.conftest import SteadyRuntime
from tests.core.sync.fetching import Account, connect
from tests.outside import BASE, Outside
from tests.runtime import VirtualRuntime
from web.sandbox.client import SandboxClient


@pytest.fixture
def runtime() -> VirtualRuntime:
    """Begins now: PostgreSQL measures due times by its own clock."""
    return SteadyRuntime(datetime.now(UTC))


async def _account(wiring: Wiring) -> AsyncIterator[Account]:
    outside = Outside(wiring)
    async with httpx.AsyncClient(transport=outside.transport, base_url=BASE) as http:
        account = await outside.business()
        yield await connect(wiring, outside, http, account)


@pytest.fixture
async def account(any_wiring: Wiring) -> AsyncIterator[Account]:
    async for made in _account(any_wiring):
        yield made


@pytest.fixture
async def on_file(wiring: Wiring) -> AsyncIterator[Account]:
    async for made in _account(wiring):
        yield made


async def settle(client: SandboxClient) -> None:
    await client.advance(seconds=10)


async def month(client: SandboxClient, account: str) -> dict[str, Any]:
    """Play one of everything; return the ids by name."""
    sales = [await client.pay(account, 10000 + n, description=f"Session {n}") for n in range(5)]
    bare = await client.pay(account, 4200, via="charge", description="From the platform")
    await settle(client)
    ids: dict[str, Any] = {"sales": sales, "bare": bare}
    ids["part"] = (await client.refund(account, sales[0].payment_intent or "", 2500))["id"]
    ids["rest"] = (await client.refund(account, sales[0].payment_intent or ""))["id"]
    ids["failed"] = (await client.refund(account, sales[1].payment_intent or "", 1000))["id"]
    await settle(client)
    await client.fail_refund(account, ids["failed"])
    ids["of_bare"] = (await client.refund(account, bare.charge or "", 200))["id"]
    ids["lost"] = (await client.dispute(account, sales[2].payment_intent or ""))["id"]
    ids["won"] = (await client.dispute(account, sales[3].payment_intent or ""))["id"]
    ids["inquiry"] = (await client.dispute(account, sales[4].payment_intent or "", inquiry=True))["id"]
    await client.answer_dispute(account, ids["won"])
    await settle(client)
    await client.close_dispute(account, ids["lost"], "lost")
    await client.close_dispute(account, ids["won"], "won", fee_returned=1500)
    await client.add_row(account, "stripe_fee", -200, description="Radar")
    await client.add_row(account, "reserved_funds", -1000)
    ids["first"] = (await client.payout(account, include_pending=True, until="paid"))["id"]
    await client.pay(account, 30000)
    await settle(client)
    ids["returned"] = (await client.payout(account, include_pending=True, until="paid"))["id"]
    await client.move_payout(account, ids["returned"], "fail")
    ids["manual"] = (await client.payout(account, automatic=False, amount=5000, until="paid"))["id"]
    return ids


async def check(account: Account, ids: dict[str, Any]) -> None:
    """Everything that Stripe's ledger holds is known, and hangs together."""
    ledger = await account.client.ledger(account.id)
    assert ledger.problems == []
    known = {row.stripe_id: row for row in await account.rows(BalanceTransaction)}
    assert {row["id"]: row["net"] for row in ledger.rows} == {key: row.net_minor for key, row in known.items()}
    assert {row["id"]: row["payout"] for row in ledger.rows} == {key: r.stripe_payout_id for key, r in known.items()}
    assert all(row.book_date for row in known.values())

    payments = {row.source_id: row.id for row in await account.rows(Payment)}
    refunds = {row.stripe_id: row for row in await account.rows(Refund)}
    assert refunds[ids["part"]].payment_id == payments[ids["sales"][0].payment_intent]
    assert refunds[ids["of_bare"]].payment_id == payments[ids["bare"].charge]
    assert (refunds[ids["failed"]].status, refunds[ids["failed"]].failure_reason) == (
        "failed",
        "expired_or_canceled_card",
    )
    assert len(refunds) == 4
    disputes = {row.stripe_id: row for row in await account.rows(Dispute)}
    assert {key: (disputes[ids[key]].status, disputes[ids[key]].closed_at is not None) for key in ("lost", "won")} == {
        "lost": ("lost", True),
        "won": ("won", True),
    }
    assert all(row.payment_id is not None for row in (*refunds.values(), *disputes.values()))

    payouts = {row.stripe_id: row for row in await account.rows(Payout)}
    assert (payouts[ids["first"]].lines_read, payouts[ids["first"]].lines_minor) == (
        True,
        payouts[ids["first"]].amount_minor,
    )
    assert payouts[ids["returned"]].status == "failed"
    assert (payouts[ids["manual"]].automatic, payouts[ids["manual"]].lines_read) == (False, False)
    assert {(row.bank_name, row.bank_last4) for row in payouts.values()} == {("STRIPE TEST BANK", "6789")}
    [reading] = await account.rows(BalanceReading)
    assert reading.available_minor + reading.pending_minor == ledger.posted_minor["usd"]


@pytest.mark.parametrize("seed", range(2))
async def test_any_order_and_twice_ends_in_the_whole_truth(account: Account, seed: int) -> None:
    await account.forget(ItemKind.CATCH_UP)
    ids = await month(account.client, account.id)
    await account.tell_shuffled(seed)
    await account.hurry(ItemKind.SWEEP)
    await account.hurry(ItemKind.SWEEP)
    await check(account, ids)
    assert ids["inquiry"] in {row.stripe_id for row in await account.rows(Dispute)}


async def test_without_a_single_event_the_sweep_finds_everything_that_moved_money(account: Account) -> None:
    await account.forget(ItemKind.CATCH_UP)
    ids = await month(account.client, account.id)
    await account.work()
    await account.hurry(ItemKind.SWEEP)
    await check(account, ids)


async def test_the_order_of_events_leaves_no_trace(on_file: Account) -> None:
    await month(on_file.client, on_file.id)
    await on_file.tell_shuffled(1)
    await on_file.hurry(ItemKind.SWEEP)
    await disconnect(on_file.wiring, on_file.owner, "stripe")
    other = await connect(on_file.wiring, on_file.outside, on_file.http, on_file.id)
    await other.tell_shuffled(2, prefix="again")
    await other.hurry(ItemKind.SWEEP)
    first, second = await on_file.picture(), await other.picture()
    assert first["Refund"]
    assert first == second


async def test_a_refund_before_its_payment_is_joined_once_that_arrives(account: Account) -> None:
    await account.forget(ItemKind.CATCH_UP, ItemKind.SWEEP)
    paid = await account.client.pay(account.id, 9900)
    await settle(account.client)
    refund = await account.client.refund(account.id, paid.payment_intent or "", 900)
    events = [event for event in await account.client.events(account.id) if event["type"] == "refund.created"]
    await account.tell(events)
    await account.worker.step()
    await account.work()
    [payment] = await account.rows(Payment)
    stored = await account.one(Refund, refund["id"])
    assert (stored.payment_id, stored.amount_minor, payment.refunded_minor) == (payment.id, 900, 900)


async def test_a_payout_that_does_not_add_up_says_by_how_much_and_is_asked_for_again(account: Account) -> None:
    await account.forget(ItemKind.CATCH_UP)
    for amount in (10000, 20000):
        await account.client.pay(account.id, amount, fee=100)
    await settle(account.client)
    payout = await account.client.payout(account.id, include_pending=True, until="paid")
    shelf = account.outside.sandbox.stripe.world.accounts[account.id].shelf("balance_transaction")
    [lost] = [row for row in shelf.oldest_first() if row["amount"] == 10000]
    lost["_payout"] = None
    await account.tell(await account.client.events(account.id))
    await account.work()
    stored = await account.one(Payout, payout["id"])
    assert (stored.amount_minor, stored.lines_minor, stored.lines_read) == (29800, 19900, False)
    assert (await account.item(ItemKind.FETCH_PAYOUT)).due_at is not None

    lost["_payout"] = payout["id"]
    await account.hurry(ItemKind.FETCH_PAYOUT)
    stored = await account.one(Payout, payout["id"])
    assert (stored.lines_minor, stored.lines_read) == (29800, True)
    assert (await account.item(ItemKind.FETCH_PAYOUT)).state is ItemState.DONE


async def test_a_payout_costs_one_list_however_many_events_tell_of_it(account: Account) -> None:
    await account.forget(ItemKind.CATCH_UP)
    for _ in range(3):
        await account.client.pay(account.id, 10000)
    await settle(account.client)
    await account.hurry(ItemKind.SWEEP)
    await account.client.clear_log()
    payout = await account.client.payout(account.id, include_pending=True, until="paid")
    for _ in range(2):
        await account.tell([{**event, "id": event["id"] + "x"} for event in await account.client.events(account.id)])
        await account.work()
    reads = await account.reads()
    assert reads.count(f"/v1/payouts/{payout['id']}") <= 2
    assert reads.count("/v1/balance_transactions") == 1


async def test_what_an_older_release_could_only_keep_is_read_after_the_update(account: Account) -> None:
    paid = await account.client.pay(account.id, 9900)
    await settle(account.client)
    refund = await account.client.refund(account.id, paid.payment_intent or "")
    await account.work()
    await account.forget(ItemKind.SWEEP, ItemKind.FETCH_REFUND)
    async with account.wiring.db.system(write=True) as session:
        kept = update(StripeEvent).where(StripeEvent.type.startswith("refund"))
        await session.execute(kept.values(state=EventState.KEPT).execution_options(synchronize_session=False))
    await account.hurry(ItemKind.CATCH_UP)
    about_refunds = [row.state for row in await account.rows(StripeEvent) if row.type.startswith("refund")]
    assert set(about_refunds) == {EventState.ROUTED}
    assert (await account.item(ItemKind.FETCH_REFUND, refund["id"])).state is ItemState.DONE
    assert await account.item(ItemKind.SWEEP)


async def test_a_key_that_may_not_see_sources_still_reads_the_ledger(on_file: Account) -> None:
    rights = [
        "balance_read",
        "charge_read",
        "checkout_session_read",
        "customer_read",
        "dispute_read",
        "event_read",
        "invoice_read",
        "payment_intent_read",
        "payout_read",
        "product_read",
        "connected_account_read",
    ]
    business = await on_file.outside.business("Narrow Studio")
    key = await on_file.client.restricted_key(business, rights)
    narrow = await connect(on_file.wiring, on_file.outside, on_file.http, business, token=key)
    await narrow.forget(ItemKind.CATCH_UP)
    ids = await month(narrow.client, business)
    await narrow.work()
    await narrow.hurry(ItemKind.SWEEP)
    await check(narrow, ids)


async def test_an_idle_account_stays_far_below_what_stripe_grants(on_file: Account) -> None:
    await on_file.work()
    await on_file.client.clear_log()
    await on_file.rest(days=1)
    reads = await on_file.reads()
    assert 24 <= len(reads) <= 10_000 / 30
