"""Documents that travel together: few calls, each with its own outcome, and after every doubt exactly one of each.

Xero and QuickBooks here are the sandbox's, in this process, with their real ledgers and honest limits.
"""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, update

from core.books.keys import reference_for
from core.db.models import (
    Attempt,
    AttemptOutcome,
    Batch,
    BooksDocument,
    CallCount,
    Operation,
    Payment,
    PaymentState,
    SyncItem,
)
from core.intake.facts import Client
from core.reasons import Reason
from core.sync import batch, lanes, posting_rounds
from core.sync.acts import resume_posting, stop_posting
from core.sync.lane_work import BooksLane, load_lane
from core.sync.operations import Move
from tests.core.sync.conftest import PORTRAIT, Studio, movement, sale
from tests.core.sync.test_doubts import Desk as QuickBooksDesk
from tests.core.sync.test_doubts import desk as quickbooks
from tests.core.sync.test_xero_books import Desk as XeroDesk
from tests.core.sync.test_xero_books import desk, house
from web.sandbox.faults import FaultKind, FaultRule

__all__ = ["desk", "house", "quickbooks"]

ON_SQLITE = pytest.mark.parametrize("studio", ["sqlite"], indirect=True)
SYNCED = (PaymentState.SYNCED, None)


async def backlog(desk: Studio, first: int, last: int) -> list[UUID]:
    """Let payments wait side by side."""
    return [await desk.pay(sale(number)) for number in range(first, last + 1)]


async def known_client(desk: Studio) -> None:
    """Post one sale, so that the client is known."""
    await desk.pay(sale(0))
    await desk.quiet()


async def standing(desk: Studio) -> list[tuple[PaymentState, Reason | None]]:
    return [(payment.state, payment.reason) for payment in await desk.rows(Payment)]


def writes(desk: XeroDesk, collection: str) -> list[Any]:
    path = f"/api.xro/2.0/{collection}"
    return [e for e in desk.sandbox.log.entries(provider="xero") if e.method == "PUT" and e.path == path]


# What it costs


async def test_fifty_waiting_payments_of_known_clients_cost_xero_at_most_eight_calls_in_a_hundred(
    desk: XeroDesk,
) -> None:
    await known_client(desk)
    await desk.control.clear_counters(desk.organisation)
    await backlog(desk, 1, 50)
    await desk.quiet()
    counters = await desk.control.counters(desk.organisation)
    assert counters["calls"] / 50 <= 0.08
    await desk.assert_once(sales=51)


@pytest.mark.slow
async def test_a_thousand_waiting_payments_are_posted_to_xero_without_one_slow_down(desk: XeroDesk) -> None:
    await known_client(desk)
    await desk.control.clear_counters(desk.organisation)
    await backlog(desk, 1, 1000)
    began = desk.runtime.now()
    await desk.quiet()
    counters = await desk.control.counters(desk.organisation)
    assert counters.get("throttled", 0) == 0
    assert counters["calls"] / 1000 <= 0.08
    # Forty calls at 60 a minute: within 1.2 times of Xero's own limit, and of the five that may go at once.
    assert desk.runtime.now() - began <= timedelta(seconds=counters["calls"] / 60 * 60 * 1.2)
    await desk.assert_once(sales=1001)
    [day] = await desk.rows(CallCount)
    assert (day.payments, day.documents, day.slow_downs) == (1001, 2002, 0)
    assert day.calls == counters["calls"] + 5


async def test_singly_a_payment_costs_quickbooks_two_calls(quickbooks: QuickBooksDesk) -> None:
    await known_client(quickbooks)
    before = len(list(quickbooks.sandbox.log.entries(provider="quickbooks")))
    for number in range(1, 21):
        await quickbooks.pay(sale(number))
        await quickbooks.quiet()
    made = list(quickbooks.sandbox.log.entries(provider="quickbooks"))[before:]
    assert len([entry for entry in made if entry.path.startswith("/v3/company")]) / 20 <= 2.1
    await quickbooks.assert_once(sales=21)


async def test_a_backlog_travels_in_batches_to_quickbooks(quickbooks: QuickBooksDesk) -> None:
    await known_client(quickbooks)
    before = len(list(quickbooks.sandbox.log.entries(provider="quickbooks")))
    await backlog(quickbooks, 1, 60)
    await quickbooks.quiet()
    made = list(quickbooks.sandbox.log.entries(provider="quickbooks"))[before:]
    assert len(made) <= 8
    await quickbooks.assert_once(sales=61)


async def test_many_new_clients_are_made_together(desk: XeroDesk) -> None:
    for number in range(1, 31):
        client = Client(f"cus_{number}", f"cus_{number}", f"Client {number}", f"c{number}@example.com", None)
        await desk.pay(sale(number, client=client))
    await desk.quiet()
    counters = await desk.control.counters(desk.organisation)
    assert set(await standing(desk)) == {SYNCED}
    assert (counters["calls"] <= 10, counters.get("throttled", 0)) == (True, 0)
    assert len([c for c in await desk.records("Contact") if c["Name"].startswith("Client ")]) == 30


async def test_two_rows_of_one_client_that_wait_together_make_one_contact(desk: XeroDesk) -> None:
    """Once as a customer of Stripe and once with an e-mail address alone: looked for at once, both would be made."""
    for number, key in enumerate(("cus_anna", "guest_anna", "cus_anna_again"), 1):
        await desk.pay(sale(number, client=Client(key, None, "Anna Berg", "anna@example.com", None)))
    await desk.quiet()
    assert set(await standing(desk)) == {SYNCED}
    assert AttemptOutcome.REJECTED not in {attempt.outcome for attempt in await desk.rows(Attempt)}
    await desk.assert_once(sales=3)


# Partial failure (F18)


async def test_one_refused_member_leaves_the_others_standing(desk: XeroDesk) -> None:
    await known_client(desk)
    body = {
        "Type": "ACCREC", "Status": "AUTHORISED", "Contact": {"Name": "Somebody else"}, "Date": "2026-03-01",
        "DueDate": "2026-03-01", "InvoiceNumber": reference_for(desk.books.id, sale(7).source_id),
        "LineItems": [{"Description": "Work", "UnitAmount": 1, "AccountID": desk.accounts["Session Fees"]}],
    }  # fmt: skip
    await desk.control.create_record(desk.organisation, "Invoice", body)
    payments = await backlog(desk, 1, 12)
    await desk.quiet(hours=1)
    for number, payment_id in enumerate(payments, 1):
        expected = (PaymentState.NEEDS_ATTENTION, Reason.NUMBER_TAKEN) if number == 7 else SYNCED
        assert await desk.stands(payment_id) == expected
    assert len(await desk.records("Invoice")) == 13
    assert len(await desk.records("Payment")) == 12


@ON_SQLITE
async def test_an_item_that_breaks_us_stops_alone(studio: Studio) -> None:
    await studio.map(PORTRAIT.key, "Session income")
    bad = await studio.pay(sale(1, movement=movement(1, 43300, 1286)))
    async with studio.wiring.db.tenant(studio.tenant_id, write=True) as session:
        await session.execute(
            update(Payment).where(Payment.id == bad).values(currency="z!1").execution_options(synchronize_session=False)
        )
    others = await backlog(studio, 2, 9)
    await studio.quiet()
    assert [await studio.stands(payment_id) for payment_id in others] == [SYNCED] * 8
    assert await studio.stands(bad) == (PaymentState.WAITING, Reason.OUR_FAULT)


# Doubt about a whole call


async def test_a_lost_answer_is_answered_by_the_very_same_call(desk: XeroDesk) -> None:
    await known_client(desk)
    desk.sandbox.log.record_bodies = True
    desk.fail("invoice", FaultKind.DROP_AFTER_COMMIT)
    await backlog(desk, 1, 10)
    await desk.worker.step()
    # More becomes due meanwhile; the call that goes out again is the old one all the same.
    await backlog(desk, 11, 14)
    desk.runtime.forward(seconds=6)
    await desk.quiet(hours=0.1)
    first, second, *_ = [entry for entry in writes(desk, "Invoices") if entry.body.count('"Type"') == 10]
    assert (first.body, first.idempotency_key) == (second.body, second.idempotency_key)
    assert second.replayed
    await desk.assert_once(sales=15)
    assert {row.settled_at is not None for row in await desk.rows(Batch)} == {True}


@pytest.mark.parametrize("step", ["invoice", "payment"])
@pytest.mark.parametrize(
    ("kind", "rule"),
    [
        pytest.param(FaultKind.DROP_AFTER_COMMIT, {"count": 2}, id="answer lost twice"),
        pytest.param(FaultKind.DROP_BEFORE_COMMIT, {}, id="line cut before commit"),
        pytest.param(FaultKind.STATUS, {"status": 503, "after_commit": True}, id="503 after commit"),
        pytest.param(FaultKind.STATUS, {"status": 500}, id="500 before commit"),
        pytest.param(FaultKind.TRUNCATE, {}, id="half an answer"),
        pytest.param(FaultKind.RATE_LIMIT, {"code": "minute", "retry_after": "17"}, id="429"),
        pytest.param(FaultKind.STATUS, {"status": 401}, id="401"),
        pytest.param(FaultKind.DROP_BEFORE_COMMIT, {"count": 7}, id="an outage of seven calls"),
    ],
)
async def test_a_doubt_about_a_call_of_many_ends_in_exactly_one_of_each(
    desk: XeroDesk, step: str, kind: FaultKind, rule: dict[str, Any]
) -> None:
    await known_client(desk)
    desk.fail(step, kind, **rule)
    await backlog(desk, 1, 12)
    await desk.quiet(hours=12 if rule.get("count", 1) > 2 else 1)
    assert set(await standing(desk)) == {SYNCED}
    await desk.assert_once(sales=13)


@pytest.mark.parametrize("step", ["invoice", "payment"])
@pytest.mark.parametrize("stored", [0, 5, 12])
async def test_a_call_that_dies_after_some_of_its_members_is_made_whole(desk: XeroDesk, step: str, stored: int) -> None:
    """The 500 stays under its key for six minutes: what is missing travels under another one."""
    await known_client(desk)
    desk.fail(step, FaultKind.RATE_LIMIT, code="minute", retry_after="5")
    await backlog(desk, 1, 12)
    await desk.worker.step()
    await desk.control.break_next(desk.organisation, after_elements=stored)
    await desk.quiet(hours=0.2)
    assert set(await standing(desk)) == {SYNCED}
    assert (await desk.control.counters(desk.organisation)).get("replayed", 0) == 0
    await desk.assert_once(sales=13)


@pytest.mark.parametrize(
    ("kind", "rule"),
    [
        pytest.param(FaultKind.DROP_AFTER_COMMIT, {}, id="answer lost"),
        pytest.param(FaultKind.DROP_AFTER_COMMIT, {"count": 2}, id="answer lost twice"),
        pytest.param(FaultKind.STATUS, {"status": 500, "after_commit": True}, id="500 after commit"),
        pytest.param(FaultKind.RATE_LIMIT, {}, id="429"),
    ],
)
async def test_a_doubt_about_a_batch_of_quickbooks_ends_in_exactly_one_of_each(
    quickbooks: QuickBooksDesk, kind: FaultKind, rule: dict[str, Any]
) -> None:
    await known_client(quickbooks)
    quickbooks.sandbox.faults.add(FaultRule(kind=kind, provider="quickbooks", method="POST", path=r"/batch\?", **rule))
    await backlog(quickbooks, 1, 12)
    await quickbooks.quiet(hours=1)
    assert set(await standing(quickbooks)) == {SYNCED}
    await quickbooks.assert_once(sales=13)


async def test_a_slow_down_pauses_all_and_costs_nobody_a_try(desk: XeroDesk) -> None:
    await known_client(desk)
    desk.fail("invoice", FaultKind.RATE_LIMIT, code="minute", retry_after="30")
    await backlog(desk, 1, 12)
    await desk.worker.step()
    assert {item.tries for item in await desk.rows(SyncItem)} == {0}
    before = (await desk.control.counters(desk.organisation))["calls"]
    desk.runtime.forward(seconds=28)
    while await desk.worker.step():
        pass
    assert (await desk.control.counters(desk.organisation))["calls"] == before
    await desk.quiet(hours=0.1)
    await desk.assert_once(sales=13)
    [day] = await desk.rows(CallCount)
    assert day.slow_downs == 1


# A process that dies


async def _until_sent(desk: Studio, kind: str) -> tuple[BooksLane, "posting_rounds._Planned"]:
    """Carry the backlog to the commit of the call that carries documents of ``kind``."""
    [claim] = [c for c in await lanes.claim_lanes(desk.wiring.db, 8) if c.connection_id == desk.books.id]
    async with desk.wiring.db.tenant(desk.tenant_id) as session:
        lane = BooksLane(desk.wiring, claim, *await load_lane(session, claim.connection_id))
        ids = list(
            (
                await session.execute(
                    select(SyncItem.id).where(
                        SyncItem.connection_id == claim.connection_id, SyncItem.due_at <= desk.runtime.now()
                    )
                )
            ).scalars()
        )
    made = posting_rounds._Made()
    while True:
        planned = await posting_rounds._plan_round(lane, ids, made, ends=False)
        [call] = planned.calls
        if call.steps[0].write.kind == kind and call.steps[0].move is Move.SEND:
            return lane, planned
        made = await posting_rounds._make(lane, planned)
        ids = list(made.reports)


@pytest.mark.parametrize("kind", ["invoice", "payment"])
@pytest.mark.parametrize("forgets", [False, True], ids=["keys remembered", "keys forgotten"])
@pytest.mark.parametrize("sent", [False, True], ids=["died before the call", "died after the call"])
async def test_a_process_that_dies_with_many_under_way(desk: XeroDesk, kind: str, sent: bool, forgets: bool) -> None:
    await known_client(desk)
    await backlog(desk, 1, 10)
    lane, planned = await _until_sent(desk, kind)
    if sent:
        await posting_rounds._make(lane, planned)
    if forgets:
        await desk.control.forget_idempotency()
        desk.runtime.forward(minutes=7)
    desk.runtime.forward(seconds=61)
    await backlog(desk, 11, 15)
    await desk.quiet(hours=1)
    assert set(await standing(desk)) == {SYNCED}
    await desk.assert_once(sales=16)


async def test_the_call_that_was_cut_off_goes_out_again_as_it_was(desk: XeroDesk) -> None:
    await known_client(desk)
    await backlog(desk, 1, 10)
    lane, planned = await _until_sent(desk, "invoice")
    await posting_rounds._make(lane, planned)
    desk.runtime.forward(seconds=61)
    await backlog(desk, 11, 15)
    await desk.quiet()
    entries = writes(desk, "Invoices")
    keys = [entry.idempotency_key for entry in entries[1:3]]
    assert keys[0] == keys[1]
    assert entries[2].replayed
    await desk.assert_once(sales=16)


async def test_what_was_in_a_batch_is_never_sent_alone_before_a_look_up(desk: XeroDesk) -> None:
    await known_client(desk)
    await backlog(desk, 1, 4)
    lane, planned = await _until_sent(desk, "invoice")
    await posting_rounds._make(lane, planned)
    desk.runtime.forward(minutes=3)
    await desk.quiet(hours=0.1)
    await desk.assert_once(sales=5)
    outcomes = [attempt.outcome for attempt in await desk.rows(Attempt)]
    assert outcomes.count(AttemptOutcome.FOUND) == 4
    operations = [row for row in await desk.rows(Operation) if row.step == "invoice"]
    assert all(row.sends == 1 for row in operations)


async def test_dependents_never_share_a_call_with_what_they_need(desk: XeroDesk) -> None:
    await known_client(desk)
    await backlog(desk, 1, 8)
    await desk.quiet()
    members = [row for row in await desk.rows(Operation) if row.batch_id is not None]
    kinds = {row.id: row.kind for row in await desk.rows(Batch)}
    assert len(members) == 16
    assert all(kinds[row.batch_id] is row.kind for row in members if row.batch_id)
    assert await batch_is_settled(desk)


async def batch_is_settled(desk: Studio) -> bool:
    async with desk.wiring.db.tenant(desk.tenant_id) as session:
        return not await batch.any_open(session, desk.books.id)


# Stopping by a person


@ON_SQLITE
async def test_nothing_is_posted_while_a_person_has_stopped_it(studio: Studio) -> None:
    await studio.map(PORTRAIT.key, "Session income")
    async with studio.wiring.db.tenant(studio.tenant_id, write=True) as session:
        now = await studio.wiring.db.now(session)
        assert await stop_posting(session, studio.books.id, now=now)
        assert not await stop_posting(session, studio.books.id, now=now)
    await backlog(studio, 1, 5)
    await studio.quiet()
    assert await studio.rows(BooksDocument) == []
    async with studio.wiring.db.tenant(studio.tenant_id, write=True) as session:
        assert await resume_posting(session, studio.books.id)
    await studio.quiet()
    assert set(await standing(studio)) == {SYNCED}
