"""How the proof groups what moves the Stripe balance: by Stripe's ``reporting_category``, never by ``type``."""

from enum import StrEnum
from uuid import UUID

from sqlalchemy import ColumnElement, String, and_, case, exists, literal, or_

from core.db.models import BalanceTransaction, ItemKind, ItemState, Payment, PaymentState, SyncItem
from core.reasons import Reason


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


def is_left_out(books_id: UUID) -> ColumnElement[bool]:
    """Say of a balance transaction, beside its payment if it has one, that a person left it out of the books.

    A refund, dispute or payout is left out by its own item, a movement by that of its balance transaction.
    """
    by_source = and_(
        SyncItem.kind.in_((ItemKind.REFUND, ItemKind.DISPUTE, ItemKind.PAYOUT)),
        SyncItem.source_id == BalanceTransaction.stripe_source_id,
    )
    by_itself = and_(SyncItem.kind == ItemKind.MOVEMENT, SyncItem.source_id == BalanceTransaction.stripe_id)
    item = (
        exists()
        .where(
            SyncItem.connection_id == books_id,
            SyncItem.state == ItemState.IGNORED,
            SyncItem.reason == Reason.IGNORED_BY_PERSON,
            or_(by_source, by_itself),
        )
        .correlate(BalanceTransaction)
    )
    of_payment = and_(Payment.state == PaymentState.IGNORED, Payment.reason == Reason.IGNORED_BY_PERSON)
    return or_(and_(Payment.id.is_not(None), of_payment), item)


def is_fee_left_out() -> ColumnElement[bool]:
    """Say of a balance transaction that a person left out the document that was to book its fee."""
    return (
        exists()
        .where(
            SyncItem.id == BalanceTransaction.fee_item_id,
            SyncItem.state == ItemState.IGNORED,
            SyncItem.reason == Reason.IGNORED_BY_PERSON,
        )
        .correlate(BalanceTransaction)
    )
