"""The memory behind ``Idempotency-Key``: of the app, not of the organisation, and for six minutes."""

import asyncio
from dataclasses import dataclass, field

LIFE_S = 360.0
MAX_LENGTH = 128


@dataclass(frozen=True)
class Answer:
    """A status and the exact bytes."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...]


@dataclass
class Remembered:
    """The first call under a key; ``answer`` is empty while it runs."""

    fingerprint: str
    at: float
    answer: Answer | None = None
    done: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass
class AnswerStore:
    """Keys of all apps: (client id, key) -> first call."""

    _known: dict[tuple[str, str], Remembered] = field(default_factory=dict)

    def find(self, client_id: str, key: str, at: float) -> Remembered | None:
        found = self._known.get((client_id, key))
        if found is not None and at - found.at >= LIFE_S:
            del self._known[client_id, key]
            return None
        return found

    def start(self, client_id: str, key: str, fingerprint: str, at: float) -> Remembered:
        self._drop_expired(at)
        made = Remembered(fingerprint, at)
        self._known[client_id, key] = made
        return made

    def drop(self, client_id: str, key: str) -> None:
        self._known.pop((client_id, key), None)

    def _drop_expired(self, at: float) -> None:
        while self._known:
            # Keys stand in the order of their first call.
            oldest = next(iter(self._known))
            if at - self._known[oldest].at < LIFE_S:
                return
            del self._known[oldest]

    def forget(self) -> int:
        count = len(self._known)
        self._known.clear()
        return count
