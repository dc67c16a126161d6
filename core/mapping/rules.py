"""Reading the decisions in force: the newest version for each service of one set of books."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import and_, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from core.books.mapping import MappingChoice, MappingRules
from core.db.models import MappingVersion, Service, User

DEFAULT_KEY = "*"
"""Key of the service that stands for "anything else"."""

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
