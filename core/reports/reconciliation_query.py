"""What a person asked to see of the reconciliation, read from the address of the page. Pure.

As everywhere: nothing in an address is an error, and what cannot be understood is left out.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from urllib.parse import urlencode
from uuid import UUID

from core.reports.payouts import PayoutCursor
from core.reports.reconciliation_items import Place

_EARLIEST, _LATEST = date(2000, 1, 1), date(2100, 12, 31)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MONTH = re.compile(r"[0-9]{4}-[0-9]{2}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_ROW = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})-([0-9a-f]{32})")
_PLACE = re.compile(r"([0-9]{1,17})-([0-9a-f]{32})")


@dataclass(frozen=True, slots=True)
class ReconciliationQuery:
    """One view of the reconciliation.

    Attributes:
        month: first day of the shown month; None for the present one.
        day: at whose end the clearing account is looked at; None for now.
        before, after: the row beside the page of payouts.
        open_before: the row above the page of open things.
    """

    month: date | None = None
    day: date | None = None
    before: PayoutCursor | None = None
    after: PayoutCursor | None = None
    open_before: Place | None = None

    def with_(self, **changes: object) -> "ReconciliationQuery":
        """Return the query for another address; another month starts on its first page."""
        given: dict[str, object] = {"before": None, "after": None, **changes}
        return replace(self, **given)  # type: ignore[arg-type]  # names of fields

    def parameters(self) -> list[tuple[str, str]]:
        """Return what the address must carry for :func:`parse_reconciliation_query` to arrive here."""
        pairs = []
        if self.month is not None:
            pairs.append(("month", f"{self.month:%Y-%m}"))
        if self.day is not None:
            pairs.append(("day", self.day.isoformat()))
        for name, cursor in (("before", self.before), ("after", self.after)):
            if cursor is not None:
                pairs.append((name, f"{cursor.arrival_date.isoformat()}-{cursor.payout_id.hex}"))
        if self.open_before is not None:
            moment, row_id = self.open_before
            pairs.append(("open", f"{(moment - _EPOCH) // _MICROSECOND}-{row_id.hex}"))
        return pairs

    def href(self, path: str) -> str:
        """Return ``path`` with this query behind it."""
        pairs = self.parameters()
        return f"{path}?{urlencode(pairs)}" if pairs else path


def parse_reconciliation_query(given: Mapping[str, str], *, today: date) -> ReconciliationQuery:
    """Read a query from the parameters of an address; ``today`` is the tenant's present day."""
    month = _month(given.get("month", ""))
    day = _day(given.get("day", ""))
    after = _cursor(given.get("after", ""))
    return ReconciliationQuery(
        month=None if month == today.replace(day=1) else month,
        day=None if day is None or day >= today else day,
        before=_cursor(given.get("before", "")) if after is None else None,
        after=after,
        open_before=_place(given.get("open", "")),
    )


def _month(text: str) -> date | None:
    return _day(f"{text}-01") if _MONTH.fullmatch(text) else None


def _day(text: str) -> date | None:
    if not _DAY.fullmatch(text):
        return None
    try:
        return min(max(date.fromisoformat(text), _EARLIEST), _LATEST)
    except ValueError:
        return None


def _cursor(text: str) -> PayoutCursor | None:
    found = _ROW.fullmatch(text)
    day = _day(found[1]) if found else None
    return PayoutCursor(day, UUID(found[2])) if found and day else None


def _place(text: str) -> Place | None:
    found = _PLACE.fullmatch(text)
    if found is None:
        return None
    try:
        return _EPOCH + int(found[1]) * _MICROSECOND, UUID(found[2])
    except OverflowError:
        return None
