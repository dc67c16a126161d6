"""Sales that somebody may have entered by hand before: same client, same day, same amount, and not made by us.

Asked once, before a history is posted; a live payment is never held up by it. Nothing is decided here: what looks alike
is shown, and waits for a person.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec
from sqlalchemy import and_, exists, func, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from core.accounting import registry
from core.accounting.port import FoundSale
from core.books.ledger_lines import GROUPS
from core.db.models import (
    BalanceTransaction,
    Connection,
    Customer,
    ItemKind,
    ItemState,
    Payment,
    PaymentState,
    SyncItem,
)
from core.db.upsert import insert_missing
from core.reasons import Reason
from core.sync.items import is_begun, mirror

_PAGE = 500
_OURS = re.compile(r"\bTO-[0-9A-HJKMNP-TV-Z]{12}\b")
"""What every sale of ours carries; see :func:`core.books.keys.reference_for`."""

_NOT_A_LETTER = re.compile(r"[\W_]+")


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A payment that may be in the books already. ``document`` and ``number`` name what stands there."""

    payment_id: UUID
    source_id: str
    document: str
    number: str

    @property
    def stored(self) -> dict[str, Any]:
        """The pair as JSON data."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        return found

    @classmethod
    def thawed(cls, stored: Mapping[str, Any]) -> "Duplicate":
        """Return the pair that was :attr:`stored`."""
        return msgspec.convert(stored, cls)


def months(first: date, last: date) -> Iterator[tuple[date, date]]:
    """Yield the calendar months from ``first`` to ``last``, cut at both ends: what a provider is asked at a time."""
    while first <= last:
        following = (first.replace(day=1) + timedelta(days=32)).replace(day=1)
        yield first, min(following - timedelta(days=1), last)
        first = following


async def find_duplicates(
    session: AsyncSession,
    found: Iterable[FoundSale],
    days: tuple[date, date],
    *,
    starts_at: datetime,
) -> list[Duplicate]:
    """Compare sales that stand in the books with the payments of the same days that are not posted yet.

    Args:
        session: of the tenant.
        found: every sale of these days there.
        days: the first and the last of them.
        starts_at: the first moment from which payments are posted.

    Returns:
        At most one payment for each sale that was found.
    """
    by_key: defaultdict[tuple[str, date, int, str], list[FoundSale]] = defaultdict(list)
    for sale in found:
        if not is_ours(sale):
            by_key[plain(sale.customer_name), sale.date, sale.total_minor, sale.currency.lower()].append(sale)
    pairs: list[Duplicate] = []
    if not by_key:
        return pairs
    async for payment, name, day in _payments(session, days, starts_at):
        for amount, currency in _amounts(payment):
            alike = by_key.get((plain(name), day, amount, currency))
            if alike:
                pairs.append(_pair(payment, alike.pop(0)))
                break
    return pairs


def is_ours(sale: FoundSale) -> bool:
    """Whether a sale carries a reference of ours: it was made by Tieout, through this connection or an earlier one."""
    return _OURS.search(f"{sale.number or ''} {sale.note}") is not None


def plain(name: str) -> str:
    """Return a name without case, accents, punctuation and spacing, for comparing."""
    letters = unicodedata.normalize("NFKD", name.casefold())
    return _NOT_A_LETTER.sub(" ", "".join(one for one in letters if not unicodedata.combining(one))).strip()


def _amounts(payment: Payment) -> Iterator[tuple[int, str]]:
    """Yield what the sale may stand with: what Stripe settled, and what the client paid."""
    if payment.settled_minor is not None and payment.settled_currency is not None:
        yield payment.settled_minor, payment.settled_currency.lower()
    yield payment.amount_minor, payment.currency.lower()


def _pair(payment: Payment, sale: FoundSale) -> Duplicate:
    number = sale.number or ""
    return Duplicate(payment.id, payment.source_id, f"{GROUPS[sale.kind]} {number}".strip(), number)


async def _payments(
    session: AsyncSession, days: tuple[date, date], starts_at: datetime
) -> AsyncIterator[tuple[Payment, str, date]]:
    """Yield the payments of some days that are in scope and not posted, with client and day, oldest first."""
    day = func.coalesce(BalanceTransaction.book_date, Payment.book_date)
    moved_at = func.coalesce(BalanceTransaction.created_at, Payment.paid_at)
    posted = exists().where(
        SyncItem.payment_id == Payment.id,
        SyncItem.kind == ItemKind.SALE,
        or_(SyncItem.state == ItemState.DONE, is_begun()),
    )
    left_out = and_(Payment.state == PaymentState.IGNORED, Payment.reason == Reason.IGNORED_BY_PERSON)
    key = tuple_(Payment.paid_at, Payment.id)
    after: tuple[datetime, UUID] | None = None
    while True:
        statement = (
            select(Payment, Customer.name, day)
            .join(Customer, Customer.id == Payment.customer_id)
            .outerjoin(BalanceTransaction, BalanceTransaction.stripe_id == Payment.stripe_balance_transaction_id)
            .where(day.between(*days), moved_at >= starts_at, ~posted, ~left_out)
            .order_by(*key)
            .limit(_PAGE)
        )
        if after is not None:
            statement = statement.where(key > after)
        rows = (await session.execute(statement)).all()
        for payment, name, booked in rows:
            yield payment, name, booked
        if len(rows) < _PAGE:
            return
        after = (rows[-1][0].paid_at, rows[-1][0].id)


async def hold_back(session: AsyncSession, connection: Connection, pairs: Sequence[Duplicate], *, now: datetime) -> int:
    """Let the sales of these payments wait for a person instead of being offered; return how many there are.

    A person's retry posts one all the same, leaving it out keeps it away. What stands by now is left alone.
    """
    count = 0
    for start in range(0, len(pairs), _PAGE):
        count += await _hold_some(session, connection, pairs[start : start + _PAGE], now=now)
    return count


async def _hold_some(
    session: AsyncSession, connection: Connection, pairs: Sequence[Duplicate], *, now: datetime
) -> int:
    by_payment = {pair.payment_id: pair for pair in pairs}
    # Payments before items, as everywhere.
    found = select(Payment).where(Payment.id.in_(by_payment)).order_by(Payment.id).with_for_update(key_share=True)
    payments = {row.id: row for row in (await session.execute(found)).scalars()}
    await insert_missing(session, SyncItem, [_row(connection, payments[one], now) for one in payments])
    items = (
        select(SyncItem)
        .where(
            SyncItem.connection_id == connection.id,
            SyncItem.kind == ItemKind.SALE,
            SyncItem.payment_id.in_(payments),
            SyncItem.state != ItemState.DONE,
            ~is_begun(),
        )
        .order_by(SyncItem.id)
        .with_for_update()
    )
    held = (await session.execute(items)).scalars().all()
    books = registry.get(connection.kind).display_name
    for item in held:
        pair = by_payment[item.payment_id] if item.payment_id else None
        if pair is None or item.state is ItemState.IGNORED:
            continue
        item.state, item.due_at, item.reason = ItemState.NEEDS_ATTENTION, None, Reason.LOOKS_LIKE_DUPLICATE
        item.reason_detail = {"books": books, "document": pair.document, "number": pair.number}
        item.changed_at = now
        mirror(payments[pair.payment_id], PaymentState.NEEDS_ATTENTION, item)
    return len(held)


def _row(connection: Connection, payment: Payment, now: datetime) -> dict[str, object]:
    return {
        "id": uuid4(), "tenant_id": connection.tenant_id, "connection_id": connection.id, "kind": ItemKind.SALE,
        "source_id": payment.source_id, "payment_id": payment.id, "state": ItemState.NEEDS_ATTENTION, "wanted": 1,
        "done": 0, "plan_version": 0, "tries": 0, "due_at": None, "reason": Reason.LOOKS_LIKE_DUPLICATE,
        "reason_detail": {}, "created_at": now, "changed_at": now,
    }  # fmt: skip
