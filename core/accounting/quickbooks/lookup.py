"""Finding again what may have been written: by number, by name, and by the reference inside the note.

Invoices: the number is not unique and QuickBooks may have given its own, so the note decides whose document it is.
Payments: ``PaymentRefNum`` is searchable but never checked for uniqueness. Customers and items: by name, archived ones
included.
"""

from collections.abc import Sequence

import msgspec

from core.accounting.port import PreparedWrite
from core.accounting.quickbooks import answers
from core.accounting.quickbooks.client import QuickBooksClient
from core.accounting.quickbooks.names import DELETED, same_person
from core.accounting.quickbooks.queries import ANY_STATE, PAGE, equals, one_of, select
from core.errors import ProviderRejectedError, ProviderUnavailableError
from core.money import to_decimal
from core.reasons import Reason

MAX_PAGES = 20
"""One client's invoices of one day never reach this; a search that does is not answered with "not there"."""


class Frozen(msgspec.Struct, frozen=True, rename="pascal"):
    """What of the frozen bytes a look-up compares with."""

    display_name: str = ""
    name: str = ""
    txn_date: str = ""
    private_note: str = ""
    primary_email_addr: answers.Email | None = None
    customer_ref: answers.Ref | None = None
    income_account_ref: answers.Ref | None = None
    deposit_to_account_ref: answers.Ref | None = None
    line: tuple[answers.Line, ...] = ()

    @property
    def invoice_id(self) -> str | None:
        """The invoice that a payment was meant for."""
        return next((link.txn_id for line in self.line for link in line.linked_txn), None)

    @property
    def item_ids(self) -> list[str]:
        """The items that the lines of an invoice point to."""
        details = (line.sales_item_line_detail for line in self.line)
        return list(dict.fromkeys(detail.item_ref.value for detail in details if detail and detail.item_ref))


def frozen(write: PreparedWrite) -> Frozen:
    """Read the frozen bytes back."""
    return msgspec.json.decode(write.body, type=Frozen)


async def find_invoice(client: QuickBooksClient, write: PreparedWrite) -> answers.Transaction | None:
    """Return our invoice, or None.

    Raises:
        ProviderRejectedError: ``NUMBER_TAKEN`` by a document that is not ours; ``CHANGED_IN_BOOKS`` when ours was
            voided, given to another customer, or stands there twice.
    """
    numbered = await _transactions(client, "Invoice", equals("DocNumber", write.reference))
    ours = [found for found in numbered if _is_ours(found, write)]
    if not ours:
        ours = await _renumbered(client, write)
    if not ours and numbered:
        raise ProviderRejectedError(Reason.NUMBER_TAKEN, detail={"reference": write.reference})
    return _the_one(ours, write)


async def find_payment(client: QuickBooksClient, write: PreparedWrite) -> answers.Transaction | None:
    """Return our payment, or None.

    Raises:
        ProviderRejectedError: ``CHANGED_IN_BOOKS`` when a payment with our reference is not what we sent.
    """
    numbered = await _transactions(client, "Payment", equals("PaymentRefNum", write.reference))
    return _the_one(numbered, write)


async def find_customer(client: QuickBooksClient, write: PreparedWrite, home_currency: str) -> answers.Customer | None:
    """Return the customer of this name if it is the same person, or None.

    Raises:
        ProviderRejectedError: ``NAME_TAKEN`` by someone with another address or in another currency;
            ``CUSTOMER_INACTIVE`` when it is archived.
    """
    sent = frozen(write)
    named = one_of("DisplayName", (sent.display_name, sent.display_name + DELETED))
    reply = await client.query(select("Customer", named, ANY_STATE))
    found = answers.read_list(reply.body, "Customer", answers.Customer, request_id=reply.request_id)
    active = next((customer for customer in found if customer.active), None)
    match = active or next(iter(found), None)
    if match is None:
        return None
    theirs = match.primary_email_addr.address if match.primary_email_addr else None
    is_same = same_person(sent.primary_email_addr.address if sent.primary_email_addr else None, theirs)
    if not is_same or (match.currency_ref and match.currency_ref.value != home_currency):
        if active is None and match.display_name.endswith(DELETED):
            # The archived stranger gave the name up: it is free.
            return None
        raise ProviderRejectedError(Reason.NAME_TAKEN, detail={"client": sent.display_name})
    if active is None:
        raise ProviderRejectedError(Reason.CUSTOMER_INACTIVE, detail={"client": sent.display_name})
    return match


async def find_item(client: QuickBooksClient, write: PreparedWrite) -> answers.Item | None:
    """Return the item of this name if it books to the same account, or None.

    Raises:
        ProviderRejectedError: ``NAME_TAKEN`` by an item of another account or kind, or by an archived one.
    """
    sent = frozen(write)
    reply = await client.query(select("Item", equals("Name", sent.name), ANY_STATE))
    found = answers.read_list(reply.body, "Item", answers.Item, request_id=reply.request_id)
    for item in found:
        is_usable = item.active and item.type in ("Service", "NonInventory")
        if is_usable and _value(item.income_account_ref) == _value(sent.income_account_ref):
            return item
    if found:
        raise ProviderRejectedError(Reason.NAME_TAKEN, detail={"client": sent.name, "service": sent.name})
    return None


async def _renumbered(client: QuickBooksClient, write: PreparedWrite) -> list[answers.Transaction]:
    """Search the client's invoices of that day: QuickBooks, or a person, may have changed the number."""
    conditions = [equals("TxnDate", frozen(write).txn_date)]
    if write.party_id:
        conditions.append(equals("CustomerRef", write.party_id))
    found = await _transactions(client, "Invoice", *conditions)
    return [invoice for invoice in found if write.reference in invoice.private_note]


async def _transactions(client: QuickBooksClient, entity: str, *conditions: str) -> list[answers.Transaction]:
    found: dict[str, answers.Transaction] = {}
    for page in range(MAX_PAGES):
        statement = select(entity, *conditions, order_by="TxnDate", start=1 + page * PAGE)
        reply = await client.query(statement)
        rows = answers.read_list(reply.body, entity, answers.Transaction, request_id=reply.request_id)
        found.update((row.id, row) for row in rows)
        if len(rows) < PAGE:
            return list(found.values())
    raise ProviderUnavailableError("too many documents of that day to be sure")


def _is_ours(found: answers.Transaction, write: PreparedWrite) -> bool:
    """Our reference in the note says so; where a person cleared the note, the same customer and total do."""
    if write.reference in found.private_note:
        return True
    if write.total_minor is None or _value(found.customer_ref) != write.party_id:
        return False
    return found.total_amt == to_decimal(write.total_minor, write.currency)


def _the_one(ours: Sequence[answers.Transaction], write: PreparedWrite) -> answers.Transaction | None:
    if not ours:
        return None
    only = ours[0]
    if len(ours) > 1 or _value(only.customer_ref) != write.party_id or _is_voided(only):
        raise ProviderRejectedError(Reason.CHANGED_IN_BOOKS, detail={"reference": write.reference})
    return only


def _is_voided(found: answers.Transaction) -> bool:
    return not found.total_amt and found.private_note.startswith("Voided")


def _value(ref: answers.Ref | None) -> str | None:
    return ref.value if ref else None
