"""Xero's identity: codes that work once, half-hour tokens, refresh tokens that rotate with half an hour of grace.

A token belongs to a person, not to an organisation; which organisations it reaches is kept as connections beside it.
"""

import base64
import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import msgspec

CODE_LIFE = timedelta(minutes=5)
ACCESS_LIFE = timedelta(minutes=30)
REFRESH_LIFE = timedelta(days=60)
GRACE = timedelta(minutes=30)


class TokenRefused(Exception):  # noqa: N818 - reads as what happened
    """An OAuth error answer: its code and nothing more."""

    def __init__(self, error: str, status: int = 400) -> None:
        super().__init__(error)
        self.error = error
        self.status = status


@dataclass
class User:
    """A person who signs in to Xero."""

    id: str
    email: str
    given_name: str = "Sam"
    family_name: str = "Owner"


@dataclass
class Connection:
    """One organisation that a person opened to an app."""

    id: str
    client_id: str
    user_id: str
    tenant_id: str
    auth_event_id: str
    """Of the first consent; a later one does not change it."""
    created: datetime
    updated: datetime


@dataclass
class Code:
    """An authorization code on its way through the browser."""

    client_id: str
    user: User
    redirect_uri: str
    scope: str
    auth_event_id: str
    challenge: str
    nonce: str
    expires: datetime
    is_used: bool = False


@dataclass
class RefreshToken:
    """One refresh token; ``superseded`` since its grace runs."""

    value: str
    grant: "Grant"
    issued: datetime
    superseded: datetime | None = None


@dataclass
class Grant:
    """All that one consent gave out."""

    client_id: str
    user: User
    scope: str
    auth_event_id: str
    nonce: str = ""
    is_ended: bool = False
    tokens: list[RefreshToken] = field(default_factory=list)


@dataclass
class Access:
    """A bearer token."""

    grant: Grant
    scopes: frozenset[str]
    ends: datetime


@dataclass
class Office:
    """Users, consents, tokens and connections. ``new_token`` and ``new_id`` are the only sources of chance."""

    new_token: Callable[[str, int], str]
    new_id: Callable[[], str]
    issuer: str
    new_consent_ends_older: bool = False
    """A second consent of the same person ends the refresh tokens of the first; nobody knows whether it does."""
    users: dict[str, User] = field(default_factory=dict)
    connections: dict[str, Connection] = field(default_factory=dict)
    codes: dict[str, Code] = field(default_factory=dict)
    _refresh: dict[str, RefreshToken] = field(default_factory=dict)
    _access: dict[str, Access] = field(default_factory=dict)
    _secret: bytes = b"sandbox"

    def user(self, email: str) -> User:
        """Find or make a person by e-mail address."""
        email = email.strip().lower()
        found = next((user for user in self.users.values() if user.email == email), None)
        if found is None:
            found = User(self.new_id(), email)
            self.users[found.id] = found
        return found

    def connect(self, client_id: str, user: User, tenant_ids: list[str], auth_event_id: str, now: datetime) -> None:
        for tenant_id in tenant_ids:
            known = self.connection(client_id, user.id, tenant_id)
            if known is None:
                made = Connection(self.new_id(), client_id, user.id, tenant_id, auth_event_id, now, now)
                self.connections[made.id] = made
            else:
                known.updated = now

    def connection(self, client_id: str, user_id: str, tenant_id: str) -> Connection | None:
        wanted = (client_id, user_id, tenant_id)
        held = self.connections.values()
        return next((c for c in held if (c.client_id, c.user_id, c.tenant_id) == wanted), None)

    def issue_code(self, code: Code) -> str:
        value = self.new_token("", 43)
        self.codes[value] = code
        return value

    def redeem(self, client_id: str, value: str, redirect_uri: str, verifier: str, now: datetime) -> Grant:
        code = self.codes.get(value)
        if code is None or code.client_id != client_id or code.is_used or now > code.expires:
            raise TokenRefused("invalid_grant")
        if code.redirect_uri != redirect_uri or not _proves(code.challenge, verifier):
            raise TokenRefused("invalid_grant")
        code.is_used = True
        if self.new_consent_ends_older:
            self._end_grants(client_id, code.user.id)
        return Grant(client_id, code.user, code.scope, code.auth_event_id, code.nonce)

    def refresh(self, client_id: str, value: str, now: datetime) -> Grant:
        """Check a refresh token; the token that follows supersedes every other one of its grant."""
        token = self._refresh.get(value)
        if token is None or token.grant.client_id != client_id or token.grant.is_ended:
            raise TokenRefused("invalid_grant")
        if now > token.issued + REFRESH_LIFE:
            raise TokenRefused("invalid_grant")
        if token.superseded is not None and now > token.superseded + GRACE:
            raise TokenRefused("invalid_grant")
        return token.grant

    def answer(self, grant: Grant, now: datetime) -> dict[str, Any]:
        """A new set of tokens."""
        scopes = grant.scope.split()
        body: dict[str, Any] = {}
        if "openid" in scopes:
            body["id_token"] = self._id_token(grant, now)
        body["access_token"] = self._issue_access(grant, scopes, now)
        body |= {"expires_in": int(ACCESS_LIFE.total_seconds()), "token_type": "Bearer"}
        if "offline_access" in scopes:
            body["refresh_token"] = self._issue_refresh(grant, now)
        return {**body, "scope": grant.scope}

    def find_access(self, value: str) -> Access | None:
        """The token, whether it is still alive or not."""
        return self._access.get(value)

    def revoke(self, client_id: str, value: str) -> None:
        """End everything of this person with this app; an unknown token is no error."""
        token = self._refresh.get(value)
        if token is None or token.grant.client_id != client_id:
            return
        self._end_grants(client_id, token.grant.user.id)
        gone = [c for c in self.connections.values() if (c.client_id, c.user_id) == (client_id, token.grant.user.id)]
        for connection in gone:
            del self.connections[connection.id]

    def disconnect(self, tenant_id: str) -> int:
        """What the owner does inside Xero: the tokens live on, the organisation is out of reach."""
        gone = [c for c in self.connections.values() if c.tenant_id == tenant_id]
        for connection in gone:
            del self.connections[connection.id]
        return len(gone)

    def expire(self, now: datetime, *, refresh: bool) -> int:
        """Let all access tokens (and refresh tokens, when asked) have run out."""
        alive = [access for access in self._access.values() if access.ends > now]
        for access in alive:
            access.ends = now
        if refresh:
            for token in self._refresh.values():
                token.issued = now - REFRESH_LIFE - timedelta(seconds=1)
        return len(alive)

    def _end_grants(self, client_id: str, user_id: str) -> None:
        for token in self._refresh.values():
            if (token.grant.client_id, token.grant.user.id) == (client_id, user_id):
                token.grant.is_ended = True

    def _issue_refresh(self, grant: Grant, now: datetime) -> str:
        for token in grant.tokens:
            token.superseded = token.superseded or now
        made = RefreshToken(self.new_token("", 43), grant, now)
        grant.tokens.append(made)
        self._refresh[made.value] = made
        return made.value

    def _issue_access(self, grant: Grant, scopes: list[str], now: datetime) -> str:
        ends = now + ACCESS_LIFE
        claims = {
            **self._claims(now, ends),
            "aud": f"{self.issuer}/resources",
            "client_id": grant.client_id,
            "sub": grant.user.id.replace("-", ""),
            "auth_time": int(now.timestamp()),
            "xero_userid": grant.user.id,
            "global_session_id": self.new_id().replace("-", ""),
            "jti": self.new_id().replace("-", "").upper(),
            "authentication_event_id": grant.auth_event_id,
            "scope": [scope for scope in scopes if scope not in ("openid", "profile", "email")],
            "amr": ["pwd"],
        }
        token = self._signed(claims)
        self._access[token] = Access(grant, frozenset(scopes), ends)
        return token

    def _id_token(self, grant: Grant, now: datetime) -> str:
        user, scopes = grant.user, grant.scope.split()
        claims = {
            **self._claims(now, now + timedelta(minutes=5)),
            "aud": grant.client_id,
            "sub": user.id.replace("-", ""),
            "auth_time": int(now.timestamp()),
            "xero_userid": user.id,
            "global_session_id": self.new_id().replace("-", ""),
        }
        if grant.nonce:
            claims["nonce"] = grant.nonce
        if "email" in scopes:
            claims["email"] = user.email
        if "profile" in scopes:
            claims |= {"given_name": user.given_name, "family_name": user.family_name, "preferred_username": user.email}
        return self._signed(claims)

    def _claims(self, now: datetime, ends: datetime) -> dict[str, Any]:
        return {"iss": self.issuer, "nbf": int(now.timestamp()), "exp": int(ends.timestamp())}

    def _signed(self, claims: dict[str, Any]) -> str:
        head = _b64(msgspec.json.encode({"alg": "HS256", "kid": "sandbox", "typ": "JWT"}))
        body = f"{head}.{_b64(msgspec.json.encode(claims))}"
        return f"{body}.{_b64(hmac.digest(self._secret, body.encode(), 'sha256'))}"


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _proves(challenge: str, verifier: str) -> bool:
    """PKCE is optional, but what was begun with it must be ended with it."""
    if not challenge or not verifier:
        return challenge == verifier
    return hmac.compare_digest(challenge, _b64(hashlib.sha256(verifier.encode()).digest()))


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
