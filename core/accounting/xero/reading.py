"""Reading back what we wrote, and what others sold in the same days."""

from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal

from core.accounting.port import FoundSale, Standing
from core.accounting.xero import answers
from core.accounting.xero.amounts import minor_units, read_day, read_moment
from core.accounting.xero.bodies import guid
from core.accounting.xero.client import XeroClient
from core.accounting.xero.outcome import STANDING
from core.accounting.xero.queries import is_id, listed, read_all, read_whole
from core.books.documents import DocumentKind
from core.errors import OutcomeUnknownError, StopError
from core.reasons import Reason

_PAYMENTS = (DocumentKind.PAYMENT, DocumentKind.REPAYMENT)
_AT_BANK = (DocumentKind.SALES_RECEIPT, DocumentKind.EXPENSE, DocumentKind.DEPOSIT)
_COMES_IN = ("ACCRECPAYMENT", "APCREDITPAYMENT")
_GOES_OUT = ("ACCPAYPAYMENT", "ARCREDITPAYMENT")


async def read_back(
    client: XeroClient, kind: DocumentKind, external_ids: Sequence[str], *, home_currency: str
) -> dict[str, Standing]:
    """Return how each document stands; one that Xero does not know does not stand.

    Raises:
        StopError: ``OUR_FAULT`` for a kind that Xero has no documents of, or a malformed id.
        ProviderError: Xero gave no readable answer.
    """
    ids = [guid(external_id).lower() for external_id in external_ids]
    rows = {row.id.lower(): row for row in await _rows(client, kind, ids)}
    return {
        external_id: _standing(external_id, rows.get(external_id.lower()), home_currency)
        for external_id in external_ids
    }


async def list_sales(client: XeroClient, start: date, end: date, *, home_currency: str) -> list[FoundSale]:
    """Return every posted invoice, and all money received without one, dated within the days."""
    days = f"Date>={_day(start)} AND Date<={_day(end)}"
    sold = await read_all(
        client,
        "Invoices",
        answers.Invoice,
        where=f'Type=="ACCREC" AND {days}',
        Statuses=",".join(STANDING),
        order="Date",
    )
    received = await read_all(
        client,
        "BankTransactions",
        answers.BankTransaction,
        where=f'Type=="RECEIVE" AND Status=="AUTHORISED" AND {days}',
        order="Date",
    )
    return [*(_sale(row, home_currency) for row in sold), *(_sale(row, home_currency) for row in received)]


async def _rows(client: XeroClient, kind: DocumentKind, ids: Sequence[str]) -> Sequence[answers.Row]:
    if kind is DocumentKind.INVOICE:
        return [row for some in listed(ids) for row in await read_all(client, "Invoices", answers.Invoice, IDs=some)]
    if kind is DocumentKind.CREDIT_NOTE:
        notes = is_id("CreditNoteID", ids)
        return [
            row for where in notes for row in await read_all(client, "CreditNotes", answers.CreditNote, where=where)
        ]
    if kind in _PAYMENTS:
        paid = is_id("PaymentID", ids)
        return [row for where in paid for row in await read_all(client, "Payments", answers.Payment, where=where)]
    if kind in _AT_BANK:
        return await _at_bank(client, ids)
    if kind is DocumentKind.TRANSFER:
        return await _transfers(client, ids)
    if kind in (DocumentKind.CUSTOMER, DocumentKind.PAYEE):
        return [
            row
            for some in listed(ids)
            for row in await read_all(client, "Contacts", answers.Contact, IDs=some, includeArchived="true")
        ]
    raise StopError(Reason.OUR_FAULT, {"unexpected": kind.value})


async def _at_bank(client: XeroClient, ids: Sequence[str]) -> list[answers.BankTransaction]:
    found: list[answers.BankTransaction] = []
    for where in is_id("BankTransactionID", ids):
        found += await read_all(client, "BankTransactions", answers.BankTransaction, where=where)
    return found


async def _transfers(client: XeroClient, ids: Sequence[str]) -> Sequence[answers.Row]:
    """A transfer of which only one side is a bank account stands among the bank transactions."""
    carried: list[answers.BankTransfer] = []
    for where in is_id("BankTransferID", ids):
        carried += await read_whole(client, "BankTransfers", answers.BankTransfer, where=where, includeDeleted="true")
    known = {row.id.lower() for row in carried}
    others = [external_id for external_id in ids if external_id not in known]
    return [*carried, *await _at_bank(client, others)]


def _standing(external_id: str, row: answers.Row | None, home_currency: str) -> Standing:
    return Standing(external_id, None, False, 0, None, None) if row is None else standing_of(row, home_currency)


def standing_of(row: answers.Row, home_currency: str) -> Standing:
    """Return how one element stands."""
    still_open, version = None, None
    match row:
        case answers.Contact():
            return Standing(row.id, row.name, row.is_active, None, None, None)
        case answers.Payment():
            currency = row.invoice.currency_code if row.invoice else None
            amount, number, changed = row.amount, row.reference, row.updated_date_utc
        case answers.BankTransfer():
            currency, amount, number, changed = None, row.amount, row.reference, None
        case answers.BankTransaction():
            currency, amount, number, changed = row.currency_code, row.total, row.reference, row.updated_date_utc
        case answers.Invoice():
            currency, amount, number, changed = row.currency_code, row.total, row.number, row.updated_date_utc
            still_open, version = row.amount_due, row.updated_date_utc_string
        case answers.CreditNote():
            currency, amount, number, changed = row.currency_code, row.total, row.number, row.updated_date_utc
            still_open, version = row.remaining_credit, row.updated_date_utc_string
    stands = row.status in STANDING
    return Standing(
        external_id=row.id,
        number=number,
        stands=stands,
        total_minor=_total(amount, currency or home_currency) if stands else 0,
        # Of a payment, only what it pays has a currency: unless Xero says it there, nothing is known of it.
        currency=None if isinstance(row, answers.Payment) and not currency else (currency or home_currency).upper(),
        date=_read_date(row.date),
        changed_at=read_moment(changed),
        is_void=row.status == "VOIDED",
        version=version,
        open_minor=_total(still_open, currency or home_currency) if stands else None,
        effects=_effects(row, home_currency) if stands else {},
    )


def _effects(row: answers.Dated, home_currency: str) -> dict[str, int] | None:
    """Return what an element does to bank accounts, by their ids; None where it moves another currency than our own."""
    sums: dict[str, int] = {}
    for account, value in _moves(row, home_currency):
        if value is None:
            return None
        if account is not None:
            sums[account.account_id] = sums.get(account.account_id, 0) + value
    return sums


def _moves(row: answers.Dated, home_currency: str) -> Iterator[tuple[answers.Account | None, int | None]]:
    match row:
        case answers.Payment():
            # Of money in another currency, only the amount at the bank is in one that we know.
            is_home = row.invoice is None or (row.invoice.currency_code or home_currency) == home_currency.upper()
            moved = row.amount if row.bank_amount is None and is_home else row.bank_amount
            comes_in = row.payment_type in _COMES_IN
            if not comes_in and row.payment_type not in _GOES_OUT:
                moved = None
            yield row.account, _signed(moved, home_currency, comes_in=comes_in)
        case answers.BankTransfer():
            yield row.from_bank_account, _signed(row.amount, home_currency, comes_in=False)
            yield row.to_bank_account, _signed(row.amount, home_currency, comes_in=True)
        case answers.BankTransaction():
            is_home = (row.currency_code or home_currency).upper() == home_currency.upper()
            moved = row.total if is_home else None
            yield row.bank_account, _signed(moved, home_currency, comes_in=row.type.startswith("RECEIVE"))
        case _:
            # Invoices and credit notes move no money themselves.
            return


def _signed(value: Decimal | None, currency: str, *, comes_in: bool) -> int | None:
    minor = _total(value, currency)
    return minor if minor is None or comes_in else -minor


def _sale(row: answers.Invoice | answers.BankTransaction, home_currency: str) -> FoundSale:
    currency = (row.currency_code or home_currency).upper()
    is_invoice = isinstance(row, answers.Invoice)
    return FoundSale(
        kind=DocumentKind.INVOICE if is_invoice else DocumentKind.SALES_RECEIPT,
        external_id=row.id,
        number=row.invoice_number if isinstance(row, answers.Invoice) else row.reference,
        date=_read_date(row.date) or date.min,
        total_minor=_total(row.total, currency) or 0,
        currency=currency,
        customer_name=row.contact.name if row.contact else "",
        note=" ".join([row.reference or "", *(line.description or "" for line in row.line_items)]).strip(),
    )


def _total(value: Decimal | None, currency: str) -> int | None:
    """Return the total, or None where it is no amount of the currency: then a person changed it."""
    if value is None:
        return None
    try:
        return minor_units(value, currency)
    except OutcomeUnknownError:
        return None


def _read_date(text: str) -> date | None:
    day = read_day(text)
    return date.fromisoformat(day) if day else None


def _day(day: date) -> str:
    return f"DateTime({day.year},{day.month:02d},{day.day:02d})"
