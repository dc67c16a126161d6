"""Routing events and fetching payments run beside each other: both lock a connection before its items."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest
from sqlalchemy import select, text, update

from core.config import Settings
from core.db.models import Attempt, Connection, ItemKind, Payment, StripeEvent, SyncItem
from core.db.session import Database
from core.intake.webhook import row_of
from core.sync.inbox import route_events
from core.wiring import Wiring
from tests.core.sync.stage import staged
from tests.factories import make_connection, make_tenant
from tests.postgres import Cluster

INTENT: dict[str, Any] = {
    "id": "pi_one",
    "object": "payment_intent",
    "status": "succeeded",
    "latest_charge": "ch_one",
    "customer": None,
    "amount": 42000,
    "amount_received": 42000,
    "currency": "usd",
    "created": 1795000000,
    "livemode": False,
    "metadata": {},
    "description": "Portrait session",
}
CHARGE: dict[str, Any] = {
    **INTENT,
    "id": "ch_one",
    "object": "charge",
    "amount_refunded": 0,
    "balance_transaction": None,
    "payment_intent": "pi_one",
    "billing_details": {"name": "Anna Berg", "email": "anna@example.com"},
}
STORY: dict[str, Any] = {
    "account": "acct_OfTheLocks",
    "events": [
        {
            "id": f"evt_{number}",
            "object": "event",
            "account": "acct_OfTheLocks",
            "type": kind,
            "created": 1795000000,
            "livemode": False,
            "data": {"object": obj},
        }
        for number, (kind, obj) in enumerate((("charge.succeeded", CHARGE), ("payment_intent.succeeded", INTENT)))
    ],
    "balance_transactions": [],
    "checkout_line_items": {},
}


@pytest.mark.postgres
async def test_fetching_waits_for_the_connection_before_it_holds_an_item(
    settings: Settings, tmp_path: Path, postgres: Cluster
) -> None:
    name = await postgres.new_database()
    async with staged(msgspec.structs.replace(settings, database_url=postgres.url(name)), STORY, tmp_path) as stage:
        db = stage.wiring.db
        await stage.work()
        for event in STORY["events"]:
            await stage.deliver(event)
        await route_events(db)
        # Another router is half way: it has written to the connection, and turns to the item next.
        async with db.system(write=True) as router:
            await router.execute(
                update(Connection).where(Connection.kind == "stripe").values(last_event_at=stage.runtime.now())
            )
            fetching = asyncio.create_task(stage.work())
            await somebody_waits(db)
            # Shorter than the server takes to notice a deadlock and to end one of the two.
            await router.execute(text("SET LOCAL lock_timeout = '500ms'"))
            await router.execute(select(SyncItem.id).where(SyncItem.kind == ItemKind.FETCH_PAYMENT).with_for_update())
        await fetching
        assert [payment.source_id for payment in await stage.rows(Payment)] == ["pi_one"]
        assert not [attempt.text for attempt in await stage.rows(Attempt) if "incident" in (attempt.text or "")]
    await postgres.take_back(name)


async def somebody_waits(db: Database, doing: str = "FROM connection") -> None:
    """Return once a transaction of this database waits for the connection's row."""
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity"
        f" WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%{doing}%'"
    )
    with anyio.fail_after(10):
        while True:
            async with db.open_session() as session:
                if (await session.execute(waiting)).scalar_one():
                    return
            await anyio.sleep(0.01)


@pytest.mark.postgres
async def test_routers_take_the_connections_in_one_order(postgres_wiring: Wiring) -> None:
    """Whatever the order of the events: two workers with events of the same tenants would wait for each other."""
    db, now = postgres_wiring.db, postgres_wiring.runtime.now()
    made = [await make_connection(postgres_wiring, (await make_tenant(postgres_wiring)).id, "stripe") for _ in range(2)]
    first, last = sorted(made, key=lambda row: row.id)
    async with db.system(write=True) as session:
        for second, row in enumerate((last, first)):
            obj = {"id": f"ch_{second}", "object": "charge"}
            event = {"id": f"evt_{second}", "type": "charge.updated", "created": 1795000000, "livemode": False}
            event |= {"object": "event", "account": row.external_id, "data": {"object": obj}}
            at = now + timedelta(seconds=second)
            values = row_of(event, msgspec.json.encode(event), scope="platform", expects_live=False, now=at)
            session.add(StripeEvent(**values))
    # Another router has written to the first connection, and turns to the last one next.
    async with db.system(write=True) as router:
        await router.execute(update(Connection).where(Connection.id == first.id).values(last_event_at=now))
        routing = asyncio.create_task(route_events(db))
        await somebody_waits(db, "UPDATE connection")
        await router.execute(text("SET LOCAL lock_timeout = '500ms'"))
        await router.execute(update(Connection).where(Connection.id == last.id).values(last_event_at=now))
    assert await routing == 2
