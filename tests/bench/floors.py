"""What the databases give when nothing of ours stands before them: the same row, one commit each."""

import asyncio
import sqlite3
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import msgspec

COLUMNS = (
    "id",
    "scope",
    "event_id",
    "account",
    "type",
    "is_live",
    "api_version",
    "object_id",
    "stripe_created_at",
    "payload",
    "received_at",
    "state",
    "tries",
)
"""Of ``stripe_event``, as the intake fills it."""

_WAL_HEAD, _FRAME_HEAD = 32, 24


def event_rows(events: Sequence[tuple[str, bytes]]) -> list[tuple[Any, ...]]:
    """Return the rows that the intake makes of these bodies."""
    now = datetime.now(UTC)
    rows = []
    for event_id, body in events:
        event = msgspec.json.decode(body)
        kind, version, target = event["type"], event["api_version"], event["data"]["object"]["id"]
        row = (
            uuid4(),
            "platform",
            event_id,
            event["account"],
            kind,
            False,
            version,
            target,
            now,
            body,
            now,
            "stored",
            0,
        )
        rows.append(row)
    return rows


def sqlite_commits(path: Path, rows: Sequence[tuple[Any, ...]], *, group: int = 1) -> float:
    """Insert ``group`` rows a commit, as durably as the product does; return rows per second."""
    plain = [(row[0].hex, *row[1:8], _text(row[8]), row[9], _text(row[10]), *row[11:]) for row in rows]
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")
        statement = f"INSERT INTO stripe_event ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"
        started = time.perf_counter()
        for begin in range(0, len(plain), group):
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(statement, plain[begin : begin + group])
            connection.execute("COMMIT")
        return len(rows) / (time.perf_counter() - started)
    finally:
        connection.close()


async def postgres_commits(url: str, rows: Sequence[tuple[Any, ...]], connections: int = 32) -> float:
    """Insert and commit each row alone over ``connections``; return rows per second."""
    marks = ", ".join(f"${number}" for number in range(1, len(COLUMNS) + 1))
    statement = f"INSERT INTO stripe_event ({', '.join(COLUMNS)}) VALUES ({marks})"
    opened = [await asyncpg.connect(url) for _ in range(connections)]
    try:
        prepared = [await connection.prepare(statement) for connection in opened]
        waiting = iter(rows)

        async def work(insert: Any) -> None:
            for row in waiting:
                await insert.fetch(*row)

        started = time.perf_counter()
        await asyncio.gather(*(work(insert) for insert in prepared))
        return len(rows) / (time.perf_counter() - started)
    finally:
        for connection in opened:
            await connection.close()


def wal_commits(path: Path) -> int:
    """Count the commits in a write-ahead log: the frames that say how large the database is after them.

    Only whole while a reader keeps the log from being used again from its start.
    """
    log = path.with_name(f"{path.name}-wal").read_bytes()
    page_size, salt = int.from_bytes(log[8:12]), log[16:24]
    commits = 0
    for start in range(_WAL_HEAD, len(log) - _FRAME_HEAD, _FRAME_HEAD + page_size):
        head = log[start : start + _FRAME_HEAD]
        if head[8:16] != salt:
            break
        commits += head[4:8] != b"\0\0\0\0"
    return commits


def _text(moment: datetime) -> str:
    return moment.replace(tzinfo=None).isoformat(" ", "microseconds")
