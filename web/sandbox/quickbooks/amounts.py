"""Money between JSON and the ledger: exact decimals outside, whole cents inside, never a float."""

from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

_CENT = Decimal("0.01")
_PACIFIC = ZoneInfo("America/Los_Angeles")
_decoder = msgspec.json.Decoder(float_hook=Decimal)
_encoder = msgspec.json.Encoder(decimal_format="number")
_canonical = msgspec.json.Encoder(decimal_format="number", order="deterministic")


def decode(raw: bytes) -> Any:
    """Parse JSON; every number with a point becomes a Decimal with exactly the digits that were sent."""
    return _decoder.decode(raw)


def encode(value: Any) -> bytes:
    return _encoder.encode(value)


def canonical(value: Any) -> bytes:
    """The same content gives the same bytes, whatever the order of its keys."""
    return _canonical.encode(value)


def number(value: Any) -> Decimal:
    """A JSON number, or the numeric text that QuickBooks accepts in its place."""
    return value if isinstance(value, Decimal) else Decimal(str(value))


def to_cents(value: Any) -> int:
    return int((number(value) * 100).quantize(Decimal(1), ROUND_HALF_UP))


def from_cents(cents: int) -> Decimal | int:
    """Back to a JSON number the way QuickBooks prints it: whole amounts without a point."""
    return cents // 100 if cents % 100 == 0 else Decimal(cents).scaleb(-2)


def times(cents: int, factor: Decimal) -> int:
    """``cents`` x ``factor``, a half rounded away from zero."""
    return int((Decimal(cents) * factor).quantize(Decimal(1), ROUND_HALF_UP))


def allocate(total: int, weights: list[int]) -> list[int]:
    """Split ``total`` in proportion to ``weights``; the parts sum to ``total`` exactly."""
    whole = sum(weights)
    if whole == 0:
        return [total, *[0] * (len(weights) - 1)] if weights else []
    shares = [total * weight // whole for weight in weights]
    rest = total - sum(shares)
    by_remainder = sorted(range(len(weights)), key=lambda i: -(total * weights[i] % whole))
    for index in by_remainder[:rest]:
        shares[index] += 1
    return shares


def pacific(moment: datetime, *, milliseconds: bool = False) -> str:
    """A time as QuickBooks prints it, with the offset of its home on the west coast."""
    return moment.astimezone(_PACIFIC).isoformat(timespec="milliseconds" if milliseconds else "seconds")


def pacific_date(moment: datetime) -> str:
    return moment.astimezone(_PACIFIC).date().isoformat()
