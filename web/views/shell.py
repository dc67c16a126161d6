"""What every signed-in page needs around its own content."""

from dataclasses import dataclass
from datetime import datetime, tzinfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where and when the reader is: every date and amount on a page is written for this place.

    ``zone`` is the tenant's time zone, ``now`` an aware time of the request, ``locale`` a Babel name.
    """

    zone: tzinfo
    now: datetime
    locale: str = "en_US"


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A word and where it leads. ``href`` is a path of ours, or an https address outside."""

    label: str
    href: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NavItem:
    """One entry of the main navigation; a count above zero is said as ``count`` followed by ``count_words``."""

    key: str
    label: str
    href: str
    icon: str
    count: int = 0
    count_words: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthLine:
    """One line at the foot of the sidebar. ``state``: connected, needs_attention, not_connected."""

    name: str
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Toast:
    """The result of what the person just did, said once. A problem stays until it is closed."""

    text: str
    is_problem: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What happened (``title``), why and what it means (``text``), and where to go. At most one stands on a page."""

    title: str
    text: str = ""
    link: Link | None = None
    is_alert: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Shell:
    """The frame of a signed-in page: ``shell`` in the context of every such template.

    ``here`` is the path and query of this page; forms carry it as ``next`` so that the answer leads back.
    ``partial`` is True when the request carries ``HX-Request-Type: partial``: then only the ``view`` block is
    rendered, followed by the navigation, the health lines and the toast for their own places on the page.
    """

    page: str
    here: str
    place: Place
    csrf_token: str
    workspace_name: str
    workspace_note: str = ""
    nav: tuple[NavItem, ...]
    health: tuple[HealthLine, ...] = ()
    banner: Notice | None = None
    toast: Toast | None = None
    partial: bool = False

    @property
    def layout(self) -> str:
        """Name of the template that a page extends."""
        return "fragment.html" if self.partial else "base.html"


def build_nav(
    *, attention: int = 0, untied: int = 0, unmapped: int = 0, broken: int = 0, is_started: bool = True
) -> tuple[NavItem, ...]:
    """Return the main navigation with its counts. A new page is one more line here.

    The checklist leads until posting has started: it is the way on from every step.
    """
    start = () if is_started else (NavItem(key="start", label="Get started", href="/start", icon="circle-check"),)
    return (
        *start,
        NavItem(
            key="payments",
            label="Payments",
            href="/payments",
            icon="receipt-text",
            count=attention,
            count_words="need attention" if attention != 1 else "needs attention",
        ),
        NavItem(
            key="reconciliation",
            label="Reconciliation",
            href="/reconciliation",
            icon="scale",
            count=untied,
            count_words="payouts do not tie" if untied != 1 else "payout does not tie",
        ),
        NavItem(
            key="mapping",
            label="Mapping",
            href="/mapping",
            icon="arrow-right-left",
            count=unmapped,
            count_words="not mapped",
        ),
        NavItem(
            key="connections",
            label="Connections",
            href="/connections",
            icon="plug",
            count=broken,
            count_words="need reconnecting" if broken != 1 else "needs reconnecting",
        ),
    )
