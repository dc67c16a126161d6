"""Ends processes at random moments, starts them again, and measures how long their work lay still."""

import asyncio
import random
import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import anyio
from sqlalchemy import or_, select

from core.db.models import Lane, SyncItem
from core.db.session import Database
from core.sync.lanes import may_run
from tests.kills.fleet import GRACE_S, Fleet, Place

_Leases = dict[UUID, tuple[int, datetime]]
_LOOK_S = 0.25
_AT_ONCE_OF_TEN = 2
_ASKED_OF_TEN = 1
_GIVE_UP_S = 180.0


@dataclass
class Tally:
    """What was done to the processes, and what came of it.

    ``still_s``: of each kill, until every lane that was leased at that moment had an owner again, in seconds.
    ``ended``: exit codes of those that were asked to end; ``ended_s``: how long they took.
    """

    kills: Counter[str] = field(default_factory=Counter)
    at_once: int = 0
    lanes: int = 0
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
    """Kills the processes of one fleet until it has killed often enough."""

    def __init__(self, fleet: Fleet, db: Database, *, every_s: float, seed: int) -> None:
        self.tally = Tally()
        self._fleet = fleet
        self._db = db
        self._every_s = every_s
        self._dice = random.Random(seed)
        self._resting: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, kills: int) -> None:
        """Kill that often, and come back when everything that was killed is at work again."""
        while self.tally.total < kills:
            await anyio.sleep(self._every_s * self._dice.uniform(0.3, 1.7))
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

    async def _kill(self, victims: list[Place]) -> None:
        for place in victims:
            self._fleet.kill(place)
        killed_at = time.monotonic()
        leased = await self._leased()
        self.tally.kills.update(place.name.rstrip("0123456789-") for place in victims)
        self.tally.lanes += len(leased)
        self._begin(self._watch(leased, killed_at, len(victims)))
        for place in victims:
            self._begin(self._revive(place))

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
        await self._start(place)

    async def _start(self, place: Place) -> None:
        self.tally.started_s.append(await self._fleet.start(place))
        self._resting.discard(place.name)

    async def _watch(self, leased: "_Leases", killed_at: float, deaths: int) -> None:
        """Wait until nobody's work lies still that somebody was at when the kill came.

        Who of the owners died is not known from outside, but those that live give their lanes back or renew them.
        """
        waiting = leased
        while waiting and time.monotonic() - killed_at < _GIVE_UP_S:
            await anyio.sleep(_LOOK_S)
            waiting = await self._waiting(waiting)
        if waiting:
            self.tally.odd.append(f"{len(waiting)} lanes still lay still after {_GIVE_UP_S:.0f} s")
        self.tally.still_s += [time.monotonic() - killed_at] * deaths

    async def _leased(self) -> "_Leases":
        # Across tenants on purpose, as everywhere here: lanes are looked at, not what is in them.
        async with self._db.system() as session:
            now = await self._db.now(session)
            leased = select(Lane.connection_id, Lane.fence, Lane.lease_until).where(Lane.lease_until > now)
            return {row[0]: (row[1], row[2]) for row in await session.execute(leased)}

    async def _waiting(self, lanes: "_Leases") -> "_Leases":
        """Return those that nobody has taken anew although something is due and nothing holds it back."""
        async with self._db.system() as session:
            now = await self._db.now(session)
            due = select(SyncItem.id).where(
                SyncItem.connection_id == Lane.connection_id, SyncItem.due_at <= now, may_run()
            )
            rows = await session.execute(
                select(Lane.connection_id, Lane.fence, Lane.lease_until).where(
                    Lane.connection_id.in_(lanes), or_(Lane.hold_until.is_(None), Lane.hold_until <= now), due.exists()
                )
            )
            return {row[0]: lanes[row[0]] for row in rows if self._lies_still(lanes[row[0]], row[1], row[2])}

    def _lies_still(self, then: "tuple[int, datetime]", fence: int, lease_until: datetime | None) -> bool:
        """Whether a lane has neither another owner nor a living one.

        On SQLite every lease ends when the process starts again; the lane has an owner again when somebody takes it.
        """
        return fence == then[0] and (lease_until is None or lease_until <= then[1])
