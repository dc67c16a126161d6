"""Consent at Stripe: a Stripe App (the default) or a Connect platform. Neither documents PKCE; ``state`` is the wall.

Both are one flow with other addresses. A Stripe App's tokens live for an hour and roll at every use; a Connect token
does not expire. Both are asked for with our own secret key, whose mode must be the one that is booked.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from authlib.common.urls import add_params_to_uri

from core.clock import Runtime
from core.config import Settings
from core.errors import InputError, ProviderUnavailableError
from core.intake.stripe_client import make_stripe, stripe_errors
from core.oauth import Identity, TokenSet, token_call
from core.outgoing import Outgoing

APP_TOKEN_LIFE_S = 3600
"""Stripe documents one hour; its token answer does not say so."""

_ACCOUNT = re.compile(r"acct_[A-Za-z0-9]{1,64}")


class StripeOAuth:
    """Stripe's consent flow.

    Args:
        outgoing: the way out.
        settings: addresses, client id, our secret key and the mode that is booked.
        runtime: clock of the calls.
        is_app: a Stripe App; otherwise Connect.
    """

    uses_pkce = False

    def __init__(self, outgoing: Outgoing, settings: Settings, runtime: Runtime, *, is_app: bool) -> None:
        self._outgoing = outgoing
        self._settings = settings
        self._runtime = runtime
        self._is_app = is_app

    def authorize_url(self, *, state: str, redirect_uri: str, code_challenge: str | None) -> str:
        """Return the address where the owner of the account consents."""
        query = [("client_id", self._settings.stripe_client_id), ("redirect_uri", redirect_uri), ("state", state)]
        if not self._is_app:
            # Read-only consent exists for Extensions alone, and new ones cannot be registered.
            query += [("response_type", "code"), ("scope", "read_write")]
        return str(add_params_to_uri(self._settings.stripe_authorize_url, query))

    async def exchange(self, *, code: str, redirect_uri: str, code_verifier: str | None) -> TokenSet:
        """Turn the code into tokens."""
        return await self._token("authorization_code", code=code)

    async def refresh(self, refresh_token: str) -> TokenSet:
        """Get fresh tokens. A Stripe App's refresh token is spent by this: keep the new one before anything else."""
        return await self._token("refresh_token", refresh_token=refresh_token)

    async def revoke(
        self,
        *,
        access_token: str,
        refresh_token: str | None,
        external_id: str,
        options: Mapping[str, str] | None = None,
    ) -> None:
        """Uninstall the app from the account, or end the platform's access to it; done already is as good."""
        if self._is_app:
            await self._uninstall(external_id)
        else:
            await self._deauthorize(external_id)

    async def identify(self, tokens: TokenSet, callback: Mapping[str, str]) -> Sequence[Identity]:
        """Read account and mode from the token answer, and the account's name with the new token.

        Raises:
            InputError: it is another mode than the one that is booked, or the answers contradict each other.
        """
        account_id, is_live = tokens.extra.get("stripe_user_id"), tokens.extra.get("livemode")
        if not isinstance(account_id, str) or not _ACCOUNT.fullmatch(account_id) or not isinstance(is_live, bool):
            raise InputError("Stripe did not say whose account was connected. Nothing was changed. Please start again.")
        if is_live is not self._settings.is_live:
            raise InputError(wrong_mode(self._settings))
        identity = await read_account(self._outgoing, self._settings, self._runtime, tokens.access_token)
        if identity.external_id != account_id:
            raise InputError("Stripe did not say whose account was connected. Nothing was changed. Please start again.")
        return [identity]

    async def _token(self, grant_type: str, **fields: str) -> TokenSet:
        base = f"{self._settings.stripe_api_base}/v1" if self._is_app else self._settings.stripe_connect_base
        tokens = await token_call(
            self._outgoing,
            f"{base}/oauth/token",
            headers=self._headers(),
            rotates=self._is_app,
            requires_expiry=False,
            grant_type=grant_type,
            **fields,
        )
        if self._is_app:
            return replace(tokens, expires_in_s=tokens.expires_in_s or APP_TOKEN_LIFE_S)
        # Connect sends a refresh token as well, for scopes that we never ask for; its access token does not end.
        return replace(tokens, refresh_token=None, expires_in_s=None)

    async def _uninstall(self, account_id: str) -> None:
        ours = make_stripe(self._outgoing, self._settings, self._runtime, self._settings.stripe_secret_key)
        with stripe_errors():
            found = await ours.v1.apps.installs.list_async({"account": account_id})
            for install in found.data:
                await ours.v1.apps.installs.uninstall_async(install.id)

    async def _deauthorize(self, account_id: str) -> None:
        answer = await self._outgoing.send(
            "POST",
            f"{self._settings.stripe_connect_base}/oauth/deauthorize",
            headers={**self._headers(), "Content-Type": "application/x-www-form-urlencoded"},
            content=urlencode({"client_id": self._settings.stripe_client_id, "stripe_user_id": account_id}),
        )
        # 400 and 401 with invalid_client: this account is not, or no longer, connected to us.
        if answer.status not in (200, 400, 401):
            raise ProviderUnavailableError("deauthorization was not accepted", status=answer.status)

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._settings.stripe_secret_key}"}


async def read_account(outgoing: Outgoing, settings: Settings, runtime: Runtime, api_key: str) -> Identity:
    """Ask Stripe whose account ``api_key`` opens.

    Raises:
        AccessExpiredError, ReconnectRequiredError, ProviderUnavailableError: as every call to Stripe.
    """
    client = make_stripe(outgoing, settings, runtime, api_key)
    with stripe_errors():
        account: Any = await client.v1.accounts.retrieve_current_async()
        facts = account.to_dict()
    account_id = str(facts.get("id") or "")
    if not _ACCOUNT.fullmatch(account_id):
        raise ProviderUnavailableError("Stripe answered without an account")
    return Identity(
        external_id=account_id,
        name=_account_name(facts) or account_id,
        country=str(facts.get("country") or "")[:2].upper(),
        currency=str(facts.get("default_currency") or "")[:3].lower(),
        is_test_mode=not settings.is_live,
        options={},
    )


def wrong_mode(settings: Settings) -> str:
    """Say that the other mode was connected."""
    ours, theirs = ("live", "test") if settings.is_live else ("test", "live")
    return f"That is Stripe's {theirs} mode; this workspace books {ours} payments. Nothing was changed."


def _account_name(facts: Mapping[str, Any]) -> str:
    dashboard = (facts.get("settings") or {}).get("dashboard") or {}
    profile = facts.get("business_profile") or {}
    for name in (dashboard.get("display_name"), profile.get("name"), profile.get("url"), facts.get("email")):
        if isinstance(name, str) and name.strip():
            return name.strip()[:255]
    return ""
