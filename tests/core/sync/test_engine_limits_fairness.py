"""Fairness (T11): a backlog or a flood of one tenant delays another by one turn, whatever its length."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import func, select, text

from core.db.models import EventState, ItemKind, ItemState, Lane, StripeEvent, SyncItem
from core.db.session import Database
from core.db.types import Base
from core.sync import lanes
from core.sync.inbox import BATCH, Turns, route_events
from core.sync.worker import ITEMS_PER_LEASE, Worker
from core.wiring import Wiring
from tests.core.sync.conftest import PORTRAIT, Studio, _studio, sale
from tests.core.sync.limits import SYNCED
from tests.factories import make_connection, make_person
from tests.scale.ask import plans

MANY = 50_000
_NUMBERS = "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {most})"
_NEW_ID = {"sqlite": "lower(hex(randomblob(16)))", "postgresql": "gen_random_uuid()"}


async def repeat(db: Database, model: type[Base], row: UUID, count: int, **changed: str) -> None:
    """Insert one row many times in one statement; ``changed`` are columns that differ, as SQL over the number ``n``."""
    dialect, table = db.engine.dialect.name, model.__tablename__
    columns = [column.name for column in model.__table__.columns]
    values = {"id": _NEW_ID[dialect], **changed}
    statement = (
        f"INSERT INTO {table} ({', '.join(columns)}) {_NUMBERS.format(most=count)} "
        f"SELECT {', '.join(values.get(column, column) for column in columns)} FROM {table}, s WHERE id = :row"
    )
    async with db.engine.begin() as connection:
        await connection.execute(text(statement), {"row": row.hex if db.is_sqlite else row})
        await connection.exec_driver_sql("ANALYZE")


async def backlog(studio: Studio) -> None:
    """Give a studio 50,000 sales that fell due in the same moment, a minute ago."""
    payment_id = await studio.pay(sale())
    async with studio.wiring.db.tenant(studio.tenant_id, write=True) as session:
        now = await studio.wiring.db.now(session) - timedelta(minutes=1)
        first = SyncItem(
            connection_id=studio.books.id, kind=ItemKind.SALE, source_id="pi_first", payment_id=payment_id,
            state=ItemState.PENDING, due_at=now, reason=None, reason_detail={}, created_at=now, changed_at=now,
        )  # fmt: skip
        session.add(first)
    await repeat(studio.wiring.db, SyncItem, first.id, MANY, source_id="'pi_' || n")


async def test_fifty_thousand_items_of_one_tenant_hold_up_nobody_else(studio: Studio) -> None:
    other = await _studio(studio.wiring)
    await other.map(PORTRAIT.key, "Session income")
    await backlog(studio)
    await studio.worker.step()
    news = await other.pay(sale())
    served = await studio.worker.step()
    assert await other.stands(news) == SYNCED
    # The one with the backlog had a turn of the same length, and no more.
    assert served <= 2 * ITEMS_PER_LEASE + max(studio.ledger.limits.together.values())
    # And goes on: nobody is held up for ever either.
    turns = [lane.served_at for lane in await studio.rows(Lane) if lane.connection_id == studio.books.id]
    assert turns[0] is not None


@pytest.mark.parametrize("studio", [pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True)
async def test_what_a_lease_asks_does_not_grow_with_the_backlog(studio: Studio) -> None:
    await backlog(studio)
    worker, db = Worker(studio.wiring), studio.wiring.db
    [claim] = [c for c in await lanes.claim_lanes(db, 8) if c.connection_id == studio.books.id]

    async def ask() -> None:
        assert len(await worker._next_items(claim, 50)) == 50

    [plan] = [plan for plan in await plans(db, ask) if "sync_item" in plan.statement]
    assert plan.indexes() >= {"ix_sync_item_queue"}
    assert "sync_item" not in plan.scans()
    assert plan.pages < 400, "\n".join(plan.lines)


async def flood(wiring: Wiring, count: int = MANY) -> tuple[str, str]:
    """Store a flood of events of one account, older than the one event of another; return both accounts."""
    accounts = []
    for _ in range(2):
        person = await make_person(wiring)
        accounts.append((await make_connection(wiring, person.tenant_id, "stripe")).external_id)
    now = wiring.runtime.now()
    async with wiring.db.open_session(write=True) as session:
        rows = [
            StripeEvent(
                scope="platform", event_id=f"evt_{number}", account=account, is_live=False, stripe_created_at=now,
                type="payment_intent.succeeded", payload=b'{"data": {"object": {"id": "pi_%d"}}}' % number,
                received_at=now + timedelta(minutes=number), state=EventState.STORED, tries=0,
            )
            for number, account in enumerate(accounts)
        ]  # fmt: skip
        session.add_all(rows)
    await repeat(wiring.db, StripeEvent, rows[0].id, count, event_id="'evt_flood_' || n")
    return accounts[0], accounts[1]


async def left(wiring: Wiring, account: str) -> int:
    async with wiring.db.open_session() as session:
        stored = select(func.count()).where(StripeEvent.account == account, StripeEvent.state == EventState.STORED)
        return (await session.execute(stored)).scalar_one()


async def test_a_flood_of_fifty_thousand_events_delays_the_event_of_another_by_one_batch(any_wiring: Wiring) -> None:
    flooding, other = await flood(any_wiring)
    turns = Turns()
    assert await route_events(any_wiring.db, turns) <= BATCH
    assert await left(any_wiring, other) == 0
    # The flood itself loses nothing by it: alone, it has whole batches.
    before = await left(any_wiring, flooding)
    assert await route_events(any_wiring.db, turns) > BATCH // 3
    assert await left(any_wiring, flooding) < before


async def test_a_hundred_flooding_accounts_take_turns(any_wiring: Wiring) -> None:
    """More accounts than one batch has room for: whoever comes next begins where the last batch ended."""
    now = any_wiring.runtime.now()
    accounts = [f"acct_{number:03d}" for number in range(100)]
    async with any_wiring.db.open_session(write=True) as session:
        session.add_all(
            StripeEvent(
                scope="platform", event_id=f"evt_{account}_{number}", account=account, is_live=False, tries=0,
                stripe_created_at=now, received_at=now, type="payment_intent.succeeded", state=EventState.STORED,
                payload=b'{"data": {"object": {"id": "pi_1"}}}',
            )
            for account in accounts
            for number in range(10)
        )  # fmt: skip
    turns = Turns()
    for _ in range(5):
        await route_events(any_wiring.db, turns)
    assert {await left(any_wiring, account) < 10 for account in accounts} == {True}


async def test_what_routing_asks_does_not_grow_with_the_flood(postgres_wiring: Wiring) -> None:
    await flood(postgres_wiring)

    async def route() -> None:
        await route_events(postgres_wiring.db, Turns())

    asked = [plan for plan in await plans(postgres_wiring.db, route) if "FROM stripe_event" in plan.statement]
    assert "stripe_event" not in {scan for plan in asked for scan in plan.scans()}
    assert max(plan.pages for plan in asked) < 1_500, [plan.lines for plan in asked]
