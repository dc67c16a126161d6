"""Ends processes at random moments, starts them again, strikes their database, and measures how long work lay still."""

import asyncio
import random
import signal
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import cycle

import anyio

from tests.kills.blows import Blow
from tests.kills.fleet import GRACE_S, Fleet, Place
from tests.kills.record import Record
from tests.kills.stillness import Stillness

_AT_ONCE_OF_TEN = 2
_ASKED_OF_TEN = 1


@dataclass
class Tally:
    """What was done to the processes and to their database, and what came of it.

    ``still_s``: of each kill and blow, until every lane that was leased at that moment had an owner again, in seconds.
    ``ended``: exit codes of those that were asked to end; ``ended_s``: how long they took. ``blows``: those that hit.
    """

    kills: Counter[str] = field(default_factory=Counter)
    blows: Counter[str] = field(default_factory=Counter)
    at_once: int = 0
    still_s: list[float] = field(default_factory=list)
    started_s: list[float] = field(default_factory=list)
    ended: Counter[int] = field(default_factory=Counter)
    ended_s: list[float] = field(default_factory=list)
    odd: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        """Kills without warning."""
        return self.kills.total()


class Killer:
    """Kills the processes of one fleet until it has killed often enough, or is told to stop.

    ``blows``: what else is struck, one of them after every ``blow_after`` kills, in turn; 0: never.
    """

    def __init__(
        self, fleet: Fleet, stillness: Stillness, record: Record, *, blows: Mapping[str, Blow], blow_after: int,
        every_s: float, seed: int,
    ) -> None:  # fmt: skip
        self.tally = Tally()
        self._fleet = fleet
        self._stillness = stillness
        self._record = record
        self._blows = blows
        self._turns = cycle(blows)
        self._blow_after = blow_after
        self._every_s = every_s
        self._dice = random.Random(seed)
        self._resting: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, kills: int, stop: asyncio.Event) -> None:
        """Kill that often, and come back when everything that was killed is at work again."""
        blow_at = self._blow_after
        while self.tally.total < kills and not stop.is_set():
            await anyio.sleep(self._every_s * self._dice.uniform(0.3, 1.7))
            if self._blow_after and self._blows and self.tally.total >= blow_at:
                blow_at += self._blow_after
                await self._strike(next(self._turns))
                continue
            alive = [place for place in self._fleet.places if place.name not in self._resting]
            if not alive:
                continue
            dice = self._dice.random() * 10
            if dice < _ASKED_OF_TEN:
                self._begin(self._ask_to_end(self._take(alive)))
                continue
            victims = [self._take(alive)]
            if dice > 10 - _AT_ONCE_OF_TEN and alive and self.tally.total + 1 < kills:
                victims.append(self._take(alive))
                self.tally.at_once += 1
            await self._kill(victims)
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _take(self, alive: list[Place]) -> Place:
        place = alive.pop(self._dice.randrange(len(alive)))
        self._resting.add(place.name)
        return place

    def _begin(self, work: "asyncio.coroutines.Coroutine[None, None, None]") -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self.tally.odd.append(f"{task.exception()!r}")

    async def _strike(self, name: str) -> None:
        """Strike the database, with the processes as they are; work lies still from the end of the blow on."""
        began = time.monotonic()
        hit = await self._blows[name]()
        struck_s = time.monotonic() - began
        self.tally.blows[name if hit else f"{name} missed"] += 1
        self._begin(self._watch(time.monotonic(), 1, blow=name, hit=hit, struck_s=round(struck_s, 1)))

    async def _kill(self, victims: list[Place]) -> None:
        for place in victims:
            self._fleet.kill(place)
        killed_at = time.monotonic()
        self.tally.kills.update(place.name.rstrip("0123456789-") for place in victims)
        self._begin(self._watch(killed_at, len(victims), killed=[place.name for place in victims]))
        for place in victims:
            self._begin(self._revive(place))

    async def _watch(self, since: float, deaths: int, **facts: object) -> None:
        still_s, lanes, lying = await self._stillness.until_moving(since)
        if lying:
            self.tally.odd.append(f"{lying} lanes still lay still after {still_s:.0f} s")
        self.tally.still_s += [still_s] * deaths
        self._record.write("blow", **facts, leased=lanes, still_s=round(still_s, 1), still_lying=lying)

    async def _revive(self, place: Place) -> None:
        code = await self._fleet.wait(place)
        if code != -signal.SIGKILL:
            self.tally.odd.append(f"{place.name} had ended with {code} before it was killed")
        await anyio.sleep(self._dice.random())
        await self._start(place)

    async def _ask_to_end(self, place: Place) -> None:
        try:
            code, took_s = await self._fleet.end(place)
        except TimeoutError:
            self.tally.odd.append(f"{place.name} did not end within its grace")
            self._fleet.kill(place)
            code, took_s = await self._fleet.wait(place), GRACE_S
        self.tally.ended[code] += 1
        self.tally.ended_s.append(took_s)
        self._record.write("asked to end", place=place.name, code=code, took_s=round(took_s, 1))
        await self._start(place)

    async def _start(self, place: Place) -> None:
        self.tally.started_s.append(await self._fleet.start(place))
        self._resting.discard(place.name)
