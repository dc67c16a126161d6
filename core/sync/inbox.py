"""From the inbox to items: each stored event names what to look at anew. One transaction per batch, no network.

While fewer wait than one batch takes, the oldest go first. Beyond that the accounts take turns, so that a flood of one
delays the others by a batch and not by its length.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, literal_column, select, union_all, update
from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from core.db.models import Connection, ConnectionStatus, EventState, ItemKind, StripeEvent
from core.db.session import Database, announce
from core.intake.handlers import Target, targets_of
from core.intake.loose import read_json
from core.intake.webhook import PLATFORM
from core.logging import get_logger
from core.signals import WORK
from core.sync import ladder
from core.sync.items import enqueue

BATCH = 100
MAX_TRIES = ladder.POISON_TRIES
ACCOUNTS_AT_ONCE = 20

SWEEP_SOON = timedelta(minutes=1)
"""How long after news of money Stripe's ledger is read; whatever else happens meanwhile shares that read."""

# As part of the statement's text: a partial index is not found through a parameter.
_STORED = StripeEvent.state == literal_column(f"'{EventState.STORED}'")
_RETRY = StripeEvent.state == literal_column(f"'{EventState.RETRY}'")

_Wanted = dict[tuple[UUID, UUID, Target], None]
"""Tenant, connection and what to look at anew, in the order in which events first told of it."""

_Routes = dict[tuple[str, str | None], Connection | None]
"""Whose the events of a scope and an account are, as far as one batch has asked."""

log = get_logger("inbox")


class Turns:
    """Whose events come next while more wait than a batch takes; one for each worker, since any start is fair."""

    def __init__(self) -> None:
        self.after = ""


async def route_events(db: Database, turns: Turns | None = None) -> int:
    """Route one batch of stored events; return how many were looked at.

    A batch that the database refuses is routed event by event: the one at fault is set apart, the others flow on (F33).
    """
    turns = turns or Turns()
    try:
        return await _route_batch(db, turns)
    except (DataError, IntegrityError) as exc:
        log.error("inbox_batch_failed", exc_info=exc)
    async with db.system() as session:
        # Across tenants: see _route_batch.
        ids = [event.id for event in await _next_events(session, await db.now(session), turns)]
    for event_id in ids:
        try:
            await _route_one(db, event_id)
        except (DataError, IntegrityError) as exc:
            await _set_apart(db, event_id, exc)
    return len(ids)


async def _route_batch(db: Database, turns: Turns) -> int:
    async def work() -> int:
        # Across tenants on purpose: an event belongs to nobody until its account is known.
        async with db.system(write=True) as session:
            now = await db.now(session)
            events = await _next_events(session, now, turns, is_locking=True)
            wanted, routes = _Wanted(), _Routes()
            # Connections are written all at once, which SQLAlchemy does in the order of their ids: in the order of the
            # events, two workers with events of the same tenants waited for each other.
            with session.no_autoflush:
                for event in events:
                    await _route(db, session, event, wanted, routes, now)
            await session.flush()
            await _ask_for(session, wanted, now)
            return len(events)

    return await db.unit(work)


async def _route_one(db: Database, event_id: UUID) -> None:
    async def work() -> None:
        # Across tenants: see _route_batch.
        async with db.system(write=True) as session:
            event = await session.get(StripeEvent, event_id, with_for_update={"skip_locked": True})
            if event is not None and event.state in (EventState.STORED, EventState.RETRY):
                now, wanted = await db.now(session), _Wanted()
                await _route(db, session, event, wanted, _Routes(), now)
                await _ask_for(session, wanted, now)

    await db.unit(work)


async def _next_events(
    session: AsyncSession, now: datetime, turns: Turns, *, is_locking: bool = False
) -> Sequence[StripeEvent]:
    """Return the batch that is to be routed now."""
    oldest = select(StripeEvent).where(_STORED).order_by(StripeEvent.received_at).limit(BATCH)
    found = await _read(session, oldest, is_locking)
    if len(found) < BATCH:
        again = select(StripeEvent).where(_RETRY, StripeEvent.due_at <= now).order_by(StripeEvent.due_at)
        return [*found, *await _read(session, again.limit(BATCH - len(found)), is_locking)]
    accounts = await _accounts(session, turns)
    shares = [_oldest_of(StripeEvent.account.is_(None)), *(_oldest_of(StripeEvent.account == one) for one in accounts)]
    share = max(1, BATCH // len(shares))
    ids = union_all(*(select(one.limit(share).subquery().c.id) for one in shares))
    fair = select(StripeEvent).where(StripeEvent.id.in_(ids), _STORED).order_by(StripeEvent.received_at)
    return await _read(session, fair, is_locking)


async def _read(session: AsyncSession, events: Select[Any], is_locking: bool) -> Sequence[StripeEvent]:
    statement = events.with_for_update(skip_locked=True) if is_locking else events
    found: Sequence[StripeEvent] = (await session.execute(statement)).scalars().all()
    return found


def _oldest_of(account: Any) -> Select[Any]:
    return select(StripeEvent.id).where(_STORED, account).order_by(StripeEvent.received_at)


async def _accounts(session: AsyncSession, turns: Turns) -> Sequence[str]:
    """Return the next accounts with stored events after those that had their turn, going round all of them."""
    found = list((await session.execute(_accounts_after(turns.after))).scalars())
    if len(found) < ACCOUNTS_AT_ONCE and turns.after:
        round_again = (await session.execute(_accounts_after(""))).scalars()
        found += [one for one in round_again if one <= turns.after][: ACCOUNTS_AT_ONCE - len(found)]
    turns.after = found[-1] if found else ""
    return found


def _accounts_after(after: str) -> Select[Any]:
    """Step from account to account through the index: as many reads as accounts, however many events they have."""
    smallest = select(func.min(StripeEvent.account).label("account"))
    turn = smallest.where(_STORED, StripeEvent.account > after).cte("turn", recursive=True)
    following = smallest.where(_STORED, StripeEvent.account > turn.c.account).scalar_subquery()
    turn = turn.union_all(select(following).where(turn.c.account.is_not(None)))
    return select(turn.c.account).where(turn.c.account.is_not(None)).limit(ACCOUNTS_AT_ONCE)


async def _set_apart(db: Database, event_id: UUID, exc: Exception) -> None:
    async def work() -> None:
        # Across tenants: the event broke before anybody knew whose it was.
        async with db.system(write=True) as session:
            event = await session.get(StripeEvent, event_id, with_for_update=True)
            if event is not None and event.state in (EventState.STORED, EventState.RETRY):
                _failed(db, event, exc, await db.now(session))

    await db.unit(work)


def _failed(db: Database, event: StripeEvent, exc: Exception, now: datetime) -> None:
    """Try the event again later, five times over more than ten minutes; then it waits for a release that can (F33)."""
    incident = db.runtime.token_bytes(4).hex()
    log.error("event_failed", event_id=event.event_id, code=incident, exc_info=exc)
    event.tries += 1
    event.error = f"{type(exc).__name__}, incident {incident}"
    given_up = event.tries >= MAX_TRIES
    event.state = EventState.POISON if given_up else EventState.RETRY
    event.due_at = None if given_up else now + ladder.next_delay(db.runtime, event.tries)


async def _route(
    db: Database, session: AsyncSession, event: StripeEvent, wanted: _Wanted, routes: _Routes, now: datetime
) -> None:
    """Route one event; its own fault must not hold up the others (F33)."""
    try:
        targets = targets_of(event.type, _object(event.payload))
    except Exception as exc:  # noqa: BLE001 - a poisonous payload is set apart, whatever it breaks
        _failed(db, event, exc, now)
        return
    route = (event.scope, event.account)
    if route not in routes:
        routes[route] = await _connection(session, event)
    connection = routes[route]
    if connection is None:
        event.state = EventState.UNROUTED
        return
    event.tenant_id, event.connection_id = connection.tenant_id, connection.id
    if connection.last_event_at is None or event.received_at > connection.last_event_at:
        connection.last_event_at = event.received_at
    event.error = event.due_at = None
    if targets is None:
        event.state = EventState.KEPT
        return
    wanted.update(dict.fromkeys((connection.tenant_id, connection.id, target) for target in targets))
    event.state = EventState.ROUTED


async def _ask_for(session: AsyncSession, wanted: _Wanted, now: datetime) -> None:
    """Ask for each thing once: three events or four tell of one payment, most of them in the same moment.

    Every worker asks in one order, or two would wait for each other.
    """
    for tenant_id, connection_id, target in sorted(wanted, key=lambda one: (one[1], one[2].kind, one[2].source_id)):
        await enqueue(
            session,
            tenant_id=tenant_id,
            connection_id=connection_id,
            kind=target.kind,
            source_id=target.source_id,
            due_at=now + (SWEEP_SOON if target.kind is ItemKind.SWEEP else timedelta()),
            now=now,
        )


def _object(payload: bytes) -> dict[str, Any]:
    found = read_json(payload)["data"]["object"]
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
