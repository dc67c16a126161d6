"""Key rotation and missing keys, on both databases (K4, K5)."""

import asyncio

from core.connections.secrets import SECRET_KINDS, seal, seal_verifier, unseal, unseal_verifier
from core.crypto import KeyRing, hash_token, key_id_of
from core.db.models import Connection, ConnectionStatus, OAuthState
from core.identity.readiness import is_ready
from core.identity.rotate import Rotation, find_missing_keys, rotate_keys
from core.wiring import Wiring
from tests.factories import Person, make_connection, make_person
from tests.runtime import VirtualRuntime

OLD = KeyRing({"k1": bytes(32)}, VirtualRuntime(seed=2))
BOTH = KeyRing({"k2": bytes(range(32)), "k1": bytes(32)}, VirtualRuntime(seed=3))
NEW = KeyRing({"k2": bytes(range(32))}, VirtualRuntime(seed=4))


async def _connections(wiring: Wiring, count: int) -> list[Connection]:
    made = []
    for number in range(count):
        person = await make_person(wiring)
        row = await make_connection(wiring, person.tenant_id)
        async with wiring.db.tenant(person.tenant_id, write=True) as session:
            row = await session.get_one(Connection, row.id)
            row.access_token = seal(OLD, row, "access_token", f"access {number}")
            row.refresh_token = seal(OLD, row, "refresh_token", f"refresh {number}")
        made.append(row)
    return made


async def _consent(wiring: Wiring, person: Person) -> str:
    state_hash = hash_token("state")
    async with wiring.db.open_session(write=True) as session:
        session.add(
            OAuthState(
                state_hash=state_hash,
                session_hash=person.session_hash,
                user_id=person.user_id,
                tenant_id=person.tenant_id,
                provider="xero",
                verifier=seal_verifier(
                    OLD, tenant_id=person.tenant_id, user_id=person.user_id, provider="xero", plain="verifier"
                ),
                created_at=wiring.runtime.now(),
            )
        )
    return state_hash


async def _read(wiring: Wiring, row: Connection) -> Connection:
    async with wiring.db.tenant(row.tenant_id) as session:
        return await session.get_one(Connection, row.id)


async def test_everything_ends_up_under_the_first_key(any_wiring: Wiring) -> None:
    rows = await _connections(any_wiring, 7)
    person = await make_person(any_wiring)
    state_hash = await _consent(any_wiring, person)
    assert await rotate_keys(any_wiring.db, BOTH, batch=3) == Rotation(rotated=15)
    for number, row in enumerate(rows):
        found = await _read(any_wiring, row)
        assert unseal(NEW, found, "access_token") == f"access {number}"
        assert unseal(NEW, found, "refresh_token") == f"refresh {number}"
        assert found.webhook_secret is None
    async with any_wiring.db.open_session() as session:
        assert unseal_verifier(NEW, await session.get_one(OAuthState, state_hash)) == "verifier"


async def test_a_second_run_has_nothing_to_do(any_wiring: Wiring) -> None:
    await _connections(any_wiring, 3)
    await rotate_keys(any_wiring.db, BOTH)
    again = await rotate_keys(any_wiring.db, BOTH)
    assert again == Rotation(current=6)
    assert again.exit_code == 0


async def test_a_run_that_was_killed_half_way_goes_on(any_wiring: Wiring) -> None:
    rows = await _connections(any_wiring, 5)
    run = asyncio.create_task(rotate_keys(any_wiring.db, BOTH, batch=1))
    while not run.done() and key_id_of((await _read(any_wiring, rows[0])).access_token or b"") == "k1":
        pass  # reading gives the run its turns
    run.cancel()
    await asyncio.gather(run, return_exceptions=True)
    await rotate_keys(any_wiring.db, BOTH, batch=2)
    for row in rows:
        found = await _read(any_wiring, row)
        assert {key_id_of(getattr(found, kind)) for kind in SECRET_KINDS if getattr(found, kind)} == {"k2"}


async def test_a_token_that_was_refreshed_meanwhile_wins(any_wiring: Wiring) -> None:
    """Refreshes run beside the rotation; whatever each of them stored last is what stays."""
    rows = await _connections(any_wiring, 6)

    async def refresh(row: Connection, number: int) -> None:
        async with any_wiring.db.tenant(row.tenant_id, write=True) as session:
            found = await session.get_one(Connection, row.id, with_for_update=True)
            found.access_token = seal(BOTH, found, "access_token", f"newer {number}")

    refreshes = [refresh(row, number) for number, row in enumerate(rows)]
    done, *_ = await asyncio.gather(any_wiring.db.unit(lambda: rotate_keys(any_wiring.db, BOTH, batch=2)), *refreshes)
    assert done.unreadable == 0
    for number, row in enumerate(rows):
        assert unseal(BOTH, await _read(any_wiring, row), "access_token") == f"newer {number}"


async def test_what_nobody_can_open_is_counted_and_left_alone(any_wiring: Wiring) -> None:
    rows = await _connections(any_wiring, 3)
    before = (await _read(any_wiring, rows[0])).access_token
    done = await rotate_keys(any_wiring.db, NEW)
    assert done == Rotation(unreadable=6)
    assert done.exit_code == 1
    assert (await _read(any_wiring, rows[0])).access_token == before


async def test_readiness_knows_which_keys_are_missing(any_wiring: Wiring) -> None:
    assert await is_ready(any_wiring.db, NEW)
    rows = await _connections(any_wiring, 2)
    assert await find_missing_keys(any_wiring.db, NEW) == {"k1"}
    assert await find_missing_keys(any_wiring.db, BOTH) == set()
    assert not await is_ready(any_wiring.db, NEW)
    assert await is_ready(any_wiring.db, BOTH)
    for row in rows:
        async with any_wiring.db.tenant(row.tenant_id, write=True) as session:
            (await session.get_one(Connection, row.id)).status = ConnectionStatus.CLOSED
    assert await is_ready(any_wiring.db, NEW), "a closed connection needs no key"
