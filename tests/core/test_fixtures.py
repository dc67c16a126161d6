"""The fixtures themselves: if these fail, trust no other test."""

import socket

import pytest
from sqlalchemy import select

from core.db.models import Tenant
from core.db.session import Database
from tests.loopback import LeftTheMachineError
from tests.runtime import START, VirtualRuntime


async def test_each_test_gets_an_empty_database_first(database: Database) -> None:
    await _one_more_tenant(database)


async def test_each_test_gets_an_empty_database_again(database: Database) -> None:
    await _one_more_tenant(database)


async def _one_more_tenant(database: Database) -> None:
    async with database.open_session(write=True) as session:
        assert not (await session.scalars(select(Tenant))).all()
        session.add(Tenant(name="Studio", time_zone="UTC", created_at=START))


def test_no_test_leaves_this_machine() -> None:
    with socket.socket() as probe, pytest.raises(LeftTheMachineError):
        probe.connect(("192.0.2.1", 80))
    with pytest.raises(LeftTheMachineError):
        socket.getaddrinfo("example.com", 443)


async def test_the_virtual_clock_wakes_sleepers_in_order() -> None:
    import asyncio

    runtime = VirtualRuntime(skips=False)
    woken: list[float] = []

    async def sleeper(seconds: float) -> None:
        await runtime.sleep(seconds)
        woken.append(runtime.monotonic())

    async with asyncio.TaskGroup() as group:
        group.create_task(sleeper(20))
        group.create_task(sleeper(5))
        await runtime.advance(seconds=10)
        assert woken == [5]
        await runtime.advance(seconds=10)
    assert woken == [5, 20]
