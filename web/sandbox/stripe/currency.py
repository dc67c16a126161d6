"""Stripe's card fees and conversions, in minor units."""

from decimal import ROUND_HALF_UP, Decimal

from core.money import exponent


def card_fee(amount: int, currency: str, *, foreign: bool = False, converted: bool = False) -> int:
    """2.9 % + 0.30 of the settled amount; 1.5 % more for a foreign card, 1 % more for a conversion."""
    if amount <= 0:
        return 0
    per_mille = 29 + (15 if foreign else 0) + (10 if converted else 0)
    fixed = 30 * 10 ** exponent(currency) // 100 or 30
    return min((amount * per_mille + 500) // 1000 + fixed, amount)


def convert(amount: int, currency: str, settled_currency: str, rate: float) -> int:
    """Convert minor units at ``rate`` (settled per presented major unit), half up.

    The sandbox plays Stripe here: it makes the figure that the application must take as given.
    """
    power = exponent(settled_currency) - exponent(currency)
    settled = Decimal(amount) * Decimal(str(rate)) * Decimal(10) ** power
    return int(settled.quantize(Decimal(1), rounding=ROUND_HALF_UP))
