"""Totals of many payments, by settlement currency. Pure: screen and export add up with the same code."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise

from core.db.models import PaymentState
from core.reports.query import OPEN_STATES

MAX_CHART_DAYS = 3700

MOST_DAYS = 200
"""A period of this length or more is added up and drawn by months."""


@dataclass(frozen=True, slots=True)
class Portion:
    """Some payments of one day in one state and one pair of currencies, or a single payment.

    ``gross_minor`` is what Stripe settled, in ``settled_currency``; before Stripe has settled, what the client paid, in
    the client's currency. ``refunded_minor`` is always in the client's currency.
    """

    day: date
    state: PaymentState
    currency: str
    settled_currency: str
    count: int
    gross_minor: int
    fee_minor: int
    refunded_minor: int


@dataclass(slots=True)
class Totals:
    """Sums in one currency, in minor units. Fee and refund are positive and taken away."""

    currency: str
    gross_minor: int = 0
    fee_minor: int = 0
    refund_minor: int = 0

    @property
    def net_minor(self) -> int:
        """Gross less everything."""
        return self.gross_minor - self.fee_minor - self.refund_minor


@dataclass(frozen=True, slots=True)
class Column:
    """Gross of one day or month: what is in the books, and what is still on its way there. Both days included."""

    first: date
    last: date
    in_books_minor: int
    open_minor: int


class Sums:
    """Totals by currency, filled one portion at a time.

    A refund is counted in the currency that the client paid in. Where Stripe settled in another one, what the refund
    cost there is not in the payment, so it stands in a total of its own instead of being converted by a guess.
    """

    def __init__(self) -> None:
        self._totals: dict[str, Totals] = {}

    def add(self, portion: Portion) -> None:
        """Add one portion."""
        self.add_amounts(
            portion.settled_currency,
            portion.gross_minor,
            portion.fee_minor,
            portion.currency,
            portion.refunded_minor,
        )

    def add_amounts(
        self, settled_currency: str, gross_minor: int, fee_minor: int, currency: str, refunded_minor: int
    ) -> None:
        """Add the amounts of one portion."""
        total = self.of(settled_currency)
        total.gross_minor += gross_minor
        total.fee_minor += fee_minor
        if refunded_minor:
            self.of(currency).refund_minor += refunded_minor

    def by_currency(self, main: str) -> list[Totals]:
        """Return the totals, those of the ``main`` currency first."""
        return sorted(self._totals.values(), key=lambda total: (total.currency != main, total.currency))

    def of(self, currency: str) -> Totals:
        """Return the totals of one currency, zeros at first."""
        return self._totals.setdefault(currency, Totals(currency))


def is_by_month(first: date, last: date) -> bool:
    """Return whether a period is so long that it is added up by months instead of days."""
    return (last - first).days >= MOST_DAYS


def columns_of(portions: Iterable[Portion], currency: str, first: date, last: date) -> list[Column]:
    """Return every day from ``first`` to ``last``, or every month of a long period, with its gross in ``currency``.

    Empty for endless periods. A portion outside counts with the nearest inside.
    """
    if (last - first).days >= MAX_CHART_DAYS:
        return []
    if is_by_month(first, last):
        return _columns(portions, currency, _months(first, last), lambda day: _month_number(day) - _month_number(first))
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    return _columns(portions, currency, [(day, day) for day in days], lambda day: (day - first).days)


def _columns(
    portions: Iterable[Portion], currency: str, spans: Sequence[tuple[date, date]], place_of: Callable[[date], int]
) -> list[Column]:
    in_books, still_open = [0] * len(spans), [0] * len(spans)
    for portion in portions:
        if portion.settled_currency != currency:
            continue
        place = min(max(place_of(portion.day), 0), len(spans) - 1)
        if portion.state is PaymentState.SYNCED:
            in_books[place] += portion.gross_minor
        elif portion.state in OPEN_STATES:
            still_open[place] += portion.gross_minor
    return [
        Column(*span, *amounts) for span, amounts in zip(spans, zip(in_books, still_open, strict=True), strict=True)
    ]


def _months(first: date, last: date) -> list[tuple[date, date]]:
    """Return the months of a period; the first and the last of them may be parts."""
    starts = [date(number // 12, number % 12 + 1, 1) for number in range(_month_number(first), _month_number(last) + 2)]
    return [(max(start, first), min(following - timedelta(days=1), last)) for start, following in pairwise(starts)]


def _month_number(day: date) -> int:
    return day.year * 12 + day.month - 1
