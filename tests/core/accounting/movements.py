"""Documents of every other kind for tests, with everything that a test does not care about filled in."""

from typing import Any

from core.books.documents import (
    AccountLine,
    AccountRef,
    CreditNote,
    Deposit,
    Expense,
    Refund,
    Repayment,
    SalesReceipt,
    Transfer,
)
from tests.core.accounting.documents import CUSTOMER, DAY, WHY, line

PAYEE_STEP = "payee:stripe"
CLEARING = AccountRef("91", "Stripe clearing", is_bank=True)
BANK = AccountRef("90", "Business bank account", is_bank=True)
HELD = AccountRef("62", "Stripe disputes held", is_bank=False, number="620")
FEES = AccountRef("40", "Stripe fees", is_bank=False, number="404")


def account_line(amount_minor: int = 1286, tax_minor: int = 0, **changes: Any) -> AccountLine:
    fields: dict[str, Any] = {
        "account": FEES,
        "description": "Stripe fee of ch_Example",
        "amount_minor": amount_minor,
        "tax_minor": tax_minor,
        "tax_code_id": None,
        "tax_code_name": None,
        "tax_rate_ppm": None,
        "why": WHY,
        "balance_transaction_id": "txn_Example",
    }
    return AccountLine(**{**fields, **changes})


def refund(*lines: Any, **changes: Any) -> Refund:
    return Refund(**_sold(lines, "TR-4F7K2M9QXD3A", changes), **_kept(changes, account=CLEARING, why=WHY))


def credit_note(*lines: Any, **changes: Any) -> CreditNote:
    return CreditNote(**_sold(lines, "TR-4F7K2M9QXD3A", changes))


def sales_receipt(*lines: Any, **changes: Any) -> SalesReceipt:
    return SalesReceipt(**_sold(lines, "TO-5F7K2M9QXD3A", changes), **_kept(changes, account=CLEARING, why=WHY))


def repayment(amount_minor: int = 25000, **changes: Any) -> Repayment:
    fields: dict[str, Any] = {
        "reference": "TR-4F7K2M9QXD3A",
        "customer_step": CUSTOMER.step,
        "credit_note_step": "credit_note",
        "date": DAY,
        "currency": "USD",
        "amount_minor": amount_minor,
        "account": CLEARING,
        "memo": "Stripe re_Example",
        "why": WHY,
    }
    return Repayment(**{**fields, **changes})


def expense(*lines: AccountLine, **changes: Any) -> Expense:
    return Expense(**_booked(lines, "TF-4F7K2M9QXD3A", changes))


def deposit(*lines: AccountLine, **changes: Any) -> Deposit:
    return Deposit(**_booked(lines, "TF-5F7K2M9QXD3A", changes))


def transfer(amount_minor: int = 59224, **changes: Any) -> Transfer:
    fields: dict[str, Any] = {
        "reference": "TP-4F7K2M9QXD3A",
        "payee_step": PAYEE_STEP,
        "date": DAY,
        "currency": "USD",
        "amount_minor": amount_minor,
        "from_account": CLEARING,
        "to_account": BANK,
        "memo": "Stripe po_Example",
        "why": WHY,
    }
    return Transfer(**{**fields, **changes})


def _sold(lines: Any, reference: str, changes: dict[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "reference": reference,
        "customer_step": CUSTOMER.step,
        "date": DAY,
        "currency": "USD",
        "lines": lines or (line(),),
        "memo": "Stripe re_Example ch_Example",
    }
    own = {key: value for key, value in changes.items() if key not in ("account", "why", "balance_transaction_id")}
    return {**fields, **own}


def _booked(lines: Any, reference: str, changes: dict[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "reference": reference,
        "payee_step": PAYEE_STEP,
        "date": DAY,
        "currency": "USD",
        "account": CLEARING,
        "lines": lines or (account_line(),),
        "memo": "Stripe fees of 2026-11-20",
    }
    return {**fields, **changes}


def _kept(changes: dict[str, Any], **defaults: Any) -> dict[str, Any]:
    return {**defaults, **{k: v for k, v in changes.items() if k in (*defaults, "balance_transaction_id")}}
