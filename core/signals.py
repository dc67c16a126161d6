"""Wake-ups inside one process, fed by the database's own commit.

A signal is only a hint ("something about X changed"); whoever hears it looks at the database. Losing one costs at most
the sweep interval, never a record.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

WORK = "work"
"""Something may be due: an event was stored, an item was added."""

LIVE = "live"
"""What a tenant sees has changed; the payload is the tenant's id."""

CHANNELS = (WORK, LIVE)
_QUEUE_LIMIT = 10_000


class Signals:
    """Publish and subscribe within one event loop."""

    def __init__(self) -> None:
        self._queues: dict[str, set[asyncio.Queue[str]]] = defaultdict(set)

    def publish(self, channel: str, payload: str) -> None:
        """Hand ``payload`` to every subscriber; a full queue drops it, since hints already wait there."""
        for queue in tuple(self._queues[channel]):
            if not queue.full():
                queue.put_nowait(payload)

    @asynccontextmanager
    async def subscribe(self, channel: str) -> AsyncIterator[asyncio.Queue[str]]:
        """Receive what is published on ``channel`` while the context is open."""
        queue: asyncio.Queue[str] = asyncio.Queue(_QUEUE_LIMIT)
        self._queues[channel].add(queue)
        try:
            yield queue
        finally:
            self._queues[channel].discard(queue)
