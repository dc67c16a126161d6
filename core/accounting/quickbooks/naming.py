"""Finding clients, items and the payee by their names, archived ones included."""

from collections.abc import Sequence

from core.accounting.port import PreparedWrite
from core.accounting.quickbooks import answers
from core.accounting.quickbooks.client import QuickBooksClient
from core.accounting.quickbooks.frozen import frozen
from core.accounting.quickbooks.names import DELETED, same_person
from core.accounting.quickbooks.queries import ANY_STATE, equals, one_of, select
from core.errors import ProviderRejectedError
from core.reasons import Reason


async def find_customer(client: QuickBooksClient, write: PreparedWrite) -> answers.Customer | None:
    """Return the customer of this name if it is the same person, or None.

    Raises:
        ProviderRejectedError: ``NAME_TAKEN`` by someone with another address or in another currency;
            ``CUSTOMER_INACTIVE`` when it is archived.
    """
    sent = frozen(write)
    reply = await client.query(_named("Customer", sent.display_name))
    found = answers.read_list(reply.body, "Customer", answers.Customer, request_id=reply.request_id)
    active = next((customer for customer in found if customer.active), None)
    match = active or next(iter(found), None)
    if match is None:
        return None
    theirs = match.primary_email_addr.address if match.primary_email_addr else None
    is_same = same_person(sent.primary_email_addr.address if sent.primary_email_addr else None, theirs)
    if not is_same or (match.currency_ref and match.currency_ref.value != write.currency):
        if active is None and match.display_name.endswith(DELETED):
            # The archived stranger gave the name up: it is free.
            return None
        raise ProviderRejectedError(Reason.NAME_TAKEN, detail={"client": sent.display_name})
    if active is None:
        raise ProviderRejectedError(Reason.CUSTOMER_INACTIVE, detail={"client": sent.display_name})
    return match


async def find_payee(client: QuickBooksClient, write: PreparedWrite, home_currency: str) -> answers.Vendor | None:
    """Return the active vendor of this name in the home currency, or None.

    Raises:
        ProviderRejectedError: ``NAME_TAKEN`` by a vendor in another currency, or by an archived one that kept its name:
            the next name is tried, since nobody has to be asked about a payee.
    """
    name = frozen(write).display_name
    reply = await client.query(_named("Vendor", name))
    found = answers.read_list(reply.body, "Vendor", answers.Vendor, request_id=reply.request_id)
    same_name = [vendor for vendor in found if not vendor.display_name.endswith(DELETED)]
    for vendor in same_name:
        if vendor.active and (vendor.currency_ref is None or vendor.currency_ref.value == home_currency):
            return vendor
    if same_name:
        raise ProviderRejectedError(Reason.NAME_TAKEN, detail={"client": name})
    return None


async def find_item(client: QuickBooksClient, write: PreparedWrite) -> answers.Item | None:
    """Return the item of this name if it books to the same account, or None.

    Raises:
        ProviderRejectedError: ``NAME_TAKEN`` by an item of another account or kind, or by an archived one.
    """
    sent = frozen(write)
    reply = await client.query(select("Item", equals("Name", sent.name), ANY_STATE))
    found: Sequence[answers.Item] = answers.read_list(reply.body, "Item", answers.Item, request_id=reply.request_id)
    for item in found:
        is_usable = item.active and item.type in ("Service", "NonInventory")
        if is_usable and _value(item.income_account_ref) == _value(sent.income_account_ref):
            return item
    if found:
        raise ProviderRejectedError(Reason.NAME_TAKEN, detail={"client": sent.name, "service": sent.name})
    return None


def _named(entity: str, name: str) -> str:
    return select(entity, one_of("DisplayName", (name, name + DELETED)), ANY_STATE)


def _value(ref: answers.Ref | None) -> str | None:
    return ref.value if ref else None
