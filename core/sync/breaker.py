"""Which providers may be called how often: one that answers nobody, or slowly, must not take the room of the others."""

from collections import Counter
from collections.abc import Iterable
from uuid import UUID

from core.clock import Runtime
from core.sync.ladder import BREAKER_AFTER, BREAKER_PAUSE

LANES_AT_ONCE = 32
"""Lanes that one worker serves beside one another. Most of the time they wait for an answer."""

LANES_OF_ONE = 24
"""How many of them may be of one provider: where it takes 30 s for each answer, the others still find room (F12)."""


class Breakers:
    """The breaker of each provider, over all its connections (F11); each worker has its own.

    A single connection rests by itself (:mod:`core.sync.lanes`). When five of a provider's connections in a row got no
    answer, and no other got one in between, it is asked by one lane a minute until it answers.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._silent: dict[str, set[UUID]] = {}
        self._asks_at: dict[str, float] = {}

    def note(self, kind: str, connection_id: UUID, *, is_answering: bool) -> None:
        """Take down how a lane's last call ended."""
        if is_answering:
            self._silent.pop(kind, None)
            self._asks_at.pop(kind, None)
            return
        silent = self._silent.setdefault(kind, set())
        silent.add(connection_id)
        if len(silent) >= BREAKER_AFTER:
            self._asks_at.setdefault(kind, self._next_ask())

    def room(self, kinds: Iterable[str]) -> tuple[int, set[str]]:
        """Return how many lanes may be claimed, and the providers of which none may be.

        Args:
            kinds: of the lanes that are being served now, each as often as it is.
        """
        taken = Counter(kinds)
        left = {kind: LANES_OF_ONE - count for kind, count in taken.items()}
        now = self._runtime.monotonic()
        for kind, asks_at in self._asks_at.items():
            left[kind] = 1 if asks_at <= now and not taken[kind] else 0
        open_ones = [count for count in left.values() if count > 0]
        return (
            min([LANES_AT_ONCE - taken.total(), LANES_OF_ONE, *open_ones]),
            {kind for kind, count in left.items() if count <= 0},
        )

    def claimed(self, kind: str) -> None:
        """Take down that a lane of this provider was claimed: where it is silent, the next may ask in a minute."""
        if kind in self._asks_at:
            self._asks_at[kind] = self._next_ask()

    def _next_ask(self) -> float:
        return self._runtime.monotonic() + BREAKER_PAUSE.total_seconds()
