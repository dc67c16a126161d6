"""The accounts page: ``view`` of accounts/index.html is an :class:`AccountsView`."""

from dataclasses import dataclass
from datetime import date, datetime

from web.views.mapping import Choice, ChoiceGroup, RoleField


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting of bookkeeping: ``key`` is the form field, ``value`` the choice in force."""

    key: str
    label: str
    hint: str
    choices: tuple[Choice, ...]
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryQuestion:
    """A kind of movement that nobody has placed: Stripe's word for it, how many wait, the first one's amount."""

    category: str
    label: str
    waiting: int
    example: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What Stripe held on the first day, in minor units of ``currency``."""

    day: date
    amount_minor: int
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountsView:
    """The whole page. ``books_name`` is "" while no books are connected.

    ``missing`` names the accounts that one click would create. ``feed_account`` is a bank account that looks like the
    ledger's own Stripe feed and is not the clearing account.
    """

    books_name: str
    roles: tuple[RoleField, ...] = ()
    settings: tuple[Setting, ...] = ()
    questions: tuple[CategoryQuestion, ...] = ()
    question_groups: tuple[ChoiceGroup, ...] = ()
    opening: tuple[Opening, ...] = ()
    missing: tuple[str, ...] = ()
    feed_account: str = ""
    first_day: date | None = None
    fetched_at: datetime | None = None
