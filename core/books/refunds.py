"""The plan of a refund: income and tax go back in the proportion of the sale, on the day of the refund. Pure.

What a foreign refund costs beyond the rate of its sale is a currency difference, so that a full refund leaves nothing
of the sale's income.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from core.books.common import Reference, check_home, memo, money, role_why
from core.books.documents import LineKind, MoneyDocument, Refund, SaleLine, SalesReceipt
from core.books.facts import BalanceTransactionFacts, RefundFacts
from core.books.profile import BooksProfile
from core.books.roles import AccountRole
from core.books.shares import lines_given_back

REFUND, FAILED = "refund", "refund_failed"
_FIELD = "balance_transaction.amount"


def plan_refund(facts: RefundFacts, books: BooksProfile, *, reference: Reference) -> list[MoneyDocument]:
    """Build the refund once Stripe has taken the money, and its exact opposite if the refund fails later.

    The opposite is a document of its own, on its own day: for the days between, the books agree with Stripe.

    Raises:
        StopError: a missing account, or another currency than the books'.
    """
    shares = facts.booked or lines_given_back(facts.sale, facts.history, facts.amount_minor)
    documents: list[MoneyDocument] = []
    if facts.taken is not None and facts.taken.in_scope and facts.taken.amount_minor:
        documents.append(_refund(facts, facts.taken, shares, books, reference))
    if facts.returned is not None and facts.returned.in_scope and facts.returned.amount_minor:
        documents.append(_opposite(facts, facts.returned, shares, books, reference))
    return documents


def _refund(
    facts: RefundFacts,
    transaction: BalanceTransactionFacts,
    shares: Sequence[SaleLine],
    books: BooksProfile,
    reference: Reference,
) -> Refund:
    check_home(transaction, books)
    return Refund(
        reference=reference(REFUND),
        customer_step=facts.sale.customer.step,
        date=transaction.book_date,
        currency=books.home_currency,
        lines=with_difference(_explained(shares, facts), -transaction.amount_minor, books),
        account=books.role(AccountRole.CLEARING).ref,
        memo=_memo(facts, transaction),
        why=role_why(AccountRole.CLEARING, books, field=_FIELD, arithmetic=f"{transaction.amount_minor}"),
        balance_transaction_id=transaction.stripe_id,
        name=REFUND,
    )


def _opposite(
    facts: RefundFacts,
    transaction: BalanceTransactionFacts,
    shares: Sequence[SaleLine],
    books: BooksProfile,
    reference: Reference,
) -> SalesReceipt:
    check_home(transaction, books)
    return SalesReceipt(
        reference=reference(FAILED),
        customer_step=facts.sale.customer.step,
        date=transaction.book_date,
        currency=books.home_currency,
        lines=with_difference(_explained(shares, facts), transaction.amount_minor, books),
        account=books.role(AccountRole.CLEARING).ref,
        memo=_memo(facts, transaction),
        why=role_why(AccountRole.CLEARING, books, field=_FIELD, arithmetic=f"{transaction.amount_minor}"),
        balance_transaction_id=transaction.stripe_id,
        name=FAILED,
    )


def _memo(facts: RefundFacts, transaction: BalanceTransactionFacts) -> str:
    said = memo(facts.source_id, facts.sale.source_id, transaction.stripe_id)
    if facts.currency.lower() == transaction.currency.lower():
        return said
    return f"{said} | client got back {money(facts.amount_minor, facts.currency)}"


def _explained(shares: Iterable[SaleLine], facts: RefundFacts) -> list[SaleLine]:
    of = f"{facts.amount_minor} of {facts.sale.paid_minor} {facts.sale.paid_currency}"
    return [
        replace(
            line,
            why=replace(
                line.why,
                stripe_field="refund.amount",
                arithmetic=f"{of}: {line.amount_minor} + {line.tax_minor} tax",
                rule=f"as the sale; {line.why.rule}",
            ),
        )
        for line in shares
    ]


def with_difference(lines: Sequence[SaleLine], total_minor: int, books: BooksProfile) -> tuple[SaleLine, ...]:
    """Return the lines, and what the total differs from them as a currency difference, without tax.

    Raises:
        StopError: there is a difference and nobody chose an account for it.
    """
    found = sum(line.amount_minor + line.tax_minor for line in lines)
    difference = total_minor - found
    if not difference:
        return tuple(lines)
    account = books.role(AccountRole.CURRENCY_DIFFERENCES)
    line = SaleLine(
        kind=LineKind.DIFFERENCE,
        service_id="currency_difference",
        service_name="Currency difference",
        description="Currency difference since the sale",
        amount_minor=difference,
        tax_minor=0,
        income_account_id=account.external_id,
        income_account_name=account.label,
        tax_code_id=None,
        tax_code_name=None,
        tax_rate_ppm=None,
        why=role_why(
            AccountRole.CURRENCY_DIFFERENCES, books, field=_FIELD, arithmetic=f"{total_minor} - {found} = {difference}"
        ),
        income_account_number=account.number,
    )
    return (*lines, line)
