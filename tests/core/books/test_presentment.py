"""What a foreign invoice is worth at home, and the difference that its payment realises."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.accounting.quickbooks.amounts import settled_rate
from core.books.documents import Invoice, LineKind, Payment, SaleLine, Why
from core.books.effects import entries
from core.books.ledger_lines import EXCHANGE, RECEIVABLE, currency_of, ledger_lines
from core.books.presentment import at_home, home_lines
from core.errors import ProviderRejectedError, StopError
from core.money import convert
from core.reasons import Reason
from core.sync.documents import freeze, thaw

WHY = Why("charge.amount", "", "the mapping")
DAY = date(2026, 2, 23)


def line(amount: int, tax: int = 0) -> SaleLine:
    return SaleLine(LineKind.SERVICE, "s", "Coaching", "Coaching", amount, tax, "79", "Income", None, None, None, WHY)


def invoice(*lines: SaleLine, rate: str | None, home: int) -> Invoice:
    return Invoice("TO-1", "customer:1:eur", DAY, "eur", lines, "", rate, home, "usd")


def payment(amount: int, *, settled: int, owed: int) -> Payment:
    return Payment(
        "TO-1", "customer:1:eur", "invoice", DAY, "eur", amount, "91", "Stripe clearing", "", WHY, settled, owed, "usd"
    )


def test_half_a_cent_is_a_cent() -> None:
    assert convert(50000, "eur", Decimal("1.0700"), "usd") == 53500
    assert convert(1, "eur", Decimal("0.5"), "usd") == 1
    assert convert(-1, "eur", Decimal("0.5"), "usd") == -1
    assert convert(500, "jpy", Decimal("0.0067"), "usd") == 335
    assert convert(1234, "kwd", Decimal("3.25"), "usd") == 401


def test_each_line_is_worth_its_share_and_no_cent_is_lost() -> None:
    sale = at_home(invoice(line(3333, 667), line(3333), line(-100), rate="1.07", home=7739))
    assert sale.currency == "usd"
    assert sale.total_minor == 7739
    assert [one.amount_minor + one.tax_minor for one in sale.lines] == [4280, 3566, -107]


def test_the_entries_of_a_foreign_sale_are_in_the_books_own_currency() -> None:
    sold, paid = invoice(line(50000), rate="1.07", home=53500), payment(50000, settled=54125, owed=53500)
    assert [(one.account_id, one.amount_minor) for one in (*entries(sold), *entries(paid))] == [
        (RECEIVABLE, 53500), ("79", -53500), ("91", 54125), (RECEIVABLE, -53500), (EXCHANGE, -625),
    ]  # fmt: skip
    assert currency_of(sold) == currency_of(paid) == "usd"
    assert "the invoice; your books compute this line" in ledger_lines(paid)[-1].why


def test_a_loss_is_a_debit_and_equal_rates_make_no_line() -> None:
    loss = ledger_lines(payment(50000, settled=53000, owed=53500))
    assert (loss[-1].account_name, loss[-1].debit_minor) == (EXCHANGE, 500)
    assert len(ledger_lines(payment(50000, settled=53500, owed=53500))) == 2


def test_a_sale_at_a_rate_that_only_the_books_know_is_not_given_back() -> None:
    with pytest.raises(StopError) as stop:
        home_lines(invoice(line(50000), rate=None, home=54125))
    assert stop.value.reason is Reason.RATE_NOT_KNOWN


def test_what_was_frozen_before_other_currencies_thaws_as_it_was() -> None:
    before = replace(
        invoice(line(100), rate=None, home=0), home_minor=None, home_currency=None, currency="usd", exchange_rate=None
    )
    content = {key: value for key, value in freeze(before).items() if "home" not in key and key != "exchange_rate"}
    assert thaw(before.kind, content) == before
    assert at_home(before) is before


@given(
    amount=st.integers(min_value=1, max_value=10**9),
    rate=st.decimals(min_value="0.01", max_value="200", places=9),
)
def test_the_rate_that_is_sent_brings_the_settled_cents(amount: int, rate: Decimal) -> None:
    settled = convert(amount, "eur", rate, "usd")
    if settled == 0:
        return
    found = settled_rate(payment(amount, settled=settled, owed=settled))
    assert found is not None
    assert convert(amount, "eur", found, "usd") == settled


def test_money_that_no_rate_brings_is_refused() -> None:
    with pytest.raises(ProviderRejectedError) as refused:
        settled_rate(payment(10**15, settled=10**15 // 3, owed=1))
    assert refused.value.reason is Reason.TOTALS_DIFFER
