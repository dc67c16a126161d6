"""OAuth as a browser and a server see it: consent page, token, revocation and discovery endpoints."""

from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec
from litestar import Request, Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.response import Redirect

from web.sandbox.html import page
from web.sandbox.quickbooks.errors import Refused
from web.sandbox.quickbooks.oauth import ACCOUNTING, HARD_LIFE, REFRESH_LIFE, Grant, TokenRefused, basic_credentials
from web.sandbox.quickbooks.seed import CURRENCIES, HOME
from web.sandbox.quickbooks.world import World

AnyRequest = Request[Any, Any, Any]
_ASKED = ("client_id", "scope", "redirect_uri", "response_type", "state")
_NO_STORE = {"cache-control": "no-store", "pragma": "no-cache"}


def oauth_routes(world: World) -> list[HTTPRouteHandler]:
    settings = world.settings

    @get("/connect/oauth2", sync_to_thread=False)
    def consent(request: AnyRequest) -> Response[str]:
        asked = {name: request.query_params.get(name, "") for name in _ASKED}
        problem = _problem(world, asked)
        return _error_page(problem) if problem else _consent_page(world, asked)

    @post("/connect/oauth2")
    async def decide(request: AnyRequest) -> Response[Any]:
        form = {key: str(value) for key, value in (await request.form()).items()}
        asked = {name: form.get(name, "") for name in _ASKED}
        problem = _problem(world, asked)
        if problem:
            return _error_page(problem)
        if form.get("decision") != "connect":
            return _back(asked, error="access_denied")
        try:
            realm_id = _chosen_realm(world, form)
        except Refused as refused:
            return _consent_page(world, asked, refused.detail)
        now = world.clock.now()
        code = world.office.issue_code(asked["client_id"], realm_id, asked["redirect_uri"], asked["scope"], now)
        return _back(asked, code=code, realmId=realm_id)

    @post("/oauth2/v1/tokens/bearer")
    async def tokens(request: AnyRequest) -> Response[Any]:
        form = {key: str(value) for key, value in (await request.form()).items()}
        client_id, secret = basic_credentials(request.headers.get("authorization"))
        if (client_id, secret) != (settings.intuit_client_id, settings.intuit_client_secret):
            return _token_error(world, TokenRefused("invalid_client", "Client authentication failed"), status=401)
        try:
            grant, access = await _grant(world, client_id, form)
        except TokenRefused as refused:
            return _token_error(world, refused)
        wants_end = request.headers.get("x-include-refresh-token-hard-expires-in", "").lower() == "true"
        return _json(world, 200, token_answer(world, grant, access, with_hard_end=wants_end))

    @post("/v2/oauth2/tokens/revoke")
    async def revoke(request: AnyRequest) -> Response[Any]:
        client_id, secret = basic_credentials(request.headers.get("authorization"))
        if (client_id, secret) != (settings.intuit_client_id, settings.intuit_client_secret):
            return _token_error(world, TokenRefused("invalid_client"), status=401)
        token = _token_of(await request.body())
        if not world.office.revoke(client_id, token):
            return _token_error(world, TokenRefused("invalid_request", "The token is unknown or already revoked"))
        return Response(b"", status_code=200, headers=_headers(world))

    @get(["/.well-known/openid_configuration", "/.well-known/openid_sandbox_configuration"], sync_to_thread=False)
    def discovery() -> Response[Any]:
        base = settings.base_url.rstrip("/")
        return _json(
            world,
            200,
            {
                "issuer": f"{base}/op/v1",
                "authorization_endpoint": f"{base}/connect/oauth2",
                "token_endpoint": f"{base}/oauth2/v1/tokens/bearer",
                "revocation_endpoint": f"{base}/v2/oauth2/tokens/revoke",
                "response_types_supported": ["code"],
                "scopes_supported": [ACCOUNTING],
                "token_endpoint_auth_methods_supported": ["client_secret_basic"],
            },
        )

    return [consent, decide, tokens, revoke, discovery]


async def _grant(world: World, client_id: str, form: dict[str, str]) -> tuple[Grant, str]:
    office, now = world.office, world.clock.now()
    match form.get("grant_type"):
        case "authorization_code":
            return office.redeem(client_id, form.get("code", ""), form.get("redirect_uri", ""), now)
        case "refresh_token":
            grant = office.find_refreshable(client_id, form.get("refresh_token", ""), now)
            grant.is_refreshing = True
            try:
                await world.clock.sleep(world.refresh_pause_s)
                return grant, office.refresh(grant, world.clock.now())
            finally:
                grant.is_refreshing = False
        case _:
            raise TokenRefused("unsupported_grant_type", "Unsupported grant type")


def token_answer(world: World, grant: Grant, access: str, *, with_hard_end: bool) -> dict[str, Any]:
    now = world.clock.now()
    body: dict[str, Any] = {
        "token_type": "bearer",
        "access_token": access,
        "expires_in": 3600,
        "refresh_token": grant.refresh_token,
        "x_refresh_token_expires_in": int(REFRESH_LIFE.total_seconds()),
    }
    if with_hard_end:
        body["x_refresh_token_hard_expires_in"] = int((grant.consented + HARD_LIFE - now).total_seconds())
    return body


def _problem(world: World, asked: dict[str, str]) -> str | None:
    """Why the consent page cannot be shown; nothing is sent back to an address that was not checked."""
    allowed = world.settings.intuit_redirect_uris
    parts = urlsplit(asked["redirect_uri"])
    is_full = parts.scheme in ("http", "https") and bool(parts.netloc) and not parts.query and not parts.fragment
    checks = (
        (asked["client_id"] == world.settings.intuit_client_id, "The client_id is not known to this sandbox."),
        (is_full, "The redirect_uri is invalid: a full address without a query string is needed."),
        (not allowed or asked["redirect_uri"] in allowed, "The redirect_uri is not registered for this app."),
        (asked["response_type"] == "code", "The response_type must be code."),
        (bool(asked["state"]), "The state parameter is required."),
        (ACCOUNTING in asked["scope"].split(), f"The scope must contain {ACCOUNTING}."),
    )
    return next((text for is_fine, text in checks if not is_fine), None)


def _chosen_realm(world: World, form: dict[str, str]) -> str:
    realm = form.get("realm", "")
    if realm == "new":
        company = world.create_company(form.get("name", ""), form.get("country", "US"), form.get("currency") or None)
        return company.realm_id
    if realm not in world.companies:
        raise Refused("2020", "Choose a company, or create a new one.")
    return realm


def _back(asked: dict[str, str], **params: str) -> Redirect:
    query = urlencode({**params, "state": asked["state"]})
    return Redirect(f"{asked['redirect_uri']}?{query}", status_code=302)


def _consent_page(world: World, asked: dict[str, str], problem: str | None = None) -> Response[str]:
    return page(
        "quickbooks_consent.html",
        status=422 if problem else 200,
        asked=asked,
        host=urlsplit(asked["redirect_uri"]).netloc,
        problem=problem,
        companies=list(world.companies.values()),
        countries=list(HOME),
        currencies=list(CURRENCIES),
    )


def _error_page(problem: str) -> Response[str]:
    return page("quickbooks_problem.html", status=400, title="Sorry, the app didn't connect", message=problem)


def _token_of(raw: bytes) -> str:
    try:
        return msgspec.convert(msgspec.json.decode(raw), dict[str, str]).get("token", "")
    except (msgspec.DecodeError, msgspec.ValidationError):
        return ""


def _token_error(world: World, refused: TokenRefused, status: int = 400) -> Response[Any]:
    body = {"error": refused.error}
    if refused.description:
        body["error_description"] = refused.description
    return _json(world, status, body)


def _json(world: World, status: int, body: dict[str, Any]) -> Response[Any]:
    return Response(
        msgspec.json.encode(body), status_code=status, media_type="application/json", headers=_headers(world)
    )


def _headers(world: World) -> dict[str, str]:
    return {"intuit_tid": world.clock.new_id("1-", 32).lower(), **_NO_STORE}
