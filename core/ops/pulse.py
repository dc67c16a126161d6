"""The pulse of one process: that it lives, when its worker last ended a pass, and what it has counted meanwhile.

Every fifteen seconds one short transaction. A database that is away costs a beat; what was counted waits for the next.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import delete, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from core.db.models import Process, Tally
from core.db.upsert import insert_missing, upsert
from core.logging import get_logger
from core.wiring import Wiring

BEAT_S = 15.0
DEAD_AFTER = timedelta(seconds=60)
"""Four beats: the time after which its lanes are free for others as well."""

SLOT_MINUTES = 5
DAY_MINUTES = 24 * 60
SLOTS_KEPT = timedelta(days=2)
DAYS_KEPT = timedelta(days=62)
PROCESS_KEPT = timedelta(days=1)

WEB, WORKER = "web", "worker"

log = get_logger("pulse")


class Pulse:
    """Writes down that this process lives.

    Args:
        wiring: of this process.
        role: ``web`` or ``worker``.
        passed_at: when the worker inside last ended a pass, by the runtime's monotonic clock; None without one.
    """

    def __init__(self, wiring: Wiring, role: str, passed_at: Callable[[], float] | None = None) -> None:
        self._wiring = wiring
        self._role = role
        self._passed_at = passed_at
        self._id: UUID = uuid4()
        self._started_at = wiring.runtime.now()
        self._tidied_for: datetime | None = None

    async def run(self) -> None:
        """Beat until cancelled, then take the row away: whoever ends in order is not missed."""
        never = asyncio.Event()
        try:
            while True:
                await self.beat()
                # The event loop's own wait, not the runtime's: a virtual clock must not be moved by a heartbeat.
                with suppress(TimeoutError):
                    async with asyncio.timeout(BEAT_S):
                        await never.wait()
        finally:
            await self._leave()

    async def beat(self) -> None:
        """Write once; a database that is away is waited for."""
        try:
            await self._wiring.db.unit(self._write)
        except (SQLAlchemyError, OSError) as exc:
            log.warning("pulse_missed", exc_info=exc)

    async def _write(self) -> None:
        db = self._wiring.db
        with self._wiring.counters.taken() as counted:
            async with db.open_session(write=True) as session:
                # The database's clock, as with leases: processes on several machines are compared by it (F26).
                now = await db.now(session)
                row = {
                    "id": self._id, "role": self._role, "started_at": self._started_at, "beat_at": now,
                    "worked_at": self._worked_at(now),
                }  # fmt: skip
                await upsert(session, Process, row, key=["id"], update=["beat_at", "worked_at"])
                for minutes in (SLOT_MINUTES, DAY_MINUTES):
                    await _add(session, slot_of(now, minutes), minutes, counted)
                await self._tidy(session, now)

    def _worked_at(self, now: datetime) -> datetime | None:
        """Say by the database's clock when the worker last ended a pass."""
        if self._passed_at is None:
            return None
        return now - timedelta(seconds=self._wiring.runtime.monotonic() - self._passed_at())

    async def _tidy(self, session: AsyncSession, now: datetime) -> None:
        """Once in each slot, forget what nobody looks at any more."""
        slot = slot_of(now, SLOT_MINUTES)
        if slot == self._tidied_for:
            return
        await session.execute(delete(Process).where(Process.beat_at < now - PROCESS_KEPT))
        for minutes, kept in ((SLOT_MINUTES, SLOTS_KEPT), (DAY_MINUTES, DAYS_KEPT)):
            await session.execute(delete(Tally).where(Tally.minutes == minutes, Tally.slot_at < now - kept))
        self._tidied_for = slot

    async def _leave(self) -> None:
        try:
            async with self._wiring.db.open_session(write=True) as session:
                await session.execute(delete(Process).where(Process.id == self._id))
        except (SQLAlchemyError, OSError) as exc:
            log.warning("pulse_missed", exc_info=exc)


def slot_of(moment: datetime, minutes: int) -> datetime:
    """Return the beginning of the slot of ``minutes`` (a divisor of the day, UTC) that ``moment`` lies in."""
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    passed = (moment - midnight) // timedelta(minutes=minutes)
    return midnight + passed * timedelta(minutes=minutes)


async def _add(session: AsyncSession, slot: datetime, minutes: int, counted: dict[tuple[str, str], int]) -> None:
    """Add to the rows of one slot, in an order that all processes share: they wait for each other, never crosswise."""
    keys = sorted(counted)
    rows = [
        {"minutes": minutes, "slot_at": slot, "subject": subject, "outcome": outcome, "count": 0}
        for subject, outcome in keys
    ]
    await insert_missing(session, Tally, rows)
    for subject, outcome in keys:
        await session.execute(
            update(Tally)
            .where(
                Tally.minutes == minutes,
                Tally.slot_at == slot,
                Tally.subject == subject,
                Tally.outcome == outcome,
            )
            .values(count=Tally.count + counted[subject, outcome])
            .execution_options(synchronize_session=False)
        )
