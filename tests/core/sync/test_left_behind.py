"""What was begun in a company that was replaced: its news are shown, go to nobody else, and are booked there later."""

from datetime import timedelta

from sqlalchemy import select, update

from core.db.models import ItemState, Payout, SyncItem
from core.reasons import Reason
from core.reports.reconciliation_items import OpenItem, read_open_others
from core.reports.standing import read_standing
from core.sync.fetch_offers import News, offer_news
from tests.core.sync.conftest import Studio, sale
from tests.core.sync.test_attack_movements import (
    NOON,
    ON_SQLITE,
    balance,
    dispute_row,
    equip,
    item_of,
    settle,
    shop,
    tell,
    tell_dispute,
)
from tests.core.sync.test_planners import moved, payout_row

__all__ = ["shop"]


async def listed(studio: Studio) -> list[OpenItem]:
    async with studio.wiring.db.tenant(studio.tenant_id) as session:
        standing = await read_standing(session, studio.tenant_id, now=studio.runtime.now())
        return await read_open_others(session, standing, limit=50)


@ON_SQLITE
async def test_a_dispute_lost_after_its_company_was_replaced_is_shown_and_booked_there(shop: Studio) -> None:
    payment_id = await shop.pay(sale())
    await tell(shop, moved(shop, 1, "dispute", -43300, source="dp_1"), disputes=(dispute_row(shop, payment_id),))
    await settle(shop)
    assert balance(shop, "Stripe disputes held") == 43300
    await shop.disconnect()
    second = await equip(await shop.connect("second"))
    await settle(second)
    assert await listed(second) == [], "nothing has happened since"
    await tell_dispute(second, status="lost", closed_at=NOON + timedelta(days=5))
    await settle(second, days=5)
    [shown] = await listed(second)
    assert (shown.source_id, shown.net_minor, shown.can_retry, shown.can_ignore) == ("dp_1", 0, False, False)
    assert shown.why is not None
    assert shown.why.wording.title == f"The rest of this belongs to {shop.books.external_name}"
    assert balance(second, "Stripe disputes held") == 0
    again = await equip(await second_then(second, shop))
    await settle(again, days=1)
    assert balance(again, "Stripe disputes held") == 0
    assert (await item_of(again, "dp_1")).state is ItemState.DONE
    assert await listed(again) == []


async def second_then(second: Studio, first: Studio) -> Studio:
    """End the second company and connect the first one again."""
    await second.disconnect()
    return await first.connect(first.books.external_id)


@ON_SQLITE
async def test_a_payout_that_comes_back_after_its_company_was_replaced_lacks_its_money(shop: Studio) -> None:
    await tell(
        shop,
        moved(shop, 1, "payout", -5000, source="po_1"),
        payouts=(payout_row(shop, "po_1", 5000),),
    )
    await settle(shop, days=3)
    assert balance(shop) == -5000
    await shop.disconnect()
    second = await equip(await shop.connect("second"))
    async with second.wiring.db.tenant(second.tenant_id, write=True) as session:
        await session.execute(update(Payout).values(status="failed"))
    await tell(second, moved(second, 2, "payout_reversal", 5000, source="po_1"))
    async with second.wiring.db.tenant(second.tenant_id, write=True) as session:
        payouts = list((await session.execute(select(Payout))).scalars())
        await offer_news(session, News(payouts=payouts), now=await second.wiring.db.now(session))
    await settle(second, days=1)
    [shown] = [one for one in await listed(second) if one.source_id == "po_1"]
    assert shown.net_minor == 5000, "what Stripe has again, and these books have not"
    [item] = [row for row in await second.rows(SyncItem) if row.source_id == "po_1"]
    assert (item.connection_id, item.state, item.reason) == (shop.books.id, ItemState.BLOCKED, Reason.OTHER_COMPANY)
    assert balance(second) == 0


@ON_SQLITE
async def test_being_told_the_same_again_is_no_news(shop: Studio) -> None:
    payment_id = await shop.pay(sale())
    await tell(shop, moved(shop, 1, "dispute", -43300, source="dp_1"), disputes=(dispute_row(shop, payment_id),))
    await settle(shop)
    await shop.disconnect()
    second = await equip(await shop.connect("second"))
    for _ in range(3):
        await tell_dispute(second, status="under_review")
        await settle(second)
    assert await listed(second) == []
