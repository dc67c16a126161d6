"""G10: what a backlog costs in calls, and how long it takes by the provider's own clock. The sandbox counts.

Nothing here is timed by the machine: the clock is virtual, and moves only where the engine waits for its pace.
"""

import asyncio
from datetime import timedelta
from pathlib import Path

from sqlalchemy import select

from core.config import load_settings
from core.db.models import Customer, ItemKind, ItemState, Service, SyncItem
from tests.bench.engine_stage import LostItemError, Studio, queue_sales
from tests.bench.figures import Figure, note
from tests.bench.processes import app_environ
from tests.outside import BASE
from tests.play import Play, playing
from web.sandbox.xero.client import XeroControl

_BACKLOG = 1_000
_SINGLY = 20
_XERO_CALLS_PER_MINUTE = 60
_MARGIN = 1.2


def backlog(folder: Path) -> list[Figure]:
    """Post a thousand sales of a known client to Xero, and twenty to QuickBooks one after the other."""
    return [*asyncio.run(_xero(folder)), *asyncio.run(_quickbooks(folder))]


async def _xero(folder: Path) -> list[Figure]:
    settings = load_settings(app_environ(f"sqlite:///{folder / 'xero.db'}", 1))
    async with playing(settings, "xero", folder, country="US") as play:
        studio, control = await _studio(play), XeroControl(BASE, play.http)
        await control.clear_counters(play.company)
        began = play.runtime.now()
        await queue_sales(play.wiring, studio, 1, _BACKLOG)
        await play.quiet()
        taken, counters = play.runtime.now() - began, await control.counters(play.company)
        await _check(play, _BACKLOG + 1)
    calls, fastest = counters["calls"], timedelta(minutes=counters["calls"] / _XERO_CALLS_PER_MINUTE)
    share = calls / _BACKLOG
    return [
        Figure("G10", f"Xero: calls for each of {_BACKLOG} waiting sales", f"{share:.3f}", f"{calls} calls", None,
               "<= 0.08", share <= 0.08),
        Figure("G10", "  time against Xero's own limit", f"{taken.total_seconds():.0f} s",
               f"{fastest.total_seconds():.0f} s for these calls at 60 a minute", taken / fastest, f"<= {_MARGIN}",
               taken <= fastest * _MARGIN),
        note("  slow-downs", str(counters.get("throttled", 0))),
    ]  # fmt: skip


async def _quickbooks(folder: Path) -> list[Figure]:
    settings = load_settings(app_environ(f"sqlite:///{folder / 'quickbooks.db'}", 1))
    async with playing(settings, "quickbooks", folder) as play:
        studio = await _studio(play)
        before = _made(play)
        for number in range(1, _SINGLY + 1):
            await queue_sales(play.wiring, studio, number, 1)
            await play.quiet()
        calls = _made(play) - before
        await _check(play, _SINGLY + 1)
    share = calls / _SINGLY
    what = f"QuickBooks: calls for each of {_SINGLY} sales, one at a time"
    return [Figure("G10", what, f"{share:.2f}", f"{calls} calls", None, "<= 2.1", share <= 2.1)]


async def _studio(play: Play) -> Studio:
    """Return the play's tenant, with a client and a service that the books know by a first sale."""
    key = await play.product("Portrait session", "Session income", tax=None)
    await play.start()
    db, tenant_id = play.wiring.db, play.owner.tenant_id
    client = Customer(key="cus_1", name="Anna Berg", email="anna@example.com", created_at=play.runtime.now())
    async with db.tenant(tenant_id, write=True) as session:
        session.add(client)
        service_id = (await session.execute(select(Service.id).where(Service.key == key))).scalar_one()
    studio = Studio(tenant_id, play.stripe_id, play.books_id, service_id, client.id)
    await queue_sales(play.wiring, studio, 0, 1)
    await play.quiet()
    # What the setting up has cost must not count in the backlog's first minute.
    play.runtime.forward(minutes=2)
    return studio


def _made(play: Play) -> int:
    entries = play.sandbox.log.entries(provider="quickbooks")
    return sum(entry.path.startswith("/v3/company") for entry in entries)


async def _check(play: Play, sales: int) -> None:
    async with play.wiring.db.tenant(play.owner.tenant_id) as session:
        done = select(SyncItem.id).where(SyncItem.kind == ItemKind.SALE, SyncItem.state == ItemState.DONE)
        count = len((await session.execute(done)).all())
    if count != sales:
        raise LostItemError(f"{count} sales of {sales} stand: {(await play.open_items())[:3]}")
