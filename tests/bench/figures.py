"""What was measured, as a table for the terminal and for ``build/bench.md``."""

import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

RUNS = 3
"""Each figure is the median of this many runs, after one that is thrown away."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table. ``ratio`` is what the goal speaks of; None where the goal is an absolute figure."""

    goal: str
    what: str
    ours: str
    beside: str
    ratio: float | None
    wanted: str
    is_met: bool | None

    def cells(self) -> tuple[str, ...]:
        """Return the line as text."""
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}"
        verdict = {True: "yes", False: "NO", None: ""}[self.is_met]
        return (self.goal, self.what, self.ours, self.beside, ratio, self.wanted, verdict)


HEAD = ("goal", "what", "ours", "beside it", "ratio", "wanted", "met")


def at_least(goal: str, what: str, ours: str, beside: str, ratio: float, limit: float) -> Figure:
    """A ratio that should be ``limit`` or more."""
    return Figure(goal, what, ours, beside, ratio, f">= {limit:g}", ratio >= limit)


def at_most(goal: str, what: str, ours: str, beside: str, ratio: float, limit: float) -> Figure:
    """A ratio that should be ``limit`` or less."""
    return Figure(goal, what, ours, beside, ratio, f"<= {limit:g}", ratio <= limit)


def note(what: str, ours: str, beside: str = "", ratio: float | None = None) -> Figure:
    """A figure without a goal."""
    return Figure("", what, ours, beside, ratio, "", None)


def median(values: Sequence[float]) -> float:
    """Return the middle one."""
    return statistics.median(values)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that ``share`` of all do not exceed."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(share * len(ranked)))]


def milliseconds(seconds: float) -> str:
    """Write a duration."""
    ms = seconds * 1000
    return f"{ms:.2f} ms" if ms < 10 else f"{ms:.1f} ms" if ms < 100 else f"{ms:.0f} ms"


def machine() -> str:
    """Say what this was measured on."""
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    kind = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    return f"{os.cpu_count()} cores, {kind}; load before: {load}"


def plain_table(figures: Sequence[Figure]) -> str:
    """Return the table for a terminal."""
    lines = [HEAD, *(figure.cells() for figure in figures)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    rows = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join((rows[0], "  ".join("-" * width for width in widths), *rows[1:]))


def markdown_table(figures: Sequence[Figure]) -> str:
    """Return the same table in Markdown."""
    lines = [HEAD, ("---",) * len(HEAD), *(figure.cells() for figure in figures)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
