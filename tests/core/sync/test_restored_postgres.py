"""A server restored from an old copy: what was booked since then is found, and nothing is booked twice (F31)."""

import sqlite3
from argparse import Namespace
from collections import Counter
from contextlib import closing
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import make_url

from core.db.models import Operation, OperationState, PaymentState
from core.sync.adopt import list_adopting
from tests.core.sync.conftest import PORTRAIT, Studio, movement, sale
from tests.postgres import Cluster
from web.cli_adopt import act

pytestmark = pytest.mark.postgres
ON_POSTGRES = pytest.mark.parametrize("studio", ["postgres"], indirect=True)


async def _pay(studio: Studio, number: int) -> UUID:
    amount = 10_000 + number
    return await studio.pay(sale(number, amount=amount, movement=movement(number, amount, 300)))


async def _copy(studio: Studio, cluster: Cluster, source: str, target: str) -> None:
    """Make ``target`` what ``source`` is, with nobody connected to either."""
    await studio.wiring.db.engine.dispose()
    connection = await asyncpg.connect(cluster.url("postgres"))
    try:
        await connection.execute(f'DROP DATABASE IF EXISTS "{target}" WITH (FORCE)')
        await connection.execute(f'CREATE DATABASE "{target}" TEMPLATE "{source}"')
    finally:
        await connection.close()


def _standing(studio: Studio) -> Counter[tuple[str, int]]:
    return Counter((row.kind, row.total_minor) for row in studio.ledger.books.documents())


def _forget_keys(studio: Studio) -> None:
    """Nothing but the reference proves anything: the books' memory of keys has run out meanwhile (F9)."""
    with closing(sqlite3.connect(studio.wiring.settings.mock_books_path)) as books, books:
        books.execute("DELETE FROM answer")


@ON_POSTGRES
async def test_what_was_booked_after_the_copy_is_found_and_not_booked_again(studio: Studio, postgres: Cluster) -> None:
    name = make_url(studio.wiring.settings.database_url).database
    assert name is not None
    await studio.map(PORTRAIT.key, "Session income")
    await _pay(studio, 1)
    await studio.quiet()
    await _copy(studio, postgres, name, f"{name}_copy")
    for number in (2, 3, 4):
        await _pay(studio, number)
    await studio.quiet()
    standing = _standing(studio)
    assert standing == Counter({(kind, 10_000 + n): 1 for kind in ("invoice", "payment") for n in (1, 2, 3, 4)})

    await _copy(studio, postgres, f"{name}_copy", name)
    await postgres.drop_database(f"{name}_copy")
    _forget_keys(studio)
    assert await act(studio.wiring, Namespace(act="on", workspace=None, anyway=False)) == 0
    # Stripe tells again what the old copy has never heard of, and something new.
    again = [await _pay(studio, number) for number in (2, 3, 4, 5)]
    await studio.quiet()

    assert {(await studio.payment(one)).state for one in again} == {PaymentState.SYNCED}
    assert _standing(studio) == standing + Counter({("invoice", 10_005): 1, ("payment", 10_005): 1})
    found = [one for one in await studio.rows(Operation) if one.state is OperationState.CONFIRMED and one.sends == 0]
    assert len([one for one in found if one.total_minor in (10_002, 10_003, 10_004)]) == 6, "looked up, never sent"
    assert await act(studio.wiring, Namespace(act="off", workspace=None, anyway=False)) == 0
    assert not any(one.is_on for one in await list_adopting(studio.wiring.db))
