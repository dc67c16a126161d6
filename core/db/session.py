"""Sessions: who may see what, and who is writing.

- ``db.tenant(tenant_id)`` reads and ``db.tenant(tenant_id, write=True)`` writes as one tenant: every ORM statement is
  filtered and every new row stamped (T3). A tenant-owned entity in a session without a tenant is an exception.
- ``db.system()`` crosses tenants. It is for the few places that must: claiming work, routing events, key rotation. Each
  use names its reason.

Writing sessions on SQLite start with BEGIN IMMEDIATE (trap 4): in the default mode four of five concurrent
read-then-write transactions lost their update without an error.
"""

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from functools import cache, lru_cache
from typing import Any, TypeVar, cast
from uuid import UUID

import asyncpg
from sqlalchemy import Executable, FromClause, Table, event, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import LoaderCriteriaOption, ORMExecuteState, Session, with_loader_criteria
from sqlalchemy.sql import visitors

from core.clock import Runtime
from core.db.types import Base, TenantOwned
from core.errors import TieoutError
from core.signals import Signals

T = TypeVar("T")

_TENANT = "tenant_id"
_SYSTEM = "system"
_SIGNALS = "signals"
_CHECKED = "tieout_rows_checked"
ROWS_CHECKED = {_CHECKED: True}
"""Execution option of a statement whose rows :func:`check_rows` has seen; for core/db/upsert.py alone."""

_RETRIED_STATES = {"40001", "40P01", "55P03", "57P01"}
_UNIT_TRIES = 3

_AWAY_STATES = ("08", "53", "57P")
"""Beginnings of PostgreSQL's states: the line is lost, there is no room, the server goes or is not up yet."""

_LINE_ERRORS = (asyncpg.InterfaceError, asyncpg.InternalClientError, ConnectionError)

_AWAY_CODES = {5, 6, 7, 10, 13, 14}
"""SQLite's: busy, locked, no memory, input or output failed, full, cannot be opened."""


class NoTenantError(TieoutError):
    """A tenant-owned row was asked for without saying for whom. Always a fault of ours."""

    code = "no_tenant"


class ForeignRowError(TieoutError):
    """A row of another tenant was about to be written."""

    code = "foreign_row"


class UnwalledStatementError(TieoutError):
    """A statement of a kind that the filter does not reach: bulk INSERT, a table instead of its class."""

    code = "unwalled_statement"


class _ScopedSession(Session):
    """The synchronous heart of every AsyncSession here; the event hooks below attach to it alone."""


@event.listens_for(_ScopedSession, "do_orm_execute")
def _only_own_rows(state: ORMExecuteState) -> None:
    info = state.session.info
    if info.get(_SYSTEM):
        return
    tenant_id = info.get(_TENANT)
    if tenant_id is None:
        if _touches_tenants(state.statement):
            raise NoTenantError("a tenant-owned table was used without a tenant")
        return
    if state.is_insert or not state.is_orm_statement:
        # The filter below reaches entities only: not tables, and not the rows of an INSERT.
        if _touches_tenants(state.statement) and not state.execution_options.get(_CHECKED):
            raise UnwalledStatementError("a tenant-owned table was used in a way that cannot be filtered")
        return
    if state.is_update:
        _refuse_moving(state)
    # Attached to every statement: asking first which entities it has misses those inside CTEs, unions, scalar
    # subqueries and `select(count()).select_from(X)`, which then told the rows of all tenants.
    state.statement = state.statement.options(_own_rows(tenant_id))


@lru_cache(maxsize=1024)
def _own_rows(tenant_id: UUID) -> LoaderCriteriaOption:
    """Return the filter of one tenant; taking its function apart anew for each statement costs a tenth of it."""
    return with_loader_criteria(TenantOwned, lambda cls: cls.tenant_id == tenant_id, include_aliases=True)


def _touches_tenants(statement: Executable) -> bool:
    return any(
        isinstance(part, Table) and part in _tenant_tables() for part in visitors.iterate(cast("Any", statement))
    )


@cache
def _tenant_tables() -> frozenset[FromClause]:
    return frozenset(mapper.local_table for mapper in Base.registry.mappers if issubclass(mapper.class_, TenantOwned))


def _refuse_moving(state: ORMExecuteState) -> None:
    """An UPDATE keeps rows where they are; one by primary keys takes no filter at all."""
    values: Mapping[Any, Any] = cast("Any", state.statement)._values or {}
    moves = any(getattr(column, "key", column) == _TENANT for column in values)
    if (moves or isinstance(state.parameters, list)) and _touches_tenants(state.statement):
        raise UnwalledStatementError("an UPDATE must filter by WHERE and leave the tenant alone")


@event.listens_for(_ScopedSession, "before_flush")
def _stamp_and_check(session: Session, _context: object, _instances: object) -> None:
    if session.info.get(_SYSTEM):
        return
    tenant_id = session.info.get(_TENANT)
    for row in session.new:
        if isinstance(row, TenantOwned):
            if tenant_id is None:
                raise NoTenantError("a tenant-owned row was added without a tenant")
            if getattr(row, "tenant_id", None) is None:
                row.tenant_id = tenant_id
    for row in (*session.new, *session.dirty, *session.deleted):
        if isinstance(row, TenantOwned) and row.tenant_id != tenant_id:
            raise ForeignRowError("a row of another tenant was about to be written")


class Database:
    """One engine and the sessions on it.

    Args:
        engine: from :func:`core.db.engine.make_engine`.
        runtime: clock for SQLite, jitter between retried units.
        signals: where wake-ups go once their transaction has been committed.
    """

    def __init__(self, engine: AsyncEngine, runtime: Runtime, signals: Signals) -> None:
        self.engine = engine
        self.runtime = runtime
        self.signals = signals
        self.is_sqlite = engine.dialect.name == "sqlite"
        self._writing = engine.execution_options(sqlite_begin="IMMEDIATE")

    @asynccontextmanager
    async def tenant(self, tenant_id: UUID, *, write: bool = False) -> AsyncIterator[AsyncSession]:
        """Open one transaction as ``tenant_id``; commit at the end, roll back on any exception."""
        async with self._session({_TENANT: tenant_id}, write=write) as session:
            yield session

    @asynccontextmanager
    async def system(self, *, write: bool = False) -> AsyncIterator[AsyncSession]:
        """Open one transaction across tenants. Name the reason where you call this."""
        async with self._session({_SYSTEM: True}, write=write) as session:
            yield session

    @asynccontextmanager
    async def open_session(self, *, write: bool = False) -> AsyncIterator[AsyncSession]:
        """Open one transaction with no tenant: only tables that belong to nobody can be touched."""
        async with self._session({}, write=write) as session:
            yield session

    @asynccontextmanager
    async def _session(self, info: dict[str, Any], *, write: bool) -> AsyncIterator[AsyncSession]:
        engine = self._writing if write else self.engine
        pending: list[tuple[str, str]] = []
        session = AsyncSession(
            engine, sync_session_class=_ScopedSession, expire_on_commit=False, info={**info, _SIGNALS: pending}
        )
        async with session, session.begin():
            yield session
            await self._announce_inside(session, pending)
        if self.is_sqlite:
            for channel, payload in pending:
                self.signals.publish(channel, payload)

    async def _announce_inside(self, session: AsyncSession, pending: list[tuple[str, str]]) -> None:
        """On PostgreSQL a NOTIFY rides in the transaction: it is heard if and only if the commit happened."""
        if self.is_sqlite or not pending:
            return
        for channel, payload in dict.fromkeys(pending):
            await session.execute(text("SELECT pg_notify(:c, :p)"), {"c": f"tieout_{channel}", "p": payload})

    async def now(self, session: AsyncSession) -> datetime:
        """Return the time that leases are measured by (F26): the database's own, or ours where it is a file."""
        if self.is_sqlite:
            return self.runtime.now()
        found: datetime = (await session.execute(text("SELECT clock_timestamp()"))).scalar_one()
        return found

    async def unit(self, work: Callable[[], Awaitable[T]]) -> T:
        """Run a whole unit of work, again on a deadlock, a serialization failure or a lost lock (F27)."""
        for attempt in range(1, _UNIT_TRIES + 1):
            try:
                return await work()
            except DBAPIError as exc:
                if attempt == _UNIT_TRIES or not _is_passing(exc):
                    raise
                await self.runtime.sleep(0.05 * attempt * (1 + self.runtime.random()))
        raise AssertionError("unreachable")

    async def aclose(self) -> None:
        """Close every connection."""
        await self.engine.dispose()


def _is_passing(exc: DBAPIError) -> bool:
    state = getattr(exc.orig, "sqlstate", None)
    if state in _RETRIED_STATES:
        return True
    return isinstance(exc, OperationalError) and "database is locked" in str(exc.orig)


def is_away(exc: BaseException) -> bool:
    """Say whether the database is away, full or torn off: no fault of what was being done, which may be done again."""
    if not isinstance(exc, DBAPIError):
        # So the driver says that it got no connection.
        return isinstance(exc, ConnectionError | TimeoutError)
    if exc.connection_invalidated or _is_passing(exc):
        return True
    cause = exc.orig.__cause__ if exc.orig is not None else None
    if isinstance(cause, _LINE_ERRORS) and not isinstance(cause, asyncpg.DataError):
        # Said of a line that the server has closed while nobody listened.
        return True
    if isinstance(exc.orig, sqlite3.OperationalError):
        return exc.orig.sqlite_errorcode & 0xFF in _AWAY_CODES
    return str(getattr(exc.orig, "sqlstate", None)).startswith(_AWAY_STATES)


def check_rows(session: AsyncSession, model: type[Any], rows: Iterable[Mapping[str, Any]]) -> None:
    """Refuse rows of another tenant on their way past the ORM."""
    if session.info.get(_SYSTEM) or not issubclass(model, TenantOwned):
        return
    tenant_id = session.info.get(_TENANT)
    if tenant_id is None:
        raise NoTenantError("a tenant-owned row was added without a tenant")
    if any(row.get("tenant_id") != tenant_id for row in rows):
        raise ForeignRowError("a row of another tenant was about to be written")


def announce(session: AsyncSession, channel: str, payload: str) -> None:
    """Wake listeners of ``channel`` once this transaction is committed; never before, never without."""
    session.info[_SIGNALS].append((channel, payload))
