"""Ending a connection: its secrets are forgotten first, then the provider is told (O9)."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from core.connections.attach import Person
from core.connections.parking import park
from core.connections.providers import STRIPE, consent_flow, display_name
from core.connections.restricted_key import delete_endpoint
from core.connections.secrets import SecretKind, unseal
from core.db.models import Connection, ConnectionMode, ConnectionStatus
from core.errors import CredentialError, NotFoundError, TieoutError
from core.identity.members import require_owner
from core.live import touch
from core.wiring import Wiring

FAREWELL_PAUSES_S = (0.5, 2.0)
"""The provider is told up to three times. It cannot be told later: by then no token is left to tell it with."""


@dataclass(frozen=True, slots=True, repr=False)
class _Farewell:
    """What is needed to end the grant at the provider, in memory only."""

    connection_id: UUID
    kind: str
    mode: ConnectionMode
    external_id: str
    options: Mapping[str, str]
    access: str | None
    refresh: str | None
    endpoint_id: str | None

    def __repr__(self) -> str:
        return "_Farewell(***)"


async def disconnect(wiring: Wiring, person: Person, kind: str) -> bool:
    """End the workspace's connection of this kind. Return whether the provider confirmed it.

    What is in the books stays there. Payments that were not begun wait for the next set of books; those that were
    begun stay with this one, since part of them may stand there already (F23).

    Raises:
        NotFoundError: there is none.
        NotAllowedError: the person is no owner.
    """
    found: list[_Farewell] = []

    async def work() -> None:
        async with wiring.db.tenant(person.tenant_id, write=True) as session:
            found.append(await _close(wiring, session, person, kind))

    try:
        await wiring.db.unit(work)
    except (DBAPIError, OSError, NotFoundError):
        # The commit may stand although its answer was lost (F28); then these are the last hands with the tokens.
        if not found or not await _has_ended(wiring, person, found[-1]):
            raise
    return await _tell(wiring, found[-1])


async def _has_ended(wiring: Wiring, person: Person, farewell: _Farewell) -> bool:
    """Look at the row until the database says what became of it."""
    for pause_s in FAREWELL_PAUSES_S:
        try:
            async with wiring.db.tenant(person.tenant_id) as session:
                row = await session.get_one(Connection, farewell.connection_id)
                return row.status is ConnectionStatus.CLOSED
        except (DBAPIError, OSError):
            await wiring.runtime.sleep(pause_s)
    return False


async def find_open(session: AsyncSession, kind: str) -> Connection | None:
    """Return the tenant's connection of this kind that is not closed."""
    statement = select(Connection).where(Connection.kind == kind, Connection.status != ConnectionStatus.CLOSED)
    return (await session.execute(statement)).scalar_one_or_none()


async def _close(wiring: Wiring, session: AsyncSession, person: Person, kind: str) -> _Farewell:
    await require_owner(session, tenant_id=person.tenant_id, user_id=person.user_id)
    # The workspace is locked first, as everywhere, so that nobody waits for anybody in a circle.
    await touch(session, person.tenant_id)
    row = await find_open(session, kind)
    if row is None:
        raise NotFoundError("nothing is connected")
    farewell = _Farewell(
        connection_id=row.id,
        kind=row.kind,
        mode=row.mode,
        external_id=row.external_id,
        options={str(name): str(value) for name, value in row.options.items()},
        access=_opened(wiring, row, "access_token"),
        refresh=_opened(wiring, row, "refresh_token"),
        endpoint_id=row.webhook_endpoint_id,
    )
    now = wiring.runtime.now()
    row.status, row.closed_at, row.broken_at = ConnectionStatus.CLOSED, now, None
    row.access_token = row.refresh_token = row.webhook_secret = None
    row.webhook_endpoint_id = row.endpoint_token_hash = None
    row.access_expires_at = row.consent_ends_at = row.refresh_lease_until = None
    await park(session, row.id, is_stripe=row.kind == STRIPE, name=display_name(row.kind), now=now)
    return farewell


def _opened(wiring: Wiring, row: Connection, kind: SecretKind) -> str | None:
    try:
        return unseal(wiring.keys, row, kind)
    except CredentialError:
        return None


async def _tell(wiring: Wiring, farewell: _Farewell) -> bool:
    """End the grant at the provider, best effort: for us it has ended already."""
    for pause_s in (*FAREWELL_PAUSES_S, None):
        try:
            await _end_grant(wiring, farewell)
        except TieoutError as exc:
            if exc.permanent or pause_s is None:
                return False
            await wiring.runtime.sleep(pause_s)
        else:
            return True
    return False


async def _end_grant(wiring: Wiring, farewell: _Farewell) -> None:
    if farewell.mode is ConnectionMode.BUILT_IN:
        return
    if farewell.mode is ConnectionMode.RESTRICTED_KEY:
        if farewell.access and farewell.endpoint_id:
            await delete_endpoint(wiring, farewell.access, farewell.endpoint_id)
        return
    await consent_flow(wiring, farewell.kind, farewell.mode).revoke(
        access_token=farewell.access or "",
        refresh_token=farewell.refresh,
        external_id=farewell.external_id,
        options=farewell.options,
    )
