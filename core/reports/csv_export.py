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
from datetime import datetime
from functools import cache
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import JSON, ColumnElement, Row, Select, String, case, func, select, tuple_, type_coerce

from core.books.documents import DocumentKind
from core.db.models import (
    BalanceTransaction,
    BooksDocument,
    Customer,
    DocumentState,
    ItemKind,
    Payment,
    PaymentLine,
    PaymentState,
    Service,
    SyncItem,
)
from core.db.session import Database
from core.money import exponent
from core.reasons import Reason
from core.reports import words
from core.reports.payments import client_name
from core.reports.query import OPEN_STATES, PaymentQuery
from core.reports.standing import Standing
from core.reports.statements import conditions, label
from core.reports.sums import Sums

_Place = Row[datetime, UUID]

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
# The same question about many fields at once, with a mark between them.
_MARK = "\x1f"
_ANY_SUSPICIOUS = re.compile(f"(?:^|{_MARK}){_START}|[\x00\r\n]")
_exponent = cache(exponent)
_SILENT = (PaymentState.SYNCED, PaymentState.UNDONE)


class _Paid(NamedTuple):
    """One payment with one of its lines: columns, since whole rows of the ORM would take most of the time."""

    day: Any
    state: PaymentState
    reason: Reason | None
    reason_detail: dict[str, Any] | None
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
    invoice: str | None
    service: str | None
    tax_minor: int | None
    has_tax: bool | None


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
    after: _Place | None = None
    while True:
        until, found = await _read(db, standing.tenant_id, where, after, chunk)
        if found:
            records = [
                record
                for _, rows in groupby(found, key=attrgetter("source_id"))
                for record in _records(list(rows), standing, sums)
            ]
            yield lines(records).encode()
        if until is None:
            break
        after = until
    yield lines(_total_records(sums, standing.main_currency)).encode()


async def _read(
    db: Database, tenant_id: UUID, where: Sequence[ColumnElement[bool]], after: _Place | None, chunk: int
) -> tuple[_Place | None, list[_Paid]]:
    """Return the next payments after a place, and the place of the last of them; None if these are the last ones."""
    key = tuple_(Payment.paid_at, Payment.id)
    part = list(where) if after is None else [*where, key < tuple_(*after)]
    newest_first = (Payment.paid_at.desc(), Payment.id.desc())
    last = select(Payment.paid_at, Payment.id).where(*part).order_by(*newest_first).offset(chunk - 1).limit(1)
    async with db.tenant(tenant_id) as session:
        until = (await session.execute(last)).one_or_none()
        if until is not None:
            part.append(key >= tuple_(*until))
        statement = _columns().where(*part).order_by(*newest_first, PaymentLine.position)
        return until, [_Paid(*row) for row in await session.execute(statement)]


@cache
def _columns() -> Select[*tuple[Any, ...]]:
    invoice = (
        select(func.coalesce(func.nullif(BooksDocument.external_number, ""), BooksDocument.external_id))
        .join(SyncItem, SyncItem.id == BooksDocument.item_id)
        .where(
            SyncItem.payment_id == Payment.id,
            SyncItem.kind == ItemKind.SALE,
            BooksDocument.kind == DocumentKind.INVOICE,
            BooksDocument.state == DocumentState.POSTED,
            BooksDocument.external_id.is_not(None),
        )
        .order_by(BooksDocument.created_at.desc())
        .limit(1)
        .correlate(Payment)
        .scalar_subquery()
    )
    # Read only where it is said: decoding it was a tenth of the time.
    detail = type_coerce(case((Payment.state.in_(_SILENT), None), else_=Payment.reason_detail), JSON())
    return (
        select(
            # As the driver has it: written out, a day is the same text from both databases.
            type_coerce(Payment.book_date, String()),
            Payment.state,
            Payment.reason,
            detail,
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
            invoice,
            Service.name,
            PaymentLine.tax_minor,
            PaymentLine.has_tax,
        )
        .join(Customer, Customer.id == Payment.customer_id)
        .outerjoin(PaymentLine, PaymentLine.payment_id == Payment.id)
        .outerjoin(Service, Service.id == PaymentLine.service_id)
        .outerjoin(BalanceTransaction, BalanceTransaction.stripe_id == Payment.stripe_balance_transaction_id)
    )


def _records(parts: list[_Paid], standing: Standing, sums: Sums) -> list[tuple[str, ...]]:
    """Return the line of one payment, and the line of what was refunded of it."""
    paid = parts[0]
    currency, settled_in = paid.currency, paid.settled_currency or paid.currency
    gross = paid.amount_minor if paid.settled_minor is None else paid.settled_minor
    fee = paid.fee_minor or 0
    sums.add_amounts(settled_in, gross, fee, currency, paid.refunded_minor)
    client, service = client_name(paid.client, paid.email), _service(parts)
    knows_tax = any(part.has_tax for part in parts)
    lead: tuple[str, ...] = (client, paid.email or "", service or paid.description[:120])
    tail: tuple[str, ...] = (
        paid.payout_id or "",
        "",
        STATE_WORDS[paid.state],
        "" if paid.state in _SILENT else _why(paid, standing, client, service),
        paid.invoice or "",
        paid.charge_id or "",
        paid.source_id if paid.source_id != paid.charge_id else "",
    )
    if _ANY_SUSPICIOUS.search(_MARK.join((*lead, *tail))):
        lead, tail = tuple(map(safe, lead)), tuple(map(safe, tail))
    day = str(paid.day)
    records: list[tuple[str, ...]] = [
        (
            day,
            "charge",
            *lead,
            plain(paid.amount_minor, currency),
            currency.upper(),
            plain(gross, settled_in),
            plain(sum(part.tax_minor or 0 for part in parts), currency) if knows_tax else "",
            plain(fee, settled_in) if paid.fee_minor is not None else "",
            "",
            plain(gross - fee, settled_in),
            settled_in.upper(),
            *tail,
        )
    ]
    if paid.refunded_minor:
        amounts = (plain(paid.refunded_minor, currency), plain(-paid.refunded_minor, currency))
        records.append((day, "refund", *lead, "", "", "", "", "", *amounts, currency.upper(), *tail))
    return records


def _service(parts: list[_Paid]) -> str:
    if len(parts) == 1:
        return parts[0].service or ""
    return label(list(dict.fromkeys(part.service for part in parts if part.service is not None)))


def _why(paid: _Paid, standing: Standing, client: str, service: str) -> str:
    why = words.explain(
        standing,
        state=paid.state,
        reason=paid.reason,
        detail=paid.reason_detail or {},
        next_try_at=paid.next_try_at,
        client=client,
        service=service,
    )
    return why.wording.short if why else ""


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
    if digits == 2 and minor >= 0:
        return f"{minor // 100}.{minor % 100:02d}"
    if not digits:
        return str(minor)
    whole, rest = divmod(abs(minor), 10**digits)
    return f"{'-' if minor < 0 else ''}{whole}.{rest:0{digits}d}"


def lines(records: Sequence[Sequence[str]]) -> str:
    """Return records as lines of a file: every field quoted, each line ended as spreadsheets expect."""
    buffer = io.StringIO()
    csv.writer(buffer, quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerows(records)
    return buffer.getvalue()
