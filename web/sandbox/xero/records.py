"""What an organisation's books hold: one dataclass per kind of record."""

from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from web.sandbox.xero.amounts import rounded, to_cents

Json = dict[str, Any]
ONE = Decimal(1)

CLASSES = {
    "BANK": "ASSET",
    "CURRENT": "ASSET",
    "FIXED": "ASSET",
    "INVENTORY": "ASSET",
    "NONCURRENT": "ASSET",
    "PREPAYMENT": "ASSET",
    "CURRLIAB": "LIABILITY",
    "LIABILITY": "LIABILITY",
    "TERMLIAB": "LIABILITY",
    "PAYG": "LIABILITY",
    "EQUITY": "EQUITY",
    "REVENUE": "REVENUE",
    "SALES": "REVENUE",
    "OTHERINCOME": "REVENUE",
    "EXPENSE": "EXPENSE",
    "DIRECTCOSTS": "EXPENSE",
    "OVERHEADS": "EXPENSE",
    "DEPRECIATN": "EXPENSE",
}


@dataclass(frozen=True)
class Note:
    """One line of a record's history."""

    at: datetime
    details: str
    user: str


@dataclass(kw_only=True)
class Record:
    """What all records share."""

    id: str
    created: datetime
    updated: datetime
    by_app: bool = False
    """Made through the API, not on the owner's screen."""
    notes: list[Note] = field(default_factory=list)


@dataclass(kw_only=True)
class Account(Record):
    """One account of the chart."""

    code: str
    name: str
    type: str
    tax_type: str
    status: str = "ACTIVE"
    system: str = ""
    currency: str = ""
    takes_payments: bool = False
    bank_number: str = ""
    bank_type: str = "BANK"
    description: str = ""

    @property
    def is_bank(self) -> bool:
        return self.type == "BANK"

    @property
    def cls(self) -> str:
        return CLASSES[self.type]


@dataclass(kw_only=True)
class TaxRate(Record):
    """One tax rate; ``percent`` is what the books compute with."""

    name: str
    tax_type: str
    percent: Decimal
    report_type: str
    on_revenue: bool
    on_expenses: bool
    shown_percent: Decimal | None = None
    status: str = "ACTIVE"


@dataclass(kw_only=True)
class Contact(Record):
    """A customer or supplier; ``fields`` is what was sent, in Xero's words."""

    fields: Json
    is_customer: bool = False
    is_supplier: bool = False

    @property
    def name(self) -> str:
        return str(self.fields["Name"])

    @property
    def number(self) -> str:
        return str(self.fields.get("ContactNumber", ""))

    @property
    def status(self) -> str:
        return str(self.fields.get("ContactStatus", "ACTIVE"))


@dataclass(kw_only=True)
class Item(Record):
    """A product or service of the price list."""

    fields: Json

    @property
    def code(self) -> str:
        return str(self.fields["Code"])


@dataclass(kw_only=True)
class Line:
    """One line: ``amount`` as entered (gross where amounts include tax), ``tax`` beside it, both cents."""

    id: str
    description: str
    quantity: Decimal
    unit: Decimal
    amount: int
    tax: int
    net: int
    account: Account | None
    tax_type: str
    item_code: str = ""
    discount_rate: Decimal | None = None
    discount_amount: Decimal | None = None
    tracking: list[Json] = field(default_factory=list)


@dataclass(kw_only=True)
class Document(Record):
    """An invoice, bill or credit note."""

    entity: str
    type: str
    number: str
    contact: Contact
    day: date
    due: date | None
    status: str
    mode: str
    currency: str
    rate: Decimal
    lines: list[Line]
    extra: Json
    """Texts and flags that mean nothing to the ledger."""
    warnings: list[str] = field(default_factory=list)
    paid: dict[str, "Settled"] = field(default_factory=dict)
    """Payment id -> what it settled."""
    credited: dict[str, "Settled"] = field(default_factory=dict)
    """Allocation id -> what it settled."""
    paid_on: date | None = None

    @property
    def is_sale(self) -> bool:
        return self.type in ("ACCREC", "ACCRECCREDIT")

    @property
    def reference(self) -> str:
        return str(self.extra.get("Reference", ""))

    @property
    def tax(self) -> int:
        return sum(line.tax for line in self.lines)

    @property
    def subtotal(self) -> int:
        return sum(line.net for line in self.lines)

    @property
    def total(self) -> int:
        return self.subtotal + self.tax

    @property
    def settled(self) -> int:
        return sum(part.cents for part in (*self.paid.values(), *self.credited.values()))

    @property
    def open(self) -> int:
        return self.total - self.settled


@dataclass(frozen=True)
class Settled:
    """A part of a document that is paid or credited, in its currency and in the base currency."""

    cents: int
    base_cents: int


@dataclass(kw_only=True)
class Allocation:
    """Credit of a credit note used on an invoice."""

    id: str
    invoice: Document
    note: Document
    day: date
    cents: int


@dataclass(kw_only=True)
class Payment(Record):
    """Money for an invoice or back for a credit note."""

    document: Document
    account: Account
    day: date
    cents: int
    bank_cents: int
    rate: Decimal
    reference: str
    status: str = "AUTHORISED"
    is_reconciled: bool = False


@dataclass(kw_only=True)
class BankTransaction(Record):
    """Money spent or received without a document."""

    type: str
    contact: Contact
    account: Account
    day: date
    mode: str
    currency: str
    rate: Decimal
    lines: list[Line]
    extra: Json
    status: str = "AUTHORISED"
    is_reconciled: bool = False

    @property
    def reference(self) -> str:
        return str(self.extra.get("Reference", ""))

    @property
    def tax(self) -> int:
        return sum(line.tax for line in self.lines)

    @property
    def subtotal(self) -> int:
        return sum(line.net for line in self.lines)

    @property
    def total(self) -> int:
        return self.subtotal + self.tax


@dataclass(kw_only=True)
class BankTransfer(Record):
    """Money from one bank account to another."""

    source: Account
    target: Account
    day: date
    cents: int
    reference: str
    source_transaction_id: str
    target_transaction_id: str
    status: str = "AUTHORISED"
    is_reconciled: bool = False


@dataclass(kw_only=True)
class JournalLine:
    """One line of a manual journal; debits positive."""

    account: Account
    description: str
    tax_type: str
    amount: int
    net: int
    tax: int


@dataclass(kw_only=True)
class Journal(Record):
    """A manual journal."""

    narration: str
    day: date
    status: str
    mode: str
    lines: list[JournalLine]
    extra: Json


def to_base(cents: int, rate: Decimal) -> int:
    """``rate`` is foreign units for one base unit, as Xero prints it."""
    return cents if rate == ONE else to_cents(Decimal(cents).scaleb(-2) / rate)


def rate_of(cents: int, base_cents: int) -> Decimal:
    """The rate that turns one into the other, with Xero's six decimals."""
    return ONE if cents == base_cents or not base_cents else rounded(Decimal(cents) / Decimal(base_cents), 6)
