"""The double-entry ledger below the documents. Amounts are cents of the base currency, debit positive."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date


class Unbalanced(Exception):  # noqa: N818 - the sandbox itself is wrong, no client ever sees it
    """Debits and credits of a record differ."""


@dataclass(frozen=True)
class Leg:
    """One side of an entry."""

    account_id: str
    cents: int


@dataclass(frozen=True)
class Entry:
    """What one record posts."""

    day: date
    legs: tuple[Leg, ...]


@dataclass
class Ledger:
    """All entries by record. Changing a record replaces its entry, voiding it removes it."""

    _entries: dict[str, Entry] = field(default_factory=dict)

    def post(self, record_id: str, day: date, legs: Iterable[Leg]) -> None:
        kept = tuple(leg for leg in legs if leg.cents)
        if sum(leg.cents for leg in kept) != 0:
            message = f"record {record_id}: {kept}"
            raise Unbalanced(message)
        self._entries[record_id] = Entry(day, kept)

    def remove(self, record_id: str) -> None:
        self._entries.pop(record_id, None)

    def legs(self, record_id: str) -> tuple[Leg, ...]:
        entry = self._entries.get(record_id)
        return entry.legs if entry else ()

    def balances(self, as_of: date | None = None) -> dict[str, int]:
        """Account id to balance, without the zeros; ``as_of`` counts that day in."""
        totals: defaultdict[str, int] = defaultdict(int)
        for entry in self._entries.values():
            if as_of is None or entry.day <= as_of:
                for leg in entry.legs:
                    totals[leg.account_id] += leg.cents
        return {account: cents for account, cents in totals.items() if cents}
