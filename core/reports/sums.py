"""Totals of many payments, by settlement currency. Pure: screen and export add up with the same code."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta

from core.db.models import PaymentState
from core.reports.query import OPEN_STATES

MAX_CHART_DAYS = 3700


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
class DayGross:
    """Gross of one day: what is in the books, and what is still on its way there."""

    day: date
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
        total = self.of(portion.settled_currency)
        total.gross_minor += portion.gross_minor
        total.fee_minor += portion.fee_minor
        if portion.refunded_minor:
            self.of(portion.currency).refund_minor += portion.refunded_minor

    def by_currency(self, main: str) -> list[Totals]:
        """Return the totals, those of the ``main`` currency first."""
        return sorted(self._totals.values(), key=lambda total: (total.currency != main, total.currency))

    def of(self, currency: str) -> Totals:
        """Return the totals of one currency, zeros at first."""
        return self._totals.setdefault(currency, Totals(currency))


def days_of(portions: Iterable[Portion], currency: str, first: date, last: date) -> list[DayGross]:
    """Return every day from ``first`` to ``last`` with its gross in ``currency``; empty for endless periods.

    A day outside (the tenant has moved to another time zone since) is counted on the nearest one inside.
    """
    length = (last - first).days + 1
    if not 0 < length <= MAX_CHART_DAYS:
        return []
    in_books, still_open = [0] * length, [0] * length
    for portion in portions:
        if portion.settled_currency != currency:
            continue
        column = min(max((portion.day - first).days, 0), length - 1)
        if portion.state is PaymentState.SYNCED:
            in_books[column] += portion.gross_minor
        elif portion.state in OPEN_STATES:
            still_open[column] += portion.gross_minor
    return [DayGross(first + timedelta(days=n), in_books[n], still_open[n]) for n in range(length)]
