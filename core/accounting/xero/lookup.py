"""Finding again what may have been written, one or many at a time.

Invoices and credit notes are found by their number, which Xero keeps unique; payments within what they pay; money
spent, received or carried by its ``Reference``, which is ours alone, on the account that it was meant for.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from core.accounting.port import Posted, PreparedWrite
from core.accounting.xero import answers
from core.accounting.xero.client import XeroClient, is_guid
from core.accounting.xero.contacts import find_contact, find_contacts
from core.accounting.xero.freezing import (
    BANK_TRANSACTIONS,
    BANK_TRANSFERS,
    CONTACTS,
    CREDIT_NOTES,
    INVOICES,
    frozen,
    paid_document_id,
)
from core.accounting.xero.outcome import STANDING, posted
from core.accounting.xero.queries import is_id, is_text, listed, read_all, read_whole
from core.books.documents import DocumentKind
from core.errors import OutcomeUnknownError, ProviderError, ProviderRejectedError
from core.money import to_decimal
from core.reasons import Reason

Found = Posted | ProviderError | None
T = TypeVar("T", answers.Invoice, answers.CreditNote)


async def look_up(client: XeroClient, write: PreparedWrite, *, home_currency: str) -> Posted | None:
    """Return the write as it stands in the books, or None.

    Raises:
        ProviderRejectedError: something else stands there: ``NUMBER_TAKEN``, ``NAME_TAKEN``, ``CUSTOMER_INACTIVE``,
            or ``CHANGED_IN_BOOKS`` when ours was voided, deleted, or given to another contact or account.
    """
    if write.path == CONTACTS:
        contact = await find_contact(client, write)
        return posted(contact, home_currency=home_currency) if contact else None
    (found,) = await look_up_many(client, [write], home_currency=home_currency)
    if isinstance(found, ProviderError):
        raise found
    return found


async def look_up_many(client: XeroClient, writes: Sequence[PreparedWrite], *, home_currency: str) -> list[Found]:
    """Look several writes up, in their order; a refusal stands where that write would.

    Raises:
        ProviderError: a question got no answer, so nothing is known of any of them.
    """
    found: dict[int, Found] = {}
    for path in dict.fromkeys(write.path for write in writes):
        places = [place for place, write in enumerate(writes) if write.path == path]
        of_path = await _on_path(client, path, [writes[place] for place in places], home_currency)
        found.update(zip(places, of_path, strict=True))
    return [found[place] for place in range(len(writes))]


async def _on_path(client: XeroClient, path: str, writes: Sequence[PreparedWrite], home: str) -> list[Found]:
    def answered(choose: Callable[[PreparedWrite], answers.Row | None]) -> list[Found]:
        return [_found(write, choose, home) for write in writes]

    references = [write.reference for write in writes]
    if path == CONTACTS:
        contacts = await find_contacts(client, writes)
        return [posted(row, home_currency=home) if isinstance(row, answers.Contact) else row for row in contacts]
    if path == INVOICES:
        invoices = await _invoices(client, InvoiceNumbers=references)
        return answered(lambda write: _our_document(invoices, write))
    if path == CREDIT_NOTES:
        notes = await _credit_notes(client, is_text("CreditNoteNumber", references))
        return answered(lambda write: _our_document(notes, write))
    if path == BANK_TRANSACTIONS:
        spent = await _bank_transactions(client, is_text("Reference", references))
        return answered(lambda write: _our_transaction(spent, write))
    if path == BANK_TRANSFERS:
        carried = await _bank_transfers(client, is_text("Reference", references))
        return answered(lambda write: _our_transfer(carried, write))
    paid = await _paid(client, writes)
    return answered(lambda write: _our_payment(paid, write))


def _found(write: PreparedWrite, choose: Callable[[PreparedWrite], answers.Row | None], home: str) -> Found:
    try:
        row = choose(write)
        return posted(row, home_currency=home, currency=write.currency) if row else None
    except OutcomeUnknownError:
        # It stands there, but with an amount that this currency does not have: a person changed it.
        return _changed(write)
    except ProviderRejectedError as refused:
        return refused


def _our_document(rows: Iterable[T], write: PreparedWrite) -> T | None:
    # Bills and credits of suppliers have numbers as well, and theirs need not be unique.
    ours = [row for row in rows if row.type in ("ACCREC", "ACCRECCREDIT") and row.number == write.reference]
    standing = [row for row in ours if row.status in STANDING]
    found = next(iter(standing or ours), None)
    if found is None:
        return None
    if not _is_ours(found, write):
        raise ProviderRejectedError(Reason.NUMBER_TAKEN, detail={"reference": write.reference})
    if found.status not in STANDING or _party(found) != write.party_id:
        # Its number is never used again, so no second one is ever made.
        raise _changed(write)
    return found


def _our_payment(paid: Iterable[answers.Sold], write: PreparedWrite) -> answers.Payment | None:
    document_id = paid_document_id(write).lower()
    document = next((row for row in paid if row.id.lower() == document_id), None)
    if document is None or _party(document) not in (write.party_id, None):
        raise _changed(write)
    for payment in document.payments:
        if payment.status != "DELETED" and is_guid(payment.payment_id) and _refers_to(payment, write):
            return _within(payment, document)
    if document.status not in STANDING:
        raise _changed(write)
    return None


def _our_transaction(rows: Iterable[answers.BankTransaction], write: PreparedWrite) -> answers.BankTransaction | None:
    """What a person deleted is not there and may be made again, as a payment: nothing else keeps the money booked."""
    (sent,) = frozen(write).bank_transactions
    live = [row for row in rows if row.reference == write.reference and row.status == "AUTHORISED"]
    same = [row for row in live if (row.type, _id(row.bank_account)) == (sent.type, _id(sent.bank_account))]
    if live and not same:
        raise _changed(write)
    return next(iter(sorted(same, key=lambda row: row.total != sent_total(write))), None)


def _our_transfer(rows: Iterable[answers.BankTransfer], write: PreparedWrite) -> answers.BankTransfer | None:
    (sent,) = frozen(write).bank_transfers
    live = [row for row in rows if row.reference == write.reference and row.status == "AUTHORISED"]
    same = [row for row in live if _ends(row) == _ends(sent)]
    if live and not same:
        raise _changed(write)
    return next(iter(sorted(same, key=lambda row: row.amount != sent.amount)), None)


def sent_total(write: PreparedWrite) -> object:
    """Return the total of a frozen write as Xero would show it."""
    return None if write.total_minor is None else to_decimal(write.total_minor, write.currency)


def _ends(row: answers.BankTransfer) -> tuple[str, str]:
    return _id(row.from_bank_account), _id(row.to_bank_account)


def _id(account: answers.Account | None) -> str:
    return account.account_id.lower() if account else ""


def _within(payment: answers.Payment, document: answers.Sold) -> answers.Payment:
    """Return the payment with what it pays, as Xero shows it by itself."""
    of = document if isinstance(document, answers.Invoice) else None
    note = document if isinstance(document, answers.CreditNote) else None
    return answers.Payment(
        payment_id=payment.payment_id,
        date=payment.date,
        amount=payment.amount,
        reference=payment.reference,
        status=payment.status,
        invoice=of,
        credit_note=note,
    )


async def _paid(client: XeroClient, writes: Sequence[PreparedWrite]) -> list[answers.Sold]:
    """Read the invoices and credit notes that payments were meant for."""
    notes = [paid_document_id(write) for write in writes if write.kind is DocumentKind.REPAYMENT]
    invoices = [paid_document_id(write) for write in writes if write.kind is not DocumentKind.REPAYMENT]
    found: list[answers.Sold] = []
    if invoices:
        found += await _invoices(client, IDs=invoices)
    if notes:
        found += await _credit_notes(client, is_id("CreditNoteID", notes))
    return found


async def _invoices(client: XeroClient, **wanted: Sequence[str]) -> list[answers.Invoice]:
    found: list[answers.Invoice] = []
    for name, values in wanted.items():
        for several in listed(values):
            found += await read_all(client, "Invoices", answers.Invoice, **{name: several})
    return found


async def _credit_notes(client: XeroClient, filters: Iterable[str]) -> list[answers.CreditNote]:
    found: list[answers.CreditNote] = []
    for where in filters:
        found += await read_all(client, "CreditNotes", answers.CreditNote, where=where)
    return found


async def _bank_transactions(client: XeroClient, filters: Iterable[str]) -> list[answers.BankTransaction]:
    found: list[answers.BankTransaction] = []
    for where in filters:
        found += await read_all(client, "BankTransactions", answers.BankTransaction, where=where)
    return found


async def _bank_transfers(client: XeroClient, filters: Iterable[str]) -> list[answers.BankTransfer]:
    found: list[answers.BankTransfer] = []
    for where in filters:
        found += await read_whole(client, "BankTransfers", answers.BankTransfer, where=where)
    return found


def _is_ours(found: answers.Sold, write: PreparedWrite) -> bool:
    """Our reference says so; where a person changed it, the same contact and total do."""
    sent = frozen(write)
    memo = next(iter((*sent.invoices, *sent.credit_notes))).reference
    if memo and found.reference == memo:
        return True
    if write.total_minor is None or _party(found) != write.party_id:
        return False
    return found.total == sent_total(write)


def _refers_to(payment: answers.Payment, write: PreparedWrite) -> bool:
    return write.reference in (payment.reference or "").split()


def _party(found: answers.Sold) -> str | None:
    return found.contact.contact_id if found.contact else None


def _changed(write: PreparedWrite) -> ProviderRejectedError:
    return ProviderRejectedError(Reason.CHANGED_IN_BOOKS, detail={"reference": write.reference})
