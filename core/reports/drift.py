"""What the drift watch knows beside our own documents: what others wrote on clearing, and how far it sees."""

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from core.db.models import OthersEntry
from core.reports.standing import Standing

MOST_NAMED = 5
"""Entries of others that are named one by one; the others are counted."""

MOST_LISTED = 1000


@dataclass(frozen=True, slots=True)
class Watch:
    """How well the books are watched. ``others``: the newest entries of somebody else's; ``more`` of them are not here.

    ``others_minor`` is what all of them do to clearing; None where the books do not say it of one of them.
    ``is_reading_all``: the books told changes no longer, so that each entry is being read back.
    """

    asked_at: datetime | None
    is_reading_all: bool
    others: tuple[OthersEntry, ...]
    more: int
    others_minor: int | None


async def read_watch(session: AsyncSession, standing: Standing, *, day: date | None = None) -> Watch:
    """Return what is known of the present books beside our own documents.

    Args:
        session: of the tenant.
        standing: read before, in the same session.
        day: what others wrote up to and with this day; None for all of it.
    """
    if standing.books is None:
        return Watch(None, False, (), 0, 0)
    connection = standing.books.connection
    mine: list[ColumnElement[bool]] = [OthersEntry.connection_id == connection.id, OthersEntry.is_gone.is_(False)]
    if day is not None:
        mine.append(OthersEntry.day <= day)
    effect = OthersEntry.effect_minor
    statement = (
        select(OthersEntry, func.count().over(), func.count(effect).over(), func.sum(effect).over())
        .where(*mine)
        .order_by(OthersEntry.day.desc(), OthersEntry.id)
        .limit(MOST_NAMED)
    )
    rows = (await session.execute(statement)).all()
    found = tuple(row[0] for row in rows)
    _, count, known, total = rows[0] if rows else (None, 0, 0, 0)
    return Watch(
        asked_at=connection.changes_read_at,
        is_reading_all=connection.changes_lost_at is not None,
        others=found,
        more=count - len(found),
        others_minor=int(total or 0) if known == count else None,
    )


async def list_others(session: AsyncSession, connection_id: UUID) -> list[OthersEntry]:
    """Return what others wrote on the clearing account of these books, oldest first; at most a thousand."""
    statement = (
        select(OthersEntry)
        .where(OthersEntry.connection_id == connection_id, OthersEntry.is_gone.is_(False))
        .order_by(OthersEntry.day, OthersEntry.id)
        .limit(MOST_LISTED)
    )
    return list((await session.execute(statement)).scalars())
