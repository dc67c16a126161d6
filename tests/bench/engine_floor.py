"""The least that the databases must do for the same sales: the very rows of a run, written again by the raw drivers.

No planning, no ORM, no lease: the rows that the engine wrote for its items, in as many transactions as it takes, with
the same durability.
"""

import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import asyncpg

_COPIED = ("tenant", "customer", "service", "connection", "lane", "payment", "payment_line", "sync_item")
_WRITTEN = ("books_document", "clearing_line", "operation", "attempt")

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Sale:
    """What was written for one item: documents and operations in their order, and what became of them."""

    item: Row
    documents: Sequence[Row]
    lines: Sequence[Row]
    operations: Sequence[Row]
    attempts: Sequence[Row]


class Driver(Protocol):
    """A raw connection."""

    async def begin(self) -> None:
        """Open a transaction."""

    async def commit(self) -> None:
        """Make it durable."""

    async def many(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run a statement, written with ``?``, for each of ``rows``."""

    async def read(self, table: str) -> list[Row]:
        """Return the rows of a table."""


class SqliteDriver:
    """Python's own driver."""

    def __init__(self, path: Path) -> None:
        self.connection = sqlite3.connect(path, isolation_level=None)
        self.connection.row_factory = sqlite3.Row
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=OFF"):
            self.connection.execute(f"PRAGMA {pragma}")

    async def begin(self) -> None:
        """Open a transaction."""
        self.connection.execute("BEGIN IMMEDIATE")

    async def commit(self) -> None:
        """Make it durable."""
        self.connection.execute("COMMIT")

    async def many(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run a statement for each of ``rows``."""
        self.connection.executemany(statement, rows)

    async def read(self, table: str) -> list[Row]:
        """Return the rows of a table."""
        return [dict(row) for row in self.connection.execute(f'SELECT * FROM "{table}"')]


class PostgresDriver:
    """asyncpg, without constraints that look for rows of tables that are not copied."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    async def begin(self) -> None:
        """Open a transaction."""
        await self._connection.execute("BEGIN; SET LOCAL session_replication_role = replica")

    async def commit(self) -> None:
        """Make it durable."""
        await self._connection.execute("COMMIT")

    async def many(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run a statement for each of ``rows``."""
        parts = statement.split("?")
        numbered = "".join(f"{part}${number}" for number, part in enumerate(parts[:-1], 1)) + parts[-1]
        await self._connection.executemany(numbered, rows)

    async def read(self, table: str) -> list[Row]:
        """Return the rows of a table."""
        return [dict(row) for row in await self._connection.fetch(f'SELECT * FROM "{table}"')]


async def on_sqlite(finished: Path, empty: Path, *, together: int) -> float:
    """Write what stands in ``finished`` into ``empty``; return items per second."""
    source, target = SqliteDriver(finished), SqliteDriver(empty)
    with closing(source.connection), closing(target.connection):
        return await _write_again(source, target, together)


async def on_postgres(finished: str, empty: str, *, together: int) -> float:
    """Do so from one database of a server to another one."""
    source, target = await asyncpg.connect(finished), await asyncpg.connect(empty)
    try:
        return await _write_again(PostgresDriver(source), PostgresDriver(target), together)
    finally:
        await source.close()
        await target.close()


async def _write_again(source: Driver, target: Driver, together: int) -> float:
    await target.begin()
    for table in _COPIED:
        await _insert(target, table, await source.read(table))
    await target.commit()
    sales = _sales({table: await source.read(table) for table in ("sync_item", *_WRITTEN)})
    began = time.perf_counter()
    for start in range(0, len(sales), together):
        await _post(target, sales[start : start + together])
    return len(sales) / (time.perf_counter() - began)


def _sales(tables: dict[str, list[Row]]) -> list[Sale]:
    by_item: dict[Any, Sale] = {row["id"]: Sale(row, [], [], [], []) for row in tables["sync_item"]}
    owner = {row["id"]: row["item_id"] for row in tables["books_document"]}
    for name, field in (("books_document", "documents"), ("operation", "operations"), ("attempt", "attempts")):
        for row in tables[name]:
            getattr(by_item[row["item_id"]], field).append(row)
    for row in tables["clearing_line"]:
        getattr(by_item[owner[row["document_id"]]], "lines").append(row)  # noqa: B009 - as above
    return list(by_item.values())


async def _post(target: Driver, sales: Sequence[Sale]) -> None:
    """Plan and send the first documents; settle each and send the next; settle the last and close the items."""
    await target.begin()
    await _insert(target, "books_document", [row for sale in sales for row in sale.documents])
    await _insert(target, "clearing_line", [row for sale in sales for row in sale.lines])
    await _show(target, sales, "working", "syncing")
    steps = len(sales[0].operations)
    for step in range(steps):
        await _insert(target, "operation", [sale.operations[step] for sale in sales])
        await target.commit()
        await target.begin()
        done = [sale.operations[step] for sale in sales]
        await _insert(target, "attempt", [sale.attempts[step] for sale in sales])
        await target.many(
            "UPDATE operation SET state = ?, external_id = ?, settled_at = ? WHERE id = ?",
            [(row["state"], row["external_id"], row["settled_at"], row["id"]) for row in done],
        )
        await target.many(
            "UPDATE books_document SET state = ?, external_id = ?, posted_at = ? WHERE id = ?",
            [
                (row["state"], row["external_id"], row["posted_at"], row["id"])
                for row in (sale.documents[step] for sale in sales)
            ],
        )
    await _show(target, sales, "done", "synced")
    await target.commit()


async def _show(target: Driver, sales: Sequence[Sale], item: str, payment: str) -> None:
    rows = [(item, sale.item["changed_at"], sale.item["id"]) for sale in sales]
    await target.many("UPDATE sync_item SET state = ?, changed_at = ? WHERE id = ?", rows)
    await target.many(
        "UPDATE payment SET state = ? WHERE id = ?", [(payment, sale.item["payment_id"]) for sale in sales]
    )


async def _insert(target: Driver, table: str, rows: Sequence[Row]) -> None:
    if rows:
        names = ", ".join(f'"{name}"' for name in rows[0])
        marks = ", ".join("?" * len(rows[0]))
        await target.many(f'INSERT INTO "{table}" ({names}) VALUES ({marks})', [tuple(row.values()) for row in rows])
