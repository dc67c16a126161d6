"""How long to wait before the next try: seconds, then minutes, then every six hours for a week."""

from datetime import timedelta

from core.clock import Runtime

TRANSIENT = tuple(timedelta(seconds=s) for s in (5, 30, 120, 600, 1800, 7200))
LATER = timedelta(hours=6)
GIVE_UP_AFTER = len(TRANSIENT) + 28
"""Steps of the ladder plus a week of six-hourly tries."""

POISON_TRIES = 5
PAUSE_CAP = timedelta(minutes=15)
PAUSE_MAX = timedelta(hours=24)
BREAKER_AFTER = 5
BREAKER_PAUSE = timedelta(seconds=60)


def next_delay(runtime: Runtime, tries: int) -> timedelta:
    """Return the delay before try number ``tries + 1``, with 20 % of jitter either way."""
    base = TRANSIENT[tries] if tries < len(TRANSIENT) else LATER
    return base * (0.8 + 0.4 * runtime.random())


def pause_for(runtime: Runtime, retry_after_s: float | None, failures: int, *, floor_s: float) -> timedelta:
    """Return how long a whole connection pauses after a 429 or an outage (F10).

    A stated time is kept within 1 s and 24 h; without one it doubles from 2 s with jitter, and is at most 15 min and
    never shorter than ``floor_s``, what the provider is known to need.
    """
    if retry_after_s is not None and retry_after_s > 0:
        return max(timedelta(seconds=1), min(timedelta(seconds=retry_after_s), PAUSE_MAX))
    # The jitter stays below the cap: whatever was missed is found within 15 minutes of the end of an outage (F3).
    grown = min(timedelta(seconds=2 * 2 ** min(failures, 10)), PAUSE_CAP / 1.2)
    return max(timedelta(seconds=floor_s), grown) * (1 + 0.2 * runtime.random())
