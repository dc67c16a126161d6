"""What changed in the books: each collection that moves money, by ``If-Modified-Since``.

A page is taken from a list that moves while it is read: rows slip from one page to another. So the first page is asked
for again from a second before the last row's time, until a page is not full.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TypeVar

import msgspec

from core.accounting.marks import read_mark
from core.accounting.port import Change, Changes
from core.accounting.xero import answers
from core.accounting.xero.amounts import read_moment
from core.accounting.xero.client import Reply, XeroClient
from core.accounting.xero.queries import MAX_PAGES, PAGE
from core.accounting.xero.reading import standing_of
from core.books.documents import DocumentKind
from core.errors import ProviderUnavailableError

OVERLAP = timedelta(minutes=5)
"""What was written while the last answer was made may carry an earlier time."""

K = DocumentKind
D = TypeVar("D", answers.Invoice, answers.CreditNote, answers.Payment, answers.BankTransaction)

_ENDS_OF_TRANSFER = ("SPEND-TRANSFER", "RECEIVE-TRANSFER")


async def list_changes(client: XeroClient, mark: str, *, now: datetime, home_currency: str) -> Changes:
    """Return what was written, changed, voided or deleted since ``mark``, a time by Xero's own clock.

    Raises:
        ProviderRejectedError: ``OUR_FAULT`` for another mark.
        ProviderUnavailableError: an answer cannot be read.
    """
    if not mark:
        return Changes((), now.isoformat())
    since = read_mark(mark) - OVERLAP
    transfers, told_at = await _transfers(client, since)
    payments, is_all_paid = await _changed(client, "Payments", answers.Payment, since)
    spent, is_all_spent = await _changed(client, "BankTransactions", answers.BankTransaction, since)
    sold, is_all_sold = await _changed(client, "Invoices", answers.Invoice, since)
    notes, is_all_noted = await _changed(client, "CreditNotes", answers.CreditNote, since)
    # Xero shows both ends of a transfer as transactions as well; counted twice they would be nobody's.
    alone = [row for row in spent if row.type not in _ENDS_OF_TRANSFER]
    found: list[answers.Dated] = [*transfers, *payments, *alone, *sold, *notes]
    is_whole = is_all_paid and is_all_spent and is_all_sold and is_all_noted
    return Changes(tuple(_change(row, home_currency) for row in found), told_at.isoformat(), is_whole)


async def _transfers(client: XeroClient, since: datetime) -> tuple[Sequence[answers.BankTransfer], datetime]:
    """Return the transfers, which have no pages, and when Xero answered the first of all questions."""
    reply = await client.read_changed("/BankTransfers", since, includeDeleted="true")
    rows = answers.read_list(reply.body, "BankTransfers", answers.BankTransfer, request_id=reply.request_id)
    return rows, _told_at(reply)


async def _changed(client: XeroClient, name: str, shape: type[D], since: datetime) -> tuple[Sequence[D], bool]:
    """Return every element that changed, once, and whether that is all of them."""
    found: dict[str, D] = {}
    page = 1
    for _ in range(MAX_PAGES):
        reply = await client.read_changed(
            f"/{name}", since, page=str(page), pageSize=str(PAGE), order="UpdatedDateUTC ASC"
        )
        rows = answers.read_list(reply.body, name, shape, request_id=reply.request_id)
        found.update((row.id, row) for row in rows)
        if len(rows) < PAGE:
            return list(found.values()), True
        last = read_moment(rows[-1].updated_date_utc)
        behind = last - timedelta(seconds=1) if last is not None else since
        # A page of one and the same second would come back for ever: then the next page is the only way on.
        since, page = (behind, 1) if behind > since else (since, page + 1)
    return list(found.values()), False


def _told_at(reply: Reply) -> datetime:
    try:
        moment = read_moment(msgspec.json.decode(reply.body, type=_Envelope).date_time)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        moment = None
    if moment is None:
        raise ProviderUnavailableError("Xero answered without its time", request_id=reply.request_id, status=200)
    return moment


def _change(row: answers.Dated, home_currency: str) -> Change:
    kinds, word = _called(row)
    number = None if isinstance(row, answers.Payment | answers.BankTransfer | answers.BankTransaction) else row.number
    texts = (number, row.reference)
    return Change(standing_of(row, home_currency), kinds, word, tuple(text for text in texts if text))


def _called(row: answers.Dated) -> tuple[frozenset[DocumentKind], str]:
    match row:
        case answers.Invoice():
            is_sale = row.type == "ACCREC"
            return frozenset({K.INVOICE} if is_sale else ()), "Invoice" if is_sale else "Bill"
        case answers.CreditNote():
            return frozenset({K.CREDIT_NOTE}), "Credit note"
        case answers.Payment():
            return frozenset({K.PAYMENT, K.REPAYMENT}), "Payment"
        case answers.BankTransfer():
            return frozenset({K.TRANSFER}), "Transfer"
        case answers.BankTransaction():
            # Which of ours it is, only we know: a transfer to an account that is no bank account stands here, too.
            kinds = frozenset({K.SALES_RECEIPT, K.EXPENSE, K.DEPOSIT, K.TRANSFER})
            return kinds, "Money received" if row.type.startswith("RECEIVE") else "Money spent"


class _Envelope(msgspec.Struct, frozen=True):
    date_time: str = msgspec.field(name="DateTimeUTC", default="")
