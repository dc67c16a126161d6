"""OAuth2 as Tieout speaks it: Authlib's pure helpers, our own call, and a strict reading of every token answer.

Authlib's client is not used: it stores a 429 body as a token, drops PKCE silently and checks no state. Its helpers that
build and parse are sound. The shapes here serve Stripe as well as the ledgers; they know nothing of either.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec
from authlib.oauth2.rfc6749.parameters import prepare_token_request

from core.errors import (
    OutcomeUnknownError,
    ProviderUnavailableError,
    RateLimitedError,
    ReconnectRequiredError,
)
from core.outgoing import Answer, Outgoing

CHOSEN = "chosen_company"
"""Under this name :meth:`OAuthFlow.identify` is told which company the person chose. Never from a query."""

TOKEN_TIMEOUT_S = 60.0
"""A lost answer to a refresh can cost the connection (F15), so the token endpoint is given time."""


@dataclass(frozen=True, slots=True, repr=False)
class TokenSet:
    """A validated token answer. ``expires_in_s`` is None for tokens that do not expire (Stripe Connect)."""

    access_token: str
    refresh_token: str | None
    expires_in_s: int | None
    refresh_expires_in_s: int | None
    consent_ends_in_s: int | None
    extra: Mapping[str, Any]

    def __repr__(self) -> str:
        """Never show a token (K6)."""
        return "TokenSet(***)"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who was connected, as the provider itself says (O5): its id, a name for people, mode, and what to store."""

    external_id: str
    name: str
    country: str
    currency: str
    is_test_mode: bool
    options: Mapping[str, str]


class OAuthFlow(Protocol):
    """One provider's consent flow. ``uses_pkce`` says whether a verifier is made and sent (O2)."""

    uses_pkce: bool

    def authorize_url(self, *, state: str, redirect_uri: str, code_challenge: str | None) -> str:
        """Return the address where the person consents."""
        ...

    async def exchange(self, *, code: str, redirect_uri: str, code_verifier: str | None) -> TokenSet:
        """Turn the single-use code into tokens. Sent once, never repeated."""
        ...

    async def refresh(self, refresh_token: str) -> TokenSet:
        """Get fresh tokens. Raises ``ReconnectRequiredError`` on ``invalid_grant``."""
        ...

    async def revoke(
        self,
        *,
        access_token: str,
        refresh_token: str | None,
        external_id: str,
        options: Mapping[str, str] | None = None,
    ) -> None:
        """End the grant at the provider (O9); ``options`` are those of the identity that was stored."""
        ...

    async def identify(self, tokens: TokenSet, callback: Mapping[str, str]) -> Sequence[Identity]:
        """Ask the provider who was connected; never believe the query alone (O5).

        More than one: a person must choose, and their choice comes back as ``CHOSEN``, to be confirmed the same way.
        """
        ...


async def token_call(
    outgoing: Outgoing,
    url: str,
    *,
    headers: Mapping[str, str],
    rotates: bool,
    requires_expiry: bool = True,
    grant_type: str,
    **fields: str,
) -> TokenSet:
    """POST one token request and read the answer strictly (O6).

    Args:
        outgoing: the way out.
        url: token endpoint.
        headers: provider headers, the client's authentication among them.
        rotates: whether an answer without a refresh token is junk.
        requires_expiry: whether an answer without a positive ``expires_in`` is junk.
        grant_type: ``authorization_code`` or ``refresh_token``.
        fields: further form fields.

    Raises:
        ReconnectRequiredError: 400 ``invalid_grant``.
        RateLimitedError, ProviderUnavailableError, NotSentError, OutcomeUnknownError: try again later.
    """
    body = prepare_token_request(grant_type, **fields)
    answer = await outgoing.send(
        "POST",
        url,
        headers={
            "Content-Type": "application/x-www-form-urlencoded",
            "Accept": "application/json",
            **headers,
        },
        content=body,
        read_timeout_s=TOKEN_TIMEOUT_S,
    )
    return read_token_answer(answer, rotates=rotates, requires_expiry=requires_expiry)


def read_token_answer(answer: Answer, *, rotates: bool, requires_expiry: bool = True) -> TokenSet:
    """Accept a token answer only when every needed field is there and of its type (O6)."""
    data = _json_object(answer.body)
    if answer.status == 429:
        raise RateLimitedError("token endpoint: too many requests", status=429)
    if answer.status == 400 and data.get("error") == "invalid_grant":
        raise ReconnectRequiredError("invalid_grant", status=400)
    if answer.status >= 500:
        raise ProviderUnavailableError("token endpoint is failing", status=answer.status)
    if answer.status != 200:
        # The configuration is wrong (invalid_client) or the answer is not OAuth: no verdict on the grant.
        raise ProviderUnavailableError(
            f"token endpoint refused: {_error_code(data)}", status=answer.status, retry_after_s=300
        )
    access, refresh, expires = data.get("access_token"), data.get("refresh_token"), data.get("expires_in")
    ok = isinstance(access, str) and bool(access)
    ok = ok and (isinstance(refresh, str) and bool(refresh) if rotates else refresh is None or isinstance(refresh, str))
    ok = ok and (_positive_int(expires) if requires_expiry else expires is None or _positive_int(expires))
    if not ok:
        raise OutcomeUnknownError("token endpoint answered 200 without tokens", answered=True, status=200)
    return TokenSet(
        access_token=str(access),
        refresh_token=refresh or None,
        expires_in_s=expires,
        refresh_expires_in_s=_int_or_none(data.get("x_refresh_token_expires_in")),
        consent_ends_in_s=_int_or_none(data.get("x_refresh_token_hard_expires_in")),
        extra={k: v for k, v in data.items() if k not in {"access_token", "refresh_token", "id_token"}},
    )


def _positive_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _int_or_none(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _error_code(data: Mapping[str, Any]) -> str:
    """Only the protocol's own short codes pass; free text stays out of messages and logs (O10)."""
    code = data.get("error")
    known = {
        "invalid_client",
        "invalid_request",
        "invalid_scope",
        "unauthorized_client",
        "unsupported_grant_type",
    }
    return code if isinstance(code, str) and code in known else "no known error code"


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        data = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}
