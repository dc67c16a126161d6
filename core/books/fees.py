"""The plan of Stripe's fees: an expense on the day they were taken, never a reduction of income. Pure.

One line for each balance transaction and account. The tax that Stripe charged on its fee is input tax where the tenant
chose a code for it, and part of the fee otherwise.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from core.books.categories import TAX_PART, fee_role
from core.books.common import Reference, check_home, memo, payee_step, role_why
from core.books.documents import AccountLine, Deposit, Expense, MoneyDocument
from core.books.facts import BalanceTransactionFacts
from core.books.posting import percent
from core.books.profile import BooksProfile, BookTaxCode
from core.books.roles import AccountRole
from core.errors import StopError
from core.reasons import Reason

TAKEN, RETURNED = "fees", "fees_returned"
MAX_LINES = 250
"""Lines of one document; what is more goes on a second one. Far below what any provider takes."""

_PPM = 1_000_000
_TAX_TOLERANCE_MINOR = 1


def plan_fees(
    transactions: Sequence[BalanceTransactionFacts], books: BooksProfile, *, reference: Reference
) -> list[MoneyDocument]:
    """Build one expense for the fees of these balance transactions, and one deposit for fees that came back.

    Args:
        transactions: those of one day, one payout, or a single one; dated by the latest.
        books: the connected books.
        reference: gives the lasting reference of a step.

    Raises:
        StopError: a missing account, another currency than the books', or a tax code that does not fit.
    """
    rows = [row for row in transactions if row.in_scope]
    for row in rows:
        check_home(row, books)
    taken = [line for row in rows for line in fee_lines(row, books, fee_role, is_returned=False)]
    returned = [line for row in rows for line in fee_lines(row, books, fee_role, is_returned=True)]
    documents: list[MoneyDocument] = []
    for step, shape, lines in ((TAKEN, Expense, taken), (RETURNED, Deposit, returned)):
        for start in range(0, len(lines), MAX_LINES):
            name = step if start == 0 else f"{step}:{start // MAX_LINES + 1}"
            documents.append(_document(shape, name, rows, lines[start : start + MAX_LINES], books, reference))
    return documents


def _document(
    shape: type[Expense] | type[Deposit],
    step: str,
    rows: Sequence[BalanceTransactionFacts],
    lines: Sequence[AccountLine],
    books: BooksProfile,
    reference: Reference,
) -> Expense | Deposit:
    of_one = rows[0].stripe_id if len(rows) == 1 else None
    return shape(
        reference=reference(step),
        payee_step=payee_step(books),
        date=max(row.book_date for row in rows),
        currency=books.home_currency,
        account=books.role(AccountRole.CLEARING).ref,
        lines=tuple(lines),
        memo=memo("fees", of_one),
        name=step,
    )


@dataclass(slots=True)
class _Sum:
    """What one balance transaction takes for one account; minor units, positive when Stripe takes it."""

    fee: int = 0
    tax: int = 0
    said: str = ""


def fee_lines(
    transaction: BalanceTransactionFacts,
    books: BooksProfile,
    role_of: Callable[[str], AccountRole],
    *,
    is_returned: bool,
) -> list[AccountLine]:
    """Return the lines of one balance transaction's fee, one for each account.

    Args:
        transaction: what the fee was taken from.
        books: the connected books.
        role_of: the account of a part, by Stripe's type of it.
        is_returned: whether the parts that came back are wanted instead of those that were taken.
    """
    lines = []
    for role, sums in _by_role(transaction, role_of).items():
        total = sums.fee + sums.tax
        if total != 0 and (total < 0) is is_returned:
            lines.append(_line(transaction, books, role, sums))
    return lines


def _by_role(transaction: BalanceTransactionFacts, role_of: Callable[[str], AccountRole]) -> dict[AccountRole, _Sum]:
    """Sum the parts by account. What Stripe's parts leave unsaid of the fee counts as Stripe's own."""
    sums: dict[AccountRole, _Sum] = {}
    for part in transaction.fee_parts:
        own = sums.setdefault(role_of(part.type), _Sum())
        if part.type == TAX_PART:
            own.tax += part.amount_minor
        else:
            own.fee += part.amount_minor
            own.said = own.said or part.description
    unsaid = transaction.fee_minor - sum(part.amount_minor for part in transaction.fee_parts)
    if unsaid:
        sums.setdefault(role_of(""), _Sum()).fee += unsaid
    return sums


def _line(transaction: BalanceTransactionFacts, books: BooksProfile, role: AccountRole, sums: _Sum) -> AccountLine:
    code = _fee_tax_code(books) if sums.tax and sums.fee and (sums.tax > 0) is (sums.fee > 0) else None
    fee, tax = (sums.fee, sums.tax) if code is not None else (sums.fee + sums.tax, 0)
    if code is not None:
        _check_rate(fee, tax, code, books)
    return AccountLine(
        account=books.role(role).ref,
        description=f"{sums.said or 'Fee'} {transaction.source_id or ''}".strip(),
        amount_minor=abs(fee),
        tax_minor=abs(tax),
        tax_code_id=code.external_id if code else None,
        tax_code_name=code.name if code else None,
        tax_rate_ppm=code.rate_ppm if code else None,
        why=role_why(
            role, books, field="balance_transaction.fee_details", arithmetic=f"{fee} + {tax} tax" if tax else f"{fee}"
        ),
        balance_transaction_id=transaction.stripe_id,
        tax_rate_id=code.rate_external_id if code else None,
    )


def _fee_tax_code(books: BooksProfile) -> BookTaxCode | None:
    chosen = books.settings.fee_tax_code_id
    if chosen is None:
        return None
    code = books.tax_codes.get(chosen)
    if code is None or not code.is_active:
        detail = {"charged": "tax on its fees", "tax_code": code.name if code else "The tax code for fees"}
        raise StopError(Reason.TAX_CODE_MISFIT, detail)
    return code


def _check_rate(fee: int, tax: int, code: BookTaxCode, books: BooksProfile) -> None:
    """Stop before the books would count another tax than Stripe charged; one minor unit is rounding."""
    if code.rate_ppm is None or abs(tax * _PPM - fee * code.rate_ppm) <= _TAX_TOLERANCE_MINOR * _PPM:
        return
    detail = {"charged": percent(tax, fee), "tax_code": code.name, "service": f"Stripe fees in {books.name}"}
    raise StopError(Reason.TAX_CODE_MISFIT, detail)
