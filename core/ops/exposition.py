"""The figures in Prometheus' text form, 0.0.4. Names and labels are fixed words of ours, never data of a tenant.

Source: https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime

from core.ops.figures import Figures

MEDIA_TYPE = "text/plain; version=0.0.4"

_Sample = tuple[dict[str, str], float]


def write_exposition(figures: Figures) -> str:
    """Return the figures as lines for a scraper."""
    return "".join(f"{line}\n" for family in _families(figures) for line in family)


def _families(figures: Figures) -> Iterator[Iterator[str]]:
    yield from _queue(figures)
    yield from _lanes(figures)
    yield from _providers(figures)
    yield from _installation(figures)


def _queue(figures: Figures) -> Iterator[Iterator[str]]:
    queued = figures.queued
    of = [{"kind": row.kind.value, "state": row.state.value} for row in queued]
    yield _gauge(
        "queue_items", "Items that will be worked on by themselves, now or later.",
        zip(of, (row.count for row in queued), strict=True),
    )  # fmt: skip
    yield _gauge(
        "queue_due_items", "Items that are due and whose lane is free.",
        zip(of, (row.due for row in queued), strict=True),
    )  # fmt: skip
    yield _gauge(
        "queue_held_items", "Items that are due, but whose connection is paused or stopped.",
        zip(of, (row.held for row in queued), strict=True),
    )  # fmt: skip
    yield _gauge(
        "queue_retry_items", "Tries to come, by when.",
        [
            ({"within": "300"}, sum(row.retries_soon for row in queued)),
            ({"within": "3600"}, sum(row.retries_later for row in queued)),
            ({"within": "inf"}, sum(row.retries_far for row in queued)),
        ],
    )  # fmt: skip
    yield _gauge(
        "queue_oldest_seconds", "How long the item that is due the longest, and could run, has been due.",
        [({}, _age(figures, figures.oldest_at))],
    )  # fmt: skip
    yield _gauge(
        "queue_is_capped", "1 if the queue is longer than what was counted: then its figures say at least.",
        [({}, figures.is_capped)],
    )  # fmt: skip
    yield _gauge(
        "stopped_items", "Items that wait for a person or for something that is missing.",
        [
            ({"kind": row.kind.value, "state": row.state.value, "reason": row.reason or "none"}, row.count)
            for row in figures.stopped
        ],
    )  # fmt: skip
    yield _gauge(
        "incidents", "Items and events that a fault of ours has stopped.",
        [({"of": "items"}, figures.incidents), ({"of": "events"}, figures.inbox.poison)],
    )  # fmt: skip


def _lanes(figures: Figures) -> Iterator[Iterator[str]]:
    names = ("leased", "overdue", "paused", "stopped", "failing", "needs_reconnect")
    yield _gauge(
        "connections", "Connections that are not closed.", [({"provider": r.provider}, r.total) for r in figures.lanes]
    )
    yield _gauge(
        "lanes", "Connections by what their lane does; one may count for several.",
        [({"provider": row.provider, "is": name}, getattr(row, name)) for row in figures.lanes for name in names],
    )  # fmt: skip


def _providers(figures: Figures) -> Iterator[Iterator[str]]:
    yield _counter(
        "provider_calls_total", "Calls by how they ended; begins anew at midnight UTC.",
        [({"provider": row.subject, "outcome": row.outcome.value}, row.today) for row in figures.calls],
    )  # fmt: skip
    of = [{"provider": row.provider, "of": row.name} for row in figures.budgets]
    yield _gauge("budget_used", "Calls of the whole app.", zip(of, (row.used for row in figures.budgets), strict=True))
    yield _gauge(
        "budget_allowed", "Calls that the provider allows the whole app.",
        zip(of, (row.allowed for row in figures.budgets), strict=True),
    )  # fmt: skip


def _installation(figures: Figures) -> Iterator[Iterator[str]]:
    yield _counter(
        "events_total", "Events by what became of them on arrival; begins anew at midnight UTC.",
        [({"outcome": row.outcome.value}, row.today) for row in figures.events],
    )  # fmt: skip
    yield _gauge("inbox_waiting_events", "Events that are stored and not routed.", [({}, figures.inbox.waiting)])
    yield _gauge(
        "inbox_oldest_seconds",
        "How long the oldest of them has waited.",
        [({}, _age(figures, figures.inbox.oldest_at))],
    )
    living = [one for one in figures.processes if one.is_alive]
    yield _gauge(
        "processes", "Processes that have beaten within a minute.",
        [({"role": role}, count) for role, count in sorted(Counter(one.role for one in living).items())],
    )  # fmt: skip
    passes = [_age(figures, one.worked_at) for one in living if one.worked_at]
    yield _gauge(
        "worker_pass_age_seconds", "Since when the worker that is the furthest behind has ended no pass.",
        [({}, max(passes))] if passes else [],
    )  # fmt: skip
    yield _gauge("database_bytes", "What the database takes on its disk.", [({}, figures.database_bytes)])


def _age(figures: Figures, since: datetime | None) -> float:
    return max(0.0, round((figures.at - since).total_seconds(), 3)) if since else 0.0


def _gauge(name: str, text: str, samples: Iterable[_Sample]) -> Iterator[str]:
    return _family(name, "gauge", text, samples)


def _counter(name: str, text: str, samples: Iterable[_Sample]) -> Iterator[str]:
    return _family(name, "counter", text, samples)


def _family(name: str, kind: str, text: str, samples: Iterable[_Sample]) -> Iterator[str]:
    yield f"# HELP tieout_{name} {text}"
    yield f"# TYPE tieout_{name} {kind}"
    for labels, value in samples:
        shown = ",".join(f'{label}="{_escaped(word)}"' for label, word in labels.items())
        yield f"tieout_{name}{{{shown}}} {value:.15g}" if shown else f"tieout_{name} {value:.15g}"


def _escaped(word: str) -> str:
    return word.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
