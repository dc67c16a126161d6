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


Handler = Callable[[dict[str, Any]], list[Target]]
_HANDLERS: dict[str, Handler] = {}

KEPT_FOR_LATER = (
    "charge.refunded",
    "refund.created",
    "refund.updated",
    "refund.failed",
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.funds_reinstated",
    "charge.dispute.closed",
    "payout.created",
    "payout.updated",
    "payout.paid",
    "payout.failed",
    "payout.canceled",
    "payout.reconciliation_completed",
)
"""Events that are received and stored although no handler books them yet: their payments wait in the inbox."""


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
    return sorted({*_HANDLERS, *KEPT_FOR_LATER})


_PAYMENT_ID = re.compile(r"(pi|ch|py)_[A-Za-z0-9_]{1,250}")
_PRODUCT_ID = re.compile(r"[A-Za-z0-9_-]{1,250}")


def is_payment_id(value: object) -> bool:
    """Say whether this may be asked for as a payment: it becomes part of an address (I4)."""
    return isinstance(value, str) and _PAYMENT_ID.fullmatch(value) is not None


def is_product_id(value: object) -> bool:
    """Say whether this may be asked for as a product. Merchants choose some of these ids themselves."""
    return isinstance(value, str) and _PRODUCT_ID.fullmatch(value) is not None


def id_of(value: Any) -> str | None:
    """Return an id from a field that holds an id, an expanded object, or nothing."""
    if isinstance(value, dict):
        value = value.get("id")
    return value if isinstance(value, str) and value else None
