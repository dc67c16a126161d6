"""The file of the practice books: its tables, what later versions added to them, and what new books start with."""

import sqlite3

from core.accounting.port import AccountType, Company

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
    "AU": (("GST 10 %", 100_000), ("GST free", 0)),
    "NZ": (("GST 15 %", 150_000), ("Zero rated", 0)),
    "CA": (("GST 5 %", 50_000), ("Zero rated", 0), ("HST ON 13 %", 130_000)),
}

_TABLES = (
    """CREATE TABLE IF NOT EXISTS company (id TEXT PRIMARY KEY, name TEXT NOT NULL, country TEXT NOT NULL,
    home_currency TEXT NOT NULL, closed_to TEXT NOT NULL DEFAULT '')""",
    """CREATE TABLE IF NOT EXISTS account (id INTEGER PRIMARY KEY, company TEXT NOT NULL,
    name TEXT NOT NULL COLLATE NOCASE, type TEXT NOT NULL, active INTEGER NOT NULL DEFAULT 1,
    UNIQUE (company, name))""",
    """CREATE TABLE IF NOT EXISTS tax_code (id INTEGER PRIMARY KEY, company TEXT NOT NULL, name TEXT NOT NULL,
    rate_ppm INTEGER, active INTEGER NOT NULL DEFAULT 1, UNIQUE (company, name))""",
    """CREATE TABLE IF NOT EXISTS customer (id INTEGER PRIMARY KEY, company TEXT NOT NULL,
    name TEXT NOT NULL COLLATE NOCASE, email TEXT, active INTEGER NOT NULL DEFAULT 1, UNIQUE (company, name))""",
    """CREATE TABLE IF NOT EXISTS payee (id INTEGER PRIMARY KEY, company TEXT NOT NULL,
    name TEXT NOT NULL COLLATE NOCASE, UNIQUE (company, name))""",
    """CREATE TABLE IF NOT EXISTS document (id INTEGER PRIMARY KEY AUTOINCREMENT, company TEXT NOT NULL,
    kind TEXT NOT NULL, reference TEXT NOT NULL, is_ours INTEGER NOT NULL, date TEXT NOT NULL, currency TEXT NOT NULL,
    total_minor INTEGER NOT NULL, customer_id INTEGER NOT NULL, pays_id INTEGER, UNIQUE (company, kind, reference))""",
    """CREATE TABLE IF NOT EXISTS entry (document_id INTEGER NOT NULL, account_id INTEGER NOT NULL,
    amount_minor INTEGER NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS answer (company TEXT NOT NULL, key TEXT NOT NULL, kind TEXT NOT NULL,
    external_id TEXT NOT NULL, PRIMARY KEY (company, key))""",
    """CREATE TABLE IF NOT EXISTS change (id INTEGER PRIMARY KEY AUTOINCREMENT, company TEXT NOT NULL,
    document_id INTEGER NOT NULL, kind TEXT NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS change_company ON change (company, id)",
    "CREATE INDEX IF NOT EXISTS entry_document ON entry (document_id)",
    "CREATE INDEX IF NOT EXISTS entry_account ON entry (account_id)",
    "CREATE INDEX IF NOT EXISTS document_pays ON document (pays_id)",
)
_LATER_COLUMNS = {
    "payee_id": "INTEGER",
    "memo": "TEXT NOT NULL DEFAULT ''",
    "is_voided": "INTEGER NOT NULL DEFAULT 0",
    "changed_at": "TEXT",
}
"""Columns of ``document`` that files made before the refunds, fees and payouts lack."""

_TRIGGERS = (
    """CREATE TRIGGER IF NOT EXISTS document_written AFTER INSERT ON document BEGIN
    INSERT INTO change (company, document_id, kind) VALUES (NEW.company, NEW.id, NEW.kind); END""",
    """CREATE TRIGGER IF NOT EXISTS document_changed AFTER UPDATE ON document BEGIN
    INSERT INTO change (company, document_id, kind) VALUES (NEW.company, NEW.id, NEW.kind); END""",
    """CREATE TRIGGER IF NOT EXISTS document_removed AFTER DELETE ON document BEGIN
    INSERT INTO change (company, document_id, kind) VALUES (OLD.company, OLD.id, OLD.kind); END""",
)
"""Whoever writes, the books keep the order in which documents changed."""


def build(db: sqlite3.Connection, company: Company) -> None:
    """Make the tables, bring an older file up to date, and start the company's books where there are none."""
    for statement in _TABLES:
        db.execute(statement)
    present = {row["name"] for row in db.execute("PRAGMA table_info(document)")}
    for name, definition in _LATER_COLUMNS.items():
        if name not in present:
            db.execute(f"ALTER TABLE document ADD COLUMN {name} {definition}")
    for statement in _TRIGGERS:
        db.execute(statement)
    _seed(db, company)


def _seed(db: sqlite3.Connection, company: Company) -> None:
    added = db.execute(
        "INSERT INTO company (id, name, country, home_currency) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (company.external_id, company.name, company.country, company.home_currency.upper()),
    )
    if added.rowcount == 0:
        return
    db.executemany(
        "INSERT INTO account (company, name, type) VALUES (?, ?, ?)",
        [(company.external_id, name, kind.value) for name, kind in _CHART],
    )
    db.executemany(
        "INSERT INTO tax_code (company, name, rate_ppm) VALUES (?, ?, ?)",
        [(company.external_id, name, rate) for name, rate in _TAX_CODES.get(company.country, ())],
    )
