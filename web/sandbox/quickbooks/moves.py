"""Purchase, Transfer, Deposit, JournalEntry: money that moves without a sale."""

from web.sandbox.quickbooks import tax as tax_rules
from web.sandbox.quickbooks.amounts import from_cents, to_cents
from web.sandbox.quickbooks.common import (
    MONEY_ACCOUNTS,
    RECEIVABLE,
    Draft,
    money_account,
    set_currency,
    set_date,
)
from web.sandbox.quickbooks.company import Built, Company, Fields, Record
from web.sandbox.quickbooks.errors import Refused, business, missing
from web.sandbox.quickbooks.ledger import Posting

_TRANSFERABLE = ("Bank", "Other Current Asset", "Fixed Asset", "Other Asset", "Credit Card")


def build_purchase(draft: Draft) -> Built:
    company, fields = draft.company, draft.fields
    kind = fields.get("PaymentType")
    if kind is None:
        raise missing("PaymentType")
    if fields.get("Credit") and kind != "CreditCard":
        raise business("Only a credit card purchase can be a credit.")
    party = _party(company, fields.get("EntityRef"), "EntityRef")
    set_date(draft)
    exchange = set_currency(draft, party)
    kinds = {"CreditCard": ["Credit Card"]}.get(kind, ["Bank"])
    if company.behaviour.cash_purchase_from_asset and kind == "Cash":
        kinds = list(MONEY_ACCOUNTS)
    paid_from = money_account(draft, "AccountRef", exchange, kinds=kinds)
    lines = [_expense_line(company, line) for line in _lines(fields, "AccountBasedExpenseLineDetail")]
    tax = tax_rules.compute(company, fields, [line for _, line in lines], purchase=True)
    if not company.is_us and tax.detail:
        fields["TxnTaxDetail"] = tax.detail
    legs = [Posting(account, exchange.home(line.net)) for account, line in lines]
    legs += [Posting(account, exchange.home(cents)) for account, cents in tax.by_account.items()]
    home_total = sum(leg.cents for leg in legs)
    legs.append(Posting(paid_from, -home_total))
    if fields.get("Credit"):
        legs = [Posting(leg.account_id, -leg.cents) for leg in legs]
    total = sum(line.net for _, line in lines) + tax.total
    return Built(fields, total, home_total, legs, answer={"TxnTaxDetail": tax.detail} if tax.total else {})


def _expense_line(company: Company, line: Fields) -> tuple[str, tax_rules.TaxableLine]:
    detail = line.get("AccountBasedExpenseLineDetail") or {}
    account = company.reference("Account", detail, "AccountRef")
    if account is None:
        raise missing("AccountRef")
    cents = to_cents(line["Amount"])
    if cents < 0:
        raise Refused("2290", "Negative amounts are not supported on transaction lines", element="Amount")
    if account.fields["AccountType"] == RECEIVABLE:
        raise business("When you use Accounts Receivable, you must choose a customer in the Name field.")
    code = (detail.get("TaxCodeRef") or {}).get("value")
    return account.id, tax_rules.TaxableLine(cents, None if company.is_us else code)


def build_transfer(draft: Draft) -> Built:
    fields = draft.fields
    if "Amount" not in fields:
        raise missing("Amount")
    cents = to_cents(fields["Amount"])
    if cents <= 0:
        raise Refused("2140", "The amount of a transfer must be above zero", element="Amount")
    set_date(draft)
    exchange = set_currency(draft)
    source = money_account(draft, "FromAccountRef", exchange, kinds=_TRANSFERABLE)
    target = money_account(draft, "ToAccountRef", exchange, kinds=_TRANSFERABLE)
    if source == target:
        raise business("You can't transfer from an account to itself.")
    fields["Amount"] = from_cents(cents)
    home = exchange.home(cents)
    return Built(fields, cents, home, [Posting(source, -home), Posting(target, home)])


def build_deposit(draft: Draft) -> Built:
    company, fields = draft.company, draft.fields
    set_date(draft)
    exchange = set_currency(draft)
    bank = money_account(draft, "DepositToAccountRef", exchange)
    legs: list[Posting] = []
    total = 0
    held: list[str] = []
    taxed: list[tax_rules.TaxableLine] = []
    for line in _lines(fields, None):
        cents = to_cents(line["Amount"])
        if line.get("LinkedTxn"):
            source = _held_money(draft, line, cents)
            held.append(source.id)
            legs.append(Posting(company.account("undeposited"), -exchange.home(cents)))
        else:
            account, customer = _direct_line(company, line)
            home = exchange.home(cents)
            legs.append(Posting(account, -home, customer, -cents if customer else 0))
            taxed.append(_taxable(line, cents))
        total += cents
    tax = _deposit_tax(company, fields, taxed)
    legs += [Posting(account, -exchange.home(cents)) for account, cents in tax.by_account.items()]
    total += tax.total
    if total < 0:
        raise business("The total of a deposit can't be negative.")
    home_total = -sum(leg.cents for leg in legs)
    return Built(
        fields,
        total,
        home_total,
        [Posting(bank, home_total), *legs],
        answer={"TxnTaxDetail": tax.detail} if tax.total else {},
        deposited_ids=held,
    )


def _taxable(line: Fields, cents: int) -> tax_rules.TaxableLine:
    """A direct line with a tax code says on which side it counts; we know only what is taken back of a purchase."""
    detail = line["DepositLineDetail"]
    code = (detail.get("TaxCodeRef") or {}).get("value")
    if code is not None and detail.get("TaxApplicableOn") != "Purchase":
        raise missing("DepositLineDetail.TaxApplicableOn")
    return tax_rules.TaxableLine(cents, code)


def _deposit_tax(company: Company, fields: Fields, lines: list[tax_rules.TaxableLine]) -> tax_rules.Tax:
    """Deposits are made without any thought of tax as a rule; once one line names a code, the usual rules hold."""
    if not any(line.code for line in lines) and not fields.get("TxnTaxDetail"):
        return tax_rules.Tax()
    tax = tax_rules.compute(company, fields, lines, purchase=True)
    if not company.is_us and tax.detail:
        fields["TxnTaxDetail"] = tax.detail
    return tax


def _held_money(draft: Draft, line: Fields, cents: int) -> Record:
    """Find the payment that a deposit line takes out of Undeposited Funds."""
    company, link = draft.company, line["LinkedTxn"][0]
    if "DepositLineDetail" in line:
        raise business("Select a bank account for this deposit.")
    if link.get("TxnType") not in ("Payment", "SalesReceipt"):
        raise Refused("620", f"Transaction type {link.get('TxnType')} cannot be linked to a deposit")
    source = company.get(link["TxnType"], str(link.get("TxnId")))
    in_hand = source.fields["DepositToAccountRef"]["value"] == company.account("undeposited") and not source.is_voided
    if not in_hand or company.deposited.get(source.id, draft.id) != draft.id:
        raise Refused("620", f"Transaction {source.id} is not in Undeposited Funds")
    if cents != source.built.total:
        raise business(f"The line must deposit the whole of {source.entity} {source.id}.")
    return source


def _direct_line(company: Company, line: Fields) -> tuple[str, str]:
    if line.get("DetailType") != "DepositLineDetail":
        raise missing("Line.DetailType")
    detail = line.get("DepositLineDetail") or {}
    account = company.reference("Account", detail, "AccountRef")
    if account is None:
        raise missing("AccountRef")
    party = _party(company, detail.get("Entity"), "Entity")
    return account.id, _receivable_party(account, party)


def build_journal(draft: Draft) -> Built:
    company, fields = draft.company, draft.fields
    set_date(draft)
    exchange = set_currency(draft)
    legs: list[Posting] = []
    balance = 0
    for line in _lines(fields, "JournalEntryLineDetail"):
        detail = line.get("JournalEntryLineDetail") or {}
        account = company.reference("Account", detail, "AccountRef")
        if account is None:
            raise missing("AccountRef")
        if "PostingType" not in detail:
            raise Refused("2260", "A posting type is required: Credit or Debit", element="PostingType")
        cents = to_cents(line["Amount"])
        if cents < 0:
            raise Refused("2290", "Negative amounts are not supported on transaction lines", element="Amount")
        signed = cents if detail["PostingType"] == "Debit" else -cents
        party = _party(
            company, (detail.get("Entity") or {}).get("EntityRef"), "Entity", (detail.get("Entity") or {}).get("Type")
        )
        customer = _receivable_party(account, party)
        legs.append(Posting(account.id, exchange.home(signed), customer, signed if customer else 0))
        balance += signed
    if balance != 0:
        raise Refused("2300", "Amount on debits must equal the amount on credits")
    # Each leg is rounded by itself; what that leaves in a foreign entry belongs to exchange differences.
    legs.append(Posting(company.account("exchange"), -sum(leg.cents for leg in legs)))
    return Built(fields, 0, 0, legs)


def _receivable_party(account: Record, party: Record | None) -> str:
    if account.fields["AccountType"] != RECEIVABLE:
        return ""
    if party is None or party.entity != "Customer":
        raise business("When you use Accounts Receivable, you must choose a customer in the Name field.")
    return party.id


def _party(company: Company, ref: Fields | None, element: str, kind: str | None = None) -> Record | None:
    if not ref or not ref.get("value"):
        return None
    entity = (kind or ref.get("type") or "Vendor").capitalize()
    if entity not in ("Customer", "Vendor"):
        raise Refused("2500", f"Invalid Reference Id : {entity} {ref['value']} not found", element=element)
    return company.reference(entity, {element: ref}, element)


def _lines(fields: Fields, detail_type: str | None) -> list[Fields]:
    """The lines, numbered; each with an amount and of the one type that the document takes."""
    sent = fields.get("Line")
    if not sent:
        raise Refused("2250", "You must fill out at least one split line.", element="Line")
    fields["Line"] = [{**line, "Id": line.get("Id") or str(n), "LineNum": n} for n, line in enumerate(sent, start=1)]
    for line in fields["Line"]:
        if "Amount" not in line:
            raise missing("Line.Amount")
        if detail_type is not None and line.get("DetailType") != detail_type:
            raise missing(f"Line.DetailType {detail_type}")
        line["Amount"] = from_cents(to_cents(line["Amount"]))
    return list(fields["Line"])
