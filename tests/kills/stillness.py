"""How long work lies still after somebody who was at it died: one look at the lanes for all that wait, however many."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.exc import SQLAlchemyError

from core.db.models import Lane, SyncItem
from core.db.session import Database
from core.sync.lanes import may_run

LOOK_S = 0.5
GIVE_UP_S = 180.0

T = TypeVar("T")
_Leases = dict[UUID, tuple[int, datetime]]
_Rows = dict[UUID, tuple[int, datetime | None]]


async def while_it_is_away(look: Callable[[], Awaitable[T]]) -> T:
    """Look into a database that may be away at this moment, because somebody restarts it."""
    end = time.monotonic() + GIVE_UP_S
    while True:
        try:
            return await look()
        except (SQLAlchemyError, OSError):
            if time.monotonic() > end:
                raise
            await asyncio.sleep(LOOK_S)


@dataclass
class _Waiting:
    """Lanes that were leased when somebody died and have not been seen in anybody's hands since."""

    lanes: _Leases
    done: asyncio.Event = field(default_factory=asyncio.Event)


class Stillness:
    """Looks at the lanes twice a second while anybody waits. ``run()`` beside the kills."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._waiting: list[_Waiting] = []

    async def until_moving(self, since: float) -> tuple[float, int, int]:
        """Wait until nobody's work lies still that somebody was at; return the seconds, and how many lanes did and do.

        Who of the owners died is not known from outside, but those that live give their lanes back or renew them.
        """
        one = _Waiting(await while_it_is_away(self._leased))
        leased = len(one.lanes)
        self._waiting.append(one)
        try:
            await asyncio.wait_for(one.done.wait(), GIVE_UP_S)
        except TimeoutError:
            pass
        finally:
            self._waiting.remove(one)
        return time.monotonic() - since, leased, len(one.lanes)

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            waiting = list(self._waiting)
            if not waiting:
                continue
            wanted = {lane for one in waiting for lane in one.lanes}
            rows = await while_it_is_away(lambda wanted=wanted: self._due(wanted)) if wanted else {}
            for one in waiting:
                one.lanes = {lane: then for lane, then in one.lanes.items() if lane in rows and _lies(then, rows[lane])}
                if not one.lanes:
                    one.done.set()

    async def _leased(self) -> _Leases:
        # Across tenants on purpose, as everywhere here: lanes are looked at, not what is in them.
        async with self._db.system() as session:
            now = await self._db.now(session)
            leased = select(Lane.connection_id, Lane.fence, Lane.lease_until).where(Lane.lease_until > now)
            return {row[0]: (row[1], row[2]) for row in await session.execute(leased)}

    async def _due(self, lanes: set[UUID]) -> _Rows:
        """Return those in which something is due and nothing holds it back."""
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
            return {row[0]: (row[1], row[2]) for row in rows}


def _lies(then: tuple[int, datetime], now: tuple[int, datetime | None]) -> bool:
    """Whether a lane has neither another owner nor a living one.

    On SQLite every lease ends when the process starts again; the lane has an owner again when somebody takes it.
    """
    return now[0] == then[0] and (now[1] is None or now[1] <= then[1])
