"""INSERT .. ON CONFLICT for both databases: uniqueness does the deduplication, never look-then-insert."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from core.db.types import Base


def _insert(session: AsyncSession, model: type[Base]) -> Any:
    table = model.__table__
    if not isinstance(table, Table):
        raise TypeError(f"{model.__name__} is not mapped to a table")
    dialect = session.get_bind().dialect.name
    return (sqlite if dialect == "sqlite" else postgresql).insert(table)


async def insert_missing(session: AsyncSession, model: type[Base], rows: Sequence[dict[str, Any]]) -> int:
    """Insert rows whose unique keys are free; return how many were."""
    if not rows:
        return 0
    statement = _insert(session, model).values(list(rows)).on_conflict_do_nothing()
    return int((await session.execute(statement)).rowcount)


async def upsert(
    session: AsyncSession, model: type[Base], row: dict[str, Any], *, key: Sequence[str], update: Sequence[str]
) -> Any:
    """Insert ``row``, or update the columns named by ``update`` of the row with the same ``key``; return its primary key."""
    statement = _insert(session, model).values(**row)
    statement = statement.on_conflict_do_update(
        index_elements=list(key), set_={name: statement.excluded[name] for name in update}
    ).returning(*model.__table__.primary_key.columns)
    return (await session.execute(statement)).one()[0]
