"""Finding a contact again: by its number, which people cannot edit, and by its name where a person made it."""

from collections.abc import Mapping, Sequence

from core.accounting.port import PreparedWrite
from core.accounting.xero import answers
from core.accounting.xero.client import XeroClient
from core.accounting.xero.freezing import frozen
from core.accounting.xero.names import is_ours, same_name
from core.accounting.xero.queries import is_plain, is_text, read_all
from core.errors import ProviderError, ProviderRejectedError
from core.reasons import Reason


async def find_contact(client: XeroClient, write: PreparedWrite) -> answers.Contact | None:
    """Return the contact, or None.

    Raises:
        ProviderRejectedError: ``NAME_TAKEN`` by somebody else; ``CUSTOMER_INACTIVE`` when it is archived.
    """
    (sent,) = frozen(write).contacts
    numbered = await _contact(client, sent.contact_number or "")
    if numbered is not None and numbered.merged_to_contact_id:
        # A person merged it into another one, which stands for both from then on.
        numbered = await _contact(client, numbered.merged_to_contact_id) or numbered
    return _chosen(sent, numbered, [] if numbered else await _contacts_like(client, sent.name))


async def find_contacts(
    client: XeroClient, writes: Sequence[PreparedWrite]
) -> list[answers.Contact | ProviderError | None]:
    """Find several in a few calls: all numbers at once, then all names that are plain enough to ask for at once.

    A name in other capitals is not found here. Xero refuses to make it twice, and the search after that finds it.
    """
    sent = [frozen(write).contacts[0] for write in writes]
    numbers = [contact.contact_number or "" for contact in sent]
    numbered = {row.contact_number or "": row for row in await _asked(client, "ContactNumber", numbers)}
    named = await _named(client, [contact.name for contact in sent if contact.contact_number not in numbered])
    found: list[answers.Contact | ProviderError | None] = []
    for write, contact in zip(writes, sent, strict=True):
        row = numbered.get(contact.contact_number or "")
        try:
            if row is not None and row.merged_to_contact_id:
                found.append(await find_contact(client, write))
            else:
                found.append(_chosen(contact, row, named.get(contact.name, [])))
        except ProviderRejectedError as refused:
            found.append(refused)
    return found


def _chosen(
    sent: answers.Contact, numbered: answers.Contact | None, like: Sequence[answers.Contact]
) -> answers.Contact | None:
    if numbered is not None:
        return _usable(numbered)
    named = [found for found in like if same_name(found.name, sent.name)]
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


async def _contact(client: XeroClient, number_or_id: str) -> answers.Contact | None:
    reply = await client.find(f"/Contacts/{number_or_id}")
    if reply is None:
        return None
    rows = answers.read_list(reply.body, "Contacts", answers.Contact, request_id=reply.request_id)
    return next(iter(rows), None)


async def _named(client: XeroClient, names: Sequence[str]) -> Mapping[str, list[answers.Contact]]:
    rows = await _asked(client, "Name", [name for name in names if is_plain(name)])
    return {
        name: [row for row in rows if same_name(row.name, name)]
        if is_plain(name)
        else await _contacts_like(client, name)
        for name in names
    }


async def _asked(client: XeroClient, name: str, values: Sequence[str]) -> list[answers.Contact]:
    found: list[answers.Contact] = []
    for where in is_text(name, values):
        found += await read_all(client, "Contacts", answers.Contact, where=where, includeArchived="true")
    return found


async def _contacts_like(client: XeroClient, name: str) -> list[answers.Contact]:
    """Search by a parameter of its own, not in the filter language: names hold quotes and worse (I5)."""
    return await read_all(client, "Contacts", answers.Contact, searchTerm=name, includeArchived="true")


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
