"""The registry behind ``@handles``; the list of events to subscribe to is derived from it."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from core.db.models import ItemKind


@dataclass(frozen=True, slots=True)
class Target:
    """Something to bring up to date: an item kind of the Stripe lane and Stripe's id of the object."""

    kind: ItemKind
    source_id: str


SWEEP_ID = "balance"
"""Source id of the one item per Stripe connection that reads Stripe's ledger and balance."""

Handler = Callable[[dict[str, Any]], list[Target]]
_HANDLERS: dict[str, Handler] = {}


def handles(*event_types: str) -> Callable[[Handler], Handler]:
    """Register a function for one or more event types."""

    def register(handler: Handler) -> Handler:
        for event_type in event_types:
            if event_type in _HANDLERS:
                raise ValueError(f"two handlers for {event_type}")
            _HANDLERS[event_type] = handler
        return handler

    return register


def targets_of(event_type: str, obj: dict[str, Any]) -> list[Target] | None:
    """Return what to look at, or None when no handler knows the event type."""
    handler = _HANDLERS.get(event_type)
    return None if handler is None else handler(obj)


def is_known(event_type: str) -> bool:
    """Return whether a handler exists."""
    return event_type in _HANDLERS


def subscribed_events() -> list[str]:
    """Return the ``enabled_events`` of every webhook endpoint that we create."""
    return sorted(_HANDLERS)


_PAYMENT_ID = re.compile(r"(pi|ch|py)_[A-Za-z0-9_]{1,250}")
_REFUND_ID = re.compile(r"(re|pyr)_[A-Za-z0-9_]{1,250}")
_DISPUTE_ID = re.compile(r"(dp|du)_[A-Za-z0-9_]{1,250}")
_PAYOUT_ID = re.compile(r"po_[A-Za-z0-9_]{1,250}")
_PRODUCT_ID = re.compile(r"[A-Za-z0-9_-]{1,250}")


def is_payment_id(value: object) -> bool:
    """Say whether this may be asked for as a payment: it becomes part of an address (I4)."""
    return isinstance(value, str) and _PAYMENT_ID.fullmatch(value) is not None


def is_refund_id(value: object) -> bool:
    """Say whether this may be asked for as a refund (I4)."""
    return isinstance(value, str) and _REFUND_ID.fullmatch(value) is not None


def is_dispute_id(value: object) -> bool:
    """Say whether this may be asked for as a dispute (I4)."""
    return isinstance(value, str) and _DISPUTE_ID.fullmatch(value) is not None


def is_payout_id(value: object) -> bool:
    """Say whether this may be asked for as a payout (I4)."""
    return isinstance(value, str) and _PAYOUT_ID.fullmatch(value) is not None


def is_product_id(value: object) -> bool:
    """Say whether this may be asked for as a product. Merchants choose some of these ids themselves."""
    return isinstance(value, str) and _PRODUCT_ID.fullmatch(value) is not None


def id_of(value: Any) -> str | None:
    """Return an id from a field that holds an id, an expanded object, or nothing."""
    if isinstance(value, dict):
        value = value.get("id")
    return value if isinstance(value, str) and value else None
