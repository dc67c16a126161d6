"""What Stripe's balance transactions are: which item books one, and which account its fee belongs to. Pure.

Stripe's ``reporting_category`` decides, not its ``type``. What is not known here is never guessed into income: it
becomes a movement that stops until a person has chosen an account.

Source: https://docs.stripe.com/reports/reporting-categories
"""

from enum import StrEnum

from core.books.roles import AccountRole


class BookedBy(StrEnum):
    """The kind of item whose documents book the amount of a balance transaction. The values are those of item kinds."""

    SALE = "sale"
    REFUND = "refund"
    DISPUTE = "dispute"
    PAYOUT = "payout"
    MOVEMENT = "movement"


_BOOKED_BY = {
    "charge": BookedBy.SALE,
    "refund": BookedBy.REFUND,
    "partial_capture_reversal": BookedBy.REFUND,
    "charge_failure": BookedBy.REFUND,
    "refund_failure": BookedBy.REFUND,
    "dispute": BookedBy.DISPUTE,
    "dispute_reversal": BookedBy.DISPUTE,
    "payout": BookedBy.PAYOUT,
    "payout_reversal": BookedBy.PAYOUT,
}

CHARGE_PREFIXES = ("ch_", "py_")
"""How ids of charges begin. A bank debit that fails after it succeeded may name its charge, not a refund."""

_CHARGED_BY_STRIPE = frozenset({"fee", "tax", "network_cost"})
_HELD_BACK = frozenset(
    {
        "payout_minimum_balance_hold",
        "payout_minimum_balance_release",
        "payment_network_reserve_hold",
        "payment_network_reserve_release",
        "reserve_hold",
        "reserve_release",
        "reserved_funds",
        "risk_reserved_funds",
    }
)
# Held for what other accounts of a platform owe: not the tenant's own reserve, so a person decides.
_OF_A_PLATFORM = frozenset({"connect_reserved_funds"})
_OF_AN_APPLICATION = ("application_fee", "platform_earning")
_DISPUTES = ("dp_", "du_")


def booked_by(category: str, type_: str, source_id: str | None) -> BookedBy:
    """Return whose documents book the amount of a balance transaction.

    Args:
        category: Stripe's ``reporting_category``.
        type_: Stripe's ``type``, read only where there is no category.
        source_id: Stripe's id of what moved the money; without one only a movement can stand for it.
    """
    found = _BOOKED_BY.get(category or type_, BookedBy.MOVEMENT)
    return found if source_id else BookedBy.MOVEMENT


def books_its_fee(category: str, type_: str, source_id: str | None) -> bool:
    """Say whether the item that books the amount books the fee as well; all others' fees are booked as fees."""
    return booked_by(category, type_, source_id) is BookedBy.DISPUTE


def movement_role(category: str, type_: str, source_id: str | None) -> AccountRole | None:
    """Return the account on the other side of a movement of its own; None: a person must choose one.

    A fee that Stripe takes for answering a dispute names the dispute as its source; a booking platform's cut that
    comes back names the platform's fee.
    """
    if category in _CHARGED_BY_STRIPE:
        if source_id is not None and source_id.startswith(_DISPUTES):
            return AccountRole.DISPUTE_FEES
        is_platform = type_.startswith(_OF_AN_APPLICATION) or (source_id or "").startswith(("fee_", "fr_"))
        return AccountRole.PLATFORM_FEES if is_platform else AccountRole.FEES
    is_reserve = category in _HELD_BACK or ("reserve" in category and category not in _OF_A_PLATFORM)
    return AccountRole.RESERVE if is_reserve else None


def fee_role(part_type: str) -> AccountRole:
    """Return the account of one part of a fee, by Stripe's ``fee_details.type``."""
    return AccountRole.PLATFORM_FEES if part_type == "application_fee" else AccountRole.FEES


TAX_PART = "tax"
"""``fee_details.type`` of the tax that Stripe charged on its own fee."""
