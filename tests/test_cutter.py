"""A line that can be cut: it hands everything on, and cuts the COMMIT that it was told to, on either side of it."""

import asyncpg
import pytest

from tests.cutter import Cut, Cutter, running_cutter
from tests.postgres import Cluster

pytestmark = pytest.mark.postgres


async def _connect(cutter: Cutter, name: str) -> asyncpg.Connection:
    return await asyncpg.connect(f"postgresql://postgres@127.0.0.1:{cutter.port}/{name}", timeout=5)


async def _add(connection: asyncpg.Connection) -> None:
    async with connection.transaction():
        await connection.execute("INSERT INTO kept VALUES (1)")


@pytest.mark.parametrize(("where", "stored"), [(Cut.BEFORE, 1), (Cut.AFTER, 2)])
async def test_the_second_commit_is_cut(postgres: Cluster, where: Cut, stored: int) -> None:
    name = await postgres.new_database()
    async with running_cutter(postgres.port) as cutter:
        connection = await _connect(cutter, name)
        await connection.execute("CREATE TABLE kept (one int)")
        cut = cutter.arm(where, after=1)
        await _add(connection)
        assert not cut.done()
        with pytest.raises((asyncpg.ConnectionDoesNotExistError, ConnectionError)):
            await _add(connection)
        assert cut.done()
        connection = await _connect(cutter, name)
        assert await connection.fetchval("SELECT count(*) FROM kept") == stored
        await _add(connection)
        await connection.close()
        assert (cutter.commits, cutter.cuts) == (3, 1)
    await postgres.drop_database(name)
