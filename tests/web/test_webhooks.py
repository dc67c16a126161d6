"""The intake over HTTP: only 200, 400, 413 and 503; acknowledged means stored; nothing is stored from strangers."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote
from uuid import UUID

import asyncpg
import httpx
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as rules
from hypothesis import strategies as st
from sqlalchemy import select

from core.connections.attach import Person, attach
from core.connections.secrets import seal
from core.crypto import hash_token
from core.db.models import Connection, ConnectionMode, ConnectionStatus, EventState, ItemKind, StripeEvent, SyncItem
from core.intake.webhook import Inbox, StorageError, row_of
from core.oauth import Identity
from core.sync.inbox import route_events
from core.wiring import Wiring
from tests.apps import app_over
from tests.factories import make_connection, make_person
from tests.postgres import Cluster
from tests.runtime import START, VirtualRuntime
from tests.stripe_events import encode, event, sign

PATH = "/webhooks/stripe"


@dataclass
class Gate:
    """The intake and what lies behind it."""

    wiring: Wiring
    http: httpx.AsyncClient
    inbox: Inbox

    async def post(self, raw: bytes, signature: str | None, path: str = PATH, **headers: str) -> int:
        signed = {} if signature is None else {"Stripe-Signature": signature}
        answer = await self.http.post(path, content=raw, headers={**signed, **headers})
        assert answer.content == b"" or answer.status_code == 413
        return answer.status_code

    async def send(self, body: dict[str, Any], path: str = PATH, **how: Any) -> int:
        raw = encode(body)
        return await self.post(raw, sign(raw, **how), path)

    async def stored(self) -> list[StripeEvent]:
        async with self.wiring.db.open_session() as session:
            return list((await session.execute(select(StripeEvent).order_by(StripeEvent.received_at))).scalars())


async def _open(wiring: Wiring) -> AsyncIterator[Gate]:
    app = app_over(wiring)
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with app.lifespan(), httpx.AsyncClient(transport=transport, base_url="https://tieout.test") as http:
        yield Gate(wiring, http, app.state.background.inbox)


@pytest.fixture
def runtime() -> VirtualRuntime:
    """A clock that stands still: the listener of PostgreSQL would make the other one run."""
    return VirtualRuntime(skips=False)


@pytest.fixture
async def gate(any_wiring: Wiring) -> AsyncIterator[Gate]:
    async for opened in _open(any_wiring):
        yield opened


@pytest.fixture
async def small_gate(wiring: Wiring) -> AsyncIterator[Gate]:
    """On SQLite alone, where the database has no say."""
    async for opened in _open(wiring):
        yield opened


async def test_an_event_is_stored_as_it_came_and_acknowledged(gate: Gate) -> None:
    raw = encode(event(data={"object": {"id": "pi_1", "object": "payment_intent", "nul": "\x00", "rtl": "\u202e"}}))
    assert await gate.post(raw, sign(raw)) == 200
    [row] = await gate.stored()
    assert row.payload == raw
    assert (row.state, row.object_id, row.scope) == (EventState.STORED, "pi_1", "platform")


async def test_an_event_that_is_nested_beyond_any_reader_is_stored_as_it_came_and_routed(gate: Gate) -> None:
    """Answered 400, it would come again for three days and then be lost, whatever it tells of (F33)."""
    person = await make_person(gate.wiring)
    row = await make_connection(gate.wiring, person.tenant_id, "stripe")
    raw = encode(event(account=row.external_id, obj={"a": "?", "id": "pi_1", "object": "payment_intent"}))
    raw = raw.replace(b'"?"', b"[" * 20_000 + b"]" * 20_000)
    assert await gate.post(raw, sign(raw)) == 200
    [stored] = await gate.stored()
    assert (stored.payload, stored.object_id) == (raw, "pi_1")
    assert await route_events(gate.wiring.db) == 1
    [stored] = await gate.stored()
    assert (stored.state, stored.error) == (EventState.ROUTED, None)
    async with gate.wiring.db.tenant(person.tenant_id) as session:
        assert "pi_1" in (await session.execute(select(SyncItem.source_id))).scalars().all()


async def test_the_same_event_twenty_times_at_once_is_one_row_and_twenty_yeses(gate: Gate) -> None:
    body = event()
    assert await asyncio.gather(*(gate.send(body) for _ in range(20))) == [200] * 20
    assert await gate.send(body) == 200
    assert len(await gate.stored()) == 1


async def test_a_burst_of_different_events_is_stored_whole(gate: Gate) -> None:
    bodies = [event() for _ in range(200)]
    assert set(await asyncio.gather(*(gate.send(body) for body in bodies))) == {200}
    assert {row.event_id for row in await gate.stored()} == {body["id"] for body in bodies}


async def test_the_other_mode_is_stored_and_ignored(gate: Gate) -> None:
    assert await gate.send(event(livemode=True)) == 200
    assert [row.state for row in await gate.stored()] == [EventState.IGNORED]
    assert await route_events(gate.wiring.db) == 0


async def test_unknown_types_are_kept_and_unknown_accounts_unrouted(gate: Gate) -> None:
    person = await make_person(gate.wiring)
    await make_connection(gate.wiring, person.tenant_id, "stripe", external_id="acct_ours")
    ours = {"account": "acct_ours"}
    for body in (event("payment_intent.teleported", **ours), event("charge.refunded", **ours), event(**ours), event()):
        assert await gate.send(body) == 200
    del (no_account := event())["account"]
    assert await gate.send(no_account) == 200
    assert await route_events(gate.wiring.db) == 5
    states = [row.state for row in await gate.stored()]
    expected = [EventState.KEPT, EventState.ROUTED, EventState.ROUTED, EventState.UNROUTED, EventState.UNROUTED]
    assert sorted(states) == sorted(expected)


async def test_what_came_before_the_account_was_connected_is_looked_at_then(gate: Gate) -> None:
    early, others = event(account="acct_early"), event(account="acct_other")
    assert await gate.send(early) == await gate.send(others) == 200
    await route_events(gate.wiring.db)
    made = await make_person(gate.wiring)
    person = Person(made.tenant_id, made.user_id, made.session_hash)

    def put_secrets(row: Connection) -> None:
        row.access_token = seal(gate.wiring.keys, row, "access_token", "sk_test")

    await attach(
        gate.wiring,
        person,
        kind="stripe",
        mode=ConnectionMode.STRIPE_CONNECT,
        identity=Identity("acct_early", "Early", "US", "usd", True, {}),
        put_secrets=put_secrets,
    )
    await route_events(gate.wiring.db)
    states = {row.account: row.state for row in await gate.stored()}
    assert states == {"acct_early": EventState.ROUTED, "acct_other": EventState.UNROUTED}
    async with gate.wiring.db.tenant(made.tenant_id) as session:
        fetches = select(SyncItem.source_id).where(SyncItem.kind == ItemKind.FETCH_PAYMENT)
        assert (await session.execute(fetches)).scalars().all() == [early["data"]["object"]["id"]]


# A tenant's own endpoint


async def _own_endpoint(gate: Gate, token: str, secret: str) -> UUID:
    person = await make_person(gate.wiring)
    row = await make_connection(
        gate.wiring,
        person.tenant_id,
        "stripe",
        mode=ConnectionMode.RESTRICTED_KEY,
        endpoint_token_hash=hash_token(token),
    )
    async with gate.wiring.db.tenant(person.tenant_id, write=True) as session:
        found = await session.get_one(Connection, row.id)
        found.webhook_secret = seal(gate.wiring.keys, found, "webhook_secret", secret)
    return row.id


async def test_an_own_endpoint_has_its_own_secret_and_its_own_ids(gate: Gate) -> None:
    first, second = await _own_endpoint(gate, "token-a", "whsec_a"), await _own_endpoint(gate, "token-b", "whsec_b")
    body = event()
    del body["account"]
    # The same id through three doors is three events.
    assert await gate.send(body, f"{PATH}/token-a", secrets=("whsec_a",)) == 200
    assert await gate.send(body, f"{PATH}/token-b", secrets=("whsec_b",)) == 200
    assert await gate.send(body) == 200
    assert {row.scope for row in await gate.stored()} == {"platform", str(first), str(second)}
    # No secret opens another door.
    assert await gate.send(event(), f"{PATH}/token-a", secrets=("whsec_b",)) == 400
    assert await gate.send(event(), f"{PATH}/token-a") == 400
    assert await gate.send(event(), secrets=("whsec_a",)) == 400
    assert len(await gate.stored()) == 3


async def test_an_own_endpoint_speaks_for_its_own_account_alone(gate: Gate) -> None:
    """Whoever holds the secret of one endpoint may write any account into the body: it decides nothing."""
    mine = await _own_endpoint(gate, "token-a", "whsec_a")
    victim = await make_person(gate.wiring)
    await make_connection(gate.wiring, victim.tenant_id, "stripe", external_id="acct_victim")
    assert await gate.send(event(account="acct_victim"), f"{PATH}/token-a", secrets=("whsec_a",)) == 200
    await route_events(gate.wiring.db)
    [row] = await gate.stored()
    assert row.connection_id == mine


async def test_an_unknown_address_answers_as_a_wrong_signature_does(gate: Gate) -> None:
    connection_id = await _own_endpoint(gate, "token-a", "whsec_a")
    raw = encode(event())

    async def answer(path: str) -> tuple[int, bytes, dict[str, str]]:
        found = await gate.http.post(path, content=raw, headers={"Stripe-Signature": sign(raw)})
        told = {k: v for k, v in found.headers.items() if k not in ("x-request-id", "request-id", "date")}
        return found.status_code, found.content, told

    assert await answer(f"{PATH}/token-x") == await answer(f"{PATH}/token-a")
    async with gate.wiring.db.system(write=True) as session:
        (await session.get_one(Connection, connection_id)).status = ConnectionStatus.CLOSED
    assert await gate.send(event(), f"{PATH}/token-a", secrets=("whsec_a",)) == 400
    assert await gate.stored() == []


# Hostile input


async def test_a_body_above_the_limit_is_refused_however_it_comes(small_gate: Gate) -> None:
    gate, sent = small_gate, 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(12 * 16):
            sent += 65536
            yield b"x" * 65536

    answer = await gate.http.post(PATH, content=chunks(), headers={"Stripe-Signature": "t=1,v1=x"})
    assert answer.status_code == 413
    raw = encode(event(padding="x" * (1024 * 1024)))
    assert await gate.post(raw, sign(raw)) == 413
    raw = encode(event(padding="x" * (1024 * 1024 - 600)))
    assert await gate.post(raw, sign(raw)) == 200
    assert len(await gate.stored()) == 1


ODD_HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "Stripe-Signature": st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=120),
        "Content-Type": st.sampled_from(
            ["application/json", "multipart/form-data", "multipart/form-data; boundary=x", "text/plain; charset=utf-16"]
        ),
        "Content-Encoding": st.sampled_from(["gzip", "br", "deflate", "identity"]),
        "Expect": st.just("100-continue"),
        "Origin": st.just("https://evil.example"),
        "Sec-Fetch-Site": st.just("cross-site"),
    },
)
TOKENS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40).filter(
    lambda text: "/" not in text and text not in (".", "..")
)


@rules(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(raw=st.binary(max_size=400), headers=ODD_HEADERS, token=st.none() | TOKENS)
async def test_whatever_strangers_send_is_refused_and_leaves_nothing(
    small_gate: Gate, raw: bytes, headers: dict[str, str], token: str | None
) -> None:
    url = PATH if token is None else f"{PATH}/{quote(token, safe='')}"
    named = [(name, value.encode("latin-1")) for name, value in headers.items()]
    request = small_gate.http.build_request("POST", url, content=raw, headers=httpx.Headers(named))
    answer = await small_gate.http.send(request)
    assert answer.status_code in (400, 413)
    assert await small_gate.stored() == []


@rules(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(kind=st.sampled_from(["payment_intent.succeeded", "charge.updated", "invoice_payment.paid", "product.updated"]),
       obj=st.dictionaries(
           st.sampled_from(["id", "payment_intent", "payment", "charge", "product", "object"]),
           st.none() | st.integers() | st.text(max_size=30) | st.lists(st.integers(), max_size=2)
           | st.dictionaries(st.sampled_from(["id", "payment_intent", "charge"]), st.text(max_size=300), max_size=3),
       ))  # fmt: skip
async def test_whatever_a_signer_writes_into_the_object_holds_nobody_up(
    small_gate: Gate, kind: str, obj: dict[str, Any]
) -> None:
    person = await make_person(small_gate.wiring)
    account = f"acct_{person.tenant_id.hex}"
    await make_connection(small_gate.wiring, person.tenant_id, "stripe", external_id=account)
    assert await small_gate.send(event(kind, obj, account=account)) in (200, 400)
    while await route_events(small_gate.wiring.db):
        pass
    assert EventState.STORED not in {row.state for row in await small_gate.stored()}
    async with small_gate.wiring.db.tenant(person.tenant_id) as session:
        for source_id in (await session.execute(select(SyncItem.source_id))).scalars():
            # It becomes part of an address at Stripe, called with the tenant's own token.
            assert source_id.replace("_", "").replace("-", "").isalnum()
            assert source_id.isascii()
            assert len(source_id) <= 255


LONG = "pi_" + "1" * 400


@pytest.mark.parametrize(
    "source_id", [LONG, "pi_\x00", "pi_1/../../accounts", "pi_1?expand[]=x", "pi_1#", "../account", "ch_é", "x" * 300]
)
async def test_an_id_that_is_none_is_never_asked_for_and_the_next_event_flows_on(gate: Gate, source_id: str) -> None:
    person = await make_person(gate.wiring)
    await make_connection(gate.wiring, person.tenant_id, "stripe", external_id="acct_ours")
    for kind in ("payment_intent.succeeded", "product.updated"):
        assert await gate.send(event(kind, {"id": source_id}, account="acct_ours")) == 200
    assert await gate.send(event(account="acct_ours")) == 200
    while await route_events(gate.wiring.db):
        pass
    async with gate.wiring.db.tenant(person.tenant_id) as session:
        assert len((await session.execute(select(SyncItem))).all()) == 1


# The database


async def test_a_database_that_is_locked_is_a_503_and_what_was_acknowledged_is_stored(small_gate: Gate) -> None:
    gate = small_gate
    first = event()
    assert await gate.send(first) == 200
    locked = sqlite3.connect(gate.wiring.settings.database_url.removeprefix("sqlite:///"), isolation_level=None)
    locked.execute("BEGIN IMMEDIATE")
    try:
        bodies = [event() for _ in range(5)]
        assert set(await asyncio.gather(*(gate.send(body) for body in bodies))) == {503}
    finally:
        locked.execute("ROLLBACK")
        locked.close()
    # Stripe tries again, and by itself all is well.
    assert [await gate.send(body) for body in bodies] == [200] * 5
    assert {row.event_id for row in await gate.stored()} == {first["id"], *(body["id"] for body in bodies)}


@pytest.mark.postgres
async def test_a_server_that_is_away_is_a_503_and_what_was_acknowledged_is_stored(
    postgres_wiring: Wiring, postgres: Cluster
) -> None:
    name = postgres_wiring.settings.database_url.rpartition("/")[2]

    async def let_in(allowed: bool) -> None:
        server = await asyncpg.connect(postgres.url("postgres"))
        await server.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS {allowed}')
        if not allowed:
            await server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
        await server.close()

    acknowledged = set()
    async for gate in _open(postgres_wiring):
        await _own_endpoint(gate, "token-a", "whsec_a")
        for allowed in (True, False, True, False, True):
            await let_in(allowed)
            bodies = [event() for _ in range(6)]
            own = event()
            statuses = await asyncio.gather(
                *(gate.send(body) for body in bodies), gate.send(own, f"{PATH}/token-a", secrets=("whsec_a",))
            )
            assert set(statuses) == {200 if allowed else 503}
            if allowed:
                acknowledged |= {body["id"] for body in (*bodies, own)}
        stored = {row.event_id for row in await gate.stored()}
        assert acknowledged <= stored


async def test_one_row_that_the_database_refuses_takes_no_other_down_with_it(any_wiring: Wiring) -> None:
    """A group shares one commit; when that fails, each is tried alone."""
    inbox = Inbox(any_wiring)
    good, bad = [], {"state": EventState.STORED}

    for _ in range(5):
        body = event()
        good.append(row_of(body, encode(body), scope="platform", expects_live=False, now=START))
    broken = {**good[0], **bad, "scope": None, "event_id": "evt_broken"}
    waiting = [asyncio.create_task(inbox.store(row)) for row in [*good[:3], broken, *good[3:]]]
    await asyncio.sleep(0)
    writer = asyncio.create_task(inbox.run())
    results = await asyncio.gather(*waiting, return_exceptions=True)
    writer.cancel()
    await asyncio.gather(writer, return_exceptions=True)
    assert [type(result).__name__ for result in results] == ["NoneType"] * 3 + ["StorageError"] + ["NoneType"] * 2
    async with any_wiring.db.open_session() as session:
        stored = set((await session.execute(select(StripeEvent.event_id))).scalars())
    assert stored == {row["event_id"] for row in good}


async def test_a_full_inbox_says_503_and_never_grows(wiring: Wiring) -> None:

    inbox = Inbox(wiring, queue_limit=2)
    body = event()
    row = row_of(body, encode(body), scope="platform", expects_live=False, now=START)
    waiting = [asyncio.create_task(inbox.store(row)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(StorageError):
        await inbox.store(row)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
