"""What is known about a connection's health, written down in transactions of their own."""

from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import CursorResult, update
from sqlalchemy.ext.asyncio import AsyncSession

from core.db.models import Connection, ConnectionStatus
from core.live import touch
from core.wiring import Wiring


async def mark_broken(wiring: Wiring, *, tenant_id: UUID, connection_id: UUID, seen: bytes | None = None) -> bool:
    """Say that the grant is gone; nothing else stops. Return whether this was news.

    Args:
        wiring: of this process.
        tenant_id: whose connection it is.
        connection_id: which one.
        seen: the sealed token that was judged; if another stands there by now, it was not the one that failed.
    """

    async def work() -> bool:
        async with wiring.db.tenant(tenant_id, write=True) as session:
            now = wiring.runtime.now()
            return await note_broken(session, tenant_id=tenant_id, connection_id=connection_id, now=now, seen=seen)

    return await wiring.db.unit(work)


async def note_broken(
    session: AsyncSession, *, tenant_id: UUID, connection_id: UUID, now: datetime, seen: bytes | None = None
) -> bool:
    """As :func:`mark_broken`, inside a transaction of the tenant's that is open already."""
    statement = (
        update(Connection)
        .where(Connection.id == connection_id, Connection.status == ConnectionStatus.ACTIVE)
        .values(status=ConnectionStatus.NEEDS_RECONNECT, broken_at=now)
    )
    if seen is not None:
        statement = statement.where(Connection.access_token == seen)
    is_news = await changed_one(session, statement)
    if is_news:
        await touch(session, tenant_id)
    return is_news


async def mark_checked(wiring: Wiring, *, tenant_id: UUID, connection_id: UUID) -> None:
    """Note that the provider answered just now. Open pages are not woken for it."""

    async def work() -> None:
        async with wiring.db.tenant(tenant_id, write=True) as session:
            await session.execute(
                update(Connection)
                .where(Connection.id == connection_id)
                .values(last_checked_at=wiring.runtime.now())
                .execution_options(synchronize_session=False)
            )

    await wiring.db.unit(work)


async def changed_one(session: AsyncSession, statement: Any) -> bool:
    """Run an UPDATE past the ORM's memory; tell whether it changed exactly one row."""
    done = await session.execute(statement.execution_options(synchronize_session=False))
    return cast("CursorResult[None]", done).rowcount == 1
