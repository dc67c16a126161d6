"""The engine's own tables: items (the queue), documents, operations (the ledger of intents) and attempts."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import ForeignKeyConstraint, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from core.books.documents import DocumentKind
from core.db.types import Base, TenantOwned
from core.reasons import Reason


class ItemKind(StrEnum):
    """What an item brings up to date. Those down to ``HISTORY`` belong to a Stripe lane, the others to a lane of books.

    ``KEEP_ALIVE`` belongs to both. ``CHANGES`` asks what changed in the books, ``VERIFY`` reads back what we posted,
    ``DRY_RUN`` plans a history; the rest put documents into the books.
    """

    FETCH_PAYMENT = "fetch_payment"
    FETCH_SERVICE = "fetch_service"
    FETCH_REFUND = "fetch_refund"
    FETCH_DISPUTE = "fetch_dispute"
    FETCH_PAYOUT = "fetch_payout"
    CATCH_UP = "catch_up"
    SWEEP = "sweep"
    HISTORY = "history"
    KEEP_ALIVE = "keep_alive"
    SALE = "sale"
    REFUND = "refund"
    DISPUTE = "dispute"
    PAYOUT = "payout"
    FEES = "fees"
    MOVEMENT = "movement"
    OPENING = "opening"
    CHANGES = "changes"
    VERIFY = "verify"
    DRY_RUN = "dry_run"


POSTED_KINDS = frozenset(
    {
        ItemKind.SALE,
        ItemKind.REFUND,
        ItemKind.DISPUTE,
        ItemKind.PAYOUT,
        ItemKind.FEES,
        ItemKind.MOVEMENT,
        ItemKind.OPENING,
    }
)
"""Kinds that put documents into the books."""


class ItemState(StrEnum):
    """Where an item stands. ``due_at`` alone decides whether it is worked on."""

    PENDING = "pending"
    WORKING = "working"
    DONE = "done"
    BLOCKED = "blocked"
    NEEDS_ATTENTION = "needs_attention"
    IGNORED = "ignored"


class SyncItem(TenantOwned, Base):
    """One business fact to bring up to date, unique by what it is about, never by the event that told of it (F1).

    Attributes:
        source_id: Stripe's id of the object, ``pi_…``; for an item of our own, its name.
        wanted, done: grow with every news and every finished pass; an item with ``done < wanted`` has news.
        plan_version: grows when a refused plan is made anew, so that its key is new as well (F20, F22).
        due_at: when to work on it next; None when there is nothing to do.
        tries: counts only failures that repeat would cure; outages, pauses and sign-ins do not count.
    """

    __tablename__ = "sync_item"
    __table_args__ = (
        UniqueConstraint("tenant_id", "connection_id", "kind", "source_id"),
        UniqueConstraint("tenant_id", "id"),
        ForeignKeyConstraint(
            ["tenant_id", "connection_id"], ["connection.tenant_id", "connection.id"], ondelete="CASCADE"
        ),
        ForeignKeyConstraint(["tenant_id", "payment_id"], ["payment.tenant_id", "payment.id"], ondelete="CASCADE"),
        Index(
            "ix_sync_item_queue",
            # All that a lease asks for and its order: else PostgreSQL sorts a backlog of 50,000 for each of them.
            "tenant_id",
            "connection_id",
            "due_at",
            "created_at",
            "id",
            sqlite_where=text("due_at IS NOT NULL"),
            postgresql_where=text("due_at IS NOT NULL"),
        ),
        # Whether anything is due at all, of whomever: asked every second by each worker.
        Index(
            "ix_sync_item_next",
            "due_at",
            sqlite_where=text("due_at IS NOT NULL"),
            postgresql_where=text("due_at IS NOT NULL"),
        ),
        Index("ix_sync_item_payment", "tenant_id", "payment_id"),
        Index("ix_sync_item_state", "tenant_id", "state", "created_at"),
        # For whoever runs the installation: few rows, written only when something stops.
        Index(
            "ix_sync_item_stopped",
            "connection_id",
            "state",
            "kind",
            "reason",
            "changed_at",
            sqlite_where=text("state IN ('blocked', 'needs_attention')"),
            postgresql_where=text("state IN ('blocked', 'needs_attention')"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    connection_id: Mapped[UUID]
    kind: Mapped[ItemKind]
    source_id: Mapped[str] = mapped_column(String(255))
    payment_id: Mapped[UUID | None]
    state: Mapped[ItemState]
    wanted: Mapped[int] = mapped_column(default=1)
    done: Mapped[int] = mapped_column(default=0)
    plan_version: Mapped[int] = mapped_column(default=0)
    due_at: Mapped[datetime | None]
    tries: Mapped[int] = mapped_column(default=0)
    reason: Mapped[Reason | None]
    reason_detail: Mapped[dict[str, Any]]
    provider_text: Mapped[str | None] = mapped_column(String(300))
    provider_request_id: Mapped[str | None] = mapped_column(String(255))
    created_at: Mapped[datetime]
    changed_at: Mapped[datetime]


class DocumentState(StrEnum):
    """Life of a document. ``PLANNED``: frozen, not yet proven to stand in the books."""

    PLANNED = "planned"
    POSTED = "posted"
    DROPPED = "dropped"


class ReadState(StrEnum):
    """What reading a posted document back has shown. ``CHANGED``: another total or date; ``GONE``: void or deleted."""

    UNREAD = "unread"
    STANDS = "stands"
    CHANGED = "changed"
    GONE = "gone"


class Drift(StrEnum):
    """What became of a posted document in the books. ``MOVED``: to or from the clearing account, or within it.

    ``UNPAID``: an invoice of ours is open again, or money of ours is applied to nothing.
    """

    DELETED = "deleted"
    VOIDED = "voided"
    EDITED = "edited"
    DATED = "dated"
    MOVED = "moved"
    UNPAID = "unpaid"


class BooksDocument(TenantOwned, Base):
    """One document of ours in a set of books, with the lines that explain themselves.

    ``content`` is the frozen document with every line and its why; ``reference`` is its lasting identity in the books.
    ``position`` is its place among the documents of its item. ``read_…`` is what stood there when it was read back:
    ``read_drift`` names what became of it, ``read_version`` is what a write that changes it must name,
    ``read_effect_minor`` what it does to the clearing account, ``read_open_minor`` what is not settled of it.
    """

    __tablename__ = "books_document"
    __table_args__ = (
        UniqueConstraint("tenant_id", "item_id", "step", "plan_version"),
        UniqueConstraint("tenant_id", "id"),
        ForeignKeyConstraint(
            ["tenant_id", "connection_id"], ["connection.tenant_id", "connection.id"], ondelete="CASCADE"
        ),
        ForeignKeyConstraint(["tenant_id", "item_id"], ["sync_item.tenant_id", "sync_item.id"], ondelete="CASCADE"),
        Index("ix_books_document_reference", "tenant_id", "connection_id", "reference"),
        Index("ix_books_document_day", "tenant_id", "connection_id", "book_date"),
        Index("ix_books_document_posted", "tenant_id", "connection_id", "posted_at"),
        Index("ix_books_document_read", "tenant_id", "read_state"),
        # Few rows of many: every page asks whether there are any.
        Index(
            "ix_books_document_off",
            "tenant_id",
            "item_id",
            sqlite_where=text("read_state IN ('changed', 'gone')"),
            postgresql_where=text("read_state IN ('changed', 'gone')"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    connection_id: Mapped[UUID]
    item_id: Mapped[UUID]
    step: Mapped[str] = mapped_column(String(160))
    kind: Mapped[DocumentKind]
    plan_version: Mapped[int]
    state: Mapped[DocumentState]
    reference: Mapped[str] = mapped_column(String(64))
    external_id: Mapped[str | None] = mapped_column(String(255))
    external_number: Mapped[str | None] = mapped_column(String(64))
    external_version: Mapped[str | None] = mapped_column(String(64))
    book_date: Mapped[date]
    total_minor: Mapped[int]
    currency: Mapped[str] = mapped_column(String(3))
    content: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    posted_at: Mapped[datetime | None]
    position: Mapped[int] = mapped_column(default=0, server_default="0")
    read_state: Mapped[ReadState] = mapped_column(default=ReadState.UNREAD, server_default=ReadState.UNREAD.value)
    read_total_minor: Mapped[int | None]
    read_date: Mapped[date | None]
    read_at: Mapped[datetime | None]
    read_drift: Mapped[Drift | None]
    read_version: Mapped[str | None] = mapped_column(String(64))
    read_open_minor: Mapped[int | None]
    read_effect_minor: Mapped[int | None]


class ClearingLine(TenantOwned, Base):
    """What one document does to the clearing account for one balance transaction: the bridge of every proof.

    Over the documents that stand, the lines of a balance transaction add up to its ``net``. Debit is positive.
    ``stripe_balance_transaction_id`` is None while Stripe has not made it yet, and for the opening entry.
    """

    __tablename__ = "clearing_line"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "document_id"], ["books_document.tenant_id", "books_document.id"], ondelete="CASCADE"
        ),
        Index("ix_clearing_line_document", "tenant_id", "document_id"),
        Index("ix_clearing_line_balance_transaction", "tenant_id", "stripe_balance_transaction_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    document_id: Mapped[UUID]
    stripe_balance_transaction_id: Mapped[str | None] = mapped_column(String(255))
    amount_minor: Mapped[int]
    currency: Mapped[str] = mapped_column(String(3))


class OperationState(StrEnum):
    """Life of one provider write. ``SENT`` without a result is an unknown outcome: look it up first."""

    PLANNED = "planned"
    SENT = "sent"
    UNCERTAIN = "uncertain"
    CONFIRMED = "confirmed"
    REJECTED = "rejected"


class Operation(TenantOwned, Base):
    """One write to the books: the exact bytes, the key and the reference, committed before the first send (N4).

    ``home_minor``: what the books must arrive at in their own currency, for the money of a foreign sale.
    ``was_answered`` tells two kinds of doubt apart: no answer at all, or one (5xx, junk) that settles nothing.
    """

    __tablename__ = "operation"
    __table_args__ = (
        UniqueConstraint("tenant_id", "connection_id", "key"),
        UniqueConstraint("tenant_id", "id"),
        ForeignKeyConstraint(
            ["tenant_id", "connection_id"], ["connection.tenant_id", "connection.id"], ondelete="CASCADE"
        ),
        ForeignKeyConstraint(["tenant_id", "item_id"], ["sync_item.tenant_id", "sync_item.id"], ondelete="CASCADE"),
        Index("ix_operation_item", "tenant_id", "item_id", "created_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    connection_id: Mapped[UUID]
    item_id: Mapped[UUID]
    step: Mapped[str] = mapped_column(String(160))
    kind: Mapped[DocumentKind]
    plan_version: Mapped[int]
    revision: Mapped[int]
    key: Mapped[str] = mapped_column(String(64))
    reference: Mapped[str] = mapped_column(String(500))
    path: Mapped[str] = mapped_column(String(255))
    body: Mapped[bytes]
    body_hash: Mapped[str] = mapped_column(String(64))
    total_minor: Mapped[int | None]
    currency: Mapped[str] = mapped_column(String(3))
    home_minor: Mapped[int | None]
    party_id: Mapped[str | None] = mapped_column(String(255))
    state: Mapped[OperationState]
    sends: Mapped[int] = mapped_column(default=0)
    was_answered: Mapped[bool] = mapped_column(default=False)
    first_sent_at: Mapped[datetime | None]
    last_sent_at: Mapped[datetime | None]
    external_id: Mapped[str | None] = mapped_column(String(255))
    fence: Mapped[int]
    created_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]
    batch_id: Mapped[UUID | None]
    batch_position: Mapped[int | None]


class Batch(TenantOwned, Base):
    """Several writes of one kind that travel in one call: who belongs to it is committed before the call (N4).

    The members' bytes stand in their operations; members, their order and the key never change. ``settled_at`` is None
    while the call may be repeated as it is.
    """

    __tablename__ = "batch"
    __table_args__ = (
        UniqueConstraint("tenant_id", "connection_id", "key"),
        UniqueConstraint("tenant_id", "id"),
        ForeignKeyConstraint(
            ["tenant_id", "connection_id"], ["connection.tenant_id", "connection.id"], ondelete="CASCADE"
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    connection_id: Mapped[UUID]
    kind: Mapped[DocumentKind]
    key: Mapped[str] = mapped_column(String(64))
    size: Mapped[int]
    sends: Mapped[int] = mapped_column(default=0)
    first_sent_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]


class CallCount(TenantOwned, Base):
    """How many calls a connection has cost on one day (UTC), and what was posted with them."""

    __tablename__ = "call_count"
    __table_args__ = (
        UniqueConstraint("tenant_id", "connection_id", "day"),
        ForeignKeyConstraint(
            ["tenant_id", "connection_id"], ["connection.tenant_id", "connection.id"], ondelete="CASCADE"
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    connection_id: Mapped[UUID]
    day: Mapped[date]
    calls: Mapped[int] = mapped_column(default=0)
    documents: Mapped[int] = mapped_column(default=0)
    payments: Mapped[int] = mapped_column(default=0)
    slow_downs: Mapped[int] = mapped_column(default=0)


class ClearingReading(TenantOwned, Base):
    """What the books themselves say the clearing account holds; the newest reading of each set of books."""

    __tablename__ = "clearing_reading"
    __table_args__ = (
        UniqueConstraint("tenant_id", "connection_id"),
        ForeignKeyConstraint(
            ["tenant_id", "connection_id"], ["connection.tenant_id", "connection.id"], ondelete="CASCADE"
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    connection_id: Mapped[UUID]
    account_id: Mapped[str] = mapped_column(String(255))
    balance_minor: Mapped[int]
    currency: Mapped[str] = mapped_column(String(3))
    read_at: Mapped[datetime]


class AttemptOutcome(StrEnum):
    """How one call ended."""

    CONFIRMED = "confirmed"
    FOUND = "found"
    NOT_FOUND = "not_found"
    NOT_SENT = "not_sent"
    UNKNOWN = "unknown"
    RATE_LIMITED = "rate_limited"
    UNAVAILABLE = "unavailable"
    ACCESS_EXPIRED = "access_expired"
    REJECTED = "rejected"
    DIFFERENT = "different"
    STOPPED = "stopped"
    RETRY_ASKED = "retry_asked"
    RECREATE_ASKED = "recreate_asked"
    IGNORED = "ignored"


class Attempt(TenantOwned, Base):
    """One thing that happened to an item; rows are only added (N10). ``text`` is the provider's, cut at 300."""

    __tablename__ = "attempt"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "item_id"], ["sync_item.tenant_id", "sync_item.id"], ondelete="CASCADE"),
        ForeignKeyConstraint(
            ["tenant_id", "operation_id"], ["operation.tenant_id", "operation.id"], ondelete="CASCADE"
        ),
        Index("ix_attempt_item", "tenant_id", "item_id", "at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    item_id: Mapped[UUID]
    operation_id: Mapped[UUID | None]
    step: Mapped[str | None] = mapped_column(String(160))
    outcome: Mapped[AttemptOutcome]
    at: Mapped[datetime]
    http_status: Mapped[int | None]
    request_id: Mapped[str | None] = mapped_column(String(255))
    text: Mapped[str | None] = mapped_column(String(300))
    external_id: Mapped[str | None] = mapped_column(String(255))
    by_user_id: Mapped[UUID | None]
