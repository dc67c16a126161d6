"""The state of the Stripe stand-in: who exists, what they own, who may act for them. No global state anywhere."""

import bisect
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from web.sandbox.clock import SandboxClock
from web.sandbox.scheduler import Scheduler
from web.sandbox.settings import SandboxSettings

if TYPE_CHECKING:
    from web.sandbox.stripe.webhooks import Outbox

Json = dict[str, Any]

API_VERSION = "2026-10-28.endive"


class Shelf:
    """Objects of one kind, oldest first by ``created``; ties keep the order of arrival."""

    def __init__(self) -> None:
        self._items: list[Json] = []
        self.by_id: dict[str, Json] = {}

    def add(self, item: Json) -> None:
        # Almost everything is newest when it arrives; imported history is the exception.
        if self._items and item["created"] < self._items[-1]["created"]:
            bisect.insort_right(self._items, item, key=_created)
        else:
            self._items.append(item)
        self.by_id[item["id"]] = item

    def remove(self, item_id: str) -> None:
        self._items.remove(self.by_id.pop(item_id))

    def newest_first(self, *, after: str | None = None) -> Iterator[Json]:
        """Walk from the newest, or from just behind ``after``."""
        start = len(self._items) if after is None else self._index(after)
        for index in range(start - 1, -1, -1):
            yield self._items[index]

    def oldest_first(self, *, after: str | None = None) -> Iterator[Json]:
        start = 0 if after is None else self._index(after) + 1
        for index in range(start, len(self._items)):
            yield self._items[index]

    def __len__(self) -> int:
        return len(self._items)

    def _index(self, item_id: str) -> int:
        item = self.by_id[item_id]
        index = bisect.bisect_left(self._items, item["created"], key=_created)
        while self._items[index] is not item:
            index += 1
        return index


def _created(item: Json) -> int:
    return int(item["created"])


@dataclass
class Account:
    """One business with its own Stripe account."""

    id: str
    name: str
    email: str
    country: str
    currency: str
    created: int
    secret_key: str
    payout_delay_days: int = 2
    daily_payouts: bool = False
    platform_controlled: bool = False
    """Belongs to a booking platform; such accounts cannot be connected by Connect OAuth."""
    livemode: bool = False
    invoice_sequence: int = 0
    shelves: dict[str, Shelf] = field(default_factory=dict)
    line_items: dict[str, Json] = field(default_factory=dict)
    """Lines of sessions and payment links by id; they have no list of their own."""
    pending_invoice_items: dict[str, list[Json]] = field(default_factory=dict)
    """Invoice items that wait for an invoice, by customer."""
    tombstones: dict[str, Json] = field(default_factory=dict)
    """What is left of deleted objects: Stripe still answers for them, with ``deleted: true``."""
    posted_minor: dict[str, int] = field(default_factory=dict)
    """Running balance per currency, kept beside the balance transactions so that the two can be compared."""

    def shelf(self, kind: str) -> Shelf:
        return self.shelves.setdefault(kind, Shelf())

    def add(self, item: Json) -> Json:
        self.shelf(item["object"]).add(item)
        return item

    def get(self, kind: str, item_id: str) -> Json | None:
        return self.shelf(kind).by_id.get(item_id)

    def find(self, item_id: str) -> Json | None:
        """Any object by id alone, for ``expand``."""
        for shelf in self.shelves.values():
            if item_id in shelf.by_id:
                return shelf.by_id[item_id]
        return self.tombstones.get(item_id)


@dataclass
class Key:
    """An API key or access token and what it opens."""

    secret: str
    account: str
    permissions: frozenset[str] | None = None
    """None = everything."""
    expires_at: float | None = None
    revoked: bool = False


@dataclass
class Grant:
    """A business allowed the platform to act for it, by Connect or by the Stripe App."""

    account: str
    flow: str
    """``connect`` or ``app``."""
    install_id: str
    active: bool = True
    refresh_token: str = ""
    access_tokens: list[str] = field(default_factory=list)


@dataclass
class RequestRef:
    """The API request that caused an event."""

    id: str
    idempotency_key: str | None


@dataclass
class World:
    """Everything one Stripe stand-in knows."""

    clock: SandboxClock
    settings: SandboxSettings
    scheduler: Scheduler
    outbox: "Outbox"
    accounts: dict[str, Account] = field(default_factory=dict)
    keys: dict[str, Key] = field(default_factory=dict)
    grants: list[Grant] = field(default_factory=list)
    request: RequestRef | None = None
    """Set while an API operation runs; operations are synchronous, so there is only ever one."""

    @property
    def platform(self) -> Account:
        return self.accounts[self.settings.stripe_platform_account]

    def now(self) -> int:
        return self.clock.now_ts()

    def new_id(self, prefix: str, length: int = 24) -> str:
        return self.clock.new_id(prefix, length)

    def grant_of(self, account_id: str) -> Grant | None:
        """The active grant of a business to the platform."""
        return next((g for g in self.grants if g.account == account_id and g.active), None)


def public(item: Json) -> Json:
    """A deep copy without the sandbox's private ``_fields``."""
    return deepcopy({key: value for key, value in item.items() if not key.startswith("_")})
