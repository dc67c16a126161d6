"""Payment: money from a customer, tied to invoices and credit memos from this side only."""

from decimal import Decimal

from web.sandbox.quickbooks.amounts import from_cents, times, to_cents
from web.sandbox.quickbooks.common import Draft, Exchange, deposit_account, receivable_account, set_currency, set_date
from web.sandbox.quickbooks.company import Application, Built, Company, Fields, Record
from web.sandbox.quickbooks.errors import Refused, business, missing
from web.sandbox.quickbooks.ledger import Posting


def build_payment(draft: Draft) -> Built:
    company, fields = draft.company, draft.fields
    customer = company.reference("Customer", fields, "CustomerRef")
    if customer is None:
        raise missing("CustomerRef")
    if "TotalAmt" not in fields:
        raise missing("TotalAmt")
    total = to_cents(fields["TotalAmt"])
    if total < 0:
        raise Refused("2290", "Negative amounts are not supported", element="TotalAmt")
    set_date(draft)
    exchange = set_currency(draft, customer, default_to_one=True)
    applications = _applications(draft, customer, exchange)
    applied = sum(-a.cents if a.is_credit else a.cents for a in applications)
    if applied > total:
        raise business("The amounts applied are more than the amount received.")
    fields["TotalAmt"] = from_cents(total)
    legs = [Posting(deposit_account(draft, exchange), exchange.home(total))]
    legs += _receivable_legs(company, exchange, customer.id, applications, total - applied)
    legs.append(Posting(company.account("exchange"), -sum(leg.cents for leg in legs)))
    return Built(
        fields,
        total,
        exchange.home(total),
        legs,
        answer={"UnappliedAmt": from_cents(total - applied)},
        applications=applications,
    )


def _applications(draft: Draft, customer: Record, exchange: Exchange) -> list[Application]:
    found: list[Application] = []
    kept: list[Fields] = []
    for line in draft.fields.get("Line", []):
        links = line.get("LinkedTxn") or []
        if len(links) != 1:
            raise business("Every line of a payment names exactly one linked transaction.")
        if "Amount" not in line:
            raise missing("Line.Amount")
        application = _application(draft, customer, exchange, links[0], to_cents(line["Amount"]))
        if any(a.target_id == application.target_id for a in found):
            raise Refused("620", f"Transaction {application.target_id} is linked twice in one payment")
        found.append(application)
        kept.append({"Amount": from_cents(application.cents), "LinkedTxn": [links[0]]})
    draft.fields["Line"] = kept
    return found


def _application(draft: Draft, customer: Record, exchange: Exchange, link: Fields, cents: int) -> Application:
    company = draft.company
    kind, target_id = link.get("TxnType"), str(link.get("TxnId"))
    if kind not in ("Invoice", "CreditMemo"):
        raise Refused("620", f"Transaction type {kind} cannot be linked to a payment")
    target = company.get(kind, target_id)
    open_cents = company.open_balance(target, without_payment=draft.id)
    same_owner = target.fields.get("CustomerRef", {}).get("value") == customer.id
    if target.is_voided or not same_owner or company.currency_of(target.fields) != exchange.currency or open_cents <= 0:
        raise Refused(
            "620", f"Transaction {target_id} cannot be linked: it is paid, voided, or of another customer or currency"
        )
    if cents < 0:
        raise Refused("2290", "Negative amounts are not supported", element="Line.Amount")
    if cents > open_cents:
        raise business(
            f"You can't apply {from_cents(cents)} to {kind} {target_id}: its balance is {from_cents(open_cents)}."
        )
    rest_home = company.open_home_balance(target, without_payment=draft.id)
    share = rest_home if cents == open_cents else times(target.built.home_total, Decimal(cents) / target.built.total)
    return Application(target_id, cents, share, is_credit=kind == "CreditMemo")


def _receivable_legs(
    company: Company, exchange: Exchange, customer_id: str, applications: list[Application], unapplied: int
) -> list[Posting]:
    account = receivable_account(company, exchange)
    legs = [Posting(account, -exchange.home(unapplied), customer_id, -unapplied)]
    for application in applications:
        sign = 1 if application.is_credit else -1
        legs.append(Posting(account, sign * application.home_cents, customer_id, sign * application.cents))
    return legs
