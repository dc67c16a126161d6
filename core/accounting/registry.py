"""The only place that knows which providers there are. Everything else asks here by name."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from core.accounting.mock import connect as mock
from core.accounting.port import AccountingProvider, Company
from core.accounting.quickbooks import connect as quickbooks
from core.accounting.settings import ProviderSettings
from core.accounting.xero import connect as xero
from core.errors import NotFoundError
from core.oauth import OAuthFlow
from core.outgoing import Outgoing


class OpenBooks(Protocol):
    """Binds an adapter to one connection."""

    def __call__(
        self, *, outgoing: Outgoing, settings: ProviderSettings, access_token: str, company: Company
    ) -> AccountingProvider:
        """Return the opened books. Does no call."""
        ...


@dataclass(frozen=True, slots=True)
class Provider:
    """One provider: its stored name, its name for people, and how to reach it.

    Attributes:
        kind: stored with connections; never renamed.
        display_name: for people, e.g. "QuickBooks".
        uses_oauth: whether a person consents at the provider; otherwise the books open without a token.
        open: binds an adapter to a token and a company.
        oauth: makes the consent flow; raises ``ConfigurationError`` where there is none.
        keeps_currencies: whether its books can hold sales in other currencies than their own, if the owner wants it.
    """

    kind: str
    display_name: str
    uses_oauth: bool
    open: OpenBooks
    oauth: Callable[[Outgoing, ProviderSettings], OAuthFlow]
    keeps_currencies: bool = True


_PROVIDERS = {
    provider.kind: provider
    for provider in (
        Provider("quickbooks", "QuickBooks", True, quickbooks.open_books, quickbooks.oauth_flow),
        Provider("xero", "Xero", True, xero.open_books, xero.oauth_flow),
        Provider("mock", "Practice books", False, mock.open_books, mock.oauth_flow, keeps_currencies=False),
    )
}


def get(kind: str) -> Provider:
    """Return the provider called ``kind``.

    Raises:
        NotFoundError: if there is none.
    """
    provider = _PROVIDERS.get(kind)
    if provider is None:
        raise NotFoundError("no such accounting provider")
    return provider


def every() -> tuple[Provider, ...]:
    """Return all providers, in the order in which the pages offer them."""
    return tuple(_PROVIDERS.values())
