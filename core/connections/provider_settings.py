"""From the environment to what each adapter is told."""

from core.accounting.settings import ProviderSettings
from core.config import Settings
from core.errors import NotFoundError


def provider_settings(settings: Settings, kind: str) -> ProviderSettings:
    """Return addresses and credentials of the provider called ``kind``.

    Raises:
        NotFoundError: if there is no such provider.
    """
    match kind:
        case "quickbooks":
            return ProviderSettings(
                api_base=settings.quickbooks_api_base,
                app_base=settings.quickbooks_app_base,
                client_id=settings.quickbooks_client_id,
                client_secret=settings.quickbooks_client_secret,
                authorize_url=settings.quickbooks_authorize_url,
                token_url=settings.quickbooks_token_url,
                revoke_url=settings.quickbooks_revoke_url,
            )
        case "xero":
            # No address to revoke at: that would end the same person's other workspaces as well (O9).
            return ProviderSettings(
                api_base=settings.xero_api_base,
                app_base=settings.xero_app_base,
                client_id=settings.xero_client_id,
                client_secret=settings.xero_client_secret,
                authorize_url=settings.xero_authorize_url,
                token_url=settings.xero_token_url,
            )
        case "mock":
            return ProviderSettings(data_path=settings.mock_books_path)
        case _:
            raise NotFoundError("no such accounting provider")
