"""From the figures to the operator's page: words and bars."""

from collections.abc import Iterable
from datetime import datetime

from core.ops.figures import Counted, Figures, errors_of
from core.ops.findings import Finding, Level, judge, name_of, span
from core.tally import GOOD, Outcome
from web.views.metrics import BarRow, BarTable, FigureTable, FindingLine, MetricsView

_ENDED = {
    Outcome.READ: "read",
    Outcome.WRITTEN: "written",
    Outcome.REFUSED: "refused",
    Outcome.NO_ACCESS: "no access",
    Outcome.SLOWED: "slowed down",
    Outcome.FAILED: "failed",
    Outcome.NO_ANSWER: "no answer",
    Outcome.NOT_SENT: "not sent",
    Outcome.STORED: "stored",
    Outcome.UNSIGNED: "not signed",
    Outcome.UNSTORED: "not stored",
}
_VERDICTS = {
    Level.FINE: "Everything is as it should be.",
    Level.WARNING: "It works. Something wants to be looked at.",
    Level.BROKEN: "Something stands still.",
}
_ORDER = {Level.BROKEN: 0, Level.WARNING: 1, Level.FINE: 2}


def metrics_view(figures: Figures) -> MetricsView:
    """Write the figures out."""
    findings = sorted(judge(figures), key=lambda finding: _ORDER[finding.level])
    return MetricsView(
        at=f"{figures.at:%Y-%m-%d %H:%M:%S} UTC",
        verdict=_VERDICTS[findings[0].level],
        findings=tuple(_line(finding) for finding in findings if finding.level is not Level.FINE),
        headlines=_headlines(figures),
        queue=_queue(figures),
        stopped=_stopped(figures),
        calls=_calls(figures),
        budgets=_budgets(figures),
        lanes=_lanes(figures),
        processes=_processes(figures),
    )


def _line(finding: Finding) -> FindingLine:
    return FindingLine(level=finding.level.value, text=finding.text, do=finding.do)


def _headlines(figures: Figures) -> tuple[tuple[str, str], ...]:
    events = {row.outcome: row for row in figures.events}
    stored = events.get(Outcome.STORED, Counted("", Outcome.STORED))
    lost = sum(row.hour for row in figures.events if row.outcome not in GOOD)
    return (
        ("Due now", _number(sum(row.due for row in figures.queued))),
        ("Oldest waiting", _since(figures, figures.oldest_at)),
        ("Events, last hour", _number(stored.hour) + (f", {lost:,} refused" if lost else "")),
        ("Events not looked at", _number(figures.inbox.waiting)),
        ("Incidents", _number(figures.incidents + figures.inbox.poison)),
        ("Database", _size(figures.database_bytes)),
    )


def _queue(figures: Figures) -> BarTable:
    most = max((row.count for row in figures.queued), default=1)
    rows = tuple(
        BarRow(
            label=_words(row.kind),
            note=_words(row.state),
            figure=_number(row.count),
            value=row.count,
            most=most,
            notes=(_number(row.due), _number(row.held), _since(figures, row.oldest_at)),
        )
        for row in figures.queued
    )
    retries = [
        (sum(row.retries_soon for row in figures.queued), "within five minutes"),
        (sum(row.retries_later for row in figures.queued), "within the hour"),
        (sum(row.retries_far for row in figures.queued), "later"),
    ]
    said = ", ".join(f"{count:,} {when}" for count, when in retries if count)
    capped = " The queue is longer than what was counted: read these figures as at least." if figures.is_capped else ""
    return BarTable(
        key="queue",
        title="Queue",
        lede=(f"Tries to come: {said}." if said else "No try has to be repeated.") + capped,
        columns=("Kind", "Items", "Due", "Held", "Oldest"),
        rows=rows,
        empty="Nothing is in the queue.",
    )


def _stopped(figures: Figures) -> BarTable:
    most = max((row.count for row in figures.stopped), default=1)
    rows = tuple(
        BarRow(
            label=_words(row.kind),
            note=_words(row.reason or "no reason"),
            figure=_number(row.count),
            value=row.count,
            most=most,
            notes=(_words(row.state), _since(figures, row.since)),
        )
        for row in sorted(figures.stopped, key=lambda row: -row.count)
    )
    return BarTable(
        key="stopped",
        title="Stopped",
        lede="What waits for a person, or for something that is missing.",
        columns=("Kind", "Items", "State", "Since"),
        rows=rows,
        empty="Nothing is stopped.",
    )


def _calls(figures: Figures) -> BarTable:
    rows = []
    for provider in sorted({row.subject for row in figures.calls}):
        bad, made, bad_day, made_day = errors_of(figures.calls, provider)
        rows.append(
            BarRow(
                label=name_of(provider),
                note=_ended(row for row in figures.calls if row.subject == provider),
                figure=_share(bad, made),
                value=bad,
                most=max(made, 1),
                notes=(_number(made), _share(bad_day, made_day), _number(made_day)),
            )
        )
    return BarTable(
        key="calls",
        title="How providers answer",
        lede="Errors as a share of all calls: of the last hour, then of the last day.",
        columns=("Provider", "Errors", "Calls", "Errors, day", "Calls, day"),
        rows=tuple(rows),
        empty="No call was made this month.",
    )


def _ended(rows: Iterable[Counted]) -> str:
    """Name the kinds of the last day, the most frequent first."""
    found = sorted(((row.day, _ENDED[row.outcome]) for row in rows if row.day), reverse=True)
    return ", ".join(f"{count:,} {word}" for count, word in found)


def _budgets(figures: Figures) -> BarTable:
    rows = tuple(
        BarRow(
            label=name_of(row.provider),
            note=row.name,
            figure=_share(row.used, row.allowed),
            value=min(row.used, row.allowed),
            most=row.allowed,
            notes=(_number(row.used), _number(row.allowed)),
        )
        for row in figures.budgets
    )
    return BarTable(
        key="budgets",
        title="Call budgets",
        lede="What providers allow the whole app. Xero's is the busiest five minutes of the last hour.",
        columns=("Provider", "Share", "Used", "Allowed"),
        rows=rows,
    )


def _lanes(figures: Figures) -> FigureTable:
    rows = tuple(
        (
            name_of(row.provider),
            *(
                _number(count)
                for count in (
                    row.total,
                    row.leased,
                    row.overdue,
                    row.paused,
                    row.failing,
                    row.stopped,
                    row.needs_reconnect,
                )
            ),
        )
        for row in figures.lanes
    )
    return FigureTable(
        key="lanes",
        title="Connections",
        lede="How many are worked on, left by a dead worker, resting, failing, stopped by a person, or need a sign-in.",
        columns=("Provider", "All", "At work", "Left", "Resting", "Failing", "Stopped", "Sign-in"),
        rows=rows,
        empty="Nothing is connected.",
    )


def _processes(figures: Figures) -> FigureTable:
    rows = tuple(
        (
            _words(one.role),
            "alive" if one.is_alive else "gone",
            _since(figures, one.started_at),
            _since(figures, one.beat_at),
            _since(figures, one.worked_at),
        )
        for one in figures.processes
    )
    return FigureTable(
        key="processes",
        title="Processes",
        lede="Each beats every fifteen seconds; without a beat for a minute it counts as gone.",
        columns=("Process", "State", "Up", "Last beat", "Last pass"),
        rows=rows,
        empty="No process has beaten within the last day.",
    )


def _since(figures: Figures, moment: datetime | None) -> str:
    return span(max(0.0, (figures.at - moment).total_seconds())) if moment else "–"


def _number(count: int) -> str:
    return f"{count:,}"


def _share(part: int, whole: int) -> str:
    if not whole:
        return "–"
    share = 100 * part / whole
    if 0 < share < 0.1:
        return "< 0.1 %"
    return f"{share:.1f} %" if 0 < share < 10 else f"{share:.0f} %"


def _size(count: int) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1_000 or unit == "GB":
            return f"{count:,.0f} {unit}" if unit == "bytes" else f"{count:,.1f} {unit}"
        count = count / 1_000  # type: ignore[assignment]  # a size for people
    raise AssertionError("unreachable")


def _words(value: str) -> str:
    return str(value).replace("_", " ").capitalize()
