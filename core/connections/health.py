"""How the connections are, for their own page. The foot of every page reads :mod:`core.reports.standing` instead."""

from dataclasses import dataclass
from datetime import datetime, tzinfo
from uuid import UUID

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from core.books.documents import DocumentKind
from core.connections.providers import STRIPE, display_name
from core.db.models import (
    BooksDocument,
    CallCount,
    Connection,
    ConnectionMode,
    ConnectionStatus,
    DocumentState,
    Payment,
    PaymentState,
    StripeEvent,
    User,
)


@dataclass(frozen=True, slots=True)
class Calls:
    """What the books have cost since the first of the month: calls, and how often we were asked to slow down."""

    calls: int = 0
    payments: int = 0
    slow_downs: int = 0

    @property
    def per_hundred(self) -> int | None:
        """Calls for each hundred payments, rounded up; None while nothing was posted."""
        return -(-self.calls * 100 // self.payments) if self.payments else None


@dataclass(frozen=True, slots=True)
class ConnectionReport:
    """One open connection, as its card on the page shows it.

    ``events_today`` counts what Stripe told us since local midnight, ``posted_this_month`` the payments that were
    posted to these books. Each is 0 for the other side.
    """

    id: UUID
    kind: str
    name: str
    company: str
    mode: ConnectionMode
    needs_reconnect: bool
    is_test_mode: bool
    connected_at: datetime
    connected_by: str
    last_checked_at: datetime | None
    broken_at: datetime | None
    consent_ends_at: datetime | None
    last_event_at: datetime | None
    events_today: int
    last_posted_at: datetime | None
    posted_this_month: int
    calls: "Calls"


@dataclass(frozen=True, slots=True)
class ConnectionsReport:
    """Every open connection, Stripe first, and how many payments wait."""

    connections: tuple[ConnectionReport, ...]
    waiting: int

    def find(self, kind: str) -> ConnectionReport | None:
        """Return the open connection of this kind."""
        return next((found for found in self.connections if found.kind == kind), None)

    @property
    def stripe(self) -> ConnectionReport | None:
        """The Stripe account, if any."""
        return self.find(STRIPE)

    @property
    def books(self) -> ConnectionReport | None:
        """The set of books, if any."""
        return next((found for found in self.connections if found.kind != STRIPE), None)


async def read_connections(session: AsyncSession, *, now: datetime, zone: tzinfo) -> ConnectionsReport:
    """Return what the connections page shows of the session's tenant."""
    rows = await session.execute(
        select(Connection, User.name)
        .outerjoin(User, User.id == Connection.created_by)
        .where(Connection.status != ConnectionStatus.CLOSED)
    )
    reports = [await _report(session, row, by or "", now.astimezone(zone)) for row, by in rows.all()]
    waiting = await session.scalar(select(func.count(Payment.id)).where(Payment.state == PaymentState.WAITING))
    return ConnectionsReport(tuple(sorted(reports, key=lambda report: report.kind != STRIPE)), waiting or 0)


async def _report(session: AsyncSession, row: Connection, connected_by: str, local_now: datetime) -> ConnectionReport:
    midnight = local_now.replace(hour=0, minute=0, second=0, microsecond=0)
    is_stripe = row.kind == STRIPE
    last_posted_at, posted = (None, 0) if is_stripe else await _posted(session, row.id, midnight.replace(day=1))
    return ConnectionReport(
        id=row.id,
        kind=row.kind,
        name=display_name(row.kind),
        company=row.external_name,
        mode=row.mode,
        needs_reconnect=row.status is ConnectionStatus.NEEDS_RECONNECT,
        is_test_mode=row.is_test_mode,
        connected_at=row.created_at,
        connected_by=connected_by,
        last_checked_at=row.last_checked_at,
        broken_at=row.broken_at,
        consent_ends_at=row.consent_ends_at,
        last_event_at=row.last_event_at,
        events_today=await _events(session, row, midnight) if is_stripe else 0,
        last_posted_at=last_posted_at,
        posted_this_month=posted,
        calls=Calls() if is_stripe else await _calls(session, row.id, midnight.replace(day=1)),
    )


async def _events(session: AsyncSession, row: Connection, since: datetime) -> int:
    """Events belong to nobody until they are routed, so the tenant is named here."""
    statement = select(func.count(StripeEvent.id)).where(
        or_(StripeEvent.account == row.external_id, StripeEvent.scope == str(row.id)),
        StripeEvent.connection_id == row.id,
        StripeEvent.received_at >= since,
    )
    return (await session.scalar(statement)) or 0


async def _posted(session: AsyncSession, connection_id: UUID, since: datetime) -> tuple[datetime | None, int]:
    stands = (
        BooksDocument.connection_id == connection_id,
        BooksDocument.kind == DocumentKind.PAYMENT,
        BooksDocument.state == DocumentState.POSTED,
    )
    last = await session.scalar(select(func.max(BooksDocument.posted_at)).where(*stands))
    count = await session.scalar(select(func.count(BooksDocument.id)).where(*stands, BooksDocument.posted_at >= since))
    return last, count or 0


async def _calls(session: AsyncSession, connection_id: UUID, since: datetime) -> Calls:
    statement = select(
        func.coalesce(func.sum(CallCount.calls), 0),
        func.coalesce(func.sum(CallCount.payments), 0),
        func.coalesce(func.sum(CallCount.slow_downs), 0),
    ).where(CallCount.connection_id == connection_id, CallCount.day >= since.date())
    # PostgreSQL adds bigints up to a decimal; all of these are whole numbers.
    return Calls(*(int(found) for found in (await session.execute(statement)).one()))
