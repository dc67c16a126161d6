"""Access tokens that work (O7, F13 to F17).

A refresh token is used up by its use, so losing the answer can cost the connection. Therefore: whoever refreshes holds
the lease columns of the row, nobody else calls meanwhile, the answer is committed before it is used, and nothing but a
validated answer ever replaces what is stored. Tokens without an end (restricted keys, Connect) are only opened.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar
from uuid import UUID

from core.connections.refresh import held_in, open_held, refresh_leased, take_lease, uncancelled
from core.connections.status import mark_broken, mark_checked
from core.db.models import Connection
from core.errors import AccessExpiredError, ProviderUnavailableError, ReconnectRequiredError
from core.wiring import Wiring

__all__ = ["access_token", "mark_broken", "mark_checked", "with_access"]

T = TypeVar("T")

POLL_S = 0.25
MAX_POLLS = 1200
"""Five minutes: twice the lease of whoever refreshes."""


async def access_token(
    wiring: Wiring,
    *,
    tenant_id: UUID,
    connection_id: UUID,
    refused: str | None = None,
    row: Connection | None = None,
) -> str:
    """Return a token that works now, refreshed first where that is needed.

    Args:
        wiring: of this process.
        tenant_id: whose connection it is.
        connection_id: which one.
        refused: the token that was answered with 401 a moment ago; while it is still the stored one, it is refreshed.
        row: the connection, where it was read a moment ago.

    Raises:
        ReconnectRequiredError: the grant is gone; the connection says so from now on.
        RateLimitedError, ProviderUnavailableError, NotSentError, OutcomeUnknownError: come back later. What is stored
            is what was stored before.
    """
    for _ in range(MAX_POLLS):
        held = await (open_held(wiring, tenant_id, connection_id) if row is None else held_in(wiring, row))
        row = None
        if held.is_usable(refused, wiring.runtime.now()):
            return held.access
        if held.refresh is None:
            await mark_broken(wiring, tenant_id=tenant_id, connection_id=connection_id, seen=held.row.access_token)
            continue
        lease = await take_lease(wiring, tenant_id, connection_id)
        if lease is None:
            await wiring.runtime.sleep(POLL_S)
            continue
        fresh = await uncancelled(refresh_leased(wiring, tenant_id, connection_id, lease, refused))
        if fresh is not None:
            return fresh
    raise ProviderUnavailableError("another process has been refreshing this connection for minutes")


async def with_access(
    wiring: Wiring, *, tenant_id: UUID, connection_id: UUID, call: Callable[[str], Awaitable[T]]
) -> T:
    """Make ``call`` with a token; after a 401 refresh once and repeat once (F13).

    Raises:
        ReconnectRequiredError: also when the fresh token is refused as well, or the provider itself says so (F17).
    """
    token = await access_token(wiring, tenant_id=tenant_id, connection_id=connection_id)
    try:
        try:
            return await call(token)
        except AccessExpiredError:
            token = await access_token(wiring, tenant_id=tenant_id, connection_id=connection_id, refused=token)
            return await call(token)
    except AccessExpiredError as exc:
        await mark_broken(wiring, tenant_id=tenant_id, connection_id=connection_id)
        raise ReconnectRequiredError(exc.text, request_id=exc.request_id, status=exc.status) from exc
    except ReconnectRequiredError:
        await mark_broken(wiring, tenant_id=tenant_id, connection_id=connection_id)
        raise
