"""What a member may do. Checked here, in the service layer, whatever the page has checked before (T10)."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core.db.models import Membership, Role
from core.errors import TieoutError


class NotAllowedError(TieoutError):
    """A member asked for what only owners may do."""

    code = "not_allowed"


async def find_role(session: AsyncSession, *, tenant_id: UUID, user_id: UUID) -> Role | None:
    """Return the user's role in the tenant, or None."""
    found = await session.scalars(
        select(Membership.role).where(Membership.tenant_id == tenant_id, Membership.user_id == user_id)
    )
    return found.one_or_none()


async def require_owner(session: AsyncSession, *, tenant_id: UUID, user_id: UUID) -> None:
    """Go on only for an owner of the tenant.

    Raises:
        NotAllowedError: for members, and for people who are none.
    """
    if await find_role(session, tenant_id=tenant_id, user_id=user_id) is not Role.OWNER:
        raise NotAllowedError("only an owner of the workspace may do this")
