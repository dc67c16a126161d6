"""Routing events and fetching payments run beside each other: both lock a connection before its items."""

import asyncio
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest
from sqlalchemy import select, text, update

from core.config import Settings
from core.db.models import Attempt, Connection, ItemKind, Payment, SyncItem
from core.db.session import Database
from core.sync.inbox import route_events
from tests.core.sync.stage import staged
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


async def somebody_waits(db: Database) -> None:
    """Return once a transaction of this database waits for the connection's row."""
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%FROM connection%'"
    )
    with anyio.fail_after(10):
        while True:
            async with db.open_session() as session:
                if (await session.execute(waiting)).scalar_one():
                    return
            await anyio.sleep(0.01)
