"""Where a tenant stands as a whole: its clock, its books, and whether they are paused. One query, for every page."""

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import Select, and_, bindparam, func, literal, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from core.accounting import registry
from core.db.models import Connection, ConnectionStatus, Lane, Payment, PaymentState, Tenant
from core.errors import NotFoundError
from core.mapping.rules import count_unmapped
from core.reasons import WORDING, Action, Reason
from core.reports.reconciliation_changes import untied_payouts

BOOKS_UNKNOWN = "your books"

RETRYABLE = frozenset(
    reason
    for reason, wording in WORDING.items()
    if wording.action in (Action.RETRY, Action.SEE_LINES)
    and reason not in (Reason.IGNORED_BY_PERSON, Reason.LOOKS_LIKE_DUPLICATE)
)
"""Reasons of stopped payments that "Retry all" tries again; the same as in :func:`core.sync.acts.retry_all`."""


@dataclass(frozen=True, slots=True)
class Books:
    """The set of books in use. ``paused_until`` is set while the provider asked us to wait or does not answer."""

    connection: Connection
    display_name: str
    needs_reconnect: bool
    paused_until: datetime | None
    pause_reason: Reason | None


@dataclass(frozen=True, slots=True)
class Attention:
    """Payments of any date that need a person; ``oldest`` is when the earliest of them was paid."""

    count: int
    retryable: int
    oldest: datetime | None


@dataclass(frozen=True, slots=True)
class Standing:
    """What a page must know of the tenant before it reads anything else.

    ``live_seq`` is read first, so whatever changes later than it is announced to the page. ``untied``: how many payouts
    do not tie.
    """

    tenant_id: UUID
    live_seq: int
    zone: ZoneInfo
    posting_starts_at: datetime | None
    attention: Attention
    unmapped: int
    books: Books | None
    stripe: Connection | None
    untied: int = 0

    @property
    def broken(self) -> int:
        """How many connections need a person to sign in again."""
        is_stripe_broken = self.stripe is not None and self.stripe.status is ConnectionStatus.NEEDS_RECONNECT
        return int(is_stripe_broken) + int(self.books is not None and self.books.needs_reconnect)

    @property
    def books_name(self) -> str:
        """Name of the books for people."""
        return self.books.display_name if self.books else BOOKS_UNKNOWN

    @property
    def main_currency(self) -> str:
        """The currency whose totals come first: that of the books, else of the Stripe account."""
        if self.books:
            return self.books.connection.currency.lower()
        return self.stripe.currency if self.stripe else "usd"


async def read_standing(session: AsyncSession, tenant_id: UUID, *, now: datetime) -> Standing:
    """Read where ``tenant_id`` stands; ``session`` belongs to that tenant.

    Raises:
        NotFoundError: the tenant is gone.
    """
    rows = (await session.execute(_statement(), {"id_of_tenant": tenant_id})).all()
    if not rows:
        raise NotFoundError("no such workspace")
    tenant, _, _, count, retryable, oldest, _, untied = rows[0]
    connected = [(row[1], row[2], row[6]) for row in rows if row[1] is not None]
    books = next((found for found in reversed(connected) if found[0].kind != "stripe"), None)
    return Standing(
        tenant_id=tenant.id,
        live_seq=tenant.live_seq,
        zone=ZoneInfo(tenant.time_zone),
        posting_starts_at=tenant.posting_starts_at,
        attention=Attention(count, retryable, oldest),
        unmapped=books[2] if books else 0,
        untied=untied,
        books=_books(books[0], books[1], now) if books else None,
        stripe=next((found for found, *_ in reversed(connected) if found.kind == "stripe"), None),
    )


@cache
def _statement() -> Select[Any]:
    """Return the query. Built once: its aliases copy every column of their tables, which was a third of each page."""
    connection, lane = aliased(Connection), aliased(Lane)
    # Written into the statement, not bound: only so is the index over stopped payments known to be enough.
    needs_attention = Payment.state == literal(PaymentState.NEEDS_ATTENTION.value, literal_execute=True)
    stopped = select(func.count()).where(needs_attention)
    return (
        select(
            Tenant,
            connection,
            lane,
            stopped.scalar_subquery(),
            stopped.where(Payment.reason.in_(RETRYABLE)).scalar_subquery(),
            select(func.min(Payment.paid_at)).where(Payment.state == PaymentState.NEEDS_ATTENTION).scalar_subquery(),
            count_unmapped(connection.id),
            untied_payouts().scalar_subquery(),
        )
        .outerjoin(connection, and_(connection.tenant_id == Tenant.id, connection.status != ConnectionStatus.CLOSED))
        .outerjoin(lane, lane.connection_id == connection.id)
        .where(Tenant.id == bindparam("id_of_tenant"))
        .order_by(connection.created_at)
    )


def _books(connection: Connection, lane: Lane | None, now: datetime) -> Books:
    is_paused = lane is not None and lane.hold_until is not None and lane.hold_until > now
    return Books(
        connection=connection,
        display_name=registry.get(connection.kind).display_name,
        needs_reconnect=connection.status is ConnectionStatus.NEEDS_RECONNECT,
        paused_until=lane.hold_until if lane is not None and is_paused else None,
        pause_reason=_reason(lane.hold_reason) if lane is not None and is_paused else None,
    )


def _reason(stored: str | None) -> Reason | None:
    return Reason(stored) if stored in set(Reason) else None
