"""From rows to plans, and from facts to items: what waits, what is asked for, and what is left alone."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, update

from core.books.documents import Deposit, Expense, MoneyDocument, Refund, Transfer
from core.books.roles import AccountRole, FeeStyle, LostDisputeTax, SaleStyle
from core.db.models import (
    POSTED_KINDS,
    BalanceTransaction,
    BookkeepingVersion,
    BooksAccount,
    Dispute,
    ItemKind,
    ItemState,
    OpeningBalance,
    Operation,
    OperationState,
    Payment,
    PaymentState,
    Payout,
    RoleVersion,
    SyncItem,
    Tenant,
)
from core.db.models import Refund as RefundRow
from core.errors import StopError
from core.mapping.accounts import accounts_page
from core.mapping.roles import save_category
from core.reasons import Reason
from core.sync.plan import ConnectedBooks
from core.sync.planners import PLANNERS, after_freeze, plan
from core.sync.planners.offers import (
    offer_dispute,
    offer_everything,
    offer_movements,
    offer_opening,
    offer_payout,
    offer_refund,
    wake_dependents,
)
from tests.core.sync.conftest import Studio, sale

NOON = datetime(2026, 3, 2, 17, 0, tzinfo=UTC)
DAY = date(2026, 3, 2)


@pytest.fixture
async def shop(studio: Studio) -> Studio:
    """A studio whose every role has an account, of which only the clearing account and the bank are banks."""
    async with studio.wiring.db.tenant(studio.tenant_id, write=True) as session:
        for role in set(AccountRole) - {AccountRole.CLEARING, AccountRole.TIPS, AccountRole.DISCOUNTS}:
            kind = "bank" if role is AccountRole.BANK else "expense"
            session.add(
                BooksAccount(
                    connection_id=studio.books.id,
                    external_id=role.value,
                    name=role.value,
                    type=kind,
                    is_active=True,
                    read_at=NOON,
                )
            )
            session.add(
                RoleVersion(
                    connection_id=studio.books.id,
                    role=role,
                    version=1,
                    account_id=role.value,
                    created_at=NOON,
                    created_by=studio.person.user_id,
                )
            )
    return studio


async def keep(studio: Studio, *rows: object) -> None:
    async with studio.wiring.db.tenant(studio.tenant_id, write=True) as session:
        session.add_all(rows)


def moved(
    studio: Studio,
    number: int,
    category: str,
    amount: int,
    *,
    source: str | None = None,
    fee: int = 0,
    **values: object,
) -> BalanceTransaction:
    at = values.pop("at", NOON)
    assert isinstance(at, datetime)
    return BalanceTransaction(
        **{
            "connection_id": studio.stripe.id,
            "stripe_id": f"txn_{number}",
            "type": category,
            "reporting_category": category,
            "amount_minor": amount,
            "fee_minor": fee,
            "net_minor": amount - fee,
            "currency": "usd",
            "fee_details": [{"type": "stripe_fee", "amount": fee, "description": "Fee"}] if fee else [],
            "stripe_source_id": source,
            "book_date": at.date(),
            "status": "available",
            "available_at": at,
            "created_at": at,
            "fetched_at": at,
            **values,
        }
    )


def refund_row(studio: Studio, name: str, amount: int, payment_id: UUID | None, **values: object) -> RefundRow:
    return RefundRow(
        **{
            "connection_id": studio.stripe.id,
            "stripe_id": name,
            "payment_id": payment_id,
            "payment_source_id": "pi_00000001",
            "amount_minor": amount,
            "currency": "usd",
            "status": "succeeded",
            "created_at": NOON,
            "fetched_at": NOON,
            **values,
        }
    )


def payout_row(studio: Studio, name: str, amount: int, **values: object) -> Payout:
    return Payout(
        **{
            "connection_id": studio.stripe.id,
            "stripe_id": name,
            "amount_minor": amount,
            "currency": "usd",
            "status": "paid",
            "arrival_date": DAY + timedelta(days=2),
            "automatic": True,
            "method": "standard",
            "reconciliation_status": "completed",
            "lines_read": True,
            "created_at": NOON,
            "fetched_at": NOON,
            **values,
        }
    )


def an_item(studio: Studio, kind: ItemKind, source_id: str) -> SyncItem:
    return SyncItem(
        id=uuid4(),
        tenant_id=studio.tenant_id,
        connection_id=studio.books.id,
        kind=kind,
        source_id=source_id,
        state=ItemState.PENDING,
        reason_detail={},
        created_at=NOON,
        changed_at=NOON,
    )


async def planned(studio: Studio, kind: ItemKind, source_id: str) -> list[MoneyDocument]:
    async with studio.wiring.db.tenant(studio.tenant_id) as session:
        books = ConnectedBooks(studio.books, "The books")
        return await plan(session, an_item(studio, kind, source_id), books)


async def items(studio: Studio, kind: ItemKind | None = None) -> dict[str, SyncItem]:
    found = [item for item in await studio.rows(SyncItem) if item.connection_id == studio.books.id]
    return {item.source_id: item for item in found if kind in (None, item.kind)}


async def offer(studio: Studio, *, now: datetime = NOON) -> None:
    """Offer everything, as when posting starts."""
    async with studio.wiring.db.tenant(studio.tenant_id, write=True) as session:
        await offer_everything(session, studio.tenant_id, now=now)


async def set_up(studio: Studio, **chosen: object) -> None:
    values = {
        "sale_style": SaleStyle.INVOICE,
        "fee_style": FeeStyle.DAILY,
        "lost_dispute_tax": LostDisputeTax.REVERSED,
        "fee_tax_code_id": None,
        **chosen,
    }
    await keep(
        studio,
        BookkeepingVersion(
            connection_id=studio.books.id, version=1, created_at=NOON, created_by=studio.person.user_id, **values
        ),
    )


def test_every_kind_that_is_posted_has_a_planner() -> None:
    assert set(PLANNERS) == POSTED_KINDS


async def test_refunds_of_one_payment_share_a_running_total_in_stripes_order(shop: Studio) -> None:
    await shop.map("prod_portrait", "Session income")
    payment_id = await shop.pay(sale(amount=43300, tax=3300))
    later = NOON + timedelta(hours=1)
    await keep(
        shop,
        refund_row(shop, "re_2", 33333, payment_id),
        refund_row(shop, "re_1", 9967, payment_id),
        moved(shop, 2, "refund", -33333, source="re_2", at=later),
        moved(shop, 1, "refund", -9967, source="re_1"),
    )
    given = [(await planned(shop, ItemKind.REFUND, name))[0] for name in ("re_2", "re_1")]
    assert all(isinstance(one, Refund) for one in given)
    lines = [line for one in given if isinstance(one, Refund) for line in one.lines]
    assert (sum(line.amount_minor for line in lines), sum(line.tax_minor for line in lines)) == (40000, 3300)
    assert {one.reference[:3] for one in given} == {"TR-"}
    assert given[0].reference != given[1].reference


async def test_a_refund_goes_back_to_the_lines_that_stand_whatever_the_mapping_says_now(shop: Studio) -> None:
    await shop.map("prod_portrait", "Session income")
    payment_id = await shop.pay(sale(amount=43300))
    await shop.quiet()
    stands = await shop.payment(payment_id)
    assert stands.state is PaymentState.SYNCED
    await shop.map("prod_portrait", None)
    await keep(shop, refund_row(shop, "re_1", 100, payment_id), moved(shop, 1, "refund", -100, source="re_1", at=NOON))
    (refund,) = await planned(shop, ItemKind.REFUND, "re_1")
    assert isinstance(refund, Refund)
    assert refund.lines[0].income_account_id == shop.accounts["Session income"]
    assert (refund.date, refund.balance_transaction_id) == (DAY, "txn_1")


async def test_a_refund_waits_for_a_payment_that_is_unknown_or_has_no_plan(shop: Studio) -> None:
    await keep(shop, refund_row(shop, "re_1", 100, None), moved(shop, 1, "refund", -100, source="re_1"))
    with pytest.raises(StopError) as stop:
        await planned(shop, ItemKind.REFUND, "re_1")
    assert stop.value.reason is Reason.PAYMENT_NOT_KNOWN
    payment_id = await shop.pay(sale(amount=43300))
    async with shop.wiring.db.tenant(shop.tenant_id, write=True) as session:
        await session.execute(update(RefundRow).values(payment_id=payment_id))
    with pytest.raises(StopError) as stop:
        await planned(shop, ItemKind.REFUND, "re_1")
    assert stop.value.reason is Reason.WAITS_FOR_PAYMENT


async def test_a_refund_of_a_sale_before_the_first_day_says_itself_what_it_needs(shop: Studio) -> None:
    early = datetime(2025, 12, 1, 12, 0, tzinfo=UTC)
    payment_id = await shop.pay(sale(amount=43300, paid_at=early))
    await keep(shop, refund_row(shop, "re_1", 100, payment_id), moved(shop, 1, "refund", -100, source="re_1"))
    with pytest.raises(StopError) as stop:
        await planned(shop, ItemKind.REFUND, "re_1")
    assert stop.value.reason is Reason.SERVICE_NOT_MAPPED
    await shop.map("prod_portrait", "Session income")
    assert len(await planned(shop, ItemKind.REFUND, "re_1")) == 1


async def test_a_refund_that_has_moved_no_money_books_nothing(shop: Studio) -> None:
    await keep(shop, refund_row(shop, "re_1", 100, None, status="pending"))
    assert await planned(shop, ItemKind.REFUND, "re_1") == []


async def test_a_dispute_is_held_before_its_payment_is_known(shop: Studio) -> None:
    dispute = Dispute(
        connection_id=shop.stripe.id,
        stripe_id="dp_1",
        amount_minor=20000,
        currency="usd",
        status="needs_response",
        created_at=NOON,
        fetched_at=NOON,
    )
    await keep(shop, dispute, moved(shop, 1, "dispute", -20000, source="dp_1", fee=1500, type="adjustment"))
    held, fee = await planned(shop, ItemKind.DISPUTE, "dp_1")
    assert isinstance(held, Transfer)
    assert isinstance(fee, Expense)
    assert (held.to_account.external_id, fee.lines[0].account.external_id) == ("held", "dispute_fees")
    async with shop.wiring.db.tenant(shop.tenant_id, write=True) as session:
        await offer_dispute(session, dispute, now=NOON)
        row = await session.get_one(Dispute, dispute.id)
        # Still the first of April in New York.
        row.status, row.closed_at = "lost", datetime(2026, 4, 2, 1, 0, tzinfo=UTC)
    assert list(await items(shop)) == ["dp_1"]
    with pytest.raises(StopError) as stop:
        await planned(shop, ItemKind.DISPUTE, "dp_1")
    assert stop.value.reason is Reason.PAYMENT_NOT_KNOWN
    await shop.map("prod_portrait", "Session income")
    payment_id = await shop.pay(sale(amount=20000))
    async with shop.wiring.db.tenant(shop.tenant_id, write=True) as session:
        await session.execute(update(Dispute).values(payment_id=payment_id))
    lost = (await planned(shop, ItemKind.DISPUTE, "dp_1"))[-1]
    assert (lost.step, lost.date) == ("lost", date(2026, 4, 1))


async def test_a_payout_that_was_sent_and_came_back_is_two_transfers(shop: Studio) -> None:
    await keep(
        shop,
        payout_row(shop, "po_1", 30000),
        moved(shop, 1, "payout", -30000, source="po_1"),
    )
    (there,) = await planned(shop, ItemKind.PAYOUT, "po_1")
    assert (there.step, there.date, there.total_minor) == ("payout", DAY + timedelta(days=2), 30000)
    later = NOON + timedelta(days=4)
    await keep(shop, moved(shop, 2, "payout_reversal", 30000, source="po_1", type="payout_failure", at=later))
    async with shop.wiring.db.tenant(shop.tenant_id, write=True) as session:
        await session.execute(update(Payout).values(status="failed"))
    assert await planned(shop, ItemKind.PAYOUT, "po_1") == []
    item = an_item(shop, ItemKind.PAYOUT, "po_1")
    await keep(shop, item)
    await keep(shop, a_sent_operation(item, there))
    async with shop.wiring.db.tenant(shop.tenant_id) as session:
        documents = await plan(session, item, ConnectedBooks(shop.books, "The books"))
    assert [one.step for one in documents] == ["payout", "returned"]


def a_sent_operation(item: SyncItem, document: MoneyDocument) -> Operation:
    return Operation(
        connection_id=item.connection_id,
        item_id=item.id,
        step=document.step,
        kind=document.kind,
        plan_version=0,
        revision=0,
        key=str(uuid4()),
        reference=document.reference,
        path="/",
        body=b"",
        body_hash="",
        currency="usd",
        state=OperationState.UNCERTAIN,
        sends=1,
        fence=0,
        created_at=NOON,
    )


async def test_the_fees_of_a_day_are_due_an_hour_after_it_and_late_ones_make_a_second_document(shop: Studio) -> None:
    await keep(
        shop,
        moved(shop, 1, "charge", 1000, source="ch_1", fee=59),
        moved(shop, 2, "charge", 2000, source="ch_2", fee=88),
    )
    await offer(shop)
    (day,) = (await items(shop, ItemKind.FEES)).values()
    # One in the morning in New York.
    assert (day.source_id, day.due_at) == (DAY.isoformat(), datetime(2026, 3, 3, 6, 0, tzinfo=UTC))
    async with shop.wiring.db.tenant(shop.tenant_id, write=True) as session:
        item = await session.get_one(SyncItem, day.id)
        books = ConnectedBooks(shop.books, "The books")
        (first,) = await plan(session, item, books)
        await after_freeze(session, item, [first])
    await keep(shop, moved(shop, 3, "charge", 3000, source="ch_3", fee=117))
    much_later = NOON + timedelta(days=9)
    await offer(shop, now=much_later)
    late = (await items(shop, ItemKind.FEES))[f"{DAY}#2"]
    assert late.due_at == much_later + timedelta(hours=1)
    (second,) = await planned(shop, ItemKind.FEES, late.source_id)
    assert (first.total_minor, second.total_minor) == (147, 117)
    assert first.reference != second.reference
    async with shop.wiring.db.tenant(shop.tenant_id) as session:
        # What is frozen is planned again as it is, without what came late.
        assert await plan(session, await session.get_one(SyncItem, day.id), books) == [first]


async def test_fees_can_be_booked_one_by_one_or_by_payout(shop: Studio) -> None:
    in_payout = {"stripe_payout_id": "po_1"}
    rows = [
        moved(shop, 1, "charge", 1000, source="ch_1", fee=59, **in_payout),
        moved(shop, 2, "partial_capture_reversal", -100, source="re_1", fee=-3, **in_payout),
    ]
    await set_up(shop, fee_style=FeeStyle.PER_CHARGE)
    await keep(shop, *rows)
    await offer(shop)
    assert set(await items(shop, ItemKind.FEES)) == {"txn_1", "txn_2"}
    taken, back = [await planned(shop, ItemKind.FEES, name) for name in ("txn_1", "txn_2")]
    assert (type(taken[0]), type(back[0])) == (Expense, Deposit)
    async with shop.wiring.db.tenant(shop.tenant_id, write=True) as session:
        await session.execute(update(BookkeepingVersion).values(fee_style=FeeStyle.PER_PAYOUT))
    payout = payout_row(shop, "po_1", 841)
    await keep(shop, payout, moved(shop, 3, "payout", -841, source="po_1", stripe_payout_id="po_1"))
    async with shop.wiring.db.tenant(shop.tenant_id, write=True) as session:
        await offer_payout(session, payout, now=NOON)
    assert "po_1" in await items(shop, ItemKind.FEES)
    both = await planned(shop, ItemKind.FEES, "po_1")
    assert [(one.step, one.total_minor) for one in both] == [("fees", 59), ("fees_returned", 3)]


async def test_everything_since_the_first_day_is_offered_once_and_nothing_before_it(shop: Studio) -> None:
    payment_id = await shop.pay(sale())
    early = datetime(2025, 12, 1, tzinfo=UTC)
    await keep(
        shop,
        refund_row(shop, "re_1", 100, payment_id),
        refund_row(shop, "re_0", 100, payment_id),
        payout_row(shop, "po_1", 900),
        payout_row(shop, "po_2", 900, status="in_transit"),
        moved(shop, 1, "refund", -100, source="re_1"),
        moved(shop, 2, "refund", -100, source="re_0", at=early),
        moved(shop, 3, "payout", -900, source="po_1"),
        moved(shop, 4, "payout", -900, source="po_2"),
        moved(shop, 5, "fee", -200),
        moved(shop, 6, "fee", -200, at=early),
        moved(shop, 7, "charge", 500, source="ch_7", fee=40, currency="eur"),
        OpeningBalance(
            connection_id=shop.stripe.id, currency="usd", starts_at=datetime(2026, 1, 1, tzinfo=UTC),
            amount_minor=84217, read_at=NOON,
        ),
    )  # fmt: skip
    await offer(shop)
    first = {name: (item.id, item.state, item.due_at) for name, item in (await items(shop)).items()}
    assert set(first) == {"pi_00000001", "re_1", "po_1", "txn_5", "txn_7", "opening:usd"}
    await offer(shop)
    assert {name: (item.id, item.state, item.due_at) for name, item in (await items(shop)).items()} == first
    (opening,) = await planned(shop, ItemKind.OPENING, "opening:usd")
    assert isinstance(opening, Deposit)
    assert (opening.total_minor, opening.lines[0].account.external_id) == (84217, "opening")
    with pytest.raises(StopError) as stop:
        await planned(shop, ItemKind.FEES, "txn_7")
    assert stop.value.reason is Reason.SETTLED_ELSEWHERE
    (charge,) = await planned(shop, ItemKind.MOVEMENT, "txn_5")
    assert charge.reference.startswith("TM-")


async def test_nothing_is_offered_before_the_start(shop: Studio) -> None:
    async with shop.wiring.db.tenant(shop.tenant_id, write=True) as session:
        (await session.get_one(Tenant, shop.tenant_id)).posting_starts_at = None
    refund = refund_row(shop, "re_1", 100, None)
    opening = OpeningBalance(connection_id=shop.stripe.id, currency="usd", starts_at=NOON, amount_minor=5, read_at=NOON)
    rows = [moved(shop, 1, "refund", -100, source="re_1"), moved(shop, 2, "fee", -200)]
    await keep(shop, refund, opening, *rows)
    async with shop.wiring.db.tenant(shop.tenant_id, write=True) as session:
        await offer_refund(session, refund, now=NOON)
        await offer_opening(session, opening, now=NOON)
        await offer_movements(session, rows, now=NOON)
    await offer(shop)
    assert await items(shop) == {}


async def test_news_opens_what_was_done_and_repeating_does_not(shop: Studio) -> None:
    refund = refund_row(shop, "re_1", 100, None)
    await keep(shop, refund, moved(shop, 1, "refund", -100, source="re_1"))
    await offer(shop)
    async with shop.wiring.db.tenant(shop.tenant_id, write=True) as session:
        await session.execute(update(SyncItem).values(state=ItemState.DONE, due_at=None))
    await offer(shop)
    assert (await items(shop))["re_1"].state is ItemState.DONE
    async with shop.wiring.db.tenant(shop.tenant_id, write=True) as session:
        await offer_refund(session, refund, now=NOON)
    assert (await items(shop))["re_1"].state is ItemState.PENDING


async def test_what_waits_for_its_payment_goes_on_when_the_payment_arrives(shop: Studio) -> None:
    await keep(shop, refund_row(shop, "re_1", 100, None), moved(shop, 1, "refund", -100, source="re_1"))
    await offer(shop)
    async with shop.wiring.db.tenant(shop.tenant_id, write=True) as session:
        stopped = {"state": ItemState.BLOCKED, "reason": Reason.PAYMENT_NOT_KNOWN, "due_at": None}
        await session.execute(update(SyncItem).values(**stopped))
    payment_id = await shop.pay(sale())
    async with shop.wiring.db.tenant(shop.tenant_id, write=True) as session:
        payment = await session.get_one(Payment, payment_id)
        assert await wake_dependents(session, payment, now=NOON) == 1
        assert await wake_dependents(session, payment, now=NOON) == 0
    item = (await items(shop))["re_1"]
    assert (item.state, item.payment_id, item.reason) == (ItemState.PENDING, payment_id, None)


async def test_what_stands_in_other_books_is_never_offered_to_the_next(shop: Studio) -> None:
    refund = refund_row(shop, "re_1", 100, None)
    rows = [moved(shop, 1, "refund", -100, source="re_1"), moved(shop, 2, "fee", -200)]
    await keep(shop, refund, *rows)
    (fee,) = await planned(shop, ItemKind.MOVEMENT, "txn_2")
    item = an_item(shop, ItemKind.MOVEMENT, "txn_2")
    await keep(shop, item)
    await keep(shop, a_sent_operation(item, fee))
    await shop.disconnect()
    after = await shop.connect("mock-others")
    await offer(after)
    assert "txn_2" not in await items(after)
    assert "re_1" in await items(after)


async def test_a_sale_is_dated_and_in_scope_by_the_day_its_money_moved(shop: Studio) -> None:
    """A bank debit begins before the first day and succeeds after it."""
    await shop.map("prod_portrait", "Session income")
    begun = datetime(2025, 12, 30, 15, 0, tzinfo=UTC)
    payment_id = await shop.pay(sale(paid_at=begun))
    assert (await shop.stands(payment_id))[1] is Reason.BEFORE_START
    await keep(shop, moved(shop, 1, "charge", 43300, source="ch_00000001", at=NOON))
    async with shop.wiring.db.tenant(shop.tenant_id, write=True) as session:
        payment = (await session.execute(select(Payment))).scalar_one()
        payment.stripe_balance_transaction_id = "txn_1"
    await offer(shop)
    async with shop.wiring.db.tenant(shop.tenant_id) as session:
        item = (await session.execute(select(SyncItem).where(SyncItem.kind == ItemKind.SALE))).scalar_one()
        invoice, _ = await plan(session, item, ConnectedBooks(shop.books, "The books"))
    assert invoice.date == DAY


async def test_a_bank_debit_that_fails_after_it_succeeded_is_given_back_whole(shop: Studio) -> None:
    await shop.map("prod_portrait", "Session income")
    failed = moved(shop, 1, "charge_failure", -43300, source="ch_00000001", type="payment_failure_refund")
    await keep(shop, failed)
    await offer(shop)
    assert (await items(shop))["ch_00000001"].payment_id is None
    with pytest.raises(StopError) as stop:
        await planned(shop, ItemKind.REFUND, "ch_00000001")
    assert stop.value.reason is Reason.PAYMENT_NOT_KNOWN
    await shop.pay(sale(amount=43300))
    (refund,) = await planned(shop, ItemKind.REFUND, "ch_00000001")
    assert (refund.total_minor, refund.step) == (43300, "refund")


async def test_the_answer_to_an_unknown_kind_of_movement_is_the_one_that_the_plan_reads(shop: Studio) -> None:
    await keep(shop, moved(shop, 1, "other_adjustment", -1234))
    with pytest.raises(StopError) as stop:
        await planned(shop, ItemKind.MOVEMENT, "txn_1")
    item = an_item(shop, ItemKind.MOVEMENT, "txn_1")
    item.state, item.reason, item.reason_detail = ItemState.NEEDS_ATTENTION, stop.value.reason, stop.value.detail
    await keep(shop, item)
    async with shop.wiring.db.tenant(shop.tenant_id, write=True) as session:
        (question,) = (await accounts_page(session, shop.books.id)).questions
        await save_category(
            session,
            tenant_id=shop.tenant_id,
            connection_id=shop.books.id,
            category=question.category,
            account_id="fees",
            by_user_id=shop.person.user_id,
            now=NOON,
        )
    (document,) = await planned(shop, ItemKind.MOVEMENT, "txn_1")
    assert isinstance(document, Expense)
    assert (document.total_minor, document.lines[0].account.external_id) == (1234, "fees")
    assert (await items(shop))["txn_1"].state is ItemState.PENDING
