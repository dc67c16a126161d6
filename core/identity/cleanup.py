"""Forget what has run out: sessions, wrong tries, old devices, consents that nobody finished. Meant for every hour."""

from datetime import timedelta

from sqlalchemy import delete

from core.db.models import KnownDevice, OAuthState
from core.db.session import Database
from core.identity.sessions import forget_expired_sessions
from core.identity.throttle import KEPT_FOR, forget_old_tries

_CONSENT_KEPT_FOR = timedelta(hours=1)
_DEVICE_KEPT_FOR = timedelta(days=400)
"""Browsers keep no cookie longer than this."""


async def forget_expired(db: Database) -> None:
    """Delete every row of this package that has no effect any more."""
    now = db.runtime.now()
    async with db.open_session(write=True) as session:
        await forget_expired_sessions(session, now)
        await forget_old_tries(session, before=now - KEPT_FOR)
        await session.execute(delete(KnownDevice).where(KnownDevice.created_at < now - _DEVICE_KEPT_FOR))
        await session.execute(delete(OAuthState).where(OAuthState.created_at < now - _CONSENT_KEPT_FOR))
