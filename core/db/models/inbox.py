"""The inbox: every signed event exactly as it came, stored before it is acknowledged (N3)."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID, uuid4

from sqlalchemy import Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from core.db.types import Base


class EventState(StrEnum):
    """Where an event stands.

    ``KEPT``: no handler books it yet; a later handler picks it up. ``UNROUTED``: no active connection has its account.
    ``IGNORED``: other mode. ``RETRY``: it met a fault of ours and is tried again at ``due_at``. ``POISON``: tried to
    the end; the payload is kept. ``FORGOTTEN``: done so long ago that its payload was let go; the row stays.
    """

    STORED = "stored"
    ROUTED = "routed"
    KEPT = "kept"
    UNROUTED = "unrouted"
    IGNORED = "ignored"
    RETRY = "retry"
    POISON = "poison"
    FORGOTTEN = "forgotten"


SETTLED = (EventState.ROUTED, EventState.IGNORED, EventState.UNROUTED)
"""Nothing more will happen to these; Stripe itself forgets them after thirty days."""


class StripeEvent(Base):
    """One event. It belongs to nobody until it is routed, so it is not tenant-owned.

    ``scope`` is ``platform`` or the id of the connection whose own endpoint received it: Stripe promises unique event
    ids within an account, and the pair is what deduplicates (W4). ``error`` names the fault and its incident.
    """

    __tablename__ = "stripe_event"
    __table_args__ = (
        UniqueConstraint("scope", "event_id"),
        Index(
            "ix_stripe_event_open",
            "received_at",
            sqlite_where=text("state = 'stored'"),
            postgresql_where=text("state = 'stored'"),
        ),
        # Whose turn it is, while many wait: the oldest of each account.
        Index(
            "ix_stripe_event_turn",
            "account",
            "received_at",
            sqlite_where=text("state = 'stored'"),
            postgresql_where=text("state = 'stored'"),
        ),
        Index(
            "ix_stripe_event_retry",
            "due_at",
            sqlite_where=text("state = 'retry'"),
            postgresql_where=text("state = 'retry'"),
        ),
        # What can be let go: those of the last weeks, since the others are forgotten already.
        Index(
            "ix_stripe_event_settled",
            "received_at",
            sqlite_where=text("state IN ('routed', 'ignored', 'unrouted')"),
            postgresql_where=text("state IN ('routed', 'ignored', 'unrouted')"),
        ),
        Index("ix_stripe_event_account", "account", "state"),
        Index(
            "ix_stripe_event_poison",
            "received_at",
            sqlite_where=text("state = 'poison'"),
            postgresql_where=text("state = 'poison'"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    scope: Mapped[str] = mapped_column(String(64))
    event_id: Mapped[str] = mapped_column(String(255))
    account: Mapped[str | None] = mapped_column(String(255))
    type: Mapped[str] = mapped_column(String(255))
    is_live: Mapped[bool]
    api_version: Mapped[str | None] = mapped_column(String(64))
    object_id: Mapped[str | None] = mapped_column(String(255), index=True)
    stripe_created_at: Mapped[datetime]
    payload: Mapped[bytes]
    received_at: Mapped[datetime]
    state: Mapped[EventState]
    tries: Mapped[int] = mapped_column(default=0)
    due_at: Mapped[datetime | None]
    error: Mapped[str | None] = mapped_column(String(300))
    tenant_id: Mapped[UUID | None]
    connection_id: Mapped[UUID | None]
