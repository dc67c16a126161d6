"""How the registry reaches Xero."""

from core.accounting.port import AccountingProvider, Company
from core.accounting.settings import ProviderSettings
from core.accounting.xero.adapter import XeroAdapter
from core.accounting.xero.client import XeroClient
from core.accounting.xero.oauth import XeroOAuth
from core.oauth import OAuthFlow
from core.outgoing import Outgoing


def open_books(
    *, outgoing: Outgoing, settings: ProviderSettings, access_token: str, company: Company
) -> AccountingProvider:
    """Bind the adapter to one organisation and token."""
    client = XeroClient(outgoing, api_base=settings.api_base, access_token=access_token, tenant_id=company.external_id)
    return XeroAdapter(client, app_base=settings.app_base, of=company)


def oauth_flow(outgoing: Outgoing, settings: ProviderSettings) -> OAuthFlow:
    """Return Xero's consent flow."""
    return XeroOAuth(outgoing, settings)
