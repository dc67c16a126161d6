"""Poison (F33): what breaks us is set apart with an incident, the others flow on, and one command takes it up again."""

from datetime import timedelta
from uuid import uuid4

from sqlalchemy import select, update

from core.db.models import EventState, ItemState, Payment, PaymentState, StripeEvent, SyncItem
from core.intake.webhook import PLATFORM
from core.reasons import Reason
from core.sync.inbox import MAX_TRIES, route_events
from core.sync.reopen import reopen_after_release
from core.wiring import Wiring
from tests.core.sync.conftest import PORTRAIT, Studio, movement, sale
from tests.core.sync.limits import ON_SQLITE, SYNCED
from tests.factories import make_connection, make_person

POISON = {
    "no text": b"\xff",
    "no event": b"{}",
    "a list": b"[]",
    "no object": b'{"data": []}',
    "nested beyond sense": b'{"data":' * 50_000,
    "not a number": b'{"data": {"object": {"id": NaN}}}',
}
ODD = {
    "half an emoji": rb'{"data": {"object": {"id": "pi_7", "description": "\ud83d"}}}',
    "a NUL": rb'{"data": {"object": {"id": "pi_7", "description": "a\u0000b"}}}',
    "beyond any double": b'{"data": {"object": {"id": "pi_7", "amount": 1e400}}}',
    "absurdly long": b'{"data": {"object": {"id": "pi_7", "description": "' + b"x" * 900_000 + b'"}}}',
    "nested beyond any reader": b'{"data": {"object": {"a": ' + b"[" * 50_000 + b"]" * 50_000 + b', "id": "pi_7"}}}',
    "a number beyond any reader": b'{"data": {"object": {"id": "pi_7", "amount": ' + b"9" * 5_000 + b"}}}",
    "an id of another type": b'{"data": {"object": {"id": ["pi_7"]}}}',
    "an id with a NUL": rb'{"data": {"object": {"id": "pi_\u0000"}}}',
    "an object that is none": b'{"data": {"object": 7}}',
}


async def store(wiring: Wiring, account: str, payloads: dict[str, bytes]) -> None:
    now = wiring.runtime.now()
    async with wiring.db.open_session(write=True) as session:
        session.add_all(
            StripeEvent(
                id=uuid4(), scope=PLATFORM, event_id=name, account=account, is_live=False, received_at=now,
                type="payment_intent.succeeded", stripe_created_at=now, payload=payload, state=EventState.STORED,
            )
            for name, payload in payloads.items()
        )  # fmt: skip


async def events(wiring: Wiring) -> dict[str, StripeEvent]:
    async with wiring.db.open_session() as session:
        return {row.event_id: row for row in (await session.execute(select(StripeEvent))).scalars()}


async def let_time_pass(wiring: Wiring) -> None:
    """Make due what waits for its next try: PostgreSQL's own clock cannot be moved."""
    async with wiring.db.open_session(write=True) as session:
        now = await wiring.db.now(session)
        waiting = update(StripeEvent).where(StripeEvent.state == EventState.RETRY)
        await session.execute(waiting.values(due_at=now).execution_options(synchronize_session=False))


async def account_of_a_tenant(wiring: Wiring) -> str:
    person = await make_person(wiring)
    return (await make_connection(wiring, person.tenant_id, "stripe")).external_id


async def test_poison_is_tried_five_times_and_set_apart_while_the_others_flow_on(any_wiring: Wiring) -> None:
    account = await account_of_a_tenant(any_wiring)
    await store(any_wiring, account, POISON | ODD | {"good": b'{"data": {"object": {"id": "pi_8"}}}'})
    await route_events(any_wiring.db)
    found = await events(any_wiring)
    assert {name: found[name].state for name in ODD} == dict.fromkeys(ODD, EventState.ROUTED)
    assert found["good"].state is EventState.ROUTED
    waited = timedelta()
    for number in range(1, MAX_TRIES):
        found = await events(any_wiring)
        assert {(found[name].state, found[name].tries) for name in POISON} == {(EventState.RETRY, number)}
        # Before its time, nobody touches it.
        assert await route_events(any_wiring.db) == 0
        async with any_wiring.db.open_session() as session:
            now = await any_wiring.db.now(session)
        waited += min(found[name].due_at - now for name in POISON)  # type: ignore[operator,type-var]
        await let_time_pass(any_wiring)
        assert await route_events(any_wiring.db) == len(POISON)
    assert waited >= timedelta(minutes=10)
    found = await events(any_wiring)
    assert {found[name].state for name in POISON} == {EventState.POISON}
    assert all("incident" in (found[name].error or "") for name in POISON)
    assert {name: found[name].payload for name in POISON} == POISON
    await let_time_pass(any_wiring)
    assert await route_events(any_wiring.db) == 0


@ON_SQLITE
async def test_a_poisonous_payment_stops_alone_and_one_command_takes_it_up_after_the_fix(studio: Studio) -> None:
    await studio.map(PORTRAIT.key, "Session income")
    bad = await studio.pay(sale(1, movement=movement(1, 43300, 1286)))
    await spoil(studio, bad, "z!1")
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
    incident = payment.reason_detail["incident"]
    item = next(item for item in await studio.rows(SyncItem) if item.payment_id == bad)
    assert (item.tries, item.due_at) == (5, None)
    assert studio.ledger.books.trial_balance()["Stripe clearing"] == 43300

    await spoil(studio, bad, "usd")
    assert (await reopen_after_release(studio.wiring.db, incident="00000000")).total == 0
    reopened = await reopen_after_release(studio.wiring.db, incident=incident)
    assert (reopened.items, reopened.events) == (1, 0)
    await studio.quiet()
    assert await studio.stands(bad) == SYNCED
    assert studio.ledger.books.trial_balance()["Stripe clearing"] == 2 * 43300
    assert (await reopen_after_release(studio.wiring.db)).total == 0


@ON_SQLITE
async def test_what_failed_on_its_way_from_stripe_is_taken_up_again_too(studio: Studio) -> None:
    """An item that books nothing has no button anywhere: without the command it would stay for good."""
    payment_id = await studio.pay(sale(1))
    async with studio.wiring.db.tenant(studio.tenant_id, write=True) as session:
        now = studio.runtime.now()
        stuck = SyncItem(
            connection_id=studio.stripe.id, kind="fetch_payment", source_id="pi_9", state=ItemState.NEEDS_ATTENTION,
            reason=Reason.OUR_FAULT, reason_detail={"incident": "1a2b3c4d"}, tries=5, created_at=now, changed_at=now,
        )  # fmt: skip
        session.add(stuck)
    assert (await reopen_after_release(studio.wiring.db, incident="1a2b3c4d")).items == 1
    async with studio.wiring.db.tenant(studio.tenant_id) as session:
        row = await session.get_one(SyncItem, stuck.id)
    assert (row.state, row.tries, row.reason, row.due_at) == (ItemState.PENDING, 0, None, now)
    assert await studio.payment(payment_id)


async def test_poisonous_events_are_routed_after_the_fix(any_wiring: Wiring) -> None:
    account = await account_of_a_tenant(any_wiring)
    await store(any_wiring, account, POISON)
    for _ in range(MAX_TRIES):
        await let_time_pass(any_wiring)
        await route_events(any_wiring.db)
    # What a fixed release can read, this release can read once it is well-formed.
    async with any_wiring.db.open_session(write=True) as session:
        fixed = update(StripeEvent).values(payload=b'{"data": {"object": {"id": "pi_8"}}}')
        await session.execute(fixed.execution_options(synchronize_session=False))
    assert (await reopen_after_release(any_wiring.db)).events == len(POISON)
    assert await route_events(any_wiring.db) == len(POISON)
    assert {row.state for row in (await events(any_wiring)).values()} == {EventState.ROUTED}
    assert {row.error for row in (await events(any_wiring)).values()} == {None}


async def spoil(studio: Studio, payment_id: object, currency: str) -> None:
    async with studio.wiring.db.tenant(studio.tenant_id, write=True) as session:
        one = update(Payment).where(Payment.id == payment_id).values(currency=currency)
        await session.execute(one.execution_options(synchronize_session=False))
