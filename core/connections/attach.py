"""Storing a connection: one row per account and workspace, one set of books, one workspace per company (T9, F23)."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from core.connections.providers import STRIPE, display_name
from core.connections.refusals import other_books, other_company, taken_elsewhere
from core.db.models import Connection, ConnectionMode, ConnectionStatus, ItemKind, Lane, Tenant
from core.db.upsert import insert_missing
from core.identity.members import require_owner
from core.intake.handlers.access import KEEP_ALIVE_ID
from core.intake.handlers.registry import SWEEP_ID
from core.live import touch
from core.oauth import Identity
from core.sync.inbox import reopen_events
from core.sync.items import enqueue, unblock_connection
from core.sync.planners.offers import offer_everything
from core.wiring import Wiring

CATCH_UP_ID = "events"
"""Source id of the one item per Stripe connection that pages the event list."""


@dataclass(frozen=True, slots=True)
class Person:
    """Who connects, for which workspace: from the session, never from the request (T1)."""

    tenant_id: UUID
    user_id: UUID
    session_hash: str


async def attach(
    wiring: Wiring,
    person: Person,
    *,
    kind: str,
    mode: ConnectionMode,
    identity: Identity,
    put_secrets: Callable[[Connection], None],
) -> UUID:
    """Store a connection whose identity the provider has confirmed, and let the waiting work begin.

    Args:
        wiring: of this process.
        person: an owner of the workspace.
        kind: provider.
        mode: how access was given.
        identity: who was connected, as the provider said.
        put_secrets: seals the secrets into the row; called with a row that has its id and tenant.

    Raises:
        ConnectError: another company or another ledger is connected here, or this one is connected elsewhere.
        NotAllowedError: the person is no owner.
    """

    async def work() -> UUID:
        async with wiring.db.tenant(person.tenant_id, write=True) as session:
            return await _attach(wiring, session, person, kind, mode, identity, put_secrets)

    return await wiring.db.unit(work)


async def _attach(
    wiring: Wiring,
    session: AsyncSession,
    person: Person,
    kind: str,
    mode: ConnectionMode,
    identity: Identity,
    put_secrets: Callable[[Connection], None],
) -> UUID:
    await require_owner(session, tenant_id=person.tenant_id, user_id=person.user_id)
    # The workspace's row is the lock: two consents that end at once are looked at one after the other.
    await session.execute(select(Tenant.id).where(Tenant.id == person.tenant_id).with_for_update())
    await refuse_if_occupied(session, kind, identity)
    now = wiring.runtime.now()
    row = await _row_for(session, person, kind, identity, now)
    was_closed = row.closed_at is not None
    is_back = row.status is ConnectionStatus.NEEDS_RECONNECT or was_closed
    _describe(row, mode, identity, now)
    put_secrets(row)
    session.add(row)
    try:
        await session.flush()
    except IntegrityError:
        raise taken_elsewhere(kind) from None
    await _start(session, row, now, is_back=is_back, was_closed=was_closed)
    await touch(session, person.tenant_id)
    return row.id


async def refuse_if_occupied(session: AsyncSession, kind: str, identity: Identity | None = None) -> None:
    """Refuse where other books, or another company, are connected already.

    Raises:
        ConnectError: says which one, by name.
    """
    side = Connection.kind == STRIPE if kind == STRIPE else Connection.kind != STRIPE
    statement = select(Connection).where(side, Connection.status != ConnectionStatus.CLOSED)
    for row in (await session.execute(statement)).scalars():
        if row.kind != kind:
            raise other_books(kind, other=display_name(row.kind))
        if identity is not None and row.external_id != identity.external_id:
            raise other_company(kind, signed_in=identity.name, ours=row.external_name)


async def is_taken(wiring: Wiring, person: Person, kind: str, external_id: str) -> bool:
    """Tell whether another workspace has this account or company. A first look; the database's index decides."""
    # Across tenants on purpose: nothing but yes or no leaves this function.
    async with wiring.db.system() as session:
        statement = select(Connection.id).where(
            Connection.kind == kind,
            Connection.external_id == external_id,
            Connection.status != ConnectionStatus.CLOSED,
            Connection.tenant_id != person.tenant_id,
        )
        return (await session.execute(statement.limit(1))).first() is not None


async def _row_for(session: AsyncSession, person: Person, kind: str, identity: Identity, now: datetime) -> Connection:
    """The same account again is the same connection, so that its items and documents are found again."""
    statement = (
        select(Connection)
        .where(Connection.kind == kind, Connection.external_id == identity.external_id)
        .order_by(Connection.created_at)
        .limit(1)
        .with_for_update()
    )
    row = (await session.execute(statement)).scalar_one_or_none()
    if row is not None:
        if row.status is ConnectionStatus.CLOSED:
            row.created_at, row.created_by = now, person.user_id
        return row
    return Connection(
        id=uuid4(),
        tenant_id=person.tenant_id,
        kind=kind,
        external_id=identity.external_id,
        status=ConnectionStatus.ACTIVE,
        created_at=now,
        created_by=person.user_id,
    )


def _describe(row: Connection, mode: ConnectionMode, identity: Identity, now: datetime) -> None:
    """Write what the provider said; every secret of an earlier access is forgotten."""
    row.mode = mode
    row.status = ConnectionStatus.ACTIVE
    row.external_name = identity.name[:255] or identity.external_id
    row.country = identity.country[:2].upper()
    row.currency = identity.currency[:3].lower()
    row.is_test_mode = identity.is_test_mode
    # After a restore people sign in again; the order to look before every first send must outlive that (F31).
    kept = {"adopt": "yes"} if (row.options or {}).get("adopt") == "yes" else {}
    row.options = {**identity.options, **kept}
    row.access_token = row.refresh_token = row.webhook_secret = None
    row.webhook_endpoint_id = row.endpoint_token_hash = None
    row.access_expires_at = row.consent_ends_at = None
    row.refresh_lease_until = None
    row.broken_at = row.closed_at = None
    row.last_checked_at = now


async def _start(session: AsyncSession, row: Connection, now: datetime, *, is_back: bool, was_closed: bool) -> None:
    """Give the connection its lane and its standing items, and let go on what waited for it.

    While it was closed nobody told its books of anything; while it only needed a sign-in, everything waited.
    """
    lane = {"connection_id": row.id, "tenant_id": row.tenant_id, "fence": 0, "failures": 0}
    await insert_missing(session, Lane, [lane])
    standing = [(ItemKind.KEEP_ALIVE, KEEP_ALIVE_ID)]
    if row.kind == STRIPE:
        standing += [(ItemKind.CATCH_UP, CATCH_UP_ID), (ItemKind.SWEEP, SWEEP_ID)]
        # What Stripe told before we knew whose it is lies in the inbox; the event list would not bring it again.
        await reopen_events(session, row.external_id)
    if is_back:
        await unblock_connection(session, row.id, now=now)
    for item_kind, source_id in standing:
        await enqueue(
            session, tenant_id=row.tenant_id, connection_id=row.id, kind=item_kind, source_id=source_id, due_at=now
        )
    if row.kind != STRIPE:
        await offer_everything(session, row.tenant_id, now=now, is_news=was_closed)
