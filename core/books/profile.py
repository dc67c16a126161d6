"""The connected books as the planner needs them: accounts, tax codes, who plays which role, the tenant's settings."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from core.books.documents import AccountRef
from core.books.roles import ROLE_NAMES, AccountRole, BookkeepingSettings, RoleChoice
from core.errors import StopError
from core.reasons import Reason


@dataclass(frozen=True, slots=True)
class BookAccount:
    """An account of the books as the planner needs it."""

    external_id: str
    name: str
    is_active: bool
    number: str | None = None
    is_bank: bool = False

    @property
    def label(self) -> str:
        """Number and name, as the books and the mapping page show it."""
        return f"{self.number or ''} {self.name}".strip()

    @property
    def ref(self) -> AccountRef:
        """The account as a document names it."""
        return AccountRef(self.external_id, self.label, self.is_bank, self.number)


@dataclass(frozen=True, slots=True)
class BookTaxCode:
    """A tax code of the books as the planner needs it; ``rate_ppm`` None where only the books know the rate."""

    external_id: str
    name: str
    rate_ppm: int | None
    is_active: bool
    rate_external_id: str | None = None


@dataclass(frozen=True, slots=True)
class BooksProfile:
    """The connected books: name for people, home currency, accounts, tax codes, roles, settings.

    ``categories`` are a person's answers to kinds of balance transactions that Tieout does not know, by Stripe's
    ``reporting_category``.
    """

    name: str
    home_currency: str
    accounts: Mapping[str, BookAccount]
    tax_codes: Mapping[str, BookTaxCode]
    roles: Mapping[AccountRole, RoleChoice] = field(default_factory=dict)
    settings: BookkeepingSettings = field(default_factory=BookkeepingSettings)
    categories: Mapping[str, RoleChoice] = field(default_factory=dict)

    def account(self, account_id: str, *, service: str | None = None) -> BookAccount:
        """Return an account that may be posted to.

        Raises:
            StopError: ``ACCOUNT_INACTIVE`` when it is gone or archived.
        """
        account = self.accounts.get(account_id)
        if account is None or not account.is_active:
            detail = {"account": f"“{account.name}”" if account else "The chosen account", "service": service or ""}
            raise StopError(Reason.ACCOUNT_INACTIVE, detail)
        return account

    def role(self, role: AccountRole) -> BookAccount:
        """Return the account that plays a role.

        Raises:
            StopError: ``CLEARING_NOT_CHOSEN`` or ``ROLE_NOT_CHOSEN`` when nobody chose one, ``ACCOUNT_INACTIVE``.
        """
        choice = self.roles.get(role)
        if choice is None:
            if role is AccountRole.CLEARING:
                raise StopError(Reason.CLEARING_NOT_CHOSEN)
            raise StopError(Reason.ROLE_NOT_CHOSEN, {"role": role.value, "role_name": ROLE_NAMES[role]})
        return self.account(choice.account_id)
