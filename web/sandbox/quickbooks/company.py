"""One company ("realm"): its lists, its documents, its settings, and the ledger below them."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from web.sandbox.quickbooks.errors import Refused, not_found
from web.sandbox.quickbooks.ledger import Ledger, Posting
from web.sandbox.quickbooks.requests import RequestStore

Fields = dict[str, Any]
# Customers, vendors and employees share one namespace.
NAME_GROUPS = {"Customer": "person", "Vendor": "person", "Account": "account", "Item": "item"}


def folded(name: str) -> str:
    """Names are compared without regard to case and to repeated blanks."""
    return " ".join(name.split()).casefold()


class Behaviour(msgspec.Struct, kw_only=True):
    """Company settings and the switches for what public material leaves open; control changes them."""

    custom_txn_numbers: bool = False
    renumber: bool = False
    """Without custom numbers: replace a number that was sent (True) or keep it."""
    warn_duplicate_numbers: bool = False
    multicurrency: bool = False
    book_close_date: str | None = None
    book_close_password: bool = False
    using_sales_tax: bool = True
    partner_tax: bool = True
    """US only: automated sales tax."""
    honour_total_tax: bool = True
    """US only: a TotalTax that was sent wins over the engine (False: the engine always recomputes)."""
    require_tax_code: bool = True
    """Outside the US: every line needs a tax code while tax is on."""
    inclusive_amount_is_gross: bool = False
    """Outside the US, TaxInclusive: Line.Amount holds the gross (False: the net, as two sources say)."""
    allow_discount: bool = True
    cash_purchase_from_asset: bool = False
    """A cash Purchase may leave an Other Current Asset."""
    item_on_expense: bool = True
    """An item may book to an expense account, as a currency difference on a refund must (False: to income only)."""
    subscription_ended: bool = False
    replay: str = "stored"
    """How a repeated requestid is answered: ``stored``, ``600`` or ``6000``."""
    throttle: bool = True
    throttle_json: bool = False


@dataclass(frozen=True)
class Application:
    """One line of a payment: so much of an invoice (or credit memo) is settled by it."""

    target_id: str
    cents: int
    home_cents: int
    is_credit: bool = False


@dataclass
class Built:
    """A document worked out: what is stored, what it posts, what it ties to."""

    fields: Fields
    total: int = 0
    home_total: int = 0
    postings: list[Posting] = field(default_factory=list)
    answer: Fields = field(default_factory=dict)
    applications: list[Application] = field(default_factory=list)
    deposited_ids: list[str] = field(default_factory=list)


@dataclass
class Record:
    """One object of a list or one transaction."""

    entity: str
    id: str
    created: datetime
    updated: datetime
    built: Built
    sync_token: int = 0
    is_voided: bool = False
    is_matched: bool = False
    """Matched to a line of the bank feed: frozen."""

    @property
    def fields(self) -> Fields:
        return self.built.fields

    @property
    def is_active(self) -> bool:
        return self.fields.get("Active", True) is not False


@dataclass(frozen=True)
class Deletion:
    """What is left of a deleted transaction."""

    entity: str
    id: str
    at: datetime


@dataclass(frozen=True)
class Archiving:
    """While the next batch is at work, the owner archives an account, after so many of its items."""

    account_id: str
    after_items: int


@dataclass
class Company:
    """The whole state of one realm."""

    realm_id: str
    name: str
    country: str
    home_currency: str
    created: datetime
    first_txn_id: int
    behaviour: Behaviour = field(default_factory=Behaviour)
    records: defaultdict[str, dict[str, Record]] = field(default_factory=lambda: defaultdict(dict))
    deletions: list[Deletion] = field(default_factory=list)
    ledger: Ledger = field(default_factory=Ledger)
    roles: dict[str, str] = field(default_factory=dict)
    """Accounts with a duty: receivable, undeposited, discounts, exchange, ``tax:<agency id>``, ``receivable:EUR``."""
    applied: defaultdict[str, dict[str, Application]] = field(default_factory=lambda: defaultdict(dict))
    """Invoice or credit memo id -> payment id -> what that payment settles of it."""
    deposited: dict[str, str] = field(default_factory=dict)
    """Payment or sales receipt id -> the deposit that holds it."""
    rates: dict[str, Decimal] = field(default_factory=dict)
    requests: RequestStore = field(default_factory=RequestStore)
    counters: Counter[str] = field(default_factory=Counter)
    next_number: int = 1001
    was_reset: bool = False
    archiving: Archiving | None = None
    _txns: int = 0
    _names: int = 0
    _name_of: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    _names_taken: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)

    @property
    def is_us(self) -> bool:
        return self.country == "US"

    def new_txn_id(self) -> str:
        """Transactions of all types share one sequence."""
        self._txns += 1
        return str(self.first_txn_id + self._txns)

    def new_list_id(self, entity: str) -> str:
        if entity in ("Customer", "Vendor"):
            self._names += 1
            return str(self._names)
        return str(len(self.records[entity]) + 1)

    def find(self, entity: str, record_id: str) -> Record | None:
        return self.records[entity].get(record_id)

    def get(self, entity: str, record_id: str) -> Record:
        record = self.find(entity, record_id)
        if record is None:
            raise Refused("610", f"Object Not Found : {entity} {record_id} was not found, or was made inactive.")
        return record

    def reference(self, entity: str, fields: Fields, name: str) -> Record | None:
        """Resolve ``fields[name]`` to an active record; None when it was not sent."""
        ref = fields.get(name)
        if not ref or not ref.get("value"):
            return None
        record = self.find(entity, ref["value"])
        if record is None:
            raise Refused("2500", f"Invalid Reference Id : {entity} element id {ref['value']} not found", element=name)
        if not record.is_active:
            raise not_found()
        return record

    def put(self, record: Record) -> None:
        """Store a record and keep the index of names in step."""
        self.records[record.entity][record.id] = record
        name = record.fields.get("DisplayName") or record.fields.get("Name")
        if record.entity not in NAME_GROUPS or not isinstance(name, str):
            return
        group, owner = NAME_GROUPS[record.entity], (record.entity, record.id)
        old = self._name_of.pop(owner, None)
        if old is not None:
            del self._names_taken[old]
        self._name_of[owner] = (group, folded(name))
        self._names_taken[group, folded(name)] = owner

    def name_owner(self, entity: str, name: str) -> tuple[str, str] | None:
        """Who (entity, id) has this name among all that share a namespace with ``entity``."""
        return self._names_taken.get((NAME_GROUPS[entity], folded(name)))

    def put_list_record(self, entity: str, record_id: str, fields: Fields, now: datetime) -> Record:
        record = Record(entity, record_id, now, now, Built({"Active": True, **fields}))
        self.put(record)
        return record

    def account(self, role: str) -> str:
        return self.roles[role]

    def account_type(self, account_id: str) -> str:
        return str(self.records["Account"][account_id].fields["AccountType"])

    def account_name(self, account_id: str) -> str:
        return str(self.records["Account"][account_id].fields["Name"])

    def currency_of(self, fields: Fields) -> str:
        ref = fields.get("CurrencyRef") or {}
        return str(ref.get("value") or self.home_currency)

    def open_balance(self, target: Record, *, without_payment: str | None = None) -> int:
        """What is not settled yet of an invoice, or not used yet of a credit memo."""
        settled = sum(a.cents for payment, a in self.applied[target.id].items() if payment != without_payment)
        return target.built.total - settled

    def open_home_balance(self, target: Record, *, without_payment: str | None = None) -> int:
        settled = sum(a.home_cents for payment, a in self.applied[target.id].items() if payment != without_payment)
        return target.built.home_total - settled

    def trial_balance(self, as_of: str | None = None) -> dict[str, int]:
        return {self.account_name(account): cents for account, cents in self.ledger.trial_balance(as_of).items()}
