"""What the host asks: is the process alive, can it work (D6)."""

from dataclasses import replace
from pathlib import Path

import msgspec

from core.connections.secrets import seal
from core.crypto import KeyRing
from core.db.engine import make_engine
from core.db.models import Connection
from core.db.session import Database
from core.wiring import Wiring
from tests.browser import Browser
from tests.factories import make_connection, make_tenant
from tests.runtime import VirtualRuntime
from web.app import create_app


async def _ask(wiring: Wiring, path: str) -> tuple[int, str]:
    app = create_app(wiring.settings, wiring=wiring)
    async with app.lifespan(), Browser(app) as browser:
        answer = await browser.get(path)
        assert (await browser.http.head(path)).status_code == answer.status_code
        return answer.status_code, answer.text


async def test_a_fresh_database_is_ready(any_wiring: Wiring) -> None:
    assert await _ask(any_wiring, "/health") == (200, "ok")
    assert await _ask(any_wiring, "/ready") == (200, "ok")


async def test_without_migrations_it_lives_but_is_not_ready(
    wiring: Wiring, tmp_path: Path, runtime: VirtualRuntime
) -> None:
    empty = Database(make_engine(f"sqlite:///{tmp_path / 'empty.db'}"), runtime, wiring.signals)
    broken = replace(wiring, db=empty)
    app = create_app(broken.settings, wiring=broken)
    # Not through the lifespan: its workers would complain about missing tables, rightly.
    app.state.wiring = broken
    async with Browser(app) as browser:
        assert (await browser.get("/health")).status_code == 200
        answer = await browser.get("/ready")
    assert (answer.status_code, answer.text) == (503, "not ok")
    await empty.aclose()


async def test_an_unreachable_database_is_not_ready(wiring: Wiring, runtime: VirtualRuntime) -> None:
    gone = Database(make_engine("postgresql://nobody@127.0.0.1:1/none"), runtime, wiring.signals)
    broken = replace(wiring, db=gone)
    app = create_app(broken.settings, wiring=broken)
    app.state.wiring = broken
    async with Browser(app) as browser:
        answer = await browser.get("/ready")
        page = await browser.get("/sign-in")
    assert (answer.status_code, answer.text) == (503, "not ok")
    assert page.status_code == 200
    await gone.aclose()


async def test_a_missing_key_is_not_ready(any_wiring: Wiring) -> None:
    tenant = await make_tenant(any_wiring)
    row = await make_connection(any_wiring, tenant.id)
    lost = KeyRing({"lost": bytes(32)}, VirtualRuntime())
    async with any_wiring.db.tenant(tenant.id, write=True) as session:
        found = await session.get_one(Connection, row.id)
        found.access_token = seal(lost, found, "access_token", "x")
    assert await _ask(any_wiring, "/ready") == (503, "not ok")
    assert await _ask(any_wiring, "/health") == (200, "ok")


async def test_a_worker_inside_that_ends_no_pass_is_not_ready(wiring: Wiring) -> None:
    embedding = replace(wiring, settings=msgspec.structs.replace(wiring.settings, embedded_worker="yes"))
    app = create_app(embedding.settings, wiring=embedding)
    async with app.lifespan(), Browser(app) as browser:
        assert (await browser.get("/ready")).status_code == 200
        background = app.state.background
        app.state.background = replace(background, is_working=lambda: False)
        assert (await browser.get("/health")).status_code == 200
        answer = await browser.get("/ready")
        app.state.background = background
    assert (answer.status_code, answer.text) == (503, "not ok")
    assert not background.is_working(), "its worker has ended with the application"
