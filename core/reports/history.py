"""How far a history has come: what was read, what a dry run has shown, how much of it is posted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from core.books.ledger_lines import RECEIVABLE, SALES_TAX
from core.db.models import (
    POSTED_KINDS,
    BooksAccount,
    Customer,
    HistoryRun,
    HistoryState,
    ItemState,
    Lane,
    Payment,
    SyncItem,
)
from core.reports.standing import Standing
from core.sync.dry_run_result import DryRun
from core.sync.duplicates import Duplicate
from core.sync.history import Part, Progress, progress
from core.sync.look_ahead import find_dry_run

SHOWN = 25
"""How many possible duplicates are named; all of them wait, and are found among the payments."""


class Stage(StrEnum):
    """Where a person stands with it."""

    READING = "reading"
    STOPPED = "stopped"
    LOOKING = "looking"
    LOOKED = "looked"
    POSTING = "posting"
    POSTING_STOPPED = "posting_stopped"
    POSTED = "posted"


@dataclass(frozen=True, slots=True)
class BalanceLine:
    """One account of the predicted trial balance, debit positive."""

    account: str
    amount_minor: int


@dataclass(frozen=True, slots=True)
class AlikeSale:
    """A payment that may stand in the books already as ``document``."""

    payment_id: UUID
    client: str
    day: date
    amount_minor: int
    currency: str
    document: str


@dataclass(frozen=True, slots=True)
class Posted:
    """Items by where they stand. ``later`` are due at a later time, such as the fees of a day that is not over."""

    done: int = 0
    waiting: int = 0
    later: int = 0
    attention: int = 0
    ignored: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.done + self.waiting + self.later + self.attention + self.ignored


@dataclass(frozen=True, slots=True)
class HistoryReport:
    """Everything that the page of the history shows.

    Attributes:
        read: how far reading has come.
        compared_to: up to which day the books' own sales were compared; None before the first month.
        is_compared: False where the books did not show their sales.
        planned: how many facts the dry run has planned so far.
        result, balance: the dry run and its trial balance, once it is there.
        alike, alike_count: payments that may be in the books already: the first of them, and how many.
        is_waiting: whether looking ahead waits for books that did not answer.
    """

    stage: Stage
    read: Progress
    counts: Mapping[Part, int]
    compared_to: date | None
    is_compared: bool
    planned: int
    result: DryRun | None
    balance: Sequence[BalanceLine]
    alike: Sequence[AlikeSale]
    alike_count: int
    posted: Posted
    is_waiting: bool


async def read_history(session: AsyncSession, standing: Standing, *, now: datetime) -> HistoryReport | None:
    """Read how far the newest history of the session's tenant has come; None where nobody has asked for one."""
    read = await progress(session)
    if read is None:
        return None
    run = await session.get_one(HistoryRun, read.run_id)
    books = standing.books.connection if standing.books else None
    item = await find_dry_run(session, run, books.id) if books else None
    detail: Mapping[str, Any] = item.reason_detail if item else {}
    result = DryRun.thawed(detail["result"]) if "result" in detail else None
    pairs = [Duplicate.thawed(pair) for pair in detail.get("duplicates", [])]
    posted = await _posted(session, books.id, now) if books else Posted()
    is_stopped = books is not None and await _is_stopped(session, books.id)
    return HistoryReport(
        stage=_stage(run, item, result, posted, is_stopped=is_stopped),
        read=read,
        counts={Part(name): count for name, count in read.counts.items()},
        compared_to=date.fromisoformat(detail["compared"]) if "compared" in detail else None,
        is_compared="not_compared" not in detail,
        planned=int(detail.get("planned", 0)),
        result=result,
        balance=await _balance(session, books.id, result) if books and result else (),
        alike=await _alike(session, pairs[:SHOWN]),
        alike_count=len(pairs),
        posted=posted,
        is_waiting=item is not None and item.state is not ItemState.DONE and item.tries > 0,
    )


def _stage(run: HistoryRun, item: SyncItem | None, result: DryRun | None, posted: Posted, *, is_stopped: bool) -> Stage:
    match run.state:
        case HistoryState.READING:
            return Stage.READING
        case HistoryState.STOPPED:
            return Stage.STOPPED
        case HistoryState.READ:
            is_done = item is not None and item.state is ItemState.DONE and result is not None
            return Stage.LOOKED if is_done else Stage.LOOKING
    if is_stopped:
        return Stage.POSTING_STOPPED
    is_offered = item is None or item.state is ItemState.DONE
    return Stage.POSTED if is_offered and not posted.waiting else Stage.POSTING


async def _posted(session: AsyncSession, books_id: UUID, now: datetime) -> Posted:
    is_later = SyncItem.due_at > now
    statement = (
        select(SyncItem.state, is_later, func.count())
        .where(SyncItem.connection_id == books_id, SyncItem.kind.in_(POSTED_KINDS))
        .group_by(SyncItem.state, is_later)
    )
    found: dict[str, int] = {}
    for state, later, count in (await session.execute(statement)).all():
        name = _NAMES.get(state) or ("later" if later and state is ItemState.PENDING else "waiting")
        found[name] = found.get(name, 0) + count
    return Posted(**found)


_NAMES = {ItemState.DONE: "done", ItemState.NEEDS_ATTENTION: "attention", ItemState.IGNORED: "ignored"}


async def _is_stopped(session: AsyncSession, books_id: UUID) -> bool:
    stopped = select(Lane.stopped_at).where(Lane.connection_id == books_id)
    return (await session.execute(stopped)).scalar_one_or_none() is not None


async def _balance(session: AsyncSession, books_id: UUID, result: DryRun) -> list[BalanceLine]:
    rows = (await session.execute(select(BooksAccount).where(BooksAccount.connection_id == books_id))).scalars()
    names = {row.external_id: f"{row.number or ''} {row.name}".strip() for row in rows}
    names |= {RECEIVABLE: RECEIVABLE, SALES_TAX: SALES_TAX}
    lines = [BalanceLine(names.get(account, account), amount) for account, amount in result.totals.items()]
    return sorted(lines, key=lambda line: line.account.casefold())


async def _alike(session: AsyncSession, pairs: Sequence[Duplicate]) -> list[AlikeSale]:
    documents = {pair.payment_id: pair.document for pair in pairs}
    statement = (
        select(Payment, Customer.name)
        .join(Customer, Customer.id == Payment.customer_id)
        .where(Payment.id.in_(documents))
        .order_by(Payment.paid_at, Payment.id)
    )
    return [
        AlikeSale(row.id, name, row.book_date, row.amount_minor, row.currency, documents[row.id])
        for row, name in (await session.execute(statement)).all()
    ]
