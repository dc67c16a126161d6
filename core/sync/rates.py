"""The books' own exchange rate of a day, as it was read from them: planning never asks a provider."""

from datetime import date
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core.db.models import BooksRate
from core.errors import StopError
from core.reasons import Reason


class RateMissingError(StopError):
    """A plan needs a rate that has not been read yet: the lane reads it, then plans again."""

    def __init__(self, currency: str, day: date) -> None:
        super().__init__(Reason.RATE_PENDING, {"currency": currency.upper(), "date": day.isoformat()})
        self.currency = currency
        self.day = day


async def find_rate(session: AsyncSession, connection_id: UUID, currency: str, day: date) -> str | None:
    """Return the rate of a day: home units for one foreign unit; None where the books tell it nobody.

    Raises:
        RateMissingError: it has not been read yet.
    """
    statement = select(BooksRate).where(
        BooksRate.connection_id == connection_id, BooksRate.currency == currency.lower(), BooksRate.day == day
    )
    row = (await session.execute(statement)).scalar_one_or_none()
    if row is None:
        raise RateMissingError(currency, day)
    return row.rate
