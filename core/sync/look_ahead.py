"""From a history that was read to its posting, on the lane of the books: compare, plan, and on a person's word offer.

The item ``DRY_RUN`` of a history run first asks the books, month by month, for sales that somebody else has entered;
then it plans everything without posting. Once a person has said so, the same item offers what was read, some hundreds
at a time, and the engine posts it like anything else.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core.accounting.port import FoundSale
from core.db.models import (
    BalanceTransaction,
    HistoryRun,
    HistoryState,
    ItemKind,
    ItemState,
    OpeningBalance,
    Payment,
    SyncItem,
    Tenant,
)
from core.errors import (
    AccessExpiredError,
    ProviderError,
    ProviderRejectedError,
    RateLimitedError,
    ReconnectRequiredError,
)
from core.live import touch
from core.reasons import Reason
from core.sync import ladder
from core.sync.call_counts import Spent
from core.sync.dry_run import Scope, dry_run
from core.sync.duplicates import Duplicate, find_duplicates, hold_back, months
from core.sync.items import books_connection, enqueue, offer_sale, reopen
from core.sync.lane_work import BooksLane
from core.sync.planners.offers import offer_movements, offer_opening

_OFFERED_AT_ONCE = 200
_NOT_OFFERED = (Reason.BOOKS_NOT_CONNECTED, Reason.NOT_STARTED, Reason.BEFORE_START)
_NOBODY = UUID(int=0)


async def ask_for_dry_run(session: AsyncSession, run: HistoryRun, *, now: datetime) -> bool:
    """Have a run that was read compared with the books and planned, anew if it was before.

    Once it is to be posted, what was read is offered instead. Returns False while no books are connected.
    """
    books = await books_connection(session)
    if books is None:
        return False
    await enqueue(
        session,
        tenant_id=run.tenant_id,
        connection_id=books.id,
        kind=ItemKind.DRY_RUN,
        source_id=str(run.id),
        due_at=now,
        now=now,
    )
    item = await find_dry_run(session, run, books.id)
    if item is not None:
        reopen(item, now=now)
    await touch(session, run.tenant_id)
    return True


async def find_dry_run(session: AsyncSession, run: HistoryRun, connection_id: UUID) -> SyncItem | None:
    """Return the item that looks ahead for a run in these books; its ``reason_detail`` is what it has found so far."""
    statement = select(SyncItem).where(
        SyncItem.connection_id == connection_id,
        SyncItem.kind == ItemKind.DRY_RUN,
        SyncItem.source_id == str(run.id),
    )
    return (await session.execute(statement)).scalar_one_or_none()


async def history_was_read(session: AsyncSession, run: HistoryRun, *, now: datetime) -> None:
    """Go on after the last page: with the dry run, or with the posting where a person has started it already."""
    tenant = await session.get_one(Tenant, run.tenant_id)
    if tenant.posting_starts_at is not None:
        run.state = HistoryState.POSTING
    await ask_for_dry_run(session, run, now=now)


async def post_history(session: AsyncSession, run: HistoryRun, *, now: datetime) -> bool:
    """Let everything be posted that a dry run has shown; what looks like a duplicate waits for a person.

    Returns:
        False: it was not looked at yet, or posting has begun before.
    """
    tenant = (await session.execute(select(Tenant).where(Tenant.id == run.tenant_id).with_for_update())).scalar_one()
    books = await books_connection(session)
    item = await find_dry_run(session, run, books.id) if books is not None else None
    if books is None or item is None or run.state is not HistoryState.READ or "result" not in item.reason_detail:
        return False
    if tenant.posting_starts_at is not None:
        return False
    pairs = [Duplicate.thawed(pair) for pair in item.reason_detail.get("duplicates", [])]
    # Before the first day is known to anybody, so that no event can offer one of them first.
    await hold_back(session, books, pairs, now=now)
    tenant.posting_starts_at = run.starts_at
    run.state, run.changed_at = HistoryState.POSTING, now
    found = dict(item.reason_detail)
    await ask_for_dry_run(session, run, now=now)
    item.reason_detail = found
    return True


async def look_ahead(lane: BooksLane, item: SyncItem) -> bool:
    """Do one part of a run's way; return whether the lane may go on."""
    run, tenant = await _run(lane, item)
    if run is None or run.state not in (HistoryState.READ, HistoryState.POSTING):
        await _keep(lane, item, dict(item.reason_detail), is_done=True)
    elif run.state is HistoryState.POSTING:
        await _offer_some(lane, item, run.starts_at)
    else:
        await _look(lane, item, run, ZoneInfo(tenant.time_zone))
    return not lane.paused


async def _run(lane: BooksLane, item: SyncItem) -> tuple[HistoryRun | None, Tenant]:
    async with lane.db.tenant(lane.claim.tenant_id) as session:
        tenant = await session.get_one(Tenant, lane.claim.tenant_id)
        return await session.get(HistoryRun, UUID(item.source_id)), tenant


async def _look(lane: BooksLane, item: SyncItem, run: HistoryRun, zone: ZoneInfo) -> None:
    """Compare the next month, or plan once all are compared."""
    found = dict(item.reason_detail)
    today = lane.runtime.now().astimezone(zone).date()
    first = run.starts_at.astimezone(zone).date()
    compared = date.fromisoformat(found["compared"]) if "compared" in found else first - timedelta(days=1)
    month = next(months(compared + timedelta(days=1), today), None)
    if month is None:
        await _plan(lane, item, run, found)
        return
    try:
        sales = await lane.ask(lambda books: books.list_sales(*month))
    except ProviderRejectedError:
        # Books that do not show their sales to us cannot be compared; the page says so.
        await _keep(lane, item, {**found, "compared": today.isoformat(), "not_compared": True})
    except ProviderError as exc:
        await _failed(lane, item, exc)
    else:
        await _keep(lane, item, await _compared(lane, run, sales, month, found))


async def _compared(
    lane: BooksLane, run: HistoryRun, sales: Sequence[FoundSale], days: tuple[date, date], found: dict[str, Any]
) -> dict[str, Any]:
    async with lane.db.tenant(lane.claim.tenant_id) as session:
        pairs = await find_duplicates(session, sales, days, starts_at=run.starts_at)
    before = found.get("duplicates", [])
    return {**found, "compared": days[1].isoformat(), "duplicates": [*before, *(pair.stored for pair in pairs)]}


async def _plan(lane: BooksLane, item: SyncItem, run: HistoryRun, found: dict[str, Any]) -> None:
    async def tell(planned: int) -> None:
        await _keep(lane, item, {**found, "planned": planned}, is_due=False)

    duplicates = frozenset(pair["source_id"] for pair in found.get("duplicates", []))
    scope = Scope(lane.connection, lane.books, run.starts_at, duplicates)
    async with lane.db.tenant(lane.claim.tenant_id) as session:
        result = await dry_run(session, scope, now=lane.runtime.now(), tell=tell)
    await _keep(lane, item, {**found, "planned": result.items, "result": result.stored}, is_done=True)


async def _offer_some(lane: BooksLane, item: SyncItem, starts_at: datetime) -> None:
    """Offer the next payments, then the next rows of Stripe's ledger, then what Stripe held at the beginning."""
    found = dict(item.reason_detail)
    payment_id, moved = found.get("offered_payment", str(_NOBODY)), found.get("offered_row", str(_NOBODY))

    async def work(session: AsyncSession, now: datetime) -> None:
        if payment_id is not None:
            found["offered_payment"] = await _offer_payments(session, UUID(payment_id), now)
        elif moved is not None:
            found["offered_row"] = await _offer_rows(session, UUID(moved), starts_at, now)
        else:
            openings = select(OpeningBalance).where(OpeningBalance.starts_at == starts_at)
            for opening in (await session.execute(openings)).scalars().all():
                await offer_opening(session, opening, now=now)
        is_done = payment_id is None and moved is None
        if is_done:
            run = await session.get_one(HistoryRun, UUID(item.source_id), with_for_update=True)
            run.state, run.changed_at = HistoryState.DONE, now
        await _write(lane, session, item, found, now, is_done=is_done)

    await lane.record(work)


async def _offer_payments(session: AsyncSession, after: UUID, now: datetime) -> str | None:
    statement = select(Payment).where(Payment.reason.in_(_NOT_OFFERED), Payment.id > after).order_by(Payment.id)
    rows = (await session.execute(statement.limit(_OFFERED_AT_ONCE))).scalars().all()
    for payment in rows:
        await offer_sale(session, payment, now=now)
    return str(rows[-1].id) if len(rows) == _OFFERED_AT_ONCE else None


async def _offer_rows(session: AsyncSession, after: UUID, starts_at: datetime, now: datetime) -> str | None:
    statement = (
        select(BalanceTransaction)
        .where(BalanceTransaction.created_at >= starts_at, BalanceTransaction.id > after)
        .order_by(BalanceTransaction.id)
        .limit(_OFFERED_AT_ONCE)
    )
    rows = (await session.execute(statement)).scalars().all()
    await offer_movements(session, rows, now=now, is_news=False)
    return str(rows[-1].id) if len(rows) == _OFFERED_AT_ONCE else None


async def _keep(
    lane: BooksLane, item: SyncItem, found: dict[str, Any], *, is_done: bool = False, is_due: bool = True
) -> None:
    """Write down how far it has come; it goes on at once unless it is done."""

    async def work(session: AsyncSession, now: datetime) -> None:
        await _write(lane, session, item, found, now, is_done=is_done, is_due=is_due)

    await lane.record(work)


async def _write(
    lane: BooksLane,
    session: AsyncSession,
    item: SyncItem,
    found: dict[str, Any],
    now: datetime,
    *,
    is_done: bool,
    is_due: bool = True,
) -> None:
    row = await session.get_one(SyncItem, item.id, with_for_update=True, populate_existing=True)
    await lane.count(session, Spent(), now)
    await touch(session, lane.claim.tenant_id)
    if row.due_at is None or row.wanted > item.wanted:
        # Disconnected meanwhile, or asked for anew: what was found may be about something else.
        return
    row.reason_detail, row.changed_at = found, now
    row.tries, row.reason = 0, None
    if is_done:
        row.done, row.state, row.due_at = item.wanted, ItemState.DONE, None
    elif is_due:
        row.due_at = now


async def _failed(lane: BooksLane, item: SyncItem, error: ProviderError) -> None:
    async def work(session: AsyncSession, now: datetime) -> None:
        row = await session.get_one(SyncItem, item.id, with_for_update=True, populate_existing=True)
        await lane.count(session, Spent(), now)
        await touch(session, lane.claim.tenant_id)
        if row.due_at is None:
            return
        row.changed_at = now
        if isinstance(error, ReconnectRequiredError | AccessExpiredError):
            await lane.block_connection(session, now)
        elif isinstance(error, RateLimitedError):
            lane.spent.slow_downs += 1
            row.due_at = await lane.pause(session, error.retry_after_s, Reason.RATE_LIMITED, now)
        else:
            row.tries += 1
            row.due_at = now + ladder.next_delay(lane.runtime, row.tries)

    await lane.record(work)
