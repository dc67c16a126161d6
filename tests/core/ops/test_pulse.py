"""The pulse: who lives, and what all processes together have counted."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select

from core.db.engine import make_engine
from core.db.models import Process, Tally
from core.db.session import Database
from core.errors import NotSentError, OutcomeUnknownError
from core.ops.pulse import DAY_MINUTES, SLOT_MINUTES, WEB, WORKER, Pulse, slot_of
from core.outgoing import Outgoing
from core.tally import Counters, Outcome
from core.wiring import Wiring


async def processes(wiring: Wiring) -> list[Process]:
    async with wiring.db.open_session() as session:
        return list(await session.scalars(select(Process).order_by(Process.role)))


async def counted(wiring: Wiring, minutes: int = SLOT_MINUTES) -> dict[tuple[str, str], int]:
    async with wiring.db.open_session() as session:
        rows = await session.scalars(select(Tally).where(Tally.minutes == minutes))
        return {(row.subject, row.outcome): row.count for row in rows}


async def test_processes_are_known_by_their_beats(any_wiring: Wiring) -> None:
    passed_at = any_wiring.runtime.monotonic() - 7
    await Pulse(any_wiring, WEB).beat()
    worker = Pulse(any_wiring, WORKER, lambda: passed_at)
    await worker.beat()
    await worker.beat()
    web_row, worker_row = await processes(any_wiring)
    assert (web_row.role, web_row.worked_at) == ("web", None)
    assert worker_row.worked_at == worker_row.beat_at - timedelta(seconds=7)


async def test_what_several_processes_counted_is_one_sum(any_wiring: Wiring) -> None:
    other = replace(any_wiring, counters=Counters({"https://api.xero.com": "xero"}))
    any_wiring.counters.event(Outcome.STORED)
    any_wiring.counters.event(Outcome.STORED)
    other.counters.event(Outcome.STORED)
    other.counters.call("https://api.xero.com/Invoices", Outcome.SLOWED)
    pulses = [Pulse(any_wiring, WEB), Pulse(other, WORKER)]
    await asyncio.gather(*(pulse.beat() for pulse in pulses))
    any_wiring.counters.event(Outcome.STORED)
    await asyncio.gather(*(pulse.beat() for pulse in pulses))
    expected = {("intake", "stored"): 4, ("xero", "slowed"): 1}
    assert await counted(any_wiring) == await counted(any_wiring, DAY_MINUTES) == expected


async def test_a_database_that_is_away_costs_a_beat_and_no_count(wiring: Wiring, tmp_path: Path) -> None:
    empty = Database(make_engine(f"sqlite:///{tmp_path / 'empty.db'}"), wiring.runtime, wiring.signals)
    wiring.counters.event(Outcome.STORED)
    await Pulse(replace(wiring, db=empty), WEB).beat()
    await empty.aclose()
    await Pulse(wiring, WEB).beat()
    assert await counted(wiring) == {("intake", "stored"): 1}


async def test_who_ends_in_order_is_not_missed(any_wiring: Wiring) -> None:
    task = asyncio.create_task(Pulse(any_wiring, WEB).run())
    while not await processes(any_wiring):
        pass
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert await processes(any_wiring) == []


async def test_old_rows_are_forgotten(any_wiring: Wiring) -> None:
    now = datetime.now(UTC) if not any_wiring.db.is_sqlite else any_wiring.runtime.now()
    kept, gone = now - timedelta(hours=47), now - timedelta(days=3)
    async with any_wiring.db.open_session(write=True) as session:
        session.add(Process(role=WEB, started_at=gone, beat_at=gone))
        for at in (kept, gone):
            session.add(Tally(minutes=SLOT_MINUTES, slot_at=at, subject="xero", outcome="read", count=1))
        session.add(Tally(minutes=DAY_MINUTES, slot_at=gone, subject="stripe", outcome="read", count=5))
    await Pulse(any_wiring, WEB).beat()
    assert len(await processes(any_wiring)) == 1
    assert await counted(any_wiring) == {("xero", "read"): 1}
    assert await counted(any_wiring, DAY_MINUTES) == {("stripe", "read"): 5}


def test_a_slot_begins_at_a_round_moment() -> None:
    moment = datetime(2026, 3, 2, 9, 14, 59, 999, tzinfo=UTC)
    assert slot_of(moment, 5) == datetime(2026, 3, 2, 9, 10, tzinfo=UTC)
    assert slot_of(moment, DAY_MINUTES) == datetime(2026, 3, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("method", "answer", "outcome"),
    [
        ("GET", 200, "read"),
        ("POST", 200, "written"),
        ("GET", 404, "refused"),
        ("POST", 401, "no_access"),
        ("POST", 429, "slowed"),
        ("GET", 503, "failed"),
        ("POST", httpx.ReadTimeout("late"), "no_answer"),
        ("POST", httpx.ConnectError("gone"), "not_sent"),
    ],
)
async def test_every_call_is_counted_by_how_it_ended(
    wiring: Wiring, method: str, answer: int | Exception, outcome: str
) -> None:
    def answer_it(_request: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer)

    # A sandbox serves all below one address: the longest one that fits says whose call it was.
    bases = {"https://sandbox.test": "stripe", "https://sandbox.test/qbo": "quickbooks"}
    counters = Counters(bases)
    outgoing = Outgoing(bases, transport=httpx.MockTransport(answer_it), counters=counters)
    for url in ("https://sandbox.test/qbo/v3", "https://sandbox.test/v1"):
        with suppress(NotSentError, OutcomeUnknownError):
            await outgoing.send(method, url)
    await outgoing.aclose()
    with counters.taken() as found:
        assert found == {("stripe", outcome): 1, ("quickbooks", outcome): 1}
