"""First run: ``view`` of start/index.html is a :class:`StartView`."""

from dataclasses import dataclass
from datetime import date

from web.views.shell import Link


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of the set-up. ``state``: done, now, later. Only the step that is ``now`` shows its link."""

    title: str
    text: str
    state: str
    link: Link | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstDay:
    """The last step: the date from which we post.

    ``is_open`` once the steps before are done, until then ``why_not`` says what is missing.
    ``opening_minor`` is what Stripe held at that moment, booked as the opening balance; None while not known.
    ``history`` says how far a look at the history has come, "" where nobody has asked for one.
    """

    day: date
    earliest: date | None = None
    latest: date | None = None
    is_open: bool = False
    why_not: str = "Available once the mapping is reviewed"
    opening_minor: int | None = None
    currency: str = "USD"
    error: str = ""
    history: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartView:
    """The checklist. ``steps`` are those before the first day; ``payments_seen`` decides the empty note below."""

    steps: tuple[Step, ...]
    first_day: FirstDay
    payments_seen: int = 0

    @property
    def done(self) -> int:
        """How many steps are done."""
        return sum(step.state == "done" for step in self.steps)

    @property
    def total(self) -> int:
        """How many steps there are, the first day included."""
        return len(self.steps) + 1
