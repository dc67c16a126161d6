"""What a period adds up to, by day or month, state and currencies: the chips, the sums and the chart come from here.

Read from the totals that the database keeps; only a narrowed query adds up payments themselves.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from core.db.models import Payment, PaymentTotal, Span
from core.reports.narrowing import Narrowed
from core.reports.query import PaymentQuery
from core.reports.sums import Portion, is_by_month


@dataclass(frozen=True, slots=True)
class Period:
    """The days that the page shows, both included, and what they add up to; nothing where nothing is counted."""

    first: date
    last: date
    portions: list[Portion]


async def read_period(
    session: AsyncSession, query: PaymentQuery, found: Narrowed, *, zone: tzinfo, today: date
) -> Period:
    """Return what ``query`` adds up to, whatever its state and page.

    A period without an end reaches from the first payment found to ``today``, or to the last one.
    """
    if found.is_narrow and found.is_counted:
        portions = await _added_up(session, found.where)
        days = [portion.day for portion in portions]
        return Period(*_ends(query, min(days, default=None), max(days, default=None), today), portions)
    oldest = newest = None
    if query.first is None or query.last is None:
        oldest, newest = await _oldest_and_newest(session, zone)
    first, last = _ends(query, oldest, newest, today)
    return Period(first, last, await _kept(session, first, last) if found.is_counted else [])


def _ends(query: PaymentQuery, oldest: date | None, newest: date | None, today: date) -> tuple[date, date]:
    last = query.last or max(today, newest or today)
    first = query.first or oldest or last
    return min(first, last), max(first, last)


async def _oldest_and_newest(session: AsyncSession, zone: tzinfo) -> tuple[date | None, date | None]:
    oldest, newest = select(func.min(Payment.paid_at)), select(func.max(Payment.paid_at))
    statement = select(oldest.scalar_subquery(), newest.scalar_subquery())
    first_at, last_at = (await session.execute(statement)).one()
    return _day(first_at, zone), _day(last_at, zone)


def _day(moment: datetime | None, zone: tzinfo) -> date | None:
    return moment.astimezone(zone).date() if moment is not None else None


async def _kept(session: AsyncSession, first: date, last: date) -> list[Portion]:
    """Read totals: whole months of a long period and the days at its ends, or all the days of a short one."""
    place = (
        PaymentTotal.first_day,
        PaymentTotal.state,
        PaymentTotal.currency,
        PaymentTotal.settled_currency,
    )
    statement = (
        select(
            *place,
            func.sum(PaymentTotal.payments),
            func.sum(PaymentTotal.gross_minor),
            func.sum(PaymentTotal.fee_minor),
            func.sum(PaymentTotal.refunded_minor),
        )
        .where(or_(*_spans(first, last)))
        .group_by(PaymentTotal.span, *place)
        .having(func.sum(PaymentTotal.payments) != 0)
    )
    return _portions((await session.execute(statement)).all())


def _spans(first: date, last: date) -> list[ColumnElement[bool]]:
    if not is_by_month(first, last):
        return [_within(Span.DAY, first, last)]
    one_day = timedelta(days=1)
    whole_from, whole_to = _month_start(first - one_day, 1), _month_start(last + one_day, 0) - one_day
    return [
        _within(Span.DAY, first, whole_from - one_day),
        _within(Span.MONTH, whole_from, whole_to),
        _within(Span.DAY, whole_to + one_day, last),
    ]


def _within(span: Span, first: date, last: date) -> ColumnElement[bool]:
    return and_(PaymentTotal.span == span, PaymentTotal.first_day >= first, PaymentTotal.first_day <= last)


def _month_start(day: date, later: int) -> date:
    """Return the first day of the month of ``day``, or of a later one."""
    number = day.year * 12 + day.month - 1 + later
    return date(number // 12, number % 12 + 1, 1)


async def _added_up(session: AsyncSession, where: Sequence[ColumnElement[bool]]) -> list[Portion]:
    settled = func.coalesce(Payment.settled_currency, Payment.currency)
    statement = (
        select(
            Payment.book_date,
            Payment.state,
            Payment.currency,
            settled,
            func.count(),
            func.sum(func.coalesce(Payment.settled_minor, Payment.amount_minor)),
            func.sum(func.coalesce(Payment.fee_minor, 0)),
            func.sum(Payment.refunded_minor),
        )
        .where(*where)
        .group_by(Payment.book_date, Payment.state, Payment.currency, settled)
    )
    return _portions((await session.execute(statement)).all())


def _portions(rows: Sequence[Any]) -> list[Portion]:
    # PostgreSQL adds bigints up to a decimal; all of these are whole numbers.
    return [
        Portion(day, state, currency, settled_in, int(count), int(gross), int(fee), int(refunded))
        for day, state, currency, settled_in, count, gross, fee, refunded in rows
    ]
