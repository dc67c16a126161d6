"""Adding rows on a connection kept for nothing else: one statement, one commit, below the ORM.

For the inbox, which acknowledges nothing before it is committed. The ORM's way to the same commit costs nine turns of
the driver's thread, each waiting for an event loop that is busy with requests, and a statement compiled anew for every
number of rows: three quarters of what storing an event costs.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncConnection

from core.db.session import Database
from core.db.types import Base, TenantOwned


class Appender:
    """Adds rows of one table, leaving out those whose unique keys are taken. Not for use by two tasks at once.

    Args:
        db: the database.
        model: a table that belongs to no tenant: nothing here would check whose row it is.
        columns: the attributes that every row carries; the others get no value.
    """

    def __init__(self, db: Database, model: type[Base], columns: Sequence[str]) -> None:
        table = model.__table__
        if not isinstance(table, Table) or issubclass(model, TenantOwned):
            raise TypeError(f"{model.__name__} is not a table that belongs to nobody")
        self._db = db
        self._table = table.name
        self._columns = tuple(columns)
        dialect = db.engine.dialect
        self._writers = [table.c[name].type.dialect_impl(dialect).bind_processor(dialect) for name in columns]
        self._connection: AsyncConnection | None = None

    async def append(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Return once all of ``rows`` are committed; after an exception none of them is."""
        values = [self._values(row) for row in rows]
        driver = await self._driver()
        try:
            if self._db.is_sqlite:
                # Outside a transaction a statement is one by itself: a single turn of the driver's thread.
                flat = [value for row in values for value in row]
                await driver.execute_fetchall(self._statement(len(values)), flat)
            else:
                # All or nothing: the driver sends the rows in one go and the server takes them as one transaction.
                await driver.executemany(self._statement(1), values)
        except BaseException:
            await self.aclose(is_broken=True)
            raise

    async def announce(self, channel: str, payload: str) -> None:
        """Wake the listeners of ``channel``. A hint: whoever misses it finds the rows in its next sweep."""
        if self._db.is_sqlite:
            self._db.signals.publish(channel, payload)
            return
        driver = await self._driver()
        try:
            await driver.execute("SELECT pg_notify($1, $2)", f"tieout_{channel}", payload)
        except BaseException:
            await self.aclose(is_broken=True)
            raise

    async def aclose(self, *, is_broken: bool = False) -> None:
        """Give the connection back, or up."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if is_broken:
            await connection.invalidate()
        await connection.close()

    async def _driver(self) -> Any:
        if self._connection is None:
            self._connection = await self._db.engine.connect()
        return (await self._connection.get_raw_connection()).driver_connection

    def _values(self, row: Mapping[str, Any]) -> tuple[Any, ...]:
        return tuple(
            row[name] if write is None else write(row[name])
            for name, write in zip(self._columns, self._writers, strict=True)
        )

    def _statement(self, rows: int) -> str:
        names, width = ", ".join(self._columns), len(self._columns)
        marks = ("?",) * width if self._db.is_sqlite else tuple(f"${number + 1}" for number in range(width))
        values = ", ".join([f"({', '.join(marks)})"] * rows)
        return f"INSERT INTO {self._table} ({names}) VALUES {values} ON CONFLICT DO NOTHING"  # noqa: S608 - our names
