"""Blows to the database rather than to a process: restarted, out of room, locked, or its line cut in a COMMIT."""

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from itertools import cycle
from pathlib import Path

import asyncpg

from tests.cutter import Cut, Cutter
from tests.postgres import Cluster
from tests.small_disk import fill

FULL_S = 4.0
LOCKED_S = 8.0
"""Longer than a writer waits (``busy_timeout``)."""

_CUT_WITHIN_S = 20.0
_COMMITTING = (
    "SELECT pid FROM pg_stat_activity WHERE application_name = 'tieout' AND state <> 'idle' "
    "ORDER BY query LIKE 'COMMIT%' DESC, random() LIMIT 1"
)
_TRIES = 400

Blow = Callable[[], Awaitable[bool]]
"""Strikes once; says whether it hit."""


def full_disk(place: Path) -> Blow:
    """Return a blow that takes up all room for a few seconds (F29)."""

    async def strike() -> bool:
        filler = await asyncio.to_thread(fill, place)
        try:
            await asyncio.sleep(FULL_S)
        finally:
            filler.unlink()
        return True

    return strike


def locked_file(path: Path) -> Blow:
    """Return a blow that holds the lock of a SQLite file for longer than writers wait (F27)."""

    def hold() -> None:
        with closing(sqlite3.connect(path, timeout=30, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            time.sleep(LOCKED_S)
            other.execute("ROLLBACK")

    async def strike() -> bool:
        await asyncio.to_thread(hold)
        return True

    return strike


def restart(cluster: Cluster, mode: str) -> Blow:
    """Return a blow that restarts the server (F30): ``fast`` ends all sessions in order, ``immediate`` is a crash."""

    async def strike() -> bool:
        await cluster.restart(mode)
        return True

    return strike


def ended_session(cluster: Cluster) -> Blow:
    """Return a blow that ends the session of a process on the server, in its COMMIT where one is met (F28)."""

    async def strike() -> bool:
        connection = await asyncpg.connect(cluster.url("postgres"), timeout=5)
        try:
            for _ in range(_TRIES):
                pid = await connection.fetchval(_COMMITTING)
                if pid is not None:
                    return bool(await connection.fetchval("SELECT pg_terminate_backend($1::int)", pid))
                await asyncio.sleep(0.005)
            return False
        finally:
            await connection.close()

    return strike


def cut_line(cutter: Cutter) -> Blow:
    """Return a blow that cuts a line in a COMMIT, before the server hears of it and after in turn (F28)."""
    turns = cycle(Cut)

    async def strike() -> bool:
        try:
            await asyncio.wait_for(cutter.arm(next(turns)), _CUT_WITHIN_S)
        except TimeoutError:
            cutter.disarm()
            return False
        return True

    return strike
