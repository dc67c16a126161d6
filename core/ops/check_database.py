"""The database: is it there, of the right shape, with room and the right time; and what lies in it."""

import os
import shutil
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

from sqlalchemy import func, make_url, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from core.connections.secrets import SECRET_KINDS, SecretKind, unseal
from core.db.migrate import MigrationState, migration_state
from core.db.models import Connection, ConnectionStatus
from core.db.session import Database
from core.errors import CredentialError
from core.identity.rotate import find_missing_keys
from core.ops.findings import Finding, Level, judge
from core.ops.read_figures import read_figures, size_of_file
from core.wiring import Wiring

_SKEW, _MUCH_SKEW = timedelta(seconds=5), timedelta(seconds=60)
_LITTLE_ROOM, _NO_ROOM = 1_000_000_000, 100_000_000
_LONG_LOG = 256_000_000
_OLDEST_POSTGRES = 13
_SEALED_TRIED = 50
_POOL = 17
"""Connections that one process may open: its pool with overflow, the inbox's and the listener's own."""


def check_file(database_url: str) -> Iterator[Finding]:
    """Look at a SQLite file from outside: opening it would make it.

    Raises:
        ArgumentError: the address cannot be read.
    """
    path = Path(make_url(database_url).database or "")
    folder = path.parent
    if not path.is_file():
        yield Finding(
            "database",
            Level.BROKEN,
            f"There is no database at {path.name} yet, so nothing can be kept.",
            "Start `tieout web` once, which makes it, or correct the path in DATABASE_URL.",
        )
        return
    if not (os.access(path, os.R_OK | os.W_OK) and os.access(folder, os.W_OK)):
        yield Finding(
            "database",
            Level.BROKEN,
            f"{path.name} or its folder cannot be written by this user: events are answered with 503.",
            "Give the file and its folder to the user who runs `tieout web`.",
        )
        return
    mode = path.stat().st_mode & 0o777
    if mode & 0o007:
        yield Finding(
            "permissions",
            Level.WARNING,
            f"Everybody on this machine can read {path.name} (mode {mode:o}): names and amounts of all workspaces.",
            f"chmod 640 {path.name}, and the same for its -wal and -shm.",
        )
    yield room_left(shutil.disk_usage(folder).free)
    log = size_of_file(str(path)) - path.stat().st_size
    if log > _LONG_LOG:
        yield Finding(
            "wal",
            Level.WARNING,
            f"The write-ahead log of {path.name} has grown to {log // 1_000_000:,} MB: something reads for long.",
            "Restart `tieout web`; no other program may keep the file open.",
        )


async def check_database(wiring: Wiring, *, has_keys: bool) -> list[Finding]:
    """Look at the database and what lies in it; stops at what makes looking further pointless.

    Args:
        wiring: over a database that may be away, empty, or of another release.
        has_keys: whether its key ring is that of the settings.
    """
    found: list[Finding] = []
    try:
        found += [finding async for finding in _server(wiring)]
        state = await migration_state(wiring.db.engine)
        found.append(_MIGRATED[state])
        if state is not MigrationState.CURRENT:
            return found
        if has_keys:
            found += [finding async for finding in _keys(wiring)]
        found += judge(await read_figures(wiring))
    except (SQLAlchemyError, OSError) as exc:
        found.append(_away(wiring.db, exc))
    return found


_MIGRATED = {
    MigrationState.CURRENT: Finding("migrations", Level.FINE, "The database is at its newest shape."),
    MigrationState.EMPTY: Finding(
        "migrations", Level.BROKEN, "The database is empty: nothing can be kept in it yet.", "Run `tieout migrate`."
    ),
    MigrationState.BEHIND: Finding(
        "migrations",
        Level.BROKEN,
        "The database is not at its newest shape: workers refuse to start, and nothing is booked.",
        "Run `tieout migrate`.",
    ),
    MigrationState.AHEAD: Finding(
        "migrations",
        Level.WARNING,
        "The database is of a newer release than this one. It goes on working, since migrations only add.",
        "Bring this installation to the newer release.",
    ),
}


def _away(db: Database, exc: Exception) -> Finding:
    """Say in words why the database cannot be asked. The driver's text is left out: it quotes addresses and names."""
    said = {
        "ConnectionRefusedError": "nothing listens at its address",
        "TimeoutError": "it does not answer within five seconds",
        "gaierror": "its host's name is not known",
        "InvalidPasswordError": "it refuses the password",
        "InvalidAuthorizationSpecificationError": "it refuses the user",
        "InvalidCatalogNameError": "it has no database of that name",
        "TooManyConnectionsError": "it has no connection left",
    }
    cause: BaseException | None = exc
    while cause is not None:
        name = type(cause).__name__
        if name in said:
            return Finding(
                "database",
                Level.BROKEN,
                f"The database cannot be used: {said[name]}. Events are answered with 503, and Stripe tries again.",
                "Compare DATABASE_URL with what the database's host says, and look whether it runs.",
            )
        cause = getattr(cause, "orig", None) or cause.__cause__
    where = "file" if db.is_sqlite else "server"
    return Finding(
        "database",
        Level.BROKEN,
        f"The database cannot be used ({type(exc).__name__}). Events are answered with 503, and Stripe tries again.",
        f"Look at the database's {where} and its own log.",
    )


def room_left(free: int) -> Finding:
    """Say what so many free bytes on the database's disk mean."""
    if free >= _LITTLE_ROOM:
        return Finding("disk", Level.FINE, f"The database's disk has {free // 1_000_000_000:,} GB of room.")
    return Finding(
        "disk",
        Level.BROKEN if free < _NO_ROOM else Level.WARNING,
        f"The database's disk has only {free // 1_000_000:,} MB of room. When it is full, events are answered with 503 "
        "and nothing is booked.",
        "Make room, or move the file to a larger disk.",
    )


async def _server(wiring: Wiring) -> AsyncIterator[Finding]:
    """Look at version, clock and settings of the database."""
    db = wiring.db
    async with db.open_session() as session:
        if db.is_sqlite:
            version = (await session.execute(select(func.sqlite_version()))).scalar_one()
            yield Finding("database", Level.FINE, f"SQLite {version} answers.")
            return
        number = int((await session.execute(select(func.current_setting("server_version_num")))).scalar_one())
        yield _postgres(number // 10_000)
        before = wiring.runtime.now()
        theirs = await db.now(session)
        yield _clock(abs(theirs - before - (wiring.runtime.now() - before) / 2))
        yield await _connections(session)


def _postgres(version: int) -> Finding:
    if version < _OLDEST_POSTGRES:
        return Finding(
            "database",
            Level.WARNING,
            f"PostgreSQL {version} answers, which nobody tends any more; the tests run on 15.",
            "Move to PostgreSQL 15 or newer.",
        )
    return Finding("database", Level.FINE, f"PostgreSQL {version} answers.")


def _clock(skew: timedelta) -> Finding:
    if skew <= _SKEW:
        return Finding("clock", Level.FINE, "This machine and the database agree on the time.")
    return Finding(
        "clock",
        Level.BROKEN if skew > _MUCH_SKEW else Level.WARNING,
        f"The clocks of this machine and of the database are {skew.total_seconds():.0f} seconds apart. From five "
        "minutes on, every event of Stripe's is refused as stale.",
        "Let both take their time from the network (NTP).",
    )


async def _connections(session: AsyncSession) -> Finding:
    allowed = int((await session.execute(select(func.current_setting("max_connections")))).scalar_one())
    if allowed < 2 * _POOL:
        return Finding(
            "connections",
            Level.WARNING,
            f"PostgreSQL allows {allowed} connections; one process may open {_POOL}, and a deploy runs two beside each "
            "other. Under load, events would be answered with 503.",
            "Raise max_connections, or take a larger plan.",
        )
    return Finding("connections", Level.FINE, f"PostgreSQL allows {allowed} connections: {allowed // _POOL} processes.")


async def _keys(wiring: Wiring) -> AsyncIterator[Finding]:
    """Look whether the ring opens what is stored: by id for all, and by trying for some."""
    missing = sorted(await find_missing_keys(wiring.db, wiring.keys))
    if missing:
        yield Finding(
            "keys",
            Level.BROKEN,
            f"Stored tokens need key {', '.join(missing)}, which TOKEN_KEYS does not have: those connections stand "
            "still.",
            "Put the key back from your copy. If it is lost, the owners must connect anew.",
        )
    some = select(Connection).where(Connection.status == ConnectionStatus.ACTIVE).limit(_SEALED_TRIED)
    # Across tenants: what is opened here is forgotten at once; only whether it opened is told.
    async with wiring.db.system() as session:
        rows = (await session.execute(some)).scalars().all()
    shut = [row for row in rows if not all(_opens(wiring, row, kind) for kind in SECRET_KINDS)]
    if shut and not missing:
        yield Finding(
            "keys",
            Level.BROKEN,
            f"{len(shut)} of {len(rows)} connections hold a token that TOKEN_KEYS does not open, though a key of that "
            "id is there: it is another one.",
            "Put the old key back under its id, and give the new one another id.",
        )
    if not shut and not missing:
        yield Finding("keys", Level.FINE, "TOKEN_KEYS opens what is stored.")


def _opens(wiring: Wiring, row: Connection, kind: SecretKind) -> bool:
    if getattr(row, kind) is None:
        return True
    try:
        unseal(wiring.keys, row, kind)
    except CredentialError:
        return False
    return True
