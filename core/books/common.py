"""What every plan needs: the payee, the memo, the why of an account, and the currency that the books are kept in."""

from collections.abc import Callable

from core.books.documents import AccountLine, AccountRef, Deposit, Expense, Payee, Transfer, Why
from core.books.facts import BalanceTransactionFacts
from core.books.profile import BookAccount, BooksProfile
from core.books.roles import ROLE_NAMES, AccountRole, RoleChoice
from core.errors import StopError
from core.money import to_decimal
from core.reasons import Reason

Reference = Callable[[str], str]
"""Gives the lasting reference of a document from its step."""


def payee_step(books: BooksProfile) -> str:
    """Return the step of Stripe as the one who is paid, or pays."""
    return Payee("Stripe", books.home_currency).step


def memo(*ids: str | None) -> str:
    """Return what a document says of its origin."""
    return "Stripe " + " ".join(dict.fromkeys(one for one in ids if one)) + " | Tieout"


def money(amount_minor: int, currency: str) -> str:
    """Say an amount for people: 12.50 USD."""
    return f"{to_decimal(amount_minor, currency)} {currency.upper()}"


def check_home(transaction: BalanceTransactionFacts, books: BooksProfile) -> None:
    """Stop at money that Stripe keeps in another currency than the books.

    Raises:
        StopError: ``SETTLED_ELSEWHERE``.
    """
    if transaction.currency.lower() != books.home_currency.lower():
        raise settled_elsewhere(transaction.currency, books)


def settled_elsewhere(currency: str, books: BooksProfile) -> StopError:
    """Return the stop at money that Stripe keeps in a currency that the books are not kept in."""
    detail = {"currency": currency.upper(), "home_currency": books.home_currency.upper()}
    return StopError(Reason.SETTLED_ELSEWHERE, detail)


def role_why(role: AccountRole, books: BooksProfile, *, field: str, arithmetic: str) -> Why:
    """Explain a line whose account was chosen for a role."""
    return choice_why(books.roles.get(role), f"account for {ROLE_NAMES[role]}", field=field, arithmetic=arithmetic)


def choice_why(choice: RoleChoice | None, rule: str, *, field: str, arithmetic: str) -> Why:
    """Explain a line whose account a person chose."""
    return Why(
        stripe_field=field,
        arithmetic=arithmetic,
        rule=rule,
        mapping_version=(choice.version or None) if choice else None,
        set_by=(choice.set_by or None) if choice else None,
    )


def account_line(
    account: AccountRef, transaction: BalanceTransactionFacts, amount_minor: int, description: str, why: Why
) -> AccountLine:
    """Return a line of an expense or deposit without tax."""
    return AccountLine(
        account=account,
        description=description,
        amount_minor=amount_minor,
        tax_minor=0,
        tax_code_id=None,
        tax_code_name=None,
        tax_rate_ppm=None,
        why=why,
        balance_transaction_id=transaction.stripe_id,
    )


def through_clearing(
    transaction: BalanceTransactionFacts,
    amount_minor: int,
    other: BookAccount,
    books: BooksProfile,
    *,
    step: str,
    reference: Reference,
    why: Why,
    description: str,
) -> Expense | Deposit:
    """Return the document that moves an amount between the clearing account and another one.

    A negative amount leaves Stripe's balance, a positive one reaches it.
    """
    shape = Expense if amount_minor < 0 else Deposit
    return shape(
        reference=reference(step),
        payee_step=payee_step(books),
        date=transaction.book_date,
        currency=books.home_currency,
        account=books.role(AccountRole.CLEARING).ref,
        lines=(account_line(other.ref, transaction, abs(amount_minor), description, why),),
        memo=memo(transaction.source_id, transaction.stripe_id),
        name=step,
    )


def transfer(
    transaction: BalanceTransactionFacts,
    amount_minor: int,
    other: BookAccount,
    books: BooksProfile,
    *,
    step: str,
    reference: Reference,
    why: Why,
) -> Transfer:
    """Return the transfer between the clearing account and another one; a negative amount leaves clearing."""
    clearing = books.role(AccountRole.CLEARING).ref
    from_, to = (clearing, other.ref) if amount_minor < 0 else (other.ref, clearing)
    return Transfer(
        reference=reference(step),
        payee_step=payee_step(books),
        date=transaction.book_date,
        currency=books.home_currency,
        amount_minor=abs(amount_minor),
        from_account=from_,
        to_account=to,
        memo=memo(transaction.source_id, transaction.stripe_id),
        why=why,
        balance_transaction_id=transaction.stripe_id,
        name=step,
    )
