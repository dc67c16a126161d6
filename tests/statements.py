"""Compile a statement once for each worker of the tests, whichever engine runs it.

Each test opens an engine of its own, SQLAlchemy keeps compiled statements with the engine, and most tests run each of
theirs once: a quarter of their CPU went into compiling the same statements again. The product has one engine for as
long as it lives.
"""

from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.dialects.sqlite.aiosqlite import SQLiteDialect_aiosqlite
from sqlalchemy.util import LRUCache

_KEPT = 4_000
_DIALECTS: tuple[type[Any], ...] = (PGDialect_asyncpg, SQLiteDialect_aiosqlite)
_compiled: dict[type[Any], LRUCache[Any, Any]] = {dialect: LRUCache(_KEPT) for dialect in _DIALECTS}


def share_compiled_statements() -> None:
    """Let the engines of this process share what they compiled.

    The dialect is part of a statement's key there. One server and one SQLite serve all engines of a test run, so their
    dialects differ in nothing but identity, and here they are equal.
    """
    for dialect in _DIALECTS:
        dialect.__hash__ = lambda self: hash(type(self))
        dialect.__eq__ = lambda self, other: type(self) is type(other)
    event.listen(Engine, "engine_connect", _share)


def _share(connection: Connection) -> None:
    engine: Any = connection.engine
    engine._compiled_cache = _compiled.get(type(engine.dialect), engine._compiled_cache)
