"""Money that moves without a document: spent, received, or carried from one bank account to another."""

from decimal import Decimal

from web.sandbox.xero import contacts, sales
from web.sandbox.xero.amounts import to_cents
from web.sandbox.xero.call import Call, find_account
from web.sandbox.xero.errors import Invalid
from web.sandbox.xero.ledger import Leg
from web.sandbox.xero.lines import Setting, build_lines
from web.sandbox.xero.records import BankTransaction, BankTransfer, Json, to_base

_EXTRA = ("Reference", "Url")
_RECONCILED = "This transaction is reconciled with a bank statement line and cannot be changed."


def write_transaction(call: Call, sent: Json, target: BankTransaction | None, *, creates_only: bool) -> BankTransaction:
    known = call.organisation.bank_transactions
    found = target
    if found is None and "BankTransactionID" in sent:
        found = known.get(str(sent["BankTransactionID"]).lower())
        if found is None or creates_only:
            raise Invalid("The bank transaction with the specified BankTransactionID could not be found.")
    if found is None:
        return _create(call, sent)
    if found.status != "AUTHORISED":
        raise Invalid("The bank transaction is deleted and cannot be changed.")
    if found.is_reconciled:
        raise Invalid(_RECONCILED)
    call.organisation.check_open(found.day)
    if sent.get("Status") in ("DELETED", "VOIDED"):
        return remove_transaction(call, found)
    return _update(call, found, sent)


def remove_transaction(call: Call, found: BankTransaction) -> BankTransaction:
    found.status = "DELETED"
    call.organisation.ledger.remove(found.id)
    call.touch(found)
    return found


def _create(call: Call, sent: Json) -> BankTransaction:
    for name in ("Type", "BankAccount", "LineItems"):
        if not sent.get(name):
            message = f"{name} must be specified."
            raise Invalid(message)
    if sent["Type"] not in ("SPEND", "RECEIVE"):
        message = f"Sandbox: bank transactions of the type {sent['Type']} are not part of this stand-in."
        raise Invalid(message)
    account = find_account(call, sent["BankAccount"], "The bank account could not be found.")
    if not account.is_bank:
        raise Invalid("The account of a bank transaction must be a bank account.")
    organisation = call.organisation
    if sent.get("CurrencyCode", account.currency) != account.currency:
        raise Invalid("The currency of a bank transaction is the currency of its bank account.")
    made = BankTransaction(
        id=call.new_id(),
        created=call.now,
        updated=call.now,
        by_app=call.by_app,
        type=sent["Type"],
        contact=contacts.resolve(call, sent.get("Contact")),
        account=account,
        day=call.today,
        mode="Exclusive",
        currency=account.currency,
        rate=organisation.day_rate(account.currency),
        lines=[],
        extra={},
        is_reconciled=bool(sent.get("IsReconciled", False)),
    )
    _fill(call, made, sent)
    organisation.bank_transactions[made.id] = made
    return made


def _update(call: Call, found: BankTransaction, sent: Json) -> BankTransaction:
    draft = object.__new__(BankTransaction)
    draft.__dict__.update(found.__dict__)
    draft.extra = dict(found.extra)
    if "Contact" in sent:
        draft.contact = contacts.resolve(call, sent["Contact"])
    _fill(call, draft, sent)
    found.__dict__.update(draft.__dict__)
    call.touch(found)
    return found


def _fill(call: Call, made: BankTransaction, sent: Json) -> None:
    organisation, is_received = call.organisation, made.type == "RECEIVE"
    made.day = call.day(sent, "Date", made.day)
    made.mode = sent.get("LineAmountTypes", made.mode)
    if "CurrencyRate" in sent and made.currency != organisation.currency:
        made.rate = sales.read_rate(organisation, Decimal(sent["CurrencyRate"]))
    made.extra |= {key: sent[key] for key in _EXTRA if key in sent}
    if "LineItems" in sent:
        made.lines = build_lines(
            call, sent["LineItems"], Setting(made.mode, is_received, is_draft=False), made.lines, []
        )
    if made.total <= 0:
        raise Invalid("The total of a bank transaction must be greater than zero.")
    organisation.check_open(made.day)
    sign = 1 if is_received else -1
    whole = Leg(made.account.id, sign * to_base(made.total, made.rate))
    legs = [whole, *sales.line_legs(organisation, made.lines, made.rate, -sign)]
    organisation.ledger.post(made.id, made.day, sales.balanced(organisation, legs))


def write_transfer(call: Call, sent: Json, target: BankTransfer | None, *, creates_only: bool) -> BankTransfer:
    found = target or call.organisation.bank_transfers.get(str(sent.get("BankTransferID", "")).lower())
    if found is not None and not creates_only:
        if sent.get("Status") != "DELETED":
            raise Invalid("A bank transfer can only be deleted.")
        return remove_transfer(call, found)
    if not creates_only:
        raise Invalid("The bank transfer with the specified BankTransferID could not be found.")
    return _create_transfer(call, sent)


def remove_transfer(call: Call, found: BankTransfer) -> BankTransfer:
    if found.status == "DELETED":
        raise Invalid("The bank transfer has already been deleted.")
    if found.is_reconciled:
        raise Invalid(_RECONCILED)
    call.organisation.check_open(found.day)
    found.status = "DELETED"
    call.organisation.ledger.remove(found.id)
    call.touch(found)
    return found


def _create_transfer(call: Call, sent: Json) -> BankTransfer:
    organisation = call.organisation
    source = find_account(call, sent.get("FromBankAccount", {}), "A valid FromBankAccount must be specified.")
    target = find_account(call, sent.get("ToBankAccount", {}), "A valid ToBankAccount must be specified.")
    if not source.is_bank or not target.is_bank:
        raise Invalid("Both accounts of a bank transfer must be bank accounts.")
    if source is target:
        raise Invalid("The two accounts of a bank transfer must be different.")
    if source.currency != target.currency:
        raise Invalid("The two accounts of a bank transfer must have the same currency.")
    cents = to_cents(sent.get("Amount", 0))
    if cents <= 0:
        raise Invalid("The amount of a bank transfer must be greater than zero.")
    day = call.day(sent, "Date", call.today)
    organisation.check_open(day)
    made = BankTransfer(
        id=call.new_id(),
        created=call.now,
        updated=call.now,
        by_app=call.by_app,
        source=source,
        target=target,
        day=day,
        cents=cents,
        reference=str(sent.get("Reference", "")),
        source_transaction_id=call.new_id(),
        target_transaction_id=call.new_id(),
    )
    organisation.bank_transfers[made.id] = made
    base = to_base(cents, organisation.day_rate(source.currency))
    organisation.ledger.post(made.id, day, [Leg(source.id, -base), Leg(target.id, base)])
    return made
