"""The payments as a file for a spreadsheet: every field quoted, no cell a formula, and totals that equal the screen.

The file is written in chunks, each read in a short session of its own: nothing is held open while a slow reader
downloads (trap 2), and memory does not grow with the number of rows. Rows are visited by keyset, so each payment is
written at most once whatever happens meanwhile.
"""

import csv
import io
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, select, tuple_

from core.db.models import BalanceTransaction, Customer, Payment, PaymentState
from core.db.session import Database
from core.money import exponent
from core.reasons import Reason
from core.reports import words
from core.reports.payments import client_name
from core.reports.query import OPEN_STATES, PaymentQuery
from core.reports.standing import Standing
from core.reports.statements import (
    NOTHING_SOLD,
    PostedInvoice,
    Sold,
    conditions,
    read_posted_invoices,
    read_sold,
)
from core.reports.sums import Portion, Sums

CHUNK = 500
"""Rows read and written at a time; small enough that pages do not wait for an export to take its breath."""
BOM = "\ufeff"

COLUMNS = (
    "date",
    "reporting_category",
    "client",
    "email",
    "service",
    "customer_facing_amount",
    "customer_facing_currency",
    "gross",
    "tax",
    "fee",
    "refunded",
    "net",
    "currency",
    "payout_id",
    "payout_date",
    "state",
    "reason",
    "ledger_document",
    "charge_id",
    "payment_intent_id",
)
"""In the order of the file; named as in Stripe's own reports where those have the thing.

``gross``, ``fee`` and ``net`` are in ``currency``, the settled one; ``tax`` is part of what the client paid. What was
refunded is a line of its own, so that gross - fee - refunded = net holds in every line and in the totals.
"""

STATE_WORDS = {
    PaymentState.WAITING: "Waiting",
    PaymentState.SYNCING: "Syncing",
    PaymentState.SYNCED: "Synced",
    PaymentState.NEEDS_ATTENTION: "Needs attention",
    PaymentState.IGNORED: "Ignored",
    PaymentState.UNDONE: "Undone",
}

# What a spreadsheet may take for the start of a formula, its fullwidth forms included, also behind spaces (I6).
_START = "[\\s\u200b\ufeff]*[=+\\-@\t\r\n\x00\uff1d\uff0b\uff0d\uff20\u2212]"
_FORMULA = re.compile(_START)
_SUSPICIOUS = re.compile(f"^{_START}|[\x00\r\n]")
_exponent = cache(exponent)


class _Paid(NamedTuple):
    """The columns of one payment that the file needs; whole rows of the ORM would take most of the time."""

    id: UUID
    paid_at: datetime
    book_date: date
    state: PaymentState
    reason: Reason | None
    reason_detail: dict[str, Any]
    next_try_at: datetime | None
    amount_minor: int
    currency: str
    settled_minor: int | None
    settled_currency: str | None
    fee_minor: int | None
    refunded_minor: int
    description: str
    source_id: str
    charge_id: str | None
    client: str
    email: str | None
    payout_id: str | None


@dataclass(frozen=True, slots=True)
class Export:
    """One file: what it is called, which payments it lists."""

    file_name: str
    states: tuple[PaymentState, ...]


EXPORTS = {
    "unreconciled": Export("tieout-unreconciled.csv", OPEN_STATES),
    "all": Export("tieout-payments.csv", tuple(PaymentState)),
}
"""The first one is the default."""


async def write_csv(
    db: Database, query: PaymentQuery, export: Export, *, standing: Standing, chunk: int = CHUNK
) -> AsyncIterator[bytes]:
    """Yield the file in pieces.

    Args:
        db: each chunk opens its own session.
        query: dates, service and words narrow the file; the chosen state and page do not.
        export: one of :data:`EXPORTS`.
        standing: of the tenant; says whose payments these are.
        chunk: rows read at a time.
    """
    sums = Sums()
    yield (BOM + lines([COLUMNS])).encode()
    where = [*conditions(query, standing.zone), Payment.state.in_(export.states)]
    after: tuple[datetime, UUID] | None = None
    while True:
        found, sold, invoices = await _read(db, standing.tenant_id, where, after, chunk)
        if found:
            records = [record for paid in found for record in _records(paid, standing, sold, invoices, sums)]
            yield lines(records).encode()
            after = (found[-1].paid_at, found[-1].id)
        if len(found) < chunk:
            break
    yield lines(_total_records(sums, standing.main_currency)).encode()


async def _read(
    db: Database,
    tenant_id: UUID,
    where: Sequence[ColumnElement[bool]],
    after: tuple[datetime, UUID] | None,
    chunk: int,
) -> tuple[list[_Paid], dict[UUID, Sold], dict[UUID, PostedInvoice]]:
    statement = (
        select(
            Payment.id,
            Payment.paid_at,
            Payment.book_date,
            Payment.state,
            Payment.reason,
            Payment.reason_detail,
            Payment.next_try_at,
            Payment.amount_minor,
            Payment.currency,
            Payment.settled_minor,
            Payment.settled_currency,
            Payment.fee_minor,
            Payment.refunded_minor,
            Payment.description,
            Payment.source_id,
            Payment.stripe_charge_id,
            Customer.name,
            Customer.email,
            BalanceTransaction.stripe_payout_id,
        )
        .join(Customer, Customer.id == Payment.customer_id)
        .outerjoin(BalanceTransaction, BalanceTransaction.stripe_id == Payment.stripe_balance_transaction_id)
        .where(*where)
        .order_by(Payment.paid_at.desc(), Payment.id.desc())
        .limit(chunk)
    )
    if after is not None:
        statement = statement.where(tuple_(Payment.paid_at, Payment.id) < tuple_(*after))
    async with db.tenant(tenant_id) as session:
        found = [_Paid(*row) for row in await session.execute(statement)]
        ids = [paid.id for paid in found]
        sold = await read_sold(session, ids) if ids else {}
        invoices = await read_posted_invoices(session, ids) if ids else {}
    return found, sold, invoices


def _records(
    paid: _Paid,
    standing: Standing,
    sold: dict[UUID, Sold],
    invoices: dict[UUID, PostedInvoice],
    sums: Sums,
) -> list[tuple[str, ...]]:
    """Return the line of one payment, and the line of what was refunded of it."""
    portion = _portion(paid)
    sums.add(portion)
    what, invoice = sold.get(paid.id, NOTHING_SOLD), invoices.get(paid.id)
    client = client_name(paid.client, paid.email)
    why = words.explain(
        standing,
        state=paid.state,
        reason=paid.reason,
        detail=paid.reason_detail,
        next_try_at=paid.next_try_at,
        client=client,
        service=what.label,
    )
    lead = (safe(client), safe(paid.email or ""), safe(what.label or paid.description[:120]))
    tail = (
        safe(paid.payout_id or ""),
        "",
        STATE_WORDS[paid.state],
        safe(why.wording.short) if why else "",
        safe(invoice.number or invoice.external_id) if invoice else "",
        safe(paid.charge_id or ""),
        safe(paid.source_id) if paid.source_id != paid.charge_id else "",
    )
    day, settled_in = paid.book_date.isoformat(), portion.settled_currency
    records: list[tuple[str, ...]] = [
        (
            day,
            "charge",
            *lead,
            plain(paid.amount_minor, paid.currency),
            paid.currency.upper(),
            plain(portion.gross_minor, settled_in),
            "" if what.tax_minor is None else plain(what.tax_minor, paid.currency),
            plain(portion.fee_minor, settled_in) if paid.fee_minor is not None else "",
            "",
            plain(portion.gross_minor - portion.fee_minor, settled_in),
            settled_in.upper(),
            *tail,
        )
    ]
    if paid.refunded_minor:
        amounts = (plain(paid.refunded_minor, paid.currency), plain(-paid.refunded_minor, paid.currency))
        records.append((day, "refund", *lead, "", "", "", "", "", *amounts, paid.currency.upper(), *tail))
    return records


def _portion(paid: _Paid) -> Portion:
    return Portion(
        day=paid.book_date,
        state=paid.state,
        currency=paid.currency,
        settled_currency=paid.settled_currency or paid.currency,
        count=1,
        gross_minor=paid.amount_minor if paid.settled_minor is None else paid.settled_minor,
        fee_minor=paid.fee_minor or 0,
        refunded_minor=paid.refunded_minor,
    )


def _total_records(sums: Sums, main: str) -> list[tuple[str, ...]]:
    """Return one line of totals per currency, the main one last, as the last line is what people look at."""
    empty = ("",) * 7
    return [
        (
            "Total",
            *("",) * 6,
            plain(total.gross_minor, total.currency),
            "",
            plain(total.fee_minor, total.currency),
            plain(total.refund_minor, total.currency),
            plain(total.net_minor, total.currency),
            total.currency.upper(),
            *empty,
        )
        for total in reversed(sums.by_currency(main) or [Sums().of(main)])
    ]


def safe(text: str) -> str:
    """Return ``text`` so that no spreadsheet takes it for a formula, and no line break splits its record."""
    if not _SUSPICIOUS.search(text):
        return text
    flat = text.replace("\x00", "").replace("\r", " ").replace("\n", " ")
    return f"'{flat}" if _FORMULA.match(text) else flat


def plain(minor: int, currency: str) -> str:
    """Return an amount as a plain decimal, "-1234.50": no sign of the currency, no grouping, exact."""
    digits = _exponent(currency)
    if not digits:
        return str(minor)
    whole, rest = divmod(abs(minor), 10**digits)
    return f"{'-' if minor < 0 else ''}{whole}.{rest:0{digits}d}"


def lines(records: Sequence[Sequence[str]]) -> str:
    """Return records as lines of a file: every field quoted, each line ended as spreadsheets expect."""
    buffer = io.StringIO()
    csv.writer(buffer, quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerows(records)
    return buffer.getvalue()
