"""The history before it is posted: ``view`` of history/index.html is a :class:`HistoryView`."""

from dataclasses import dataclass
from datetime import date

from web.views.shell import Link


@dataclass(frozen=True, slots=True, kw_only=True)
class Meter:
    """How far something has come. ``words`` say it beside the bar; ``is_moving`` while it goes on by itself."""

    label: str
    value: int
    most: int
    words: str
    is_moving: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class CountLine:
    """One line of a list with a number: "Invoices", "214"."""

    label: str
    count: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialLine:
    """One account: its amount stands in one of two columns, the other is None."""

    account: str
    debit_minor: int | None = None
    credit_minor: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StopLine:
    """What would wait, and what to do about it."""

    what: str
    title: str
    explanation: str
    amount_minor: int
    currency: str
    link: Link | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlikeLine:
    """A payment that may be in the books already as ``document``."""

    href: str
    client: str
    day: date
    amount_minor: int
    currency: str
    document: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRunView:
    """What would be posted. ``total_minor`` stands under both columns of the trial balance."""

    currency: str
    documents: tuple[CountLine, ...]
    calls: str
    time: str
    trial: tuple[TrialLine, ...]
    total_minor: int
    sales: str
    gross_minor: int
    opening_minor: int | None
    stops: tuple[StopLine, ...] = ()
    alike: tuple[AlikeLine, ...] = ()
    alike_more: int = 0
    is_compared: bool = True

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to post."""
        return not self.documents


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryView:
    """The page. ``stage`` is one of :class:`core.reports.history.Stage`; ``lede`` says where it stands in a sentence.

    ``meter`` is there while something is under way; ``found`` is what was read so far. ``is_started``: posting has
    been started, so the first day stays.
    """

    stage: str
    first_day: date
    lede: str
    books_name: str
    live_since: int
    meter: Meter | None = None
    found: tuple[CountLine, ...] = ()
    run: DryRunView | None = None
    is_started: bool = False
    earliest: date | None = None
    latest: date | None = None
    attention: int = 0
