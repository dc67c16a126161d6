"""What one process commits on PostgreSQL, another one hears."""

import asyncio

import msgspec
import pytest

from core.db.engine import driver_dsn
from core.db.listen import listen
from core.db.session import announce
from core.signals import LIVE
from core.wiring import Wiring, open_wiring


@pytest.mark.parametrize("ending", ["", "?sslmode=disable", "?ssl=disable"])
@pytest.mark.postgres
async def test_a_commit_is_heard_in_another_process(postgres_wiring: Wiring, ending: str) -> None:
    """However the address says what it thinks of TLS."""
    settings = msgspec.structs.replace(
        postgres_wiring.settings, database_url=postgres_wiring.settings.database_url + ending
    )
    async with open_wiring(settings, runtime=postgres_wiring.runtime) as other, other.signals.subscribe(LIVE) as heard:
        listening = asyncio.create_task(listen(other))
        try:
            async with asyncio.timeout(10):
                while heard.empty():
                    async with postgres_wiring.db.open_session(write=True) as session:
                        announce(session, LIVE, "news")
                    await asyncio.wait({listening}, timeout=0.02)
            assert heard.get_nowait() == "news"
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)


def test_the_listener_keeps_what_the_address_asks_of_tls() -> None:
    for given in ("postgres://a:b@h/x?sslmode=verify-full", "postgresql://a:b@h/x?ssl=verify-full"):
        assert driver_dsn(given) == "postgresql://a:b@h/x?sslmode=verify-full"
