"""The payments page: ``view`` of payments/index.html is a :class:`PaymentsView`."""

from dataclasses import dataclass
from datetime import date, datetime

from web.views.chart import DayAmounts
from web.views.shell import Link


@dataclass(frozen=True, slots=True, kw_only=True)
class Chip:
    """A filter with its count. ``is_alert`` makes the number red (needs attention, above zero)."""

    label: str
    href: str
    count: int | None = None
    is_current: bool = False
    is_alert: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """The shown dates, both included. ``keep`` are the other query parameters that a change of dates carries along."""

    first: date
    last: date
    presets: tuple[Chip, ...] = ()
    keep: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Totals of the period in one settlement currency, in minor units.

    ``fee_minor`` and ``refund_minor`` are positive amounts that are taken away: net = gross - fee - refund.
    ``days`` has one entry for every day of the period in order, or for every month of a long one; it is empty when
    there is nothing to draw.
    """

    currency: str
    gross_minor: int
    fee_minor: int
    refund_minor: int
    net_minor: int
    days: tuple[DayAmounts, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Attention:
    """How many payments need a person, whatever their date, and how many of those "Retry all" would try again.

    ``all_href`` is set where some of them lie before the shown dates: it shows them all.
    """

    count: int
    retryable: int
    all_href: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentRow:
    """One payment in the table.

    ``state`` is one of the six (looks.STATES). ``currency`` is the settlement currency of the amounts; where Stripe has
    not settled yet, it is the client's and ``fee_minor`` (positive) and ``net_minor`` are None.
    ``client_amount_minor`` and ``client_currency`` are set only if the client paid in another currency.
    ``reason`` is the short line of the wording; ``action`` a core.reasons.Action ("none" draws no button).
    ``document`` links to what stands in the books.
    """

    id: str
    client: str
    service: str
    paid_at: datetime
    state: str
    currency: str
    amount_minor: int
    fee_minor: int | None = None
    net_minor: int | None = None
    client_amount_minor: int | None = None
    client_currency: str | None = None
    reason: str = ""
    action: str = "none"
    service_id: str | None = None
    document: Link | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pager:
    """Keyset paging. ``first`` and ``last`` are positions from 1; None where they are not known."""

    first: int | None = None
    last: int | None = None
    total: int | None = None
    newer_href: str | None = None
    older_href: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentsView:
    """The whole page.

    ``live_since`` is the sequence number that the rows were read at; the event stream starts behind it.
    ``q`` is the text searched for, ``keep`` the other query parameters that the search form carries along.
    ``is_filtered`` with no rows says "Nothing matches" and offers ``clear_href``.
    ``is_counted`` is false where too many payments come into question to add up those that were found.
    ``exports``: one becomes a button, several a menu. ``is_started``: a first day was chosen.
    """

    live_since: int
    period: Period
    summaries: tuple[Summary, ...] = ()
    chips: tuple[Chip, ...] = ()
    q: str = ""
    keep: tuple[tuple[str, str], ...] = ()
    attention: Attention | None = None
    rows: tuple[PaymentRow, ...] = ()
    pager: Pager | None = None
    is_filtered: bool = False
    is_counted: bool = True
    clear_href: str = "/payments"
    exports: tuple[Link, ...] = ()
    is_started: bool = True
