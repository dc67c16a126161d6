"""Money and days as Xero writes them."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from core.errors import OutcomeUnknownError, ProviderRejectedError
from core.money import MoneyError, from_decimal, to_decimal
from core.reasons import Reason

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICKS = re.compile(r"/Date\((-?\d{1,15})(?:[+-]\d{4})?\)/")
_ISO_DAY = re.compile(r"\d{4}-\d{2}-\d{2}(?:T.*)?")


def amount(minor: int, currency: str) -> Decimal:
    """Return ``minor`` as Xero keeps money: at most two decimals, nothing rounded.

    Raises:
        ProviderRejectedError: the third decimal of a three-decimal currency is in use.
    """
    exact = to_decimal(minor, currency)
    cents = exact.quantize(Decimal("0.01"))
    if cents != exact:
        raise ProviderRejectedError(Reason.REFUSED, f"Xero keeps two decimals, not {exact} {currency.upper()}")
    return cents


def minor_units(value: Decimal, currency: str) -> int:
    """Return an answered amount in minor units.

    Raises:
        OutcomeUnknownError: the amount is no amount of this currency; the look-up says what stands there.
    """
    try:
        return from_decimal(value, currency)
    except MoneyError as exc:
        raise OutcomeUnknownError(f"unreadable amount: {exc}", answered=True, status=200) from exc


def read_moment(text: str | None) -> datetime | None:
    """Return the moment in ``/Date(1762041600000+0000)/``; None when there is none."""
    ticks = _TICKS.fullmatch(text or "")
    return _EPOCH + timedelta(milliseconds=int(ticks[1])) if ticks else None


def read_day(text: str) -> str:
    """Return the day in ``/Date(1762041600000+0000)/`` as ``2025-11-02``; empty when there is none.

    Xero writes days as midnight UTC in milliseconds; the offset behind them does not move them.
    """
    ticks = _TICKS.fullmatch(text)
    if ticks is not None:
        return (_EPOCH + timedelta(milliseconds=int(ticks[1]))).date().isoformat()
    return text[:10] if _ISO_DAY.fullmatch(text) else ""
