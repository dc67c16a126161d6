"""Facts fetched from Stripe beside the payments: refunds, disputes, payouts, and what the balance says."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from core.db.types import Base, TenantOwned

_CONNECTION = (["tenant_id", "connection_id"], ["connection.tenant_id", "connection.id"])
_PAYMENT = (["tenant_id", "payment_id"], ["payment.tenant_id", "payment.id"])


class Refund(TenantOwned, Base):
    """Money given back on one payment, or meant to be. Its balance transactions have its id as their source.

    ``payment_id`` is None until the payment itself has been fetched. ``status`` is Stripe's word.
    """

    __tablename__ = "refund"
    __table_args__ = (
        UniqueConstraint("tenant_id", "stripe_id"),
        UniqueConstraint("tenant_id", "id"),
        ForeignKeyConstraint(*_CONNECTION, ondelete="CASCADE"),
        ForeignKeyConstraint(*_PAYMENT),
        CheckConstraint("amount_minor >= 0", name="amount_not_negative"),
        Index("ix_refund_payment", "tenant_id", "payment_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    connection_id: Mapped[UUID]
    stripe_id: Mapped[str] = mapped_column(String(255))
    payment_id: Mapped[UUID | None]
    payment_source_id: Mapped[str | None] = mapped_column(String(255))
    stripe_charge_id: Mapped[str | None] = mapped_column(String(255))
    amount_minor: Mapped[int]
    currency: Mapped[str] = mapped_column(String(3))
    status: Mapped[str] = mapped_column(String(32))
    stated_reason: Mapped[str | None] = mapped_column(String(255))
    failure_reason: Mapped[str | None] = mapped_column(String(255))
    created_at: Mapped[datetime]
    fetched_at: Mapped[datetime]


class Dispute(TenantOwned, Base):
    """A client's bank took a payment back, or asks to. ``status`` is Stripe's word; ``warning_…`` moves no money."""

    __tablename__ = "dispute"
    __table_args__ = (
        UniqueConstraint("tenant_id", "stripe_id"),
        UniqueConstraint("tenant_id", "id"),
        ForeignKeyConstraint(*_CONNECTION, ondelete="CASCADE"),
        ForeignKeyConstraint(*_PAYMENT),
        Index("ix_dispute_payment", "tenant_id", "payment_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    connection_id: Mapped[UUID]
    stripe_id: Mapped[str] = mapped_column(String(255))
    payment_id: Mapped[UUID | None]
    payment_source_id: Mapped[str | None] = mapped_column(String(255))
    stripe_charge_id: Mapped[str | None] = mapped_column(String(255))
    amount_minor: Mapped[int]
    currency: Mapped[str] = mapped_column(String(3))
    status: Mapped[str] = mapped_column(String(32))
    stated_reason: Mapped[str | None] = mapped_column(String(255))
    closed_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    fetched_at: Mapped[datetime]


class Payout(TenantOwned, Base):
    """Money on its way from Stripe to the bank (or back, when negative). ``status`` is Stripe's word.

    ``lines_read`` says that Stripe has named every balance transaction in it and that they add up to it; a payout that
    was started by hand is never broken down by Stripe (``automatic`` False). ``lines_minor`` is what the named ones
    come to without the payout's own, None until they were read; where it is not ``amount_minor``, ``lines_read`` stays
    False.
    """

    __tablename__ = "payout"
    __table_args__ = (
        UniqueConstraint("tenant_id", "stripe_id"),
        UniqueConstraint("tenant_id", "id"),
        ForeignKeyConstraint(*_CONNECTION, ondelete="CASCADE"),
        Index("ix_payout_arrival", "tenant_id", "arrival_date", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    connection_id: Mapped[UUID]
    stripe_id: Mapped[str] = mapped_column(String(255))
    amount_minor: Mapped[int]
    currency: Mapped[str] = mapped_column(String(3))
    status: Mapped[str] = mapped_column(String(32))
    arrival_date: Mapped[date]
    automatic: Mapped[bool]
    method: Mapped[str] = mapped_column(String(32))
    reconciliation_status: Mapped[str] = mapped_column(String(32))
    bank_name: Mapped[str | None] = mapped_column(String(120))
    bank_last4: Mapped[str | None] = mapped_column(String(8))
    trace_id: Mapped[str | None] = mapped_column(String(255))
    failure_code: Mapped[str | None] = mapped_column(String(120))
    failure_message: Mapped[str | None] = mapped_column(String(500))
    lines_read: Mapped[bool] = mapped_column(default=False)
    lines_minor: Mapped[int | None]
    created_at: Mapped[datetime]
    fetched_at: Mapped[datetime]


class BalanceReading(TenantOwned, Base):
    """What Stripe holds for the tenant now, by Stripe's own word; the newest reading of each currency."""

    __tablename__ = "balance_reading"
    __table_args__ = (
        UniqueConstraint("tenant_id", "connection_id", "currency"),
        ForeignKeyConstraint(*_CONNECTION, ondelete="CASCADE"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    connection_id: Mapped[UUID]
    currency: Mapped[str] = mapped_column(String(3))
    available_minor: Mapped[int]
    pending_minor: Mapped[int]
    read_at: Mapped[datetime]


class OpeningBalance(TenantOwned, Base):
    """What Stripe held at the first day: today's balance less everything that moved since."""

    __tablename__ = "opening_balance"
    __table_args__ = (
        UniqueConstraint("tenant_id", "connection_id", "currency", "starts_at"),
        ForeignKeyConstraint(*_CONNECTION, ondelete="CASCADE"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    connection_id: Mapped[UUID]
    currency: Mapped[str] = mapped_column(String(3))
    starts_at: Mapped[datetime]
    amount_minor: Mapped[int]
    read_at: Mapped[datetime]


class HistoryState(StrEnum):
    """Where the reading and posting of history stands. ``READ``: the dry run can be looked at, nothing is posted.

    ``POSTING``: what was read is being offered to the books; ``DONE``: all of it was, and each item says how it stands.
    """

    READING = "reading"
    READ = "read"
    POSTING = "posting"
    STOPPED = "stopped"
    DONE = "done"


class HistoryRun(TenantOwned, Base):
    """One pass over everything since a first day: read from Stripe, shown as a dry run, then posted.

    ``cursors`` holds how far each of Stripe's lists has been read; ``counts`` what was found, for the progress;
    ``connection_id`` is the Stripe connection.
    """

    __tablename__ = "history_run"
    __table_args__ = (
        UniqueConstraint("tenant_id", "id"),
        ForeignKeyConstraint(*_CONNECTION, ondelete="CASCADE"),
        Index("ix_history_run_newest", "tenant_id", "created_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    connection_id: Mapped[UUID]
    starts_at: Mapped[datetime]
    state: Mapped[HistoryState]
    cursors: Mapped[dict[str, Any]]
    counts: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    created_by: Mapped[UUID]
    changed_at: Mapped[datetime]
