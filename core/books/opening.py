"""The plan of the opening entry: clearing starts with what Stripe held on the first day. Pure."""

from datetime import date

from core.books.common import Reference, payee_step, role_why, settled_elsewhere
from core.books.documents import AccountLine, Deposit, Expense, MoneyDocument
from core.books.profile import BooksProfile
from core.books.roles import AccountRole

STEP = "opening"


def plan_opening(
    amount_minor: int, currency: str, day: date, books: BooksProfile, *, reference: Reference
) -> list[MoneyDocument]:
    """Build the entry that sets the clearing account to Stripe's balance.

    Args:
        amount_minor: what Stripe held at the first moment; negative when the tenant owed Stripe.
        currency: of that balance.
        day: the first day, in the tenant's time zone.
        books: the connected books.
        reference: gives the lasting reference of a step.

    Raises:
        StopError: a missing account, or another currency than the books'.
    """
    if not amount_minor:
        return []
    if currency.lower() != books.home_currency.lower():
        raise settled_elsewhere(currency, books)
    shape = Deposit if amount_minor > 0 else Expense
    line = AccountLine(
        account=books.role(AccountRole.OPENING).ref,
        description="Stripe balance on the first day",
        amount_minor=abs(amount_minor),
        tax_minor=0,
        tax_code_id=None,
        tax_code_name=None,
        tax_rate_ppm=None,
        why=role_why(AccountRole.OPENING, books, field="balance", arithmetic="today's balance less what moved since"),
    )
    return [
        shape(
            reference=reference(STEP),
            payee_step=payee_step(books),
            date=day,
            currency=books.home_currency,
            account=books.role(AccountRole.CLEARING).ref,
            lines=(line,),
            memo="Stripe balance on the first day | Tieout",
            name=STEP,
        )
    ]
