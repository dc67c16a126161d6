"""One run: an installation on one database, clients who pay, processes that die, and the reckoning at the end."""

import asyncio
import base64
import os
import secrets
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
import httpx
import msgspec

from core.clock import SystemRuntime
from core.config import Settings
from core.db.migrate import upgrade
from core.wiring import Wiring, open_wiring
from tests.cutter import running_cutter
from tests.e2e.processes import environment, free_ports
from tests.kills import blows
from tests.kills.blows import Blow
from tests.kills.checker import Findings, check, open_work
from tests.kills.fleet import ROOT, Fleet, Place, running_fleet
from tests.kills.killer import Killer, Tally
from tests.kills.record import Record
from tests.kills.relay import Relay, running_relay
from tests.kills.stillness import Stillness, while_it_is_away
from tests.kills.town import Town
from tests.postgres import Cluster
from tests.small_disk import small_disk
from web.demo.run import demo_settings
from web.sandbox.faults import FaultKind, FaultRule

_TOLD = r"^(?!payment_intent\.succeeded|charge\.updated|refund\.)"
"""The sandbox keeps other events to itself: these are the fewest that tell of everything."""

_TICK_S = 0.2
_LOOK_S = 1.0
_TELL_S = 30.0
_QUIET_WITHIN_S = 1800.0
_SMALL_MB, _MB_EACH = 64, 0.06
"""The disk that is filled on purpose has room for this, and for this much more of each payment."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Order:
    """What a run is to be. ``shops``: how many keep practice books, QuickBooks, Xero.

    ``blow_after``: the database itself is struck after so many kills each; 0: never.
    """

    database: str
    kills: int
    payments: int
    every_s: float
    shops: tuple[int, int, int]
    seed: int = 1
    blow_after: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it."""

    order: Order
    tally: Tally
    found: Findings
    took_s: float
    complaints: list[str]

    @property
    def faults(self) -> list[str]:
        """Everything that must not be."""
        return [*self.found.faults, *self.tally.odd, *self.complaints]


@dataclass(frozen=True, slots=True)
class _Standing:
    """Everything that a run needs to be there."""

    town: Town
    fleet: Fleet
    relay: Relay
    blows: dict[str, Blow]
    commits: Callable[[], int]
    """How many COMMITs came by on the line that is cut now and then."""


async def run(
    order: Order, folder: Path, cluster: Cluster | None, say: Say, *, record: Record, stop: asyncio.Event
) -> Outcome:
    """Do one run in ``folder``; ``cluster`` is the server for a run on PostgreSQL.

    Once ``stop`` is set nothing more is paid or killed; what was done until then is reckoned.
    """
    began = time.monotonic()
    async with _standing(order, folder, cluster) as there:
        town, relay, db = there.town, there.relay, there.town.wiring.db
        await town.open(dict(zip(("xero", "quickbooks", "mock"), reversed(order.shops), strict=True)))
        say(f"{order.database}: {len(town.shops)} tenants with books are there after {time.monotonic() - began:.0f} s")
        stillness = Stillness(db)
        killer = Killer(
            there.fleet, stillness, record, blows=there.blows, blow_after=order.blow_after,
            every_s=order.every_s, seed=order.seed,
        )  # fmt: skip
        beside = [
            asyncio.create_task(stillness.run()),
            asyncio.create_task(_tell(order, town, relay, killer.tally, say, record)),
        ]
        async with asyncio.TaskGroup() as both:
            both.create_task(_trade(order, town, stop))
            both.create_task(killer.run(order.kills, stop))
        say(f"{order.database}: nothing dies any more after {time.monotonic() - began:.0f} s")
        await _heal(town, relay)
        say(f"{order.database}: quiet after {time.monotonic() - began:.0f} s; comparing")
        found = await check(town, relay.acked)
        for task in beside:
            task.cancel()
        complaints = await _end_all(there.fleet)
        outcome = Outcome(order, killer.tally, found, time.monotonic() - began, complaints)
        record.write("reckoned", **_facts(outcome), answers=relay.answers, commits=there.commits())
        return outcome


def _facts(outcome: Outcome) -> dict[str, object]:
    """Return what the record keeps of the whole run."""
    tally, found = outcome.tally, outcome.found
    kept = ("payments", "documents", "twice", "lost", "cents", "acked", "not_stored", "stuck", "overlaps")
    return {
        **{name: getattr(found, name) for name in kept},
        "calls": found.calls.total(),
        "refused": found.refused_for_pace.total(),
        "kills": tally.kills,
        "blows": tally.blows,
        "at_once": tally.at_once,
        "still_s": [round(one, 1) for one in tally.still_s],
        "started_s": round(max(tally.started_s, default=0), 1),
        "ended": tally.ended,
        "ended_s": [round(one, 1) for one in tally.ended_s],
        "took_s": round(outcome.took_s),
        "faults": outcome.faults[:40],
    }


@asynccontextmanager
async def _standing(order: Order, folder: Path, cluster: Cluster | None) -> AsyncIterator[_Standing]:
    """Start the outside world, the relay and the processes of the installation, and open their database."""
    outside, relay_port, *ports = free_ports(2 + (2 if cluster else 1))
    async with AsyncExitStack() as stack:
        url, strikes = await _database(stack, order, folder, cluster)
        settings = _settings(url, outside, folder, order.database)
        places = _places(settings, ports, workers=4 if cluster else 0)
        cutter = None
        if cluster is not None:
            cutter = await stack.enter_async_context(running_cutter(cluster.port))
            # One of the workers has its lines cut: all traffic of all of them would cost the machine too much.
            places[-1].env["DATABASE_URL"] = url.replace(f":{cluster.port}/", f":{cutter.port}/")
            strikes["COMMIT cut"] = blows.cut_line(cutter)
        await _start_outside(stack, folder, outside, relay_port)
        fleet = await stack.enter_async_context(running_fleet(folder, places))
        relay = await stack.enter_async_context(
            running_relay(relay_port, lambda: [place.port for place in fleet.webs if place.port])
        )
        wiring: Wiring = await stack.enter_async_context(open_wiring(settings))
        http = await stack.enter_async_context(
            httpx.AsyncClient(timeout=120, limits=httpx.Limits(max_keepalive_connections=0))
        )
        town = Town(wiring, http, f"http://127.0.0.1:{outside}", seed=order.seed)
        await town.stripe.set_knobs(drop=_TOLD)
        for provider in ("quickbooks", "xero"):
            slow = FaultRule(kind=FaultKind.DELAY, provider=provider, probability=0.2, delay_s=0.3, count=None)
            await town.stripe.add_fault(slow)
        yield _Standing(town, fleet, relay, strikes, lambda: cutter.commits if cutter else 0)


async def _database(
    stack: AsyncExitStack, order: Order, folder: Path, cluster: Cluster | None
) -> tuple[str, dict[str, Blow]]:
    """Make the database, on a small disk of its own if blows are wanted; return its address and what can strike it."""
    small = (cluster.socket_dir if cluster else folder) / "small"
    size = _SMALL_MB + int(_MB_EACH * order.payments)
    is_small = bool(order.blow_after) and stack.enter_context(small_disk(small, size))
    strikes: dict[str, Blow] = {"disk full": blows.full_disk(small)} if is_small else {}
    if cluster is None:
        path = (small if is_small else folder) / "tieout.db"
        await asyncio.to_thread(upgrade, f"sqlite:///{path}")
        return f"sqlite:///{path}", {"file locked": blows.locked_file(path), **strikes}
    name = await cluster.new_database()
    if is_small:
        await cluster.move(name, small)
    return cluster.url(name), {
        "restart": blows.restart(cluster, "fast"),
        "session ended": blows.ended_session(cluster),
        "crash": blows.restart(cluster, "immediate"),
        **strikes,
    }


def _settings(url: str, outside: int, folder: Path, database: str) -> Settings:
    known = demo_settings(1, outside, SystemRuntime())
    here = f"http://127.0.0.1:{outside}"
    return msgspec.structs.replace(
        known,
        database_url=url,
        demo_data=False,
        operator_token="",
        log_level="warning",
        embedded_worker="yes" if database == "sqlite" else "no",
        token_keys=f"k1:{base64.b64encode(secrets.token_bytes(32)).decode()}",
        mock_books_path=str(folder / "practice.db"),
        stripe_connect_base=here,
    )


def _places(settings: Settings, ports: list[int], *, workers: int) -> list[Place]:
    around = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    places = []
    for number, port in enumerate(ports, 1):
        own = msgspec.structs.replace(
            settings, port=port, app_base_url=f"http://127.0.0.1:{port}", allowed_hosts=f"127.0.0.1:{port}"
        )
        places.append(Place(f"web-{number}", ["web"], {**around, **environment(own)}, port))
    common = {**around, **environment(settings)}
    return places + [Place(f"worker-{number}", ["worker"], common) for number in range(1, workers + 1)]


async def _start_outside(stack: AsyncExitStack, folder: Path, port: int, relay_port: int) -> None:
    words = [sys.executable, "-m", "tests.kills.outside", str(port), f"http://127.0.0.1:{relay_port}/webhooks/stripe"]
    with (folder / "outside.txt").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *words, cwd=ROOT, stdin=-3, stdout=log, stderr=log, start_new_session=True
        )

    async def end() -> None:
        process.kill()
        await process.wait()

    stack.push_async_callback(end)
    async with httpx.AsyncClient() as http:
        with anyio.fail_after(180):
            while True:
                try:
                    await http.get(f"http://127.0.0.1:{port}/_control/clock")
                    return
                except httpx.TransportError:
                    await anyio.sleep(0.05)


async def _trade(order: Order, town: Town, stop: asyncio.Event) -> None:
    """Let clients pay, evenly over the time of the kills; now and then many of one shop at once."""
    struck = 1.5 / order.blow_after if order.blow_after else 0
    lasts_s, began = order.kills * order.every_s * (1 + struck), time.monotonic()
    while town.paid < order.payments and not stop.is_set():
        due = min(order.payments, int(order.payments * (time.monotonic() - began + _TICK_S) / lasts_s))
        if town.paid < due:
            await town.pay_some(due - town.paid, most=order.payments - town.paid)
        if town.paid >= due:
            await anyio.sleep(_TICK_S)


async def _heal(town: Town, relay: Relay) -> None:
    """Nothing dies any more: let Stripe say again what nobody acknowledged, and wait until nothing is left to do."""
    with anyio.fail_after(_QUIET_WITHIN_S):
        while await _say_again(town, relay):  # noqa: ASYNC110 - what is waited for is in other processes
            await anyio.sleep(_LOOK_S * 2)
        while await while_it_is_away(lambda: open_work(town.wiring)):  # noqa: ASYNC110 - see above
            await anyio.sleep(_LOOK_S)


async def _say_again(town: Town, relay: Relay) -> int:
    count = 0
    told = {attempt.event for attempt in await town.stripe.attempts()} - relay.acked
    for shop in town.shops if told else ():
        mine = [event["id"] for event in await town.stripe.events(shop.business) if event["id"] in told]
        count += await town.stripe.resend(shop.business, mine) if mine else 0
    return count


async def _tell(order: Order, town: Town, relay: Relay, tally: Tally, say: Say, record: Record) -> None:
    while True:
        await anyio.sleep(_TELL_S)
        undone = len(await while_it_is_away(lambda: open_work(town.wiring, most=100_000)))
        still = max(tally.still_s, default=0)
        blows_, acked = tally.blows.total(), len(relay.acked)
        say(
            f"{order.database}: {tally.total}/{order.kills} kills, {blows_} blows, {town.paid}/{order.payments} paid, "
            f"{acked} events acknowledged, {undone} things to do, stood still at most {still:.1f} s"
        )
        record.write(
            "so far",
            kills=tally.total,
            blows=blows_,
            paid=town.paid,
            acked=acked,
            undone=undone,
            still_s=round(still, 1),
        )


async def _end_all(fleet: Fleet) -> list[str]:
    """Ask everybody to end; return what is wrong with how they did."""
    ends = await asyncio.gather(*(fleet.end(place) for place in fleet.places))
    codes = {place.name: code for place, (code, _) in zip(fleet.places, ends, strict=True)}
    return [f"{name} ended with {code}" for name, code in codes.items() if code]
