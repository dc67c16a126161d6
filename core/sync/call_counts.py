"""What a connection costs: its calls of each day, and what was posted with them."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import cast
from uuid import UUID, uuid4

from sqlalchemy import CursorResult, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import Runtime
from core.db.models import CallCount
from core.db.upsert import insert_missing

FOR_POSTING = 0.2
"""The part of a day's calls that no reading of ours takes: it is for postings, and for what a person asks."""


@dataclass(slots=True)
class Spent:
    """Calls and slow-downs that are not written down yet; what was posted with them, in one transaction."""

    calls: int = 0
    documents: int = 0
    payments: int = 0
    slow_downs: int = 0


async def count(session: AsyncSession, *, tenant_id: UUID, connection_id: UUID, spent: Spent, now: datetime) -> None:
    """Add what was spent to the count of the day (UTC), in the transaction that settles the calls."""
    if not (spent.calls or spent.documents or spent.payments or spent.slow_downs):
        return
    day = now.astimezone(UTC).date()
    if await _add(session, connection_id, day, spent):
        return
    await insert_missing(
        session,
        CallCount,
        [
            {
                "id": uuid4(), "tenant_id": tenant_id, "connection_id": connection_id, "day": day,
                "calls": 0, "documents": 0, "payments": 0, "slow_downs": 0,
            }
        ],
    )  # fmt: skip
    await _add(session, connection_id, day, spent)


async def _add(session: AsyncSession, connection_id: UUID, day: date, spent: Spent) -> bool:
    """Add to the row of a day; False: there is none yet."""
    added = await session.execute(
        update(CallCount)
        .where(CallCount.connection_id == connection_id, CallCount.day == day)
        .values(
            calls=CallCount.calls + spent.calls,
            documents=CallCount.documents + spent.documents,
            payments=CallCount.payments + spent.payments,
            slow_downs=CallCount.slow_downs + spent.slow_downs,
        )
        .execution_options(synchronize_session=False)
    )
    return cast("CursorResult[None]", added).rowcount > 0


async def rest_of_day(
    session: AsyncSession, connection_id: UUID, calls_per_day: int | None, runtime: Runtime, now: datetime
) -> datetime | None:
    """Return until when readings that nobody asked for leave the day's last calls alone; None while there are enough.

    Counted by the day in UTC: whichever day the books count by, no more than twice the share is taken.
    """
    if calls_per_day is None:
        return None
    day = now.astimezone(UTC).date()
    made = select(CallCount.calls).where(CallCount.connection_id == connection_id, CallCount.day == day)
    calls = (await session.execute(made)).scalar_one_or_none() or 0
    if calls < calls_per_day * (1 - FOR_POSTING):
        return None
    tomorrow = datetime.combine(day + timedelta(days=1), datetime.min.time(), UTC)
    return tomorrow + timedelta(hours=1) * runtime.random()
