"""What a dry run has found, and how many calls posting it would take. Plain values that can be stored as JSON."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import msgspec

from core.accounting.port import Limits
from core.books.documents import DocumentKind
from core.db.models import ItemKind
from core.reasons import Reason
from core.sync.operations import FOUND_FIRST

_SHOWN = 3
_GROUPED_BY = ("service", "role", "category", "account", "currency")
"""Details of a reason that make another question of it: each service that has no account is asked for by itself."""


@dataclass(frozen=True, slots=True)
class Stop:
    """What would wait for a person, or for Stripe, and why: items of one kind with one reason.

    ``amount_minor`` is what they would do to the clearing account, in ``currency``. ``payment_ids`` are our ids of the
    first few payments among them.
    """

    kind: ItemKind
    reason: Reason
    detail: dict[str, str]
    count: int
    amount_minor: int
    currency: str
    payment_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DryRun:
    """What posting would make of everything since ``starts_at`` that does not stand in the books yet.

    Attributes:
        items: how many facts would be booked.
        documents, support: how many of each kind would be written; ``support`` are clients, items and payees.
        calls, seconds: what posting costs at the provider's pace; real books may answer slower.
        totals: the trial balance afterwards by account, debit positive, with what was posted before; accounts that
            only the books know are ``core.books.effects.RECEIVABLE`` and ``SALES_TAX``.
        sales, gross_minor: charges in scope, and what clients paid by them in the home currency.
        opening_minor: what Stripe held at the first moment; None while that is not known.
    """

    starts_at: datetime
    counted_at: datetime
    currency: str
    items: int
    documents: dict[DocumentKind, int]
    support: dict[DocumentKind, int]
    calls: int
    seconds: int
    totals: dict[str, int]
    stops: list[Stop]
    sales: int
    gross_minor: int
    opening_minor: int | None

    @property
    def stored(self) -> dict[str, Any]:
        """The result as JSON data."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        return found

    @classmethod
    def thawed(cls, stored: Mapping[str, Any]) -> "DryRun":
        """Return the result that was :attr:`stored`."""
        return msgspec.convert(stored, cls)


@dataclass(slots=True)
class Stops:
    """Items that would stop, added up by what is to be done about them."""

    _found: dict[tuple[object, ...], Stop] = field(default_factory=dict)

    def add(self, stop: Stop) -> None:
        """Add one."""
        key = (stop.kind, stop.reason, stop.currency, *(stop.detail.get(name) for name in _GROUPED_BY))
        before = self._found.get(key)
        if before is None:
            self._found[key] = stop
            return
        self._found[key] = replace(
            before,
            count=before.count + stop.count,
            amount_minor=before.amount_minor + stop.amount_minor,
            payment_ids=(*before.payment_ids, *stop.payment_ids)[:_SHOWN],
        )

    def all(self) -> list[Stop]:
        """Return them, the most frequent first."""
        return sorted(self._found.values(), key=lambda stop: -stop.count)


@dataclass(frozen=True, slots=True)
class Needed:
    """Calls to the books, and how long they take at the pace that we keep."""

    calls: int
    seconds: int


def calls_needed(limits: Limits, writes: Mapping[DocumentKind, int]) -> Needed:
    """Return what writing so many of each kind costs, when nothing goes wrong.

    Kinds that may travel together do so from ``limits.together_from`` on; what is looked up before it is sent costs as
    many look-ups.
    """
    singly = together = 0
    for kind, count in writes.items():
        most = limits.together.get(kind, 1)
        looks = 2 if kind in FOUND_FIRST | limits.found_first else 1
        if most > 1 and count >= max(limits.together_from, 2):
            together += looks * -(-count // most)
        else:
            singly += looks * count
    seconds = singly / limits.calls_per_second + together / (limits.batches_per_second or limits.calls_per_second)
    return Needed(singly + together, round(seconds))
