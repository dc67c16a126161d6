"""``tieout doctor``: look at everything that an installation needs, and say of each part how it is.

It starts nothing, changes nothing, and works with wrong settings and without a database: what cannot be looked at,
since something before it is broken, is left out.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from sqlalchemy.exc import ArgumentError

from core.clock import Runtime, SystemRuntime
from core.config import Settings, parse_key_ring, read_settings
from core.crypto import KeyRing
from core.db.engine import make_engine
from core.db.session import Database
from core.errors import ConfigurationError
from core.ops.check_database import check_database, check_file
from core.ops.check_network import check_network
from core.ops.check_settings import check_settings
from core.ops.findings import Finding, Level
from core.outgoing import Outgoing, Transport
from core.signals import Signals
from core.wiring import Wiring

EXIT_CODES = {Level.FINE: 0, Level.WARNING: 1, Level.BROKEN: 2}
"""What ``tieout doctor`` ends with: the worst of what it found."""


async def examine(
    environ: Mapping[str, str] | None = None,
    *,
    asks_network: bool = False,
    runtime: Runtime | None = None,
    transport: Transport | None = None,
) -> list[Finding]:
    """Look at everything and return one finding for each thing, in the order in which to mend them.

    Args:
        environ: the variables; those of this process when not given.
        asks_network: call the providers as well.
        runtime: clock of this machine.
        transport: carries outgoing HTTP; the network when not given.
    """
    runtime = runtime or SystemRuntime()
    settings, problems = read_settings(environ)
    found = check_settings(settings, problems)
    if not any(problem.startswith("DATABASE_URL ") for problem in problems):
        found += await _look_at_database(settings, runtime)
    if asks_network:
        outgoing = Outgoing(settings.outgoing_urls, transport=transport)
        found += await check_network(settings, outgoing, runtime)
        await outgoing.aclose()
    return found


async def _look_at_database(settings: Settings, runtime: Runtime) -> list[Finding]:
    try:
        found = list(check_file(settings.database_url)) if settings.is_sqlite else []
        if any(finding.about == "database" and finding.level is Level.BROKEN for finding in found):
            return found
        async with _unstarted(settings, runtime) as (wiring, has_keys):
            return found + await check_database(wiring, has_keys=has_keys)
    except (ArgumentError, ValueError):
        return [
            Finding(
                "database",
                Level.BROKEN,
                "DATABASE_URL cannot be read as an address, so there is no database.",
                "Write it as postgresql://user:password@host:5432/name; in a password, %40 stands for @.",
            )
        ]


def worst(found: list[Finding]) -> Level:
    """Return the worst level among findings."""
    return max((finding.level for finding in found), key=lambda level: EXIT_CODES[level], default=Level.FINE)


@asynccontextmanager
async def _unstarted(settings: Settings, runtime: Runtime) -> AsyncIterator[tuple[Wiring, bool]]:
    """Open what a process holds without migrating anything; say whether the key ring could be read."""
    try:
        ring = parse_key_ring(settings.token_keys)
    except ConfigurationError:
        ring = {}
    keys = KeyRing(ring or {"none": bytes(32)}, runtime)
    signals = Signals()
    db = Database(make_engine(settings.database_url, pool_size=1), runtime, signals)
    outgoing = Outgoing([])
    try:
        yield Wiring(settings, runtime, db, keys, outgoing, signals), bool(ring)
    finally:
        await outgoing.aclose()
        await db.aclose()
