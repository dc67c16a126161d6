"""``tieout adopt``: begun before the workers start, ended when nothing is left that could be booked twice."""

from datetime import timedelta

import anyio
import pytest
from sqlalchemy import select

from core.clock import SystemRuntime
from core.db.models import Connection, ConnectionStatus, ItemKind, ItemState, SyncItem
from core.sync.items import enqueue
from core.wiring import Wiring
from tests.e2e.processes import environment
from tests.factories import make_connection, make_tenant
from web.cli import main


@pytest.fixture
def environ(wiring: Wiring, monkeypatch: pytest.MonkeyPatch) -> Wiring:
    """The environment of a process on this database."""
    for name, value in environment(wiring.settings).items():
        monkeypatch.setenv(name, value)
    return wiring


async def test_without_books_there_is_nothing_to_do(environ: Wiring, capsys: pytest.CaptureFixture[str]) -> None:
    assert await _tieout("adopt", "on") == 2
    assert "No books are connected" in capsys.readouterr().out


@pytest.mark.parametrize("words", [[], ["maybe"]])
def test_a_wrong_word_is_refused(words: list[str]) -> None:
    with pytest.raises(SystemExit) as told:
        main(["adopt", *words])
    assert told.value.code == 2


async def test_it_begins_for_all_and_ends_when_all_is_done(environ: Wiring, capsys: pytest.CaptureFixture[str]) -> None:
    tenants = [await make_tenant(environ, name=name) for name in ("Anna Berg", "Lumen Studio")]
    books = [await make_connection(environ, tenant.id, options={"scope": "kept"}) for tenant in tenants]
    now = SystemRuntime().now()
    async with environ.db.tenant(tenants[0].id, write=True) as session:
        await enqueue(
            session, tenant_id=tenants[0].id, connection_id=books[0].id, kind=ItemKind.SALE, source_id="pi_one",
            due_at=now - timedelta(minutes=1),
        )  # fmt: skip

    async def options() -> list[dict[str, str]]:
        found = []
        for row in books:
            async with environ.db.tenant(row.tenant_id) as session:
                found.append(dict((await session.get_one(Connection, row.id)).options))
        return found

    assert await _tieout("adopt", "on") == 0
    assert await options() == [{"scope": "kept", "adopt": "yes"}] * 2
    assert await _tieout("adopt", "show") == 0
    assert await _tieout("adopt", "off") == 1
    told = capsys.readouterr().out
    assert "Anna Berg" in told
    assert "1 not done" in told
    assert "booked twice" in told
    assert await options() == [{"scope": "kept", "adopt": "yes"}] * 2
    assert await _tieout("adopt", "off", "--workspace", "Lumen Studio") == 0
    assert await options() == [{"scope": "kept", "adopt": "yes"}, {"scope": "kept"}]
    assert await _tieout("adopt", "off", "--anyway") == 0
    assert await options() == [{"scope": "kept"}] * 2


async def test_what_waits_in_books_that_were_left_keeps_it_on_there_alone(
    environ: Wiring, capsys: pytest.CaptureFixture[str]
) -> None:
    tenant = await make_tenant(environ, name="Anna Berg")
    left = await make_connection(environ, tenant.id, external_id="1", status=ConnectionStatus.CLOSED)
    used = await make_connection(environ, tenant.id, external_id="2")
    async with environ.db.tenant(tenant.id, write=True) as session:
        await enqueue(
            session, tenant_id=tenant.id, connection_id=left.id, kind=ItemKind.SALE, source_id="pi_one",
            due_at=SystemRuntime().now(),
        )  # fmt: skip
        item = (await session.execute(select(SyncItem))).scalar_one()
        item.state, item.due_at = ItemState.BLOCKED, None

    async def is_on() -> list[bool]:
        async with environ.db.tenant(tenant.id) as session:
            rows = [await session.get_one(Connection, row.id) for row in (left, used)]
            return [row.options.get("adopt") == "yes" for row in rows]

    assert await _tieout("adopt", "on") == 0
    assert await _tieout("adopt", "off") == 0
    assert await is_on() == [True, False]
    assert "It stays on for 1 that are no longer connected" in capsys.readouterr().out
    assert await _tieout("adopt", "off", "--anyway") == 0
    assert await is_on() == [False, False]


async def _tieout(*words: str) -> int:
    # The command has a loop of its own.
    return await anyio.to_thread.run_sync(main, words)
