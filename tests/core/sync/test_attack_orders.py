"""Odd orders and odd amounts: what ends in the books does not depend on which fact came first, nor on how many came."""

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from core.books.roles import BookkeepingSettings, SaleStyle
from core.db.models import BooksDocument, DocumentState, ItemState, Payout, SyncItem
from core.mapping.roles import save_bookkeeping
from core.reasons import Reason
from core.sync.acts import resume_posting, stop_posting
from core.sync.fetch_offers import News, offer_news
from tests.core.sync.conftest import Studio, sale
from tests.core.sync.test_attack_movements import (
    NOON,
    ON_SQLITE,
    balance,
    dispute_row,
    item_of,
    settle,
    shop,
    tell,
    tell_dispute,
)
from tests.core.sync.test_planners import moved, payout_row, refund_row

__all__ = ["shop"]


async def say_of_payout(studio: Studio, status: str) -> None:
    async with studio.wiring.db.tenant(studio.tenant_id, write=True) as session:
        await session.execute(update(Payout).values(status=status))
        payouts = (await session.execute(select(Payout))).scalars().all()
        await offer_news(session, News(payouts=payouts), now=await studio.wiring.db.now(session))


async def steps(studio: Studio) -> list[str]:
    rows = [row for row in await studio.rows(BooksDocument) if row.state is DocumentState.POSTED]
    return sorted(row.step for row in rows)


@ON_SQLITE
async def test_a_payout_that_fails_while_posting_is_stopped_leaves_no_trace(shop: Studio) -> None:
    async with shop.wiring.db.tenant(shop.tenant_id, write=True) as session:
        assert await stop_posting(session, shop.books.id, now=NOON)
    await tell(shop, moved(shop, 1, "payout", -30000, source="po_1"), payouts=(payout_row(shop, "po_1", 30000),))
    await settle(shop)
    assert balance(shop) == 0
    await say_of_payout(shop, "failed")
    await tell(shop, moved(shop, 2, "payout_reversal", 30000, source="po_1", type="payout_failure"))
    async with shop.wiring.db.tenant(shop.tenant_id, write=True) as session:
        assert await resume_posting(session, shop.books.id)
    await settle(shop)
    assert await steps(shop) == []
    assert (await item_of(shop, "po_1")).state is ItemState.DONE


@pytest.mark.parametrize("first", ["status", "money"])
@ON_SQLITE
async def test_a_payout_that_comes_back_is_two_transfers_whichever_is_told_first(shop: Studio, first: str) -> None:
    await tell(shop, moved(shop, 1, "payout", -30000, source="po_1"), payouts=(payout_row(shop, "po_1", 30000),))
    await settle(shop)
    back = moved(shop, 2, "payout_reversal", 30000, source="po_1", type="payout_failure", at=NOON + timedelta(days=2))
    if first == "status":
        await say_of_payout(shop, "failed")
        await settle(shop)
        await tell(shop, back)
    else:
        await tell(shop, back)
        await settle(shop)
        await say_of_payout(shop, "failed")
    await settle(shop)
    await say_of_payout(shop, "failed")
    await settle(shop)
    assert await steps(shop) == ["payout", "returned"]
    assert balance(shop) == 0


@pytest.mark.parametrize("status", ["lost", "won"])
@ON_SQLITE
async def test_a_dispute_whose_end_is_told_before_its_money_is_booked_whole(shop: Studio, status: str) -> None:
    payment_id = await shop.pay(sale(amount=10000))
    await settle(shop)
    await tell(shop, disputes=(dispute_row(shop, payment_id, amount_minor=10000),))
    await tell_dispute(shop, status=status, closed_at=NOON + timedelta(days=5))
    await settle(shop)
    assert balance(shop) == 10000
    if status == "won":
        back = moved(shop, 2, "dispute_reversal", 10000, source="dp_1", type="adjustment", at=NOON + timedelta(days=5))
        await tell(shop, back)
    await tell(shop, moved(shop, 1, "dispute", -10000, source="dp_1", fee=1500, type="adjustment"))
    await settle(shop)
    await settle(shop, days=3)
    assert balance(shop, "Stripe disputes held") == 0
    assert balance(shop, "Dispute fees") == 1500
    assert balance(shop, "Chargebacks") == (10000 if status == "lost" else 0)
    assert balance(shop) == (-1500 if status == "lost" else 8500)


@ON_SQLITE
async def test_six_hundred_fees_of_one_day_are_booked_once_each(shop: Studio) -> None:
    rows = [moved(shop, number, "charge", 1000, source=f"ch_{number}", fee=number) for number in range(1, 601)]
    await tell(shop, *rows)
    await settle(shop, days=3)
    assert await steps(shop) == ["fees", "fees:2", "fees:3"]
    assert balance(shop, "Stripe fees") == sum(range(1, 601))


@ON_SQLITE
async def test_a_fee_in_another_currency_holds_up_nobody_else(shop: Studio) -> None:
    await tell(
        shop,
        moved(shop, 1, "charge", 1000, source="ch_1", fee=59),
        moved(shop, 2, "charge", 1000, source="ch_2", fee=41, currency="eur"),
    )
    await settle(shop, days=3)
    assert balance(shop, "Stripe fees") == 59
    assert (await item_of(shop, "txn_2")).reason is Reason.SETTLED_ELSEWHERE


@ON_SQLITE
async def test_a_refund_of_nothing_books_nothing_and_ends(shop: Studio) -> None:
    payment_id = await shop.pay(sale(amount=10000))
    await tell(shop, moved(shop, 1, "refund", 0, source="re_1"), refunds=(refund_row(shop, "re_1", 0, payment_id),))
    await settle(shop)
    assert (await item_of(shop, "re_1")).state is ItemState.DONE
    assert balance(shop) == 10000


@ON_SQLITE
async def test_an_amount_that_stripe_changes_is_said_of_a_sale_by_receipt_too(shop: Studio) -> None:
    async with shop.wiring.db.tenant(shop.tenant_id, write=True) as session:
        await save_bookkeeping(
            session, tenant_id=shop.tenant_id, connection_id=shop.books.id,
            settings=BookkeepingSettings(sale_style=SaleStyle.RECEIPT), by_user_id=shop.person.user_id,
            now=await shop.wiring.db.now(session),
        )  # fmt: skip
    payment_id = await shop.pay(sale(amount=10000))
    await settle(shop)
    assert balance(shop) == 10000
    await shop.pay(sale(amount=12000))
    assert (await shop.stands(payment_id))[1] is Reason.TOTALS_DIFFER


@ON_SQLITE
async def test_the_largest_amounts_that_stripe_can_name_are_booked_to_the_cent(shop: Studio) -> None:
    huge = 99_999_999_999_99
    payment_id = await shop.pay(sale(amount=huge))
    await tell(
        shop, moved(shop, 1, "refund", -huge, source="re_1"), refunds=(refund_row(shop, "re_1", huge, payment_id),)
    )
    await settle(shop)
    assert await shop.rows(SyncItem)
    assert balance(shop) == 0
