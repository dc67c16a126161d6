"""What others wrote in the books on the account that is to mirror Stripe."""

from datetime import date, datetime
from uuid import UUID, uuid4

from sqlalchemy import ForeignKeyConstraint, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from core.db.types import Base, TenantOwned


class OthersEntry(TenantOwned, Base):
    """A document that somebody else wrote and that touches the clearing account, as last told by the books.

    Attributes:
        word: what the books call it.
        effect_minor: what it does to the account, debit positive; None where the books do not say it in their own
            currency.
        is_gone: it was removed, or no longer touches the account.
        seen_at: when we first heard of it.
    """

    __tablename__ = "others_entry"
    __table_args__ = (
        UniqueConstraint("tenant_id", "connection_id", "word", "external_id"),
        ForeignKeyConstraint(
            ["tenant_id", "connection_id"], ["connection.tenant_id", "connection.id"], ondelete="CASCADE"
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    connection_id: Mapped[UUID]
    word: Mapped[str] = mapped_column(String(32))
    external_id: Mapped[str] = mapped_column(String(255))
    number: Mapped[str] = mapped_column(String(64))
    note: Mapped[str] = mapped_column(String(200))
    day: Mapped[date | None]
    account_id: Mapped[str] = mapped_column(String(255))
    effect_minor: Mapped[int | None]
    is_gone: Mapped[bool]
    seen_at: Mapped[datetime]
    changed_at: Mapped[datetime]
