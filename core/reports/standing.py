"""Where a tenant stands as a whole: its clock, its books, and whether they are paused. One query, for every page."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import and_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from core.accounting import registry
from core.db.models import Connection, ConnectionStatus, Lane, Tenant
from core.errors import NotFoundError
from core.reasons import Reason

BOOKS_UNKNOWN = "your books"


@dataclass(frozen=True, slots=True)
class Books:
    """The set of books in use. ``paused_until`` is set while the provider asked us to wait or does not answer."""

    connection: Connection
    display_name: str
    needs_reconnect: bool
    paused_until: datetime | None
    pause_reason: Reason | None


@dataclass(frozen=True, slots=True)
class Stripe:
    """The Stripe account in use."""

    account_id: str
    is_test_mode: bool
    currency: str


@dataclass(frozen=True, slots=True)
class Standing:
    """What a page must know of the tenant before it reads anything else.

    ``live_seq`` is read first, so whatever changes later than it is announced to the page.
    """

    tenant_id: UUID
    live_seq: int
    zone: ZoneInfo
    posting_starts_at: datetime | None
    books: Books | None
    stripe: Stripe | None

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
    connection, lane = aliased(Connection), aliased(Lane)
    statement = (
        select(Tenant, connection, lane)
        .outerjoin(connection, and_(connection.tenant_id == Tenant.id, connection.status != ConnectionStatus.CLOSED))
        .outerjoin(lane, lane.connection_id == connection.id)
        .where(Tenant.id == tenant_id)
        .order_by(connection.created_at)
    )
    rows = (await session.execute(statement)).all()
    if not rows:
        raise NotFoundError("no such workspace")
    books: Books | None = None
    stripe: Stripe | None = None
    for found, its_lane in [(row[1], row[2]) for row in rows if row[1] is not None]:
        if found.kind == "stripe":
            stripe = Stripe(found.external_id, found.is_test_mode, found.currency)
        else:
            books = _books(found, its_lane, now)
    tenant = rows[0][0]
    return Standing(tenant.id, tenant.live_seq, ZoneInfo(tenant.time_zone), tenant.posting_starts_at, books, stripe)


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
