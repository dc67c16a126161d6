"""A tenant's links to Stripe and to a set of books, and what was read from those books."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import ForeignKey, ForeignKeyConstraint, Index, String, UniqueConstraint, text, true
from sqlalchemy.orm import Mapped, mapped_column

from core.db.types import Base, TenantOwned


class ConnectionStatus(StrEnum):
    """Life of a connection. ``NEEDS_RECONNECT``: the grant is gone, everything waits. ``CLOSED`` is final."""

    ACTIVE = "active"
    NEEDS_RECONNECT = "needs_reconnect"
    CLOSED = "closed"


class ConnectionMode(StrEnum):
    """How access was given."""

    STRIPE_APP = "stripe_app"
    STRIPE_CONNECT = "stripe_connect"
    RESTRICTED_KEY = "restricted_key"
    OAUTH = "oauth"
    BUILT_IN = "built_in"


class Connection(TenantOwned, Base):
    """A link to one Stripe account or one company's books.

    The same account again is the same connection; another company is a new one (F23). An account or company is active
    in one workspace only (T9): the partial unique index below says so for the whole database.

    Attributes:
        kind: ``stripe`` or a provider's name in the registry.
        external_id: Stripe's ``acct_…`` or the provider's company id.
        options: provider-specific switches, read at connect and refreshed with the accounts.
        access_token, refresh_token: sealed, bound to this row.
        webhook_secret: sealed signing secret of the tenant's own endpoint (restricted key only).
        endpoint_token_hash: hash of the unguessable path of that endpoint.
        changes_mark: where the next question for changes in the books begins; the books' own.
        changes_read_at: when that question was answered last, by our clock.
        changes_lost_at: since when everything must be read back, because the books tell changes no more; None: it
            is not, or is done.
        refresh_lease_until: who refreshes holds this; at most one refresh is in flight (O7).
    """

    __tablename__ = "connection"
    __table_args__ = (
        UniqueConstraint("tenant_id", "id"),
        Index(
            "uq_connection_one_workspace",
            "kind",
            "external_id",
            unique=True,
            sqlite_where=text("status <> 'closed'"),
            postgresql_where=text("status <> 'closed'"),
        ),
        Index("ix_connection_tenant", "tenant_id", "kind"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenant.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(32))
    mode: Mapped[ConnectionMode]
    status: Mapped[ConnectionStatus]
    external_id: Mapped[str] = mapped_column(String(255))
    external_name: Mapped[str] = mapped_column(String(255))
    country: Mapped[str] = mapped_column(String(2))
    currency: Mapped[str] = mapped_column(String(3))
    is_test_mode: Mapped[bool]
    options: Mapped[dict[str, Any]]
    access_token: Mapped[bytes | None]
    refresh_token: Mapped[bytes | None]
    webhook_secret: Mapped[bytes | None]
    webhook_endpoint_id: Mapped[str | None] = mapped_column(String(255))
    endpoint_token_hash: Mapped[str | None] = mapped_column(String(64), unique=True)
    access_expires_at: Mapped[datetime | None]
    consent_ends_at: Mapped[datetime | None]
    refreshed_at: Mapped[datetime | None]
    refresh_lease_until: Mapped[datetime | None]
    refresh_started_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    created_by: Mapped[UUID | None]
    last_checked_at: Mapped[datetime | None]
    last_event_at: Mapped[datetime | None]
    broken_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]
    changes_mark: Mapped[str | None] = mapped_column(String(64))
    changes_read_at: Mapped[datetime | None]
    changes_lost_at: Mapped[datetime | None]


class Lane(TenantOwned, Base):
    """The right to work on one connection: a lease with a fence, a pause and a pace, shared by all processes.

    Kept apart from the connection so that pages never wait for a worker and the claim reads no secrets. While
    ``stopped_at`` is set, a person has stopped posting: nobody claims the lane.
    """

    __tablename__ = "lane"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "connection_id"], ["connection.tenant_id", "connection.id"], ondelete="CASCADE"
        ),
    )

    connection_id: Mapped[UUID] = mapped_column(primary_key=True)
    lease_until: Mapped[datetime | None]
    fence: Mapped[int] = mapped_column(default=0)
    served_at: Mapped[datetime | None]
    hold_until: Mapped[datetime | None]
    hold_reason: Mapped[str | None] = mapped_column(String(32))
    next_call_at: Mapped[datetime | None]
    failures: Mapped[int] = mapped_column(default=0)
    stopped_at: Mapped[datetime | None]


class BooksAccount(TenantOwned, Base):
    """One account of the connected chart of accounts, as last read."""

    __tablename__ = "books_account"
    __table_args__ = (
        UniqueConstraint("tenant_id", "connection_id", "external_id"),
        ForeignKeyConstraint(
            ["tenant_id", "connection_id"], ["connection.tenant_id", "connection.id"], ondelete="CASCADE"
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    connection_id: Mapped[UUID]
    external_id: Mapped[str] = mapped_column(String(255))
    name: Mapped[str] = mapped_column(String(255))
    number: Mapped[str | None] = mapped_column(String(64))
    type: Mapped[str] = mapped_column(String(32))
    currency: Mapped[str | None] = mapped_column(String(3))
    is_active: Mapped[bool]
    read_at: Mapped[datetime]


class BooksTaxCode(TenantOwned, Base):
    """One tax code of the connected books, as last read. ``rate_ppm``: parts per million.

    ``on_sales`` and ``on_purchases`` say where the books let it stand.
    """

    __tablename__ = "books_tax_code"
    __table_args__ = (
        UniqueConstraint("tenant_id", "connection_id", "external_id"),
        ForeignKeyConstraint(
            ["tenant_id", "connection_id"], ["connection.tenant_id", "connection.id"], ondelete="CASCADE"
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    connection_id: Mapped[UUID]
    external_id: Mapped[str] = mapped_column(String(255))
    name: Mapped[str] = mapped_column(String(255))
    rate_ppm: Mapped[int | None]
    rate_external_id: Mapped[str | None] = mapped_column(String(255))
    is_active: Mapped[bool]
    on_sales: Mapped[bool] = mapped_column(default=True, server_default=true())
    on_purchases: Mapped[bool] = mapped_column(default=True, server_default=true())
    read_at: Mapped[datetime]


class BooksRate(TenantOwned, Base):
    """The rate of a foreign currency on one day, by the books themselves. Read once, never changed.

    ``rate`` counts home units for one foreign unit, as decimal text; None: the books apply a rate of their own and tell
    nobody.
    """

    __tablename__ = "books_rate"
    __table_args__ = (
        UniqueConstraint("tenant_id", "connection_id", "currency", "day"),
        ForeignKeyConstraint(
            ["tenant_id", "connection_id"], ["connection.tenant_id", "connection.id"], ondelete="CASCADE"
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    connection_id: Mapped[UUID]
    currency: Mapped[str] = mapped_column(String(3))
    day: Mapped[date]
    rate: Mapped[str | None] = mapped_column(String(40))
    read_at: Mapped[datetime]


class BooksLink(TenantOwned, Base):
    """The id of a customer or service item in one set of books: a QuickBooks customer id, a Xero contact id."""

    __tablename__ = "books_link"
    __table_args__ = (
        UniqueConstraint("tenant_id", "connection_id", "step"),
        ForeignKeyConstraint(
            ["tenant_id", "connection_id"], ["connection.tenant_id", "connection.id"], ondelete="CASCADE"
        ),
        ForeignKeyConstraint(["tenant_id", "customer_id"], ["customer.tenant_id", "customer.id"]),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    connection_id: Mapped[UUID]
    step: Mapped[str] = mapped_column(String(160))
    kind: Mapped[str] = mapped_column(String(32))
    customer_id: Mapped[UUID | None]
    external_id: Mapped[str] = mapped_column(String(255))
    name: Mapped[str] = mapped_column(String(500))
    created_at: Mapped[datetime]
