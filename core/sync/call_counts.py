"""What a connection costs: its calls of each day, and what was posted with them."""

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID, uuid4

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from core.db.models import CallCount
from core.db.upsert import insert_missing


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
    await session.execute(
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
