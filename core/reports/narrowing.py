"""How the payments that a query asks for are found: never by reading every payment of a long history.

Without words and without a service, sums and counts come from ``payment_total`` and rows from the newest on. A narrowed
query is counted row by row, so it is counted only where few rows come into question: few in the shown period, or few
that the rarest of its words begins. Beyond that its rows are still listed, newest first, and its sums are left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from core.db.models import Payment, PaymentLine, PaymentWord
from core.reports.query import PaymentQuery
from core.reports.standing import Standing
from core.reports.statements import conditions, in_period
from core.search import MAX_WORD

_LAST_CHARACTER = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many payments may be read one by one. ``found``: that a word or a service has, in a longer period."""

    in_period: int = 4_000
    found: int = 1_500


BOUNDS = Bounds()


@dataclass(frozen=True, slots=True)
class Narrowed:
    """The condition on rows. ``is_counted``: few enough come into question to count them and add them up."""

    where: Sequence[ColumnElement[bool]]
    is_narrow: bool
    is_counted: bool


async def narrow(
    session: AsyncSession, query: PaymentQuery, standing: Standing, *, bounds: Bounds = BOUNDS
) -> Narrowed:
    """Decide how to read what ``query`` asks for. One query to the database for each thing that narrows it, or none."""
    where = conditions(query, standing.zone)
    if not query.words and query.service_id is None:
        return Narrowed(where, is_narrow=False, is_counted=True)
    if await _is_few_in_period(session, query, standing, bounds.in_period):
        return Narrowed(where, is_narrow=True, is_counted=True)
    for candidates in _candidates(query):
        found = (await session.execute(candidates.limit(bounds.found + 1))).scalars().all()
        if len(found) <= bounds.found:
            return Narrowed([Payment.id.in_(set(found)), *where], is_narrow=True, is_counted=True)
    return Narrowed(where, is_narrow=True, is_counted=False)


async def _is_few_in_period(session: AsyncSession, query: PaymentQuery, standing: Standing, most: int) -> bool:
    some = select(Payment.id).where(*in_period(query, standing.zone)).limit(most + 1).subquery()
    return ((await session.scalar(select(func.count()).select_from(some))) or 0) <= most


def _candidates(query: PaymentQuery) -> list[Select[tuple[UUID]]]:
    """Return one statement for each thing that narrows the query; long words first, as they are rarer."""
    found: list[Select[Any]] = [
        select(PaymentWord.payment_id).where(*_begins_with(word)) for word in sorted(query.words, key=len, reverse=True)
    ]
    if query.service_id is not None:
        found.append(select(PaymentLine.payment_id).where(PaymentLine.service_id == query.service_id))
    return found


def _begins_with(word: str) -> tuple[ColumnElement[bool], ...]:
    start = word[:MAX_WORD]
    return PaymentWord.word >= start, PaymentWord.word < start + _LAST_CHARACTER
