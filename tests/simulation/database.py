"""Troubles of the database itself: locked, full, gone in the middle of a commit."""

import sqlite3
from dataclasses import dataclass

from tests.simulation import disk
from tests.simulation.catalogue import hit
from tests.simulation.life import point

_BEGINS = ("BEGIN IMMEDIATE", "INSERT")
"""The inbox adds its rows without a BEGIN."""
LOCKED = "database is locked"
CUT = "disk I/O error"


@dataclass
class Trouble:
    """Watches every statement: what fails, and where a process dies. Each number counts down to nothing.

    ``skip``: statements of the kind that pass first. ``locked``: BEGIN IMMEDIATE that find it locked. ``full``:
    transactions in which the file cannot grow. ``lost``: commits that happen, and the answer is lost. ``cut``: commits
    that do not happen.
    """

    skip: int = 0
    locked: int = 0
    full: int = 0
    lost: int = 0
    cut: int = 0

    def before(self, sql: str, connection: "disk._Connection") -> None:
        point(f"before {sql[:24]}")
        if self.locked and sql == "BEGIN IMMEDIATE" and self._passed():
            self.locked -= 1
            hit("F27")
            raise sqlite3.OperationalError(LOCKED)
        if (self.full or connection.is_cramped) and sql.startswith(_BEGINS) and not connection.in_transaction:
            is_full = self.full > 0 and self._passed()
            self.full -= is_full
            connection.leave_room(is_full=is_full)
        if self.cut and sql == "COMMIT" and self._passed():
            self.cut -= 1
            hit("F28")
            raise sqlite3.OperationalError(CUT)

    def after(self, sql: str) -> None:
        point(f"after {sql[:24]}")
        if self.lost and sql == "COMMIT" and self._passed():
            self.lost -= 1
            hit("F28")
            raise sqlite3.OperationalError(CUT)

    def failed(self, error: sqlite3.OperationalError) -> None:
        if error.sqlite_errorcode == sqlite3.SQLITE_FULL:
            hit("F29")

    def _passed(self) -> bool:
        self.skip = max(self.skip - 1, -1)
        return self.skip < 0

    def heal(self) -> None:
        """Let everything work again."""
        self.skip = self.locked = self.full = self.lost = self.cut = 0
