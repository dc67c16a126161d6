"""Who may come in: tenants, users, memberships, sessions and the throttle's memory."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID, uuid4

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from core.db.types import Base


class Role(StrEnum):
    """What a member may do; only owners connect and disconnect (T10)."""

    OWNER = "owner"
    MEMBER = "member"


class Tenant(Base):
    """A workspace: one business, one Stripe account, one set of books.

    ``live_seq`` grows whenever something that its pages show has changed. Payments from ``posting_starts_at`` on are
    posted; None until the tenant starts.
    """

    __tablename__ = "tenant"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    name: Mapped[str] = mapped_column(String(200))
    time_zone: Mapped[str] = mapped_column(String(64))
    live_seq: Mapped[int] = mapped_column(default=0)
    posting_starts_at: Mapped[datetime | None]
    created_at: Mapped[datetime]


class User(Base):
    """A person who signs in. ``email_key`` is the address after NFKC and casefold, unique (A10)."""

    __tablename__ = "app_user"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    email: Mapped[str] = mapped_column(String(320))
    email_key: Mapped[str] = mapped_column(String(640), unique=True)
    name: Mapped[str] = mapped_column(String(200))
    password_hash: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[datetime]


class Membership(Base):
    """A user's role in a tenant."""

    __tablename__ = "membership"
    __table_args__ = (UniqueConstraint("tenant_id", "user_id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenant.id", ondelete="CASCADE"))
    user_id: Mapped[UUID] = mapped_column(ForeignKey("app_user.id", ondelete="CASCADE"), index=True)
    role: Mapped[Role]
    created_at: Mapped[datetime]


class UserSession(Base):
    """A signed-in browser. Only the token's hash is stored (K3); rows are deleted or narrowly updated, nothing else."""

    __tablename__ = "user_session"

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("app_user.id", ondelete="CASCADE"), index=True)
    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenant.id", ondelete="CASCADE"))
    created_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    password_checked_at: Mapped[datetime]


class KnownDevice(Base):
    """A browser that signed in to this account before; it is not shut out by strangers' wrong guesses (A4)."""

    __tablename__ = "known_device"

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("app_user.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime]


class FailedSignIn(Base):
    """One wrong guess: the throttle counts these. ``account_key`` is a hash, so unknown addresses leave no address."""

    __tablename__ = "failed_sign_in"
    __table_args__ = (
        Index("ix_failed_sign_in_account", "account_key", "at"),
        Index("ix_failed_sign_in_network", "network", "at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    account_key: Mapped[str] = mapped_column(String(64))
    network: Mapped[str] = mapped_column(String(64))
    at: Mapped[datetime]


class OAuthState(Base):
    """One consent on its way, bound to the session that began it; taken by a single DELETE .. RETURNING (O1)."""

    __tablename__ = "oauth_state"

    state_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    session_hash: Mapped[str] = mapped_column(String(64))
    user_id: Mapped[UUID] = mapped_column(ForeignKey("app_user.id", ondelete="CASCADE"))
    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenant.id", ondelete="CASCADE"))
    provider: Mapped[str] = mapped_column(String(32))
    verifier: Mapped[bytes | None]
    created_at: Mapped[datetime]
