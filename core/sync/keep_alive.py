"""Keeping a connection to books alive: a free token refresh long before an idle grant would end (F17)."""

from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from core.accounting import registry
from core.db.models import Connection, ItemState, SyncItem
from core.errors import AccessExpiredError, ProviderError, ReconnectRequiredError
from core.reasons import Reason
from core.sync import ladder
from core.sync.drift import make_standing
from core.sync.items import look_at_waiting
from core.sync.lane_work import BooksLane

EVERY = timedelta(hours=12)
"""Asking for a token refreshes one that has run out, which every hour-old one has: twice a day is plenty."""


async def keep_books_alive(lane: BooksLane, item: SyncItem) -> bool:
    """Prove that a token can still be had, and say when that was. Return whether the lane may go on."""
    error: ProviderError | None = None
    try:
        if registry.get(lane.connection.kind).uses_oauth:
            await lane.token()
    except ProviderError as exc:
        error = exc

    async def work(session: AsyncSession, now: datetime) -> None:
        connection = await session.get_one(Connection, lane.claim.connection_id, with_for_update={"key_share": True})
        row = await session.get_one(SyncItem, item.id, with_for_update=True, populate_existing=True)
        if row.due_at is None:
            # Disconnected meanwhile: it waits for a sign-in, and stays so.
            return
        row.changed_at = now
        if isinstance(error, ReconnectRequiredError | AccessExpiredError):
            await lane.block_connection(session, now)
            row.state, row.due_at, row.reason = ItemState.BLOCKED, None, Reason.RECONNECT_BOOKS
        elif error is not None:
            row.tries += 1
            row.due_at = now + ladder.next_delay(lane.runtime, row.tries)
        else:
            row.tries, row.done, row.due_at = 0, row.wanted, now + EVERY
            connection.last_checked_at = now
            await make_standing(session, connection, now=now)
            await look_at_waiting(session, lane.claim.connection_id, now=now)

    await lane.record(work)
    return not lane.paused
