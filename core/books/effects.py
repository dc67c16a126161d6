"""What a document does to the accounts: to the clearing account for each balance transaction, and to all of them. Pure.

The books make their entries themselves; these are the ones that correct books must arrive at. They are what the proof
and the practice books count with.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from core.books.documents import (
    AccountLine,
    CreditNote,
    Deposit,
    Expense,
    Invoice,
    MoneyDocument,
    Payment,
    Refund,
    Repayment,
    SaleLine,
    SalesReceipt,
    Transfer,
)
from core.books.ledger_lines import EXCHANGE, RECEIVABLE, SALES_TAX
from core.books.presentment import at_home, difference


@dataclass(frozen=True, slots=True)
class Entry:
    """One debit (positive) or credit (negative) in minor units of the books' own currency.

    ``account_id`` is the account's external id, or ``RECEIVABLE``, ``SALES_TAX`` or ``EXCHANGE`` for the accounts that
    the books choose themselves.
    """

    account_id: str
    amount_minor: int
    balance_transaction_id: str | None = None


@dataclass(frozen=True, slots=True)
class ClearingEffect:
    """What reaches (positive) or leaves the clearing account for one of Stripe's balance transactions.

    ``balance_transaction_id`` is None where the document does not know it: a payment, the opening entry.
    """

    balance_transaction_id: str | None
    amount_minor: int


def entries(document: MoneyDocument) -> list[Entry]:
    """Return the entries of one document; they sum to zero, and none is zero itself."""
    return [entry for entry in _entries(document) if entry.amount_minor]


def clearing_effects(document: MoneyDocument, clearing_account_id: str) -> list[ClearingEffect]:
    """Return what ``document`` does to the clearing account, one effect for each balance transaction, in its order."""
    sums: dict[str | None, int] = {}
    for entry in entries(document):
        if entry.account_id == clearing_account_id:
            known = entry.balance_transaction_id
            sums[known] = sums.get(known, 0) + entry.amount_minor
    return [ClearingEffect(known, amount) for known, amount in sums.items()]


def role_totals(documents: Iterable[MoneyDocument]) -> dict[str, int]:
    """Return the trial balance that ``documents`` lead to, by account, debit positive; accounts at zero stay in it.

    Keys are external ids of accounts, and ``RECEIVABLE``, ``SALES_TAX`` and ``EXCHANGE`` for the books' own.
    """
    totals: dict[str, int] = {}
    for document in documents:
        for entry in entries(document):
            totals[entry.account_id] = totals.get(entry.account_id, 0) + entry.amount_minor
    return totals


def _entries(document: MoneyDocument) -> Iterator[Entry]:
    match document:
        case Invoice():
            sale = at_home(document)
            yield Entry(RECEIVABLE, sale.total_minor)
            yield from _sold(sale.lines, -1)
        case Payment():
            arrived = document.amount_minor if document.home_minor is None else document.home_minor
            gained = difference(document)
            yield Entry(document.clearing_account_id, arrived)
            yield Entry(RECEIVABLE, gained - arrived)
            yield Entry(EXCHANGE, -gained)
        case CreditNote():
            yield from _sold(document.lines, 1)
            yield Entry(RECEIVABLE, -document.total_minor)
        case Repayment():
            yield Entry(RECEIVABLE, document.amount_minor)
            yield Entry(document.account.external_id, -document.amount_minor, document.balance_transaction_id)
        case SalesReceipt():
            yield Entry(document.account.external_id, document.total_minor, document.balance_transaction_id)
            yield from _sold(document.lines, -1)
        case Refund():
            yield from _sold(document.lines, 1)
            yield Entry(document.account.external_id, -document.total_minor, document.balance_transaction_id)
        case Expense():
            yield from _booked(document.lines, document.account.external_id, 1)
        case Deposit():
            yield from _booked(document.lines, document.account.external_id, -1)
        case Transfer():
            yield Entry(document.to_account.external_id, document.amount_minor, document.balance_transaction_id)
            yield Entry(document.from_account.external_id, -document.amount_minor, document.balance_transaction_id)


def _sold(lines: Iterable[SaleLine], sign: int) -> Iterator[Entry]:
    for line in lines:
        yield Entry(line.income_account_id, sign * line.amount_minor)
        yield Entry(SALES_TAX, sign * line.tax_minor)


def _booked(lines: Iterable[AccountLine], account_id: str, sign: int) -> Iterator[Entry]:
    """Each line brings its own share of the other side, so that the share knows its balance transaction."""
    for line in lines:
        known = line.balance_transaction_id
        yield Entry(line.account.external_id, sign * line.amount_minor, known)
        yield Entry(SALES_TAX, sign * line.tax_minor, known)
        yield Entry(account_id, -sign * (line.amount_minor + line.tax_minor), known)
