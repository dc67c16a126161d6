"""One refresh of one connection: the lease, the call, the commit (O6, O7, F14 to F16)."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import or_, select, update
from sqlalchemy.exc import DBAPIError

from core.connections.providers import consent_flow
from core.connections.secrets import seal, unseal
from core.connections.status import changed_one, mark_broken
from core.db.models import Connection, ConnectionMode, ConnectionStatus
from core.errors import (
    CredentialError,
    NotFoundError,
    OutcomeUnknownError,
    ProviderUnavailableError,
    ReconnectRequiredError,
)
from core.oauth import OAuthFlow, TokenSet
from core.wiring import Wiring

T = TypeVar("T")

REFRESH_BEFORE = timedelta(minutes=5)
"""A token with less to live is refreshed first, so that none ends in the middle of a call (F13)."""

LEASE = timedelta(seconds=150)
"""Longer than two calls to a token endpoint that each use all of their time."""

STORE_PAUSES_S = (0.2, 1.0, 2.0, 4.0, 8.0)
"""A database that restarts is back within these."""

SECOND_LOOK_S = 2.0
"""Intuit: an outage can look like ``invalid_grant``; the second try comes after a pause, with the token re-read."""


@dataclass(frozen=True, slots=True, repr=False)
class Held:
    """A connection's secrets as they stood in the row at one moment."""

    row: Connection
    access: str
    refresh: str | None

    def __repr__(self) -> str:
        """Never show a token (K6)."""
        return "Held(***)"

    def is_usable(self, refused: str | None, now: datetime) -> bool:
        """Tell whether the access token may be used: it was not just refused, and it lives long enough."""
        if self.access == refused:
            return self.row.mode is ConnectionMode.BUILT_IN
        ends = self.row.access_expires_at
        return ends is None or ends - now >= REFRESH_BEFORE


async def open_held(wiring: Wiring, tenant_id: UUID, connection_id: UUID) -> Held:
    """Read the row and open its tokens; one that cannot be opened breaks this connection and nothing else (K5)."""
    async with wiring.db.tenant(tenant_id) as session:
        row = await session.get(Connection, connection_id)
    if row is None:
        raise NotFoundError("no such connection")
    return await held_in(wiring, row)


async def held_in(wiring: Wiring, row: Connection) -> Held:
    """Open the tokens of a row that was read a moment ago.

    Raises:
        ReconnectRequiredError: there is no access, or it cannot be opened (K5).
    """
    if row.status is not ConnectionStatus.ACTIVE:
        raise ReconnectRequiredError("the connection is not active")
    if row.mode is ConnectionMode.BUILT_IN:
        return Held(row, "", None)
    try:
        refresh = unseal(wiring.keys, row, "refresh_token") if row.refresh_token is not None else None
        return Held(row, unseal(wiring.keys, row, "access_token"), refresh)
    except CredentialError as exc:
        await mark_broken(wiring, tenant_id=row.tenant_id, connection_id=row.id, seen=row.access_token)
        raise ReconnectRequiredError("the stored access cannot be opened") from exc


@dataclass(slots=True)
class Lease:
    """Our right to refresh: the value of the column while it is ours, and what to put back if nothing came of it."""

    until: datetime
    started_before: datetime | None


async def take_lease(wiring: Wiring, tenant_id: UUID, connection_id: UUID) -> Lease | None:
    """Become the only one who refreshes, by one statement; None when somebody else is."""

    async def work() -> Lease | None:
        async with wiring.db.tenant(tenant_id, write=True) as session:
            now = await wiring.db.now(session)
            before = await session.scalar(
                select(Connection.refresh_started_at).where(Connection.id == connection_id).with_for_update()
            )
            is_ours = await changed_one(
                session,
                update(Connection)
                .where(
                    Connection.id == connection_id,
                    Connection.status == ConnectionStatus.ACTIVE,
                    or_(Connection.refresh_lease_until.is_(None), Connection.refresh_lease_until <= now),
                )
                .values(refresh_lease_until=now + LEASE, refresh_started_at=now),
            )
            return Lease(until=now + LEASE, started_before=before) if is_ours else None

    return await wiring.db.unit(work)


async def refresh_leased(
    wiring: Wiring, tenant_id: UUID, connection_id: UUID, lease: Lease, refused: str | None
) -> str | None:
    """Refresh under the lease; None when the row must be looked at again. The lease is given back in every case."""
    has_stored = False
    try:
        # Somebody may have refreshed between our first look and the lease.
        held = await open_held(wiring, tenant_id, connection_id)
        if held.refresh is None or held.is_usable(refused, wiring.runtime.now()):
            return None
        flow = consent_flow(wiring, held.row.kind, held.row.mode)
        tokens, used = await _refresh_twice(wiring, flow, held, lease)
        if tokens is None:
            await mark_broken(wiring, tenant_id=tenant_id, connection_id=connection_id, seen=used.row.access_token)
            raise ReconnectRequiredError("invalid_grant")
        has_stored = await _store_surely(wiring, used, tokens, lease)
        return tokens.access_token if has_stored else None
    finally:
        if not has_stored:
            await _give_back(wiring, tenant_id, connection_id, lease)


async def _refresh_twice(wiring: Wiring, flow: OAuthFlow, held: Held, lease: Lease) -> tuple[TokenSet | None, Held]:
    """Call the token endpoint. No tokens: ``invalid_grant`` twice, the second time after re-reading the row (F16)."""
    try:
        return await _refresh_once(flow, held), held
    except ReconnectRequiredError:
        await wiring.runtime.sleep(SECOND_LOOK_S * (1 + wiring.runtime.random()))
    again = await open_held(wiring, held.row.tenant_id, held.row.id)
    if again.refresh is None or not await _renew(wiring, again.row, lease):
        raise ProviderUnavailableError("the connection changed while it was refreshed")
    try:
        return await _refresh_once(flow, again), again
    except ReconnectRequiredError:
        return None, again


async def _refresh_once(flow: OAuthFlow, held: Held) -> TokenSet:
    """One refresh; where no answer came at all, once more at once: the first may not have been executed (F15)."""
    if held.refresh is None:
        raise ReconnectRequiredError("nothing to refresh with")
    try:
        return await flow.refresh(held.refresh)
    except OutcomeUnknownError as exc:
        if exc.answered:
            raise
    return await flow.refresh(held.refresh)


async def _store_surely(wiring: Wiring, used: Held, tokens: TokenSet, lease: Lease) -> bool:
    """Store, again and again while the database is away: what we hold may be the only tokens that still work."""
    for pause_s in STORE_PAUSES_S:
        try:
            return await _store(wiring, used, tokens, lease)
        except (DBAPIError, OSError):
            await wiring.runtime.sleep(pause_s)
    return await _store(wiring, used, tokens, lease)


async def _store(wiring: Wiring, used: Held, tokens: TokenSet, lease: Lease) -> bool:
    """Commit the new tokens and free the lease. False: the row moved on meanwhile (reconnected, disconnected)."""

    async def work() -> bool:
        async with wiring.db.tenant(used.row.tenant_id, write=True) as session:
            row = await session.get_one(Connection, used.row.id, with_for_update=True, populate_existing=True)
            if row.status is not ConnectionStatus.ACTIVE:
                return False
            if row.refresh_lease_until != lease.until and not _same_refresh_token(wiring, row, used):
                return False
            put_tokens(wiring, row, tokens)
            return True

    return await wiring.db.unit(work)


def put_tokens(wiring: Wiring, row: Connection, tokens: TokenSet) -> None:
    """Seal a validated token answer into its row, with the times that follow from it."""
    now = wiring.runtime.now()
    row.access_token = seal(wiring.keys, row, "access_token", tokens.access_token)
    row.refresh_token = seal(wiring.keys, row, "refresh_token", tokens.refresh_token) if tokens.refresh_token else None
    row.access_expires_at = now + timedelta(seconds=tokens.expires_in_s) if tokens.expires_in_s else None
    if tokens.consent_ends_in_s:
        row.consent_ends_at = now + timedelta(seconds=tokens.consent_ends_in_s)
    row.refreshed_at = now
    row.last_checked_at = now
    row.refresh_lease_until = None


def _same_refresh_token(wiring: Wiring, row: Connection, used: Held) -> bool:
    """Tell whether the row still holds what we refreshed; a key rotation may have sealed it anew."""
    try:
        return row.refresh_token is not None and unseal(wiring.keys, row, "refresh_token") == used.refresh
    except CredentialError:
        return False


async def _renew(wiring: Wiring, row: Connection, lease: Lease) -> bool:
    async def work() -> datetime | None:
        async with wiring.db.tenant(row.tenant_id, write=True) as session:
            until = await wiring.db.now(session) + LEASE
            is_ours = await changed_one(session, _ours(row.id, lease).values(refresh_lease_until=until))
            return until if is_ours else None

    until = await wiring.db.unit(work)
    if until is not None:
        lease.until = until
    return until is not None


async def _give_back(wiring: Wiring, tenant_id: UUID, connection_id: UUID, lease: Lease) -> None:
    """Free the lease and leave the row as it was found."""

    async def work() -> None:
        async with wiring.db.tenant(tenant_id, write=True) as session:
            await changed_one(
                session,
                _ours(connection_id, lease).values(refresh_lease_until=None, refresh_started_at=lease.started_before),
            )

    await wiring.db.unit(work)


def _ours(connection_id: UUID, lease: Lease) -> Any:
    return update(Connection).where(Connection.id == connection_id, Connection.refresh_lease_until == lease.until)


async def uncancelled(work: Coroutine[Any, Any, T]) -> T:
    """Let a refresh end even when its caller is cancelled: half of one can cost the connection (O7)."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            try:
                await asyncio.wait({task})
            except asyncio.CancelledError:
                continue
        if not task.cancelled():
            task.exception()
        raise
