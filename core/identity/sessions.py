"""Signed-in browsers (S1-S4).

A session's token is 32 random bytes; the database holds its hash only. Rows are made at sign-in, narrowly updated and
deleted, and never written back as a whole: a request that is still running when its session is ended cannot revive it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import Runtime
from core.crypto import hash_token, new_token
from core.db.models import Membership, Role, Tenant, User, UserSession
from core.db.session import Database

IDLE = timedelta(hours=12)
ABSOLUTE = timedelta(days=7)
STEP_UP = timedelta(minutes=10)
_SEEN_EVERY = timedelta(minutes=5)
_TOKEN_LENGTH = 64


@dataclass(frozen=True, slots=True)
class Visit:
    """Whose request this is, as the session's row and the membership say (T1)."""

    session_hash: str
    user_id: UUID
    user_name: str
    user_email: str
    tenant_id: UUID
    tenant_name: str
    time_zone: str
    role: Role
    is_set_up: bool
    password_checked_at: datetime

    def knows_password(self, now: datetime) -> bool:
        """Whether the password was given recently enough for a sensitive act (S6)."""
        return now - self.password_checked_at < STEP_UP


async def start_session(session: AsyncSession, *, user_id: UUID, tenant_id: UUID, runtime: Runtime) -> str:
    """Store a new session and return its token, which exists nowhere else."""
    token, now = new_token(runtime), runtime.now()
    session.add(
        UserSession(
            token_hash=hash_token(token),
            user_id=user_id,
            tenant_id=tenant_id,
            created_at=now,
            last_seen_at=now,
            expires_at=now + ABSOLUTE,
            password_checked_at=now,
        )
    )
    return token


async def find_visit(db: Database, token: str) -> Visit | None:
    """Return who holds ``token``; None if it is unknown, idle too long, too old, or no longer a member's."""
    if len(token) != _TOKEN_LENGTH or not token.isascii():
        return None
    now, token_hash = db.runtime.now(), hash_token(token)
    async with db.open_session() as session:
        found = (
            await session.execute(
                select(UserSession, User, Tenant, Membership.role)
                .join(User, User.id == UserSession.user_id)
                .join(Tenant, Tenant.id == UserSession.tenant_id)
                .join(
                    Membership,
                    (Membership.user_id == UserSession.user_id) & (Membership.tenant_id == UserSession.tenant_id),
                )
                .where(
                    UserSession.token_hash == token_hash,
                    UserSession.expires_at > now,
                    UserSession.last_seen_at > now - IDLE,
                )
            )
        ).one_or_none()
    if found is None:
        return None
    row, user, tenant, role = found
    if now - row.last_seen_at >= _SEEN_EVERY:
        await _note_seen(db, token_hash, now)
    return Visit(
        session_hash=token_hash,
        user_id=user.id,
        user_name=user.name,
        user_email=user.email,
        tenant_id=tenant.id,
        tenant_name=tenant.name,
        time_zone=tenant.time_zone,
        role=role,
        is_set_up=tenant.posting_starts_at is not None,
        password_checked_at=row.password_checked_at,
    )


async def rotate_session(session: AsyncSession, token_hash: str, runtime: Runtime) -> str | None:
    """Give a session a new token; the old one is dead at once. Its age is kept. None if it has ended meanwhile."""
    taken = await session.execute(
        delete(UserSession)
        .where(UserSession.token_hash == token_hash)
        .returning(
            UserSession.user_id,
            UserSession.tenant_id,
            UserSession.created_at,
            UserSession.expires_at,
            UserSession.password_checked_at,
        )
    )
    row = taken.one_or_none()
    if row is None:
        return None
    token = new_token(runtime)
    session.add(
        UserSession(
            token_hash=hash_token(token),
            user_id=row.user_id,
            tenant_id=row.tenant_id,
            created_at=row.created_at,
            last_seen_at=runtime.now(),
            expires_at=row.expires_at,
            password_checked_at=row.password_checked_at,
        )
    )
    return token


async def note_password(session: AsyncSession, token_hash: str, now: datetime) -> None:
    """Remember that the password was just given in this session (S6)."""
    await session.execute(
        update(UserSession).where(UserSession.token_hash == token_hash).values(password_checked_at=now)
    )


async def end_session(session: AsyncSession, token_hash: str) -> None:
    """End one session."""
    await session.execute(delete(UserSession).where(UserSession.token_hash == token_hash))


async def end_sessions_of(session: AsyncSession, user_id: UUID, *, but: Sequence[str] = ()) -> None:
    """End every session of a user, except those whose hashes are named."""
    await session.execute(
        delete(UserSession).where(UserSession.user_id == user_id, UserSession.token_hash.not_in(list(but)))
    )


async def forget_expired_sessions(session: AsyncSession, now: datetime) -> None:
    """Delete rows that nobody can enter with any more."""
    await session.execute(
        delete(UserSession).where((UserSession.expires_at <= now) | (UserSession.last_seen_at <= now - IDLE))
    )


async def _note_seen(db: Database, token_hash: str, now: datetime) -> None:
    """Push the idle limit out; only this column, only if the row still exists (S4)."""
    async with db.open_session(write=True) as session:
        await session.execute(
            update(UserSession)
            .where(UserSession.token_hash == token_hash, UserSession.last_seen_at < now)
            .values(last_seen_at=now)
        )
