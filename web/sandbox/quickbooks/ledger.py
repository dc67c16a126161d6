"""The double-entry ledger below the documents. Amounts are cents of the home currency, debit positive."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

ASSET = "Asset"
CLASSIFICATIONS = {
    "Bank": ASSET,
    "Accounts Receivable": ASSET,
    "Other Current Asset": ASSET,
    "Fixed Asset": ASSET,
    "Other Asset": ASSET,
    "Accounts Payable": "Liability",
    "Credit Card": "Liability",
    "Other Current Liability": "Liability",
    "Long Term Liability": "Liability",
    "Equity": "Equity",
    "Income": "Revenue",
    "Other Income": "Revenue",
    "Cost of Goods Sold": "Expense",
    "Expense": "Expense",
    "Other Expense": "Expense",
}


class Unbalanced(Exception):  # noqa: N818 - the sandbox itself is wrong, no client ever sees it
    """Debits and credits of a document differ."""


@dataclass(frozen=True)
class Posting:
    """One leg. ``customer_id`` and ``foreign`` (the amount in the customer's currency) only on receivables."""

    account_id: str
    cents: int
    customer_id: str = ""
    foreign: int = 0


@dataclass
class _Entry:
    date: str
    postings: list[Posting]


@dataclass
class Ledger:
    """All postings, by document. Changing a document replaces its postings, removing it removes them."""

    _entries: dict[str, _Entry] = field(default_factory=dict)
    _accounts: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    _customers: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))

    def replace(self, txn_id: str, date: str, postings: Iterable[Posting]) -> None:
        legs = [leg for leg in postings if leg.cents or leg.foreign]
        if sum(leg.cents for leg in legs) != 0:
            message = f"document {txn_id}: {legs}"
            raise Unbalanced(message)
        self.remove(txn_id)
        self._entries[txn_id] = _Entry(date, legs)
        self._add(legs, sign=1)

    def remove(self, txn_id: str) -> None:
        entry = self._entries.pop(txn_id, None)
        if entry is not None:
            self._add(entry.postings, sign=-1)

    def postings(self, txn_id: str) -> list[Posting]:
        entry = self._entries.get(txn_id)
        return list(entry.postings) if entry else []

    def account_balance(self, account_id: str) -> int:
        return self._accounts[account_id]

    def customer_balance(self, customer_id: str) -> int:
        """What the customer owes, in the customer's currency."""
        return self._customers[customer_id]

    def trial_balance(self, as_of: str | None = None) -> dict[str, int]:
        """Account id to balance, without the zeros; ``as_of`` (a date) counts that day in."""
        totals: defaultdict[str, int] = defaultdict(int)
        for entry in self._entries.values():
            if as_of is None or entry.date <= as_of:
                for leg in entry.postings:
                    totals[leg.account_id] += leg.cents
        return {account: cents for account, cents in totals.items() if cents}

    def _add(self, postings: Iterable[Posting], sign: int) -> None:
        for leg in postings:
            self._accounts[leg.account_id] += sign * leg.cents
            if leg.customer_id:
                self._customers[leg.customer_id] += sign * leg.foreign
