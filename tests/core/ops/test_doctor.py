"""The doctor: each thing is broken once, and the sentence about it is read. No finding ever shows a secret."""

import asyncio
import base64
import json
import os
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import msgspec
import pytest
from alembic import command
from sqlalchemy import text

from core.config import Settings, variable_names
from core.connections.secrets import seal
from core.crypto import KeyRing
from core.db.migrate import alembic_config
from core.db.models import Connection, Process
from core.intake.handlers import subscribed_events
from core.intake.stripe_client import STRIPE_API_VERSION
from core.logging import configure_logging
from core.ops.check_database import room_left
from core.ops.doctor import EXIT_CODES, examine, worst
from core.ops.findings import Finding, Level
from core.wiring import Wiring, open_wiring
from tests.factories import make_connection, make_tenant
from tests.postgres import Cluster
from tests.runtime import VirtualRuntime
from tests.small_disk import small_disk
from web.cli import main

CANARY = "canary7f3a"
KEY = base64.b64encode(bytes(range(32))).decode()
OTHER_KEY = base64.b64encode(bytes(range(1, 33))).decode()


def environ_of(wiring: Wiring, **changes: str) -> dict[str, str]:
    settings = wiring.settings
    return {
        "APP_ENV": "development",
        "APP_BASE_URL": "https://books.example.com",
        "TRUSTED_HOPS": "1",
        "DATABASE_URL": settings.database_url,
        "TOKEN_KEYS": settings.token_keys,
        "SECRET_KEY": settings.secret_key,
        "STRIPE_SECRET_KEY": f"sk_test_{CANARY}",
        "STRIPE_WEBHOOK_SECRETS": f"whsec_{CANARY}",
        **changes,
    }


async def ask(wiring: Wiring, **changes: str) -> list[Finding]:
    # PostgreSQL tells the machine's own time: a clock of March would be another fault.
    clock = wiring.runtime if wiring.db.is_sqlite else None
    found = await examine(environ_of(wiring, **changes), runtime=clock)
    assert CANARY not in repr(found)
    return found


def said(found: list[Finding], level: Level) -> str:
    for finding in found:
        assert finding.text.endswith("."), finding
        assert (finding.level is Level.FINE) == (finding.do == ""), finding
    return "\n".join(f"{finding.text} {finding.do}" for finding in found if finding.level is level)


def file_of(wiring: Wiring, *, mode: int) -> Path:
    path = Path(wiring.db.engine.url.database or "")
    path.chmod(mode)
    return path


async def beat(wiring: Wiring, *, age_s: float = 0, pass_age_s: float = 0) -> None:
    async with wiring.db.open_session(write=True) as session:
        now = await wiring.db.now(session)
        beat_at = now - timedelta(seconds=age_s)
        worked_at = now - timedelta(seconds=pass_age_s)
        session.add(Process(role="worker", started_at=beat_at, beat_at=beat_at, worked_at=worked_at))


async def test_a_sound_installation_is_fine(any_wiring: Wiring) -> None:
    await beat(any_wiring)
    if any_wiring.db.is_sqlite:
        file_of(any_wiring, mode=0o640)
    found = await ask(any_wiring)
    assert [finding for finding in found if finding.level is not Level.FINE] == []
    assert EXIT_CODES[worst(found)] == 0
    fine = said(found, Level.FINE)
    for sentence in (
        "Every variable that development needs is there.",
        "The database is at its newest shape.",
        "TOKEN_KEYS opens what is stored.",
        "1 worker alive.",
        "No fault of Tieout's own is open.",
        "https://books.example.com/webhooks/stripe as the webhook endpoint",
        "https://books.example.com/connect/stripe/callback at Stripe",
    ):
        assert sentence in fine, sentence


@pytest.mark.parametrize(
    ("changes", "level", "sentence"),
    [
        ({"SECRET_KEY": ""}, Level.BROKEN, "Not set: SECRET_KEY. Tieout does not start like this"),
        ({"PORT": "many"}, Level.BROKEN, "PORT must be a whole number from 0 to 65535. Tieout does not start"),
        ({"APP_BASE_URL": "books"}, Level.BROKEN, "APP_BASE_URL must look like https://books.example.com"),
        ({"DATABASE_URL": "mysql://x"}, Level.BROKEN, "DATABASE_URL must start with postgresql:// or sqlite:///"),
        ({"DATABASE_URL": "postgresql://u@h:many/d"}, Level.BROKEN, "DATABASE_URL cannot be read as an address"),
        ({"STRIPE_SECRT_KEY": CANARY}, Level.BROKEN, "STRIPE_SECRT_KEY is not a variable of Tieout; is it misspelt?"),
        ({"TOKEN_KEYS": "k1:short"}, Level.BROKEN, "TOKEN_KEYS: key k1 is not base64"),
        ({"TOKEN_KEYS": f"k1:{'A' * 43}="}, Level.WARNING, "TOKEN_KEYS: key k1 is not random"),
        ({"SECRET_KEY": "x" * 40}, Level.BROKEN, "SECRET_KEY still holds a placeholder"),
        ({"STRIPE_WEBHOOK_SECRETS": "whsec_..."}, Level.BROKEN, "STRIPE_WEBHOOK_SECRETS still holds a placeholder"),
        ({"STRIPE_CLIENT_ID": "<your client id>"}, Level.BROKEN, "STRIPE_CLIENT_ID still holds a placeholder"),
        ({"QUICKBOOKS_CLIENT_SECRET": "changeme"}, Level.BROKEN, "QUICKBOOKS_CLIENT_SECRET still holds a placeholder"),
        ({"STRIPE_SECRET_KEY": f"pk_test_{CANARY}"}, Level.BROKEN, "STRIPE_SECRET_KEY is no secret key of Stripe's"),
        (
            {"STRIPE_SECRET_KEY": f"sk_live_{CANARY}"},
            Level.BROKEN,
            "STRIPE_MODE is test, but STRIPE_SECRET_KEY is a key",
        ),
        ({"STRIPE_WEBHOOK_SECRETS": CANARY}, Level.BROKEN, "STRIPE_WEBHOOK_SECRETS holds something that is no signing"),
        ({"ALLOWED_HOSTS": "other.example"}, Level.BROKEN, "ALLOWED_HOSTS does not name the host of APP_BASE_URL"),
        ({"APP_BASE_URL": "http://books.example.com"}, Level.WARNING, "APP_BASE_URL is plain http beyond this machine"),
        ({"TRUSTED_HOPS": "0"}, Level.WARNING, "Set TRUSTED_HOPS to the number of proxies in front"),
        (
            {
                "STRIPE_MODE": "live",
                "STRIPE_SECRET_KEY": f"sk_live_{CANARY}",
                "QUICKBOOKS_API_BASE": "https://sandbox-quickbooks.api.intuit.com",
            },
            Level.WARNING,
            "Live payments of Stripe would go into Intuit's sandbox companies",
        ),
    ],
)
async def test_each_wrong_variable_is_named(
    wiring: Wiring, changes: dict[str, str], level: Level, sentence: str
) -> None:
    assert sentence in said(await ask(wiring, **changes), level)
    assert sentence not in said(await ask(wiring), level)


async def test_a_database_that_nobody_serves(wiring: Wiring) -> None:
    found = await ask(wiring, DATABASE_URL=f"postgresql://tieout:{CANARY}@127.0.0.1:1/tieout")
    assert "The database cannot be used: nothing listens at its address." in said(found, Level.BROKEN)
    assert EXIT_CODES[worst(found)] == 2


@pytest.mark.postgres
async def test_a_server_without_the_database(wiring: Wiring, postgres: Cluster) -> None:
    found = await ask(wiring, DATABASE_URL=postgres.url("no_such_database"))
    assert "The database cannot be used: it has no database of that name." in said(found, Level.BROKEN)


async def test_a_file_that_is_not_there_is_not_made(wiring: Wiring, tmp_path: Path) -> None:
    path = tmp_path / "sub" / "none.db"
    found = await ask(wiring, DATABASE_URL=f"sqlite:///{path}")
    assert "There is no database at none.db yet, so nothing can be kept." in said(found, Level.BROKEN)
    assert not path.parent.exists()


async def test_a_file_that_is_no_database(wiring: Wiring, tmp_path: Path) -> None:
    path = tmp_path / "junk.db"
    path.write_bytes(b"not a database at all" * 200)
    found = await ask(wiring, DATABASE_URL=f"sqlite:///{path}")
    assert "The database cannot be used (DatabaseError)." in said(found, Level.BROKEN)


async def test_a_file_that_everybody_can_read(wiring: Wiring) -> None:
    path = file_of(wiring, mode=0o644)
    found = await ask(wiring)
    assert f"Everybody on this machine can read {path.name} (mode 644)" in said(found, Level.WARNING)


@pytest.mark.parametrize(
    ("free", "level", "sentence"),
    [
        (5_000_000_000, Level.FINE, "The database's disk has 5 GB of room."),
        (1_000_000_000, Level.FINE, "The database's disk has 1 GB of room."),
        (999_999_999, Level.WARNING, "The database's disk has only 999 MB of room. When it is full, events are"),
        (100_000_000, Level.WARNING, "The database's disk has only 100 MB of room."),
        (99_999_999, Level.BROKEN, "The database's disk has only 99 MB of room."),
        (0, Level.BROKEN, "Make room, or move the file to a larger disk."),
    ],
)
def test_a_disk_that_fills_up(free: int, level: Level, sentence: str) -> None:
    found = room_left(free)
    assert found.about == "disk"
    assert found.level is level
    assert sentence in f"{found.text} {found.do}"


async def test_a_real_disk_with_little_room(settings: Settings, runtime: VirtualRuntime, tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", 40) as is_small:
        if not is_small:
            pytest.skip("only root may mount a disk, and not on every machine")
        on_it = msgspec.structs.replace(settings, database_url=f"sqlite:///{tmp_path / 'small' / 'tieout.db'}")
        async with open_wiring(on_it, runtime=runtime) as wiring:
            broken = said(await ask(wiring), Level.BROKEN)
        assert re.search(r"disk has only [1-4]?\d MB of room", broken)
        # Without room the file can still be read, and why nothing is booked may lie elsewhere as well.
        assert "No worker is alive" in broken


async def test_a_write_ahead_log_that_somebody_keeps_from_being_written_back(wiring: Wiring) -> None:
    path = file_of(wiring, mode=0o640)
    log = path.with_name(f"{path.name}-wal")
    async with wiring.db.open_session() as reading:
        # Who reads keeps the log from being emptied; its length is what is looked at, so nothing need fill it.
        await reading.execute(text("SELECT count(*) FROM tenant"))
        await beat(wiring)
        os.truncate(log, 255_000_000)
        assert "write-ahead" not in said(await ask(wiring), Level.WARNING)
        os.truncate(log, 300_000_000)
        found = said(await ask(wiring), Level.WARNING)
    assert f"The write-ahead log of {path.name} has grown to 300 MB: something reads for long." in found


OTHER_SETTINGS = """
CREATE FUNCTION public.current_setting(name text) RETURNS text LANGUAGE sql STABLE AS
$$ SELECT CASE name {} ELSE pg_catalog.current_setting(name) END $$
"""


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("setting", "value", "level", "sentence"),
    [
        ("server_version_num", "120022", Level.WARNING, "PostgreSQL 12 answers, which nobody tends any more"),
        ("server_version_num", "90624", Level.WARNING, "PostgreSQL 9 answers, which nobody tends any more"),
        ("server_version_num", "130000", Level.FINE, "PostgreSQL 13 answers."),
        ("server_version_num", "180001", Level.FINE, "PostgreSQL 18 answers."),
        ("max_connections", "33", Level.WARNING, "PostgreSQL allows 33 connections; one process may open 17"),
        ("max_connections", "34", Level.FINE, "PostgreSQL allows 34 connections: 2 processes."),
    ],
)
async def test_a_server_of_another_version_or_with_few_connections(
    wiring: Wiring, postgres: Cluster, setting: str, value: str, level: Level, sentence: str
) -> None:
    """The server says of itself what another one would: a function of ours is found before its own."""
    name = await postgres.new_database()
    connection = await asyncpg.connect(postgres.url(name))
    try:
        await connection.execute(OTHER_SETTINGS.format(f"WHEN '{setting}' THEN '{value}'"))
        await connection.execute(f'ALTER DATABASE "{name}" SET search_path = public, pg_catalog')
    finally:
        await connection.close()
    found = await ask(wiring, DATABASE_URL=postgres.url(name))
    await postgres.drop_database(name)
    assert sentence in said(found, level)
    about = "database" if setting == "server_version_num" else "connections"
    assert [finding.level for finding in found if finding.about == about] == [level]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
async def test_a_file_that_cannot_be_written(wiring: Wiring) -> None:
    file_of(wiring, mode=0o400)
    assert "cannot be written by this user" in said(await ask(wiring), Level.BROKEN)


async def test_an_empty_database_and_one_that_is_behind_or_ahead(any_wiring: Wiring) -> None:
    config = alembic_config(any_wiring.settings.database_url)
    await asyncio.to_thread(command.downgrade, config, "3d84a3c743dc")
    assert "The database is not at its newest shape: workers refuse to start" in said(
        await ask(any_wiring), Level.BROKEN
    )
    await asyncio.to_thread(command.downgrade, config, "base")
    assert "The database is empty" in said(await ask(any_wiring), Level.BROKEN)
    async with any_wiring.db.engine.connect() as connection:
        await connection.execute(text("INSERT INTO alembic_version VALUES ('ffffffffffff')"))
        await connection.commit()
    assert "The database is of a newer release than this one." in said(await ask(any_wiring), Level.WARNING)


async def test_a_key_that_is_missing_and_one_that_is_another(any_wiring: Wiring) -> None:
    tenant = await make_tenant(any_wiring)
    row = await make_connection(any_wiring, tenant.id)
    async with any_wiring.db.tenant(tenant.id, write=True) as session:
        found = await session.get_one(Connection, row.id)
        found.access_token = seal(KeyRing({"k1": bytes(range(32))}, any_wiring.runtime), found, "access_token", CANARY)
    assert "TOKEN_KEYS opens what is stored." in said(await ask(any_wiring), Level.FINE)
    lost = await ask(any_wiring, TOKEN_KEYS=f"k2:{KEY}")
    assert "Stored tokens need key k1, which TOKEN_KEYS does not have" in said(lost, Level.BROKEN)
    other = await ask(any_wiring, TOKEN_KEYS=f"k1:{OTHER_KEY}")
    assert "1 of 1 connections hold a token that TOKEN_KEYS does not open" in said(other, Level.BROKEN)


async def test_workers_that_are_not_there_died_or_hang(any_wiring: Wiring) -> None:
    assert "No worker is alive: events are taken and kept" in said(await ask(any_wiring), Level.BROKEN)
    await beat(any_wiring, age_s=3_700)
    found = await ask(any_wiring)
    assert "No worker is alive" in said(found, Level.BROKEN)
    assert "Died within the last day without saying so: 1 process." in said(found, Level.WARNING)
    await beat(any_wiring, pass_age_s=240)
    assert "has ended no pass for 4 minutes" in said(await ask(any_wiring), Level.BROKEN)
    await beat(any_wiring)
    assert "worker" not in said(await ask(any_wiring), Level.BROKEN)


@pytest.mark.postgres
async def test_a_clock_that_is_wrong(postgres_wiring: Wiring) -> None:
    clock = VirtualRuntime((await _now(postgres_wiring)) + timedelta(seconds=30))
    found = await examine(environ_of(postgres_wiring), runtime=clock)
    assert "The clocks of this machine and of the database are 30 seconds apart." in said(found, Level.WARNING)
    clock.forward(minutes=10)
    found = await examine(environ_of(postgres_wiring), runtime=clock)
    assert "Let both take their time from the network (NTP)." in said(found, Level.BROKEN)


async def _now(wiring: Wiring) -> Any:
    async with wiring.db.open_session() as session:
        return await wiring.db.now(session)


# The way out


def endpoint(**changes: Any) -> dict[str, Any]:
    return {
        "id": "we_1",
        "object": "webhook_endpoint",
        "url": "https://books.example.com/webhooks/stripe",
        "status": "enabled",
        "enabled_events": subscribed_events(),
        "api_version": STRIPE_API_VERSION,
        **changes,
    }


def stripe_with(*endpoints: dict[str, Any], status: int = 200) -> httpx.MockTransport:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path != "/v1/webhook_endpoints":
            return httpx.Response(404)
        if status != 200:
            return httpx.Response(status, json={"error": {"type": "invalid_request_error", "message": CANARY}})
        return httpx.Response(
            200, json={"object": "list", "url": "/v1/webhook_endpoints", "has_more": False, "data": list(endpoints)}
        )

    return httpx.MockTransport(answer)


@pytest.mark.parametrize(
    ("transport", "level", "sentence"),
    [
        (stripe_with(endpoint()), Level.FINE, "Stripe's webhook endpoint leads here"),
        (stripe_with(endpoint(enabled_events=["*"])), Level.FINE, "Stripe's webhook endpoint leads here"),
        (
            stripe_with(),
            Level.BROKEN,
            "Stripe has no webhook endpoint that leads to https://books.example.com/webhooks",
        ),
        (stripe_with(endpoint(url="https://old.example.com/x")), Level.BROKEN, "Stripe has no webhook endpoint"),
        (stripe_with(endpoint(status="disabled")), Level.BROKEN, "The webhook endpoint is switched off at Stripe"),
        (stripe_with(endpoint(enabled_events=["payout.paid"])), Level.WARNING, "does not tell of"),
        (stripe_with(endpoint(api_version="2020-08-27")), Level.WARNING, "sends API version 2020-08-27, Tieout reads"),
        (stripe_with(status=401), Level.BROKEN, "Stripe did not show the webhook endpoints (access_expired)"),
    ],
)
async def test_stripes_endpoint_is_looked_at_when_asked(
    wiring: Wiring, transport: httpx.MockTransport, level: Level, sentence: str
) -> None:
    found = await examine(environ_of(wiring), asks_network=True, runtime=wiring.runtime, transport=transport)
    assert sentence in said(found, level)
    assert "api.xero.com answers." in said(found, Level.FINE)
    assert CANARY not in repr(found)


async def test_hosts_that_cannot_be_reached_are_named(wiring: Wiring) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if "intuit" in request.url.host:
            raise httpx.ConnectError(CANARY)
        if "xero" in request.url.host:
            raise httpx.ReadTimeout(CANARY)
        return stripe_with(endpoint()).handler(request)  # type: ignore[return-value]  # not a coroutine

    found = await examine(
        environ_of(wiring), asks_network=True, runtime=wiring.runtime, transport=httpx.MockTransport(answer)
    )
    assert "quickbooks.api.intuit.com cannot be reached (ConnectError)" in said(found, Level.BROKEN)
    assert "api.xero.com was reached, but gave no answer within 10 seconds." in said(found, Level.WARNING)
    assert CANARY not in repr(found)


async def test_nobody_is_called_unless_asked(wiring: Wiring) -> None:
    def answer(_request: httpx.Request) -> httpx.Response:
        raise AssertionError("called")

    await examine(environ_of(wiring), runtime=wiring.runtime, transport=httpx.MockTransport(answer))


# The command


async def run(monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], *options: str) -> int:
    for name in variable_names():
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    # The command has an event loop of its own.
    code = await asyncio.to_thread(main, ["doctor", *options])
    configure_logging("warning", tracebacks=True)
    return code


async def test_the_command_says_it_in_words_and_in_json_and_by_its_exit_code(
    wiring: Wiring, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await run(monkeypatch, environ_of(wiring, SECRET_KEY="")) == 2
    words = capsys.readouterr()
    assert words.out.startswith("BROKEN  Not set: SECRET_KEY.")
    assert "        → Set them in every process" in words.out
    assert max(map(len, words.out.splitlines())) <= 100
    assert await run(monkeypatch, environ_of(wiring), "--json") == 2
    as_json = capsys.readouterr()
    told = json.loads(as_json.out)
    assert told["level"] == "broken"
    assert {"about", "level", "text", "do"} == set(told["findings"][0])
    assert [one["about"] for one in told["findings"] if one["level"] == "broken"] == ["worker"]
    assert CANARY not in words.out + words.err + as_json.out + as_json.err
