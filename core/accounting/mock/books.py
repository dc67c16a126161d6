"""The practice books: accounts, customers, documents and their entries in one SQLite file.

Every document is written in one transaction together with its entries and the key that it came under, and a document
whose entries do not add up to zero is not written at all. Several processes may share the file.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from core.accounting.mock import schema
from core.accounting.mock.schema import RECEIVABLE, SALES_TAX
from core.accounting.port import Account, AccountType, Company, TaxCode

__all__ = ["RECEIVABLE", "SALES_TAX", "CustomerRow", "DocumentRow", "MockBooks"]

_DOCUMENTS = (
    "SELECT d.*, c.name AS customer_name,"
    " (SELECT COALESCE(SUM(p.total_minor), 0) FROM document p WHERE p.pays_id = d.id) AS paid_minor"
    " FROM document d LEFT JOIN customer c ON c.id = d.customer_id WHERE d.company = ? AND "
)


@dataclass(frozen=True, slots=True)
class CustomerRow:
    """A client in the practice books."""

    id: str
    name: str
    email: str | None
    active: bool


@dataclass(frozen=True, slots=True)
class DocumentRow:
    """A document in the practice books.

    ``paid_minor`` is what payments settled of an invoice, or repayments of a credit note. ``customer_id`` is ``"0"``
    where the document has no client. A voided one stays, with a total of zero and without entries.
    """

    id: str
    kind: str
    reference: str
    is_ours: bool
    date: str
    currency: str
    total_minor: int
    customer_id: str
    pays_id: str | None
    paid_minor: int
    payee_id: str | None = None
    memo: str = ""
    is_voided: bool = False
    changed_at: str | None = None
    customer_name: str = ""


class MockBooks:
    """One company's books in the file at ``path``. Amounts are minor units; a debit is positive."""

    def __init__(self, path: str, company: Company) -> None:
        self._path = path
        self._id = company.external_id
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with closing(self._connect()) as db:
            # Must come before the transaction; the file remembers it.
            db.execute("PRAGMA journal_mode = WAL")
        with self.transaction() as db:
            schema.build(db, company)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Open a write transaction: all of it happens, or nothing."""
        with closing(self._connect()) as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
            except BaseException:
                db.execute("ROLLBACK")
                raise
            db.execute("COMMIT")

    def company(self) -> Company:
        """Return whose books these are; ``book_close_date`` is the last closed day."""
        row = self._all("SELECT * FROM company WHERE id = ?", self._id)[0]
        options = {"book_close_date": row["closed_to"]}
        return Company(row["id"], row["name"], row["country"], row["home_currency"], options)

    def accounts(self) -> list[Account]:
        """Return the chart of accounts by name."""
        rows = self._all("SELECT * FROM account WHERE company = ? ORDER BY name", self._id)
        return [
            Account(str(row["id"]), row["name"], None, AccountType(row["type"]), None, bool(row["active"]))
            for row in rows
        ]

    def tax_codes(self) -> list[TaxCode]:
        """Return the tax codes."""
        rows = self._all("SELECT * FROM tax_code WHERE company = ? ORDER BY id", self._id)
        return [TaxCode(str(row["id"]), row["name"], row["rate_ppm"], bool(row["active"])) for row in rows]

    def customers(self) -> list[CustomerRow]:
        """Return every client."""
        rows = self._all("SELECT * FROM customer WHERE company = ? ORDER BY id", self._id)
        return [CustomerRow(str(row["id"]), row["name"], row["email"], bool(row["active"])) for row in rows]

    def find_payee(self, name: str) -> str | None:
        """Return the id of the payee of this name."""
        rows = self._all("SELECT id FROM payee WHERE company = ? AND name = ?", self._id, name)
        return str(rows[0]["id"]) if rows else None

    def documents(self, kind: str = "") -> list[DocumentRow]:
        """Return the documents of one kind, or all, in the order of their writing."""
        rows = self._all(_DOCUMENTS + "(? = '' OR d.kind = ?) ORDER BY d.id", self._id, kind, kind)
        return [_document(row) for row in rows]

    def documents_within(self, start: date, end: date) -> list[DocumentRow]:
        """Return the documents dated within the days, both included."""
        days = (start.isoformat(), end.isoformat())
        rows = self._all(_DOCUMENTS + "d.date BETWEEN ? AND ? ORDER BY d.date, d.id", self._id, *days)
        return [_document(row) for row in rows]

    def find_document(self, kind: str, reference: str) -> DocumentRow | None:
        """Return the document of this kind and reference."""
        rows = self._all(_DOCUMENTS + "d.kind = ? AND d.reference = ?", self._id, kind, reference)
        return _document(rows[0]) if rows else None

    def document_of_id(self, kind: str, document_id: str) -> DocumentRow | None:
        """Return the document of this kind and id; None when it was deleted."""
        rows = self._all(_DOCUMENTS + "d.kind = ? AND d.id = ?", self._id, kind, document_id)
        return _document(rows[0]) if rows else None

    def newest_change(self) -> int:
        """Return the number of the last change; 0 before the first document."""
        rows = self._all("SELECT COALESCE(MAX(id), 0) AS newest FROM change WHERE company = ?", self._id)
        return int(rows[0]["newest"])

    def changes_after(self, number: int) -> list[tuple[int, str, str]]:
        """Return kind and id of each document that was written, changed or deleted later, with its last change."""
        rows = self._all(
            "SELECT MAX(id) AS newest, kind, document_id FROM change WHERE company = ? AND id > ?"
            " GROUP BY document_id, kind ORDER BY newest",
            self._id,
            number,
        )
        return [(int(row["newest"]), str(row["kind"]), str(row["document_id"])) for row in rows]

    def entries(self, document_id: str) -> dict[str, int]:
        """Return what a document does to each account, by the accounts' ids, debit positive."""
        rows = self._all(
            "SELECT account_id, SUM(amount_minor) AS amount FROM entry WHERE document_id = ? GROUP BY account_id",
            int(document_id),
        )
        return {str(row["account_id"]): int(row["amount"]) for row in rows}

    def trial_balance(self, as_of: date | None = None) -> dict[str, int]:
        """Return the balance of each account by name at the end of a day, or now; debit positive; the sum is zero."""
        rows = self._all(
            "SELECT a.name, SUM(e.amount_minor) AS balance FROM entry e JOIN account a ON a.id = e.account_id"
            " JOIN document d ON d.id = e.document_id"
            " WHERE a.company = ? AND d.date <= ? GROUP BY a.id ORDER BY a.name",
            self._id,
            as_of.isoformat() if as_of else "9999",
        )
        return {row["name"]: row["balance"] for row in rows}

    def balance(self, account_id: str) -> int:
        """Return what one account holds, debit positive."""
        rows = self._all(
            "SELECT COALESCE(SUM(e.amount_minor), 0) AS balance FROM entry e JOIN account a ON a.id = e.account_id"
            " WHERE a.company = ? AND CAST(a.id AS TEXT) = ?",
            self._id,
            account_id,
        )
        return int(rows[0]["balance"])

    def close_to(self, day: str) -> None:
        """Close the books up to and with ``day`` (YYYY-MM-DD); an empty text opens them."""
        with self.transaction() as db:
            db.execute("UPDATE company SET closed_to = ? WHERE id = ?", (day, self._id))

    def set_account_active(self, account_id: str, *, active: bool) -> None:
        """Archive an account, or bring it back."""
        with self.transaction() as db:
            db.execute(
                "UPDATE account SET active = ? WHERE company = ? AND id = ?", (active, self._id, int(account_id))
            )

    def set_customer_active(self, customer_id: str, *, active: bool) -> None:
        """Archive a client, or bring it back."""
        with self.transaction() as db:
            db.execute(
                "UPDATE customer SET active = ? WHERE company = ? AND id = ?", (active, self._id, int(customer_id))
            )

    def add_account(self, name: str, account_type: AccountType) -> str:
        """Add an account; return its id."""
        with self.transaction() as db:
            return _insert(
                db, "INSERT INTO account (company, name, type) VALUES (?, ?, ?)", self._id, name, account_type.value
            )

    def add_customer(self, name: str, email: str | None, db: sqlite3.Connection | None = None) -> str:
        """Add a client, by hand or inside an open transaction; return its id."""
        if db is None:
            with self.transaction() as own:
                return self.add_customer(name, email, own)
        return _insert(db, "INSERT INTO customer (company, name, email) VALUES (?, ?, ?)", self._id, name, email)

    def add_payee(self, name: str, db: sqlite3.Connection) -> str:
        """Add someone who is paid, inside an open transaction; return its id."""
        return _insert(db, "INSERT INTO payee (company, name) VALUES (?, ?)", self._id, name)

    def add_document(
        self,
        db: sqlite3.Connection,
        document: DocumentRow,
        entries: Sequence[tuple[str, int]],
    ) -> str:
        """Write a document with its entries (account id, amount) inside an open transaction; return its id.

        Raises:
            ValueError: if debits and credits differ.
        """
        if sum(amount for _, amount in entries) != 0:
            raise ValueError("debits and credits differ")
        document_id = _insert(
            db,
            "INSERT INTO document"
            " (company, kind, reference, is_ours, date, currency, total_minor, customer_id, pays_id, payee_id, memo)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            self._id,
            document.kind,
            document.reference,
            document.is_ours,
            document.date,
            document.currency,
            document.total_minor,
            int(document.customer_id),
            None if document.pays_id is None else int(document.pays_id),
            None if document.payee_id is None else int(document.payee_id),
            document.memo,
        )
        db.executemany(
            "INSERT INTO entry (document_id, account_id, amount_minor) VALUES (?, ?, ?)",
            [(int(document_id), int(account_id), amount) for account_id, amount in entries],
        )
        return document_id

    def answered(self, db: sqlite3.Connection, key: str) -> str | None:
        """Return the id that this key has written before."""
        row = db.execute("SELECT external_id FROM answer WHERE company = ? AND key = ?", (self._id, key)).fetchone()
        return None if row is None else str(row["external_id"])

    def remember(self, db: sqlite3.Connection, key: str, kind: str, external_id: str) -> None:
        """Keep what this key has written, in the same transaction."""
        db.execute("INSERT INTO answer VALUES (?, ?, ?, ?)", (self._id, key, kind, external_id))

    def account_named(self, name: str) -> str:
        """Return the id of one of the accounts that these books start with."""
        return next(account.external_id for account in self.accounts() if account.name == name)

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, timeout=5.0, isolation_level=None)
        db.row_factory = sqlite3.Row
        return db

    def _all(self, statement: str, *values: object) -> list[sqlite3.Row]:
        with closing(self._connect()) as db:
            return db.execute(statement, values).fetchall()


def _insert(db: sqlite3.Connection, statement: str, *values: object) -> str:
    return str(db.execute(statement, values).lastrowid)


def _document(row: sqlite3.Row) -> DocumentRow:
    return DocumentRow(
        id=str(row["id"]),
        kind=row["kind"],
        reference=row["reference"],
        is_ours=bool(row["is_ours"]),
        date=row["date"],
        currency=row["currency"],
        total_minor=row["total_minor"],
        customer_id=str(row["customer_id"]),
        pays_id=None if row["pays_id"] is None else str(row["pays_id"]),
        paid_minor=row["paid_minor"],
        payee_id=None if row["payee_id"] is None else str(row["payee_id"]),
        memo=row["memo"],
        is_voided=bool(row["is_voided"]),
        changed_at=row["changed_at"],
        customer_name=row["customer_name"] or "",
    )
