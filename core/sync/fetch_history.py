"""One pass of a history run: a page of one list, kept together with the cursor, so that it can always go on."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from core.db.models import (
    BalanceTransaction,
    HistoryRun,
    HistoryState,
    ItemKind,
    OpeningBalance,
    Payment,
    PaymentLine,
    SyncItem,
)
from core.db.upsert import upsert
from core.intake.facts import PaymentFacts
from core.intake.facts_movements import FetchedBalance, FetchedRefund, FetchedTransaction
from core.intake.reader_history import HistoryPage, HistoryReader
from core.intake.store_movements import store_balance, store_dispute, store_refund
from core.live import touch
from core.sync.fetch_lane import StripeLane, done, settle
from core.sync.fetch_ledger import take_transactions
from core.sync.fetch_objects import ask_for_payment, closing_of
from core.sync.fetch_offers import payment_arrived
from core.sync.fetch_payouts import keep_payout, lines_of
from core.sync.history import PARTS, Part, part_of
from core.sync.items import take_facts
from core.sync.look_ahead import history_was_read

LATE = timedelta(days=1)
"""How far before its beginning a run looks again at its end: for what has moved while it read."""

SOON = timedelta(seconds=2)
TRIES_FOR_A_STILL_BALANCE = 3

_FETCHES = (ItemKind.FETCH_PAYMENT, ItemKind.FETCH_REFUND, ItemKind.FETCH_DISPUTE, ItemKind.FETCH_PAYOUT)

Keep = Callable[[AsyncSession, datetime], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class _Pass:
    """What a page brings: how to keep it, how many were found, where the next page begins."""

    keep: Keep
    found: int
    after: str | None


async def read_history(lane: StripeLane, item: SyncItem, reader: HistoryReader) -> None:
    """Read one page of the run's present list; its end leads to the next list, the last one to ``READ``."""
    run = await _run(lane, item)
    part = part_of(run) if run is not None else None
    if run is None or part is None or run.state is not HistoryState.READING:
        await settle(lane, item, due_at=None)
        return
    if part is Part.BALANCE:
        await _finish(lane, item, reader, run)
        return
    page = await _read(lane, reader, part, run.starts_at, run.cursors.get("after"))

    async def work(session: AsyncSession, now: datetime) -> None:
        await lane.lock_connection(session)
        await page.keep(session, now)
        row = await session.get_one(HistoryRun, run.id, with_for_update=True, populate_existing=True)
        row.counts = {**row.counts, part.value: int(row.counts.get(part.value, 0)) + page.found}
        following = part if page.after else PARTS[PARTS.index(part) + 1]
        row.cursors, row.changed_at = {"part": following.value, "after": page.after}, now
        await touch(session, lane.claim.tenant_id)
        await done(lane, session, item, due_at=now if row.state is HistoryState.READING else None, now=now)

    await lane.record(work)


async def _run(lane: StripeLane, item: SyncItem) -> HistoryRun | None:
    async with lane.db.tenant(lane.claim.tenant_id) as session:
        return await session.get(HistoryRun, UUID(item.source_id))


async def _read(lane: StripeLane, reader: HistoryReader, part: Part, since: datetime, after: str | None) -> _Pass:
    match part:
        case Part.PAYMENTS:
            page = _payments(lane, await reader.payments_page(since, after))
        case Part.CHARGES:
            page = _payments(lane, await reader.charges_page(since, after))
        case Part.INVOICES:
            page = _invoices(lane, await reader.invoice_payments_page(since, after))
        case Part.REFUNDS:
            page = _refunds(lane, await reader.refunds_page(since, after))
        case Part.DISPUTES:
            page = await _disputes(lane, reader, since, after)
        case Part.PAYOUTS:
            page = await _payouts(lane, reader, since, after)
        case _:
            page = _ledger(lane, await reader.ledger_page(since, after))
    return page


def _payments(lane: StripeLane, page: HistoryPage[PaymentFacts]) -> _Pass:
    mine = [facts for facts in page.found if facts.is_live == lane.wiring.settings.is_live]

    async def keep(session: AsyncSession, now: datetime) -> None:
        for facts in mine:
            payment = await take_facts(session, **_owner(lane), facts=facts, now=now)
            await payment_arrived(session, payment, now=now)

    return _Pass(keep, len(mine), page.after)


def _invoices(lane: StripeLane, page: HistoryPage[str]) -> _Pass:
    """Fetch those payments alone whose invoice was made at another time than they were, so that it was not seen."""

    async def keep(session: AsyncSession, now: datetime) -> None:
        is_itemised = exists().where(
            PaymentLine.payment_id == Payment.id,
            or_(PaymentLine.stripe_field.startswith("invoice."), PaymentLine.stripe_field.startswith("checkout.")),
        )
        bare = select(Payment.source_id).where(Payment.source_id.in_(page.found), ~is_itemised)
        for source_id in (await session.execute(bare.order_by(Payment.source_id))).scalars().all():
            await lane.ask_for(session, ItemKind.FETCH_PAYMENT, source_id, now=now)

    return _Pass(keep, len(page.found), page.after)


def _refunds(lane: StripeLane, page: HistoryPage[FetchedRefund]) -> _Pass:
    async def keep(session: AsyncSession, now: datetime) -> None:
        for fetched in page.found:
            refund = await store_refund(session, **_owner(lane), fetched=fetched, now=now)
            await ask_for_payment(lane, session, refund, now)

    return _Pass(keep, len(page.found), page.after)


async def _disputes(lane: StripeLane, reader: HistoryReader, since: datetime, after: str | None) -> _Pass:
    page = await reader.disputes_page(since, after)
    mine = [fetched for fetched in page.found if fetched.is_live == lane.wiring.settings.is_live]
    ends = [(fetched, await closing_of(lane, reader, fetched)) for fetched in mine]

    async def keep(session: AsyncSession, now: datetime) -> None:
        for fetched, closed_at in ends:
            dispute = await store_dispute(session, **_owner(lane), fetched=fetched, closed_at=closed_at, now=now)
            await ask_for_payment(lane, session, dispute, now)

    return _Pass(keep, len(ends), page.after)


async def _payouts(lane: StripeLane, reader: HistoryReader, since: datetime, after: str | None) -> _Pass:
    page = await reader.payouts_page(since, after)
    mine = [fetched for fetched in page.found if fetched.is_live == lane.wiring.settings.is_live]
    read = [(fetched, await lines_of(lane, reader, fetched)) for fetched in mine]

    async def keep(session: AsyncSession, now: datetime) -> None:
        for fetched, lines in read:
            await keep_payout(lane, session, fetched, lines, now=now)

    return _Pass(keep, len(read), page.after)


def _ledger(lane: StripeLane, page: HistoryPage[FetchedTransaction]) -> _Pass:
    async def keep(session: AsyncSession, now: datetime) -> None:
        await take_transactions(lane, session, page.found, now=now)

    return _Pass(keep, len(page.found), page.after)


async def _finish(lane: StripeLane, item: SyncItem, reader: HistoryReader, run: HistoryRun) -> None:
    """Say what Stripe held at the first moment: what it holds now, less everything that has moved since.

    Both are read at different moments, so the ledger is read before the balance and after it, until nothing moved.
    """
    if await _is_fetching(lane):
        await settle(lane, item, due_at=lane.runtime.now() + SOON)
        return
    since = int((run.created_at - LATE).timestamp())
    for _ in range(TRIES_FOR_A_STILL_BALANCE):
        await _take(lane, (await reader.balance_transactions(since, None, pages=50))[0])
        read_at, balance = lane.runtime.now(), await reader.balance()
        moved = await _take(lane, (await reader.balance_transactions(since, None, pages=50))[0])
        if not moved:
            await lane.record(_closing(lane, item, run, balance, read_at))
            return
    await settle(lane, item, due_at=lane.runtime.now() + timedelta(minutes=1))


async def _is_fetching(lane: StripeLane) -> bool:
    """Say whether something that this run asked for is still to be fetched; what fails is not waited for."""
    async with lane.db.tenant(lane.claim.tenant_id) as session:
        due = select(SyncItem.id).where(
            SyncItem.connection_id == lane.claim.connection_id,
            SyncItem.kind.in_(_FETCHES),
            SyncItem.due_at <= await lane.db.now(session),
        )
        return (await session.execute(due.limit(1))).first() is not None


async def _take(lane: StripeLane, rows: Sequence[FetchedTransaction]) -> set[str]:
    async def work(session: AsyncSession, now: datetime) -> set[str]:
        await lane.lock_connection(session)
        return await take_transactions(lane, session, rows, now=now)

    return await lane.record(work)


def _closing(
    lane: StripeLane, item: SyncItem, run: HistoryRun, balance: Sequence[FetchedBalance], read_at: datetime
) -> Keep:
    async def work(session: AsyncSession, now: datetime) -> None:
        await lane.lock_connection(session)
        await store_balance(session, **_owner(lane), balance=balance, read_at=read_at)
        moved = await _moved_since(session, lane.claim.connection_id, run.starts_at)
        held = {part.currency: part.total_minor for part in balance}
        for currency in sorted({*held, *moved}):
            amount = held.get(currency, 0) - moved.get(currency, 0)
            await _store_opening(session, lane, run.starts_at, currency, amount, read_at)
        row = await session.get_one(HistoryRun, run.id, with_for_update=True, populate_existing=True)
        if row.state is HistoryState.READING:
            row.state, row.cursors, row.changed_at = HistoryState.READ, {"part": None, "after": None}, now
            await history_was_read(session, row, now=now)
        await touch(session, lane.claim.tenant_id)
        await done(lane, session, item, due_at=None, now=now)

    return work


async def _moved_since(session: AsyncSession, connection_id: UUID, since: datetime) -> dict[str, int]:
    sums = (
        select(BalanceTransaction.currency, func.sum(BalanceTransaction.net_minor))
        .where(BalanceTransaction.connection_id == connection_id, BalanceTransaction.created_at >= since)
        .group_by(BalanceTransaction.currency)
    )
    return {currency: int(total) for currency, total in (await session.execute(sums)).all()}


async def _store_opening(
    session: AsyncSession, lane: StripeLane, starts_at: datetime, currency: str, amount: int, read_at: datetime
) -> None:
    row: dict[str, Any] = {
        "id": uuid4(),
        **_owner(lane),
        "currency": currency,
        "starts_at": starts_at,
        "amount_minor": amount,
        "read_at": read_at,
    }
    key = ("tenant_id", "connection_id", "currency", "starts_at")
    await upsert(session, OpeningBalance, row, key=key, update=("amount_minor", "read_at"))


def _owner(lane: StripeLane) -> dict[str, Any]:
    return {"tenant_id": lane.claim.tenant_id, "connection_id": lane.claim.connection_id}
