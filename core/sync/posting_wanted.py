"""Reading what plans asked for, between two transactions, before the items are planned again.

Exchange rates, where the books alone know them. And how the books are set up: a closed month or an archived account is
refused before anything is sent, by what the books said when they were last asked. A person who has opened it there
again and retries must not be told the same once more.
"""

from collections.abc import Collection, Sequence
from datetime import date, datetime
from uuid import UUID, uuid4

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core.connections.books import read_lists, store_lists
from core.db.models import BooksRate, Connection, ItemKind, ItemState, Payment, SyncItem
from core.db.upsert import insert_missing
from core.errors import (
    AccessExpiredError,
    ProviderError,
    ProviderRejectedError,
    RateLimitedError,
    ReconnectRequiredError,
    StopError,
)
from core.reasons import Reason
from core.sync.lane_work import BooksLane
from core.sync.posting_state import Pass, PostingState

BY_SETTINGS = frozenset(
    {
        Reason.PERIOD_CLOSED,
        Reason.PERIOD_UNSURE,
        Reason.CURRENCY_NOT_ENABLED,
        Reason.ACCOUNT_INACTIVE,
        Reason.TAX_CODE_MISFIT,
    }
)
"""Reasons that follow from how the books are set up, as far as we know: a person may have changed it there."""


class _Refused(PostingState):
    """An item whose rate the books refused to tell."""

    def tell(self, refused: ProviderRejectedError) -> None:
        """Stop for a person."""
        self._stop(StopError(refused.reason, refused.detail), refused)


async def read_wanted(lane: BooksLane) -> None:
    """Read what was wanted and let its items go on; where the books do not answer, they wait their time.

    Raises:
        LeaseLostError: another worker took the lane.
    """
    await _read_rates(lane)
    await _read_settings(lane)


async def _read_rates(lane: BooksLane) -> None:
    while lane.rates_wanted and not lane.paused:
        (currency, day), item_ids = lane.rates_wanted.popitem()
        try:
            rate = await _ask(lane, currency, day)
        except ProviderRejectedError as refused:
            await _stop(lane, item_ids, refused)
        except ProviderError as exc:
            await _rest(lane, exc)
            break
        else:
            await _keep(lane, currency, day, rate, item_ids)
    lane.rates_wanted.clear()


async def _read_settings(lane: BooksLane) -> None:
    wanted, lane.settings_wanted = lane.settings_wanted, []
    if not wanted or lane.paused:
        return
    try:
        lists = await lane.ask(read_lists)
    except ProviderRejectedError:
        # They will not say: what is stored counts, and each item stops for its own reason.
        lane.take_settings(None)
    except ProviderError as exc:
        await _rest(lane, exc)
        return
    else:

        async def keep(session: AsyncSession, now: datetime) -> Connection | None:
            return await store_lists(session, lane.claim.connection_id, lists, now)

        lane.take_settings(await lane.record(keep))

    async def go_on(session: AsyncSession, now: datetime) -> None:
        for item in await _waiting(session, wanted, BY_SETTINGS):
            item.due_at = now

    await lane.record(go_on)


async def _ask(lane: BooksLane, currency: str, day: date) -> str | None:
    return await lane.ask(lambda books: books.read_rate(currency, day))


async def _keep(lane: BooksLane, currency: str, day: date, rate: str | None, item_ids: Sequence[UUID]) -> None:
    async def work(session: AsyncSession, now: datetime) -> None:
        row = {
            "id": uuid4(),
            "tenant_id": lane.claim.tenant_id,
            "connection_id": lane.claim.connection_id,
            "currency": currency.lower(),
            "day": day,
            "rate": rate,
            "read_at": now,
        }
        await insert_missing(session, BooksRate, [row])
        for item in await _waiting(session, item_ids):
            item.due_at = now

    await lane.record(work)


async def _stop(lane: BooksLane, item_ids: Sequence[UUID], refused: ProviderRejectedError) -> None:
    """The books know no such rate: that will not change by itself."""

    async def work(session: AsyncSession, now: datetime) -> None:
        pass_ = Pass()
        for item in await _waiting(session, item_ids):
            is_sale = item.kind is ItemKind.SALE and item.payment_id is not None
            payment = await session.get_one(Payment, item.payment_id) if is_sale else None
            _Refused(lane, session, item, payment, now, pass_).tell(refused)
        await pass_.write_down(session, now)

    await lane.record(work)


async def _rest(lane: BooksLane, exc: ProviderError) -> None:
    async def work(session: AsyncSession, now: datetime) -> None:
        if isinstance(exc, ReconnectRequiredError | AccessExpiredError):
            await lane.block_connection(session, now)
        elif isinstance(exc, RateLimitedError):
            await lane.pause(session, exc.retry_after_s, Reason.RATE_LIMITED, now)

    await lane.record(work)


async def _waiting(
    session: AsyncSession, item_ids: Sequence[UUID], reasons: Collection[Reason] = (Reason.RATE_PENDING,)
) -> Sequence[SyncItem]:
    """Return the items that still wait, their payments locked before them as everywhere."""
    whose = select(SyncItem.payment_id).where(SyncItem.id.in_(item_ids), SyncItem.kind == ItemKind.SALE)
    payments = select(Payment.id).where(Payment.id.in_(whose)).order_by(Payment.id).with_for_update(key_share=True)
    await session.execute(payments)
    statement = (
        select(SyncItem)
        .where(SyncItem.id.in_(item_ids), SyncItem.state == ItemState.PENDING, SyncItem.reason.in_(reasons))
        .order_by(SyncItem.id)
        .with_for_update()
    )
    return (await session.execute(statement)).scalars().all()
