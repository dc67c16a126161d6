"""Bringing one payout up to date, with everything that Stripe says is in it."""

from datetime import UTC, datetime, time, timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core.db.models import Payout, SyncItem
from core.intake.facts_movements import FetchedPayout, FetchedTransaction
from core.intake.reader import StripeReader
from core.intake.store_movements import store_payout
from core.live import touch
from core.sync import ladder
from core.sync.fetch_lane import StripeLane, done, settle
from core.sync.fetch_ledger import take_transactions
from core.sync.fetch_offers import News, offer_news

ARRIVED_BY = timedelta(hours=18)
"""After the beginning of its day of arrival (UTC) a payout that is still on its way is looked at again."""

WATCHED_FOR = timedelta(days=14)
"""How long after that day Stripe is asked again for what it has not said."""


async def fetch_payout(lane: StripeLane, item: SyncItem, reader: StripeReader) -> None:
    """Read one payout and, once Stripe can name them, the balance transactions in it; these only once."""
    fetched = await reader.payout(item.source_id)
    if fetched.is_live != lane.wiring.settings.is_live:
        await settle(lane, item, due_at=None)
        return
    lines = await lines_of(lane, reader, fetched)

    async def work(session: AsyncSession, now: datetime) -> None:
        await lane.lock_connection(session)
        payout = await keep_payout(lane, session, fetched, lines, now=now)
        moved = {movement.stripe_id for movement in fetched.movements}
        await offer_news(session, News(payouts=[payout], transactions=moved), now=now)
        await lane.sweep_soon(session, now)
        await touch(session, lane.claim.tenant_id)
        await done(lane, session, item, due_at=_next_look(fetched, payout, now), now=now)

    await lane.record(work)


async def lines_of(lane: StripeLane, reader: StripeReader, fetched: FetchedPayout) -> tuple[int, int] | None:
    """Read and keep what is in a payout, if Stripe can say by now and has not said it before; see `_read_lines`."""
    if not fetched.has_lines or await _has_lines(lane, fetched.stripe_id):
        return None
    return await _read_lines(lane, reader, fetched.stripe_id)


async def keep_payout(
    lane: StripeLane, session: AsyncSession, fetched: FetchedPayout, lines: tuple[int, int] | None, *, now: datetime
) -> Payout:
    """Keep a payout, and whether what is in it adds up. It is never made to fit: what does not is shown."""
    payout = await store_payout(
        session,
        tenant_id=lane.claim.tenant_id,
        connection_id=lane.claim.connection_id,
        fetched=fetched,
        now=now,
    )
    if lines is not None:
        payout.lines_minor = lines[0]
        payout.lines_read = lines[0] == fetched.amount_minor and lines[1] == 0
    return payout


async def _has_lines(lane: StripeLane, payout_id: str) -> bool:
    async with lane.db.tenant(lane.claim.tenant_id) as session:
        read = select(Payout.id).where(Payout.stripe_id == payout_id, Payout.lines_read)
        return (await session.execute(read)).first() is not None


async def _read_lines(lane: StripeLane, reader: StripeReader, payout_id: str) -> tuple[int, int]:
    """Keep a payout's balance transactions page by page; return what they net without the payout's own, and with it.

    By Stripe's promise the first is the payout's amount and the second is zero.
    """
    without = whole = 0
    async for page in reader.payout_transactions(payout_id):
        nets = [(row.movement.source_id == payout_id, row.movement.net_minor) for row in page]
        whole += sum(net for _, net in nets)
        without += sum(net for is_own, net in nets if not is_own)

        async def work(session: AsyncSession, now: datetime, page: list[FetchedTransaction] = page) -> None:
            await lane.lock_connection(session)
            await take_transactions(lane, session, page, now=now, payout_id=payout_id)

        await lane.record(work)
    return without, whole


def _next_look(fetched: FetchedPayout, payout: Payout, now: datetime) -> datetime | None:
    """Return when to look again should no event come: until it has arrived and everything in it is known."""
    arrives = datetime.combine(fetched.arrival_date, time(), UTC) + ARRIVED_BY
    if now > arrives + WATCHED_FOR:
        return None
    if fetched.status in {"pending", "in_transit"}:
        return max(arrives, now + ladder.LATER)
    waits_for_lines = fetched.automatic and fetched.status == "paid" and not payout.lines_read
    return now + ladder.LATER if waits_for_lines else None
