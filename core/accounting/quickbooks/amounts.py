"""Money as QuickBooks writes it: decimals with at most two places, exact both ways."""

from decimal import Decimal

from core.errors import OutcomeUnknownError, ProviderRejectedError
from core.money import MoneyError, from_decimal, to_decimal
from core.reasons import Reason


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
