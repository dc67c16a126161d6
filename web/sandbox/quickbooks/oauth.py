"""Intuit's tokens: codes that work once, hour-long access tokens, refresh tokens that rotate after a day."""

import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

ACCESS_LIFE = timedelta(seconds=3600)
REFRESH_LIFE = timedelta(seconds=8_726_400)
ROTATION = timedelta(hours=24)
HARD_LIFE = timedelta(days=5 * 365)
CODE_LIFE = timedelta(minutes=5)
ACCOUNTING = "com.intuit.quickbooks.accounting"


class TokenRefused(Exception):  # noqa: N818 - reads as what happened
    """An OAuth error answer; ``error`` is its code."""

    def __init__(self, error: str, description: str = "") -> None:
        super().__init__(error)
        self.error = error
        self.description = description


@dataclass
class Code:
    """An authorization code on its way through the browser."""

    client_id: str
    realm_id: str
    redirect_uri: str
    scope: str
    expires: datetime
    grant: "Grant | None" = None


@dataclass
class Grant:
    """One consent: the current refresh token, and all that was given out under it."""

    client_id: str
    realm_id: str
    scope: str
    consented: datetime
    refresh_token: str
    refresh_issued: datetime
    refresh_used: datetime
    access_tokens: dict[str, datetime] = field(default_factory=dict)
    is_revoked: bool = False
    is_refreshing: bool = False


@dataclass
class TokenOffice:
    """All grants of all companies. ``new_token`` is the only source of chance."""

    new_token: Callable[[str, int], str]
    punish_reuse: bool = False
    """Revoke the whole grant when a rotated token or a code comes a second time, or two refreshes overlap."""
    codes: dict[str, Code] = field(default_factory=dict)
    grants: list[Grant] = field(default_factory=list)
    _by_refresh: dict[str, Grant] = field(default_factory=dict)
    _by_access: dict[str, Grant] = field(default_factory=dict)

    def issue_code(self, client_id: str, realm_id: str, redirect_uri: str, scope: str, now: datetime) -> str:
        code = self.new_token("XAB1", 46)
        self.codes[code] = Code(client_id, realm_id, redirect_uri, scope, now + CODE_LIFE)
        return code

    def redeem(self, client_id: str, value: str, redirect_uri: str, now: datetime) -> tuple[Grant, str]:
        code = self.codes.get(value)
        if code is None or code.client_id != client_id or now > code.expires:
            raise TokenRefused("invalid_grant", "Invalid authorization code")
        if code.grant is not None:
            self._punish(code.grant)
            raise TokenRefused("invalid_grant", "Authorization code was already used")
        if code.redirect_uri != redirect_uri:
            raise TokenRefused("invalid_grant", "Redirect URI does not match")
        grant = Grant(client_id, code.realm_id, code.scope, now, self.new_token("AB11", 46), now, now)
        code.grant = grant
        self.grants.append(grant)
        self._by_refresh[grant.refresh_token] = grant
        return grant, self._issue_access(grant, now)

    def find_refreshable(self, client_id: str, token: str, now: datetime) -> Grant:
        grant = self._by_refresh.get(token)
        dead = TokenRefused("invalid_grant", "Incorrect or invalid refresh token")
        if grant is None or grant.client_id != client_id or grant.is_revoked:
            raise dead
        if token != grant.refresh_token or grant.is_refreshing:
            self._punish(grant)
            raise dead
        if now > grant.refresh_used + REFRESH_LIFE or now > grant.consented + HARD_LIFE:
            raise dead
        return grant

    def refresh(self, grant: Grant, now: datetime) -> str:
        """Return a new access token; a day after the last change the refresh token changes, too."""
        if grant.is_revoked:
            raise TokenRefused("invalid_grant", "Incorrect or invalid refresh token")
        grant.refresh_used = now
        if now - grant.refresh_issued >= ROTATION:
            grant.refresh_token = self.new_token("AB11", 46)
            grant.refresh_issued = now
            self._by_refresh[grant.refresh_token] = grant
        return self._issue_access(grant, now)

    def check(self, token: str, now: datetime) -> Grant | None:
        """The grant behind a bearer token that is alive."""
        grant = self._by_access.get(token)
        if grant is None or grant.is_revoked or now >= grant.access_tokens.get(token, now):
            return None
        return grant

    def revoke(self, client_id: str, token: str) -> bool:
        """Either token ends the whole connection of this app with the company."""
        grant = self._by_refresh.get(token) or self._by_access.get(token)
        if grant is None or grant.client_id != client_id or grant.is_revoked:
            return False
        self.revoke_realm(grant.realm_id, client_id)
        return True

    def revoke_realm(self, realm_id: str, client_id: str | None = None) -> int:
        hit = [
            g for g in self.grants if g.realm_id == realm_id and client_id in (None, g.client_id) and not g.is_revoked
        ]
        for grant in hit:
            grant.is_revoked = True
        return len(hit)

    def expire(self, realm_id: str, now: datetime, *, refresh: bool = False) -> int:
        """Let all access tokens of a realm (and the refresh tokens, when asked) have run out."""
        hit = [grant for grant in self.grants if grant.realm_id == realm_id]
        for grant in hit:
            grant.access_tokens = dict.fromkeys(grant.access_tokens, now)
            if refresh:
                grant.refresh_used = now - REFRESH_LIFE - timedelta(seconds=1)
        return len(hit)

    def _issue_access(self, grant: Grant, now: datetime) -> str:
        token = self.new_token("eyJhbGciOiJkaXIiLCJlbmMiOiJBMTI4Q0JDLUhTMjU2In0..", 600)
        grant.access_tokens = {t: end for t, end in grant.access_tokens.items() if end > now}
        grant.access_tokens[token] = now + ACCESS_LIFE
        self._by_access[token] = grant
        return token

    def _punish(self, grant: Grant) -> None:
        if self.punish_reuse:
            self.revoke_realm(grant.realm_id, grant.client_id)


def basic_credentials(header: str | None) -> tuple[str, str]:
    """Client id and secret of a Basic header, or two empty strings."""
    scheme, _, value = (header or "").partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        client_id, _, secret = base64.b64decode(value, validate=True).decode().partition(":")
    except ValueError:
        return "", ""
    return client_id, secret
