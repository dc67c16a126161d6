"""The engine keeps its promises when tasks are cancelled and when writers meet (trap 4, N3)."""

import asyncio

import pytest
from sqlalchemy import select, text, update

from core.db.models import Tenant
from core.db.session import Database, announce
from core.signals import LIVE
from core.wiring import Wiring
from tests.factories import make_tenant


async def test_a_cancelled_task_never_leaves_a_lock_behind(any_wiring: Wiring) -> None:
    """Cancelled at any moment: while it begins, writes, reads or commits."""
    tenant = await make_tenant(any_wiring)
    db = any_wiring.db

    async def work() -> None:
        for _ in range(3):
            async with db.open_session(write=True) as session:
                await session.execute(update(Tenant).where(Tenant.id == tenant.id).values(name="half-way"))
                await session.execute(select(Tenant))

    for turns in range(0, 120, 3):
        task = asyncio.create_task(work())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        outcome = await asyncio.gather(task, return_exceptions=True)
        async with asyncio.timeout(3), db.open_session(write=True) as session:
            await session.execute(update(Tenant).where(Tenant.id == tenant.id).values(name=f"after {turns}"))
        del outcome


async def test_writers_that_meet_lose_no_update(any_wiring: Wiring) -> None:
    tenant = await make_tenant(any_wiring)
    db = any_wiring.db

    async def add_one() -> None:
        async with db.open_session(write=True) as session:
            row = await session.get_one(Tenant, tenant.id, with_for_update=True)
            row.live_seq += 1

    await asyncio.gather(*(add_one() for _ in range(10)))
    async with db.open_session() as session:
        assert (await session.get_one(Tenant, tenant.id)).live_seq == 10


async def test_an_acknowledged_row_survives_a_power_cut_on_sqlite(wiring: Wiring) -> None:
    async with wiring.db.engine.connect() as connection:
        for pragma, expected in (("synchronous", 2), ("journal_mode", "wal"), ("foreign_keys", 1)):
            assert await connection.scalar(text(f"PRAGMA {pragma}")) == expected


async def test_waits_have_an_end_on_postgres(postgres_wiring: Wiring) -> None:
    async with postgres_wiring.db.engine.connect() as connection:
        for setting in ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout"):
            assert await connection.scalar(text("SELECT current_setting(:name)"), {"name": setting}) != "0"


async def test_a_signal_is_heard_only_after_the_commit(wiring: Wiring) -> None:
    """On SQLite. On PostgreSQL a NOTIFY inside the transaction carries it."""
    database = wiring.db
    async with database.signals.subscribe(LIVE) as heard:
        with pytest.raises(RuntimeError):
            await _announce_and_fail(database)
        assert heard.empty()
        async with database.open_session(write=True) as session:
            announce(session, LIVE, "x")
            assert heard.empty()
        assert heard.get_nowait() == "x"


async def _announce_and_fail(database: Database) -> None:
    async with database.open_session(write=True) as session:
        announce(session, LIVE, "x")
        raise RuntimeError
