"""How the registry reaches QuickBooks."""

from core.accounting.port import AccountingProvider, Company
from core.accounting.quickbooks.adapter import QuickBooksAdapter
from core.accounting.quickbooks.client import QuickBooksClient
from core.accounting.quickbooks.oauth import QuickBooksOAuth
from core.accounting.settings import ProviderSettings
from core.oauth import OAuthFlow
from core.outgoing import Outgoing


def open_books(
    *, outgoing: Outgoing, settings: ProviderSettings, access_token: str, company: Company
) -> AccountingProvider:
    """Bind the adapter to one company and token."""
    client = QuickBooksClient(
        outgoing, api_base=settings.api_base, access_token=access_token, realm_id=company.external_id
    )
    return QuickBooksAdapter(client, app_base=settings.app_base, of=company)


def oauth_flow(outgoing: Outgoing, settings: ProviderSettings) -> OAuthFlow:
    """Return Intuit's consent flow."""
    return QuickBooksOAuth(outgoing, settings)
