"""Which errors say that the database is away, and which that it refuses what it was given."""

import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.db.engine import make_engine
from core.db.session import is_away
from core.wiring import Wiring
from tests.e2e.processes import free_ports

Deed = Callable[[AsyncSession], Awaitable[object]]


def _raised(state: str) -> Deed:
    block = f"DO $$ BEGIN RAISE EXCEPTION 'of the test' USING ERRCODE = '{state}'; END $$"
    return lambda session: session.execute(text(block))


async def _end_own_session(session: AsyncSession) -> None:
    await session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))


async def _error_of(wiring: Wiring, deed: Deed) -> Exception:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - any of them is what is asked about
        async with wiring.db.open_session(write=True) as session:
            await deed(session)
    return caught.value


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("deed", "is_it"),
    [
        pytest.param(_end_own_session, True, id="session ended"),
        pytest.param(_raised("53100"), True, id="disk full"),
        pytest.param(_raised("57P03"), True, id="starting up"),
        pytest.param(_raised("40P01"), True, id="deadlock"),
        pytest.param(_raised("22001"), False, id="value too long"),
        pytest.param(_raised("23505"), False, id="there already"),
        pytest.param(lambda s: s.execute(text("SELECT nothing FROM nowhere")), False, id="no such table"),
        pytest.param(lambda s: s.execute(text("SELECT :a + 1"), {"a": "one"}), False, id="no number"),
    ],
)
async def test_postgres(postgres_wiring: Wiring, deed: Deed, is_it: bool) -> None:
    assert is_away(await _error_of(postgres_wiring, deed)) is is_it


async def test_a_server_that_is_not_there() -> None:
    engine = make_engine(f"postgresql://postgres@127.0.0.1:{free_ports(1)[0]}/nothing")
    with pytest.raises(OSError) as caught:  # noqa: PT011 - which it is differs from machine to machine
        await engine.connect()
    assert is_away(caught.value)


async def test_a_locked_file_is_away_and_a_wrong_statement_is_not(wiring: Wiring) -> None:
    path = wiring.settings.database_url.removeprefix("sqlite:///")
    async with wiring.db.engine.begin() as connection:
        await connection.execute(text("PRAGMA busy_timeout=10"))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert is_away(await _error_of(wiring, lambda session: session.execute(text("SELECT 1"))))
    wrong = await _error_of(wiring, lambda session: session.execute(text("SELECT nothing FROM nowhere")))
    assert not is_away(wrong)


async def test_a_full_file_is_away(wiring: Wiring) -> None:
    async def fill(session: AsyncSession) -> None:
        pages = (await session.execute(text("PRAGMA page_count"))).scalar_one()
        await session.execute(text(f"PRAGMA max_page_count={pages}"))
        await session.execute(text("CREATE TABLE filler AS SELECT zeroblob(1000000) AS room"))

    assert is_away(await _error_of(wiring, fill))


def test_an_error_of_ours_is_not() -> None:
    assert not is_away(ValueError("of ours"))
