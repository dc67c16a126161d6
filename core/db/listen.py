"""Hearing PostgreSQL's NOTIFY and passing it on inside the process. SQLite needs none of it: there is one process."""

from contextlib import suppress

import asyncpg

from core.db.engine import driver_dsn
from core.logging import get_logger
from core.signals import CHANNELS, Signals
from core.wiring import Wiring

_RECONNECT_S = 2.0
_CHECK_S = 15.0

log = get_logger("listener")


async def listen(wiring: Wiring) -> None:
    """Pass notifications on until cancelled; a lost connection is opened again.

    What was missed meanwhile is found by the sweep and by the next comparison of numbers, so nothing is replayed.
    """
    if wiring.db.is_sqlite:
        return
    while True:
        try:
            await _listen_once(wiring)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as exc:
            log.warning("listener_lost", exc_info=exc)
        await wiring.runtime.sleep(_RECONNECT_S)


async def _listen_once(wiring: Wiring) -> None:
    connection = await asyncpg.connect(driver_dsn(wiring.settings.database_url), timeout=5)
    try:
        for channel in CHANNELS:
            await connection.add_listener(f"tieout_{channel}", _passer(wiring.signals, channel))
        while True:
            await wiring.runtime.sleep(_CHECK_S)
            await connection.execute("SELECT 1")
    finally:
        with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            await connection.close(timeout=2)


def _passer(signals: Signals, channel: str) -> "asyncpg.connection.Listener":
    def heard(_connection: object, _pid: int, _channel: str, payload: object) -> None:
        signals.publish(channel, str(payload))

    return heard
