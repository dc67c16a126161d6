"""Contacts: names that are unique among the living, numbers that are unique among all."""

from datetime import datetime

from web.sandbox.xero.amounts import ms_time
from web.sandbox.xero.call import Call
from web.sandbox.xero.errors import NO_ID, Invalid, validation_errors
from web.sandbox.xero.records import Contact, Json

_IDENTITY = ("ContactID", "ContactNumber", "Name")
_MAX_PERSONS = 5


def write(call: Call, sent: Json, target: Contact | None, *, creates_only: bool) -> Contact:
    """Create, or update what the sent id, number or name finds."""
    found = target or _find(call, sent)
    if found is not None and creates_only:
        _refuse_twin(call, sent, None)
        raise Invalid("The contact already exists.")
    if found is None:
        if "ContactID" in sent:
            raise Invalid("The contact with the specified ContactID could not be found.")
        return _store(call, sent, None)
    return _store(call, sent, found)


def resolve(call: Call, ref: Json | None) -> Contact:
    """The contact that a document names; a name that nobody has becomes a new contact."""
    if not ref or not any(ref.get(key) for key in _IDENTITY):
        raise Invalid(
            "The Contact must contain at least 1 of the following elements to identify the contact: "
            "Name, ContactID, ContactNumber"
        )
    found = _find(call, ref)
    if found is None:
        if "ContactID" in ref or "Name" not in ref:
            raise Invalid("The contact could not be found.")
        return _store(call, ref, None)
    if found.status != "ACTIVE":
        message = f"The contact '{found.name}' is archived and cannot be used."
        raise Invalid(message)
    if ref.keys() - {"ContactID"} and any(found.fields.get(key) != value for key, value in ref.items()):
        # A document that says more than the id rewrites the contact; persons that it leaves out are gone.
        _store(call, {"ContactPersons": [], **ref}, found)
    return found


def _find(call: Call, sent: Json) -> Contact | None:
    contacts = call.organisation.contacts
    if "ContactID" in sent:
        return contacts.get(str(sent["ContactID"]).lower())
    number = sent.get("ContactNumber")
    if number:
        hit = next((contact for contact in contacts.values() if contact.number == number), None)
        if hit is not None:
            return hit
    return by_name(call, str(sent.get("Name", "")))


def by_name(call: Call, name: str) -> Contact | None:
    """The living contact of that name, whatever its capitals."""
    wanted = name.casefold()
    people = call.organisation.contacts.values()
    return next((c for c in people if c.status == "ACTIVE" and c.name.casefold() == wanted), None)


def _store(call: Call, sent: Json, found: Contact | None) -> Contact:
    fields = {**(found.fields if found else {}), **{k: v for k, v in sent.items() if k != "ContactID"}}
    _check(fields)
    if fields.get("ContactStatus", "ACTIVE") == "ACTIVE":
        _refuse_twin(call, fields, found)
    if found is None:
        found = Contact(id=call.new_id(), created=call.now, updated=call.now, by_app=call.by_app, fields=fields)
        people, new_id = call.organisation.contacts, found.id
        people[new_id] = found
        call.undo.append(lambda: people.pop(new_id))
    else:
        old, before, updated = found, found.fields, found.updated
        call.undo.append(lambda: _restore(old, before, updated))
        found.fields = fields
        call.touch(found)
    return found


def _restore(contact: Contact, fields: Json, updated: datetime) -> None:
    contact.fields, contact.updated = fields, updated


def _check(fields: Json) -> None:
    name = str(fields.get("Name", ""))
    if not name.strip():
        raise Invalid("The Contact Name must be specified.")
    if name != name.strip() or "  " in name or "<" in name or ">" in name:
        raise Invalid("The contact name contains characters or spaces that are not allowed.")
    email = str(fields.get("EmailAddress", ""))
    if email and ("@" not in email or not email.isascii() or " " in email):
        raise Invalid("Email address must be valid.")
    if len(fields.get("ContactPersons", [])) > _MAX_PERSONS:
        raise Invalid("A contact cannot have more than five contact persons.")


def _refuse_twin(call: Call, fields: Json, own: Contact | None) -> None:
    name, number = str(fields.get("Name", "")), fields.get("ContactNumber")
    twin = by_name(call, name)
    if twin is not None and twin is not own:
        message = (
            f"The contact name {name} is already assigned to another contact. "
            "The contact name must be unique across all active contacts."
        )
        raise Invalid(message)
    people = call.organisation.contacts.values()
    if number and any(contact.number == number and contact is not own for contact in people):
        message = f"The contact number {number} is already assigned to another contact."
        raise Invalid(message)


def render(contact: Contact) -> Json:
    fields = contact.fields
    return {
        "ContactID": contact.id,
        "ContactStatus": contact.status,
        "BankAccountDetails": "",
        **fields,
        "Addresses": fields.get("Addresses", []),
        "Phones": fields.get("Phones", []),
        "UpdatedDateUTC": ms_time(contact.updated),
        "ContactGroups": [],
        "IsSupplier": contact.is_supplier,
        "IsCustomer": contact.is_customer,
        "ContactPersons": fields.get("ContactPersons", []),
        "HasAttachments": False,
        "HasValidationErrors": False,
    }


def render_short(contact: Contact) -> Json:
    """Inside documents of a list."""
    return {
        "ContactID": contact.id,
        "Name": contact.name,
        "Addresses": [],
        "Phones": [],
        "ContactGroups": [],
        "ContactPersons": [],
        "HasValidationErrors": False,
    }


def failure(sent: Json, messages: tuple[str, ...]) -> Json:
    return {
        "ContactID": NO_ID,
        **sent,
        "HasValidationErrors": True,
        "ValidationErrors": validation_errors(messages),
    }
