"""Connections: connections/index.html gets a :class:`ConnectionsView`, connections/disconnect.html one card.

connections/choose.html gets a :class:`ChooseCompanyView`.
"""

from dataclasses import dataclass
from datetime import date, datetime

from web.views.mapping import Choice
from web.views.payment import Fact
from web.views.shell import Notice


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyForm:
    """Connecting Stripe with a pasted restricted key instead: a disclosure below the card.

    ``permissions`` are what the key must allow, as Stripe's own page names them; ``make_href`` opens that page with
    them ticked. ``error`` opens the disclosure. A typed key is never shown again.
    """

    permissions: tuple[str, ...]
    make_href: str | None = None
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionCard:
    """One provider: ``key`` is its name in addresses (stripe, quickbooks), ``state`` one of looks.CONNECTION_STATES.

    ``company`` is who was connected, asked from the provider. ``about`` says what we read, write and never touch, while
    not connected. ``blocked`` says why it cannot be connected now (other books are connected). ``can_connect`` is False
    where the sign-in way is not configured. ``notice`` tells what is broken and ``facts`` what is known;
    ``waiting`` payments would keep waiting after a disconnect.
    """

    key: str
    name: str
    icon: str
    state: str
    about: str = ""
    company: str = ""
    connected_at: datetime | None = None
    connected_by: str = ""
    last_checked_at: datetime | None = None
    consent_ends_on: date | None = None
    facts: tuple[Fact, ...] = ()
    notice: Notice | None = None
    blocked: str = ""
    can_connect: bool = True
    can_manage: bool = True
    is_test_mode: bool = False
    waiting: int = 0
    key_form: KeyForm | None = None

    @property
    def is_linked(self) -> bool:
        """Whether there is something to disconnect."""
        return self.state != "not_connected"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionsView:
    """The whole page: Stripe, then every ledger of the registry, then the first day once it was chosen."""

    stripe: ConnectionCard
    ledgers: tuple[ConnectionCard, ...]
    first_day: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChooseCompanyView:
    """One sign-in opened several companies: which one do these payments go to? ``name`` is the provider's."""

    key: str
    name: str
    choices: tuple[Choice, ...]
    error: str = ""
