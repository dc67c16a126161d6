"""What the stand-ins were asked: one line per request, for tests that count calls and people who wonder."""

from collections import deque
from collections.abc import Iterator, MutableMapping
from typing import Any

import msgspec

_SCOPE_KEY = "sandbox.log_entry"
_MAX_ENTRIES = 200_000


class LogEntry(msgspec.Struct, kw_only=True):
    """One request. ``account`` (Stripe account, Intuit realm) is filled in by the handler once it knows."""

    seq: int
    at: float
    provider: str
    method: str
    path: str
    query: str = ""
    account: str | None = None
    status: int | None = None
    """``None``: the connection was cut before an answer."""
    idempotency_key: str | None = None
    replayed: bool = False
    body_size: int = 0
    body: str = ""
    """The request body as text, only when body recording is on; cut at 20,000 characters."""
    fault: str | None = None
    """The kind of the injected fault that hit this request."""
    ended_at: float | None = None
    """When it was answered or cut off; ``None`` while it is in hand."""


class RequestLog:
    """The last requests, oldest first; bounded, so that a benchmark cannot fill the memory."""

    def __init__(self) -> None:
        self._entries: deque[LogEntry] = deque(maxlen=_MAX_ENTRIES)
        self._seq = 0
        self.record_bodies = False

    def start(self, *, at: float, provider: str, method: str, path: str, query: str) -> LogEntry:
        self._seq += 1
        entry = LogEntry(seq=self._seq, at=at, provider=provider, method=method, path=path, query=query)
        self._entries.append(entry)
        return entry

    def entries(
        self, *, provider: str | None = None, account: str | None = None, after_seq: int = 0
    ) -> Iterator[LogEntry]:
        for entry in self._entries:
            if entry.seq <= after_seq:
                continue
            if provider not in (None, entry.provider) or account not in (None, entry.account):
                continue
            yield entry

    def clear(self) -> None:
        """Forget the entries; numbering goes on, so that ``after_seq`` of a reader stays meaningful."""
        self._entries.clear()


def attach(scope: MutableMapping[str, Any], entry: LogEntry) -> None:
    scope[_SCOPE_KEY] = entry


def current_entry(scope: MutableMapping[str, Any]) -> LogEntry | None:
    """The log entry of the request in hand (``request.scope``), so that a handler can name its account."""
    found = scope.get(_SCOPE_KEY)
    return found if isinstance(found, LogEntry) else None
