"""What all transactions share: dates, closed books, currency, document numbers."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from web.sandbox.quickbooks.amounts import number, pacific_date, times
from web.sandbox.quickbooks.company import Company, Fields, Record
from web.sandbox.quickbooks.errors import Refused, business, missing

MONEY_ACCOUNTS = ("Bank", "Other Current Asset")
RECEIVABLE = "Accounts Receivable"


@dataclass(frozen=True)
class Draft:
    """A transaction about to be worked out. ``previous`` is the stored one when it is an update."""

    company: Company
    entity: str
    id: str
    fields: Fields
    now: datetime
    previous: Record | None = None
    allow_duplicate_number: bool = False

    @property
    def is_new(self) -> bool:
        return self.previous is None


def set_date(draft: Draft) -> None:
    draft.fields.setdefault("TxnDate", pacific_date(draft.now))
    check_open(draft.company, draft.fields["TxnDate"])


def check_open(company: Company, date: str) -> None:
    """Refuse to touch the closed part of the books."""
    closed = company.behaviour.book_close_date
    if closed and date <= closed:
        code = "6210" if company.behaviour.book_close_password else "6200"
        detail = "The account period has closed and the account books cannot be updated through the QBO Services API."
        raise Refused(code, detail, element="TxnDate")


@dataclass(frozen=True)
class Exchange:
    """The document's currency and what one unit of it is worth at home."""

    currency: str
    rate: Decimal
    is_foreign: bool

    def home(self, cents: int) -> int:
        return times(cents, self.rate)


def set_currency(draft: Draft, party: Record | None = None, *, default_to_one: bool = False) -> Exchange:
    company, fields = draft.company, draft.fields
    currency = company.currency_of(fields)
    if not company.behaviour.multicurrency:
        if currency != company.home_currency:
            raise business("Multicurrency is not enabled for this company; CurrencyRef must be the home currency.")
    elif "CurrencyRef" not in fields:
        raise missing("CurrencyRef")
    if party is not None and company.currency_of(party.fields) != currency:
        raise business("The currency of the transaction differs from the currency of the customer or vendor.")
    fields["CurrencyRef"] = {"value": currency}
    if currency == company.home_currency:
        fields.pop("ExchangeRate", None)
        return Exchange(currency, Decimal(1), False)
    if "ExchangeRate" not in fields:
        fields["ExchangeRate"] = Decimal(1) if default_to_one else company.rates.get(currency, Decimal(1))
    rate = number(fields["ExchangeRate"])
    if rate <= 0:
        raise Refused("2090", "ExchangeRate must be above zero", element="ExchangeRate", message="Invalid Number")
    return Exchange(currency, rate, True)


def money_account(draft: Draft, name: str, exchange: Exchange, *, kinds: Iterable[str] = MONEY_ACCOUNTS) -> str:
    """Resolve an account that money moves through; wrong type 6430, a second foreign currency refused."""
    record = draft.company.reference("Account", draft.fields, name)
    if record is None:
        raise missing(name)
    check_kind(record, name, kinds)
    currency = draft.company.currency_of(record.fields)
    if currency not in (exchange.currency, draft.company.home_currency):
        raise business("You can only use one foreign currency per transaction.")
    return record.id


def check_kind(account: Record, element: str, kinds: Iterable[str]) -> None:
    if account.fields["AccountType"] not in kinds:
        raise Refused(
            "6430", f"Invalid account type: {account.fields['AccountType']} used in {element}", element=element
        )


def deposit_account(draft: Draft, exchange: Exchange) -> str:
    """Where the money of a sale goes; not naming it means Undeposited Funds."""
    draft.fields.setdefault("DepositToAccountRef", {"value": draft.company.account("undeposited")})
    return money_account(draft, "DepositToAccountRef", exchange)


def receivable_account(company: Company, exchange: Exchange) -> str:
    """A foreign customer has a receivable account of its own currency (made with the company's currency)."""
    role = f"receivable:{exchange.currency}" if exchange.is_foreign else "receivable"
    if role not in company.roles:
        raise business(f"No receivable account in {exchange.currency}.")
    return company.roles[role]


def set_number(draft: Draft) -> None:
    """Apply the company's numbering: own numbers kept, refused as duplicates, or replaced."""
    company, fields = draft.company, draft.fields
    sent = fields.get("DocNumber")
    if company.behaviour.custom_txn_numbers:
        if sent == "AUTO_GENERATE":
            fields["DocNumber"] = _next_number(company)
        elif sent and company.behaviour.warn_duplicate_numbers and not draft.allow_duplicate_number:
            _refuse_duplicate(draft, sent)
    elif draft.is_new and (not sent or sent == "AUTO_GENERATE" or company.behaviour.renumber):
        fields["DocNumber"] = _next_number(company)


def _refuse_duplicate(draft: Draft, sent: str) -> None:
    for other in draft.company.records[draft.entity].values():
        if other.id != draft.id and other.fields.get("DocNumber", "").lower() == sent.lower():
            detail = (
                "You must specify a different number. This number has already been used. "
                f"DocNumber={sent} is assigned to TxnType={draft.entity} with TxnId={other.id}"
            )
            raise Refused("6140", f"Duplicate Document Number Error : {detail}")


def _next_number(company: Company) -> str:
    taken = str(company.next_number)
    company.next_number += 1
    return taken
