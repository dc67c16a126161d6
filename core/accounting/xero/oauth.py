"""Consent at Xero: scopes, PKCE, which organisation was connected, and how one connection ends.

A token is a person's, not an organisation's: it opens every organisation that this person ever connected to our app,
for whichever workspace. So the organisation is asked for, chosen where there are several, and named in each call.
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import msgspec
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri

from core.accounting.settings import ProviderSettings
from core.accounting.xero.client import XeroClient, is_guid
from core.accounting.xero.faults import correlation_id, error_for
from core.accounting.xero.organisation import CONNECTION_ID, read_organisation
from core.errors import (
    AccessExpiredError,
    InputError,
    OutcomeUnknownError,
    ProviderRejectedError,
    ProviderUnavailableError,
    ReconnectRequiredError,
)
from core.oauth import CHOSEN, Identity, TokenSet, token_call
from core.outgoing import Answer, Outgoing, host_of

SCOPE = (
    "offline_access accounting.invoices accounting.payments accounting.banktransactions accounting.contacts "
    "accounting.settings accounting.reports.trialbalance.read"
)
"""What we post, the contacts that it needs, and the accounts: read, and created when a person asks for it. The trial
balance is the proof: what the clearing account holds by Xero itself, beside what Stripe holds.

No OpenID scope: a connection is never a login (O3), and we need nothing of the person.
"""

PRODUCTION_HOST = "api.xero.com"
MAX_ORGANISATIONS = 500
"""More than any plan of Xero's lets one person connect without talking to Xero first."""


class XeroConnection(msgspec.Struct, frozen=True, rename="camel"):
    """One organisation that the person has connected to our app; ``id`` is the connection's own."""

    id: str
    tenant_id: str
    tenant_type: str = ""
    tenant_name: str | None = None


class XeroOAuth:
    """Xero's consent flow. A secret is sent as well as the verifier: Xero takes both from a web app."""

    uses_pkce = True

    def __init__(self, outgoing: Outgoing, settings: ProviderSettings) -> None:
        self._outgoing = outgoing
        self._settings = settings

    def authorize_url(self, *, state: str, redirect_uri: str, code_challenge: str | None) -> str:
        """Return the address of Xero's consent page."""
        challenge = {"code_challenge": code_challenge, "code_challenge_method": "S256"} if code_challenge else {}
        return str(
            prepare_grant_uri(
                self._settings.authorize_url,
                self._settings.client_id,
                "code",
                redirect_uri=redirect_uri,
                scope=SCOPE,
                state=state,
                **challenge,
            )
        )

    async def exchange(self, *, code: str, redirect_uri: str, code_verifier: str | None) -> TokenSet:
        """Turn the code into tokens."""
        verifier = {"code_verifier": code_verifier} if code_verifier else {}
        return await self._token(grant_type="authorization_code", code=code, redirect_uri=redirect_uri, **verifier)

    async def refresh(self, refresh_token: str) -> TokenSet:
        """Get fresh tokens. Both are new; the old refresh token works for another half hour if the answer was lost."""
        return await self._token(grant_type="refresh_token", refresh_token=refresh_token)

    async def revoke(
        self,
        *,
        access_token: str,
        refresh_token: str | None,
        external_id: str,
        options: Mapping[str, str] | None = None,
    ) -> None:
        """End this one connection. Never the token: that would end the same person's other workspaces as well (O9).

        Raises:
            ReconnectRequiredError: the grant has ended already, so the connection can no longer be ended from here.
            ProviderError: Xero did not confirm.
        """
        connection_id = (options or {}).get(CONNECTION_ID) or await self._find(access_token, refresh_token, external_id)
        if not connection_id:
            return
        if not is_guid(connection_id):
            raise InputError("the stored connection has no id of Xero's form")
        await self._with_token("DELETE", f"/connections/{connection_id}", access_token, refresh_token)

    async def identify(self, tokens: TokenSet, callback: Mapping[str, str]) -> Sequence[Identity]:
        """Ask Xero which organisations this consent opened.

        One: its name, country and currency are asked for. Several: only their names are known; the caller comes back
        with the id of one of them as ``CHOSEN``.

        Raises:
            InputError: none, or one that this token does not open. Store nothing.
        """
        try:
            rows = await self._consented(tokens)
            chosen = callback.get(CHOSEN)
            if chosen is not None:
                rows = [row for row in rows if row.tenant_id == chosen]
            if not rows:
                raise InputError("Xero sent us back without an organisation. Start again from Connections.")
            if len(rows) == 1:
                return [await self._described(rows[0], tokens)]
        except (AccessExpiredError, ReconnectRequiredError, ProviderRejectedError) as exc:
            raise InputError(
                "Xero did not confirm that you may open this organisation. Connect again as one of its users."
            ) from exc
        return [_light(row) for row in rows]

    async def _consented(self, tokens: TokenSet) -> list[XeroConnection]:
        """Organisations of this very consent.

        One that was connected before keeps the mark of its first consent, so that an empty list means: one of those.
        """
        event_id = _event_id(tokens.access_token)
        if event_id:
            rows = await self._connections(tokens.access_token, f"?{urlencode({'authEventId': event_id})}")
            if rows:
                return rows
        return await self._connections(tokens.access_token, "")

    async def _connections(self, access_token: str, query: str) -> list[XeroConnection]:
        return _read_connections(await self._call("GET", f"/connections{query}", access_token))

    async def _described(self, row: XeroConnection, tokens: TokenSet) -> Identity:
        client = XeroClient(
            self._outgoing,
            api_base=self._settings.api_base,
            access_token=tokens.access_token,
            tenant_id=row.tenant_id,
        )
        company = await read_organisation(client, row.tenant_id)
        is_demo = company.options["is_demo"] == "true"
        return Identity(
            external_id=company.external_id,
            name=company.name or row.tenant_name or "",
            country=company.country,
            currency=company.home_currency,
            is_test_mode=is_demo or host_of(self._settings.api_base) != PRODUCTION_HOST,
            options={**company.options, CONNECTION_ID: row.id},
        )

    async def _find(self, access_token: str, refresh_token: str | None, external_id: str) -> str | None:
        answer = await self._with_token("GET", "/connections", access_token, refresh_token)
        return next((row.id for row in _read_connections(answer) if row.tenant_id == external_id), None)

    async def _with_token(self, method: str, path: str, access_token: str, refresh_token: str | None) -> Answer:
        """Call; an access token lives half an hour, so a refused one is renewed once."""
        try:
            return await self._call(method, path, access_token)
        except AccessExpiredError:
            if refresh_token is None:
                raise
        fresh = await self.refresh(refresh_token)
        return await self._call(method, path, fresh.access_token)

    async def _call(self, method: str, path: str, access_token: str) -> Answer:
        headers = {"Authorization": f"Bearer {access_token}", "Accept": "application/json"}
        answer = await self._outgoing.send(method, f"{self._settings.api_base}{path}", headers=headers)
        is_gone = method == "DELETE" and answer.status == 404
        if answer.status not in (200, 204) and not is_gone:
            raise error_for(answer, is_write=False)
        return answer

    async def _token(self, **fields: Any) -> TokenSet:
        pair = f"{self._settings.client_id}:{self._settings.client_secret}".encode()
        headers = {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
        return await token_call(self._outgoing, self._settings.token_url, headers=headers, rotates=True, **fields)


def _read_connections(answer: Answer) -> list[XeroConnection]:
    try:
        rows = msgspec.json.decode(answer.body, type=list[XeroConnection])
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as exc:
        raise ProviderUnavailableError(
            "Xero answered without readable connections", request_id=correlation_id(answer), status=answer.status
        ) from exc
    usable = [row for row in rows if row.tenant_type == "ORGANISATION" and is_guid(row.tenant_id) and is_guid(row.id)]
    if len(usable) > MAX_ORGANISATIONS:
        raise OutcomeUnknownError("Xero named more organisations than one person has", answered=True)
    return usable


def _light(row: XeroConnection) -> Identity:
    return Identity(
        external_id=row.tenant_id,
        name=row.tenant_name or "Organisation without a name",
        country="",
        currency="",
        is_test_mode=False,
        options={},
    )


def _event_id(access_token: str) -> str:
    """Return the consent that the token was given in, from the token itself; empty when it does not say.

    The token came from Xero over TLS a moment ago, and the claim only narrows a list that Xero gives for this very
    token. So its signature is not checked.
    """
    parts = access_token.split(".")
    if len(parts) != 3:
        return ""
    try:
        padded = parts[1] + "=" * (-len(parts[1]) % 4)
        claims = msgspec.json.decode(base64.urlsafe_b64decode(padded))
    except (ValueError, binascii.Error, msgspec.MsgspecError, RecursionError):
        return ""
    event_id = claims.get("authentication_event_id") if isinstance(claims, dict) else None
    return event_id if isinstance(event_id, str) and is_guid(event_id) else ""
