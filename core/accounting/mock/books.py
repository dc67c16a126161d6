"""The practice books: accounts, customers, documents and their entries in one SQLite file.

Every document is written in one transaction together with its entries and the key that it came under, and a document
whose entries do not add up to zero is not written at all. Several processes may share the file.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from core.accounting.port import Account, AccountType, Company, TaxCode

RECEIVABLE = "Accounts receivable"
SALES_TAX = "Sales tax payable"

_CHART = (
    ("Checking", AccountType.BANK),
    (RECEIVABLE, AccountType.RECEIVABLE),
    ("Session income", AccountType.INCOME),
    ("Product income", AccountType.INCOME),
    ("Discounts given", AccountType.INCOME),
    ("Bank charges", AccountType.EXPENSE),
    (SALES_TAX, AccountType.CURRENT_LIABILITY),
    ("Opening balance", AccountType.EQUITY),
)
_TAX_CODES = {
    "US": (("Taxable", None), ("Non-taxable", 0)),
    "GB": (("20.0% S", 200_000), ("0.0% Z", 0), ("Exempt", 0)),
}

_SCHEMA = """
CREATE TABLE IF NOT EXISTS company (id TEXT PRIMARY KEY, name TEXT NOT NULL, country TEXT NOT NULL,
    home_currency TEXT NOT NULL, closed_to TEXT NOT NULL DEFAULT '');
CREATE TABLE IF NOT EXISTS account (id INTEGER PRIMARY KEY, company TEXT NOT NULL, name TEXT NOT NULL COLLATE NOCASE,
    type TEXT NOT NULL, active INTEGER NOT NULL DEFAULT 1, UNIQUE (company, name));
CREATE TABLE IF NOT EXISTS tax_code (id INTEGER PRIMARY KEY, company TEXT NOT NULL, name TEXT NOT NULL,
    rate_ppm INTEGER, active INTEGER NOT NULL DEFAULT 1, UNIQUE (company, name));
CREATE TABLE IF NOT EXISTS customer (id INTEGER PRIMARY KEY, company TEXT NOT NULL, name TEXT NOT NULL COLLATE NOCASE,
    email TEXT, active INTEGER NOT NULL DEFAULT 1, UNIQUE (company, name));
CREATE TABLE IF NOT EXISTS document (id INTEGER PRIMARY KEY, company TEXT NOT NULL, kind TEXT NOT NULL,
    reference TEXT NOT NULL, is_ours INTEGER NOT NULL, date TEXT NOT NULL, currency TEXT NOT NULL,
    total_minor INTEGER NOT NULL, customer_id INTEGER NOT NULL, pays_id INTEGER, UNIQUE (company, kind, reference));
CREATE TABLE IF NOT EXISTS entry (document_id INTEGER NOT NULL, account_id INTEGER NOT NULL,
    amount_minor INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS answer (company TEXT NOT NULL, key TEXT NOT NULL, kind TEXT NOT NULL,
    external_id TEXT NOT NULL, PRIMARY KEY (company, key));
"""


@dataclass(frozen=True, slots=True)
class CustomerRow:
    """A client in the practice books."""

    id: str
    name: str
    email: str | None
    active: bool


@dataclass(frozen=True, slots=True)
class DocumentRow:
    """A document in the practice books. ``paid_minor`` is what payments settled of an invoice."""

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
            for statement in filter(str.strip, _SCHEMA.split(";")):
                db.execute(statement)
            self._seed(db, company)

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
        row = self._one("SELECT * FROM company WHERE id = ?", self._id)
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

    def documents(self, kind: str = "") -> list[DocumentRow]:
        """Return the documents of one kind, or all."""
        rows = self._all(
            "SELECT d.*, (SELECT COALESCE(SUM(p.total_minor), 0) FROM document p WHERE p.pays_id = d.id) AS paid_minor "
            "FROM document d WHERE d.company = ? AND (? = '' OR d.kind = ?) ORDER BY d.id",
            self._id,
            kind,
            kind,
        )
        return [
            DocumentRow(
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
            )
            for row in rows
        ]

    def trial_balance(self) -> dict[str, int]:
        """Return the balance of each account by name, debit positive; the sum is zero."""
        rows = self._all(
            "SELECT a.name, SUM(e.amount_minor) AS balance FROM entry e JOIN account a ON a.id = e.account_id "
            "WHERE a.company = ? GROUP BY a.id ORDER BY a.name",
            self._id,
        )
        return {row["name"]: row["balance"] for row in rows}

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
            return self._insert(
                db, "INSERT INTO account (company, name, type) VALUES (?, ?, ?)", self._id, name, account_type.value
            )

    def add_customer(self, name: str, email: str | None) -> str:
        """Add a client by hand; return its id."""
        with self.transaction() as db:
            return self._insert(
                db, "INSERT INTO customer (company, name, email) VALUES (?, ?, ?)", self._id, name, email
            )

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
        document_id = self._insert(
            db,
            "INSERT INTO document"
            " (company, kind, reference, is_ours, date, currency, total_minor, customer_id, pays_id)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            self._id,
            document.kind,
            document.reference,
            document.is_ours,
            document.date,
            document.currency,
            document.total_minor,
            int(document.customer_id),
            None if document.pays_id is None else int(document.pays_id),
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

    def _seed(self, db: sqlite3.Connection, company: Company) -> None:
        added = db.execute(
            "INSERT INTO company (id, name, country, home_currency) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (company.external_id, company.name, company.country, company.home_currency.upper()),
        )
        if added.rowcount == 0:
            return
        db.executemany(
            "INSERT INTO account (company, name, type) VALUES (?, ?, ?)",
            [(self._id, name, kind.value) for name, kind in _CHART],
        )
        db.executemany(
            "INSERT INTO tax_code (company, name, rate_ppm) VALUES (?, ?, ?)",
            [(self._id, name, rate) for name, rate in _TAX_CODES.get(company.country, ())],
        )

    def _insert(self, db: sqlite3.Connection, statement: str, *values: object) -> str:
        return str(db.execute(statement, values).lastrowid)

    def _one(self, statement: str, *values: object) -> sqlite3.Row:
        return self._all(statement, *values)[0]

    def _all(self, statement: str, *values: object) -> list[sqlite3.Row]:
        with closing(self._connect()) as db:
            return db.execute(statement, values).fetchall()
