"""Xero's limits: fixed windows that start at another moment for every organisation, and calls at the same time."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from web.sandbox.faults import FaultAnswer
from web.sandbox.xero.errors import limited

if TYPE_CHECKING:
    from web.sandbox.xero.organisation import Organisation

APP_MINUTE_LIMIT = 10_000


@dataclass
class Window:
    """Calls in the current fixed window of ``seconds``; the first call ever starts the first window."""

    seconds: int
    started: float | None = None
    used: int = 0

    def count(self, at: float) -> int:
        """Calls so far in the window of the moment ``at``."""
        if self.started is None:
            self.started = at
        passed = math.floor((at - self.started) / self.seconds)
        if passed >= 1:
            self.started += passed * self.seconds
            self.used = 0
        return self.used

    def ends_in(self, at: float) -> int:
        return max(1, math.ceil((self.started or at) + self.seconds - at))


def admit(organisation: "Organisation", app: Window, at: float, app_limit: int) -> FaultAnswer | None:
    """Count one call, or return the 429 that it gets. A refused call costs nothing."""
    behaviour = organisation.behaviour
    windows = (
        ("day", organisation.day, behaviour.day_limit),
        ("minute", organisation.minute, behaviour.minute_limit),
        ("appminute", app, app_limit),
    )
    if behaviour.throttle:
        for name, window, limit in windows:
            if window.count(at) >= limit:
                return limited(name, window.ends_in(at))
        if organisation.in_flight >= behaviour.concurrent_limit:
            # Only the windows have an end that could be told.
            return limited("concurrent", None)
    for _, window, _ in windows:
        window.count(at)
        window.used += 1
    return None


def remaining(organisation: "Organisation", app: Window, at: float, app_limit: int) -> dict[str, str]:
    """The three headers that every answer carries."""
    behaviour = organisation.behaviour
    return {
        "X-DayLimit-Remaining": str(max(0, behaviour.day_limit - organisation.day.count(at))),
        "X-MinLimit-Remaining": str(max(0, behaviour.minute_limit - organisation.minute.count(at))),
        "X-AppMinLimit-Remaining": str(max(0, app_limit - app.count(at))),
    }
