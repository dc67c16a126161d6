"""The mapping page: ``view`` of mapping/index.html is a :class:`MappingView`."""

from dataclasses import dataclass
from datetime import date, datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One option of a list."""

    id: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceGroup:
    """Options under one heading, such as "Income"."""

    label: str
    choices: tuple[Choice, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MappingRow:
    """One service, or with ``is_default`` the row "Anything else" that the others inherit.

    ``id`` is the service's id, "default" for the default row. ``account_id`` and ``tax_code_id`` are "" while unset; a
    chosen account that is not among the groups any more must be put there by the handler (group "No longer active"),
    with ``error`` saying so. ``price_minor`` is the usual price, ``uses`` the sales of the last 90 days.
    ``waiting`` payments of ``waiting_minor`` in ``currency`` hang on this row. ``suggestion`` is a likely account that
    is offered, never chosen. ``set_by`` reads after "by" ("you", a name); ``saved`` marks the row just saved.
    """

    id: str
    name: str
    currency: str
    account_id: str = ""
    tax_code_id: str = ""
    price_minor: int | None = None
    source: str = ""
    uses: int = 0
    waiting: int = 0
    waiting_minor: int = 0
    suggestion: Choice | None = None
    error: str = ""
    version: int = 0
    set_by: str = ""
    set_at: datetime | None = None
    saved: bool = False
    is_default: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleField:
    """One account used by every entry: ``key`` is the name of the form field ("clearing").

    ``create_label`` ("Create “Stripe clearing”") adds an option whose value is "create".
    """

    key: str
    label: str
    hint: str
    groups: tuple[ChoiceGroup, ...]
    value: str = ""
    empty_label: str = "Choose an account"
    create_label: str = ""
    error: str = ""
    saved: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MappingView:
    """The whole page. ``books_name`` is "" while no books are connected: then there is nothing to choose from.

    ``rows`` are sorted by money, those without an account first; ``default`` is the row "Anything else".
    ``unmapped`` counts services that have no account of their own and inherit none.
    """

    books_name: str
    rows: tuple[MappingRow, ...] = ()
    default: MappingRow | None = None
    account_groups: tuple[ChoiceGroup, ...] = ()
    tax_codes: tuple[Choice, ...] = ()
    roles: tuple[RoleField, ...] = ()
    unmapped: int = 0
    waiting: int = 0
    waiting_minor: int = 0
    currency: str = "USD"
    fetched_at: datetime | None = None
    first_day: date | None = None

    @property
    def inherits(self) -> bool:
        """Whether a row without an account follows "Anything else"."""
        return self.default is not None and bool(self.default.account_id)
