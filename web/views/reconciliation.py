"""Reconciliation: reconciliation/index.html gets a :class:`ReconciliationView`."""

from dataclasses import dataclass
from datetime import date

from web.views.payments import Pager
from web.views.shell import Link


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofLine:
    """A line of a statement: a label, a small remark, an amount in minor units; None is not known yet."""

    label: str
    amount_minor: int | None
    small: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearingView:
    """The clearing account against Stripe.

    ``difference_minor`` is None while one of the two sides was never read. ``notes`` are sentences below: what a person
    left out, what lies in other currencies, what nothing explains. ``day`` is None for now.
    """

    currency: str
    books: ProofLine
    explained: tuple[ProofLine, ...]
    settled_minor: int | None
    stripe: ProofLine
    difference_minor: int | None
    notes: tuple[str, ...] = ()
    day: date | None = None
    first_day: date | None = None
    today: date | None = None
    keep: tuple[tuple[str, str], ...] = ()
    now_href: str = "/reconciliation"


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutRowView:
    """One payout. ``state`` with ``icon`` and ``word`` as in looks.PAYOUT_STATES; None amounts show a dash.

    ``note`` stands below the state: how much it waits for, or that Stripe names no parts.
    """

    id: str
    day: date
    state: str
    currency: str
    amount_minor: int
    payments: str = ""
    note: str = ""
    gross_minor: int | None = None
    fees_minor: int | None = None
    refunds_minor: int | None = None
    disputes_minor: int | None = None
    in_books_minor: int | None = None
    difference_minor: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthView:
    """The payouts of a month with their sums. ``name`` is "November"; ``off`` how many do not tie."""

    first: date
    name: str
    currency: str
    lines: tuple[ProofLine, ...]
    net_minor: int
    differ_minor: int
    off: int
    rows: tuple[PayoutRowView, ...]
    pager: Pager | None = None
    earlier_href: str = ""
    earlier_label: str = ""
    later_href: str = ""
    later_label: str = ""
    csv_href: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRowView:
    """One thing that is not reconciled. ``href`` leads to it; ``action`` is a core.reasons.Action or "see_proof".

    ``retry_path`` is set where a retry does something, ``recreate_path`` where something removed can be made again,
    ``ignore_path`` where it may be left out of the books.
    """

    id: str
    title: str
    sub: str
    state: str
    reason: str
    age: str
    currency: str
    amount_minor: int | None
    href: str = ""
    action: str = "none"
    action_href: str = ""
    retry_path: str = ""
    recreate_path: str = ""
    ignore_path: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSum:
    """What everything open comes to in one currency."""

    currency: str
    amount_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenView:
    """What is not reconciled. ``totals``: one line per currency, empty where there is too much to add up."""

    count: int
    rows: tuple[OpenRowView, ...]
    totals: tuple[OpenSum, ...] = ()
    pager: Pager | None = None
    csv_href: str = "/reconciliation/unreconciled.csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconciliationView:
    """The whole page. ``setup`` leads on where there is no clearing line to be shown yet."""

    live_since: int
    books_name: str
    month: MonthView
    open: OpenView
    clearing: ClearingView | None = None
    can_check: bool = False
    setup: Link | None = None
