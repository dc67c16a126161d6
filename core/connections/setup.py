"""The way from an empty workspace to the first posted payment: what is done, and the day from which we post."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from core.connections.providers import STRIPE
from core.connections.status import changed_one
from core.db.models import (
    AccountRole,
    Connection,
    ConnectionStatus,
    MappingVersion,
    Payment,
    RoleVersion,
    Service,
    Tenant,
)
from core.errors import InputError
from core.mapping.rules import DEFAULT_KEY
from core.sync.planners.offers import offer_everything

FIELD = "first_day"
LONGEST_BACK = timedelta(days=366)
"""Further back lie closed books; Stripe's own event list ends after thirty days."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What is there. ``services`` counts what clients can buy; ``is_mapped``: income and clearing were decided."""

    stripe: str | None
    books: str | None
    books_id: UUID | None
    services: int
    is_mapped: bool
    payments: int
    starts_at: datetime | None

    @property
    def is_ready(self) -> bool:
        """Whether posting can be started."""
        return self.stripe is not None and self.books is not None and self.is_mapped


async def read_setup(session: AsyncSession, tenant_id: UUID) -> Setup:
    """Read how far the session's tenant has come."""
    open_rows = await session.execute(
        select(Connection).where(Connection.status != ConnectionStatus.CLOSED).order_by(Connection.created_at)
    )
    stripe: Connection | None = None
    books: Connection | None = None
    for row in open_rows.scalars():
        if row.kind == STRIPE:
            stripe = row
        else:
            books = row
    services = await session.scalar(
        select(func.count(Service.id)).where(Service.key != DEFAULT_KEY, Service.is_active.is_(True))
    )
    return Setup(
        stripe=stripe.external_name if stripe else None,
        books=books.external_name if books else None,
        books_id=books.id if books else None,
        services=services or 0,
        is_mapped=books is not None and await _is_mapped(session, books.id),
        payments=await session.scalar(select(func.count(Payment.id))) or 0,
        starts_at=await session.scalar(select(Tenant.posting_starts_at).where(Tenant.id == tenant_id)),
    )


async def start_posting(session: AsyncSession, tenant_id: UUID, first_day: date, *, now: datetime) -> bool:
    """Post every payment from ``first_day`` on, by the tenant's own calendar. False: it was started before.

    Raises:
        InputError: the day is not one to start from, or a step before is missing.
    """
    if await session.scalar(select(Tenant.posting_starts_at).where(Tenant.id == tenant_id)) is not None:
        return False
    starts_at = await check_first_day(session, tenant_id, first_day, now=now)
    started = await changed_one(
        session,
        update(Tenant)
        .where(Tenant.id == tenant_id, Tenant.posting_starts_at.is_(None))
        .values(posting_starts_at=starts_at),
    )
    if started:
        # A copy in this session's memory would be from before.
        await session.get_one(Tenant, tenant_id, populate_existing=True)
        await offer_everything(session, tenant_id, now=now)
    return started


async def check_first_day(session: AsyncSession, tenant_id: UUID, first_day: date, *, now: datetime) -> datetime:
    """Return the first moment of a day that posting may start from, by the tenant's own calendar.

    Raises:
        InputError: the day is not one to start from, or a step before is missing.
    """
    setup = await read_setup(session, tenant_id)
    if not setup.is_ready:
        raise InputError("Finish the steps above first.", field=FIELD)
    zone = ZoneInfo(await session.scalar(select(Tenant.time_zone).where(Tenant.id == tenant_id)) or "UTC")
    earliest, latest = choosable_days(now, zone)
    if first_day > latest:
        raise InputError("Choose a day that is not after today.", field=FIELD)
    if first_day < earliest:
        raise InputError("Choose a day within the last year.", field=FIELD)
    return datetime.combine(first_day, time(), zone)


def choosable_days(now: datetime, zone: ZoneInfo) -> tuple[date, date]:
    """Return the first and the last day that posting may start from."""
    today = now.astimezone(zone).date()
    return today - LONGEST_BACK, today


async def _is_mapped(session: AsyncSession, books_id: UUID) -> bool:
    income = select(MappingVersion.id).where(
        MappingVersion.connection_id == books_id, MappingVersion.income_account_id.is_not(None)
    )
    clearing = select(RoleVersion.id).where(
        RoleVersion.connection_id == books_id, RoleVersion.role == AccountRole.CLEARING
    )
    return all([(await session.execute(part.limit(1))).first() is not None for part in (income, clearing)])
