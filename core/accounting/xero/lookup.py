"""Finding again what may have been written: by the number that only one sale can have, by the contact's number.

An invoice is found by ``InvoiceNumber``, which Xero keeps unique; a payment within its invoice; a contact by
``ContactNumber``, which people cannot edit, and by its name when a person made it.
"""

import msgspec

from core.accounting.port import PreparedWrite
from core.accounting.xero import answers
from core.accounting.xero.client import XeroClient, is_guid
from core.accounting.xero.names import is_ours, same_name
from core.errors import ProviderRejectedError, ProviderUnavailableError
from core.money import to_decimal
from core.reasons import Reason

PAGE = 1000
MAX_PAGES = 10
"""Ten thousand contacts that share a name: a search that finds more is not answered with "not there"."""

_STANDING = ("AUTHORISED", "PAID")


class Frozen(msgspec.Struct, frozen=True, rename="pascal"):
    """What of the frozen bytes a look-up compares with."""

    contacts: tuple[answers.Contact, ...] = ()
    invoices: tuple[answers.Invoice, ...] = ()
    payments: tuple[answers.Payment, ...] = ()


def frozen(write: PreparedWrite) -> Frozen:
    """Read the frozen bytes back."""
    return msgspec.json.decode(write.body, type=Frozen)


def invoice_id_of(write: PreparedWrite) -> str:
    """Return the invoice that a frozen payment was meant for."""
    (payment,) = frozen(write).payments
    return payment.invoice.invoice_id if payment.invoice else ""


def day_of(write: PreparedWrite) -> str:
    """Return the day on which a frozen document is dated."""
    sent = frozen(write)
    days = [invoice.date for invoice in sent.invoices] + [payment.date for payment in sent.payments]
    return next(iter(days), "")


async def find_contact(client: XeroClient, write: PreparedWrite) -> answers.Contact | None:
    """Return the client's contact, or None.

    Raises:
        ProviderRejectedError: ``NAME_TAKEN`` by somebody else; ``CUSTOMER_INACTIVE`` when it is archived.
    """
    (sent,) = frozen(write).contacts
    numbered = await _contact(client, sent.contact_number or "")
    if numbered is not None and numbered.merged_to_contact_id:
        # A person merged it into another one, which stands for both from then on.
        numbered = await _contact(client, numbered.merged_to_contact_id) or numbered
    if numbered is not None:
        return _usable(numbered)
    named = [found for found in await _contacts_like(client, sent.name) if same_name(found.name, sent.name)]
    active = next((found for found in named if found.is_active), None)
    match = active or next(iter(named), None)
    if match is None:
        return None
    if _is_same_person(sent, match):
        return _usable(match)
    if active is None:
        # The archived stranger gave the name up: it is free.
        return None
    raise ProviderRejectedError(Reason.NAME_TAKEN, detail={"client": sent.name})


async def find_invoice(client: XeroClient, write: PreparedWrite) -> answers.Invoice | None:
    """Return our invoice, or None.

    Raises:
        ProviderRejectedError: ``NUMBER_TAKEN`` by a sale that is not ours; ``CHANGED_IN_BOOKS`` when ours was voided,
            deleted or given to another contact. Its number is never used again, so no second one is ever made.
    """
    reply = await client.read("/Invoices", InvoiceNumbers=write.reference, page="1", pageSize=str(PAGE))
    rows = answers.read_list(reply.body, "Invoices", answers.Invoice, request_id=reply.request_id)
    # Bills of suppliers have numbers as well, and theirs need not be unique.
    sales = [row for row in rows if row.type == "ACCREC" and row.invoice_number == write.reference]
    standing = [row for row in sales if row.status in _STANDING]
    found = next(iter(standing or sales), None)
    if found is None:
        return None
    if not _is_ours(found, write):
        raise ProviderRejectedError(Reason.NUMBER_TAKEN, detail={"reference": write.reference})
    if found.status not in _STANDING or _party(found) != write.party_id:
        raise ProviderRejectedError(Reason.CHANGED_IN_BOOKS, detail={"reference": write.reference})
    return found


async def find_payment(client: XeroClient, write: PreparedWrite) -> tuple[answers.Invoice, answers.Payment] | None:
    """Return our payment with the invoice that it pays, or None.

    Raises:
        ProviderRejectedError: ``CHANGED_IN_BOOKS`` when the invoice is gone or no longer this client's.
    """
    invoice = await _invoice(client, invoice_id_of(write))
    if invoice is None or _party(invoice) not in (write.party_id, None):
        raise ProviderRejectedError(Reason.CHANGED_IN_BOOKS, detail={"reference": write.reference})
    for payment in invoice.payments:
        if payment.status != "DELETED" and is_guid(payment.payment_id) and _refers_to(payment, write):
            return invoice, payment
    if invoice.status not in _STANDING:
        raise ProviderRejectedError(Reason.CHANGED_IN_BOOKS, detail={"reference": write.reference})
    return None


async def _invoice(client: XeroClient, invoice_id: str) -> answers.Invoice | None:
    reply = await client.find(f"/Invoices/{invoice_id}")
    if reply is None:
        return None
    rows = answers.read_list(reply.body, "Invoices", answers.Invoice, request_id=reply.request_id)
    return next(iter(rows), None)


async def _contact(client: XeroClient, number_or_id: str) -> answers.Contact | None:
    reply = await client.find(f"/Contacts/{number_or_id}")
    if reply is None:
        return None
    rows = answers.read_list(reply.body, "Contacts", answers.Contact, request_id=reply.request_id)
    return next(iter(rows), None)


async def _contacts_like(client: XeroClient, name: str) -> list[answers.Contact]:
    """Search by a parameter of its own, not in the filter language: names hold quotes and worse (I5)."""
    found: dict[str, answers.Contact] = {}
    for page in range(1, MAX_PAGES + 1):
        reply = await client.read(
            "/Contacts", searchTerm=name, includeArchived="true", page=str(page), pageSize=str(PAGE)
        )
        rows = answers.read_list(reply.body, "Contacts", answers.Contact, request_id=reply.request_id)
        found.update((row.contact_id, row) for row in rows)
        if len(rows) < PAGE:
            return list(found.values())
    raise ProviderUnavailableError("too many contacts of that name to be sure")


def _usable(found: answers.Contact) -> answers.Contact:
    if not found.is_active:
        raise ProviderRejectedError(Reason.CUSTOMER_INACTIVE, detail={"client": found.name})
    return found


def _is_same_person(sent: answers.Contact, match: answers.Contact) -> bool:
    """The same address; or one of them has none, and it is nobody else's contact of ours."""
    ours, theirs = (sent.email_address or "").strip(), (match.email_address or "").strip()
    if ours and theirs:
        return ours.casefold() == theirs.casefold()
    return not is_ours(match.contact_number)


def _is_ours(found: answers.Invoice, write: PreparedWrite) -> bool:
    """Our reference says so; where a person changed it, the same contact and total do."""
    (sent,) = frozen(write).invoices
    if sent.reference and found.reference == sent.reference:
        return True
    if write.total_minor is None or _party(found) != write.party_id:
        return False
    return found.total == to_decimal(write.total_minor, write.currency)


def _refers_to(payment: answers.Payment, write: PreparedWrite) -> bool:
    return write.reference in (payment.reference or "").split()


def _party(found: answers.Invoice) -> str | None:
    return found.contact.contact_id if found.contact else None
