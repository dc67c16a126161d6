"""What people do in the practice books themselves, behind our back: edit, void, delete, write documents of theirs."""

import sqlite3
from collections.abc import Sequence
from datetime import date, datetime

from core.accounting.mock.books import RECEIVABLE, DocumentRow, MockBooks
from core.books.documents import DocumentKind


class OwnersHand:
    """A person at work in one company's practice books. Nothing here asks whether Tieout would like it."""

    def __init__(self, books: MockBooks) -> None:
        self._books = books

    def edit_total(self, kind: DocumentKind, document_id: str, total_minor: int, *, at: datetime) -> None:
        """Give a document another total: its own side and the largest entry on the other side move with it.

        Raises:
            LookupError: no such document, or a voided one.
        """
        with self._books.transaction() as db:
            more = total_minor - self._total(db, kind, document_id)
            entries = self._entries(db, document_id)
            own = max(entries, key=lambda entry: abs(entry[1]))
            sign = 1 if own[1] > 0 else -1
            other = max(entries, key=lambda entry: -sign * entry[1])
            for (row, _), change in ((own, sign * more), (other, -sign * more)):
                db.execute("UPDATE entry SET amount_minor = amount_minor + ? WHERE rowid = ?", (change, row))
            db.execute("UPDATE document SET total_minor = ? WHERE id = ?", (total_minor, int(document_id)))
            _mark(db, document_id, at)

    def move(self, kind: DocumentKind, document_id: str, day: date, *, at: datetime) -> None:
        """Give a document another date."""
        with self._books.transaction() as db:
            self._total(db, kind, document_id)
            db.execute("UPDATE document SET date = ? WHERE id = ?", (day.isoformat(), int(document_id)))
            _mark(db, document_id, at)

    def void(self, kind: DocumentKind, document_id: str, *, at: datetime) -> None:
        """Leave the document with nothing in it; what it paid is open again."""
        with self._books.transaction() as db:
            self._total(db, kind, document_id)
            db.execute("DELETE FROM entry WHERE document_id = ?", (int(document_id),))
            db.execute(
                "UPDATE document SET total_minor = 0, is_voided = 1, pays_id = NULL WHERE id = ?", (int(document_id),)
            )
            _mark(db, document_id, at)

    def delete(self, kind: DocumentKind, document_id: str) -> None:
        """Remove the document and everything that it did."""
        with self._books.transaction() as db:
            self._total(db, kind, document_id)
            db.execute("DELETE FROM entry WHERE document_id = ?", (int(document_id),))
            db.execute("DELETE FROM document WHERE id = ?", (int(document_id),))

    def add_sale(
        self,
        kind: DocumentKind,
        day: date,
        total_minor: int,
        *,
        client: str = "Somebody else",
        number: str = "",
        note: str = "",
        into: str = "Checking",
    ) -> str:
        """Write an invoice (unpaid) or a sales receipt (into a named account) of one's own; return its id."""
        known = next((row.id for row in self._books.customers() if row.name.casefold() == client.casefold()), None)
        customer_id = known or self._books.add_customer(client, None)
        own = RECEIVABLE if kind is DocumentKind.INVOICE else into
        entries = ((own, total_minor), ("Session income", -total_minor))
        return self.add_document(kind, day, entries, customer_id=customer_id, number=number, note=note)

    def add_document(
        self,
        kind: DocumentKind,
        day: date,
        entries: Sequence[tuple[str, int]],
        *,
        customer_id: str = "0",
        number: str = "",
        note: str = "",
    ) -> str:
        """Write any document of one's own; return its id. ``entries``: account names and amounts, debit positive."""
        by_name = {account.name: account.external_id for account in self._books.accounts()}
        row = DocumentRow(
            id="",
            kind=kind.value,
            reference=number or f"OWN-{1 + max((int(row.id) for row in self._books.documents()), default=0)}",
            is_ours=False,
            date=day.isoformat(),
            currency=self._books.company().home_currency,
            total_minor=sum(amount for _, amount in entries if amount > 0),
            customer_id=customer_id,
            pays_id=None,
            paid_minor=0,
            memo=note,
        )
        with self._books.transaction() as db:
            return self._books.add_document(db, row, [(by_name[name], amount) for name, amount in entries])

    def _total(self, db: sqlite3.Connection, kind: DocumentKind, document_id: str) -> int:
        row = db.execute(
            "SELECT total_minor FROM document WHERE id = ? AND kind = ? AND is_voided = 0",
            (int(document_id), kind.value),
        ).fetchone()
        if row is None:
            raise LookupError(f"no {kind.value} {document_id} in these books")
        return int(row["total_minor"])

    def _entries(self, db: sqlite3.Connection, document_id: str) -> list[tuple[int, int]]:
        rows = db.execute("SELECT rowid, amount_minor FROM entry WHERE document_id = ?", (int(document_id),))
        return [(int(row["rowid"]), int(row["amount_minor"])) for row in rows]


def _mark(db: sqlite3.Connection, document_id: str, at: datetime) -> None:
    db.execute("UPDATE document SET changed_at = ? WHERE id = ?", (at.isoformat(), int(document_id)))
