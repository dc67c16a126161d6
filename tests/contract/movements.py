"""Accounts for every role, and a document of every kind, for any set of books."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from core.accounting import acts
from core.accounting.port import AccountingProvider, AccountType, Posted, PreparedWrite
from core.books.documents import (
    AccountLine,
    AccountRef,
    Customer,
    Deposit,
    Expense,
    LineKind,
    MoneyDocument,
    Refund,
    SaleLine,
    SalesReceipt,
    Transfer,
)
from core.books.keys import reference_for
from core.money import exponent
from tests.contract.bench import Bench
from tests.core.accounting.documents import CUSTOMER, DAY, PAYEE, WHY, account_line, booked, line, sold, transfer

WITHIN = UUID("7a0c0000-0000-4000-8000-000000000001")
ROLES = {
    "bank": ("Business account", AccountType.BANK),
    "fees": ("Stripe fees", AccountType.EXPENSE),
    "platform fees": ("Booking platform fees", AccountType.EXPENSE),
    "dispute fees": ("Dispute fees", AccountType.EXPENSE),
    "differences": ("Currency differences", AccountType.OTHER_EXPENSE),
    "held": ("Stripe disputes held", AccountType.CURRENT_ASSET),
    "reserve": ("Stripe reserve", AccountType.CURRENT_ASSET),
    "chargebacks": ("Chargebacks", AccountType.INCOME),
    "products": ("Album income", AccountType.INCOME),
    "coaching": ("Coaching of teams", AccountType.INCOME),
    "tips": ("Tips of clients", AccountType.INCOME),
    "discounts": ("Discounts by us", AccountType.INCOME),
}
CASES = ("receipt", "refund", "chargeback", "expense", "deposit", "payout", "hold", "release")
"""Names of :func:`a_document`: every kind, and those between banks and other accounts."""


@dataclass(frozen=True)
class Desk:
    """A set of books with every role filled and one client."""

    bench: Bench
    accounts: dict[str, AccountRef]
    customer_id: str

    def __getitem__(self, role: str) -> AccountRef:
        return self.accounts[role]

    def sale_line(self, role: str, net: int, tax: int = 0, *, taxed: bool = False, **changes: Any) -> SaleLine:
        """A line on the account of ``role``; ``taxed`` only where the tax itself does not say it."""
        account = self[role]
        fields = {
            "kind": LineKind.DISCOUNT if net < 0 else LineKind.SERVICE,
            "service_id": f"prod_{role}",
            "service_name": account.name,
            "description": account.name,
            **self.bench.line_tax(taxed=taxed or tax != 0),
            "income_account_id": account.external_id,
            "income_account_name": account.name,
            "income_account_number": account.number,
        }
        return line(net, tax, **{**fields, **changes})

    def difference(self, net: int) -> SaleLine:
        """What a refund in another currency costs more, on its own account and outside of tax."""
        return self.sale_line(
            "differences",
            net,
            kind=LineKind.DIFFERENCE,
            tax_code_id=None,
            tax_code_name=None,
            tax_rate_ppm=None,
            tax_rate_id=None,
        )

    def account_line(self, role: str, amount: int, known: str | None = None) -> AccountLine:
        return account_line(amount, account=self[role], description=self[role].name, balance_transaction_id=known)

    def taxed_line(self, role: str, amount: int, tax: int, **code: Any) -> AccountLine:
        """The same with tax in it that can be reclaimed."""
        return account_line(amount, tax, account=self[role], description=self[role].name, **code)

    def header(self, name: str, day: date = DAY) -> dict[str, Any]:
        """What documents have in common; one name, one reference."""
        return {"reference": reference_for(WITHIN, name, "TT"), "currency": self.bench.currency, "date": day}


async def furnish(bench: Bench) -> Desk:
    """Fill every role with an account of its own and add the client."""
    accounts = {}
    for number, (role, (name, kind)) in enumerate(ROLES.items()):
        made = await bench.provider.create_account(name, kind, key=f"account-{number}")
        accounts[role] = AccountRef(made.external_id, made.name, kind is AccountType.BANK, made.number)
    chart = {account.external_id: account for account in await bench.provider.list_accounts()}
    for role, account_id in (("clearing", bench.clearing_account), ("income", bench.income_account)):
        found = chart[account_id]
        accounts[role] = AccountRef(account_id, found.name, found.type is AccountType.BANK, found.number)
    ana = Customer(CUSTOMER.customer_id, CUSTOMER.name, CUSTOMER.email, bench.currency, None, "cus_Example1")
    return Desk(bench, accounts, await bench.provider.sync_customer(ana))


def a_document(desk: Desk, case: str, name: str = "", day: date = DAY) -> MoneyDocument:
    """One document of each kind that a plan makes; two names make two documents."""
    unit = 10 ** exponent(desk.bench.currency)
    header = desk.header(name or case, day)
    match case:
        case "receipt":
            return sold(SalesReceipt, desk.sale_line("income", 100 * unit), account=desk["clearing"], **header)
        case "refund":
            return sold(Refund, desk.sale_line("income", 40 * unit), account=desk["clearing"], **header)
        case "chargeback":
            return sold(Refund, _lost(desk, 200 * unit), account=desk["held"], **header)
        case "expense":
            lines = (desk.account_line("fees", 7 * unit, "txn_1"), desk.account_line("platform fees", unit, "txn_1"))
            return booked(Expense, *lines, account=desk["clearing"], **header)
        case "deposit":
            return booked(Deposit, desk.account_line("dispute fees", 15 * unit), account=desk["clearing"], **header)
        case "payout":
            return _moved(desk, 50 * unit, "clearing", "bank", header)
        case "hold":
            return _moved(desk, 30 * unit, "clearing", "held", header)
        case _:
            return _moved(desk, 30 * unit, "held", "clearing", header)


def _lost(desk: Desk, net: int) -> SaleLine:
    return desk.sale_line("chargebacks", net, kind=LineKind.CHARGEBACK)


def _moved(desk: Desk, amount: int, source: str, target: str, header: dict[str, Any]) -> Transfer:
    return transfer(amount, from_account=desk[source], to_account=desk[target], **header)


async def post(desk: Desk, *documents: MoneyDocument) -> list[dict[str, Posted]]:
    """Post documents one after the other, each in its parts; later ones may need the steps of earlier ones."""
    ids = {CUSTOMER.step: desk.customer_id}
    return [await _post_parts(desk.bench.provider, document, ids) for document in documents]


async def _post_parts(provider: AccountingProvider, document: MoneyDocument, ids: dict[str, str]) -> dict[str, Posted]:
    """Post one document with what it needs, in the parts that these books take; ``ids`` learns each part's step."""
    posted: dict[str, Posted] = {}
    for part in provider.parts(document):
        known = ids | await acts.support(provider, part, within=WITHIN)
        posted[part.step] = await acts.ensure(provider, part, within=WITHIN, source_id=part.reference, ids=known)
        ids[part.step] = posted[part.step].external_id
    return posted


async def freeze(desk: Desk, document: MoneyDocument, key: str = "key-1") -> PreparedWrite:
    """Prepare the first part of a document, with everything that it needs standing in the books."""
    provider = desk.bench.provider
    part = provider.parts(document)[0]
    ids = {CUSTOMER.step: desk.customer_id, **await acts.support(provider, part, within=WITHIN)}
    return provider.prepare(part, key=key, ids=ids)


def kinds_together(desk: Desk) -> Sequence[str]:
    """The cases whose documents these books take several of in one call."""
    together = desk.bench.provider.limits.together
    return [case for case in CASES if desk.bench.provider.parts(a_document(desk, case))[0].kind in together]


__all__ = ["CASES", "DAY", "PAYEE", "WHY", "Desk", "a_document", "freeze", "furnish", "kinds_together", "post"]
