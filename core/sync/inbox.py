"""From the inbox to items: each stored event names what to look at anew. One transaction per batch, no network."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import select, update
from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from core.db.models import Connection, ConnectionStatus, EventState, ItemKind, StripeEvent
from core.db.session import Database, announce
from core.intake.handlers import targets_of
from core.intake.webhook import PLATFORM
from core.logging import get_logger
from core.signals import WORK
from core.sync.items import enqueue

BATCH = 100
MAX_TRIES = 5

SWEEP_SOON = timedelta(minutes=1)
"""How long after news of money Stripe's ledger is read; whatever else happens meanwhile shares that read."""

log = get_logger("inbox")


async def route_events(db: Database) -> int:
    """Route one batch of stored events; return how many were looked at.

    A batch that the database refuses is routed event by event: the one at fault is set apart, the others flow on (F33).
    """
    try:
        return await _route_batch(db, BATCH)
    except (DataError, IntegrityError) as exc:
        log.error("inbox_batch_failed", exc_info=exc)
    async with db.system() as session:
        oldest = select(StripeEvent.id).where(StripeEvent.state == EventState.STORED).order_by(StripeEvent.received_at)
        ids = (await session.execute(oldest.limit(BATCH))).scalars().all()
    for event_id in ids:
        try:
            await _route_batch(db, 1, event_id)
        except (DataError, IntegrityError) as exc:
            await _set_apart(db, event_id, exc)
    return len(ids)


async def _route_batch(db: Database, limit: int, event_id: UUID | None = None) -> int:
    async def work() -> int:
        # Across tenants on purpose: an event belongs to nobody until its account is known.
        async with db.system(write=True) as session:
            statement = (
                select(StripeEvent)
                .where(StripeEvent.state == EventState.STORED)
                .order_by(StripeEvent.received_at)
                .limit(limit)
                .with_for_update(skip_locked=True)
            )
            if event_id is not None:
                statement = statement.where(StripeEvent.id == event_id)
            events = (await session.execute(statement)).scalars().all()
            for event in events:
                await _route(db, session, event)
            return len(events)

    return await db.unit(work)


async def _set_apart(db: Database, event_id: UUID, exc: Exception) -> None:
    async def work() -> None:
        # Across tenants: the event broke before anybody knew whose it was.
        async with db.system(write=True) as session:
            await session.execute(
                update(StripeEvent)
                .where(StripeEvent.id == event_id, StripeEvent.state == EventState.STORED)
                .values(state=EventState.POISON, error=type(exc).__name__)
            )

    await db.unit(work)


async def _route(db: Database, session: AsyncSession, event: StripeEvent) -> None:
    """Route one event; its own fault must not hold up the others (F33)."""
    try:
        targets = targets_of(event.type, _object(event.payload))
    except Exception as exc:  # noqa: BLE001 - a poisonous payload is set apart, whatever it breaks
        event.tries += 1
        event.error = type(exc).__name__
        event.state = EventState.POISON if event.tries >= MAX_TRIES else EventState.STORED
        return
    connection = await _connection(session, event)
    if connection is None:
        event.state = EventState.UNROUTED
        return
    event.tenant_id, event.connection_id = connection.tenant_id, connection.id
    if connection.last_event_at is None or event.received_at > connection.last_event_at:
        connection.last_event_at = event.received_at
    if targets is None:
        event.state = EventState.KEPT
        return
    now = await db.now(session)
    for target in targets:
        await enqueue(
            session,
            tenant_id=connection.tenant_id,
            connection_id=connection.id,
            kind=target.kind,
            source_id=target.source_id,
            due_at=now + (SWEEP_SOON if target.kind is ItemKind.SWEEP else timedelta()),
            now=now,
        )
    event.state = EventState.ROUTED


def _object(payload: bytes) -> dict[str, Any]:
    found = msgspec.json.decode(payload)["data"]["object"]
    return found if isinstance(found, dict) else {}


async def _connection(session: AsyncSession, event: StripeEvent) -> Connection | None:
    """Return the Stripe connection that an event belongs to: by its account, or by the endpoint it took (W6)."""
    statement = select(Connection).where(Connection.kind == "stripe", Connection.status != ConnectionStatus.CLOSED)
    if event.scope == PLATFORM:
        statement = statement.where(Connection.external_id == event.account)
    else:
        statement = statement.where(Connection.id == UUID(event.scope))
    return (await session.execute(statement)).scalar_one_or_none()


async def reopen_events(session: AsyncSession, account: str) -> None:
    """Look again at events of an account that nobody had connected when they came."""
    await session.execute(
        update(StripeEvent)
        .where(StripeEvent.account == account, StripeEvent.state == EventState.UNROUTED)
        .values(state=EventState.STORED)
    )
    announce(session, WORK, "inbox")
