"""Alembic's entry: the same engine as the product, so migrations run under the same settings."""

import asyncio
from typing import Any, Literal

from alembic import context
from sqlalchemy import Connection

import core.db.models  # noqa: F401 - registers every table
from core.db.engine import make_engine
from core.db.types import Base, UTCDateTime


def _render_item(type_: str, obj: Any, autogen_context: Any) -> str | Literal[False]:
    """Write our own types so that the generated file imports (trap 7)."""
    if type_ == "type" and isinstance(obj, UTCDateTime):
        return "core.db.types.UTCDateTime()"
    if type_ == "type" and obj.__class__.__name__ == "JSON":
        return 'sa.JSON().with_variant(postgresql.JSONB(), "postgresql")'
    return False


def _run(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        # An index over a year of events takes minutes; the product's own statements may take 15 s. Nobody waits here for
        # a lock longer than they do.
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_item=_render_item,
        render_as_batch=True,
        compare_type=False,
    )
    with context.begin_transaction():
        context.run_migrations()


async def _main() -> None:
    engine = make_engine(context.config.attributes["database_url"])
    writing = engine.execution_options(sqlite_begin="IMMEDIATE")
    async with writing.begin() as connection:
        await connection.run_sync(_run)
    await engine.dispose()


asyncio.run(_main())
