"""Payments, refunds of credit notes, and credit used on invoices."""

from decimal import Decimal

from web.sandbox.xero import sales
from web.sandbox.xero.amounts import to_cents
from web.sandbox.xero.call import Call, find_account
from web.sandbox.xero.errors import Invalid
from web.sandbox.xero.ledger import Leg
from web.sandbox.xero.organisation import Organisation
from web.sandbox.xero.records import Account, Allocation, Document, Json, Payment, Settled, rate_of, to_base

_TOO_MUCH = "Payment amount exceeds the amount outstanding on this document"
_NOT_APPROVED = "Payments can only be made against Authorised documents"
TYPES = {
    "ACCREC": "ACCRECPAYMENT",
    "ACCPAY": "ACCPAYPAYMENT",
    "ACCRECCREDIT": "ARCREDITPAYMENT",
    "ACCPAYCREDIT": "APCREDITPAYMENT",
}


def write(call: Call, sent: Json, target: Payment | None, *, creates_only: bool) -> Payment:
    """Create a payment; the only change that is allowed later is its deletion."""
    found = target or call.organisation.payments.get(str(sent.get("PaymentID", "")).lower())
    if found is None and "PaymentID" in sent and not creates_only:
        raise Invalid("The payment with the specified PaymentID could not be found.")
    if found is not None and not creates_only:
        if sent.get("Status") != "DELETED":
            raise Invalid("Payments cannot be updated, only deleted.")
        return delete(call, found)
    return _create(call, sent)


def _create(call: Call, sent: Json) -> Payment:
    organisation = call.organisation
    document = _document(call, sent)
    cents = to_cents(sent.get("Amount", 0))
    _check_target(document, cents)
    account = find_account(call, sent.get("Account", {}), "A valid Account must be specified for the payment.")
    _check_account(organisation, account, document)
    day = call.day(sent, "Date", call.today)
    organisation.check_open(day)
    bank_cents, bank_base, rate = _bank_side(organisation, document, account, cents, sent)
    payment = Payment(
        id=call.new_id(),
        created=call.now,
        updated=call.now,
        by_app=call.by_app,
        document=document,
        account=account,
        day=day,
        cents=cents,
        bank_cents=bank_cents,
        rate=rate,
        reference=str(sent.get("Reference", "")),
        is_reconciled=bool(sent.get("IsReconciled", False)),
    )
    organisation.payments[payment.id] = payment
    base = part_base(organisation, document, cents)
    document.paid[payment.id] = Settled(cents, base)
    sales.settle(document, day)
    call.touch(document)
    sign = sales.sign_of(document)
    control = organisation.system_account(sales.control_role(document))
    gain = organisation.system_account("REALISEDCURRENCYGAIN")
    legs = [Leg(account.id, sign * bank_base), Leg(control.id, -sign * base), Leg(gain.id, sign * (base - bank_base))]
    organisation.ledger.post(payment.id, day, legs)
    return payment


def _document(call: Call, sent: Json) -> Document:
    named = [key for key in ("Invoice", "CreditNote") if key in sent]
    if len(named) != 1:
        raise Invalid("A payment must be for exactly one invoice or credit note.")
    entity, ref = named[0], sent[named[0]]
    found = None
    if sales.ID_KEY[entity] in ref:
        found = call.organisation.documents(entity).get(str(ref[sales.ID_KEY[entity]]).lower())
    elif sales.NUMBER_KEY[entity] in ref:
        found = sales.find_number(call.organisation, entity, str(ref[sales.NUMBER_KEY[entity]]))
    if found is None:
        message = f"The {'invoice' if entity == 'Invoice' else 'credit note'} of the payment could not be found."
        raise Invalid(message)
    return found


def _check_target(document: Document, cents: int) -> None:
    if document.status == "PAID":
        raise Invalid(_NOT_APPROVED, _TOO_MUCH)
    if document.status != "AUTHORISED":
        raise Invalid(_NOT_APPROVED)
    if cents <= 0:
        raise Invalid("The payment amount must be greater than zero.")
    if cents > document.open:
        raise Invalid(_TOO_MUCH)


def _check_account(organisation: Organisation, account: Account, document: Document) -> None:
    if not account.is_bank and not account.takes_payments:
        message = f"Account code '{account.code}' cannot be used for payments: payments are not enabled for it."
        raise Invalid(message)
    if account.currency not in ("", organisation.currency, document.currency):
        raise Invalid("The currency of the account must be the base currency or the currency of the document.")


def _bank_side(
    organisation: Organisation, document: Document, account: Account, cents: int, sent: Json
) -> tuple[int, int, Decimal]:
    """Cents in the account's currency, cents in the base currency, and the rate between document and base."""
    told = to_cents(sent["BankAmount"]) if "BankAmount" in sent else None
    if told is not None and told <= 0:
        raise Invalid("BankAmount must be greater than zero.")
    if "CurrencyRate" in sent and document.currency != organisation.currency:
        rate = sales.read_rate(organisation, Decimal(sent["CurrencyRate"]))
    else:
        rate = organisation.day_rate(document.currency)
    if (account.currency or organisation.currency) == document.currency:
        if told not in (None, cents):
            raise Invalid("BankAmount must be the Amount when both are in the same currency.")
        return cents, to_base(cents, rate), rate
    base = to_base(cents, rate) if told is None else told
    return base, base, rate if told is None else rate_of(cents, base)


def part_base(organisation: Organisation, document: Document, cents: int) -> int:
    """The share of the document's base amount that ``cents`` settles; the last part takes what is left."""
    if cents == document.open:
        return sales.open_base(organisation, document)
    return to_base(cents, document.rate)


def delete(call: Call, payment: Payment) -> Payment:
    organisation = call.organisation
    if payment.status == "DELETED":
        raise Invalid("The payment has already been deleted.")
    if payment.is_reconciled:
        raise Invalid("The payment is reconciled with a bank statement line and cannot be deleted.")
    organisation.check_open(payment.day)
    payment.status = "DELETED"
    del payment.document.paid[payment.id]
    sales.settle(payment.document, payment.day)
    organisation.ledger.remove(payment.id)
    call.touch(payment)
    call.touch(payment.document)
    return payment


def allocate(call: Call, note: Document, sent: Json) -> Allocation:
    """Use credit on an invoice of the same contact, kind and currency."""
    organisation, cents = call.organisation, to_cents(sent.get("Amount", 0))
    ref = sent.get("Invoice", {})
    invoice = organisation.invoices.get(str(ref.get("InvoiceID", "")).lower())
    if invoice is None and "InvoiceNumber" in ref:
        invoice = sales.find_number(organisation, "Invoice", ref["InvoiceNumber"])
    if invoice is None:
        raise Invalid("The invoice of the allocation could not be found.")
    if note.status != "AUTHORISED" or invoice.status != "AUTHORISED":
        raise Invalid("Credit can only be allocated from and to approved documents.")
    if (note.is_sale, note.currency, note.contact) != (invoice.is_sale, invoice.currency, invoice.contact):
        raise Invalid("The credit note and the invoice must have the same contact and currency.")
    if cents <= 0 or cents > note.open or cents > invoice.open:
        raise Invalid("The allocation amount exceeds the credit that remains or the amount outstanding.")
    day = call.day(sent, "Date", call.today)
    organisation.check_open(day)
    made = Allocation(id=call.new_id(), invoice=invoice, note=note, day=day, cents=cents)
    organisation.allocations[made.id] = made
    sign = sales.sign_of(invoice)
    settled = {}
    for document in (invoice, note):
        settled[document.id] = part_base(organisation, document, cents)
        document.credited[made.id] = Settled(cents, settled[document.id])
        sales.settle(document, day)
        call.touch(document)
    difference = settled[invoice.id] - settled[note.id]
    control = organisation.system_account(sales.control_role(invoice))
    gain = organisation.system_account("REALISEDCURRENCYGAIN")
    organisation.ledger.post(made.id, day, [Leg(control.id, -sign * difference), Leg(gain.id, sign * difference)])
    return made


def take_back(call: Call, made: Allocation) -> None:
    organisation = call.organisation
    organisation.check_open(made.day)
    del organisation.allocations[made.id]
    organisation.ledger.remove(made.id)
    for document in (made.invoice, made.note):
        del document.credited[made.id]
        sales.settle(document, made.day)
        call.touch(document)
