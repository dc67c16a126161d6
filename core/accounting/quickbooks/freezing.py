"""Documents frozen into the very bytes that will be sent, for one company. Pure, and refusing what it cannot take."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import msgspec

from core.accounting.port import Company, PreparedWrite
from core.accounting.quickbooks import bodies, moves
from core.accounting.quickbooks.company import is_on, purchase_rates
from core.accounting.quickbooks.entities import entity_of
from core.accounting.quickbooks.schemas import Ref, encode
from core.accounting.quickbooks.taxes import TaxProfile
from core.books.documents import (
    CreditNote,
    Customer,
    Deposit,
    Document,
    Expense,
    Invoice,
    Item,
    Payee,
    Payment,
    Refund,
    Repayment,
    SalesReceipt,
    Support,
    Transfer,
)
from core.errors import ProviderRejectedError, StopError
from core.reasons import Reason

PAYEE_NAME = "Stripe"
"""Who takes the fees. The document names only the step."""


def supporting(document: Document, company: Company) -> Sequence[Item | Payee]:
    """Return one item per (service, account) of sale lines in their order, and the vendor of fees."""
    match document:
        case Invoice() | SalesReceipt() | Refund():
            return tuple({item.step: item for item in map(bodies.item_for, document.lines)}.values())
        case Expense() | Deposit():
            return (Payee(PAYEE_NAME, company.home_currency),)
        case _:
            return ()


def freeze(
    document: Document, company: Company, *, key: str, ids: Mapping[str, str], revision: int = 0
) -> PreparedWrite:
    """Return the write; see :meth:`~core.accounting.port.AccountingProvider.prepare` for the arguments.

    Raises:
        ProviderRejectedError: these books cannot take it: ``PERIOD_CLOSED``, ``CURRENCY_NOT_ENABLED``,
            ``TAX_CODE_MISFIT``, ``REFUSED`` (a third decimal), ``NAME_TAKEN`` (no further candidate name).
        StopError: ``OUR_FAULT`` when an id that the document needs is missing or malformed, and for a credit note or
            a repayment, which QuickBooks takes as one refund.
    """
    entity = entity_of(document.kind)
    _refuse_closed_period(document, company)
    body, reference, currency = _body(document, company, ids, revision)
    write = PreparedWrite(
        kind=document.kind,
        step=document.step,
        key=key,
        reference=reference,
        path=entity.path,
        body=encode(body),
        total_minor=None,
        currency=currency.upper(),
    )
    if isinstance(document, Customer | Item | Payee):
        return write
    return replace(
        write,
        total_minor=document.total_minor,
        party_id=_party(document, ids),
        home_minor=document.home_minor if isinstance(document, Payment) else None,
    )


def _body(
    document: Document, company: Company, ids: Mapping[str, str], revision: int
) -> tuple[msgspec.Struct, str, str]:
    """Return body, reference and currency."""
    if isinstance(document, Customer | Item | Payee):
        return _supporting_body(document, company, revision)
    currency, taxes = _currency_ref(document.currency, company, is_foreign=_is_rated(document)), _taxes(company)
    body: msgspec.Struct
    match document:
        case Invoice():
            body = bodies.invoice_body(document, ids, currency=currency, taxes=taxes)
        case Payment():
            body = bodies.payment_body(document, ids, currency=currency)
        case SalesReceipt():
            body = bodies.sales_receipt_body(document, ids, currency=currency, taxes=taxes)
        case Refund():
            body = bodies.refund_body(document, ids, currency=currency, taxes=taxes)
        case Expense():
            body = moves.expense_body(document, ids, currency=currency, taxes=taxes)
        case Deposit():
            body = moves.deposit_body(document, ids, currency=currency, taxes=taxes)
        case Transfer():
            body = moves.transfer_body(document, currency=currency)
        case CreditNote() | Repayment():
            raise StopError(Reason.OUR_FAULT, {"unexpected": document.kind.value})
    return body, document.reference, document.currency


def _supporting_body(document: Support, company: Company, revision: int) -> tuple[msgspec.Struct, str, str]:
    match document:
        case Customer():
            currency = _currency_ref(document.currency, company, is_foreign=document.is_foreign)
            customer = bodies.customer_body(document, currency=currency, revision=revision)
            return customer, customer.display_name, document.currency
        case Payee():
            currency = _currency_ref(document.currency, company)
            payee = moves.payee_body(document, currency=currency, revision=revision)
            return payee, payee.display_name, document.currency
        case Item():
            item = bodies.item_body(document, revision=revision)
            return item, item.name, company.home_currency


def _party(document: Document, ids: Mapping[str, str]) -> str | None:
    """Return whom the answer must name; a deposit names its party per line, a transfer none."""
    match document:
        case Invoice() | Payment() | SalesReceipt() | Refund():
            return ids[document.customer_step]
        case Expense():
            return ids[document.payee_step]
        case _:
            return None


def _taxes(company: Company) -> TaxProfile:
    return TaxProfile(
        is_us=company.country == "US",
        using_sales_tax=is_on(company, "using_sales_tax"),
        untaxed_code=company.options.get("untaxed_code") or None,
        purchase_rates=purchase_rates(company),
    )


def _is_rated(document: Document) -> bool:
    """Whether a document says what its currency is worth; without, QuickBooks books a payment one to one."""
    match document:
        case Invoice():
            return document.exchange_rate is not None
        case Payment():
            return document.home_minor is not None
        case _:
            return False


def _currency_ref(currency: str, company: Company, *, is_foreign: bool = False) -> Ref | None:
    """Return the currency to name: required with several currencies on, refused by QuickBooks otherwise."""
    home = company.home_currency.upper()
    if currency.upper() == home:
        return Ref(home) if is_on(company, "multicurrency") else None
    if not is_foreign or not is_on(company, "multicurrency"):
        raise not_kept(currency, company)
    return Ref(currency.upper())


def not_kept(currency: str, company: Company) -> ProviderRejectedError:
    """Return the refusal of a currency that these books do not keep."""
    detail = {"currency": currency.upper(), "home_currency": company.home_currency.upper()}
    return ProviderRejectedError(Reason.CURRENCY_NOT_ENABLED, detail=detail)


def _refuse_closed_period(document: Document, company: Company) -> None:
    """Refuse before sending: with the right password QuickBooks would let us in, and we never want to be."""
    closed_to = company.options.get("book_close_date", "")
    if isinstance(document, Customer | Item | Payee) or not closed_to:
        return
    if document.date.isoformat() <= closed_to[:10]:
        raise ProviderRejectedError(
            Reason.PERIOD_CLOSED, detail={"date": document.date.isoformat(), "closed_to": closed_to[:10]}
        )
