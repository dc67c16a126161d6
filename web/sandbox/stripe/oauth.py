"""Consent and tokens, for both flows: Connect (Standard accounts) and Stripe Apps."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from web.sandbox.stripe import businesses
from web.sandbox.stripe.errors import OAuthError
from web.sandbox.stripe.events import emit
from web.sandbox.stripe.shapes import application
from web.sandbox.stripe.world import Grant, Json, World

CODE_LIFE_S = 300
APP_TOKEN_LIFE_S = 3600


@dataclass
class Code:
    """An authorization code."""

    account: str
    flow: str
    at: float
    used: bool = False


@dataclass(frozen=True)
class Ask:
    """What the application asks for on the consent page."""

    flow: str
    client_id: str
    redirect_uri: str
    state: str
    scope: str


class OAuth:
    """The authorization server of one stand-in."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._codes: dict[str, Code] = {}

    def read_ask(self, flow: str, params: Mapping[str, str]) -> Ask:
        """Check what came to the authorize page.

        Raises:
            OAuthError: shown as a page, since nobody can be redirected safely.
        """
        ask = Ask(
            flow=flow,
            client_id=params.get("client_id", ""),
            redirect_uri=params.get("redirect_uri", ""),
            state=params.get("state", ""),
            # Connect asks for reading only when nothing is said, and that is refused below.
            scope=params.get("scope") or ("read_only" if flow == "connect" else "stripe_apps"),
        )
        settings = self._world.settings
        if ask.client_id != settings.stripe_client_id:
            message = f"No application matches the supplied client identifier: {ask.client_id or '(none)'}"
            raise OAuthError("invalid_client", message)
        allowed = settings.stripe_redirect_uris
        if not ask.redirect_uri.startswith(("http://", "https://")) or (allowed and ask.redirect_uri not in allowed):
            message = "Invalid redirect URI. Ensure this URI exactly matches one of the URIs of the application."
            raise OAuthError("invalid_redirect_uri", message)
        if flow == "connect":
            if params.get("response_type") != "code":
                message = "response_type must be code"
                raise OAuthError("unsupported_response_type", message)
            if ask.scope != "read_write":
                message = "Standard accounts can only be connected with the scope read_write."
                raise OAuthError("invalid_scope", message)
        return ask

    def allow(self, ask: Ask, account_id: str) -> str:
        """The business said yes; returns where to send the browser.

        Raises:
            OAuthError: shown as a page, for an account that another platform controls (Connect only).
        """
        account = self._world.accounts.get(account_id)
        if account is None:
            message = "That business does not exist here."
            raise OAuthError("invalid_request", message)
        if ask.flow == "connect" and account.platform_controlled:
            message = "This account is controlled by another platform and cannot be connected with read_write access."
            raise OAuthError("access_denied", message, status=403)
        code = self._world.new_id("ac_", 32)
        self._codes[code] = Code(account_id, ask.flow, self._world.clock.timestamp())
        answer = {"code": code, "state": ask.state}
        if ask.flow == "connect":
            answer["scope"] = ask.scope
        else:
            answer.update(account_id=account_id, user_id=self._world.new_id("usr_", 14))
        return _with_query(ask.redirect_uri, answer)

    def refuse(self, ask: Ask) -> str:
        """The business said no."""
        answer = {"error": "access_denied", "error_description": "The user denied your request", "state": ask.state}
        return _with_query(ask.redirect_uri, answer)

    def token(self, flow: str, params: Mapping[str, str], secret: str | None) -> Json:
        """The token endpoint."""
        self._require_platform(secret or params.get("client_secret"))
        match params.get("grant_type"):
            case "authorization_code":
                return self._tokens(flow, self._take_code(flow, params.get("code")))
            case "refresh_token":
                return self._tokens(flow, self._grant_of_refresh(flow, params.get("refresh_token")))
            case None | "":
                message = "No grant type specified"
                raise OAuthError("invalid_request", message)
            case other:
                raise OAuthError("unsupported_grant_type", f"Unsupported grant type: {other}")

    def deauthorize(self, params: Mapping[str, str], secret: str | None) -> Json:
        """Connect's way to end a grant from the platform's side."""
        self._require_platform(secret or params.get("client_secret"))
        if params.get("client_id") != self._world.settings.stripe_client_id:
            message = f"No application matches the supplied client identifier: {params.get('client_id')}"
            raise OAuthError("invalid_client", message, status=401)
        account_id = params.get("stripe_user_id", "")
        account = self._world.accounts.get(account_id)
        if account is None or not businesses.revoke(self._world, account, flow="connect"):
            message = (
                f"This application is not connected to stripe account {account_id}, or that account does not exist."
            )
            raise OAuthError("invalid_client", message, status=401)
        return {"stripe_user_id": account_id}

    def _take_code(self, flow: str, value: str | None) -> Grant:
        code = self._codes.get(value or "")
        if code is None or code.flow != flow:
            raise OAuthError("invalid_grant", f"Authorization code does not exist: {value}")
        if code.used:
            raise OAuthError("invalid_grant", f"This authorization code has already been used: {value}")
        if code.at + CODE_LIFE_S < self._world.clock.timestamp():
            raise OAuthError("invalid_grant", f"Authorization code expired: {value}")
        code.used = True
        account = self._world.accounts[code.account]
        known = any(g.account == account.id and g.flow == flow and g.active for g in self._world.grants)
        held = businesses.grant(self._world, account, flow)
        if not known:
            body = application(self._world.settings.stripe_client_id, "Tieout")
            emit(self._world, account, "account.application.authorized", body)
        return held

    def _grant_of_refresh(self, flow: str, value: str | None) -> Grant:
        for held in self._world.grants:
            if held.active and held.flow == flow and value and held.refresh_token == value:
                return held
        raise OAuthError("invalid_grant", f"Refresh token does not exist: {value}")

    def _tokens(self, flow: str, held: Grant) -> Json:
        before = held.refresh_token
        expires_in = APP_TOKEN_LIFE_S if flow == "app" else None
        access, refresh = businesses.issue_token(self._world, held, expires_in=expires_in)
        if flow == "connect" and before:
            # Only app tokens roll.
            held.refresh_token = refresh = before
        return {
            "access_token": access,
            "livemode": False,
            "refresh_token": refresh,
            "token_type": "bearer",
            "stripe_publishable_key": "pk_test_" + held.account[-16:],
            "stripe_user_id": held.account,
            "scope": "read_write" if flow == "connect" else "stripe_apps",
        }

    def _require_platform(self, secret: str | None) -> None:
        if not secret:
            message = "No API key provided: use your secret key as a bearer token, or the client_secret parameter."
            raise OAuthError("invalid_request", message, status=401)
        if secret != self._world.settings.stripe_platform_key:
            message = "Invalid API Key provided."
            raise OAuthError("invalid_client", message, status=401)


def _with_query(url: str, params: Mapping[str, str]) -> str:
    separator = "&" if "?" in url else "?"
    return url + separator + urlencode({name: value for name, value in params.items() if value})
