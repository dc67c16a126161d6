"""Sessions, on both databases (S1-S5)."""

from datetime import timedelta

import pytest
from sqlalchemy import delete, select

from core.crypto import hash_token
from core.db.models import Membership, UserSession
from core.identity.cleanup import forget_expired
from core.identity.sessions import (
    ABSOLUTE,
    IDLE,
    end_session,
    end_sessions_of,
    find_visit,
    note_password,
    rotate_session,
    start_session,
)
from core.wiring import Wiring
from tests.factories import Person, make_person
from tests.runtime import VirtualRuntime


@pytest.fixture
async def person(any_wiring: Wiring) -> Person:
    return await make_person(any_wiring)


async def _row(wiring: Wiring, token: str) -> UserSession | None:
    async with wiring.db.open_session() as session:
        return await session.get(UserSession, hash_token(token))


async def test_a_token_names_its_person_and_tenant(any_wiring: Wiring, person: Person) -> None:
    visit = await find_visit(any_wiring.db, person.token)
    assert visit is not None
    assert (visit.user_id, visit.tenant_id, visit.user_email) == (person.user_id, person.tenant_id, person.email)
    assert visit.role == "owner"


async def test_the_database_holds_hashes_only(any_wiring: Wiring, person: Person) -> None:
    async with any_wiring.db.open_session() as session:
        rows = (await session.scalars(select(UserSession.token_hash))).all()
    assert rows == [hash_token(person.token)]
    assert await find_visit(any_wiring.db, rows[0]) is None, "a stolen hash is no token"


@pytest.mark.parametrize("token", ["", "x", "é" * 64, "0" * 63, "0" * 64, "0" * 65, "'; --", "\ud800" * 64])
async def test_other_texts_name_nobody(any_wiring: Wiring, person: Person, token: str) -> None:
    assert await find_visit(any_wiring.db, token) is None


async def test_idle_for_twelve_hours_is_over(any_wiring: Wiring, person: Person, runtime: VirtualRuntime) -> None:
    runtime.forward(seconds=IDLE.total_seconds() - 1)
    assert await find_visit(any_wiring.db, person.token)
    runtime.forward(seconds=IDLE.total_seconds())
    assert await find_visit(any_wiring.db, person.token) is None


async def test_seven_days_are_the_end_however_busy(any_wiring: Wiring, person: Person, runtime: VirtualRuntime) -> None:
    for _ in range(int(ABSOLUTE / timedelta(hours=8)) - 1):
        runtime.forward(hours=8)
        assert await find_visit(any_wiring.db, person.token)
    runtime.forward(hours=8)
    assert await find_visit(any_wiring.db, person.token) is None


async def test_last_seen_is_written_every_five_minutes_at_most(
    any_wiring: Wiring, person: Person, runtime: VirtualRuntime
) -> None:
    begun = runtime.now()
    runtime.forward(minutes=4)
    await find_visit(any_wiring.db, person.token)
    row = await _row(any_wiring, person.token)
    assert row is not None
    assert row.last_seen_at == begun
    runtime.forward(minutes=1)
    await find_visit(any_wiring.db, person.token)
    row = await _row(any_wiring, person.token)
    assert row is not None
    assert row.last_seen_at == runtime.now()


async def test_an_ended_session_is_not_revived_by_a_request_still_running(
    any_wiring: Wiring, person: Person, runtime: VirtualRuntime
) -> None:
    """A poll has found its visit and is still at work; meanwhile the person signs out; then the poll goes on (S4)."""
    db = any_wiring.db
    visit = await find_visit(db, person.token)
    assert visit is not None
    async with db.open_session(write=True) as session:
        await end_session(session, visit.session_hash)
    runtime.forward(minutes=6)
    async with db.open_session(write=True) as session:
        await note_password(session, visit.session_hash, runtime.now())
    assert await find_visit(db, person.token) is None
    assert await _row(any_wiring, person.token) is None


async def test_a_removed_member_is_out_with_the_next_request(any_wiring: Wiring, person: Person) -> None:
    async with any_wiring.db.open_session(write=True) as session:
        await session.execute(delete(Membership).where(Membership.user_id == person.user_id))
    assert await find_visit(any_wiring.db, person.token) is None


async def test_a_rotated_session_keeps_its_age_and_loses_its_old_token(
    any_wiring: Wiring, person: Person, runtime: VirtualRuntime
) -> None:
    db, begun = any_wiring.db, runtime.now()
    runtime.forward(hours=1)
    async with db.open_session(write=True) as session:
        fresh = await rotate_session(session, person.session_hash, runtime)
    assert fresh is not None
    assert fresh != person.token
    assert await find_visit(db, person.token) is None
    assert await find_visit(db, fresh)
    row = await _row(any_wiring, fresh)
    assert row is not None
    assert (row.created_at, row.expires_at) == (begun, begun + ABSOLUTE)
    async with db.open_session(write=True) as session:
        assert await rotate_session(session, person.session_hash, runtime) is None


async def test_all_others_can_be_ended(any_wiring: Wiring, person: Person, runtime: VirtualRuntime) -> None:
    db = any_wiring.db
    async with db.open_session(write=True) as session:
        second = await start_session(session, user_id=person.user_id, tenant_id=person.tenant_id, runtime=runtime)
    other_person = await make_person(any_wiring)
    async with db.open_session(write=True) as session:
        await end_sessions_of(session, person.user_id, but=[hash_token(second)])
    assert await find_visit(db, person.token) is None
    assert await find_visit(db, second)
    assert await find_visit(db, other_person.token)
    async with db.open_session(write=True) as session:
        await end_sessions_of(session, person.user_id)
    assert await find_visit(db, second) is None


async def test_the_password_counts_for_ten_minutes(any_wiring: Wiring, person: Person, runtime: VirtualRuntime) -> None:
    visit = await find_visit(any_wiring.db, person.token)
    assert visit is not None
    assert visit.knows_password(runtime.now() + timedelta(minutes=9, seconds=59))
    assert not visit.knows_password(runtime.now() + timedelta(minutes=10))


async def test_expired_rows_are_swept_and_live_ones_stay(
    any_wiring: Wiring, person: Person, runtime: VirtualRuntime
) -> None:
    runtime.forward(hours=13)
    fresh = await make_person(any_wiring)
    await forget_expired(any_wiring.db)
    assert await _row(any_wiring, person.token) is None
    assert await _row(any_wiring, fresh.token) is not None
