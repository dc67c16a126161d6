"""Whether something changed, and whether the asker may still know: one short read for an open event stream."""

from uuid import UUID

from sqlalchemy import select

from core.db.models import Membership, Tenant, UserSession
from core.db.session import Database
from core.identity.sessions import IDLE


async def read_news(db: Database, *, tenant_id: UUID, session_hash: str) -> int | None:
    """Return the tenant's number; None once the session has ended, or its user is no member any more.

    Looking does not count as being there: a page left open must not keep its session alive.
    """
    now = db.runtime.now()
    statement = (
        select(Tenant.live_seq)
        .join(UserSession, UserSession.tenant_id == Tenant.id)
        .join(Membership, (Membership.tenant_id == Tenant.id) & (Membership.user_id == UserSession.user_id))
        .where(
            Tenant.id == tenant_id,
            UserSession.token_hash == session_hash,
            UserSession.expires_at > now,
            UserSession.last_seen_at > now - IDLE,
        )
    )
    # Neither table is a tenant's own; both are asked for by the ids that the session's row gave.
    async with db.open_session() as session:
        return (await session.execute(statement)).scalar_one_or_none()
