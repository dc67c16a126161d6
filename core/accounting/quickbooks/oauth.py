"""Consent at Intuit: scopes, Basic authentication, and who was connected.

Intuit documents no PKCE; ``state`` bound to the session is the wall there. The company's id comes only with the
callback, which the person can edit, so it counts only after that company answered to the new token.
"""

import base64
from collections.abc import Mapping, Sequence

import msgspec
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri

from core.accounting.quickbooks.client import QuickBooksClient, is_realm
from core.accounting.quickbooks.company import read_company
from core.accounting.settings import ProviderSettings
from core.errors import (
    AccessExpiredError,
    InputError,
    ProviderRejectedError,
    ProviderUnavailableError,
    RateLimitedError,
)
from core.oauth import Identity, TokenSet, token_call
from core.outgoing import Outgoing, host_of

SCOPE = "com.intuit.quickbooks.accounting"
"""Read and write of the books, indivisible; nothing else is asked for."""

PRODUCTION_HOST = "quickbooks.api.intuit.com"


class QuickBooksOAuth:
    """Intuit's consent flow."""

    uses_pkce = False

    def __init__(self, outgoing: Outgoing, settings: ProviderSettings) -> None:
        self._outgoing = outgoing
        self._settings = settings

    def authorize_url(self, *, state: str, redirect_uri: str, code_challenge: str | None) -> str:
        """Return the address of Intuit's consent page."""
        return str(
            prepare_grant_uri(
                self._settings.authorize_url,
                self._settings.client_id,
                "code",
                redirect_uri=redirect_uri,
                scope=SCOPE,
                state=state,
            )
        )

    async def exchange(self, *, code: str, redirect_uri: str, code_verifier: str | None) -> TokenSet:
        """Turn the code into tokens. Sent once: a second use of a code ends the connection."""
        return await token_call(
            self._outgoing,
            self._settings.token_url,
            headers=self._headers(),
            rotates=True,
            grant_type="authorization_code",
            code=code,
            redirect_uri=redirect_uri,
        )

    async def refresh(self, refresh_token: str) -> TokenSet:
        """Get fresh tokens. The refresh token of the answer replaces the old one, which may be dead at once."""
        return await token_call(
            self._outgoing,
            self._settings.token_url,
            headers=self._headers(),
            rotates=True,
            grant_type="refresh_token",
            refresh_token=refresh_token,
        )

    async def revoke(
        self,
        *,
        access_token: str,
        refresh_token: str | None,
        external_id: str,
        options: Mapping[str, str] | None = None,
    ) -> None:
        """End the connection; either token does. A token that Intuit no longer knows is as good as revoked."""
        answer = await self._outgoing.send(
            "POST",
            self._settings.revoke_url,
            headers={**self._headers(), "Content-Type": "application/json", "Accept": "application/json"},
            content=msgspec.json.encode({"token": refresh_token or access_token}),
        )
        if answer.status == 429:
            raise RateLimitedError("revocation: too many requests", status=429)
        if answer.status not in (200, 204, 400):
            raise ProviderUnavailableError("revocation was not accepted", status=answer.status)

    async def identify(self, tokens: TokenSet, callback: Mapping[str, str]) -> Sequence[Identity]:
        """Ask the company of the callback for its name with the new token.

        Raises:
            InputError: the callback names no company, or one that this token does not open. Store nothing.
        """
        realm_id = callback.get("realmId", "")
        if not is_realm(realm_id):
            raise InputError("QuickBooks sent us back without a company. Start again from Connections.")
        client = QuickBooksClient(
            self._outgoing,
            api_base=self._settings.api_base,
            access_token=tokens.access_token,
            realm_id=realm_id,
        )
        try:
            company = await read_company(client, realm_id)
        except (AccessExpiredError, ProviderRejectedError) as exc:
            raise InputError(
                "QuickBooks did not confirm that you may open this company. Connect again as one of its administrators."
            ) from exc
        return [
            Identity(
                external_id=company.external_id,
                name=company.name,
                country=company.country,
                currency=company.home_currency,
                is_test_mode=host_of(self._settings.api_base) != PRODUCTION_HOST,
                options=company.options,
            )
        ]

    def _headers(self) -> dict[str, str]:
        pair = f"{self._settings.client_id}:{self._settings.client_secret}".encode()
        return {
            "Authorization": f"Basic {base64.b64encode(pair).decode()}",
            # Asks for the end of the consent (five years), so that people can be told in time.
            "x-include-refresh-token-hard-expires-in": "true",
        }
