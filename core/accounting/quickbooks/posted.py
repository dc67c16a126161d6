"""What QuickBooks answered about one write, in the port's words. Totals are told as they stand, never judged."""

from decimal import Decimal

from core.accounting.port import Posted, PreparedWrite
from core.accounting.quickbooks import answers
from core.accounting.quickbooks.amounts import minor_units
from core.accounting.quickbooks.client import is_object_id
from core.accounting.quickbooks.entities import entity_of
from core.accounting.quickbooks.frozen import frozen
from core.books.documents import DocumentKind
from core.errors import OutcomeUnknownError
from core.money import convert


def written(write: PreparedWrite, body: bytes, request_id: str | None, home_currency: str) -> Posted:
    """Read the answer to a write, alone or as a member of a batch.

    Raises:
        OutcomeUnknownError: the answer is not what was announced, or is about another document.
    """
    name = entity_of(write.kind).name
    match write.kind:
        case DocumentKind.CUSTOMER:
            customer = answers.written(body, name, answers.Customer, request_id=request_id)
            return named(customer, customer.display_name, request_id)
        case DocumentKind.PAYEE:
            vendor = answers.written(body, name, answers.Vendor, request_id=request_id)
            return named(vendor, vendor.display_name, request_id)
        case DocumentKind.ITEM:
            item = answers.written(body, name, answers.Item, request_id=request_id)
            return named(item, item.name, request_id)
        case _:
            txn = answers.written(body, name, answers.Transaction, request_id=request_id)
            _refuse_other_document(txn, write, request_id)
            return posted(txn, write, request_id, home_currency)


def named(found: answers.Customer | answers.Vendor | answers.Item, name: str, request_id: str | None = None) -> Posted:
    """A list object: no money, no party."""
    if not is_object_id(found.id):
        raise OutcomeUnknownError("the answer has no id", answered=True, request_id=request_id, status=200)
    return Posted(
        external_id=found.id,
        number=name,
        version=found.sync_token or None,
        total_minor=None,
        currency=None,
        party_id=None,
        request_id=request_id,
    )


def posted(txn: answers.Transaction, write: PreparedWrite, request_id: str | None, home_currency: str) -> Posted:
    """A transaction. Of a payment the total is what is applied to the invoice that was meant."""
    if not is_object_id(txn.id):
        raise OutcomeUnknownError("the answer has no id", answered=True, request_id=request_id, status=200)
    currency = (txn.currency_ref.value if txn.currency_ref else home_currency).upper()
    is_payment = write.kind is DocumentKind.PAYMENT
    total = _applied(txn, write) if is_payment else txn.total
    if total is None:
        raise OutcomeUnknownError("the answer has no total", answered=True, request_id=request_id, status=200)
    return Posted(
        external_id=txn.id,
        number=txn.payment_ref_num if is_payment else txn.doc_number,
        version=txn.sync_token or None,
        total_minor=minor_units(total, currency),
        currency=currency,
        party_id=txn.party_id,
        request_id=request_id,
        home_minor=_at_home(total, currency, txn.exchange_rate, home_currency) if is_payment else None,
    )


def _at_home(total: Decimal, currency: str, rate: Decimal | None, home_currency: str) -> int | None:
    """Return what a foreign payment came to, at the rate that QuickBooks says it kept."""
    minor = minor_units(total, currency)
    if rate is None or minor is None or currency == home_currency.upper():
        return None
    return convert(minor, currency, rate, home_currency)


def _applied(txn: answers.Transaction, write: PreparedWrite) -> Decimal:
    """Return how much of a payment is applied to the invoice that was meant."""
    invoice_id = frozen(write).invoice_id
    return sum(
        (
            line.amount
            for line in txn.line
            if line.amount is not None and any(link.txn_id == invoice_id for link in line.linked_txn)
        ),
        Decimal(0),
    )


def _refuse_other_document(txn: answers.Transaction, write: PreparedWrite, request_id: str | None) -> None:
    """QuickBooks may number a document itself, but then the note still holds our reference."""
    if write.reference in (txn.doc_number, txn.payment_ref_num) or write.reference in txn.private_note:
        return
    raise OutcomeUnknownError("the answer is about another document", answered=True, request_id=request_id, status=200)
