"""Keeping a connection to books alive: a free token refresh long before an idle grant would end (F17)."""

from datetime import timedelta

from core.accounting import registry
from core.db.models import Connection, ItemState, SyncItem
from core.errors import AccessExpiredError, ProviderError, ReconnectRequiredError
from core.reasons import Reason
from core.sync import ladder, lanes
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
    async with lane.db.tenant(lane.claim.tenant_id, write=True) as session:
        await lanes.guard(lane.db, session, lane.claim)
        now = await lane.db.now(session)
        row = await session.get_one(SyncItem, item.id)
        row.changed_at = now
        if isinstance(error, ReconnectRequiredError | AccessExpiredError):
            await lane.block_connection(session, now)
            row.state, row.due_at, row.reason = ItemState.BLOCKED, None, Reason.RECONNECT_BOOKS
        elif error is not None:
            row.tries += 1
            row.due_at = now + ladder.next_delay(lane.runtime, row.tries)
        else:
            row.tries, row.done, row.due_at = 0, row.wanted, now + EVERY
            (await session.get_one(Connection, lane.claim.connection_id)).last_checked_at = now
    return not lane.paused
