"""People and the worker at the same moment (F24): clicks that come too late, or five at once, change nothing."""

import asyncio
from uuid import uuid4

from core.db.models import (
    Attempt,
    AttemptOutcome,
    ConnectionStatus,
    EventState,
    ItemKind,
    ItemState,
    Operation,
    PaymentState,
    StripeEvent,
    SyncItem,
)
from core.reasons import Reason
from core.sync import lanes
from core.sync import posting as engine
from core.sync.acts import ignore_payment
from core.sync.items import take_facts
from core.sync.lane_work import BooksLane, load_lane
from tests.core.sync.conftest import PORTRAIT, Studio, movement, sale
from tests.core.sync.limits import ON_POSTGRES, ON_SQLITE, SYNCED
from tests.core.sync.test_other_books import fly


@ON_SQLITE
async def test_news_of_an_account_that_waits_for_a_sign_in_makes_nobody_spin(studio: Studio) -> None:
    """An item that was done and is wanted again must be parked like any other."""
    source = {"kind": ItemKind.FETCH_PAYMENT, "connection_id": studio.stripe.id, "reason": None, "reason_detail": {}}
    now = studio.runtime.now()
    async with studio.wiring.db.tenant(studio.tenant_id, write=True) as session:
        session.add(
            SyncItem(id=uuid4(), source_id="pi_1", state=ItemState.DONE, created_at=now, changed_at=now, **source)
        )
    async with studio.wiring.db.system(write=True) as session:
        (await session.merge(studio.stripe)).status = ConnectionStatus.NEEDS_RECONNECT
        session.add(
            StripeEvent(
                id=uuid4(), scope="platform", event_id="evt_1", account=studio.stripe.external_id,
                type="payment_intent.succeeded", is_live=False, stripe_created_at=now, received_at=now,
                payload=b'{"data": {"object": {"id": "pi_1"}}}', state=EventState.STORED,
            )
        )  # fmt: skip
    assert [await studio.worker.step() for _ in range(4)][2:] == [0, 0]
    [item] = [item for item in await studio.rows(SyncItem) if item.kind is ItemKind.FETCH_PAYMENT]
    assert (item.state, item.due_at, item.reason) == (ItemState.BLOCKED, None, Reason.RECONNECT_STRIPE)


@ON_SQLITE
async def test_a_retry_while_the_worker_holds_the_payment_changes_nothing(studio: Studio) -> None:
    await studio.map(PORTRAIT.key, "Session income")
    payment_id = await studio.pay(sale())
    lane, item_id, call = await fly(studio, payment_id, "invoice")
    assert [await studio.retry(payment_id) for _ in range(3)] == [False] * 3
    step = await engine.advance(lane, item_id, await lane.call(call))
    assert step is not None
    assert not await studio.retry(payment_id)
    assert await engine.advance(lane, item_id, await lane.call(step)) is None
    assert await studio.stands(payment_id) == SYNCED
    assert not await studio.retry(payment_id)


async def test_five_clicks_at_once_in_two_tabs_are_one_retry(studio: Studio) -> None:
    """Ten requests at the same moment: one changes something, the others find the state as it is by then."""
    payment_id = await studio.pay(sale())
    await studio.quiet()
    assert await studio.stands(payment_id) == (PaymentState.NEEDS_ATTENTION, Reason.SERVICE_NOT_MAPPED)
    await studio.map(PORTRAIT.key, "Session income")
    clicks = await asyncio.gather(*(studio.retry(payment_id) for _ in range(10)))
    assert sorted(clicks) == [False] * 9 + [True]
    asked = [row for row in await studio.rows(Attempt) if row.outcome is AttemptOutcome.RETRY_ASKED]
    assert len(asked) == 1
    # And while the worker posts it, still nothing.
    await asyncio.gather(studio.worker.step(), *(studio.retry(payment_id) for _ in range(5)))
    await studio.quiet()
    assert await studio.stands(payment_id) == SYNCED
    assert not any(await asyncio.gather(*(studio.retry(payment_id) for _ in range(10))))
    await studio.quiet()
    assert studio.ledger.books.trial_balance()["Stripe clearing"] == 43300


async def _claimed(studio: Studio) -> BooksLane:
    [claim] = [c for c in await lanes.claim_lanes(studio.wiring.db, 8) if c.connection_id == studio.books.id]
    async with studio.wiring.db.tenant(studio.tenant_id) as session:
        return BooksLane(studio.wiring, claim, *await load_lane(session, claim.connection_id))


async def _turns(task: "asyncio.Task[object]") -> None:
    """Let a task run until it waits for the database's lock."""
    for _ in range(200):
        await asyncio.sleep(0)
    await asyncio.wait({task}, timeout=0.3)


@ON_POSTGRES
async def test_a_payment_that_is_left_out_this_very_moment_is_not_posted(studio: Studio) -> None:
    await studio.map(PORTRAIT.key, "Session income")
    payment_id = await studio.pay(sale())
    lane = await _claimed(studio)
    [item] = [item for item in await studio.rows(SyncItem) if item.payment_id == payment_id]
    async with studio.wiring.db.tenant(studio.tenant_id, write=True) as session:
        now = await studio.wiring.db.now(session)
        assert await ignore_payment(session, payment_id, why="Cash", by_user_id=studio.person.user_id, now=now)
        await session.flush()
        worker = asyncio.create_task(engine.advance(lane, item.id, None))
        await _turns(worker)
        assert not worker.done()
    assert await worker is None
    assert await studio.stands(payment_id) == (PaymentState.IGNORED, Reason.IGNORED_BY_PERSON)
    assert await studio.rows(Operation) == []


@ON_POSTGRES
async def test_a_settled_amount_that_comes_this_very_moment_is_not_missed(studio: Studio) -> None:
    await studio.map(PORTRAIT.key, "Session income")
    payment_id = await studio.pay(sale(amount=50000, currency="eur"))
    lane = await _claimed(studio)
    [item] = [item for item in await studio.rows(SyncItem) if item.payment_id == payment_id]
    settled = sale(amount=50000, currency="eur", movement=movement(1, 54125, 2952))
    async with studio.wiring.db.tenant(studio.tenant_id, write=True) as session:
        now = await studio.wiring.db.now(session)
        await take_facts(session, tenant_id=studio.tenant_id, connection_id=studio.stripe.id, facts=settled, now=now)
        await session.flush()
        worker = asyncio.create_task(engine.advance(lane, item.id, None))
        await _turns(worker)
    assert await worker is not None
    await lanes.release(studio.wiring.db, lane.claim, next_call_at=None)
    assert (await studio.payment(payment_id)).reason is None
