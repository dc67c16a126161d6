"""How the proof groups what moves the Stripe balance: by Stripe's ``reporting_category``, never by ``type``."""

from enum import StrEnum

from sqlalchemy import ColumnElement, String, case, literal

from core.db.models import BalanceTransaction


class Group(StrEnum):
    """What a balance transaction is, for a reader. ``OTHER``: reserves, adjustments, and whatever Stripe invents."""

    PAYMENTS = "payments"
    REFUNDS = "refunds"
    DISPUTES = "disputes"
    FEES = "fees"
    PAYOUTS = "payouts"
    OTHER = "other"


CATEGORIES: dict[Group, tuple[str, ...]] = {
    Group.PAYMENTS: ("charge",),
    Group.REFUNDS: ("refund", "refund_failure", "partial_capture_reversal", "charge_failure"),
    Group.DISPUTES: ("dispute", "dispute_reversal"),
    Group.FEES: ("fee", "tax", "network_cost"),
    Group.PAYOUTS: ("payout", "payout_reversal"),
}
"""Stripe's categories by group; one that is not here is ``OTHER``.

Source: https://docs.stripe.com/reports/reporting-categories
"""

_GROUP_OF = {category: group for group, categories in CATEGORIES.items() for category in categories}


def group_of(category: str) -> Group:
    """Return the group of a ``reporting_category``."""
    return _GROUP_OF.get(category, Group.OTHER)


def group_column() -> ColumnElement[str]:
    """Return the same as a column of a statement over balance transactions."""
    whens = [
        (BalanceTransaction.reporting_category.in_(categories), literal(group.value, String))
        for group, categories in CATEGORIES.items()
    ]
    return case(*whens, else_=literal(Group.OTHER.value, String))


IS_PAYOUT_ITSELF = BalanceTransaction.reporting_category.in_(CATEGORIES[Group.PAYOUTS])
"""A payout is a balance transaction too, and Stripe lists it among its own lines."""
