"""What this process has counted since it last wrote it down: calls by provider and outcome, events by their fate.

Counting costs a dictionary's update. What was not written down when a process is killed is lost: these figures are for
whoever runs the installation, and prove nothing. ``core/ops/pulse.py`` writes them down.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum

INTAKE = "intake"
"""The subject of events; every other subject is a provider."""


class Outcome(StrEnum):
    """How a call to a provider ended, by the line and its HTTP status; then what became of an event.

    ``REFUSED``: 4xx of any other kind. ``NO_ACCESS``: 401 or 403. ``SLOWED``: 429. ``FAILED``: 5xx. ``NO_ANSWER``: the
    line broke after sending. ``UNSIGNED``: an event that no secret of ours signed. ``UNSTORED``: answered 503.
    """

    READ = "read"
    WRITTEN = "written"
    REFUSED = "refused"
    NO_ACCESS = "no_access"
    SLOWED = "slowed"
    FAILED = "failed"
    NO_ANSWER = "no_answer"
    NOT_SENT = "not_sent"
    STORED = "stored"
    UNSIGNED = "unsigned"
    UNSTORED = "unstored"


GOOD = frozenset({Outcome.READ, Outcome.WRITTEN, Outcome.STORED})
"""Outcomes that are no error of anybody's."""


def outcome_of(method: str, status: int) -> Outcome:
    """Say how a call that was answered with ``status`` ended."""
    if status == 429:
        return Outcome.SLOWED
    if status in {401, 403}:
        return Outcome.NO_ACCESS
    if status >= 500:
        return Outcome.FAILED
    if status >= 400:
        return Outcome.REFUSED
    return Outcome.READ if method == "GET" else Outcome.WRITTEN


class Counters:
    """Counts of one process, by subject and outcome.

    Args:
        providers: base address -> provider; calls to any other address count for nobody.
    """

    def __init__(self, providers: Mapping[str, str] | None = None) -> None:
        # The longest first: a sandbox serves all providers below one address.
        self._providers = sorted((providers or {}).items(), key=lambda pair: -len(pair[0]))
        self._counts: Counter[tuple[str, str]] = Counter()

    def call(self, url: str, outcome: Outcome) -> None:
        """Count one call to ``url``."""
        for base, provider in self._providers:
            if url.startswith(base):
                self._counts[provider, outcome.value] += 1
                return

    def event(self, outcome: Outcome) -> None:
        """Count one event that Stripe brought."""
        self._counts[INTAKE, outcome.value] += 1

    @contextmanager
    def taken(self) -> Iterator[dict[tuple[str, str], int]]:
        """Hand over what was counted; after an exception it counts again."""
        counted, self._counts = dict(self._counts), Counter()
        try:
            yield counted
        except BaseException:
            self._counts.update(counted)
            raise
