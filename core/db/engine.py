"""The engine for SQLite and PostgreSQL, with the settings that keep acknowledged rows (N3) and refuse endless waits."""

from pathlib import Path
from typing import Any

from sqlalchemy import Connection, event, make_url
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.util.concurrency import in_greenlet

from core.db.one_turn import OneTurnConnection, connect_in_turns

_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    # NORMAL may lose the last commits on power loss, and an acknowledged webhook must be a stored one.
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA busy_timeout=5000",
)
_POSTGRES_SETTINGS = {
    "lock_timeout": "5s",
    "statement_timeout": "15s",
    "idle_in_transaction_session_timeout": "30s",
    "application_name": "tieout",
    "timezone": "UTC",
}


def async_url(database_url: str) -> URL:
    """Return the URL with our driver; asyncpg knows ``ssl``, not ``sslmode`` (trap 5)."""
    url = make_url(database_url)
    if url.drivername.startswith("sqlite"):
        return url.set(drivername="sqlite+aiosqlite")
    query = dict(url.query)
    if "sslmode" in query:
        query["ssl"] = query.pop("sslmode")
    return url.set(drivername="postgresql+asyncpg", query=query)


def driver_dsn(database_url: str) -> str:
    """Return the address as asyncpg itself takes it, which knows ``sslmode`` and hands ``ssl`` on to the server."""
    url = make_url(database_url)
    query = dict(url.query)
    if "ssl" in query:
        query["sslmode"] = query.pop("ssl")
    return url.set(drivername="postgresql", query=query).render_as_string(hide_password=False)


def make_engine(database_url: str, *, pool_size: int = 10) -> AsyncEngine:
    """Create the engine; makes the folder of a SQLite file."""
    url = async_url(database_url)
    if url.drivername.startswith("sqlite"):
        return _sqlite(url)
    return create_async_engine(
        url,
        pool_size=pool_size,
        max_overflow=5,
        pool_pre_ping=True,
        hide_parameters=True,
        connect_args={"server_settings": _POSTGRES_SETTINGS, "timeout": 5},
    )


def _sqlite(url: URL) -> AsyncEngine:
    if url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_async_engine(url, hide_parameters=True, pool_size=10, max_overflow=5)

    @event.listens_for(engine.sync_engine, "do_connect")
    def _do_connect(dialect: Any, _record: object, arguments: Any, parameters: Any) -> OneTurnConnection:
        return connect_in_turns(dialect, arguments, parameters)

    @event.listens_for(engine.sync_engine, "connect")
    def _on_connect(dbapi_connection: Any, _record: object) -> None:
        dbapi_connection.isolation_level = None
        cursor = dbapi_connection.cursor()
        for pragma in _PRAGMAS:
            cursor.execute(pragma)
        cursor.close()

    @event.listens_for(engine.sync_engine, "invalidate")
    def _on_invalidate(dbapi_connection: Any, _record: object, _exception: object) -> None:
        # A task that is cancelled in mid-statement gives its connection up. Closing is not enough: while a cursor in
        # the traceback still holds the statement, SQLite keeps the closed connection, its transaction and its lock,
        # and every writer after it waited in vain. The roll-back queues up behind the statement.
        if in_greenlet():
            dbapi_connection.rollback()

    @event.listens_for(engine.sync_engine, "begin")
    def _on_begin(connection: Connection) -> None:
        mode = connection.get_execution_options().get("sqlite_begin", "DEFERRED")
        connection.exec_driver_sql(f"BEGIN {mode}")

    return engine
