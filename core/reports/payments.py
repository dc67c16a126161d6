"""The payments table: one page of rows, its sums, its counts and what stands in the way. Four queries or five.

Rows are paged by keyset over (paid_at, id), so a page costs the same at the end of a long history and new rows do not
move it. Sums and counts come from core/reports/portions.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from core.db.models import Customer, Payment, PaymentState, Service
from core.reasons import Reason
from core.reports import words
from core.reports.narrowing import BOUNDS, Bounds, narrow
from core.reports.portions import Period, read_period
from core.reports.query import Cursor, PaymentQuery
from core.reports.standing import Standing
from core.reports.statements import (
    NOTHING_SOLD,
    PostedInvoice,
    Sold,
    read_posted_invoices,
    read_sold,
)
from core.reports.sums import Column, Portion, Sums, Totals, columns_of

PAGE_SIZE = 25

_Found = Row[Payment, str, str | None]


@dataclass(frozen=True, slots=True)
class TableRow:
    """One payment as the table shows it. Amounts are settled ones where Stripe has settled, else the client's."""

    id: UUID
    client: str
    service: str
    service_id: UUID | None
    paid_at: datetime
    state: PaymentState
    currency: str
    amount_minor: int
    fee_minor: int | None
    net_minor: int | None
    client_amount_minor: int | None
    client_currency: str | None
    why: words.Why | None
    invoice: PostedInvoice | None


@dataclass(frozen=True, slots=True)
class CurrencySummary:
    """Totals of one settlement currency, and the days or months that they came from."""

    totals: Totals
    columns: list[Column]


@dataclass(frozen=True, slots=True)
class PaymentsTable:
    """Everything on the page. ``counts`` follow the dates, the service and the words, but not the chosen state.

    ``counts`` is None and ``summaries`` is empty where too many payments come into question to add up what was found.
    """

    rows: list[TableRow]
    counts: dict[PaymentState, int] | None
    summaries: list[CurrencySummary]
    first_day: date
    last_day: date
    newer: Cursor | None
    older: Cursor | None
    is_first_page: bool


async def payments_table(
    session: AsyncSession,
    query: PaymentQuery,
    *,
    standing: Standing,
    today: date,
    page_size: int = PAGE_SIZE,
    bounds: Bounds = BOUNDS,
) -> PaymentsTable:
    """Read one page of payments.

    Args:
        session: of the tenant.
        query: what to show.
        standing: read before, in the same session.
        today: the tenant's present day; ends the chart of a period without an end.
        page_size: rows on a page, n >= 1.
        bounds: how many payments a search may count one by one.
    """
    found = await narrow(session, query, standing, bounds=bounds)
    period = await read_period(session, query, found, zone=standing.zone, today=today)
    rows, has_newer, has_older = await _page(session, query, found.where, page_size)
    ids = [row.Payment.id for row in rows]
    sold = await read_sold(session, ids) if ids else {}
    synced = [row.Payment.id for row in rows if row.Payment.state is PaymentState.SYNCED]
    invoices = await read_posted_invoices(session, synced) if synced else {}
    return PaymentsTable(
        rows=[_row(row, standing, sold, invoices) for row in rows],
        counts=_counts(period.portions) if found.is_counted else None,
        summaries=_summaries(period, standing.main_currency),
        first_day=period.first,
        last_day=period.last,
        newer=_cursor(rows[0].Payment) if rows and has_newer else None,
        older=_cursor(rows[-1].Payment) if rows and has_older else None,
        is_first_page=not has_newer,
    )


async def find_service_name(session: AsyncSession, service_id: UUID) -> str:
    """Return the name of the service that the table is narrowed to; "" if there is none of this tenant."""
    return (await session.execute(select(Service.name).where(Service.id == service_id))).scalar_one_or_none() or ""


async def _page(
    session: AsyncSession, query: PaymentQuery, shared: Sequence[ColumnElement[bool]], size: int
) -> tuple[list[_Found], bool, bool]:
    """Return the rows of the page, whether there are newer ones, and whether there are older ones."""
    where = [*shared, Payment.state == query.states[0]] if len(query.states) == 1 else list(shared)
    if query.after is not None:
        rows = await _read(session, [*where, _key() > _key_of(query.after)], size, newest_first=False)
        if len(rows) > size:
            return rows[size - 1 :: -1], True, True
        # Nothing newer is left out: that is the first page, filled to its usual length.
    elif query.before is not None:
        rows = await _read(session, [*where, _key() < _key_of(query.before)], size, newest_first=True)
        if rows:
            return rows[:size], True, len(rows) > size
    rows = await _read(session, where, size, newest_first=True)
    return rows[:size], False, len(rows) > size


async def _read(
    session: AsyncSession, where: Sequence[ColumnElement[bool]], size: int, *, newest_first: bool
) -> list[_Found]:
    order = (Payment.paid_at, Payment.id)
    statement = (
        select(Payment, Customer.name, Customer.email)
        .join(Customer, Customer.id == Payment.customer_id)
        .where(*where)
        .order_by(*(column.desc() if newest_first else column.asc() for column in order))
        .limit(size + 1)
    )
    return list((await session.execute(statement)).all())


def _key() -> Any:
    return tuple_(Payment.paid_at, Payment.id)


def _key_of(cursor: Cursor) -> Any:
    return tuple_(cursor.paid_at, cursor.payment_id)


def _cursor(payment: Payment) -> Cursor:
    return Cursor(payment.paid_at, payment.id)


def _row(row: _Found, standing: Standing, sold: dict[UUID, Sold], invoices: dict[UUID, PostedInvoice]) -> TableRow:
    payment: Payment = row.Payment
    client, what = client_name(row.name, row.email), sold.get(payment.id, NOTHING_SOLD)
    is_settled = payment.settled_minor is not None and payment.settled_currency is not None
    is_foreign = is_settled and payment.settled_currency != payment.currency
    return TableRow(
        id=payment.id,
        client=client,
        service=what.label or payment.description[:120],
        service_id=_service_at_fault(payment) or what.service_id,
        paid_at=payment.paid_at,
        state=payment.state,
        currency=payment.settled_currency if is_settled and payment.settled_currency else payment.currency,
        amount_minor=payment.settled_minor
        if is_settled and payment.settled_minor is not None
        else payment.amount_minor,
        fee_minor=payment.fee_minor,
        net_minor=payment.net_minor,
        client_amount_minor=payment.amount_minor if is_foreign else None,
        client_currency=payment.currency if is_foreign else None,
        why=words.explain(
            standing,
            state=payment.state,
            reason=payment.reason,
            detail=payment.reason_detail,
            next_try_at=payment.next_try_at,
            client=client,
            service=what.label,
        ),
        invoice=invoices.get(payment.id),
    )


def client_name(name: str, email: str | None) -> str:
    """Return what to call a client of whom Stripe may know little."""
    return name.strip() or (email or "").strip() or "Unnamed client"


def _service_at_fault(payment: Payment) -> UUID | None:
    """Return the service that an account is missing for, where the payment was for several."""
    if payment.reason is not Reason.SERVICE_NOT_MAPPED:
        return None
    try:
        return UUID(str(payment.reason_detail.get("service_id")))
    except ValueError:
        return None


def _counts(portions: Sequence[Portion]) -> dict[PaymentState, int]:
    counts = dict.fromkeys(PaymentState, 0)
    for portion in portions:
        counts[portion.state] += portion.count
    return counts


def _summaries(period: Period, main: str) -> list[CurrencySummary]:
    sums = Sums()
    for portion in period.portions:
        sums.add(portion)
    return [
        CurrencySummary(totals, columns_of(period.portions, totals.currency, period.first, period.last))
        for totals in sums.by_currency(main)
    ]
