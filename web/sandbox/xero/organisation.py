"""One organisation: its lists and documents, its ledger, its switches and its meters."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import msgspec

from web.sandbox.xero.amounts import long_day
from web.sandbox.xero.errors import Invalid
from web.sandbox.xero.ledger import Ledger
from web.sandbox.xero.limits import Window
from web.sandbox.xero.records import (
    ONE,
    Account,
    Allocation,
    BankTransaction,
    BankTransfer,
    Contact,
    Document,
    Item,
    Journal,
    Json,
    Payment,
    TaxRate,
)


class Behaviour(msgspec.Struct, kw_only=True):
    """Settings of the organisation, and what nobody outside Xero knows. Defaults are the likelier answers."""

    period_lock_date: date | None = None
    end_of_year_lock_date: date | None = None
    is_adviser: bool = False
    """Whoever signed in is an adviser, whom the period lock date does not stop."""
    approvals_left: int | None = None
    """Approved sales invoices that a small plan still allows. None = no limit."""
    throttle: bool = True
    minute_limit: int = 60
    day_limit: int = 5000
    """1000 for an app on the Starter tier."""
    concurrent_limit: int = 5
    latency_s: float = 0.0
    """How long each call takes, inside the limit of concurrent calls."""
    offline: bool = False
    large: bool = False
    """More than 100,000 records: filters that are not optimised are refused."""
    summarize_by_default: bool = True
    """What a call without summarizeErrors gets."""
    keep_good_elements: bool = True
    """Whether the good elements of a call that ends as 400 are stored."""
    reuse_numbers: bool = False
    """Whether the number of a voided or deleted document is free again."""
    rate_is_base_units: bool = False
    """CurrencyRate counts base units for one foreign unit, not the other way round."""


@dataclass
class Break:
    """The next write dies in the middle; or, with ``archives``, the owner archives that account meanwhile."""

    after_elements: int
    status: int
    archives: str | None = None


@dataclass(frozen=True)
class Violation:
    """Something that Xero would swallow or that costs money, and a test wants to know."""

    kind: str
    detail: str


@dataclass
class Organisation:
    """The whole state of one tenant."""

    tenant_id: str
    name: str
    country: str
    currency: str
    timezone: str
    created: datetime
    short_code: str
    behaviour: Behaviour = field(default_factory=Behaviour)
    accounts: dict[str, Account] = field(default_factory=dict)
    tax_rates: dict[str, TaxRate] = field(default_factory=dict)
    contacts: dict[str, Contact] = field(default_factory=dict)
    items: dict[str, Item] = field(default_factory=dict)
    invoices: dict[str, Document] = field(default_factory=dict)
    credit_notes: dict[str, Document] = field(default_factory=dict)
    allocations: dict[str, Allocation] = field(default_factory=dict)
    payments: dict[str, Payment] = field(default_factory=dict)
    bank_transactions: dict[str, BankTransaction] = field(default_factory=dict)
    bank_transfers: dict[str, BankTransfer] = field(default_factory=dict)
    journals: dict[str, Journal] = field(default_factory=dict)
    tracking: list[Json] = field(default_factory=list)
    currencies: list[str] = field(default_factory=list)
    rates: dict[str, Decimal] = field(default_factory=dict)
    """Day rates: foreign units for one unit of the base currency."""
    numbers: dict[tuple[str, str], str] = field(default_factory=dict)
    """(type, number in lower case) -> id of the document that has it."""
    next_number: int = 1
    ledger: Ledger = field(default_factory=Ledger)
    minute: Window = field(default_factory=lambda: Window(60))
    day: Window = field(default_factory=lambda: Window(86_400))
    in_flight: int = 0
    counters: Counter[str] = field(default_factory=Counter)
    violations: list[Violation] = field(default_factory=list)
    breaks: list[Break] = field(default_factory=list)

    def today(self, now: datetime) -> date:
        return now.astimezone(ZoneInfo(self.timezone)).date()

    def account_by_code(self, code: str) -> Account | None:
        return next((a for a in self.accounts.values() if a.code and a.code == code and a.status != "DELETED"), None)

    def system_account(self, role: str) -> Account:
        return next(account for account in self.accounts.values() if account.system == role)

    def tax_rate(self, tax_type: str) -> TaxRate | None:
        return self.tax_rates.get(tax_type)

    def documents(self, entity: str) -> dict[str, Document]:
        return self.invoices if entity == "Invoice" else self.credit_notes

    def day_rate(self, currency: str) -> Decimal:
        return ONE if currency == self.currency else self.rates.get(currency, ONE)

    def check_open(self, day: date) -> None:
        """Refuse what lies in a locked period."""
        behaviour = self.behaviour
        for name, lock in (
            ("period lock date", None if behaviour.is_adviser else behaviour.period_lock_date),
            ("end of year lock date", behaviour.end_of_year_lock_date),
        ):
            if lock is not None and day <= lock:
                message = f"The document date cannot be before the {name}, currently set at {long_day(lock)}"
                raise Invalid(message)

    def check_currency(self, code: str) -> None:
        if code not in self.currencies:
            message = f"Organisation is not subscribed to currency {code}"
            raise Invalid(message)

    def trial_balance(self, as_of: date | None = None) -> dict[str, int]:
        """Account name to cents, debit positive."""
        return {self.accounts[key].name: cents for key, cents in self.ledger.balances(as_of).items()}

    def note_violation(self, kind: str, detail: str) -> None:
        self.violations.append(Violation(kind, detail))
