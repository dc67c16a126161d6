"""Documents for tests, with everything that a test does not care about filled in."""

from datetime import date
from typing import Any

from core.accounting.port import Company
from core.books.documents import Customer, Invoice, LineKind, Payment, SaleLine, Why

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
