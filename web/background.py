"""What runs beside the pages in the same process: nothing yet."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from core.wiring import Wiring


@asynccontextmanager
async def start_background(wiring: Wiring) -> AsyncIterator[None]:
    """Run the embedded worker and the live watcher while the context is open."""
    yield
