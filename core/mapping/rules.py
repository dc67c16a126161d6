"""Reading the decisions in force: the newest version for each service of one set of books."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, ScalarSelect, and_, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute, aliased

from core.books.mapping import MappingChoice, MappingRules
from core.books.roles import AccountRole, BookkeepingSettings
from core.db.models import BookkeepingVersion, MappingVersion, RoleVersion, Service, User

DEFAULT_KEY = "*"
"""Key of the service that stands for "anything else"."""

TIP_KEY = "text:tip"
"""Key of the service that Stripe's own tip field makes."""

_SOMEONE = "someone who has left"


@dataclass(frozen=True, slots=True)
class Decision:
    """The newest version for one service, with its author and moment."""

    service_id: UUID
    choice: MappingChoice
    set_at: datetime
    set_by_id: UUID


async def load_rules(session: AsyncSession, connection_id: UUID) -> MappingRules:
    """Return the mapping in force for one set of books, for :mod:`core.books.posting`. One query."""
    return rules_of(await load_decisions(session, connection_id))


def rules_of(decisions: list[Decision]) -> MappingRules:
    """Return decisions as the pure structure."""
    return MappingRules(
        choices={found.service_id: found.choice for found in decisions if not found.choice.is_default},
        default=next((found.choice for found in decisions if found.choice.is_default), None),
    )


async def load_decisions(session: AsyncSession, connection_id: UUID) -> list[Decision]:
    """Return the newest decision for every service that has one. One query."""
    newest = (
        select(MappingVersion.service_id, func.max(MappingVersion.version).label("version"))
        .where(MappingVersion.connection_id == connection_id)
        .group_by(MappingVersion.service_id)
        .subquery()
    )
    statement = (
        select(MappingVersion, Service.key, User.name, User.email)
        .join(
            newest,
            and_(newest.c.service_id == MappingVersion.service_id, newest.c.version == MappingVersion.version),
        )
        .join(Service, Service.id == MappingVersion.service_id)
        .outerjoin(User, User.id == MappingVersion.created_by)
        .where(MappingVersion.connection_id == connection_id)
    )
    return [
        Decision(
            service_id=version.service_id,
            choice=MappingChoice(
                mapping_id=str(version.id),
                version=version.version,
                set_by=name or email or _SOMEONE,
                income_account_id=version.income_account_id,
                tax_code_id=version.tax_code_id,
                is_default=key == DEFAULT_KEY,
            ),
            set_at=version.created_at,
            set_by_id=version.created_by,
        )
        for version, key, name, email in (await session.execute(statement)).all()
    ]


def count_unmapped(connection_id: ColumnElement[UUID] | InstrumentedAttribute[UUID]) -> ScalarSelect[int]:
    """Return, as part of another statement, the number of services that have no account and inherit none."""
    version, later, owner = aliased(MappingVersion), aliased(MappingVersion), aliased(Service)
    newest = (
        select(func.max(later.version))
        .where(later.connection_id == version.connection_id, later.service_id == version.service_id)
        .correlate(version)
        .scalar_subquery()
    )
    mapped = (
        select(version.service_id)
        .where(
            version.connection_id == connection_id,
            version.income_account_id.is_not(None),
            version.version == newest,
        )
        .correlate_except(version, owner)
    )
    inherits = mapped.join(owner, owner.id == version.service_id).where(owner.key == DEFAULT_KEY).exists()
    return (
        select(func.count())
        .select_from(Service)
        .where(
            Service.key != DEFAULT_KEY,
            Service.is_active.is_(True),
            Service.id.not_in(mapped),
            ~inherits,
            ~and_(Service.key == TIP_KEY, _has_tips(connection_id)),
        )
        .correlate_except(Service)
        .scalar_subquery()
    )


def _has_tips(connection_id: ColumnElement[UUID] | InstrumentedAttribute[UUID]) -> ColumnElement[bool]:
    """Say whether tips have an account of their own: then nothing waits for the mapping of the service "Tip"."""
    role = aliased(RoleVersion)
    return select(role.id).where(role.connection_id == connection_id, role.role == AccountRole.TIPS).exists()


async def current_roles(session: AsyncSession, connection_id: UUID) -> dict[AccountRole, RoleVersion]:
    """Return who plays each role now; a role that nobody decided is missing."""
    statement = select(RoleVersion).where(RoleVersion.connection_id == connection_id).order_by(RoleVersion.version)
    return {row.role: row for row in (await session.execute(statement)).scalars()}


async def current_bookkeeping(session: AsyncSession, connection_id: UUID) -> BookkeepingSettings:
    """Return how sales and fees are booked now."""
    newest = await newest_settings(session, connection_id)
    return settings_of(newest) if newest else BookkeepingSettings()


def settings_of(row: BookkeepingVersion) -> BookkeepingSettings:
    """Return stored settings as the planner takes them."""
    return BookkeepingSettings(
        row.sale_style, row.fee_style, row.lost_dispute_tax, row.fee_tax_code_id, row.foreign_style
    )


async def newest_settings(session: AsyncSession, connection_id: UUID) -> BookkeepingVersion | None:
    """Return the settings of bookkeeping in force as they are stored, None while nobody has touched them."""
    statement = (
        select(BookkeepingVersion)
        .where(BookkeepingVersion.connection_id == connection_id)
        .order_by(BookkeepingVersion.version.desc())
        .limit(1)
    )
    return (await session.execute(statement)).scalar_one_or_none()
