"""Amounts of money: integers in the smallest unit that Stripe counts in, and exact ways to and from decimals.

Nothing here rounds but :func:`convert`. Where a digit would be lost, or cents would have to be invented,
:class:`MoneyError` is raised.
"""

from decimal import Decimal

# Stripe's exponents, not ISO's: ISK and UGX count in hundredths although nobody pays in hundredths of them, so they are
# absent here on purpose. Source: https://docs.stripe.com/currencies (zero-decimal list and its special cases).
_ZERO_DECIMAL = frozenset(
    ["BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"]
)
_THREE_DECIMAL = frozenset(["BHD", "JOD", "KWD", "OMR", "TND"])

# Databases keep amounts as signed 64-bit integers; anything larger is a mistake, not money.
_LIMIT = 2**63


class MoneyError(ValueError):
    """An amount cannot be expressed exactly, or does not add up."""


def exponent(currency: str) -> int:
    """Return how many decimal digits one minor unit of ``currency`` stands for: 0, 2 or 3.

    Args:
        currency: three ASCII letters in any case.

    Raises:
        MoneyError: if ``currency`` is not three ASCII letters.
    """
    if len(currency) != 3 or not (currency.isascii() and currency.isalpha()):
        raise MoneyError(f"not a currency code: {currency[:12]!r}")
    code = currency.upper()
    if code in _ZERO_DECIMAL:
        return 0
    return 3 if code in _THREE_DECIMAL else 2


def to_decimal(minor: int, currency: str) -> Decimal:
    """Return ``minor`` units of ``currency`` as an exact decimal with that currency's number of digits.

    Raises:
        MoneyError: if ``currency`` is not a code or ``minor`` does not fit 64 bits.
    """
    _check_range(minor)
    # Built from a string: scaleb() would round to the digits of the caller's decimal context.
    return Decimal(f"{minor}E-{exponent(currency)}")


def from_decimal(value: Decimal, currency: str) -> int:
    """Return ``value`` in minor units of ``currency``.

    Raises:
        MoneyError: if ``value`` is not finite, has digits below one minor unit, or does not fit 64 bits.
    """
    sign, digits, power = value.as_tuple()
    if not isinstance(power, int):
        raise MoneyError("not a finite amount")
    coefficient = int("".join(map(str, digits)))
    if coefficient == 0:
        return 0
    shift = power + exponent(currency)
    if shift > 20 or len(digits) + shift > 20:
        raise MoneyError("amount does not fit 64 bits")
    if shift >= 0:
        minor = coefficient * 10**shift
    else:
        if -shift > len(digits):
            raise MoneyError(f"{value} has digits below one minor unit of {currency.upper()}")
        minor, lost = divmod(coefficient, 10**-shift)
        if lost:
            raise MoneyError(f"{value} has digits below one minor unit of {currency.upper()}")
    return _check_range(-minor if sign else minor)


def convert(minor: int, currency: str, rate: Decimal, home: str) -> int:
    """Return what ``minor`` units of ``currency`` are worth in minor units of ``home``, half a unit away from zero.

    The one place that rounds: books keep the home value of a foreign document to the minor unit.

    Args:
        minor: amount in minor units of ``currency``.
        currency: the foreign currency.
        rate: home units for one foreign unit, more than zero.
        home: the books' own currency.

    Raises:
        MoneyError: if a currency is no code, or the result does not fit 64 bits.
    """
    numerator, denominator = rate.as_integer_ratio()
    numerator *= abs(_check_range(minor)) * 10 ** exponent(home)
    denominator *= 10 ** exponent(currency)
    worth = (2 * numerator + denominator) // (2 * denominator)
    return _check_range(-worth if minor < 0 else worth)


def _check_range(minor: int) -> int:
    if not -_LIMIT <= minor < _LIMIT:
        raise MoneyError("amount does not fit 64 bits")
    return minor
