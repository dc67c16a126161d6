"""The one port to time and chance: clock, sleep and randomness.

Nothing else in ``core`` or ``web`` asks the machine what time it is, waits, or throws dice. A test hands in its own
:class:`Runtime` and thereby owns all three.
"""

import asyncio
import os
import random
import time
from datetime import UTC, datetime
from typing import Protocol


class Runtime(Protocol):
    """Clock, sleep and randomness of one process."""

    def now(self) -> datetime:
        """Return the current time, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds that only ever grow; for durations, never for dates."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait for ``seconds``."""
        ...

    def random(self) -> float:
        """Return a number in [0, 1) for jitter; never for secrets."""
        ...

    def token_bytes(self, size: int) -> bytes:
        """Return ``size`` unguessable bytes."""
        ...


class SystemRuntime:
    """The real thing: the machine's clock, the event loop's sleep, the kernel's randomness."""

    def now(self) -> datetime:
        """Return the machine's time in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return the machine's monotonic clock in seconds."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Give the event loop back for ``seconds``."""
        await asyncio.sleep(seconds)

    def random(self) -> float:
        """Return a number in [0, 1) from the process-wide generator."""
        return random.random()  # noqa: S311 - jitter, not a secret

    def token_bytes(self, size: int) -> bytes:
        """Return ``size`` bytes from the kernel."""
        return os.urandom(size)
