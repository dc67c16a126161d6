"""Numbers and dates between JSON and the ledger: exact decimals outside, whole cents inside, never a float.

Xero keeps two decimals in every currency, so cents are always hundredths.
"""

import re
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import msgspec

_decoder = msgspec.json.Decoder(float_hook=Decimal)
_encoder = msgspec.json.Encoder(decimal_format="number")
_MS_DATE = re.compile(r"/Date\((-?\d+)(?:[+-]\d{4})?\)/")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def decode(raw: bytes) -> Any:
    """Parse JSON; every number with a point becomes a Decimal with exactly the digits that were sent."""
    return _decoder.decode(raw)


def encode(value: Any) -> bytes:
    return _encoder.encode(value)


def rounded(value: Decimal, places: int) -> Decimal:
    """A half goes away from zero."""
    return value.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)


def to_cents(value: Any) -> int:
    return int(rounded(Decimal(value) * 100, 0))


def money(cents: int) -> Decimal:
    """The JSON number, always with two decimals."""
    return Decimal(cents).scaleb(-2)


def ms_time(moment: datetime) -> str:
    milliseconds = (moment - _EPOCH) // timedelta(milliseconds=1)
    return f"/Date({milliseconds}+0000)/"


def ms_day(day: date) -> str:
    return ms_time(datetime(day.year, day.month, day.day, tzinfo=UTC))


def day_text(day: date) -> str:
    """The readable twin of a date."""
    return f"{day.isoformat()}T00:00:00"


def time_text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S+00:00")


def long_day(day: date) -> str:
    """A date inside a sentence of Xero's: 5 March 2026."""
    return f"{day.day} {day:%B %Y}"


def read_day(text: str) -> date | None:
    """``2026-11-02``, with a time behind it or not, or the form that Xero itself writes."""
    found = _MS_DATE.fullmatch(text)
    if found:
        return (_EPOCH + timedelta(milliseconds=int(found[1]))).date()
    try:
        return datetime.fromisoformat(text).date()
    except ValueError:
        return None


def read_moment(text: str) -> datetime | None:
    """A time that Xero wrote."""
    found = _MS_DATE.fullmatch(text)
    return _EPOCH + timedelta(milliseconds=int(found[1])) if found else None
