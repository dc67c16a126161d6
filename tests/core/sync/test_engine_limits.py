"""What the engine bears: slow-downs, outages, slow books, floods, poison, a deploy, two workers at once."""

import asyncio
import shutil
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import msgspec
import pytest
from sqlalchemy import select, update

from core.config import Settings
from core.db.listen import listen
from core.db.models import (
    ConnectionStatus,
    EventState,
    ItemKind,
    ItemState,
    Lane,
    Operation,
    Payment,
    PaymentState,
    StripeEvent,
    SyncItem,
)
from core.reasons import Reason
from core.sync import lanes
from core.sync import posting as engine
from core.sync.acts import ignore_payment
from core.sync.inbox import route_events
from core.sync.items import take_facts
from core.sync.lane_work import BooksLane, load_lane
from core.sync.lanes import HEARTBEAT_S
from core.sync.worker import ITEMS_PER_LEASE, SWEEP_S, Worker
from core.wiring import Wiring, open_wiring
from tests.core.sync.conftest import PORTRAIT, Studio, _studio, movement, sale
from tests.core.sync.test_doubts import BASE, Desk, desk, desk_settings, open_desk
from tests.core.sync.test_other_books import fly
from tests.factories import make_connection, make_person
from tests.postgres import Cluster
from tests.runtime import START, VirtualRuntime
from web.sandbox.app import create_sandbox
from web.sandbox.faults import FaultKind, FaultRule
from web.sandbox.quickbooks.client import QuickBooksControl
from web.sandbox.settings import SandboxSettings

__all__ = ["desk"]

ON_SQLITE = pytest.mark.parametrize("studio", ["sqlite"], indirect=True)
ON_POSTGRES = pytest.mark.parametrize("studio", [pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True)
SYNCED = (PaymentState.SYNCED, None)


async def lane_of(studio: Studio) -> Lane:
    return next(lane for lane in await studio.rows(Lane) if lane.connection_id == studio.books.id)


async def calls(desk: Desk) -> int:
    return len([entry for entry in desk.sandbox.log.entries() if entry.provider == "quickbooks"])


# F10: slow-downs

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


# F11: outages


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


# T11: fairness


@ON_SQLITE
async def test_two_thousand_items_of_one_tenant_hold_up_nobody_else(studio: Studio) -> None:
    other = await _studio(studio.wiring)
    await other.map(PORTRAIT.key, "Session income")
    payment_id = await studio.pay(sale())
    now = studio.runtime.now()
    async with studio.wiring.db.tenant(studio.tenant_id, write=True) as session:
        session.add_all(
            SyncItem(
                id=uuid4(), connection_id=studio.books.id, kind=ItemKind.SALE, source_id=f"pi_{number}",
                payment_id=payment_id, state=ItemState.PENDING, due_at=now, reason=None, reason_detail={},
                created_at=now, changed_at=now,
            )
            for number in range(2000)
        )  # fmt: skip
    await studio.worker.step()
    news = await other.pay(sale())
    served = await studio.worker.step()
    assert await other.stands(news) == SYNCED
    assert served <= ITEMS_PER_LEASE + max(studio.ledger.limits.together.values())


# N8: nothing spins, nothing stays


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


@ON_SQLITE
async def test_a_poisonous_payment_stops_alone_after_five_tries_with_an_incident(studio: Studio) -> None:
    await studio.map(PORTRAIT.key, "Session income")
    bad = await studio.pay(sale(1, movement=movement(1, 43300, 1286)))
    async with studio.wiring.db.tenant(studio.tenant_id, write=True) as session:
        await session.execute(
            update(Payment).where(Payment.id == bad).values(currency="z!1").execution_options(synchronize_session=False)
        )
    good = await studio.pay(sale(2))
    started = studio.runtime.now()
    await studio.quiet()
    assert await studio.stands(good) == SYNCED
    assert await studio.stands(bad) == (PaymentState.WAITING, Reason.OUR_FAULT)
    while (await studio.payment(bad)).state is PaymentState.WAITING:
        studio.runtime.forward(minutes=1)
        await studio.quiet()
    assert studio.runtime.now() - started >= timedelta(minutes=10)
    payment = await studio.payment(bad)
    assert (payment.state, payment.reason) == (PaymentState.NEEDS_ATTENTION, Reason.OUR_FAULT)
    assert payment.reason_detail["incident"]
    item = next(item for item in await studio.rows(SyncItem) if item.payment_id == bad)
    assert (item.tries, item.due_at) == (5, None)
    assert studio.ledger.books.trial_balance()["Stripe clearing"] == 43300


async def test_one_event_that_the_database_refuses_is_set_apart_and_the_others_are_routed(any_wiring: Wiring) -> None:
    """Whatever slips through every check: its own fault must not stop the inbox of everybody (F33)."""
    studio = await _tenant_only(any_wiring)
    now = any_wiring.runtime.now()
    async with any_wiring.db.open_session(write=True) as session:
        for number, payload in enumerate([b"\xff", b"{}", b'{"data": {"object": {"id": "pi_7"}}}', b"[]"]):
            session.add(
                StripeEvent(
                    id=uuid4(), scope="platform", event_id=f"evt_{number}", account=studio, is_live=False,
                    type="payment_intent.succeeded", stripe_created_at=now, received_at=now, payload=payload,
                    state=EventState.STORED,
                )
            )  # fmt: skip
    for _ in range(8):
        await route_events(any_wiring.db)
    async with any_wiring.db.open_session() as session:
        rows = (await session.execute(select(StripeEvent).order_by(StripeEvent.event_id))).scalars().all()
    assert [row.state for row in rows] == [EventState.POISON, EventState.POISON, EventState.ROUTED, EventState.POISON]
    assert all(row.error for row in rows if row.state is EventState.POISON)


async def _tenant_only(wiring: Wiring) -> str:
    person = await make_person(wiring)
    return (await make_connection(wiring, person.tenant_id, "stripe")).external_id


# People and the worker at the same moment, on PostgreSQL, where they do not wait for one another by themselves


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


# Running for real: F12, F32, wake-ups, two workers


class Doorman(httpx.AsyncBaseTransport):
    """Carries calls, counts how many of one company are under way, and can hold some back."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self.inner = inner
        self.holds: dict[str, asyncio.Event] = {}
        self.arrived = asyncio.Event()
        self.under_way: Counter[str] = Counter()
        self.most: Counter[str] = Counter()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        company = path.split("/")[3] if path.startswith("/v3/company/") else ""
        self.under_way[company] += 1
        self.most[company] = max(self.most[company], self.under_way[company])
        try:
            for part, gate in self.holds.items():
                if part in path:
                    self.arrived.set()
                    await gate.wait()
            await asyncio.sleep(0)
            return await self.inner.handle_async_request(request)
        finally:
            self.under_way[company] -= 1


class LongSleeper(VirtualRuntime):
    """The waits for sweep and heartbeat end only when told to; the pace of calls goes by itself."""

    async def sleep(self, seconds: float) -> None:
        self.skips = seconds not in (SWEEP_S, HEARTBEAT_S)
        await super().sleep(seconds)


@asynccontextmanager
async def desks(settings: Settings, count: int) -> AsyncIterator[tuple[list[Desk], Doorman]]:
    runtime = LongSleeper()
    sandbox = create_sandbox(SandboxSettings(base_url=BASE), runtime)
    inner = httpx.ASGITransport(app=sandbox.app)
    doorman = Doorman(inner)
    async with (
        open_wiring(desk_settings(settings), runtime=runtime, transport=doorman) as wiring,
        httpx.AsyncClient(transport=inner) as http,
    ):
        control = QuickBooksControl(BASE, http)
        yield [await open_desk(wiring, sandbox, control, f"Studio {n}") for n in range(count)], doorman


async def until(desk: Studio, payment_id: UUID, state: tuple[PaymentState, Reason | None] = SYNCED) -> None:
    async with asyncio.timeout(20):
        while await desk.stands(payment_id) != state:  # noqa: ASYNC110 - what is awaited is a row
            await asyncio.sleep(0)


@asynccontextmanager
async def running(worker: Worker) -> AsyncIterator[asyncio.Event]:
    stop = asyncio.Event()
    task = asyncio.create_task(worker.run(stop))
    try:
        yield stop
    finally:
        stop.set()
        async with asyncio.timeout(20):
            await task


@pytest.fixture
def fresh_settings(settings: Settings, migrated_file: Path) -> Settings:
    shutil.copyfile(migrated_file, settings.database_url.removeprefix("sqlite:///"))
    return settings


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
