"""What one process holds: settings, database, keys, the way out. Built once, handed down, never global."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from core.clock import Runtime, SystemRuntime
from core.config import Settings, parse_key_ring
from core.crypto import KeyRing
from core.db.engine import make_engine
from core.db.migrate import upgrade
from core.db.session import Database
from core.outgoing import Outgoing, Transport
from core.signals import Signals
from core.tally import Counters


@dataclass(frozen=True, slots=True)
class Wiring:
    """The shared parts of a web process, a worker or a test."""

    settings: Settings
    runtime: Runtime
    db: Database
    keys: KeyRing
    outgoing: Outgoing
    signals: Signals
    counters: Counters = field(default_factory=Counters)


@asynccontextmanager
async def open_wiring(
    settings: Settings,
    *,
    runtime: Runtime | None = None,
    transport: Transport | None = None,
) -> AsyncIterator[Wiring]:
    """Open everything that a process needs and close it at the end.

    Args:
        settings: from :func:`core.config.load_settings`.
        runtime: clock, sleep and randomness; the machine's own when not given.
        transport: carries outgoing HTTP; the network when not given.

    An embedded SQLite database is migrated here; PostgreSQL is migrated by ``tieout migrate`` before a release.
    """
    runtime = runtime or SystemRuntime()
    if settings.is_sqlite:
        await asyncio.to_thread(upgrade, settings.database_url)
    signals = Signals()
    db = Database(make_engine(settings.database_url), runtime, signals)
    counters = Counters(settings.providers)
    outgoing = Outgoing(settings.outgoing_urls, transport=transport, counters=counters)
    keys = KeyRing(parse_key_ring(settings.token_keys), runtime)
    try:
        yield Wiring(settings, runtime, db, keys, outgoing, signals, counters)
    finally:
        await outgoing.aclose()
        await db.aclose()
