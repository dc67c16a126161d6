"""Manual journals: at least two lines that add up to nothing, and no bank, debtor or creditor among them."""

from decimal import Decimal

from web.sandbox.xero.amounts import money, to_cents
from web.sandbox.xero.call import Call
from web.sandbox.xero.errors import Invalid
from web.sandbox.xero.ledger import Leg
from web.sandbox.xero.lines import tax_of
from web.sandbox.xero.records import Account, Journal, JournalLine, Json

_CLOSED = ("DEBTORS", "CREDITORS", "RETAINEDEARNINGS")
_EXTRA = ("Url", "ShowOnCashBasisReports")


def write(call: Call, sent: Json, target: Journal | None, *, creates_only: bool) -> Journal:
    organisation = call.organisation
    found = target or organisation.journals.get(str(sent.get("ManualJournalID", "")).lower())
    if found is None and "ManualJournalID" in sent:
        raise Invalid("The manual journal with the specified ManualJournalID could not be found.")
    if found is None and not str(sent.get("Narration", "")).strip():
        raise Invalid("Narration must be specified.")
    if found is not None and found.status in ("VOIDED", "DELETED"):
        raise Invalid("The manual journal is not of valid status for modification.")
    if found is not None and sent.get("Status") in ("VOIDED", "DELETED"):
        return remove(call, found, sent["Status"])
    mode = sent.get("LineAmountTypes", found.mode if found else "NoTax")
    lines = [_line(call, line, mode) for line in sent["JournalLines"]] if "JournalLines" in sent else None
    lines = lines if lines is not None else (found.lines if found else [])
    day = call.day(sent, "Date", found.day if found else call.today)
    status = sent.get("Status", found.status if found else "DRAFT")
    _check(call, lines, status)
    if status == "POSTED":
        organisation.check_open(day)
    if found is None:
        made = Journal(
            id=call.new_id(),
            created=call.now,
            updated=call.now,
            by_app=call.by_app,
            narration="",
            day=day,
            status=status,
            mode=mode,
            lines=lines,
            extra={},
        )
        organisation.journals[made.id] = made
    else:
        made = found
    made.narration = sent.get("Narration", made.narration)
    made.day, made.status, made.mode, made.lines = day, status, mode, lines
    made.extra |= {key: sent[key] for key in _EXTRA if key in sent}
    call.touch(made)
    if status == "POSTED":
        tax_account = organisation.system_account("GST")
        legs = [leg for line in lines for leg in (Leg(line.account.id, line.net), Leg(tax_account.id, line.tax))]
        organisation.ledger.post(made.id, day, legs)
    return made


def remove(call: Call, found: Journal, status: str) -> Journal:
    if found.status == "POSTED":
        call.organisation.check_open(found.day)
    found.status = status
    call.organisation.ledger.remove(found.id)
    call.touch(found)
    return found


def _line(call: Call, sent: Json, mode: str) -> JournalLine:
    account = _account(call, sent)
    amount = to_cents(sent.get("LineAmount", 0))
    tax_type = sent.get("TaxType", account.tax_type) if mode != "NoTax" else "NONE"
    rate = call.organisation.tax_rate(tax_type)
    if rate is None and mode != "NoTax":
        message = f"The TaxType code '{tax_type}' does not exist or cannot be used for this type of transaction."
        raise Invalid(message)
    tax = tax_of(amount, rate.percent if rate else Decimal(0), mode)
    return JournalLine(
        account=account,
        description=str(sent.get("Description", "")),
        tax_type=tax_type,
        amount=amount,
        net=amount - tax if mode == "Inclusive" else amount,
        tax=tax,
    )


def _account(call: Call, sent: Json) -> Account:
    organisation, code = call.organisation, sent.get("AccountCode")
    account = organisation.account_by_code(str(code)) if code else None
    if account is None and "AccountID" in sent:
        account = organisation.accounts.get(str(sent["AccountID"]).lower())
    if account is None or account.status != "ACTIVE":
        message = f"Account code '{code}' is not a valid code for this document."
        raise Invalid(message)
    if account.is_bank or account.system in _CLOSED:
        message = f"Account code '{account.code}' cannot be used in a manual journal."
        raise Invalid(message)
    return account


def _check(call: Call, lines: list[JournalLine], status: str) -> None:
    if len(lines) < 2:
        raise Invalid("A manual journal needs at least two lines.")
    gross = [line.net + line.tax for line in lines]
    debits, credited = sum(c for c in gross if c > 0), sum(c for c in gross if c < 0)
    if debits + credited:
        message = f"The total debits ({money(debits)}) must equal total credits ({money(credited)})"
        raise Invalid(message)
    if status not in ("DRAFT", "POSTED"):
        message = f"A manual journal cannot be given the status {status}."
        raise Invalid(message)
