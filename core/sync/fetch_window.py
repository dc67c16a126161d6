"""How far a list of Stripe's has been read, where it is bounded and newest first."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from core.db.models import SyncItem


@dataclass(frozen=True, slots=True)
class Window:
    """One pass reads everything since ``since`` up to ``until``, begun at ``started``.

    Where the list is longer than a pass, the next one goes on at once from where this one ended, and the cursor moves
    on only when the oldest has been seen.
    """

    since: int
    until: int | None
    started: datetime
    is_first: bool

    @classmethod
    def of(cls, item: SyncItem, now: datetime, *, reach: timedelta, overlap: timedelta) -> "Window":
        """Return the window that is to be read now.

        Args:
            item: keeps the cursor in its ``reason_detail``.
            now: of this pass.
            reach: how far back the list is read the first time. Later everything since the cursor is read, however long
                ago that was: nobody else would read what lies between.
            overlap: what is read again each time: things appear late.
        """
        stored = item.reason_detail
        if isinstance(stored.get("until"), int):
            started = datetime.fromisoformat(stored["started"]).astimezone(UTC)
            return cls(stored["since"], stored["until"], started, is_first=False)
        if not isinstance(stored.get("cursor"), str):
            return cls(int((now - reach).timestamp()), None, now, is_first=True)
        # A cursor of the future was written by a clock that was wrong (F26).
        cursor = min(datetime.fromisoformat(stored["cursor"]).astimezone(UTC), now) - overlap
        return cls(int(cursor.timestamp()), None, now, is_first=False)

    def after(self, missing_before: int | None) -> "Window":
        """Return what is left to read, where something is missing before that second (Unix), or within it."""
        if missing_before is None or missing_before < self.since:
            return replace(self, until=None)
        # A pass full of rows of one second would stand still here: go past it, as far as can be seen.
        until = missing_before - 1 if missing_before == self.until else missing_before
        return replace(self, until=until)

    @property
    def stored(self) -> dict[str, Any]:
        """What the item keeps for the next pass."""
        if self.until is None:
            return {"cursor": self.started.isoformat()}
        return {"since": self.since, "until": self.until, "started": self.started.isoformat()}
