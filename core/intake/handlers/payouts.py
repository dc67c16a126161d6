"""Events about money on its way to the bank."""

from typing import Any

from core.db.models import ItemKind
from core.intake.handlers.registry import Target, handles, id_of, is_payout_id


@handles(
    "payout.created",
    "payout.updated",
    "payout.paid",
    "payout.failed",
    "payout.canceled",
    "payout.reconciliation_completed",
)
def payout_changed(obj: dict[str, Any]) -> list[Target]:
    """A payout was made, arrived, came back, or Stripe has named what is in it."""
    payout_id = id_of(obj)
    return [Target(ItemKind.FETCH_PAYOUT, payout_id)] if payout_id and is_payout_id(payout_id) else []
