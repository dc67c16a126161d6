from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.money import MoneyError, exponent, from_decimal, to_decimal

CURRENCIES = st.sampled_from(["USD", "eur", "JPY", "KWD", "ISK", "UGX", "HUF", "XPF"])
MINOR = st.integers(min_value=-(2**63), max_value=2**63 - 1)


@pytest.mark.parametrize(
    ("currency", "digits"),
    [("USD", 2), ("usd", 2), ("JPY", 0), ("krw", 0), ("BHD", 3), ("TND", 3), ("ISK", 2), ("UGX", 2), ("HUF", 2)],
)
def test_exponents_are_those_of_stripe(currency, digits):
    assert exponent(currency) == digits


@pytest.mark.parametrize("currency", ["", "US", "USDX", "U$D", "ÜSD", "12A", "us d"])
def test_what_is_not_a_currency_code_is_refused(currency):
    with pytest.raises(MoneyError):
        exponent(currency)


def test_decimals_carry_the_digits_of_their_currency():
    assert str(to_decimal(123456, "USD")) == "1234.56"
    assert str(to_decimal(100, "USD")) == "1.00"
    assert str(to_decimal(-500, "JPY")) == "-500"
    assert str(to_decimal(1500, "KWD")) == "1.500"
    assert str(to_decimal(500, "ISK")) == "5.00"


@given(MINOR, CURRENCIES)
def test_there_and_back_is_the_same_amount(minor, currency):
    assert from_decimal(to_decimal(minor, currency), currency) == minor


def test_a_narrow_decimal_context_does_not_round_money():
    with localcontext() as context:
        context.prec = 3
        assert to_decimal(123456789, "USD") == Decimal("1234567.89")
        assert from_decimal(Decimal("1234567.89"), "USD") == 123456789


@pytest.mark.parametrize(
    ("value", "currency", "minor"),
    [("1E+3", "USD", 100000), ("12.3", "USD", 1230), ("12.300000", "USD", 1230), ("-0.00", "EUR", 0), ("7", "JPY", 7)],
)
def test_equal_decimals_give_the_same_amount(value, currency, minor):
    assert from_decimal(Decimal(value), currency) == minor


@pytest.mark.parametrize(
    ("value", "currency"),
    [
        ("0.001", "USD"),
        ("0.5", "JPY"),
        ("1.0001", "KWD"),
        ("NaN", "USD"),
        ("Infinity", "USD"),
        ("sNaN", "USD"),
        ("1E+1000000", "USD"),
        ("1E-1000000", "USD"),
        ("92233720368547758.08", "USD"),
    ],
)
def test_an_amount_that_would_lose_digits_is_refused(value, currency):
    with pytest.raises(MoneyError):
        from_decimal(Decimal(value), currency)


def test_an_amount_beyond_64_bits_is_refused():
    with pytest.raises(MoneyError):
        to_decimal(2**63, "USD")
