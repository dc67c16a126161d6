"""The plan of a payout: a transfer on the day the money arrives, and the opposite one if it comes back. Pure."""

from dataclasses import replace

from core.books.common import Reference, check_home, role_why, through_clearing, transfer
from core.books.documents import MoneyDocument
from core.books.facts import BalanceTransactionFacts, PayoutFacts
from core.books.profile import BooksProfile
from core.books.roles import AccountRole

PAYOUT, RETURNED = "payout", "returned"
_PAID = "paid"
_FIELD = "balance_transaction.amount"


def plan_payout(facts: PayoutFacts, books: BooksProfile, *, reference: Reference) -> list[MoneyDocument]:
    """Build the transfers of one payout; its amount is never income.

    Nothing is booked before Stripe says that it is paid, so that a payout which fails on its way leaves no trace. The
    transfer of one that was booked and comes back later stays where it is: it may be reconciled already.

    Raises:
        StopError: a missing account, or another currency than the books'.
    """
    left, returned = facts.left, facts.returned
    documents: list[MoneyDocument] = []
    is_booked = facts.status == _PAID or facts.is_booked
    if left is not None and left.in_scope and left.amount_minor and is_booked:
        documents.append(_to_bank(replace(left, book_date=facts.arrival_date), books, PAYOUT, reference))
    if returned is not None and returned.in_scope and returned.amount_minor:
        if left is not None and not left.in_scope:
            documents.append(_after_the_start(returned, books, reference))
        elif documents:
            documents.append(_to_bank(returned, books, RETURNED, reference))
    return documents


def _to_bank(
    transaction: BalanceTransactionFacts, books: BooksProfile, step: str, reference: Reference
) -> MoneyDocument:
    check_home(transaction, books)
    why = role_why(AccountRole.BANK, books, field=_FIELD, arithmetic=f"{transaction.amount_minor}")
    bank = books.role(AccountRole.BANK)
    return transfer(transaction, transaction.amount_minor, bank, books, step=step, reference=reference, why=why)


def _after_the_start(transaction: BalanceTransactionFacts, books: BooksProfile, reference: Reference) -> MoneyDocument:
    """Book what left before the first day and came back after it: the opening balance did not hold it."""
    check_home(transaction, books)
    why = role_why(AccountRole.OPENING, books, field=_FIELD, arithmetic=f"{transaction.amount_minor}")
    return through_clearing(
        transaction,
        transaction.amount_minor,
        books.role(AccountRole.OPENING),
        books,
        step=RETURNED,
        reference=reference,
        why=why,
        description="Payout from before the first day came back",
    )
