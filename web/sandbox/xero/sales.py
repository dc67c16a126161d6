"""Invoices, bills and credit notes: numbers, statuses, lines, and what they post."""

from datetime import date
from decimal import Decimal

from web.sandbox.xero import contacts
from web.sandbox.xero.amounts import read_day, rounded
from web.sandbox.xero.call import Call
from web.sandbox.xero.errors import Invalid
from web.sandbox.xero.ledger import Leg
from web.sandbox.xero.lines import Setting, build_lines
from web.sandbox.xero.organisation import Organisation
from web.sandbox.xero.records import ONE, Document, Json, Line, to_base

NUMBER_KEY = {"Invoice": "InvoiceNumber", "CreditNote": "CreditNoteNumber"}
ID_KEY = {"Invoice": "InvoiceID", "CreditNote": "CreditNoteID"}
_TAKEN = {"Invoice": "Invoice # must be unique.", "CreditNote": "Credit Note # must be unique."}
_FROZEN = {
    "Invoice": "Invoice not of valid status for modification",
    "CreditNote": "Credit note not of valid status for modification",
}
_EXTRA = (
    "Reference",
    "Url",
    "SentToContact",
    "BrandingThemeID",
    "ExpectedPaymentDate",
    "PlannedPaymentDate",
)
_OPEN = ("DRAFT", "SUBMITTED")
_POSTED = ("AUTHORISED", "PAID")
_MOVES = {
    "DRAFT": ("DRAFT", "SUBMITTED", "AUTHORISED", "DELETED"),
    "SUBMITTED": ("DRAFT", "SUBMITTED", "AUTHORISED", "DELETED"),
    "AUTHORISED": ("AUTHORISED", "VOIDED"),
    "PAID": ("PAID", "AUTHORISED"),
}
# What may still change once money is on a document.
_HARMLESS = frozenset({*_EXTRA, "InvoiceID", "CreditNoteID", "InvoiceNumber", "CreditNoteNumber", "DueDate", "Status"})


def write(call: Call, entity: str, sent: Json, target: Document | None, *, creates_only: bool) -> Document:
    """Create, or update what the sent id or number finds: a POST with a number in use overwrites that document."""
    found = target or _find(call, entity, sent)
    if found is None:
        return _create(call, entity, sent)
    if creates_only:
        raise Invalid(_TAKEN[entity])
    return _update(call, found, sent)


def find_number(organisation: Organisation, entity: str, number: str) -> Document | None:
    """A sales document by its number."""
    kind = "ACCREC" if entity == "Invoice" else "ACCRECCREDIT"
    found = organisation.numbers.get((kind, number.casefold()))
    return organisation.documents(entity).get(found) if found else None


def _find(call: Call, entity: str, sent: Json) -> Document | None:
    if ID_KEY[entity] in sent:
        found = call.organisation.documents(entity).get(str(sent[ID_KEY[entity]]).lower())
        if found is None:
            message = f"An existing {_words(entity)} with the specified {ID_KEY[entity]} could not be found"
            raise Invalid(message)
        return found
    number = sent.get(NUMBER_KEY[entity])
    found = find_number(call.organisation, entity, str(number)) if number else None
    kind = sent.get("Type", found.type if found else "")
    return found if found and found.type == kind and not _is_free(call.organisation, found) else None


def _words(entity: str) -> str:
    return "Invoice" if entity == "Invoice" else "Credit Note"


def _is_free(organisation: Organisation, found: Document) -> bool:
    return organisation.behaviour.reuse_numbers and found.status in ("VOIDED", "DELETED")


def _create(call: Call, entity: str, sent: Json) -> Document:
    if "Type" not in sent:
        raise Invalid("Type must be specified.")
    status = sent.get("Status", "DRAFT")
    if status not in ("DRAFT", "SUBMITTED", "AUTHORISED"):
        message = f"A new document cannot have the status {status}."
        raise Invalid(message)
    document = Document(
        id=call.new_id(),
        created=call.now,
        updated=call.now,
        by_app=call.by_app,
        entity=entity,
        type=sent["Type"],
        number="",
        contact=contacts.resolve(call, sent.get("Contact")),
        day=call.today,
        due=None,
        status=status,
        mode="Exclusive",
        currency=call.organisation.currency,
        rate=ONE,
        lines=[],
        extra={},
    )
    _fill(call, document, sent)
    _commit(call, document)
    return document


def _update(call: Call, document: Document, sent: Json) -> Document:
    status = sent.get("Status", document.status)
    if document.status not in _MOVES:
        raise Invalid(_FROZEN[document.entity])
    if status not in _MOVES[document.status]:
        if status == "VOIDED" and document.status == "PAID":
            raise Invalid(_has_money(document))
        raise Invalid(_FROZEN[document.entity])
    if document.status in _POSTED:
        call.organisation.check_open(document.day)
    if document.settled and status == "VOIDED":
        raise Invalid(_has_money(document))
    if (document.settled or document.status == "PAID") and sent.keys() - _HARMLESS:
        raise Invalid(_FROZEN[document.entity])
    if status in ("VOIDED", "DELETED"):
        document.status = status
        call.organisation.ledger.remove(document.id)
        call.touch(document)
        return document
    draft = _copy(document)
    if document.status in _OPEN:
        draft.status = status
    if "Contact" in sent:
        draft.contact = contacts.resolve(call, sent["Contact"])
    _fill(call, draft, sent)
    document.__dict__.update(draft.__dict__)
    _commit(call, document)
    return document


def _has_money(document: Document) -> str:
    word = "invoice" if document.entity == "Invoice" else "credit note"
    return f"The status VOIDED cannot be applied to the {word} because it has payments or credit notes allocated to it."


def _copy(document: Document) -> Document:
    draft = object.__new__(Document)
    draft.__dict__.update(document.__dict__)
    draft.extra = dict(document.extra)
    return draft


def _fill(call: Call, document: Document, sent: Json) -> None:
    """Put what was sent into ``document``; raises before anything outside of it changes."""
    organisation = call.organisation
    is_draft = document.status in _OPEN
    document.day = call.day(sent, "Date", document.day)
    if "DueDate" in sent:
        document.due = read_day(sent["DueDate"])
    document.mode = sent.get("LineAmountTypes", document.mode)
    document.warnings = []
    _set_currency(organisation, document, sent)
    _set_number(call, document, sent)
    document.extra |= {key: sent[key] for key in _EXTRA if key in sent}
    if "xero" in str(document.extra.get("Url", "")).lower():
        raise Invalid("Url is not valid.")
    if "LineItems" in sent:
        setting = Setting(document.mode, document.is_sale, is_draft, allows_discount=document.type == "ACCREC")
        document.lines = build_lines(call, sent["LineItems"], setting, document.lines, document.warnings)
    if document.total < 0:
        raise Invalid("The total of a document cannot be negative.")
    if not is_draft:
        _check_approved(call, document)


def _set_currency(organisation: Organisation, document: Document, sent: Json) -> None:
    code = sent.get("CurrencyCode", document.currency)
    organisation.check_currency(code)
    if code != document.currency or not document.lines:
        document.rate = organisation.day_rate(code)
    document.currency = code
    if "CurrencyRate" in sent and code != organisation.currency:
        document.rate = read_rate(organisation, Decimal(sent["CurrencyRate"]))


def read_rate(organisation: Organisation, sent: Decimal) -> Decimal:
    if sent <= 0:
        raise Invalid("CurrencyRate must be greater than zero.")
    return rounded(ONE / sent, 6) if organisation.behaviour.rate_is_base_units else rounded(sent, 6)


def shown_rate(organisation: Organisation, rate: Decimal) -> Decimal:
    return rounded(ONE / rate, 6) if organisation.behaviour.rate_is_base_units else rounded(rate, 6)


def _set_number(call: Call, document: Document, sent: Json) -> None:
    organisation, key = call.organisation, NUMBER_KEY[document.entity]
    number = str(sent.get(key, document.number))
    if not document.is_sale:
        document.number = number
        return
    while not number:
        prefix = "INV" if document.entity == "Invoice" else "CN"
        number = f"{prefix}-{organisation.next_number:04}"
        organisation.next_number += 1
        if (document.type, number.casefold()) in organisation.numbers:
            number = ""
    owner = organisation.numbers.get((document.type, number.casefold()))
    if owner not in (None, document.id):
        holder = organisation.documents(document.entity)[str(owner)]
        if not _is_free(organisation, holder):
            raise Invalid(_TAKEN[document.entity])
    document.number = number


def _check_approved(call: Call, document: Document) -> None:
    organisation = call.organisation
    if not document.lines:
        raise Invalid("At least one line item is required per invoice.")
    if any(line.account is None for line in document.lines):
        raise Invalid("Account code must be specified.")
    if document.entity == "Invoice" and document.due is None:
        raise Invalid("DueDate must be specified for approved invoices.")
    organisation.check_open(document.day)
    stored = organisation.invoices.get(document.id)
    behaviour = organisation.behaviour
    is_approval = document.type == "ACCREC" and (stored is None or stored.status in _OPEN)
    if behaviour.approvals_left is not None and is_approval:
        if behaviour.approvals_left <= 0:
            raise Invalid("You have reached the limit of invoices you can approve")
        behaviour.approvals_left -= 1


def _commit(call: Call, document: Document) -> None:
    organisation = call.organisation
    is_new = document.id not in organisation.documents(document.entity)
    if document.is_sale:
        for key in [key for key, owner in organisation.numbers.items() if owner == document.id] if not is_new else []:
            del organisation.numbers[key]
        organisation.numbers[document.type, document.number.casefold()] = document.id
    organisation.documents(document.entity)[document.id] = document
    call.touch(document)
    if document.status not in _POSTED:
        return
    if document.is_sale:
        document.contact.is_customer = True
    else:
        document.contact.is_supplier = True
    post(organisation, document)
    settle(document, document.day)


def settle(document: Document, day: date) -> None:
    """Turn AUTHORISED into PAID when nothing is open any more, and back."""
    if document.status in _POSTED:
        document.status = "PAID" if document.open == 0 else "AUTHORISED"
        document.paid_on = day if document.open == 0 else None


def control_role(document: Document) -> str:
    return "DEBTORS" if document.is_sale else "CREDITORS"


def sign_of(document: Document) -> int:
    """+1 where the document debits its control account: invoices to customers, credit notes from suppliers."""
    return 1 if document.type in ("ACCREC", "ACCPAYCREDIT") else -1


def post(organisation: Organisation, document: Document) -> None:
    sign = sign_of(document)
    whole = sign * to_base(document.total, document.rate)
    control = organisation.system_account(control_role(document))
    legs = [Leg(control.id, whole), *line_legs(organisation, document.lines, document.rate, -sign)]
    organisation.ledger.post(document.id, document.day, balanced(organisation, legs))


def line_legs(organisation: Organisation, lines: list[Line], rate: Decimal, sign: int) -> list[Leg]:
    tax_account = organisation.system_account("GST")
    legs = []
    for line in lines:
        if line.account is not None:
            legs.append(Leg(line.account.id, sign * to_base(line.net, rate)))
        legs.append(Leg(tax_account.id, sign * to_base(line.tax, rate)))
    return legs


def balanced(organisation: Organisation, legs: list[Leg]) -> list[Leg]:
    """Foreign lines are rounded one by one; what that leaves goes to the rounding account."""
    rest = sum(leg.cents for leg in legs)
    return [*legs, Leg(organisation.system_account("ROUNDING").id, -rest)] if rest else legs


def open_base(organisation: Organisation, document: Document) -> int:
    """What is still open in the base currency."""
    used = sum(part.base_cents for part in (*document.paid.values(), *document.credited.values()))
    return to_base(document.total, document.rate) - used
