"""Events about payments that a client's bank takes back."""

from typing import Any

from core.db.models import ItemKind
from core.intake.handlers.registry import Target, handles, id_of, is_dispute_id


@handles(
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.funds_reinstated",
    "charge.dispute.closed",
)
def dispute_changed(obj: dict[str, Any]) -> list[Target]:
    """A dispute was opened, moved money, or is over."""
    dispute_id = id_of(obj)
    return [Target(ItemKind.FETCH_DISPUTE, dispute_id)] if dispute_id and is_dispute_id(dispute_id) else []
