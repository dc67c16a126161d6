"""What the payments page reads instead of every payment. Triggers keep both tables: no way of writing forgets them.

They are made by the migration ``totals_and_words``, change in the transaction that changes the payment, and wait for
nobody. A migration that makes the table ``payment`` anew on SQLite must make its triggers anew.
"""

from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from core.db.models.payments import PaymentState
from core.db.types import Base, TenantOwned


class Span(StrEnum):
    """How long a total reaches. Values are stored."""

    DAY = "day"
    MONTH = "month"


class PaymentTotal(TenantOwned, Base):
    """Payments of one day or one month in one state and one pair of currencies, added up.

    There may be several rows for the same: a transaction on PostgreSQL that finds a row taken opens another ``slot``
    instead of waiting, and only their sum means something. Amounts as in :class:`core.reports.sums.Portion`.
    """

    __tablename__ = "payment_total"
    __table_args__ = ({"sqlite_with_rowid": False},)

    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenant.id", ondelete="CASCADE"), primary_key=True)
    span: Mapped[Span] = mapped_column(primary_key=True)
    first_day: Mapped[date] = mapped_column(primary_key=True)
    state: Mapped[PaymentState] = mapped_column(primary_key=True)
    currency: Mapped[str] = mapped_column(String(3), primary_key=True)
    settled_currency: Mapped[str] = mapped_column(String(3), primary_key=True)
    slot: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    payments: Mapped[int]
    gross_minor: Mapped[int]
    fee_minor: Mapped[int]
    refunded_minor: Mapped[int]


class PaymentWord(TenantOwned, Base):
    """One word that a payment is found by: ``Payment.search`` split at its spaces, each cut to 64 characters.

    Sorted by bytes, so that "begins with" is a range on both databases.
    """

    __tablename__ = "payment_word"
    __table_args__ = ({"sqlite_with_rowid": False},)

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    word: Mapped[str] = mapped_column(
        String(64).with_variant(String(64, collation="C"), "postgresql"), primary_key=True
    )
    paid_at: Mapped[datetime] = mapped_column(primary_key=True)
    payment_id: Mapped[UUID] = mapped_column(primary_key=True)
