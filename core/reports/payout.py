"""The certificate of one payout: every balance transaction by Stripe, by our documents, and as the books have it.

Nothing in the books' column is taken from memory: it is our documents, corrected by the totals that were read back from
the books. A row where the columns differ is named with what was changed.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import Row, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from core.books.documents import DocumentKind
from core.db.models import (
    BalanceTransaction,
    BooksDocument,
    ClearingLine,
    Customer,
    Dispute,
    DocumentState,
    ItemKind,
    Payment,
    PaymentState,
    Payout,
    ReadState,
    Refund,
    SyncItem,
)
from core.errors import NotFoundError
from core.reasons import Reason
from core.reports.differences import Difference, difference_of
from core.reports.payments import client_name
from core.reports.payouts import PayoutRow, judge_payouts, read_total
from core.reports.reconciliation_changes import Changed, changed_of
from core.reports.reconciliation_kinds import IS_PAYOUT_ITSELF, Group, group_of
from core.reports.standing import Standing
from core.reports.statements import Sold, read_sold

MAX_LINES = 2000
"""Balance transactions on the page; the sums are those of all of them, and so is the file."""

_ORDER = list(DocumentKind)
"""Documents of one line are named in this order: the sale, its money, its fee."""


@dataclass(frozen=True, slots=True)
class Proven:
    """A document of ours in the books. ``copies`` is how many stand for the same step of the same fact: one.

    ``read_total_minor`` is None where it is gone; ``read_at`` is None until it was read back.
    """

    id: UUID
    kind: DocumentKind
    number: str
    external_id: str
    day: date
    total_minor: int
    read_total_minor: int | None
    is_changed: bool
    read_day: date | None
    read_at: datetime | None
    copies: int
    difference: Difference | None


@dataclass(frozen=True, slots=True)
class CertificateRow:
    """One balance transaction, or a document that books several and is off.

    Amounts in minor units: ``stripe_minor`` is its net, ``ours_minor`` the sum of our documents on the clearing
    account, ``books_minor`` the same as the books have it. ``is_before_start``: the opening balance stands for it.
    """

    stripe_id: str
    category: str
    group: Group
    day: date
    client: str
    what_for: str
    payment_id: UUID | None
    gross_minor: int
    fee_minor: int
    stripe_minor: int
    ours_minor: int
    books_minor: int
    documents: tuple[Proven, ...]
    is_before_start: bool = False
    is_left_out: bool = False
    is_shared: bool = False

    @property
    def difference_minor(self) -> int:
        """Books less Stripe."""
        return self.books_minor - self.stripe_minor


@dataclass(frozen=True, slots=True)
class Certificate:
    """A payout with its proof. ``more`` balance transactions are in the sums and the file, not among ``rows``."""

    payout: Payout
    row: PayoutRow
    rows: tuple[CertificateRow, ...]
    transfers: tuple[Proven, ...]
    stripe_minor: int
    ours_minor: int
    books_minor: int
    last_read_at: datetime | None
    more: int

    @property
    def doubled(self) -> int:
        """How many documents stand more than once; anything but zero is a fault of ours."""
        every = {document.id: document for row in self.rows for document in row.documents}
        every |= {document.id: document for document in self.transfers}
        return sum(document.copies != 1 for document in every.values())

    @property
    def unread(self) -> int:
        """How many of our documents the books have never been asked for: their figures are what we sent."""
        every = {document.id: document for row in self.rows for document in row.documents}
        every |= {document.id: document for document in self.transfers}
        return sum(document.read_at is None for document in every.values())

    @property
    def documents(self) -> int:
        """How many documents of ours make up the payout, its transfer included."""
        return len({d.id for row in self.rows for d in row.documents} | {d.id for d in self.transfers})


async def read_certificate(
    session: AsyncSession, payout_id: UUID, *, standing: Standing, limit: int = MAX_LINES
) -> Certificate:
    """Return the certificate of a payout of the session's tenant.

    Raises:
        NotFoundError: there is none with this id, or it is another tenant's (T6).
    """
    payout = await session.get(Payout, payout_id)
    if payout is None:
        raise NotFoundError("no such payout")
    (row,) = await judge_payouts(session, [payout], standing=standing)
    parts = await _parts(session, payout)
    names = await _names(session, payout)
    sold = await read_sold(session, [found[1] for found in names.values() if found[1]]) if names else {}
    books_id = standing.books.connection.id if standing.books else None
    work = await _Documents.read(session, payout, books_id) if books_id else _Documents()
    starts_at = standing.posting_starts_at
    rows = [_row(part, work, names, sold, starts_at) for part in parts]
    rows += work.shared_rows(payout)
    transfers = work.transfers()
    moments = [one.read_at for found in rows for one in found.documents if one.read_at]
    moments += [one.read_at for one in transfers if one.read_at]
    return Certificate(
        payout=payout,
        row=row,
        rows=tuple(rows[:limit]),
        transfers=transfers,
        stripe_minor=sum(found.stripe_minor for found in rows),
        ours_minor=sum(found.ours_minor for found in rows),
        books_minor=sum(found.books_minor for found in rows),
        last_read_at=min(moments, default=None),
        more=max(0, len(rows) - limit),
    )


async def _parts(session: AsyncSession, payout: Payout) -> Sequence[BalanceTransaction]:
    statement = (
        select(BalanceTransaction)
        .where(BalanceTransaction.stripe_payout_id == payout.stripe_id, ~IS_PAYOUT_ITSELF)
        .order_by(BalanceTransaction.created_at, BalanceTransaction.stripe_id)
    )
    return (await session.execute(statement)).scalars().all()


_Name = tuple[str, UUID | None, bool]
"""Client, payment, and whether the payment was left out by a person."""


async def _names(session: AsyncSession, payout: Payout) -> dict[str, _Name]:
    """Return whose each balance transaction is: of its charge's payment, or of the one refunded or disputed."""
    paid, earlier = aliased(Payment), aliased(Payment)
    statement = (
        select(
            BalanceTransaction.stripe_id, Customer.name, Customer.email, paid.state, paid.reason, paid.id, earlier.id
        )
        .outerjoin(paid, paid.stripe_balance_transaction_id == BalanceTransaction.stripe_id)
        .outerjoin(Refund, Refund.stripe_id == BalanceTransaction.stripe_source_id)
        .outerjoin(Dispute, Dispute.stripe_id == BalanceTransaction.stripe_source_id)
        .outerjoin(earlier, earlier.id == func.coalesce(Refund.payment_id, Dispute.payment_id))
        .join(Customer, Customer.id == func.coalesce(paid.customer_id, earlier.customer_id))
        .where(BalanceTransaction.stripe_payout_id == payout.stripe_id)
    )
    return {
        stripe_id: (
            client_name(name, email),
            paid_id or earlier_id,
            state is PaymentState.IGNORED and reason is Reason.IGNORED_BY_PERSON,
        )
        for stripe_id, name, email, state, reason, paid_id, earlier_id in await session.execute(statement)
    }


def _row(
    part: BalanceTransaction,
    work: "_Documents",
    names: dict[str, _Name],
    sold: dict[UUID, Sold],
    starts_at: datetime | None,
) -> CertificateRow:
    client, payment_id, is_left_out = names.get(part.stripe_id, ("", None, False))
    is_before = starts_at is not None and part.created_at < starts_at
    ours = part.net_minor if is_before else work.ours.get(part.stripe_id, 0)
    what = sold[payment_id].label if payment_id in sold else ""
    return CertificateRow(
        stripe_id=part.stripe_id,
        category=part.reporting_category,
        group=group_of(part.reporting_category),
        day=part.book_date or part.created_at.date(),
        client=client,
        what_for=what or part.description or "",
        payment_id=payment_id,
        gross_minor=part.amount_minor,
        fee_minor=part.fee_minor,
        stripe_minor=part.net_minor,
        ours_minor=ours,
        books_minor=ours + (0 if is_before else work.deviation_of(part.stripe_id)),
        documents=work.documents_of(part.stripe_id),
        is_before_start=is_before,
        is_left_out=is_left_out and not ours,
    )


class _Documents:
    """Our documents around one payout: by balance transaction, with those of the same item that touch no clearing."""

    def __init__(self) -> None:
        self.ours: dict[str, int] = {}
        self._rows: dict[UUID, tuple[BooksDocument, SyncItem, int, int]] = {}
        self._of_item: dict[UUID, list[UUID]] = defaultdict(list)
        self._lines: dict[str, list[tuple[UUID, int]]] = defaultdict(list)
        self._copies: Counter[tuple[UUID, str]] = Counter()

    @classmethod
    async def read(cls, session: AsyncSession, payout: Payout, books_id: UUID) -> "_Documents":
        """Read every document of the items that book a part of the payout, and its own."""
        found = cls()
        mate = aliased(BooksDocument)
        items = (
            select(mate.item_id)
            .join(ClearingLine, ClearingLine.document_id == mate.id)
            .join(BalanceTransaction, BalanceTransaction.stripe_id == ClearingLine.stripe_balance_transaction_id)
            .where(BalanceTransaction.stripe_payout_id == payout.stripe_id, mate.connection_id == books_id)
        )
        effect = (
            select(func.coalesce(func.sum(ClearingLine.amount_minor), 0))
            .where(ClearingLine.document_id == BooksDocument.id)
            .scalar_subquery()
        )
        lines = (
            select(func.count(ClearingLine.id)).where(ClearingLine.document_id == BooksDocument.id).scalar_subquery()
        )
        own = select(SyncItem.id).where(
            SyncItem.connection_id == books_id,
            SyncItem.kind == ItemKind.PAYOUT,
            SyncItem.source_id == payout.stripe_id,
        )
        statement = (
            select(BooksDocument, SyncItem, effect, lines)
            .join(SyncItem, SyncItem.id == BooksDocument.item_id)
            .where(
                BooksDocument.item_id.in_(items.union_all(own)),
                BooksDocument.state == DocumentState.POSTED,
            )
            .order_by(BooksDocument.position, BooksDocument.created_at, BooksDocument.id)
        )
        for row in await session.execute(statement):
            found._take(row)
        of_payout = (
            select(ClearingLine.stripe_balance_transaction_id, ClearingLine.document_id, ClearingLine.amount_minor)
            .join(BalanceTransaction, BalanceTransaction.stripe_id == ClearingLine.stripe_balance_transaction_id)
            .where(BalanceTransaction.stripe_payout_id == payout.stripe_id, ~IS_PAYOUT_ITSELF)
        )
        for stripe_id, document_id, amount in await session.execute(of_payout):
            if document_id in found._rows and stripe_id is not None:
                found._lines[stripe_id].append((document_id, amount))
                found.ours[stripe_id] = found.ours.get(stripe_id, 0) + amount
        return found

    def _take(self, row: Row[BooksDocument, SyncItem, int, int]) -> None:
        document, item, effect, lines = row
        self._rows[document.id] = (document, item, int(effect), int(lines))
        self._of_item[item.id].append(document.id)
        self._copies[item.id, document.step] += 1

    def documents_of(self, stripe_id: str) -> tuple[Proven, ...]:
        """Return what stands in the books for one balance transaction."""
        return tuple(self._proven(document_id) for document_id in self._ids_of(stripe_id))

    def _ids_of(self, stripe_id: str) -> list[UUID]:
        """A document of fees is the item's own; a sale or refund brings its other half along."""
        ids: list[UUID] = []
        for document_id, _ in self._lines.get(stripe_id, ()):
            _, item, _, _ = self._rows[document_id]
            whole = item.kind in (ItemKind.SALE, ItemKind.REFUND)
            ids += self._of_item[item.id] if whole else [document_id]
        return sorted(dict.fromkeys(ids), key=lambda one: _ORDER.index(self._rows[one][0].kind))

    def deviation_of(self, stripe_id: str) -> int:
        """Return by how much the books differ in documents that book this balance transaction alone."""
        by_item: dict[UUID, int] = {}
        for document_id in self._ids_of(stripe_id):
            if not self._is_shared(document_id):
                changed = self._changed(document_id)
                by_item[changed.item_id] = max(by_item.get(changed.item_id, 0), changed.deviation_minor, key=abs)
        return sum(by_item.values())

    def shared_rows(self, payout: Payout) -> list[CertificateRow]:
        """Return a row for each document of several balance transactions that is off: it cannot be told apart."""
        shares: dict[UUID, int] = {}
        for lines in self._lines.values():
            for document_id, amount in lines:
                if self._is_shared(document_id):
                    shares[document_id] = shares.get(document_id, 0) + amount
        rows = []
        for document_id, share in shares.items():
            changed = self._changed(document_id)
            off = -share if changed.is_gone else changed.deviation_minor
            if off:
                rows.append(_shared_row(changed, self._proven(document_id), off))
        return rows

    def transfers(self) -> tuple[Proven, ...]:
        """Return the payout's own documents."""
        return tuple(
            self._proven(document_id)
            for document_id, (_, item, _, _) in self._rows.items()
            if item.kind is ItemKind.PAYOUT
        )

    def _is_shared(self, document_id: UUID) -> bool:
        return self._rows[document_id][3] > 1

    def _changed(self, document_id: UUID) -> Changed:
        document, item, effect, _ = self._rows[document_id]
        return changed_of(document, item, effect)

    def _proven(self, document_id: UUID) -> Proven:
        document, item, _, _ = self._rows[document_id]
        return Proven(
            id=document.id,
            kind=document.kind,
            number=document.external_number or document.reference,
            external_id=document.external_id or "",
            day=document.book_date,
            total_minor=document.total_minor,
            read_total_minor=read_total(document),
            is_changed=document.read_state in (ReadState.CHANGED, ReadState.GONE),
            read_day=document.read_date,
            read_at=document.read_at,
            copies=self._copies[item.id, document.step],
            difference=difference_of(document),
        )


def _shared_row(changed: Changed, document: Proven, off: int) -> CertificateRow:
    return CertificateRow(
        stripe_id="",
        category="fee",
        group=Group.FEES,
        day=changed.book_date,
        client="",
        what_for="",
        payment_id=None,
        gross_minor=0,
        fee_minor=0,
        stripe_minor=0,
        ours_minor=0,
        books_minor=off,
        documents=(document,),
        is_shared=True,
    )
