"""SQLite in one turn of the driver's thread for each statement, instead of four.

The driver hands every small step to the connection's thread and waits for the event loop to hear of its end: open a
cursor, execute, fetch, close. Each such turn costs more than what SQLite does meanwhile; together they were more than
half of what a unit of work took, and most of what a request waited in line for.
"""

from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy.dialects.sqlite.aiosqlite import AsyncAdapt_aiosqlite_connection, AsyncAdapt_aiosqlite_cursor

T = TypeVar("T")


class _Turns:
    """Work that was handed to a connection's thread and is not known to have ended."""

    __slots__ = ("open",)

    def __init__(self) -> None:
        self.open = 0


class OneTurnCursor(AsyncAdapt_aiosqlite_cursor):
    """A cursor whose whole life is one function on the connection's thread; its rows are read at once."""

    __slots__ = ("_description", "_lastrowid", "_rowcount")

    def __init__(self, adapt_connection: "OneTurnConnection") -> None:
        self._adapt_connection = adapt_connection
        self._connection = adapt_connection._connection
        self._rows: deque[Any] = deque()
        self._description: Any = None
        self._rowcount, self._lastrowid = -1, 0

    @property
    def description(self) -> Any:
        """Return the columns of the statement, None where it has none."""
        return self._description

    @property
    def rowcount(self) -> int:
        """Return how many rows were changed."""
        return self._rowcount

    @property
    def lastrowid(self) -> int:
        """Return the number of the row that was added last."""
        return self._lastrowid

    async def _execute_async(self, operation: Any, parameters: Any) -> Any:
        await self._run(lambda cursor: cursor.execute(operation, parameters if parameters is not None else ()))

    async def _executemany_async(self, operation: Any, seq_of_parameters: Any) -> Any:
        await self._run(lambda cursor: cursor.executemany(operation, seq_of_parameters))

    async def _run(self, work: Callable[[Any], object]) -> None:
        connection: Any = self._adapt_connection

        def turn() -> tuple[Any, list[Any], int, int]:
            cursor = self._connection._conn.cursor()
            try:
                work(cursor)
                rows = cursor.fetchall() if cursor.description else []
                return cursor.description, rows, cursor.rowcount, cursor.lastrowid or 0
            finally:
                cursor.close()

        async with connection._execute_mutex:
            self._description, rows, self._rowcount, self._lastrowid = await connection.run(turn)
            self._rows = deque(rows)

    async def _async_soft_close(self) -> None:
        """There is nothing left to close."""

    def close(self) -> None:
        """Forget the rows."""
        self._rows.clear()


class OneTurnConnection(AsyncAdapt_aiosqlite_connection):
    """A connection that makes such cursors, and rolls back only where there is something to roll back."""

    __slots__ = ("_turns",)

    _cursor_cls: Any = OneTurnCursor

    def __init__(self, dbapi: Any, connection: Any) -> None:
        super().__init__(dbapi, connection)
        self._turns = _Turns()

    async def run(self, work: Callable[[], T]) -> T:
        """Run ``work`` on the connection's thread."""
        self._turns.open += 1
        try:
            found: T = await self._connection._execute(work)
        except Exception:
            # Not so where we are cancelled: then the work goes on without us.
            self._turns.open -= 1
            raise
        self._turns.open -= 1
        return found

    def rollback(self) -> None:
        """Give up the transaction, if there is one: the pool asks for it after every commit as well.

        Somebody who was cancelled in mid-statement may have begun one meanwhile: then it queues up behind.
        """
        if self._turns.open or self._connection.in_transaction:
            super().rollback()


def connect_in_turns(dialect: Any, connect_args: Any, connect_params: Any) -> OneTurnConnection:
    """Open a connection for the pool."""
    made = dialect.loaded_dbapi.connect(*connect_args, **connect_params)
    return OneTurnConnection(made.dbapi, made._connection)
