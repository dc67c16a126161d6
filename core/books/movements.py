"""The plan of a movement of its own: Stripe's other charges, reserves, and what a person chose an account for. Pure."""

from core.books.categories import movement_role
from core.books.common import Reference, check_home, choice_why, money, role_why, through_clearing, transfer
from core.books.documents import MoneyDocument, Why
from core.books.facts import BalanceTransactionFacts
from core.books.profile import BookAccount, BooksProfile
from core.books.roles import AccountRole
from core.errors import StopError
from core.reasons import Reason

STEP = "movement"
_FIELD = "balance_transaction.amount"


def plan_movement(
    transaction: BalanceTransactionFacts, books: BooksProfile, *, reference: Reference
) -> list[MoneyDocument]:
    """Build the document of a balance transaction that belongs to no payment, refund, dispute or payout.

    A person's choice for its category goes before ours. Its fee, if any, is booked with the fees.

    Raises:
        StopError: ``UNKNOWN_CATEGORY`` while nobody has said where such money belongs, or a missing account.
    """
    amount = transaction.amount_minor
    if not amount or not transaction.in_scope:
        return []
    check_home(transaction, books)
    other, why, is_transfer = _other_side(transaction, books)
    if is_transfer:
        return [transfer(transaction, amount, other, books, step=STEP, reference=reference, why=why)]
    description = transaction.description or words(transaction.reporting_category)
    return [
        through_clearing(
            transaction, amount, other, books, step=STEP, reference=reference, why=why, description=description
        )
    ]


def _other_side(transaction: BalanceTransactionFacts, books: BooksProfile) -> tuple[BookAccount, Why, bool]:
    category, arithmetic = transaction.reporting_category, f"{transaction.amount_minor}"
    choice = books.categories.get(category)
    if choice is not None:
        account = books.account(choice.account_id, service=words(category))
        rule = f"account chosen for “{words(category)}”"
        return account, choice_why(choice, rule, field=_FIELD, arithmetic=arithmetic), account.is_bank
    role = movement_role(category, transaction.type, transaction.source_id)
    if role is None:
        raise StopError(
            Reason.UNKNOWN_CATEGORY,
            {
                "category": words(category),
                "reporting_category": category,
                "amount": money(transaction.amount_minor, transaction.currency),
            },
        )
    why = role_why(role, books, field=_FIELD, arithmetic=arithmetic)
    return books.role(role), why, role is AccountRole.RESERVE


def words(category: str) -> str:
    """Say a category of Stripe's for people."""
    return category.replace("_", " ").strip() or "something without a name"
