"""What is sold and where its income goes."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID, uuid4

from sqlalchemy import ForeignKey, ForeignKeyConstraint, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from core.books.roles import AccountRole, FeeStyle, ForeignStyle, LostDisputeTax, SaleStyle
from core.db.types import Base, TenantOwned


class ServiceSource(StrEnum):
    """How we learned of a service."""

    PRODUCT = "product"
    TEXT = "text"
    DEFAULT = "default"


class Service(TenantOwned, Base):
    """Something a client can buy.

    ``key`` is ``prod_…`` for a Stripe product, ``text:<normalised words>`` for payments that carry no product, and
    ``*`` for the default row that every other service inherits from.
    """

    __tablename__ = "service"
    __table_args__ = (UniqueConstraint("tenant_id", "key"), UniqueConstraint("tenant_id", "id"))

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenant.id", ondelete="CASCADE"))
    key: Mapped[str] = mapped_column(String(300))
    source: Mapped[ServiceSource]
    name: Mapped[str] = mapped_column(String(300))
    unit_amount_minor: Mapped[int | None]
    currency: Mapped[str | None] = mapped_column(String(3))
    is_active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime]


class MappingVersion(TenantOwned, Base):
    """One decision about where a service's income goes. Rows are only ever added; the highest version holds.

    ``income_account_id`` None means "hold and ask me" (on the default row) or "as the default row" (elsewhere).
    """

    __tablename__ = "mapping_version"
    __table_args__ = (
        UniqueConstraint("tenant_id", "connection_id", "service_id", "version"),
        ForeignKeyConstraint(["tenant_id", "service_id"], ["service.tenant_id", "service.id"], ondelete="CASCADE"),
        ForeignKeyConstraint(
            ["tenant_id", "connection_id"], ["connection.tenant_id", "connection.id"], ondelete="CASCADE"
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    connection_id: Mapped[UUID]
    service_id: Mapped[UUID]
    version: Mapped[int]
    income_account_id: Mapped[str | None] = mapped_column(String(255))
    tax_code_id: Mapped[str | None] = mapped_column(String(255))
    created_at: Mapped[datetime]
    created_by: Mapped[UUID]


class RoleVersion(TenantOwned, Base):
    """Which account plays a role in one set of books. Rows are only ever added; the highest version holds."""

    __tablename__ = "role_version"
    __table_args__ = (
        UniqueConstraint("tenant_id", "connection_id", "role", "version"),
        ForeignKeyConstraint(
            ["tenant_id", "connection_id"], ["connection.tenant_id", "connection.id"], ondelete="CASCADE"
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    connection_id: Mapped[UUID]
    role: Mapped[AccountRole]
    version: Mapped[int]
    account_id: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[datetime]
    created_by: Mapped[UUID]


class BookkeepingVersion(TenantOwned, Base):
    """The settings of bookkeeping for one set of books. Rows are only ever added; the highest version holds."""

    __tablename__ = "bookkeeping_version"
    __table_args__ = (
        UniqueConstraint("tenant_id", "connection_id", "version"),
        ForeignKeyConstraint(
            ["tenant_id", "connection_id"], ["connection.tenant_id", "connection.id"], ondelete="CASCADE"
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    connection_id: Mapped[UUID]
    version: Mapped[int]
    sale_style: Mapped[SaleStyle]
    fee_style: Mapped[FeeStyle]
    lost_dispute_tax: Mapped[LostDisputeTax]
    fee_tax_code_id: Mapped[str | None] = mapped_column(String(255))
    foreign_style: Mapped[ForeignStyle] = mapped_column(default=ForeignStyle.SETTLED)
    created_at: Mapped[datetime]
    created_by: Mapped[UUID]


class CategoryVersion(TenantOwned, Base):
    """A person's answer to a balance transaction whose kind Tieout does not know: the account that it books to.

    ``category`` is Stripe's ``reporting_category``. Rows are only ever added; the highest version holds.
    """

    __tablename__ = "category_version"
    __table_args__ = (
        UniqueConstraint("tenant_id", "connection_id", "category", "version"),
        ForeignKeyConstraint(
            ["tenant_id", "connection_id"], ["connection.tenant_id", "connection.id"], ondelete="CASCADE"
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    connection_id: Mapped[UUID]
    category: Mapped[str] = mapped_column(String(64))
    version: Mapped[int]
    account_id: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[datetime]
    created_by: Mapped[UUID]
