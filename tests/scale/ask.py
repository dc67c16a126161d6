"""What the database does for a question: the plan of every statement that a function sends, with its cost."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import event, text

from core.db.session import Database


@dataclass(frozen=True, slots=True)
class Plan:
    """One statement, how PostgreSQL ran it, for how long, and how many pages of 8 KiB it looked at."""

    statement: str
    lines: tuple[str, ...]
    took_ms: float
    pages: int

    def scans(self) -> list[str]:
        """Return the tables that were read from one end to the other."""
        return re.findall(r"Seq Scan on (\w+)", "\n".join(self.lines))

    def indexes(self) -> set[str]:
        """Return the indexes that were used."""
        found = re.findall(r"using (\w+)|Bitmap Index Scan on (\w+)", "\n".join(self.lines))
        return {name for pair in found for name in pair if name}


async def plans(db: Database, work: Callable[[], Awaitable[Any]]) -> list[Plan]:
    """Run ``work`` and explain what it asked; the questions are asked again, and undone."""
    asked: list[tuple[str, Any]] = []

    def note(_c: Any, _u: Any, statement: str, parameters: Any, _x: Any, many: bool) -> None:
        if not many and statement.lstrip().upper().startswith(("SELECT", "WITH", "UPDATE", "INSERT")):
            asked.append((statement, parameters))

    sync = db.engine.sync_engine
    event.listen(sync, "before_cursor_execute", note)
    try:
        await work()
    finally:
        event.remove(sync, "before_cursor_execute", note)
    found = []
    async with db.engine.connect() as connection:
        for statement, parameters in asked:
            await connection.execute(text("SET LOCAL statement_timeout = 0"))
            rows = await connection.exec_driver_sql("EXPLAIN (ANALYZE, BUFFERS) " + statement, parameters)
            found.append(_plan(statement, tuple(row[0] for row in rows)))
            await connection.rollback()
    return found


def _plan(statement: str, lines: tuple[str, ...]) -> Plan:
    took = next((float(found[1]) for line in lines if (found := re.match(r"Execution Time: ([\d.]+)", line))), 0.0)
    first = next((line for line in lines if "Buffers:" in line), "")
    pages = sum(int(count) for count in re.findall(r"(?:hit|read)=(\d+)", first))
    return Plan(" ".join(statement.split()), lines, took, pages)
