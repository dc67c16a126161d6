"""Documents for tests, with everything that a test does not care about filled in."""

from datetime import date
from typing import Any, TypeVar

from core.accounting.port import Company
from core.books.documents import (
    AccountLine,
    AccountRef,
    Customer,
    Deposit,
    Expense,
    Invoice,
    LineKind,
    Payee,
    Payment,
    Refund,
    SaleLine,
    SalesReceipt,
    Transfer,
    Why,
)

SoldT = TypeVar("SoldT", SalesReceipt, Refund)
BookedT = TypeVar("BookedT", Expense, Deposit)

WHY = Why(stripe_field="amount", arithmetic="1", rule="test")
DAY = date(2026, 11, 20)
REFERENCE = "TO-4F7K2M9QXD3A"

CUSTOMER = Customer(
    customer_id="8d3f0000-0000-0000-0000-000000000001",
    name="Ana Lima",
    email="ana@example.com",
    currency="USD",
    stripe_customer_id="cus_Example1",
)
PAYEE = Payee("Stripe", "USD")


def company(**changes: Any) -> Company:
    """US books in dollars with automated sales tax, unless told otherwise; unknown names become options."""
    options = {
        "custom_txn_numbers": "true",
        "using_sales_tax": "true",
        "partner_tax": "true",
        "multicurrency": "false",
        "book_close_date": "",
    }
    fields = {"external_id": "9341453000000001", "name": "Lima Studio", "country": "US", "home_currency": "USD"}
    for name, value in changes.items():
        (fields if name in fields else options)[name] = value
    return Company(**fields, options=options)


def line(amount_minor: int = 25000, tax_minor: int = 0, **changes: Any) -> SaleLine:
    fields: dict[str, Any] = {
        "kind": LineKind.SERVICE,
        "service_id": "prod_portrait",
        "service_name": "Portrait session",
        "description": "Portrait session 2026-11-18",
        "amount_minor": amount_minor,
        "tax_minor": tax_minor,
        "income_account_id": "79",
        "income_account_name": "Session income",
        "tax_code_id": None,
        "tax_code_name": None,
        "tax_rate_ppm": None,
        "why": WHY,
    }
    return SaleLine(**{**fields, **changes})


def invoice(*lines: SaleLine, **changes: Any) -> Invoice:
    fields: dict[str, Any] = {
        "reference": REFERENCE,
        "customer_step": CUSTOMER.step,
        "date": DAY,
        "currency": "USD",
        "lines": lines or (line(),),
        "memo": "Stripe pi_Example ch_Example",
    }
    return Invoice(**{**fields, **changes})


def payment(amount_minor: int = 25000, **changes: Any) -> Payment:
    fields: dict[str, Any] = {
        "reference": REFERENCE,
        "customer_step": CUSTOMER.step,
        "invoice_step": "invoice",
        "date": DAY,
        "currency": "USD",
        "amount_minor": amount_minor,
        "clearing_account_id": "91",
        "clearing_account_name": "Stripe clearing",
        "memo": "Stripe ch_Example txn_Example",
        "why": WHY,
    }
    return Payment(**{**fields, **changes})


CLEARING = AccountRef("91", "Stripe clearing", is_bank=True)
FEES = AccountRef("92", "Stripe fees", is_bank=False)
HELD = AccountRef("93", "Stripe disputes held", is_bank=False)
BANK = AccountRef("94", "Checking", is_bank=True)


def sold(kind: type[SoldT], *lines: SaleLine, **changes: Any) -> SoldT:
    """A sales receipt or a refund of these lines, into or from the clearing account."""
    fields: dict[str, Any] = {
        "reference": REFERENCE,
        "customer_step": CUSTOMER.step,
        "date": DAY,
        "currency": "USD",
        "lines": lines or (line(),),
        "account": CLEARING,
        "memo": "Stripe re_Example",
        "why": WHY,
        "balance_transaction_id": "txn_Example",
    }
    return kind(**{**fields, **changes})


def account_line(amount_minor: int = 755, tax_minor: int = 0, **changes: Any) -> AccountLine:
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


def booked(kind: type[BookedT], *lines: AccountLine, **changes: Any) -> BookedT:
    """An expense or a deposit of these lines, from or to the clearing account."""
    fields: dict[str, Any] = {
        "reference": REFERENCE,
        "payee_step": PAYEE.step,
        "date": DAY,
        "currency": "USD",
        "account": CLEARING,
        "lines": lines or (account_line(),),
        "memo": "Stripe fees of the day",
    }
    return kind(**{**fields, **changes})


def transfer(amount_minor: int = 25000, **changes: Any) -> Transfer:
    fields: dict[str, Any] = {
        "reference": REFERENCE,
        "payee_step": PAYEE.step,
        "date": DAY,
        "currency": "USD",
        "amount_minor": amount_minor,
        "from_account": CLEARING,
        "to_account": BANK,
        "memo": "Stripe po_Example",
        "why": WHY,
        "balance_transaction_id": "txn_Example",
    }
    return Transfer(**{**fields, **changes})
