"""The memory of ``requestid``: a repeat gets the stored answer, byte for byte."""

import re
from dataclasses import dataclass, field

from web.sandbox.quickbooks.errors import Refused

_FORM = re.compile(r"[A-Za-z0-9._-]{1,50}")
REUSED = "990001"
"""Not one of Intuit's codes: what QuickBooks does here is unknown, so a test must notice at once."""


@dataclass(frozen=True)
class StoredAnswer:
    """The first answer to a request."""

    fingerprint: bytes
    status: int
    body: bytes


@dataclass(frozen=True)
class Violation:
    """A request id that came back with another content."""

    key: str
    first: str
    second: str


@dataclass
class RequestStore:
    """Request ids of one realm. Key of a batch item: request id and bId, joined."""

    answers: dict[str, StoredAnswer] = field(default_factory=dict)
    violations: list[Violation] = field(default_factory=list)

    def find(self, key: str, fingerprint: bytes) -> StoredAnswer | None:
        """Return the first answer to ``key``; refuse when it was given to another content."""
        stored = self.answers.get(key)
        if stored is None or stored.fingerprint == fingerprint:
            return stored
        self.violations.append(Violation(key, stored.fingerprint.decode(), fingerprint.decode()))
        raise Refused(
            REUSED, f"requestid {key} was used before with another content", message="Sandbox: requestid reused"
        )

    def store(self, key: str, answer: StoredAnswer) -> None:
        self.answers[key] = answer

    def forget(self) -> int:
        """Drop all stored answers (the retention of the real service is unknown); violations stay."""
        count = len(self.answers)
        self.answers.clear()
        return count


def check_form(request_id: str) -> None:
    if not _FORM.fullmatch(request_id):
        raise Refused("2130", f"Invalid Request Id Format : {request_id[:80]}")
