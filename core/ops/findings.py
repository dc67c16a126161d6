"""What the figures mean: what is not as it should be, what that does to the books, and the one thing to do."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from core.ops.figures import Figures, errors_of

_QUEUE_LATE, _QUEUE_STUCK = timedelta(minutes=5), timedelta(hours=1)
_INBOX_LATE, _INBOX_STUCK = timedelta(minutes=2), timedelta(minutes=15)
_FEW = 20
"""Calls in an hour below which a share of errors says nothing."""

_MANY_ERRORS = 0.2
_BUDGET_SHORT = 0.8
_NAMES = {"stripe": "Stripe", "quickbooks": "QuickBooks", "xero": "Xero", "mock": "the practice books"}


class Level(StrEnum):
    """How bad it is. ``WARNING``: not for long, or not for everybody. ``BROKEN``: something stands still."""

    FINE = "fine"
    WARNING = "warning"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        about: a stable word for scripts.
        level: how bad it is.
        text: what is the case, and what it means for the books.
        do: the one thing to do; empty where nothing is.
    """

    about: str
    level: Level
    text: str
    do: str = ""


def judge(figures: Figures) -> list[Finding]:
    """Say what the figures mean, one finding for each thing that was looked at."""
    return [*_workers(figures), *_queue(figures), *_lanes(figures), *_incidents(figures), *_providers(figures)]


def name_of(provider: str) -> str:
    """Return a provider's name for people."""
    return _NAMES.get(provider, provider)


def span(seconds: float) -> str:
    """Write a time that has passed, in one unit."""
    for size, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")):
        if seconds >= 2 * size or size == 1:
            count = int(seconds // size)
            return f"{count} {unit}{'' if count == 1 else 's'}"
    raise AssertionError("unreachable")


def _workers(figures: Figures) -> Iterator[Finding]:
    living = [one for one in figures.processes if one.is_alive]
    passes = [one.worked_at for one in living if one.worked_at is not None]
    gone = sum(not one.is_alive for one in figures.processes)
    if not passes:
        yield Finding(
            "worker",
            Level.BROKEN,
            "No worker is alive: events are taken and kept, but nothing gets into the books.",
            "Start `tieout worker` beside PostgreSQL, or `tieout web` on SQLite; then look at its log.",
        )
    elif figures.at - max(passes) > timedelta(minutes=1):
        yield Finding(
            "worker",
            Level.BROKEN,
            f"The worker is there, but has ended no pass for {span((figures.at - max(passes)).total_seconds())}: "
            "nothing gets into the books meanwhile.",
            "Restart it; what it was doing is looked up first.",
        )
    else:
        yield Finding("worker", Level.FINE, f"{_count(len(passes), 'worker')} alive.")
    if gone:
        yield Finding(
            "process",
            Level.WARNING,
            f"Died within the last day without saying so: {_count(gone, 'process', 'processes')}. Nothing was lost: "
            "what they had begun is looked up first.",
            "Look in the host's log for a kill or too little memory.",
        )


def _queue(figures: Figures) -> Iterator[Finding]:
    yield _waiting(
        "queue", figures.at, figures.oldest_at, _QUEUE_LATE, _QUEUE_STUCK,
        "Nothing that could run has waited for long.",
        "The oldest item that could run has waited for {}: what was paid since then is not in the books yet.",
        "Look whether the workers live and how long the queue is on /metrics; start more workers on PostgreSQL.",
    )  # fmt: skip
    yield _waiting(
        "inbox", figures.at, figures.inbox.oldest_at, _INBOX_LATE, _INBOX_STUCK,
        "Every event that arrived has been looked at.",
        "The oldest event that nobody has looked at arrived {} ago: its payment shows on no page yet.",
        "Look at the worker's log for `worker_pass_failed` and `inbox_batch_failed`.",
    )  # fmt: skip


def _waiting(
    about: str, at: datetime, since: datetime | None, late: timedelta, stuck: timedelta, fine: str, text: str, do: str
) -> Finding:
    age = at - since if since else timedelta(0)
    if age <= late:
        return Finding(about, Level.FINE, fine)
    level = Level.BROKEN if age > stuck else Level.WARNING
    return Finding(about, level, text.format(span(age.total_seconds())), do)


def _lanes(figures: Figures) -> Iterator[Finding]:
    overdue = sum(row.overdue for row in figures.lanes)
    if overdue:
        yield Finding(
            "leases",
            Level.WARNING,
            f"Left with a worker that died, and taken by nobody since: {_count(overdue, 'connection')}.",
            "Start a worker. If one runs, it takes them as soon as something is due on them.",
        )
    else:
        yield Finding("leases", Level.FINE, "No connection is left with a worker that died.")
    for row in figures.lanes:
        name = name_of(row.provider)
        if row.paused:
            yield Finding(
                "paused",
                Level.WARNING,
                f"Resting: {_count(row.paused, 'connection')} to {name}, which asked for it or does not answer. "
                "What waits keeps its place and its tries.",
                f"Nothing, unless it lasts: then look at {name}'s status page.",
            )
        if row.needs_reconnect:
            yield Finding(
                "reconnect",
                Level.WARNING,
                f"Waiting for a new sign-in by the owner: {_count(row.needs_reconnect, 'connection')} to {name}. "
                "The payments wait with them.",
                "Nothing here: the owners are told on every page. If it hit all at once, check the app's keys at "
                f"{name}.",
            )
        if row.stopped:
            yield Finding(
                "stopped", Level.FINE, f"Stopped by a person: posting on {_count(row.stopped, 'connection')} to {name}."
            )


def _incidents(figures: Figures) -> Iterator[Finding]:
    if figures.incidents or figures.inbox.poison:
        yield Finding(
            "incidents",
            Level.WARNING,
            f"Met a fault of Tieout's own: {_count(figures.incidents, 'item')} and "
            f"{_count(figures.inbox.poison, 'event')}. All are kept, none of them is in the books yet.",
            "Look in the log for `item_failed` or `inbox_batch_failed`, and report it with its frames.",
        )
    else:
        yield Finding("incidents", Level.FINE, "No fault of Tieout's own is open.")


def _providers(figures: Figures) -> Iterator[Finding]:
    for provider in sorted({row.subject for row in figures.calls}):
        bad, made, _, _ = errors_of(figures.calls, provider)
        if made >= _FEW and bad > made * _MANY_ERRORS:
            yield Finding(
                "provider",
                Level.WARNING,
                f"{name_of(provider)} refused or left unanswered {bad} of {made} calls in the last hour. Nothing is "
                "lost: each is tried again or names its reason.",
                f"See on /metrics of what kind they are, then look at {name_of(provider)}'s status page.",
            )
    for budget in figures.budgets:
        if budget.used > budget.allowed * _BUDGET_SHORT:
            yield Finding(
                "budget",
                Level.BROKEN if budget.used >= budget.allowed else Level.WARNING,
                f"{budget.used:,} of {budget.allowed:,} {budget.name} that {name_of(budget.provider)} allows the whole "
                "app are used. Above it, calls are refused, and payments wait.",
                f"Buy a larger plan at {name_of(budget.provider)}, or connect fewer companies.",
            )


def _count(count: int, one: str, many: str = "") -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"
