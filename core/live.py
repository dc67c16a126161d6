"""The number that grows whenever something changes that a tenant's pages show."""

from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from core.db.models import Tenant
from core.db.session import announce
from core.signals import LIVE


async def touch(session: AsyncSession, tenant_id: UUID) -> int:
    """Say that what ``tenant_id`` sees has changed; open pages hear of it after the commit. Return the new number."""
    changed = (
        update(Tenant)
        .where(Tenant.id == tenant_id)
        .values(live_seq=Tenant.live_seq + 1)
        .returning(Tenant.live_seq)
        .execution_options(synchronize_session=False)
    )
    number = (await session.execute(changed)).scalar_one()
    announce(session, LIVE, str(tenant_id))
    return number


async def current_seq(session: AsyncSession, tenant_id: UUID) -> int:
    """Return the tenant's present number."""
    return (await session.execute(select(Tenant.live_seq).where(Tenant.id == tenant_id))).scalar_one()
