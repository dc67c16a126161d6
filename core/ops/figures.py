"""The figures of an installation: how long the queue is, how providers answer, who lives. Nothing of any tenant.

Plain values; :mod:`core.ops.read_figures` reads them.
"""

from dataclasses import dataclass, field
from datetime import datetime

from core.db.models import ItemKind, ItemState
from core.reasons import Reason
from core.tally import GOOD, Outcome


@dataclass(frozen=True, slots=True)
class Queued:
    """Items of one kind and state that will be worked on by themselves.

    ``due``: now, and their lane is free. ``held``: now, but their connection is paused or a person stopped it.
    ``oldest_at``: since when the one that is due the longest has been due. The rest are tries to come.
    """

    kind: ItemKind
    state: ItemState
    count: int
    due: int
    held: int
    oldest_at: datetime | None
    retries_soon: int
    retries_later: int
    retries_far: int
    incidents: int


@dataclass(frozen=True, slots=True)
class Stopped:
    """Items that wait for a person, or for something that is missing."""

    kind: ItemKind
    state: ItemState
    reason: Reason | None
    count: int
    since: datetime


@dataclass(frozen=True, slots=True)
class Lanes:
    """Connections to one provider, by what their lane does.

    ``overdue``: its worker has died, and nobody has taken it yet. ``failing``: five calls in a row were in vain.
    """

    provider: str
    total: int
    leased: int
    overdue: int
    paused: int
    stopped: int
    failing: int
    needs_reconnect: int


@dataclass(frozen=True, slots=True)
class Counted:
    """How often something ended in one way. Hour and day are the last ones; today and month began at midnight UTC."""

    subject: str
    outcome: Outcome
    hour: int = 0
    day: int = 0
    today: int = 0
    month: int = 0


@dataclass(frozen=True, slots=True)
class Budget:
    """What a provider allows the whole app, and how much of it is used."""

    provider: str
    name: str
    used: int
    allowed: int


@dataclass(frozen=True, slots=True)
class Living:
    """One process that has beaten in the last day. ``worked_at``: its worker's last pass."""

    role: str
    started_at: datetime
    beat_at: datetime
    worked_at: datetime | None
    is_alive: bool


@dataclass(frozen=True, slots=True)
class Inbox:
    """Events that are stored and not looked at yet, and those that broke what looked at them."""

    waiting: int
    oldest_at: datetime | None
    poison: int


@dataclass(frozen=True, slots=True)
class Figures:
    """Everything at one moment, by the database's clock. ``is_capped``: the queue is longer than what was counted."""

    at: datetime
    queued: tuple[Queued, ...] = ()
    stopped: tuple[Stopped, ...] = ()
    lanes: tuple[Lanes, ...] = ()
    calls: tuple[Counted, ...] = ()
    events: tuple[Counted, ...] = ()
    budgets: tuple[Budget, ...] = ()
    processes: tuple[Living, ...] = ()
    inbox: Inbox = field(default_factory=lambda: Inbox(0, None, 0))
    database_bytes: int = 0
    is_capped: bool = False

    @property
    def oldest_at(self) -> datetime | None:
        """Since when the item that is due the longest, and could run, has been due."""
        return min((row.oldest_at for row in self.queued if row.oldest_at), default=None)

    @property
    def incidents(self) -> int:
        """Items that a fault of ours has stopped, for now or for good."""
        stopped = sum(row.count for row in self.stopped if row.reason is Reason.OUR_FAULT)
        return stopped + sum(row.incidents for row in self.queued)


def errors_of(counted: tuple[Counted, ...], subject: str) -> tuple[int, int, int, int]:
    """Return errors and all of the last hour, then of the last day, of one provider."""
    mine = [row for row in counted if row.subject == subject]
    bad = [row for row in mine if row.outcome not in GOOD]
    return (
        sum(row.hour for row in bad),
        sum(row.hour for row in mine),
        sum(row.day for row in bad),
        sum(row.day for row in mine),
    )
