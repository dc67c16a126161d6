"""Reading the books again for the proof: our documents as they stand, an account's balance, everybody's sales."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal

from core.accounting.port import Company, FoundSale, Standing
from core.accounting.quickbooks import answers
from core.accounting.quickbooks.client import QuickBooksClient, is_object_id
from core.accounting.quickbooks.company import is_on
from core.accounting.quickbooks.entities import MONEY_KINDS, entity_of
from core.accounting.quickbooks.freezing import not_kept
from core.accounting.quickbooks.lookup import with_any
from core.accounting.quickbooks.queries import ANY_STATE, PAGE, between, equals, select
from core.books.documents import DocumentKind
from core.errors import ProviderRejectedError, ProviderUnavailableError, StopError
from core.money import MoneyError, from_decimal
from core.reasons import Reason

MAX_SALES_PAGES = 100
"""A hundred thousand sales between two days; a longer list must be asked for in parts."""

# Assets and expenses are shown the way round that the port wants; these stand the other way.
_CREDIT_SIDE = ("Liability", "Equity", "Revenue")

_PAYS_BACK = "RefundReceipt"


async def read_back(
    client: QuickBooksClient, kind: DocumentKind, external_ids: Sequence[str], home_currency: str
) -> dict[str, Standing]:
    """Return how each document stands; one that QuickBooks does not know any more was deleted.

    Raises:
        StopError: ``OUR_FAULT`` for a kind that moves no money, or a malformed id.
    """
    if kind not in MONEY_KINDS or not all(map(is_object_id, external_ids)):
        raise StopError(Reason.OUR_FAULT, {"read_back": kind.value})
    wanted = list(dict.fromkeys(external_ids))
    standing = {external_id: Standing(external_id, None, False, None, None, None) for external_id in wanted}
    rows = await with_any(client, entity_of(kind).name, "Id", wanted)
    return standing | {
        row.id: standing_of(row, entity_of(kind).name, home_currency) for row in rows if row.id in standing
    }


async def read_balance(client: QuickBooksClient, account_id: str, home_currency: str) -> int:
    """Return what the account holds by QuickBooks' own ``CurrentBalance``: of balance-sheet accounts only.

    Raises:
        ProviderRejectedError: ``ACCOUNT_INACTIVE`` when there is no such account.
    """
    if not is_object_id(account_id):
        raise StopError(Reason.OUR_FAULT, {"malformed_id": account_id[:40]})
    reply = await client.query(select("Account", equals("Id", account_id), ANY_STATE))
    rows = answers.read_list(reply.body, "Account", answers.Account, request_id=reply.request_id)
    if not rows:
        raise ProviderRejectedError(Reason.ACCOUNT_INACTIVE, "no such account", request_id=reply.request_id)
    account = rows[0]
    currency = account.currency_ref.value if account.currency_ref else home_currency
    if account.current_balance is None:
        raise ProviderUnavailableError("QuickBooks named no balance", request_id=reply.request_id, status=200)
    try:
        shown = from_decimal(account.current_balance, currency)
    except MoneyError as exc:
        raise ProviderUnavailableError(f"unreadable balance: {exc}", request_id=reply.request_id, status=200) from exc
    return -shown if account.classification in _CREDIT_SIDE else shown


async def read_rate(client: QuickBooksClient, currency: str, day: date, company: Company) -> str:
    """Return what one unit of ``currency`` was worth at home on a day, by the company's own rates.

    Raises:
        ProviderRejectedError: ``CURRENCY_NOT_ENABLED``: several currencies are not switched on, or this one is not.
    """
    if not is_on(company, "multicurrency"):
        raise not_kept(currency, company)
    try:
        reply = await client.read("/exchangerate", sourcecurrencycode=currency.upper(), asofdate=day.isoformat())
    except ProviderRejectedError as refused:
        raise not_kept(currency, company) from refused
    found = answers.read_object(reply.body, "ExchangeRate", answers.ExchangeRate, request_id=reply.request_id)
    home = company.home_currency.upper()
    if (found.source_currency_code, found.target_currency_code) != (currency.upper(), home):
        raise ProviderUnavailableError("QuickBooks answered about another rate", request_id=reply.request_id)
    if not found.rate or found.rate <= 0:
        raise not_kept(currency, company)
    return f"{found.rate:f}"


async def list_sales(client: QuickBooksClient, start: date, end: date, home_currency: str) -> list[FoundSale]:
    """Return every invoice and sales receipt of the days, by date."""
    found = []
    for kind in (DocumentKind.INVOICE, DocumentKind.SALES_RECEIPT):
        rows = await _sales(client, entity_of(kind).name, start, end)
        found += [sale for row in rows.values() if (sale := _found_sale(kind, row, home_currency)) is not None]
    return sorted(found, key=lambda sale: (sale.date, sale.kind.value, len(sale.external_id), sale.external_id))


async def _sales(client: QuickBooksClient, entity: str, start: date, end: date) -> dict[str, answers.Sale]:
    found: dict[str, answers.Sale] = {}
    conditions = between("TxnDate", start.isoformat(), end.isoformat())
    for page in range(MAX_SALES_PAGES):
        reply = await client.query(select(entity, *conditions, order_by="TxnDate", start=1 + page * PAGE))
        rows = answers.read_list(reply.body, entity, answers.Sale, request_id=reply.request_id)
        found.update((row.id, row) for row in rows)
        if len(rows) < PAGE:
            return found
    raise ProviderUnavailableError("too many sales between those days")


def _found_sale(kind: DocumentKind, row: answers.Sale, home_currency: str) -> FoundSale | None:
    currency = _currency(row, home_currency)
    try:
        total_minor, day = from_decimal(row.total_amt or answers.ZERO, currency), date.fromisoformat(row.txn_date)
    except ValueError:
        # An amount or a day that we cannot read cannot be the same as one of ours.
        return None
    notes = (row.payment_ref_num, row.customer_memo.value if row.customer_memo else "", row.private_note)
    return FoundSale(
        kind=kind,
        external_id=row.id,
        number=row.doc_number,
        date=day,
        total_minor=total_minor,
        currency=currency,
        customer_name=row.customer_ref.name if row.customer_ref else "",
        note=" | ".join(note for note in notes if note),
    )


def standing_of(row: answers.Transaction, entity: str, home_currency: str) -> Standing:
    """Return how a transaction stands, from its whole object or from what is left of a deleted one."""
    if row.is_deleted:
        return Standing(row.id, None, False, None, None, None, changed_at=_changed_at(row))
    currency = _currency(row, home_currency)
    still_open = row.balance if row.unapplied_amt is None else row.unapplied_amt
    return Standing(
        external_id=row.id,
        number=row.payment_ref_num if row.doc_number is None else row.doc_number,
        stands=not row.is_voided,
        total_minor=_minor(row.total, currency),
        currency=currency,
        date=_day(row.txn_date),
        changed_at=_changed_at(row),
        is_void=row.is_voided,
        version=row.sync_token or None,
        open_minor=_minor(still_open, currency),
        effects=_effects(row, entity, home_currency),
    )


def _effects(row: answers.Transaction, entity: str, home_currency: str) -> dict[str, int] | None:
    """Return what a transaction does to the accounts that it moves money on; None where that cannot be told.

    Of a foreign one, QuickBooks says what it moves in its own currency alone.
    """
    if _currency(row, home_currency) != home_currency.upper():
        return None
    sums: dict[str, int] = {}
    try:
        for account_id, value in _moves(row, entity):
            sums[account_id] = sums.get(account_id, 0) + from_decimal(value, home_currency)
    except MoneyError:
        return None
    return sums


def _moves(row: answers.Transaction, entity: str) -> Iterator[tuple[str, Decimal]]:
    """Each field that names an account of money says by itself which way the money goes."""
    total = row.total or answers.ZERO
    if row.from_account_ref:
        yield row.from_account_ref.value, -total
    if row.to_account_ref:
        yield row.to_account_ref.value, total
    if row.deposit_to_account_ref:
        # A payment, a receipt or a deposit brings money there; a refund takes it from there.
        yield row.deposit_to_account_ref.value, -total if entity == _PAYS_BACK else total
    sign = 1 if row.credit else -1
    if row.account_ref:
        yield row.account_ref.value, sign * total
    for line in row.line:
        amount = line.amount or answers.ZERO
        if line.account_based_expense_line_detail and line.account_based_expense_line_detail.account_ref:
            yield line.account_based_expense_line_detail.account_ref.value, -sign * amount
        if line.deposit_line_detail and line.deposit_line_detail.account_ref:
            yield line.deposit_line_detail.account_ref.value, -amount
        journal = line.journal_entry_line_detail
        if journal and journal.account_ref:
            yield journal.account_ref.value, amount if journal.posting_type == "Debit" else -amount


def _currency(row: answers.Transaction, home_currency: str) -> str:
    return (row.currency_ref.value if row.currency_ref else home_currency).upper()


def _minor(value: Decimal | None, currency: str) -> int | None:
    try:
        return None if value is None else from_decimal(value, currency)
    except MoneyError:
        return None


def _changed_at(row: answers.Transaction) -> datetime | None:
    return _moment(row.meta_data.last_updated_time if row.meta_data else "")


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        return None


def _moment(text: str) -> datetime | None:
    """QuickBooks writes an offset; without one the time would be nobody's."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else None
