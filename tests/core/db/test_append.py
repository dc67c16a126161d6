"""The inbox's own way to the database: all or nothing, once each, and alive again after its connection was cut."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from sqlalchemy import func, select, text

from core.db.append import Appender
from core.db.models import Service, StripeEvent
from core.db.session import Database
from core.intake.webhook import ROW, Inbox, StorageError, row_of
from core.wiring import Wiring


def event_row(wiring: Wiring, number: int, **changes: Any) -> dict[str, Any]:
    event = {
        "id": f"evt_{number}",
        "type": "charge.succeeded",
        "created": 1_780_000_000,
        "account": "acct_1",
        "data": {"object": {"id": f"ch_{number}"}},
    }
    row = row_of(event, b'{"x": 1}', scope="platform", expects_live=False, now=wiring.runtime.now())
    return {**row, **changes}


@asynccontextmanager
async def open_inbox(wiring: Wiring) -> AsyncIterator[Inbox]:
    inbox = Inbox(wiring)
    writer = asyncio.create_task(inbox.run())
    yield inbox
    writer.cancel()
    with suppress(asyncio.CancelledError):
        await writer


async def stored(db: Database) -> int:
    async with db.open_session() as session:
        found: int = (await session.execute(select(func.count()).select_from(StripeEvent))).scalar_one()
        return found


async def test_rows_are_stored_as_the_orm_reads_them(any_wiring: Wiring) -> None:
    appender, row = Appender(any_wiring.db, StripeEvent, ROW), event_row(any_wiring, 1)
    await appender.append([row])
    await appender.aclose()
    async with any_wiring.db.open_session() as session:
        found = (await session.execute(select(StripeEvent))).scalar_one()
    assert {name: getattr(found, name) for name in ROW} == row


async def test_what_is_there_already_is_left_alone(any_wiring: Wiring) -> None:
    appender = Appender(any_wiring.db, StripeEvent, ROW)
    await appender.append([event_row(any_wiring, number) for number in (1, 2, 2)])
    await appender.append([event_row(any_wiring, number) for number in (2, 3)])
    await appender.aclose()
    assert await stored(any_wiring.db) == 3


async def test_one_bad_row_keeps_the_others_out(any_wiring: Wiring) -> None:
    appender, bad = Appender(any_wiring.db, StripeEvent, ROW), event_row(any_wiring, 2, type=None)
    with pytest.raises(Exception, match=r"(?i)null"):
        await appender.append([event_row(any_wiring, 1), bad, event_row(any_wiring, 3)])
    assert await stored(any_wiring.db) == 0
    await appender.append([event_row(any_wiring, 1)])
    await appender.aclose()
    assert await stored(any_wiring.db) == 1


async def test_a_table_of_tenants_is_refused(wiring: Wiring) -> None:
    with pytest.raises(TypeError, match="Service"):
        Appender(wiring.db, Service, ["name"])


async def test_one_bad_event_spoils_no_other_of_its_group(any_wiring: Wiring) -> None:
    rows = [event_row(any_wiring, number, **({"type": None} if number == 2 else {})) for number in range(5)]
    async with open_inbox(any_wiring) as inbox:
        answers = await asyncio.gather(*(inbox.store(row) for row in rows), return_exceptions=True)
    assert [type(answer) for answer in answers] == [type(None)] * 2 + [StorageError] + [type(None)] * 2
    assert await stored(any_wiring.db) == 4


@pytest.mark.postgres
async def test_a_connection_that_was_cut_while_idle_costs_no_event(postgres_wiring: Wiring) -> None:
    async with open_inbox(postgres_wiring) as inbox:
        await inbox.store(event_row(postgres_wiring, 1))
        async with postgres_wiring.db.open_session() as session:
            others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
            await session.execute(text(f"{others} AND pid <> pg_backend_pid()"))
        await inbox.store(event_row(postgres_wiring, 2))
    assert await stored(postgres_wiring.db) == 2
