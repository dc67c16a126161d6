"""The sandbox's own time: the machine's, plus an offset that the control API moves forward."""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from core.clock import Runtime, SystemRuntime

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


class SandboxClock:
    """A :class:`Runtime` over another one. Dates and durations move together when it is advanced.

    Ids come from the kernel's randomness, or from ``seed`` where a run must be repeatable.
    """

    def __init__(self, base: Runtime | None = None, *, seed: int | None = None) -> None:
        self._base = base or SystemRuntime()
        self._offset_s = 0.0
        self._rng = random.Random(seed) if seed is not None else None  # noqa: S311 - repeatable runs, no secrets
        self._listeners: list[Callable[[], None]] = []

    @property
    def offset_s(self) -> float:
        """Seconds by which this clock runs ahead of the machine."""
        return self._offset_s

    def now(self) -> datetime:
        return (self._base.now() + timedelta(seconds=self._offset_s)).astimezone(UTC)

    def now_ts(self) -> int:
        """Whole Unix seconds, the unit of every Stripe timestamp."""
        return int(self.timestamp())

    def timestamp(self) -> float:
        return self.now().timestamp()

    def monotonic(self) -> float:
        return self._base.monotonic() + self._offset_s

    async def sleep(self, seconds: float) -> None:
        await self._base.sleep(seconds)

    def random(self) -> float:
        return self._rng.random() if self._rng else self._base.random()

    def token_bytes(self, size: int) -> bytes:
        return self._rng.randbytes(size) if self._rng else self._base.token_bytes(size)

    def new_id(self, prefix: str, length: int = 24) -> str:
        """Return ``prefix`` followed by ``length`` unguessable letters and digits."""
        # 248 = 4 * 62: bytes above it would favour the first letters of the alphabet.
        letters: list[str] = []
        while len(letters) < length:
            letters += [_ALPHABET[byte % 62] for byte in self.token_bytes(length) if byte < 248]
        return prefix + "".join(letters[:length])

    def advance(self, seconds: float) -> None:
        """Move time forward (never back) and wake whoever waits for a due date."""
        if seconds < 0:
            msg = "the sandbox clock only moves forward"
            raise ValueError(msg)
        self._offset_s += seconds
        for listener in self._listeners:
            listener()

    def on_advance(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` after every :meth:`advance`."""
        self._listeners.append(listener)
