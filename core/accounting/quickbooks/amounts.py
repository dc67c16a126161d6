"""Money as QuickBooks writes it: decimals with at most two places, exact both ways."""

from decimal import Decimal
from fractions import Fraction

from core.books.documents import Payment
from core.errors import OutcomeUnknownError, ProviderRejectedError
from core.money import MoneyError, convert, from_decimal, to_decimal
from core.reasons import Reason

MIN_RATE_DIGITS, MAX_RATE_DIGITS = 4, 10
"""Decimals of an exchange rate. QuickBooks names no limit; what it answers is compared with what was settled."""


def amount(minor: int, currency: str) -> Decimal:
    """Return ``minor`` as QuickBooks writes money: at most two decimals, nothing rounded.

    Raises:
        ProviderRejectedError: the third decimal of a three-decimal currency is in use.
    """
    exact = to_decimal(minor, currency)
    cents = exact.quantize(Decimal("0.01"))
    if cents != exact:
        raise ProviderRejectedError(Reason.REFUSED, f"QuickBooks keeps two decimals, not {exact} {currency.upper()}")
    return cents


def settled_rate(payment: Payment) -> Decimal | None:
    """Return the rate at which a foreign payment comes to what Stripe settled, to the cent; None for one at home.

    As few digits as will do: the fewer there are, the surer they are kept.

    Raises:
        ProviderRejectedError: ``TOTALS_DIFFER``: no rate of a length that QuickBooks may keep hits the cents.
    """
    settled, home = payment.home_minor, payment.home_currency
    if settled is None or home is None:
        return None
    exact = Fraction(to_decimal(settled, home)) / Fraction(to_decimal(payment.amount_minor, payment.currency))
    for digits in range(MIN_RATE_DIGITS, MAX_RATE_DIGITS + 1):
        rate = Decimal(f"{round(exact * 10**digits)}E-{digits}")
        if rate and convert(payment.amount_minor, payment.currency, rate, home) == settled:
            return rate
    raise ProviderRejectedError(Reason.TOTALS_DIFFER, f"no exchange rate brings {settled} {home}")


def minor_units(value: Decimal | None, currency: str) -> int | None:
    """Return an answered amount in minor units.

    Raises:
        OutcomeUnknownError: the amount is no amount of this currency; the look-up says what stands there.
    """
    if value is None:
        return None
    try:
        return from_decimal(value, currency)
    except MoneyError as exc:
        raise OutcomeUnknownError(f"unreadable amount: {exc}", answered=True, status=200) from exc
