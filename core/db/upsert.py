"""INSERT .. ON CONFLICT for both databases: uniqueness does the deduplication, never look-then-insert.

The one module that writes tenant tables below the ORM, so it checks the tenant itself (T4).
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Table, insert
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from core.db.session import ROWS_CHECKED, check_rows
from core.db.types import Base


def _table(model: type[Base]) -> Table:
    table = model.__table__
    if not isinstance(table, Table):
        raise TypeError(f"{model.__name__} is not mapped to a table")
    return table


def _insert(session: AsyncSession, model: type[Base]) -> Any:
    dialect = session.get_bind().dialect.name
    return (sqlite if dialect == "sqlite" else postgresql).insert(_table(model))


async def insert_missing(session: AsyncSession, model: type[Base], rows: Sequence[dict[str, Any]]) -> list[Any]:
    """Insert rows with the same columns whose unique keys are free; return the primary keys of those that were."""
    if not rows:
        return []
    check_rows(session, model, rows)
    primary = next(iter(_table(model).primary_key.columns))
    statement = _insert(session, model).on_conflict_do_nothing().returning(primary)
    # As parameters: rows that are part of the statement make it a new one, compiled anew, each time.
    return list((await session.execute(statement, list(rows), execution_options=ROWS_CHECKED)).scalars())


async def upsert(
    session: AsyncSession, model: type[Base], row: dict[str, Any], *, key: Sequence[str], update: Sequence[str]
) -> Any:
    """Insert ``row``, or update the columns in ``update`` of the row with the same ``key``; return the primary key."""
    check_rows(session, model, [row])
    statement = _insert(session, model).values(**row)
    statement = statement.on_conflict_do_update(
        index_elements=list(key), set_={name: statement.excluded[name] for name in update}
    ).returning(next(iter(_table(model).primary_key.columns)))
    return (await session.execute(statement, execution_options=ROWS_CHECKED)).scalar_one()


async def insert_rows(session: AsyncSession, model: type[Base], rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows as they are, each with the same columns, in one statement."""
    if not rows:
        return
    check_rows(session, model, rows)
    await session.execute(insert(_table(model)), list(rows), execution_options=ROWS_CHECKED)
