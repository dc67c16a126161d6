"""The operator's page: closed without the token, and without a trace of any tenant (issue of the operator, L2)."""

import re
from base64 import b64encode
from collections.abc import AsyncIterator
from datetime import date, datetime, timedelta
from enum import Enum
from typing import Any
from uuid import UUID

import msgspec
import pytest
from litestar import Litestar
from sqlalchemy import Date, LargeBinary, String, Table, event, insert, text

from core.db.models import (
    ConnectionStatus,
    ItemKind,
    ItemState,
    Lane,
    Process,
    StripeEvent,
    SyncItem,
    Tally,
)
from core.db.types import Base, UTCDateTime
from core.ops.pulse import DAY_MINUTES, SLOT_MINUTES, slot_of
from core.reasons import Reason
from core.wiring import Wiring
from tests.browser import Browser
from tests.factories import make_connection, make_tenant
from tests.moves import make_item
from web.app import create_app

TOKEN = "the operator's token, long enough to be one"
CANARY = "canary7f3a"
HTML = {"Accept": "text/html,*/*;q=0.8"}


def bearer(token: str = TOKEN) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def basic(name: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + b64encode(f"{name}:{password}".encode()).decode()}


def opened(wiring: Wiring) -> Litestar:
    return create_app(msgspec.structs.replace(wiring.settings, operator_token=TOKEN), wiring=wiring)


@pytest.fixture
async def operator(any_wiring: Wiring) -> AsyncIterator[Browser]:
    app = opened(any_wiring)
    async with app.lifespan(), Browser(app) as browser:
        yield browser


async def test_without_a_token_in_the_settings_there_is_no_such_page(wiring: Wiring) -> None:
    app = create_app(wiring.settings, wiring=wiring)
    async with app.lifespan(), Browser(app) as browser:
        for headers in ({}, bearer(""), basic("", ""), bearer("x")):
            for path in ("/metrics", "/metrics.txt"):
                answer = await browser.get(path, headers=headers)
                assert (answer.status_code, answer.content) == (404, b"")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        bearer(TOKEN[:-1]),
        bearer(TOKEN + "x"),
        bearer("é" * 40),
        {"Authorization": "Basic nonsense"},
        {"Authorization": "Basic " + b64encode(b"\xff:\xff").decode()},
        {"Authorization": TOKEN},
        {"Authorization": f"Digest {TOKEN}"},
        basic(TOKEN, ""),
        {"Cookie": f"operator={TOKEN}"},
    ],
)
async def test_it_opens_to_nothing_but_the_token(wiring: Wiring, headers: dict[str, str]) -> None:
    app = opened(wiring)
    encoded = {name: value.encode("utf-8") for name, value in headers.items()}
    async with app.lifespan(), Browser(app) as browser:
        for path in ("/metrics", "/metrics.txt", f"/metrics?token={TOKEN}"):
            answer = await browser.get(path, headers=encoded)  # type: ignore[arg-type]  # bytes beyond ASCII
            assert (answer.status_code, answer.content) == (401, b"")
            assert answer.headers["www-authenticate"].startswith("Basic ")


async def test_people_get_a_page_and_scrapers_get_text(wiring: Wiring) -> None:
    app = opened(wiring)
    scraper = {"Accept": "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"}
    async with app.lifespan(), Browser(app) as browser:
        page = await browser.get("/metrics", headers=HTML | basic("anybody", TOKEN))
        assert page.headers["content-type"].startswith("text/html")
        assert "<h1>This installation</h1>" in page.text
        assert "<script" not in page.text
        assert "<form" not in page.text
        for path, headers in (("/metrics", scraper), ("/metrics.txt", HTML)):
            answer = await browser.get(path, headers=headers | bearer())
            assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
            assert_is_exposition(answer.text)
        assert (await browser.http.head("/metrics", headers=bearer())).status_code == 200
        assert (await browser.get("/metrics", headers=bearer())).headers["vary"] == "Accept"


_SAMPLE = re.compile(r'(tieout_[a-z_]+)(\{(?:[a-z]+="(?:[^"\\\n]|\\[\\"n])*",?)*\})? (-?[0-9.e+]+)')


def assert_is_exposition(body: str) -> dict[str, float]:
    """Check the form: HELP and TYPE once before the samples of each name, no sample twice."""
    assert body.endswith("\n")
    found: dict[str, float] = {}
    described: list[str] = []
    for line in body.splitlines():
        if line.startswith("# HELP "):
            described.append(line.split()[2])
        elif line.startswith("# TYPE "):
            assert line.split()[2] == described[-1]
            assert line.split()[3] in {"gauge", "counter"}
        else:
            match = _SAMPLE.fullmatch(line)
            assert match, line
            assert match[1] == described[-1]
            key = match[1] + (match[2] or "")
            assert key not in found
            found[key] = float(match[3])
    assert len(described) == len(set(described))
    return found


async def test_the_figures_are_those_of_the_tables(any_wiring: Wiring, operator: Browser) -> None:
    now = await database_now(any_wiring)
    tenant = await make_tenant(any_wiring)
    free = await make_connection(any_wiring, tenant.id, "quickbooks")
    resting = await make_connection(any_wiring, tenant.id, "xero", status=ConnectionStatus.NEEDS_RECONNECT)
    moments = {"created_at": now, "changed_at": now}
    pending = {"state": ItemState.PENDING, **moments}
    await make_item(
        any_wiring, tenant.id, free.id, ItemKind.REFUND, "re_1", due_at=now - timedelta(minutes=9), **pending
    )
    for number, minutes in enumerate((4, 40, 400)):
        due_at = now + timedelta(minutes=minutes)
        await make_item(
            any_wiring, tenant.id, free.id, ItemKind.PAYOUT, f"po_{number}", due_at=due_at, tries=2,
            reason=Reason.OUR_FAULT if number else Reason.PROVIDER_DOWN, **pending,
        )  # fmt: skip
    await make_item(
        any_wiring, tenant.id, resting.id, ItemKind.REFUND, "re_2", due_at=now - timedelta(days=1), **pending
    )
    await make_item(
        any_wiring, tenant.id, free.id, ItemKind.SALE, "pi_1", state=ItemState.NEEDS_ATTENTION, reason=Reason.OUR_FAULT
    )
    await make_item(any_wiring, tenant.id, free.id, ItemKind.SALE, "pi_2", state=ItemState.DONE)
    async with any_wiring.db.system(write=True) as session:
        lane = await session.get_one(Lane, resting.id)
        lane.hold_until, lane.lease_until, lane.failures = now + timedelta(hours=1), now - timedelta(minutes=2), 6
        session.add(Process(role="web", started_at=now - timedelta(hours=3), beat_at=now - timedelta(minutes=5)))
        for role in ("worker", "worker"):
            session.add(Process(role=role, started_at=now, beat_at=now, worked_at=now - timedelta(seconds=2)))
        for minutes in (SLOT_MINUTES, DAY_MINUTES):
            at = slot_of(now, minutes)
            for subject, outcome, count in (("xero", "slowed", 30), ("xero", "written", 70), ("intake", "stored", 5)):
                session.add(Tally(minutes=minutes, slot_at=at, subject=subject, outcome=outcome, count=count))
        session.add(stripe_event("evt_1", "stored", now - timedelta(minutes=3)))
        session.add(stripe_event("evt_2", "poison", now))
        session.add(stripe_event("evt_3", "routed", now))
    found = assert_is_exposition((await operator.get("/metrics.txt", headers=bearer())).text)
    expected = {
        'tieout_queue_items{kind="refund",state="pending"}': 2,
        'tieout_queue_items{kind="payout",state="pending"}': 3,
        'tieout_queue_due_items{kind="refund",state="pending"}': 1,
        'tieout_queue_held_items{kind="refund",state="pending"}': 1,
        'tieout_queue_retry_items{within="300"}': 1,
        'tieout_queue_retry_items{within="3600"}': 1,
        'tieout_queue_retry_items{within="inf"}': 1,
        "tieout_queue_is_capped": 0,
        'tieout_stopped_items{kind="sale",state="needs_attention",reason="our_fault"}': 1,
        'tieout_incidents{of="items"}': 3,
        'tieout_incidents{of="events"}': 1,
        'tieout_connections{provider="quickbooks"}': 1,
        'tieout_lanes{provider="quickbooks",is="paused"}': 0,
        'tieout_lanes{provider="xero",is="paused"}': 1,
        'tieout_lanes{provider="xero",is="overdue"}': 1,
        'tieout_lanes{provider="xero",is="failing"}': 1,
        'tieout_lanes{provider="xero",is="needs_reconnect"}': 1,
        'tieout_provider_calls_total{provider="xero",outcome="slowed"}': 30,
        'tieout_budget_used{provider="xero",of="calls a minute"}': 20,
        'tieout_events_total{outcome="stored"}': 5,
        "tieout_inbox_waiting_events": 1,
        'tieout_processes{role="worker"}': 2,
    }
    assert {name: found.get(name) for name in expected} == expected
    assert 'tieout_processes{role="web"}' not in found
    assert 540 <= found["tieout_queue_oldest_seconds"] < 600, "what rests is not waiting for a worker"
    assert 180 <= found["tieout_inbox_oldest_seconds"] < 240
    assert found["tieout_database_bytes"] > 100_000
    page = (await operator.get("/metrics", headers=HTML | bearer())).text
    for said in (
        "The oldest item that could run has waited for 9 minutes",
        "The oldest event that nobody has looked at arrived 3 minutes ago",
        "Met a fault of Tieout&#39;s own: 3 items and 1 event.",
        "Xero refused or left unanswered 30 of 100 calls in the last hour",
        "Resting: 1 connection to Xero",
        "Left with a worker that died, and taken by nobody since: 1 connection.",
        "Died within the last day without saying so: 1 process.",
        "Tries to come: 1 within five minutes, 1 within the hour, 1 later.",
        "30 %",
    ):
        assert said in page, said


async def database_now(wiring: Wiring) -> datetime:
    async with wiring.db.open_session() as session:
        return await wiring.db.now(session)


def stripe_event(event_id: str, state: str, at: datetime) -> StripeEvent:
    return StripeEvent(
        scope="platform", event_id=event_id, type="charge.succeeded", is_live=False, stripe_created_at=at,
        payload=b"{}", received_at=at, state=state,
    )  # fmt: skip


async def test_nothing_of_a_tenant_is_on_it(any_wiring: Wiring, operator: Browser) -> None:
    """A canary in every column of every table that could hold one, in as many rows as the figures read."""
    now = await database_now(any_wiring)
    planted = 0
    async with any_wiring.db.engine.connect() as connection:
        if any_wiring.db.is_sqlite:
            await connection.execute(text("PRAGMA foreign_keys=OFF"))
        else:
            await connection.execute(text("SET session_replication_role = replica"))
        for table in Base.metadata.sorted_tables:
            if table.name not in {"process", "tally"}:
                # "OR IGNORE": triggers of other tables may have made the same row already.
                row = insert(table).values(**row_of_canaries(table, now)).prefix_with("OR IGNORE", dialect="sqlite")
                await connection.execute(row)
                planted += 1
        await connection.commit()
    assert planted > 30
    for path, headers in (("/metrics", HTML), ("/metrics.txt", {})):
        answer = await operator.get(path, headers=headers | bearer())
        assert answer.status_code == 200
        for planted_text in (CANARY, str(NUMBER), f"{NUMBER:,}", str(ID), ID.hex, "1987"):
            assert planted_text not in answer.text
    figures = (await operator.get("/metrics.txt", headers=bearer())).text
    assert 'tieout_stopped_items{kind="sale",state="blocked",reason="our_fault"} 1' in figures
    assert 'tieout_connections{provider="xero"} 1' in figures


NUMBER = 731_731_731
ID = UUID("7f3a7f3a-7f3a-4f3a-8f3a-7f3a7f3a7f3a")
FIXED: dict[tuple[str, str], Any] = {
    ("sync_item", "state"): ItemState.BLOCKED,
    ("sync_item", "kind"): ItemKind.SALE,
    ("sync_item", "reason"): Reason.OUR_FAULT,
    ("connection", "kind"): "xero",
    ("connection", "status"): ConnectionStatus.NEEDS_RECONNECT,
    ("lane", "lease_until"): None,
    ("lane", "hold_until"): None,
    ("lane", "failures"): 0,
    ("sync_item", "tries"): 1,
    ("balance_transaction", "fee_minor"): 0,
    ("payment", "fee_minor"): 0,
}
"""What the figures do say: kinds and states, and when."""


def row_of_canaries(table: Table, now: datetime) -> dict[str, Any]:
    return {
        column.name: FIXED.get((table.name, column.name), canary_for(table.name, column, now))
        for column in table.columns
    }


def canary_for(table: str, column: Any, now: datetime) -> Any:
    kind = column.type
    if hasattr(kind, "enum_class") and kind.enum_class:
        return next(iter(kind.enum_class)) if issubclass(kind.enum_class, Enum) else None
    if isinstance(kind, String):
        return CANARY[: kind.length or 99]
    if isinstance(kind, LargeBinary):
        return CANARY.encode()
    if isinstance(kind, Date):
        return date(1987, 7, 31)
    if isinstance(kind, UTCDateTime):
        return now
    python = kind.python_type
    if issubclass(python, bool):
        return True
    if issubclass(python, int):
        return NUMBER
    if issubclass(python, UUID):
        return ID
    return {CANARY: CANARY}


async def test_no_figure_reads_a_table_that_grows(any_wiring: Wiring, operator: Browser) -> None:
    """With thousands of items and events that are through, no statement reads those tables from end to end."""
    tenant = await make_tenant(any_wiring)
    books = await make_connection(any_wiring, tenant.id, "quickbooks")
    now = await database_now(any_wiring)
    await make_item(any_wiring, tenant.id, books.id, ItemKind.SALE, "pi_0", state=ItemState.DONE)
    seen: list[tuple[str, Any]] = []
    async with any_wiring.db.engine.connect() as connection:
        await connection.execute(
            insert(SyncItem.__table__), [item_row(tenant.id, books.id, n, now) for n in range(8_000)]
        )  # type: ignore[arg-type]
        await connection.execute(insert(StripeEvent.__table__), [event_row(n, now) for n in range(8_000)])  # type: ignore[arg-type]
        await connection.execute(text("ANALYZE"))
        await connection.commit()
    sync_engine = any_wiring.db.engine.sync_engine

    def note(_conn: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        seen.append((statement, parameters))

    event.listen(sync_engine, "before_cursor_execute", note)
    assert (await operator.get("/metrics.txt", headers=bearer())).status_code == 200
    event.remove(sync_engine, "before_cursor_execute", note)
    explain = "EXPLAIN QUERY PLAN " if any_wiring.db.is_sqlite else "EXPLAIN "
    plans = []
    async with any_wiring.db.engine.connect() as connection:
        for statement, parameters in seen:
            if statement.lstrip().startswith("SELECT") and "clock_timestamp" not in statement:
                rows = await connection.exec_driver_sql(explain + statement, parameters)
                plans.append("\n".join(str(row[-1]) for row in rows))
    said = "\n\n".join(plans)
    # Two indexes hold nothing but what is due once; the database takes either.
    assert re.search(r"ix_sync_item_(next|queue)\b", said), said
    for index in ("ix_sync_item_stopped", "ix_stripe_event_open", "ix_stripe_event_poison"):
        assert index in said, said
    for table in ("sync_item", "stripe_event"):
        whole = (
            rf"Seq Scan on {table}\b" if not any_wiring.db.is_sqlite else rf"SCAN {table}\b(?! USING (COVERING )?INDEX)"
        )
        assert not re.search(whole, said), said


def item_row(tenant_id: UUID, connection_id: UUID, number: int, now: datetime) -> dict[str, Any]:
    return {
        "id": UUID(int=number + 1), "tenant_id": tenant_id, "connection_id": connection_id, "kind": ItemKind.REFUND,
        "source_id": f"re_{number}", "state": ItemState.DONE, "wanted": 1, "done": 1, "plan_version": 0, "tries": 0,
        "reason_detail": {}, "created_at": now, "changed_at": now,
    }  # fmt: skip


def event_row(number: int, now: datetime) -> dict[str, Any]:
    return {
        "id": UUID(int=number + 1), "scope": "platform", "event_id": f"evt_{number}", "type": "charge.succeeded",
        "is_live": False, "stripe_created_at": now, "payload": b"{}", "received_at": now, "state": "routed", "tries": 0,
    }  # fmt: skip
