"""Changing a company's books: create, update, void, delete, with SyncTokens and what hangs on each change."""

from copy import deepcopy
from datetime import datetime
from typing import Any

from web.sandbox.quickbooks.amounts import from_cents
from web.sandbox.quickbooks.checks import clean
from web.sandbox.quickbooks.common import Draft, check_open
from web.sandbox.quickbooks.company import Built, Company, Deletion, Fields, Record
from web.sandbox.quickbooks.errors import Refused, missing
from web.sandbox.quickbooks.fields import NAME_LISTS, TRANSACTIONS
from web.sandbox.quickbooks.moves import build_deposit, build_journal, build_purchase, build_transfer
from web.sandbox.quickbooks.names import build_account, build_item, build_person
from web.sandbox.quickbooks.payments import build_payment
from web.sandbox.quickbooks.sales import build_sale

BUILDERS = {
    "Account": build_account,
    "Customer": build_person,
    "Vendor": build_person,
    "Item": build_item,
    "Invoice": build_sale,
    "SalesReceipt": build_sale,
    "RefundReceipt": build_sale,
    "CreditMemo": build_sale,
    "Payment": build_payment,
    "Purchase": build_purchase,
    "Transfer": build_transfer,
    "Deposit": build_deposit,
    "JournalEntry": build_journal,
}
_IDENTITY = ("Id", "SyncToken", "sparse")
_VOIDABLE = ("Invoice", "Payment", "SalesReceipt")


def write(company: Company, entity: str, body: Any, now: datetime, *, allow_duplicate_number: bool = False) -> Record:
    """Create, or update when the body carries an Id."""
    if entity not in BUILDERS:
        raise Refused("500", f"Operation create is not supported for {entity}")
    sent = clean(entity, body)
    if "Id" in sent:
        return _update(company, entity, sent, now, allow_duplicate_number=allow_duplicate_number)
    fields = {key: value for key, value in sent.items() if key not in _IDENTITY}
    is_txn = entity in TRANSACTIONS
    # A refused transaction uses up no Id here: the sequence is only asked once the draft is sound.
    draft = Draft(company, entity, "", fields, now, None, allow_duplicate_number)
    built = BUILDERS[entity](draft)
    record_id = company.new_txn_id() if is_txn else company.new_list_id(entity)
    record = Record(entity, record_id, now, now, built)
    _commit(company, record)
    return record


def _update(company: Company, entity: str, sent: Fields, now: datetime, *, allow_duplicate_number: bool) -> Record:
    record = current(company, entity, sent)
    if entity == "Purchase" and "PaymentType" not in sent:
        raise missing("PaymentType")
    if entity in TRANSACTIONS:
        _check_changeable(company, record)
    changes = {key: deepcopy(value) for key, value in sent.items() if key not in _IDENTITY}
    fields = {**deepcopy(record.fields), **changes} if sent.get("sparse") else changes
    draft = Draft(company, entity, record.id, fields, now, record, allow_duplicate_number)
    built = BUILDERS[entity](draft)
    if built != record.built:
        replace(company, record, built, now)
    return record


def current(company: Company, entity: str, sent: Fields) -> Record:
    """Find what an update, void or delete means, and refuse a stale SyncToken."""
    if not sent.get("Id"):
        raise missing("Id")
    if not sent["Id"].isdigit():
        raise Refused("2030", f"Invalid ID : Id should be a valid number. Supplied value:{sent['Id']}")
    record = company.get(entity, sent["Id"])
    if "SyncToken" not in sent:
        raise missing("SyncToken")
    if sent["SyncToken"] != str(record.sync_token):
        detail = "You and another user were working on this at the same time; the other user finished first."
        raise Refused("5010", f"Stale Object Error : {detail}")
    return record


def delete(company: Company, entity: str, body: Any, now: datetime) -> Record:
    if entity not in TRANSACTIONS:
        raise Refused("500", f"Operation delete is not supported for {entity}")
    record = current(company, entity, clean(entity, body))
    _check_changeable(company, record)
    _release(company, record)
    release_target(company, record, now)
    del company.records[entity][record.id]
    company.ledger.remove(record.id)
    company.deletions.append(Deletion(entity, record.id, now))
    return record


def void(company: Company, entity: str, body: Any, now: datetime) -> Record:
    if entity not in _VOIDABLE:
        raise Refused("500", f"Operation void is not supported for {entity}")
    record = current(company, entity, clean(entity, body))
    _check_changeable(company, record)
    if record.is_voided:
        return record
    release_target(company, record, now)
    record.is_voided = True
    replace(company, record, _voided(record), now)
    return record


def _voided(record: Record) -> Built:
    fields = deepcopy(record.fields)
    note = fields.get("PrivateNote")
    fields["PrivateNote"] = f"Voided - {note}" if note else "Voided"
    answer: Fields = {"UnappliedAmt": 0}
    if record.entity == "Payment":
        fields |= {"TotalAmt": 0, "Line": []}
    else:
        for line in fields["Line"]:
            _empty_line(line)
        fields.pop("TxnTaxDetail", None)
        answer = {**record.built.answer, "TxnTaxDetail": {"TotalTax": 0}, "SubTotal": 0, "Net": {}}
    return Built(fields, answer=answer)


def _empty_line(line: Fields) -> None:
    if "Amount" in line:
        line["Amount"] = 0
    detail = line.get("SalesItemLineDetail")
    if detail is not None:
        detail.pop("TaxInclusiveAmt", None)
        detail["Qty"] = 0


def replace(company: Company, record: Record, built: Built, now: datetime) -> None:
    """Put a new version in place of the stored one, and everything that hangs on it."""
    _release(company, record)
    record.built = built
    record.sync_token += 1
    record.updated = now
    _commit(company, record)
    if record.entity in ("Invoice", "CreditMemo"):
        _trim_applications(company, record, now)


def _commit(company: Company, record: Record) -> None:
    company.put(record)
    if record.entity in NAME_LISTS:
        return
    company.ledger.replace(record.id, record.fields["TxnDate"], record.built.postings)
    for application in record.built.applications:
        company.applied[application.target_id][record.id] = application
    for source_id in record.built.deposited_ids:
        company.deposited[source_id] = record.id


def _release(company: Company, record: Record) -> None:
    for application in record.built.applications:
        company.applied[application.target_id].pop(record.id, None)
    for source_id in record.built.deposited_ids:
        company.deposited.pop(source_id, None)


def _check_changeable(company: Company, record: Record) -> None:
    check_open(company, record.fields["TxnDate"])
    if record.is_matched:
        raise Refused("6480", "This transaction is matched to a line of the bank feed; undo the match first.")
    if record.id in company.deposited:
        detail = (
            f"This transaction is part of deposit {company.deposited[record.id]}; remove it from the deposit first."
        )
        raise Refused("6540", f"Deposited Transaction cannot be changed : {detail}")


def release_target(company: Company, target: Record, now: datetime) -> None:
    """Unlink all payments from an invoice or credit memo that goes away; they stay, unapplied."""
    for payment_id in list(company.applied[target.id]):
        _apply_at_most(company, company.records["Payment"][payment_id], target.id, 0, now)


def _trim_applications(company: Company, target: Record, now: datetime) -> None:
    """After an invoice changed: payments keep what still fits, nothing when the customer changed."""
    for payment_id, application in sorted(company.applied[target.id].items(), reverse=True):
        payment = company.records["Payment"][payment_id]
        excess = max(0, -company.open_balance(target))
        if payment.fields["CustomerRef"]["value"] != target.fields["CustomerRef"]["value"]:
            excess = application.cents
        if excess or application.home_cents != application.cents:
            _apply_at_most(company, payment, target.id, max(0, application.cents - excess), now)


def _apply_at_most(company: Company, payment: Record, target_id: str, cents: int, now: datetime) -> None:
    fields = deepcopy(payment.fields)
    kept = []
    for line in fields["Line"]:
        if line["LinkedTxn"][0]["TxnId"] == target_id:
            line["Amount"] = from_cents(cents)
            if cents == 0:
                continue
        kept.append(line)
    fields["Line"] = kept
    built = build_payment(Draft(company, "Payment", payment.id, fields, now, payment))
    if built != payment.built:
        replace(company, payment, built, now)
