"""Hostile histories: refunds, disputes, payouts and fees are booked once and whole, whatever happens around them.

Books change, people stop and retry, settings change and news come at the worst moment (N1, N6, N8, F22, F23).
"""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import select, update

from core.accounting.port import AccountType
from core.books.documents import DocumentKind
from core.books.roles import AccountRole, BookkeepingSettings, FeeStyle
from core.db.models import (
    BalanceTransaction,
    BooksAccount,
    BooksLink,
    Dispute,
    ItemKind,
    ItemState,
    PaymentState,
    Payout,
    Refund,
    RoleVersion,
    SyncItem,
    Tenant,
)
from core.errors import NotSentError
from core.mapping.role_specs import SPECS
from core.mapping.roles import save_bookkeeping
from core.reasons import Reason
from core.sync import lanes, readings
from core.sync import posting as engine
from core.sync.acts import ignore_item, ignore_payment, retry_item
from core.sync.duplicates import Duplicate, hold_back
from core.sync.fetch_lane import StripeLane
from core.sync.fetch_offers import News, offer_news
from core.sync.items import enqueue
from core.sync.lane_work import BooksLane, load_lane
from core.sync.operations import Move, Report, Step
from core.sync.plan import ConnectedBooks
from core.sync.planners import after_freeze, plan
from tests.core.sync.conftest import PORTRAIT, Studio, sale
from tests.core.sync.test_planners import moved, payout_row, refund_row

NOON = datetime(2026, 3, 2, 17, 0, tzinfo=UTC)

ON_SQLITE = pytest.mark.parametrize("studio", ["sqlite"], indirect=True)
"""Nothing here happens at the same time, so one database tells as much as two."""

ON_POSTGRES = pytest.mark.parametrize("studio", [pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True)
"""Two transactions that wait for each other, which a file does not let happen."""


async def equip(studio: Studio) -> Studio:
    """Give the practice books an account for every role, and choose it."""
    await studio.map(PORTRAIT.key, "Session income")
    made = []
    for role, spec in SPECS.items():
        if role in (AccountRole.CLEARING, AccountRole.TIPS, AccountRole.DISCOUNTS):
            continue
        kind = AccountType.BANK if role is AccountRole.BANK else spec.types[0]
        made.append((role, await studio.ledger.create_account(spec.name, kind, key=role.value)))
    async with studio.wiring.db.tenant(studio.tenant_id, write=True) as session:
        known = {row.external_id for row in (await session.execute(_accounts(studio))).scalars()}
        for role, account in made:
            if account.external_id not in known:
                session.add(
                    BooksAccount(
                        connection_id=studio.books.id, external_id=account.external_id, name=account.name,
                        type=account.type.value, is_active=True, read_at=NOON,
                    )
                )  # fmt: skip
            chosen = select(RoleVersion).where(RoleVersion.connection_id == studio.books.id, RoleVersion.role == role)
            if (await session.execute(chosen)).first() is None:
                session.add(
                    RoleVersion(
                        connection_id=studio.books.id, role=role, version=1, account_id=account.external_id,
                        created_at=NOON, created_by=studio.person.user_id,
                    )
                )  # fmt: skip
    return studio


def _accounts(studio: Studio):
    return select(BooksAccount).where(BooksAccount.connection_id == studio.books.id)


async def unequip(studio: Studio, role: AccountRole) -> None:
    """Take the choice for a role back, as before anybody made it."""
    async with studio.wiring.db.tenant(studio.tenant_id, write=True) as session:
        for row in (await session.execute(select(RoleVersion))).scalars():
            if row.role is role and row.connection_id == studio.books.id:
                await session.delete(row)


@pytest.fixture
async def shop(studio: Studio) -> Studio:
    return await equip(studio)


async def tell(
    studio: Studio,
    *rows: BalanceTransaction,
    refunds: tuple[Refund, ...] = (),
    disputes: tuple[Dispute, ...] = (),
    payouts: tuple[Payout, ...] = (),
) -> None:
    """Let Stripe's facts arrive, as one pass of its lane stores and offers them."""
    async with studio.wiring.db.tenant(studio.tenant_id, write=True) as session:
        session.add_all([*rows, *refunds, *disputes, *payouts])
        await session.flush()
        news = News(refunds, disputes, payouts, [row.stripe_id for row in rows])
        await offer_news(session, news, now=await studio.wiring.db.now(session))


async def tell_dispute(studio: Studio, **values: object) -> None:
    """Let a dispute change."""
    async with studio.wiring.db.tenant(studio.tenant_id, write=True) as session:
        await session.execute(update(Dispute).values(**values))
        disputes = (await session.execute(select(Dispute))).scalars().all()
        await offer_news(session, News(disputes=disputes), now=await studio.wiring.db.now(session))


def dispute_row(studio: Studio, payment_id: UUID | None = None, **values: object) -> Dispute:
    fields = {
        "connection_id": studio.stripe.id,
        "stripe_id": "dp_1",
        "payment_id": payment_id,
        "payment_source_id": "pi_00000001",
        "amount_minor": 43300,
        "currency": "usd",
        "status": "needs_response",
        "created_at": NOON,
        "fetched_at": NOON,
        **values,
    }
    return Dispute(**fields)


def balance(studio: Studio, name: str = "Stripe clearing") -> int:
    return studio.ledger.books.trial_balance().get(name, 0)


async def item_of(studio: Studio, source_id: str) -> SyncItem:
    """Return the item of these books."""
    rows = [row for row in await studio.rows(SyncItem) if row.connection_id == studio.books.id]
    return next(row for row in rows if row.source_id == source_id)


async def settle(studio: Studio, days: int = 0) -> None:
    studio.runtime.forward(seconds=days * 86400 + 5)
    await studio.quiet()


# -- other books


@ON_SQLITE
async def test_a_refund_that_went_to_the_next_company_is_not_posted_to_the_first_when_that_is_back(
    shop: Studio,
) -> None:
    await shop.map(PORTRAIT.key, None)
    payment_id = await shop.pay(sale())
    refunds = (refund_row(shop, "re_1", 10000, payment_id),)
    await tell(shop, moved(shop, 1, "refund", -10000, source="re_1"), refunds=refunds)
    await tell(shop, moved(shop, 2, "fee", -500, type="stripe_fee"))
    await unequip(shop, AccountRole.FEES)
    await settle(shop)
    assert (await item_of(shop, "re_1")).state is ItemState.BLOCKED
    assert (await item_of(shop, "txn_2")).state is ItemState.NEEDS_ATTENTION
    await shop.disconnect()
    second = await equip(await shop.connect("second"))
    await settle(second)
    assert balance(second) == 43300 - 10000 - 500
    await second.disconnect()
    again = await equip(await second.connect(shop.books.external_id))
    await settle(again, days=1)
    assert (balance(again), balance(second)) == (0, 43300 - 10000 - 500)
    assert (await item_of(again, "re_1")).state is ItemState.DONE


@pytest.mark.parametrize("name", ["txn_1", "2026-03-02"])
@ON_SQLITE
async def test_what_was_left_out_stays_out_in_the_next_company_until_it_is_taken_up(shop: Studio, name: str) -> None:
    if name == "txn_1":
        await tell(shop, moved(shop, 1, "fee", -500, type="stripe_fee"))
    else:
        await tell(shop, moved(shop, 1, "charge", 43300, source="ch_1", fee=500))
        await freeze_fees(shop, name)
    await unequip(shop, AccountRole.FEES)
    await settle(shop, days=3)
    item = await item_of(shop, name)
    async with shop.wiring.db.tenant(shop.tenant_id, write=True) as session:
        assert await ignore_item(session, item.id, why="By hand", by_user_id=shop.person.user_id, now=NOON)
    await shop.disconnect()
    second = await equip(await shop.connect("second"))
    await settle(second, days=1)
    assert balance(second) == 0
    item = await item_of(second, name)
    assert (item.state, item.reason) == (ItemState.IGNORED, Reason.IGNORED_BY_PERSON)
    async with second.wiring.db.tenant(second.tenant_id, write=True) as session:
        now = await second.wiring.db.now(session)
        assert await retry_item(session, item.id, by_user_id=second.person.user_id, now=now)
    await settle(second)
    assert balance(second, "Stripe fees") == 500


@ON_SQLITE
async def test_what_looks_entered_by_hand_still_waits_for_a_person_when_its_books_are_back(shop: Studio) -> None:
    async with shop.wiring.db.tenant(shop.tenant_id, write=True) as session:
        await session.execute(update(Tenant).values(posting_starts_at=None))
    payment_id = await shop.pay(sale())
    pair = Duplicate(payment_id, "pi_00000001", "invoice", "1042")
    async with shop.wiring.db.tenant(shop.tenant_id, write=True) as session:
        now = await shop.wiring.db.now(session)
        assert await hold_back(session, shop.books, [pair], now=now) == 1
        await session.execute(update(Tenant).values(posting_starts_at=datetime(2026, 1, 1, tzinfo=UTC)))
    held = (PaymentState.NEEDS_ATTENTION, Reason.LOOKS_LIKE_DUPLICATE)
    assert await shop.stands(payment_id) == held
    await shop.disconnect()
    again = await shop.connect(shop.books.external_id)
    await settle(again, days=1)
    assert await again.stands(payment_id) == held
    assert balance(again) == 0
    assert await again.retry(payment_id)
    await settle(again)
    assert balance(again) == 43300


@ON_SQLITE
async def test_fees_frozen_for_a_company_that_is_left_are_booked_in_the_next(shop: Studio) -> None:
    await tell(shop, moved(shop, 1, "charge", 43300, source="ch_1", fee=1286))
    await freeze_fees(shop, "2026-03-02")
    await shop.disconnect()
    second = await equip(await shop.connect("second"))
    await settle(second, days=3)
    assert balance(second, "Stripe fees") == 1286
    await second.disconnect()
    again = await equip(await second.connect(shop.books.external_id))
    await settle(again, days=1)
    assert balance(again, "Stripe fees") == 0


async def freeze_fees(studio: Studio, source_id: str) -> None:
    """Freeze the documents of fees and lose the process before anything is sent."""
    item = await item_of(studio, source_id)
    async with studio.wiring.db.tenant(studio.tenant_id, write=True) as session:
        row = await session.get_one(SyncItem, item.id)
        documents = await plan(session, row, ConnectedBooks(studio.books, "The books"))
        await after_freeze(session, row, documents)


@ON_SQLITE
async def test_a_late_fee_of_a_day_that_stands_in_the_company_before_is_booked_in_the_next(shop: Studio) -> None:
    await tell(shop, moved(shop, 1, "charge", 43300, source="ch_1", fee=1286))
    await settle(shop, days=3)
    assert balance(shop, "Stripe fees") == 1286
    await shop.disconnect()
    second = await equip(await shop.connect("second"))
    await tell(second, moved(second, 2, "charge", 10000, source="ch_2", fee=320))
    await settle(second, days=1)
    assert (balance(shop, "Stripe fees"), balance(second, "Stripe fees")) == (1286, 320)


@ON_SQLITE
async def test_a_dispute_lost_while_no_books_were_connected_is_booked_when_they_are_back(shop: Studio) -> None:
    payment_id = await shop.pay(sale())
    await tell(shop, moved(shop, 1, "dispute", -43300, source="dp_1"), disputes=(dispute_row(shop, payment_id),))
    await settle(shop)
    assert balance(shop, "Stripe disputes held") == 43300
    await shop.disconnect()
    await tell_dispute(shop, status="lost", closed_at=NOON + timedelta(days=5))
    again = await shop.connect(shop.books.external_id)
    await settle(again, days=1)
    assert balance(again, "Stripe disputes held") == 0


@ON_SQLITE
async def test_a_payout_that_came_back_while_no_books_were_connected_is_booked_when_they_are_back(
    shop: Studio,
) -> None:
    await tell(shop, moved(shop, 1, "payout", -30000, source="po_1"), payouts=(payout_row(shop, "po_1", 30000),))
    await settle(shop)
    assert balance(shop) == -30000
    await shop.disconnect()
    async with shop.wiring.db.tenant(shop.tenant_id, write=True) as session:
        await session.execute(update(Payout).values(status="failed"))
    await tell(shop, moved(shop, 2, "payout_reversal", 30000, source="po_1", type="payout_failure"))
    again = await shop.connect(shop.books.external_id)
    await settle(again, days=1)
    assert balance(again) == 0


# -- news at the worst moment


@ON_SQLITE
async def test_news_of_a_dispute_that_stands_changed_in_the_books_are_booked_once_that_is_put_right(
    shop: Studio,
) -> None:
    payment_id = await shop.pay(sale())
    await tell(shop, moved(shop, 1, "dispute", -43300, source="dp_1"), disputes=(dispute_row(shop, payment_id),))
    await settle(shop)
    async with shop.wiring.db.tenant(shop.tenant_id, write=True) as session:
        row = (await session.execute(select(SyncItem).where(SyncItem.source_id == "dp_1"))).scalar_one()
        row.state, row.reason = ItemState.NEEDS_ATTENTION, Reason.CHANGED_IN_BOOKS
        item_id = row.id
    await tell_dispute(shop, status="lost", closed_at=NOON + timedelta(days=5))

    class Lane:
        profile = type("P", (), {"name": "Books"})

    async with shop.wiring.db.tenant(shop.tenant_id, write=True) as session:
        await readings.say(session, Lane, {item_id}, await shop.wiring.db.now(session))  # type: ignore[arg-type]
    await settle(shop)
    assert balance(shop, "Stripe disputes held") == 0


@ON_SQLITE
async def test_a_refund_stops_waiting_for_a_payment_that_a_person_leaves_out(shop: Studio) -> None:
    await shop.map(PORTRAIT.key, None)
    payment_id = await shop.pay(sale())
    await tell(
        shop, moved(shop, 1, "refund", -10000, source="re_1"), refunds=(refund_row(shop, "re_1", 10000, payment_id),)
    )
    await settle(shop)
    assert (await item_of(shop, "re_1")).reason is Reason.WAITS_FOR_PAYMENT
    async with shop.wiring.db.tenant(shop.tenant_id, write=True) as session:
        assert await ignore_payment(session, payment_id, why="Cash", by_user_id=shop.person.user_id, now=NOON)
    await settle(shop)
    assert (await item_of(shop, "re_1")).state is not ItemState.BLOCKED


@ON_SQLITE
async def test_a_refund_that_began_to_wait_as_its_payment_came_is_looked_at_again(shop: Studio) -> None:
    early = sale(paid_at=datetime(2025, 12, 1, 12, 0, tzinfo=UTC))
    await tell(shop, moved(shop, 1, "refund", -10000, source="re_1"), refunds=(refund_row(shop, "re_1", 10000, None),))
    await settle(shop)
    assert (await item_of(shop, "re_1")).reason is Reason.PAYMENT_NOT_KNOWN
    payment_id = await shop.pay(early)
    async with shop.wiring.db.tenant(shop.tenant_id, write=True) as session:
        await session.execute(update(Refund).values(payment_id=payment_id))
    async with shop.wiring.db.tenant(shop.tenant_id, write=True) as session:
        now = await shop.wiring.db.now(session)
        await enqueue(
            session, tenant_id=shop.tenant_id, connection_id=shop.books.id, kind=ItemKind.KEEP_ALIVE,
            source_id="access", due_at=now + timedelta(hours=2),
        )  # fmt: skip
    await settle(shop, days=1)
    assert (await item_of(shop, "re_1")).state is ItemState.DONE
    assert balance(shop) == -10000


@ON_SQLITE
async def test_a_fee_that_was_refused_for_its_payee_finds_or_makes_it_again_when_retried(shop: Studio) -> None:
    await tell(shop, moved(shop, 1, "fee", -500, type="stripe_fee"))
    await settle(shop)
    assert [row.step for row in await shop.rows(BooksLink)] == ["payee:stripe"]
    await tell(shop, moved(shop, 2, "fee", -700, type="stripe_fee"))
    async with shop.wiring.db.tenant(shop.tenant_id, write=True) as session:
        item = (await session.execute(select(SyncItem).where(SyncItem.source_id == "txn_2"))).scalar_one()
        item.state, item.due_at, item.reason = ItemState.NEEDS_ATTENTION, None, Reason.CUSTOMER_INACTIVE
        await session.flush()
        now = await shop.wiring.db.now(session)
        assert await retry_item(session, item.id, by_user_id=shop.person.user_id, now=now)
    assert await shop.rows(BooksLink) == []
    await settle(shop)
    assert balance(shop) == -1200


# -- settings


async def choose(studio: Studio, style: FeeStyle) -> None:
    async with studio.wiring.db.tenant(studio.tenant_id, write=True) as session:
        await save_bookkeeping(
            session, tenant_id=studio.tenant_id, connection_id=studio.books.id,
            settings=BookkeepingSettings(fee_style=style), by_user_id=studio.person.user_id,
            now=await studio.wiring.db.now(session),
        )  # fmt: skip


@pytest.mark.parametrize("style", [FeeStyle.DAILY, FeeStyle.PER_CHARGE])
@ON_SQLITE
async def test_fees_that_waited_for_their_payout_are_booked_when_the_style_changes(
    shop: Studio, style: FeeStyle
) -> None:
    await choose(shop, FeeStyle.PER_PAYOUT)
    await tell(shop, moved(shop, 1, "charge", 43300, source="ch_1", fee=1286))
    await settle(shop, days=1)
    assert balance(shop, "Stripe fees") == 0
    await choose(shop, style)
    await settle(shop, days=3)
    assert balance(shop, "Stripe fees") == 1286


@ON_SQLITE
async def test_fees_of_what_a_manual_payout_took_are_booked_by_day(shop: Studio) -> None:
    await choose(shop, FeeStyle.PER_PAYOUT)
    await tell(shop, moved(shop, 1, "charge", 43300, source="ch_1", fee=1286))
    await settle(shop, days=1)
    await tell(
        shop,
        moved(shop, 2, "payout", -42014, source="po_1"),
        payouts=(payout_row(shop, "po_1", 42014, automatic=False, lines_read=False),),
    )
    await settle(shop, days=3)
    assert balance(shop, "Stripe fees") == 1286


@ON_POSTGRES
async def test_a_fee_that_is_told_while_its_day_is_frozen_is_booked_all_the_same(shop: Studio) -> None:
    await tell(shop, moved(shop, 1, "charge", 43300, source="ch_1", fee=1286))
    item = await item_of(shop, "2026-03-02")
    async with shop.wiring.db.tenant(shop.tenant_id, write=True) as session:
        row = await session.get_one(SyncItem, item.id, with_for_update=True)
        documents = await plan(session, row, ConnectedBooks(shop.books, "The books"))
        late = asyncio.create_task(tell(shop, moved(shop, 2, "charge", 10000, source="ch_2", fee=320)))
        await asyncio.sleep(0.5)
        await after_freeze(session, row, documents)
    await late
    await settle(shop)
    # The day itself is in the books; what was late has a document of its own, which waits for what else is late.
    assert (await item_of(shop, "2026-03-02")).state is ItemState.DONE
    assert balance(shop, "Stripe fees") == 1286
    assert (await item_of(shop, "2026-03-02#2")).due_at is not None


@ON_POSTGRES
async def test_news_that_come_while_an_item_is_settled_are_looked_at(shop: Studio) -> None:
    payment_id = await shop.pay(sale())
    await tell(shop, moved(shop, 1, "dispute", -43300, source="dp_1"), disputes=(dispute_row(shop, payment_id),))
    item = await item_of(shop, "dp_1")
    async with shop.wiring.db.tenant(shop.tenant_id, write=True) as session:
        row = await session.get_one(SyncItem, item.id, with_for_update=True)
        news = asyncio.create_task(tell_dispute(shop, status="lost", closed_at=NOON + timedelta(days=5)))
        await asyncio.sleep(0.5)
        row.state, row.due_at, row.done = ItemState.DONE, None, row.wanted
    await news
    found = await item_of(shop, "dp_1")
    assert (found.state, found.due_at is None) == (ItemState.PENDING, False)


# -- in flight


async def fly(studio: Studio, source_id: str) -> tuple[BooksLane, UUID, Step]:
    """Carry an item to the moment at which the call of its document is under way."""
    item = await item_of(studio, source_id)
    [claim] = [c for c in await lanes.claim_lanes(studio.wiring.db, 8) if c.connection_id == studio.books.id]
    async with studio.wiring.db.tenant(studio.tenant_id) as session:
        lane = BooksLane(studio.wiring, claim, *await load_lane(session, claim.connection_id))
    step = await engine.advance(lane, item.id, None)
    while step is not None and not (step.write.kind is DocumentKind.EXPENSE and step.move is Move.SEND):
        step = await engine.advance(lane, item.id, await lane.call(step))
    assert step is not None
    return lane, item.id, step


@pytest.mark.parametrize("name", ["txn_1", "2026-03-02"])
@ON_SQLITE
async def test_what_was_in_flight_and_not_sent_goes_to_books_that_were_connected_meanwhile(
    shop: Studio, name: str
) -> None:
    if name == "txn_1":
        await tell(shop, moved(shop, 1, "fee", -500, type="stripe_fee"))
    else:
        await tell(shop, moved(shop, 1, "charge", 43300, source="ch_1", fee=500))
    shop.runtime.forward(seconds=3 * 86400)
    lane, item_id, step = await fly(shop, name)
    await shop.disconnect()
    second = await equip(await shop.connect("second"))
    assert await engine.advance(lane, item_id, Report(step, error=NotSentError("no line"))) is None
    await lanes.release(shop.wiring.db, lane.claim, next_call_at=None)
    await settle(second, days=1)
    assert balance(second, "Stripe fees") == 500
    await second.disconnect()
    again = await equip(await second.connect(shop.books.external_id))
    await settle(again, days=1)
    assert balance(again, "Stripe fees") == 0


@ON_SQLITE
async def test_fees_that_were_not_sent_are_taken_up_again_by_the_company_that_is_back(shop: Studio) -> None:
    """Taken up by nobody they were offered again by whoever had just booked them, without end."""
    await tell(shop, moved(shop, 1, "charge", 43300, source="ch_1", fee=500))
    shop.runtime.forward(seconds=3 * 86400)
    lane, item_id, step = await fly(shop, "2026-03-02")
    assert await engine.advance(lane, item_id, Report(step, error=NotSentError("no line"))) is None
    await lanes.release(shop.wiring.db, lane.claim, next_call_at=None)
    await shop.disconnect()
    again = await equip(await shop.connect(shop.books.external_id))
    await settle(again, days=1)
    assert balance(again, "Stripe fees") == 500
    (row,) = await again.rows(BalanceTransaction)
    assert row.fee_item_id == item_id
    assert await again.worker.step() == 0


# -- odd facts


@ON_SQLITE
async def test_the_fee_of_a_dispute_without_a_source_is_booked_with_the_fees(shop: Studio) -> None:
    await tell(shop, moved(shop, 1, "dispute", -100, source=None, fee=1500, type="adjustment"))
    await settle(shop, days=3)
    assert (await item_of(shop, "txn_1")).reason is Reason.UNKNOWN_CATEGORY
    assert balance(shop) == -1500


# -- faults of ours


@pytest.mark.parametrize("kind", [ItemKind.SWEEP, ItemKind.CATCH_UP])
@ON_SQLITE
async def test_a_round_that_keeps_breaking_goes_on_from_where_it_was(shop: Studio, kind: ItemKind) -> None:
    cursor = {"cursor": NOON.isoformat()}
    async with shop.wiring.db.tenant(shop.tenant_id, write=True) as session:
        now = await shop.wiring.db.now(session)
        await enqueue(
            session, tenant_id=shop.tenant_id, connection_id=shop.stripe.id, kind=kind, source_id="round", due_at=now
        )
        row = (await session.execute(select(SyncItem).where(SyncItem.kind == kind))).scalar_one()
        row.reason_detail = cursor
        item_id = row.id
    [claim] = [c for c in await lanes.claim_lanes(shop.wiring.db, 8) if c.connection_id == shop.stripe.id]
    async with shop.wiring.db.tenant(shop.tenant_id) as session:
        lane = StripeLane(shop.wiring, claim, *await load_lane(session, claim.connection_id))
    for _ in range(10):
        await shop.worker._poisoned(lane, item_id, RuntimeError("a row that nobody can read"))
    row = next(one for one in await shop.rows(SyncItem) if one.id == item_id)
    assert (row.state, row.due_at is None) == (ItemState.PENDING, False)
    assert row.reason_detail["cursor"] == cursor["cursor"]
