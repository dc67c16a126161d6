"""Files of databases that every fork of the process has for itself, and a driver without a thread.

The product's driver answers from a thread of its own; each answer then waits for the event loop, in an order that
nobody can repeat. Here SQLite is called where the statement is asked, and somebody watches every statement.
"""

import shutil
import sqlite3
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any, Protocol

from aiosqlite import core as driver

NAMES = "/simulated/"
"""Files under this name lie in :attr:`Disk.root`."""

WATCHED = NAMES + "tieout.db"
"""The product's database; the practice books are another machine's business."""

_MOST_PAGES = 1_073_741_823
_connect_to_file = sqlite3.connect


class Watcher(Protocol):
    """Who may let a statement fail, or the process die over it."""

    def before(self, sql: str, connection: "_Connection") -> None:
        """Called before anything happens."""

    def after(self, sql: str) -> None:
        """Called when it has happened."""

    def failed(self, error: sqlite3.OperationalError) -> None:
        """Called when SQLite itself has refused it."""


class _Nobody:
    def before(self, sql: str, connection: "_Connection") -> None: ...

    def after(self, sql: str) -> None: ...

    def failed(self, error: sqlite3.OperationalError) -> None: ...


class Disk:
    """Where files really lie, and who watches."""

    root = Path("/nowhere")
    watcher: Watcher = _Nobody()
    left: list[sqlite3.Connection] | None = None
    """Connections of the process that this one was forked from: never to be closed here."""


class _Cursor(sqlite3.Cursor):
    def execute(self, sql: str, parameters: Any = ()) -> "_Cursor":
        Disk.watcher.before(sql, self.connection)  # type: ignore[arg-type]
        try:
            super().execute(sql, parameters)
        except sqlite3.OperationalError as error:
            Disk.watcher.failed(error)
            raise
        Disk.watcher.after(sql)
        return self

    def executemany(self, sql: str, parameters: Iterable[Any]) -> "_Cursor":
        Disk.watcher.before(sql, self.connection)  # type: ignore[arg-type]
        try:
            super().executemany(sql, parameters)
        except sqlite3.OperationalError as error:
            Disk.watcher.failed(error)
            raise
        Disk.watcher.after(sql)
        return self


class _Connection(sqlite3.Connection):
    is_cramped = False

    def leave_room(self, *, is_full: bool) -> None:
        """Let SQLite find the disk full as soon as the file has to grow, or let it grow again."""
        self.is_cramped = is_full
        # No file becomes smaller for it: one page means as many as there are.
        sqlite3.Cursor(self).execute(f"PRAGMA max_page_count = {1 if is_full else _MOST_PAGES}")

    def cursor(self, factory: Any = _Cursor) -> Any:
        return super().cursor(factory)

    def execute(self, sql: str, parameters: Any = ()) -> sqlite3.Cursor:
        if sql.startswith("PRAGMA busy_timeout"):
            # Nobody else runs while SQLite waits here, so nobody could ever make room.
            sql = "PRAGMA busy_timeout=0"
        return self.cursor().execute(sql, parameters)

    def close(self) -> None:
        if Disk.left is None:
            super().close()
        else:
            Disk.left.append(self)

    def commit(self) -> None:
        Disk.watcher.before("COMMIT", self)
        super().commit()
        Disk.watcher.after("COMMIT")


def place(name: str) -> Path:
    """Return where the file called ``name`` really is."""
    return Disk.root / name.removeprefix(NAMES) if name.startswith(NAMES) else Path(name)


def _connect(database: Any, *args: Any, **options: Any) -> sqlite3.Connection:
    name = str(database)
    if name == WATCHED:
        options["factory"], options["timeout"] = _Connection, 0
    return _connect_to_file(place(name), *args, **options)


def peek(name: str = WATCHED) -> sqlite3.Connection:
    """Open a file for looking only: what is committed, and unseen by the watcher."""
    found = _connect_to_file(f"file:{place(name)}?mode=ro", uri=True, timeout=0, isolation_level=None)
    found.row_factory = sqlite3.Row
    return found


def copy(name: str = WATCHED) -> bytes:
    """Return the bytes of a file as a backup would have them: what is committed."""
    if not place(name).stat().st_size:
        return b""
    source = _connect_to_file(place(name), timeout=0)
    try:
        return source.serialize()
    finally:
        source.close()


def restore(content: bytes, name: str = WATCHED) -> None:
    """Put other content in the place of a file that nobody has open."""
    for left in ("-wal", "-shm"):
        Path(f"{place(name)}{left}").unlink(missing_ok=True)
    place(name).write_bytes(content)


def leave_for(root: Path, names: Iterable[str]) -> None:
    """Go on with copies of the files in another folder, as they are on the disk; the open ones are left alone."""
    for name in names:
        for end in ("", "-wal"):
            source = Path(f"{place(name)}{end}")
            if source.exists():
                shutil.copyfile(source, root / source.name)
    Disk.root, Disk.left = root, []


async def _execute(self: Any, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
    if self._connection is None:
        raise ValueError("Connection closed")
    return function(*args, **options)


class _AtOnce:
    """Stands where the driver keeps the queue of its thread; SQLAlchemy puts a setting there behind its back."""

    def put_nowait(self, work: tuple[Any, Callable[[], Any]]) -> None:
        future, function = work
        result = function()
        if future is not None:
            future.set_result(result)


async def _open(self: Any) -> Any:
    if self._connection is None:
        self._tx = _AtOnce()
        self._connection = self._connector()
    return self


def _await(self: Any) -> Any:
    return _open(self).__await__()


async def _close(self: Any) -> None:
    self.stop()


def _stop(self: Any) -> Awaitable[None] | None:
    if self._connection is not None:
        self._connection.close()
        self._connection = None
    self._running = False
    return None


def install() -> None:
    """Let this process use such files and the driver without its thread, for good."""
    connection: Any = driver.Connection
    connection._execute, connection._connect, connection.__await__ = _execute, _open, _await
    connection.close, connection.stop = _close, _stop
    sqlite3.connect = _connect  # type: ignore[assignment]
