"""Events about money given back."""

from typing import Any

from core.db.models import ItemKind
from core.intake.handlers.registry import SWEEP_ID, Target, handles, id_of, is_refund_id


@handles("refund.created", "refund.updated", "refund.failed")
def refund_changed(obj: dict[str, Any]) -> list[Target]:
    """A refund exists, arrived at the client, or came back."""
    refund_id = id_of(obj)
    return [Target(ItemKind.FETCH_REFUND, refund_id)] if refund_id and is_refund_id(refund_id) else []


@handles("charge.refunded")
def charge_refunded(obj: dict[str, Any]) -> list[Target]:
    """Something of a charge was given back. The charge does not name the refund; Stripe's ledger does."""
    return [Target(ItemKind.SWEEP, SWEEP_ID)]
