"""Geometry of the bar chart: integer minor units in, positions out. Drawn by components/chart.html as plain SVG.

Widths are per cent of the figure, heights pixels, so that one drawing fits every screen without script.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

_TOP, _BOTTOM = 18.0, 110.0  # the plot, in pixels of a figure 132 high
_PLOT_WIDTH = 94.0  # per cent; the rest carries the amounts of the grid lines
_MOST_BARS = 45


@dataclass(frozen=True, slots=True, kw_only=True)
class DayAmounts:
    """Gross of one day in minor units: what is in the books and what is still open. ``last``: of several days."""

    day: date
    last: date | None = None
    in_books_minor: int = 0
    open_minor: int = 0


@dataclass(frozen=True, slots=True)
class Bar:
    """One column: positions as text ready for SVG, its dates and its amounts."""

    first: date
    last: date
    in_books_minor: int
    open_minor: int
    slot_x: str
    slot_width: str
    x: str
    width: str
    middle: str
    in_y: str
    in_height: str
    open_y: str
    open_height: str
    is_labelled: bool


@dataclass(frozen=True, slots=True)
class GridLine:
    """A horizontal line at ``amount_minor``."""

    y: str
    label_y: str
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Chart:
    """Everything to draw, and the totals for its description."""

    bars: tuple[Bar, ...]
    grid: tuple[GridLine, ...]
    in_books_minor: int
    open_minor: int
    busiest: Bar | None


def build_chart(days: Sequence[DayAmounts]) -> Chart:
    """Lay out ``days`` (every day or month of the period, in order); many days are drawn in whole weeks or more."""
    columns = _columns(days)
    tops = [max(column.in_books_minor, 0) + max(column.open_minor, 0) for _, column in columns]
    step = _grid_step(max(tops, default=0))
    scale = (_BOTTOM - _TOP) / (2 * step) if step else 0.0
    every = _label_step(len(columns))
    slot = _PLOT_WIDTH / len(columns) if columns else 0.0
    bars = tuple(
        _bar(position, first, amounts, slot=slot, scale=scale, is_labelled=position % every == 0)
        for position, (first, amounts) in enumerate(columns)
    )
    lines = [0, step, 2 * step] if step else [0]
    grid = tuple(
        GridLine(f"{_BOTTOM - amount * scale:.1f}", f"{_BOTTOM - amount * scale - 5:.1f}", amount) for amount in lines
    )
    busiest = max(zip(tops, bars, strict=True), key=lambda pair: pair[0], default=(0, None))
    return Chart(
        bars,
        grid,
        sum(bar.in_books_minor for bar in bars),
        sum(bar.open_minor for bar in bars),
        busiest[1] if busiest[0] else None,
    )


def _columns(days: Sequence[DayAmounts]) -> list[tuple[date, DayAmounts]]:
    """Return (first day, amounts with the last day) for every column."""
    size = -(-len(days) // _MOST_BARS) or 1
    if size > 1 and all(day.last in (None, day.day) for day in days):
        size = -(-len(days) // _MOST_BARS // 7) * 7 or 7
    found = []
    for start in range(0, len(days), size):
        part = days[start : start + size]
        total = DayAmounts(
            day=part[-1].last or part[-1].day,
            in_books_minor=sum(day.in_books_minor for day in part),
            open_minor=sum(day.open_minor for day in part),
        )
        found.append((part[0].day, total))
    return found


def _grid_step(highest: int) -> int:
    """Return the smallest of 1, 2, 5, 10, 20, ... whose double covers ``highest``; 0 where there is nothing."""
    if highest <= 0:
        return 0
    power = 1
    while True:
        for digit in (1, 2, 5):
            if 2 * digit * power >= highest:
                return digit * power
        power *= 10


def _label_step(columns: int) -> int:
    if 14 < columns <= 35:
        return 7
    return max(1, -(-columns // 4))


def _bar(position: int, first: date, amounts: DayAmounts, *, slot: float, scale: float, is_labelled: bool) -> Bar:
    left = position * slot
    in_height = max(amounts.in_books_minor, 0) * scale
    open_height = max(amounts.open_minor, 0) * scale
    gap = 1.8 if in_height and open_height > 3 else 0.0
    return Bar(
        first=first,
        last=amounts.day,
        in_books_minor=amounts.in_books_minor,
        open_minor=amounts.open_minor,
        slot_x=f"{left:.2f}%",
        slot_width=f"{slot:.2f}%",
        x=f"{left + slot * 0.2236:.2f}%",
        width=f"{slot * 0.5528:.2f}%",
        middle=f"{left + slot / 2:.2f}%",
        in_y=f"{_BOTTOM - in_height:.1f}",
        in_height=f"{in_height:.1f}",
        open_y=f"{_BOTTOM - in_height - open_height:.1f}",
        open_height=f"{open_height - gap:.1f}",
        is_labelled=is_labelled,
    )
