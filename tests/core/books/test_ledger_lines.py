"""Debits and credits of a document: balanced, each with its reason."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.books.documents import Why
from core.books.ledger_lines import RECEIVABLE, SALES_TAX, explain, ledger_lines
from tests.sales import sale_documents

MONEY = st.integers(min_value=0, max_value=10**12)


@given(amount=MONEY, tax=MONEY, discount=MONEY)
def test_debits_equal_credits(amount: int, tax: int, discount: int) -> None:
    for document in sale_documents(amount, tax=tax, discount=discount):
        lines = ledger_lines(document)
        assert sum(line.debit_minor or 0 for line in lines) == sum(line.credit_minor or 0 for line in lines)
        assert all((line.debit_minor is None) != (line.credit_minor is None) for line in lines)
        assert all((line.debit_minor or 0) >= 0 and (line.credit_minor or 0) >= 0 for line in lines)
        assert lines[0].why


def test_a_sale_with_tax_and_discount_reads_like_the_books() -> None:
    invoice, payment = sale_documents(10825, tax=825, discount=500)
    assert [(line.account_name, line.debit_minor, line.credit_minor, line.note) for line in ledger_lines(invoice)] == [
        (RECEIVABLE, 10825, None, ""),
        ("4020 Portraits", None, 10500, "State 8 %"),
        ("4020 Portraits", 500, None, "State 8 %"),
        (SALES_TAX, None, 825, "State 8 %"),
    ]
    assert [(line.account_name, line.debit_minor, line.credit_minor) for line in ledger_lines(payment)] == [
        ("1150 Stripe clearing", 10825, None),
        (RECEIVABLE, None, 10825),
    ]


@pytest.mark.parametrize(
    ("why", "said"),
    [
        (
            Why("line_item.amount", "42000", "product; mapping of this service", "m", 3, "Anna"),
            "Stripe’s line_item.amount, product; mapping of this service, version 3, set by Anna",
        ),
        (
            Why("charge.amount", "40000 + 2000 tax", "default mapping"),
            "Stripe’s charge.amount (40000 + 2000 tax, in cents), default mapping",
        ),
        (Why("", "", "Stripe clearing account"), "Stripe clearing account"),
    ],
)
def test_a_line_explains_itself(why: Why, said: str) -> None:
    assert explain(why, "usd") == said


def test_zero_tax_is_no_line() -> None:
    invoice, _ = sale_documents(1000)
    free = replace(invoice, lines=tuple(replace(line, tax_code_name="Zero") for line in invoice.lines))
    assert SALES_TAX not in {line.account_name for line in ledger_lines(free)}
