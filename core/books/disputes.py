"""The plan of a dispute: its money is held, on the balance sheet, until the outcome is known. Pure.

Only a lost dispute touches income: as a chargeback, with the tax of the sale taken back if the tenant wants it so.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from core.books.common import (
    Reference,
    check_home,
    memo,
    payee_step,
    role_why,
    through_clearing,
    transfer,
)
from core.books.documents import Deposit, Expense, LineKind, MoneyDocument, Refund, SaleLine, SalesReceipt
from core.books.facts import BalanceTransactionFacts, DisputeFacts, OriginalSale
from core.books.fees import fee_lines
from core.books.profile import BooksProfile
from core.books.refunds import with_difference
from core.books.roles import AccountRole, LostDisputeTax
from core.books.shares import lines_given_back
from core.errors import StopError
from core.reasons import Reason

HELD, FEE, RELEASED, FEE_RETURNED, LOST, REGAINED = "held", "fee", "released", "fee_returned", "lost", "regained"
_STATUS_LOST = "lost"
_FIELD = "balance_transaction.amount"


def plan_dispute(facts: DisputeFacts, books: BooksProfile, *, reference: Reference) -> list[MoneyDocument]:
    """Build what a dispute has moved so far, in the order in which it moved, and its outcome once it is lost.

    Raises:
        StopError: a missing account, or another currency than the books'.
    """
    documents: list[MoneyDocument] = []
    steps = _Steps()
    opened_before = any(not one.in_scope and one.amount_minor < 0 for one in facts.movements)
    for transaction in facts.movements:
        if transaction.in_scope:
            check_home(transaction, books)
            documents += _amount(transaction, books, steps, reference, opened_before=opened_before)
            documents += _fees(transaction, books, steps, reference)
    return documents + _outcome(facts, books, reference)


def _outcome(facts: DisputeFacts, books: BooksProfile, reference: Reference) -> list[MoneyDocument]:
    """Take what is held once the dispute is lost; give it back where an appeal turned a booked loss."""
    in_scope = [one for one in facts.movements if one.in_scope]
    held = -sum(one.amount_minor for one in in_scope)
    if facts.status == _STATUS_LOST and facts.closed_on is not None and held > 0:
        return [_lost(facts, held, facts.closed_on, books, reference)]
    taken = -sum(one.amount_minor for one in in_scope if one.amount_minor < 0)
    if not facts.is_loss_booked or held > 0 or not taken:
        return []
    day = in_scope[-1].book_date
    lost = _lost(facts, taken, facts.closed_on or day, books, reference)
    return [lost, _regained(lost, day, reference)]


def _regained(lost: Refund, day: date, reference: Reference) -> SalesReceipt:
    """Return the exact opposite of a booked loss."""
    return SalesReceipt(
        reference=reference(REGAINED),
        customer_step=lost.customer_step,
        date=day,
        currency=lost.currency,
        lines=lost.lines,
        account=lost.account,
        memo=lost.memo,
        why=lost.why,
        name=REGAINED,
    )


class _Steps:
    """Names for the documents of one dispute; money may be held more than once, as after an appeal."""

    def __init__(self) -> None:
        self._used: dict[str, int] = {}

    def next(self, step: str) -> str:
        """Return the step, numbered from its second use on."""
        self._used[step] = self._used.get(step, 0) + 1
        return step if self._used[step] == 1 else f"{step}:{self._used[step]}"


def _amount(
    transaction: BalanceTransactionFacts,
    books: BooksProfile,
    steps: _Steps,
    reference: Reference,
    *,
    opened_before: bool,
) -> list[MoneyDocument]:
    amount = transaction.amount_minor
    if not amount:
        return []
    step = steps.next(HELD if amount < 0 else RELEASED)
    if amount > 0 and opened_before:
        # It was taken before the first day, so it is not on the account of held money.
        why = role_why(AccountRole.OPENING, books, field=_FIELD, arithmetic=f"{amount}")
        other = books.role(AccountRole.OPENING)
        said = "Dispute from before the first day was won"
        return [
            through_clearing(
                transaction, amount, other, books, step=step, reference=reference, why=why, description=said
            )
        ]
    why = role_why(AccountRole.HELD, books, field=_FIELD, arithmetic=f"{amount}")
    held = books.role(AccountRole.HELD)
    return [transfer(transaction, amount, held, books, step=step, reference=reference, why=why)]


def _fees(
    transaction: BalanceTransactionFacts, books: BooksProfile, steps: _Steps, reference: Reference
) -> list[MoneyDocument]:
    documents: list[MoneyDocument] = []
    for name, shape, is_returned in ((FEE, Expense, False), (FEE_RETURNED, Deposit, True)):
        lines = fee_lines(transaction, books, lambda _: AccountRole.DISPUTE_FEES, is_returned=is_returned)
        if lines:
            step = steps.next(name)
            documents.append(
                shape(
                    reference=reference(step),
                    payee_step=payee_step(books),
                    date=transaction.book_date,
                    currency=books.home_currency,
                    account=books.role(AccountRole.CLEARING).ref,
                    lines=tuple(lines),
                    memo=memo(transaction.source_id, transaction.stripe_id),
                    name=step,
                )
            )
    return documents


def _lost(facts: DisputeFacts, held_minor: int, day: date, books: BooksProfile, reference: Reference) -> Refund:
    """Refund what is still held, out of the account that holds it."""
    sale = facts.sale
    if sale is None:
        raise StopError(Reason.PAYMENT_NOT_KNOWN)
    return Refund(
        reference=reference(LOST),
        customer_step=sale.customer.step,
        date=day,
        currency=books.home_currency,
        lines=_chargebacks(facts, sale, held_minor, books),
        account=books.role(AccountRole.HELD).ref,
        memo=memo(facts.source_id, sale.source_id),
        why=role_why(AccountRole.HELD, books, field="dispute.status", arithmetic=f"lost: {held_minor} held"),
        name=LOST,
    )


def _chargebacks(facts: DisputeFacts, sale: OriginalSale, held_minor: int, books: BooksProfile) -> tuple[SaleLine, ...]:
    if books.settings.lost_dispute_tax is LostDisputeTax.KEPT:
        return (_chargeback(books, held_minor, 0, None),)
    by_code: dict[str | None, list[SaleLine]] = {}
    for line in lines_given_back(sale, facts.history, _lost_of_paid(facts, sale, held_minor)):
        by_code.setdefault(line.tax_code_id, []).append(line)
    lines = [
        _chargeback(books, _sum_net(group), sum(line.tax_minor for line in group), group[0])
        for group in by_code.values()
    ]
    if sale.paid_currency.lower() == books.home_currency.lower():
        # A bank may take more than the sale was: without another currency, that is part of the loss.
        rest = held_minor - sum(line.amount_minor + line.tax_minor for line in lines)
        return (*lines, _chargeback(books, rest, 0, None)) if rest else tuple(lines)
    return with_difference(lines, held_minor, books)


def _lost_of_paid(facts: DisputeFacts, sale: OriginalSale, held_minor: int) -> int:
    """Return how much of what the client paid is lost, in the client's currency."""
    if facts.currency.lower() != sale.paid_currency.lower():
        return held_minor * sale.paid_minor // sale.total_minor
    taken = -sum(one.amount_minor for one in facts.movements if one.amount_minor < 0)
    return facts.amount_minor * held_minor // taken if taken > held_minor else facts.amount_minor


def _sum_net(lines: Sequence[SaleLine]) -> int:
    return sum(line.amount_minor for line in lines)


def _chargeback(books: BooksProfile, amount_minor: int, tax_minor: int, of: SaleLine | None) -> SaleLine:
    """Return one line to chargebacks; with the tax code of the lines of the sale that it stands for, if any."""
    account = books.role(AccountRole.CHARGEBACKS)
    why = role_why(
        AccountRole.CHARGEBACKS, books, field="dispute.amount", arithmetic=f"{amount_minor} + {tax_minor} tax"
    )
    line = SaleLine(
        kind=LineKind.CHARGEBACK,
        service_id="chargeback",
        service_name="Chargeback",
        description="Chargeback",
        amount_minor=amount_minor,
        tax_minor=tax_minor,
        income_account_id=account.external_id,
        income_account_name=account.label,
        tax_code_id=None,
        tax_code_name=None,
        tax_rate_ppm=None,
        why=why,
        income_account_number=account.number,
    )
    if of is None:
        return line
    return replace(
        line,
        tax_code_id=of.tax_code_id,
        tax_code_name=of.tax_code_name,
        tax_rate_ppm=of.tax_rate_ppm,
        tax_rate_id=of.tax_rate_id,
    )
