"""Facts fetched from Stripe: clients, payments with their lines, balance transactions."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from core.books.documents import LineKind
from core.db.types import Base, TenantOwned
from core.reasons import Reason


class PaymentState(StrEnum):
    """The six words of the product. Values are stored."""

    WAITING = "waiting"
    SYNCING = "syncing"
    SYNCED = "synced"
    NEEDS_ATTENTION = "needs_attention"
    IGNORED = "ignored"
    UNDONE = "undone"


class Customer(TenantOwned, Base):
    """A client. ``key`` is ``cus_…`` where Stripe knows a customer, else ``email:…``, else ``name:…``."""

    __tablename__ = "customer"
    __table_args__ = (UniqueConstraint("tenant_id", "key"), UniqueConstraint("tenant_id", "id"))

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenant.id", ondelete="CASCADE"))
    key: Mapped[str] = mapped_column(String(400))
    stripe_customer_id: Mapped[str | None] = mapped_column(String(255))
    name: Mapped[str] = mapped_column(String(500))
    email: Mapped[str | None] = mapped_column(String(320))
    phone: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[datetime]


class Payment(TenantOwned, Base):
    """One payment of a client: a succeeded payment intent, or a charge without one.

    ``state``, ``reason``, ``reason_detail`` and ``next_try_at`` mirror its sync item so that the table reads one row.
    ``invoiced_at`` is when the Stripe invoice that it paid was finalised, None where it paid none.
    ``search`` holds the lower-cased words that the search box looks in. Settled amounts are those of the balance
    transaction, None until Stripe has made it.
    """

    __tablename__ = "payment"
    __table_args__ = (
        UniqueConstraint("tenant_id", "source_id"),
        UniqueConstraint("tenant_id", "id"),
        ForeignKeyConstraint(
            ["tenant_id", "connection_id"], ["connection.tenant_id", "connection.id"], ondelete="CASCADE"
        ),
        ForeignKeyConstraint(["tenant_id", "customer_id"], ["customer.tenant_id", "customer.id"]),
        CheckConstraint("amount_minor >= 0", name="amount_not_negative"),
        CheckConstraint("settled_minor - fee_minor = net_minor", name="gross_less_fee_is_net"),
        Index("ix_payment_newest", "tenant_id", "paid_at", "id"),
        Index("ix_payment_state", "tenant_id", "state", "paid_at", "id"),
        Index("ix_payment_balance_transaction", "tenant_id", "stripe_balance_transaction_id"),
        Index(
            "ix_payment_stopped",
            "tenant_id",
            "reason",
            sqlite_where=text("state = 'needs_attention'"),
            postgresql_where=text("state = 'needs_attention'"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    connection_id: Mapped[UUID]
    customer_id: Mapped[UUID]
    source_id: Mapped[str] = mapped_column(String(255))
    stripe_charge_id: Mapped[str | None] = mapped_column(String(255))
    amount_minor: Mapped[int]
    currency: Mapped[str] = mapped_column(String(3))
    settled_minor: Mapped[int | None]
    settled_currency: Mapped[str | None] = mapped_column(String(3))
    fee_minor: Mapped[int | None]
    net_minor: Mapped[int | None]
    stripe_balance_transaction_id: Mapped[str | None] = mapped_column(String(255))
    refunded_minor: Mapped[int] = mapped_column(default=0)
    description: Mapped[str] = mapped_column(Text, default="")
    paid_with: Mapped[str] = mapped_column(String(120), default="")
    is_test_mode: Mapped[bool]
    paid_at: Mapped[datetime]
    invoiced_at: Mapped[datetime | None]
    book_date: Mapped[date]
    facts_hash: Mapped[str] = mapped_column(String(64))
    fetched_at: Mapped[datetime]
    first_seen_at: Mapped[datetime]
    search: Mapped[str] = mapped_column(Text)
    state: Mapped[PaymentState]
    reason: Mapped[Reason | None]
    reason_detail: Mapped[dict[str, Any]]
    next_try_at: Mapped[datetime | None]


class PaymentLine(TenantOwned, Base):
    """One part of a payment, as Stripe's lines say; the parts add up to the payment.

    ``found_by`` names the rule that told the service; ``has_tax`` is whether Stripe said anything about tax.
    """

    __tablename__ = "payment_line"
    __table_args__ = (
        UniqueConstraint("tenant_id", "payment_id", "position"),
        ForeignKeyConstraint(["tenant_id", "payment_id"], ["payment.tenant_id", "payment.id"], ondelete="CASCADE"),
        ForeignKeyConstraint(["tenant_id", "service_id"], ["service.tenant_id", "service.id"]),
        Index("ix_payment_line_service", "tenant_id", "service_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    payment_id: Mapped[UUID]
    position: Mapped[int]
    kind: Mapped[LineKind]
    service_id: Mapped[UUID]
    description: Mapped[str] = mapped_column(String(500))
    quantity: Mapped[int] = mapped_column(default=1)
    amount_minor: Mapped[int]
    tax_minor: Mapped[int]
    has_tax: Mapped[bool]
    stripe_field: Mapped[str] = mapped_column(String(200))
    found_by: Mapped[str] = mapped_column(String(200))


class BalanceTransaction(TenantOwned, Base):
    """One movement of the Stripe balance: the truth to the cent. ``net = amount - fee``, checked by the database.

    ``book_date`` is the tenant's local day of ``created_at``. ``fee_item_id`` is the item whose document books ``fee``
    together with others' (the fees of a day); set once, when that document is frozen.
    """

    __tablename__ = "balance_transaction"
    __table_args__ = (
        UniqueConstraint("tenant_id", "stripe_id"),
        ForeignKeyConstraint(
            ["tenant_id", "connection_id"], ["connection.tenant_id", "connection.id"], ondelete="CASCADE"
        ),
        CheckConstraint("amount_minor - fee_minor = net_minor", name="amount_less_fee_is_net"),
        Index("ix_balance_transaction_payout", "tenant_id", "stripe_payout_id"),
        Index("ix_balance_transaction_source", "tenant_id", "stripe_source_id"),
        Index("ix_balance_transaction_created", "tenant_id", "connection_id", "created_at"),
        Index("ix_balance_transaction_fees", "tenant_id", "connection_id", "book_date", "fee_item_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    connection_id: Mapped[UUID]
    stripe_id: Mapped[str] = mapped_column(String(255))
    type: Mapped[str] = mapped_column(String(64))
    reporting_category: Mapped[str] = mapped_column(String(64))
    amount_minor: Mapped[int]
    fee_minor: Mapped[int]
    net_minor: Mapped[int]
    currency: Mapped[str] = mapped_column(String(3))
    exchange_rate: Mapped[str | None] = mapped_column(String(40))
    fee_details: Mapped[list[Any]]
    stripe_source_id: Mapped[str | None] = mapped_column(String(255))
    stripe_payout_id: Mapped[str | None] = mapped_column(String(255))
    description: Mapped[str | None] = mapped_column(String(500))
    book_date: Mapped[date | None]
    fee_item_id: Mapped[UUID | None]
    status: Mapped[str] = mapped_column(String(32))
    available_at: Mapped[datetime]
    created_at: Mapped[datetime]
    fetched_at: Mapped[datetime]
