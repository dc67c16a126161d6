"""How the registry reaches the practice books. They need no consent: only a file from the settings."""

from core.accounting.mock.adapter import MockAccountingAdapter
from core.accounting.mock.books import MockBooks
from core.accounting.port import AccountingProvider, Company
from core.accounting.settings import ProviderSettings
from core.errors import ConfigurationError
from core.oauth import OAuthFlow
from core.outgoing import Outgoing


def open_books(
    *, outgoing: Outgoing, settings: ProviderSettings, access_token: str, company: Company
) -> AccountingProvider:
    """Open the file, and start the company's books in it where there are none."""
    del outgoing, access_token
    if not settings.data_path:
        raise ConfigurationError("the practice books need a file: data_path is empty")
    return MockAccountingAdapter(MockBooks(settings.data_path, company), company)


def oauth_flow(outgoing: Outgoing, settings: ProviderSettings) -> OAuthFlow:
    """There is none.

    Raises:
        ConfigurationError: always.
    """
    del outgoing, settings
    raise ConfigurationError("the practice books are opened without consent")
