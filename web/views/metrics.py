"""The operator's page: figures of the whole installation, written out. Nothing of any tenant comes this far."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingLine:
    """One thing that was looked at; ``level`` is fine, warning or broken."""

    level: str
    text: str
    do: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BarRow:
    """A row with a bar: ``value`` of ``most``; ``figure`` is what the bar says, ``notes`` what stands beside it."""

    label: str
    note: str = ""
    figure: str
    value: int
    most: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureTable:
    """A plain table of figures: the first column is words, the others are figures."""

    key: str
    title: str
    lede: str = ""
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    empty: str = "Nothing."


@dataclass(frozen=True, slots=True, kw_only=True)
class BarTable:
    """A table of bars, all on one scale or each on its own."""

    key: str
    title: str
    lede: str = ""
    columns: tuple[str, ...]
    rows: tuple[BarRow, ...]
    empty: str = "Nothing."


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsView:
    """``at`` is the moment of all figures, in UTC."""

    at: str
    verdict: str
    findings: tuple[FindingLine, ...]
    headlines: tuple[tuple[str, str], ...]
    queue: BarTable
    stopped: BarTable
    calls: BarTable
    budgets: BarTable
    lanes: FigureTable
    processes: FigureTable
