"""Documents in the practice books' own form, frozen: who, when, and the entries that must balance."""

from collections.abc import Mapping

import msgspec

from core.accounting.port import PreparedWrite
from core.books.documents import (
    Customer,
    Deposit,
    Document,
    Expense,
    Item,
    MoneyDocument,
    Payee,
    Payment,
    Repayment,
    Transfer,
)
from core.books.effects import role_totals
from core.books.ledger_lines import RECEIVABLE, SALES_TAX
from core.errors import ProviderRejectedError, StopError
from core.reasons import Reason

OWN = {"receivable": RECEIVABLE, "tax": SALES_TAX}
"""The books' own accounts: as the frozen bytes name them, and as :mod:`core.books.effects` does."""

_NAMES = {theirs: ours for ours, theirs in OWN.items()}


class Body(msgspec.Struct, frozen=True, omit_defaults=True):
    """The frozen form of a document: names or dates, and the entries with debits positive."""

    name: str = ""
    email: str | None = None
    date: str = ""
    customer_id: str = ""
    # Called so in bytes that were frozen before there were credit notes.
    pays_id: str | None = msgspec.field(default=None, name="invoice_id")
    entries: tuple[tuple[str, int], ...] = ()
    """Account id (``receivable`` and ``tax`` for the books' own) and amount in minor units."""
    payee_id: str | None = None
    memo: str = ""
    money: tuple[str, ...] = ()
    """Accounts among the entries that must be able to hold money."""


def freeze(document: Document, key: str, ids: Mapping[str, str], revision: int) -> PreparedWrite:
    """Turn a document into the write that will be sent.

    Raises:
        ProviderRejectedError: ``NAME_TAKEN`` when there is no further candidate name.
        StopError: a step that the document needs has no id yet, or the practice books know no such thing.
    """
    match document:
        case Customer():
            name = _customer_name(document, revision)
            return _write(document, key, name, Body(name=name, email=document.email))
        case Payee():
            if revision:
                raise ProviderRejectedError(Reason.NAME_TAKEN, detail={"client": document.name})
            return _write(document, key, document.name, Body(name=document.name))
        case Item():
            raise StopError(Reason.OUR_FAULT, {"unexpected": "item"})
        case _:
            return _write(document, key, document.reference, _money_body(document, ids))


def _money_body(document: MoneyDocument, ids: Mapping[str, str]) -> Body:
    totals = role_totals([document])
    return Body(
        date=document.date.isoformat(),
        customer_id=_customer(document, ids),
        payee_id=_needed(ids, document.payee_step) if isinstance(document, Expense | Deposit) else None,
        pays_id=_paid(document, ids),
        entries=tuple((_NAMES.get(account, account), amount) for account, amount in totals.items() if amount),
        memo=document.memo,
        money=_money_accounts(document),
    )


def _customer(document: MoneyDocument, ids: Mapping[str, str]) -> str:
    return "" if isinstance(document, Expense | Deposit | Transfer) else _needed(ids, document.customer_step)


def _paid(document: MoneyDocument, ids: Mapping[str, str]) -> str | None:
    match document:
        case Payment():
            return _needed(ids, document.invoice_step)
        case Repayment():
            return _needed(ids, document.credit_note_step)
        case _:
            return None


def _money_accounts(document: MoneyDocument) -> tuple[str, ...]:
    if isinstance(document, Payment):
        return (document.clearing_account_id,)
    if isinstance(document, Transfer):
        return (document.from_account.external_id, document.to_account.external_id)
    account = getattr(document, "account", None)
    return (account.external_id,) if account else ()


def _needed(ids: Mapping[str, str], step: str) -> str:
    if step not in ids:
        raise StopError(Reason.OUR_FAULT, {"missing_step": step})
    return ids[step]


def _customer_name(customer: Customer, revision: int) -> str:
    name = " ".join(customer.name.split()) or customer.email or "Stripe client"
    candidates = [name, *(f"{name} ({extra})" for extra in (customer.email, customer.stripe_customer_id) if extra)]
    if revision >= len(candidates):
        raise ProviderRejectedError(Reason.NAME_TAKEN, "every candidate name is taken", detail={"client": name})
    return candidates[revision]


def _write(document: Customer | Payee | MoneyDocument, key: str, reference: str, body: Body) -> PreparedWrite:
    return PreparedWrite(
        kind=document.kind,
        step=document.step,
        key=key,
        reference=reference,
        path=f"/{document.kind.value}",
        body=msgspec.json.encode(body),
        total_minor=None if isinstance(document, Customer | Payee) else document.total_minor,
        currency=document.currency.upper(),
        party_id=body.customer_id or body.payee_id,
    )
