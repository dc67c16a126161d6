"""Documents of ours that no longer stand in the books as we wrote them, and by how much they are off."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, case, func, literal, or_, select, union
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from core.books.documents import DocumentKind
from core.db.models import (
    BalanceTransaction,
    BooksDocument,
    ClearingLine,
    Connection,
    DocumentState,
    Drift,
    ItemKind,
    ItemState,
    ReadState,
    SyncItem,
)
from core.reasons import Reason
from core.reports.differences import Difference, difference_of
from core.reports.reconciliation_kinds import IS_PAYOUT_ITSELF

MAX_CHANGED = 500
"""More documents than anyone changes by hand; what lies beyond still shows in the difference."""

STOPPED_STATES = (ItemState.BLOCKED, ItemState.NEEDS_ATTENTION)
"""The states in the index over stopped items, in its order."""

# Without lines on the clearing account these stand for what a client owes or is owed: the sign of their change.
_OWED = {DocumentKind.INVOICE: 1, DocumentKind.CREDIT_NOTE: -1}


@dataclass(frozen=True, slots=True)
class Changed:
    """One document that was read back and differs. Amounts in minor units of ``currency``.

    ``effect_minor`` is what our document does to the clearing account, debit positive; 0 for an invoice, whose payment
    does. ``read_total_minor`` is None where the document is gone; ``read_effect_minor`` where the books did not say
    what it does there.
    """

    id: UUID
    item_id: UUID
    item_kind: ItemKind
    item_source_id: str
    payment_id: UUID | None
    kind: DocumentKind
    number: str
    external_id: str
    currency: str
    book_date: date
    read_date: date | None
    read_at: datetime | None
    total_minor: int
    read_total_minor: int | None
    effect_minor: int
    difference: Difference | None
    read_effect_minor: int | None = None

    @property
    def is_gone(self) -> bool:
        """Whether it was voided or deleted."""
        return self.read_total_minor is None

    @property
    def standing_minor(self) -> int:
        """What the books' own document does to the clearing account."""
        if self.read_effect_minor is not None and not self.is_gone:
            return self.read_effect_minor
        return standing_effect(self.effect_minor, self.total_minor, self.read_total_minor)

    @property
    def deviation_minor(self) -> int:
        """By how much the books differ from us because of it."""
        if self.effect_minor or self.read_effect_minor:
            return self.standing_minor - self.effect_minor
        return _OWED.get(self.kind, 0) * ((self.read_total_minor or 0) - self.total_minor)

    def deviation_at(self, day: date | None) -> int:
        """Return by how much the clearing account is off at the end of ``day``; None means now."""
        stands_on = self.read_date or self.book_date
        there = self.standing_minor if day is None or stands_on <= day else 0
        meant = self.effect_minor if day is None or self.book_date <= day else 0
        return there - meant

    def deviation_minor_after(self, day: date) -> int:
        """Return the part of the deviation that the books date after ``day``."""
        return self.deviation_at(None) - self.deviation_at(day)


def standing_effect(effect_minor: int, total_minor: int, read_total_minor: int | None) -> int:
    """Return what a document does to the clearing account, given the total that was read back; None: it is gone."""
    if read_total_minor is None:
        return 0
    change = read_total_minor - total_minor
    return effect_minor + (change if effect_minor > 0 else -change if effect_minor < 0 else 0)


def is_changed() -> ColumnElement[bool]:
    """Say of a document that reading it back has shown something else."""
    return (BooksDocument.state == DocumentState.POSTED) & BooksDocument.read_state.in_(
        (ReadState.CHANGED, ReadState.GONE)
    )


def is_off(document: type[BooksDocument] = BooksDocument) -> ColumnElement[bool]:
    """Say of a document that its amount is another one: a mere change of its date does not make a payout untied.

    One that was moved to other accounts brings another amount, too.
    """
    return and_(
        document.state == DocumentState.POSTED,
        # Spelled as in the index over such documents, or SQLite does not see that the index holds them all.
        document.read_state.in_(
            literal(state.value, literal_execute=True) for state in (ReadState.CHANGED, ReadState.GONE)
        ),
        or_(
            document.read_state == ReadState.GONE,
            document.read_total_minor != document.total_minor,
            document.read_drift == Drift.MOVED,
        ),
    )


async def read_changed(session: AsyncSession, connection_id: UUID, *, limit: int = MAX_CHANGED) -> list[Changed]:
    """Return the documents of a set of books that differ, newest discovery first."""
    statement = changed_statement(connection_id).order_by(BooksDocument.read_at.desc(), BooksDocument.id).limit(limit)
    return [changed_of(document, item, effect) for document, item, effect in await session.execute(statement)]


def changed_statement(connection_id: UUID) -> Select[BooksDocument, SyncItem, int]:
    """Return the query over documents that differ: the document, its item, and what it does to clearing."""
    effect = (
        select(func.coalesce(func.sum(ClearingLine.amount_minor), 0))
        .where(ClearingLine.document_id == BooksDocument.id)
        .scalar_subquery()
    )
    return (
        select(BooksDocument, SyncItem, effect)
        .join(SyncItem, SyncItem.id == BooksDocument.item_id)
        .where(BooksDocument.connection_id == connection_id, is_changed())
    )


def changed_of(document: BooksDocument, item: SyncItem, effect: int) -> Changed:
    """Return one row of :func:`changed_statement`."""
    is_gone = document.read_state is ReadState.GONE
    read_total = document.total_minor if document.read_total_minor is None else document.read_total_minor
    return Changed(
        id=document.id,
        item_id=item.id,
        item_kind=item.kind,
        item_source_id=item.source_id,
        payment_id=item.payment_id,
        kind=document.kind,
        number=document.external_number or document.reference,
        external_id=document.external_id or "",
        currency=document.currency.lower(),
        book_date=document.book_date,
        read_date=document.read_date,
        read_at=document.read_at,
        total_minor=document.total_minor,
        read_total_minor=None if is_gone else read_total,
        effect_minor=int(effect),
        difference=difference_of(document),
        read_effect_minor=document.read_effect_minor if document.read_state is ReadState.CHANGED else None,
    )


@dataclass(frozen=True, slots=True)
class Touched:
    """A document that is off and a payout that it belongs to, by Stripe's ids.

    ``share_minor`` is what our document does to clearing within that payout; ``is_shared``: it books several balance
    transactions, so its change cannot be told apart among them.
    """

    document_id: UUID
    payout_id: str
    share_minor: int
    is_shared: bool


async def read_touched(session: AsyncSession, payout_ids: Iterable[str]) -> list[Touched]:
    """Return which documents that are off belong to which of ``payout_ids`` (Stripe's)."""
    mate = aliased(BooksDocument)
    own = case((ClearingLine.document_id == BooksDocument.id, ClearingLine.amount_minor), else_=0)
    line = aliased(ClearingLine)
    lines = select(func.count(line.id)).where(line.document_id == BooksDocument.id).scalar_subquery()
    statement = (
        select(BooksDocument.id, BalanceTransaction.stripe_payout_id, func.sum(own), lines)
        .join(mate, mate.item_id == BooksDocument.item_id)
        .join(ClearingLine, ClearingLine.document_id == mate.id)
        .join(BalanceTransaction, BalanceTransaction.stripe_id == ClearingLine.stripe_balance_transaction_id)
        .where(
            is_off(),
            mate.state == DocumentState.POSTED,
            BalanceTransaction.stripe_payout_id.in_(list(payout_ids)),
            ~IS_PAYOUT_ITSELF,
        )
        .group_by(BooksDocument.id, BalanceTransaction.stripe_payout_id)
    )
    return [
        Touched(document_id, payout_id, int(share), count > 1)
        for document_id, payout_id, share, count in await session.execute(statement)
        if payout_id is not None
    ]


def untied_payouts() -> Select[int]:
    """Return the query that counts the payouts that do not tie; its cost follows what was changed, not the history."""
    # One inside the other instead of joined: SQLite began with every line of the clearing account.
    off, mate = aliased(BooksDocument), aliased(BooksDocument)
    mates = select(mate.id).where(
        mate.item_id.in_(select(off.item_id).where(is_off(off))), mate.state == DocumentState.POSTED
    )
    lines = select(ClearingLine.stripe_balance_transaction_id).where(ClearingLine.document_id.in_(mates))
    touched = select(
        case((IS_PAYOUT_ITSELF, BalanceTransaction.stripe_source_id), else_=BalanceTransaction.stripe_payout_id)
    ).where(BalanceTransaction.stripe_id.in_(lines))
    not_adding_up = select(SyncItem.source_id).where(
        SyncItem.connection_id.in_(select(Connection.id)),
        # Spelled as in its index as well.
        SyncItem.state.in_(literal(state.value, literal_execute=True) for state in STOPPED_STATES),
        SyncItem.state == ItemState.NEEDS_ATTENTION,
        SyncItem.kind == ItemKind.PAYOUT,
        SyncItem.reason == Reason.PAYOUT_DOES_NOT_TIE,
    )
    found = union(touched, not_adding_up).subquery()
    return select(func.count(found.c[0]))
