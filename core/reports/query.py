"""What a person asked to see, read from the address of the page. Pure.

Nothing in an address is an error: what cannot be understood is left out, so that an old or mistyped link still opens a
page. Only names from the lists below reach a query, and only as bound parameters (I8).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from urllib.parse import urlencode
from uuid import UUID

from core.db.models import PaymentState
from core.search import typed_words

SHOWN: dict[str, PaymentState] = {
    "attention": PaymentState.NEEDS_ATTENTION,
    "syncing": PaymentState.SYNCING,
    "waiting": PaymentState.WAITING,
    "synced": PaymentState.SYNCED,
    "ignored": PaymentState.IGNORED,
    "undone": PaymentState.UNDONE,
}
"""Values of ``show`` in the order of the chips; anything else shows all."""

OPEN_STATES = (PaymentState.WAITING, PaymentState.SYNCING, PaymentState.NEEDS_ATTENTION)
"""Not in the books yet, and meant to get there: "still open", "unreconciled"."""

PERIODS = ("month", "last-month", "90-days", "all")
MAX_Q = 200
MAX_WORDS = 6

_FIRST_DAY, _LAST_DAY = date(2000, 1, 1), date(2100, 12, 31)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_CURSOR = re.compile(r"[0-9]{1,17}-[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in the list: the moment and the id of the row beside it. New rows do not move it."""

    paid_at: datetime
    payment_id: UUID

    def __str__(self) -> str:
        """Return it as it stands in an address."""
        return f"{(self.paid_at - _EPOCH) // _MICROSECOND}-{self.payment_id.hex}"


@dataclass(frozen=True, slots=True)
class PaymentQuery:
    """One view of the payments: which dates, which state, which service, which words, which page.

    Attributes:
        period: a name of :data:`PERIODS`, or "" for dates of one's own.
        first, last: the tenant's days, both included; None where the period has no such end.
        show: a key of :data:`SHOWN`, or "all".
        q: what was typed into the search box.
    """

    period: str
    first: date | None
    last: date | None
    show: str = "all"
    service_id: UUID | None = None
    q: str = ""
    before: Cursor | None = None
    after: Cursor | None = None

    @property
    def states(self) -> tuple[PaymentState, ...]:
        """The states to list; all of them when none was chosen."""
        return (SHOWN[self.show],) if self.show in SHOWN else tuple(PaymentState)

    @property
    def words(self) -> tuple[str, ...]:
        """What every hit must contain."""
        return search_words(self.q)

    @property
    def is_filtered(self) -> bool:
        """Whether more than the dates narrows the list."""
        return self.show != "all" or self.service_id is not None or bool(self.words)

    def with_(self, **changes: object) -> "PaymentQuery":
        """Return the query for another address; a changed filter starts on the first page again."""
        return replace(self, **{"before": None, "after": None, **changes})  # type: ignore[arg-type]  # names of fields

    def parameters(self) -> list[tuple[str, str]]:
        """Return what the address must carry for :func:`parse_query` to arrive here; defaults are left out."""
        pairs = self.date_parameters()
        if self.show != "all":
            pairs.append(("show", self.show))
        if self.service_id is not None:
            pairs.append(("service", str(self.service_id)))
        if self.q:
            pairs.append(("q", self.q))
        for name, cursor in (("before", self.before), ("after", self.after)):
            if cursor is not None:
                pairs.append((name, str(cursor)))
        return pairs

    def date_parameters(self) -> list[tuple[str, str]]:
        """Return the part of :meth:`parameters` that says the dates."""
        if self.period:
            return [("period", self.period)] if self.period != PERIODS[0] else []
        pairs = []
        if self.first is not None:
            pairs.append(("from", self.first.isoformat()))
        if self.last is not None:
            pairs.append(("to", self.last.isoformat()))
        return pairs

    def href(self, path: str) -> str:
        """Return ``path`` with this query behind it."""
        pairs = self.parameters()
        return f"{path}?{urlencode(pairs)}" if pairs else path


def parse_query(given: Mapping[str, str], *, today: date) -> PaymentQuery:
    """Read a query from the parameters of an address.

    Args:
        given: name to value; unknown names and senseless values are left out.
        today: the tenant's present day.
    """
    period, first, last = _dates(given, today)
    show = given.get("show", "")
    after = _cursor(given.get("after", ""))
    return PaymentQuery(
        period=period,
        first=first,
        last=last,
        show=show if show in SHOWN else "all",
        service_id=_uuid(given.get("service", "")),
        q=clean(given.get("q", ""))[:MAX_Q],
        before=_cursor(given.get("before", "")) if after is None else None,
        after=after,
    )


def _dates(given: Mapping[str, str], today: date) -> tuple[str, date | None, date | None]:
    first, last = _date(given.get("from", "")), _date(given.get("to", ""))
    if first is not None and last is not None and last < first:
        first, last = last, first
    if first is not None or last is not None:
        return "", first, last
    period = given.get("period", "")
    this_month = today.replace(day=1)
    if period == "last-month":
        last = this_month - timedelta(days=1)
        return period, last.replace(day=1), last
    if period == "90-days":
        return period, today - timedelta(days=89), today
    if period == "all":
        return period, None, None
    return PERIODS[0], this_month, today


def bounds(query: PaymentQuery, zone: tzinfo) -> tuple[datetime | None, datetime | None]:
    """Return the moments between which a payment of the shown days was paid: from, and up to but not including."""
    start = datetime.combine(query.first, time.min, zone).astimezone(UTC) if query.first else None
    if query.last is None:
        return start, None
    return start, datetime.combine(query.last + timedelta(days=1), time.min, zone).astimezone(UTC)


def search_words(text: str) -> tuple[str, ...]:
    """Return what every hit must contain a word beginning with."""
    return tuple(typed_words(clean(text))[:MAX_WORDS])


def clean(text: str) -> str:
    """Drop what no database takes: NUL and lone surrogates (I1)."""
    return "".join(c for c in text if c != "\x00" and not "\ud800" <= c <= "\udfff").strip()


def like_pattern(word: str) -> str:
    r"""Return the LIKE pattern for "has a word that begins with ``word``" in a text with a space before each word.

    ``\`` escapes, so ``%`` and ``_`` stand for themselves.
    """
    escaped = word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"% {escaped}%"


def _cursor(text: str) -> Cursor | None:
    if not _CURSOR.fullmatch(text):
        return None
    moment, _, payment_id = text.partition("-")
    try:
        return Cursor(_EPOCH + int(moment) * _MICROSECOND, UUID(payment_id))
    except OverflowError:
        return None


def _date(text: str) -> date | None:
    if not _ISO_DATE.fullmatch(text):
        return None
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return min(max(found, _FIRST_DAY), _LAST_DAY)


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
