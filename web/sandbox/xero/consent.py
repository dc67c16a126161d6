"""OAuth as a browser and a server see it: consent page, token, revocation, connections, discovery."""

from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec
from litestar import Request, Response, delete, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.response import Redirect

from web.sandbox.html import page
from web.sandbox.routes import ControlError
from web.sandbox.xero.errors import JSON_HEADERS, expired_detail, not_found, problem
from web.sandbox.xero.oauth import (
    CODE_LIFE,
    Access,
    Code,
    Connection,
    Grant,
    TokenRefused,
    User,
    basic_credentials,
)
from web.sandbox.xero.scopes import BROAD_SCOPES, SCOPES
from web.sandbox.xero.seed import COUNTRIES, CURRENCY_NAMES
from web.sandbox.xero.world import World

AnyRequest = Request[Any, Any, Any]
DEFAULT_USER = "owner@studio.example"
_ASKED = (
    "client_id",
    "scope",
    "redirect_uri",
    "response_type",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    "acr_values",
)
_NO_STORE = {"cache-control": "no-store, no-cache, max-age=0", "pragma": "no-cache"}
_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


def oauth_routes(world: World) -> list[HTTPRouteHandler]:
    return [*_consent_routes(world), *_token_routes(world), *_connection_routes(world)]


def _consent_routes(world: World) -> list[HTTPRouteHandler]:
    @get("/identity/connect/authorize", sync_to_thread=False)
    def consent(request: AnyRequest) -> Response[str]:
        asked = {name: request.query_params.get(name, "") for name in _ASKED}
        wrong = _problem(world, asked)
        return _error_page(wrong) if wrong else _consent_page(world, asked)

    @post("/identity/connect/authorize")
    async def decide(request: AnyRequest) -> Response[Any]:
        form = await request.form()
        asked = {name: str(form.get(name, "")) for name in _ASKED}
        wrong = _problem(world, asked)
        if wrong:
            return _error_page(wrong)
        if form.get("decision") != "allow":
            return _back(asked, error="access_denied")
        chosen = [str(value) for value in form.getall("tenant", [])]
        try:
            tenants = _chosen(world, asked, chosen, {key: str(value) for key, value in form.items()})
        except ControlError as error:
            return _consent_page(world, asked, str(error))
        user = world.office.user(str(form.get("user", "")) or DEFAULT_USER)
        return _back(asked, code=allow(world, asked, user, tenants))

    return [consent, decide]


def allow(world: World, asked: dict[str, str], user: User, tenant_ids: list[str]) -> str:
    """Connect the organisations and return the code."""
    now, event = world.clock.now(), world.new_id()
    world.office.connect(asked["client_id"], user, tenant_ids, event, now)
    code = Code(
        client_id=asked["client_id"],
        user=user,
        redirect_uri=asked["redirect_uri"],
        scope=asked["scope"],
        auth_event_id=event,
        challenge=asked.get("code_challenge", ""),
        nonce=asked.get("nonce", ""),
        expires=now + CODE_LIFE,
    )
    return world.office.issue_code(code)


def _token_routes(world: World) -> list[HTTPRouteHandler]:
    settings = world.settings

    @post("/connect/token")
    async def tokens(request: AnyRequest) -> Response[Any]:
        form = {key: str(value) for key, value in (await request.form()).items()}
        try:
            client_id = _client(world, request, form)
            grant = await _grant(world, client_id, form)
        except TokenRefused as refused:
            return _json(refused.status, {"error": refused.error})
        return _json(200, world.office.answer(grant, world.clock.now()))

    @post("/connect/revocation")
    async def revoke(request: AnyRequest) -> Response[Any]:
        form = {key: str(value) for key, value in (await request.form()).items()}
        try:
            client_id = _client(world, request, form)
        except TokenRefused as refused:
            return _json(refused.status, {"error": refused.error})
        world.office.revoke(client_id, form.get("token", ""))
        return Response(b"", status_code=200, headers=_NO_STORE)

    @get("/.well-known/openid-configuration", sync_to_thread=False)
    def discovery() -> Response[Any]:
        base = settings.base_url.rstrip("/")
        return _json(
            200,
            {
                "issuer": base,
                "authorization_endpoint": f"{base}/identity/connect/authorize",
                "token_endpoint": f"{base}/connect/token",
                "revocation_endpoint": f"{base}/connect/revocation",
                "response_types_supported": ["code"],
                "code_challenge_methods_supported": ["plain", "S256"],
                "scopes_supported": sorted(SCOPES),
                "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            },
        )

    return [tokens, revoke, discovery]


def _connection_routes(world: World) -> list[HTTPRouteHandler]:
    office = world.office

    @get("/connections", sync_to_thread=False)
    def connections(request: AnyRequest) -> Response[Any]:
        access = _bearer(world, request)
        if isinstance(access, Response):
            return access
        event = request.query_params.get("authEventId")
        held = [c for c in _held(access) if event is None or c.auth_event_id == event.lower()]
        return _json(200, [_shown(world, connection) for connection in held])

    @delete("/connections/{connection_id:str}", status_code=200, sync_to_thread=False)
    def disconnect(request: AnyRequest) -> Response[Any]:
        access = _bearer(world, request)
        if isinstance(access, Response):
            return access
        wanted = str(request.path_params["connection_id"]).lower()
        if wanted in world.organisations:
            return _problem_answer(world, 403, "AuthenticationUnsuccessful")
        if not any(connection.id == wanted for connection in _held(access)):
            answer = not_found().answer
            return Response(answer.body, status_code=404, media_type="text/plain")
        del office.connections[wanted]
        return Response(b"", status_code=204, headers={"Xero-Correlation-Id": world.new_id()})

    def _held(access: Access) -> list[Connection]:
        own = (access.grant.client_id, access.grant.user.id)
        return [c for c in office.connections.values() if (c.client_id, c.user_id) == own]

    return [connections, disconnect]


def _bearer(world: World, request: AnyRequest) -> Access | Response[Any]:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    access = world.office.find_access(token.strip()) if scheme.lower() == "bearer" else None
    if access is None:
        return _problem_answer(world, 401, "AuthenticationUnsuccessful")
    if world.clock.now() >= access.ends:
        return _problem_answer(world, 401, expired_detail(access.ends))
    return access


def _shown(world: World, connection: Connection) -> dict[str, str]:
    return {
        "id": connection.id,
        "authEventId": connection.auth_event_id,
        "tenantId": connection.tenant_id,
        "tenantType": "ORGANISATION",
        "tenantName": world.organisations[connection.tenant_id].name,
        "createdDateUtc": connection.created.strftime("%Y-%m-%dT%H:%M:%S.%f0"),
        "updatedDateUtc": connection.updated.strftime("%Y-%m-%dT%H:%M:%S.%f0"),
    }


def _client(world: World, request: AnyRequest, form: dict[str, str]) -> str:
    client_id, secret = basic_credentials(request.headers.get("authorization"))
    if not client_id:
        client_id, secret = form.get("client_id", ""), form.get("client_secret", "")
    if (client_id, secret) != (world.settings.xero_client_id, world.settings.xero_client_secret):
        raise TokenRefused("invalid_client", 401)
    return client_id


async def _grant(world: World, client_id: str, form: dict[str, str]) -> Grant:
    office = world.office
    match form.get("grant_type"):
        case "authorization_code":
            told = (form.get("code", ""), form.get("redirect_uri", ""), form.get("code_verifier", ""))
            return office.redeem(client_id, *told, world.clock.now())
        case "refresh_token":
            await world.clock.sleep(world.platform.refresh_pause_s)
            return office.refresh(client_id, form.get("refresh_token", ""), world.clock.now())
        case _:
            raise TokenRefused("unsupported_grant_type")


def _problem(world: World, asked: dict[str, str]) -> str | None:
    """Why the consent page cannot be shown; nothing is sent back to an address that was not checked."""
    allowed = world.settings.xero_redirect_uris
    parts = urlsplit(asked["redirect_uri"])
    is_full = bool(parts.netloc) and not parts.fragment and _is_safe(parts.scheme, parts.netloc)
    scopes = set(asked["scope"].split())
    known = SCOPES | BROAD_SCOPES
    checks = (
        (asked["client_id"] == world.settings.xero_client_id, "unauthorized_client: Unknown client or not enabled"),
        (is_full, "invalid_request: Invalid redirect_uri (https, or localhost, is needed)"),
        (not allowed or asked["redirect_uri"] in allowed, "invalid_request: Invalid redirect_uri"),
        (asked["response_type"] == "code", "unsupported_response_type: the response_type must be code"),
        (bool(scopes) and scopes <= known, "invalid_scope: Invalid scope"),
        (
            world.platform.broad_scopes or not scopes & BROAD_SCOPES,
            "unauthorized_client: Invalid scope for client (apps of today get the granular scopes only)",
        ),
        (
            asked["code_challenge_method"] in ("", "S256")
            and bool(asked["code_challenge_method"]) == bool(_pkce(asked)),
            "invalid_request: code_challenge needs the method S256",
        ),
    )
    return next((text for is_fine, text in checks if not is_fine), None)


def _pkce(asked: dict[str, str]) -> str:
    return asked["code_challenge"]


def _is_safe(scheme: str, netloc: str) -> bool:
    # The real service refuses 127.0.0.1; a sandbox on one machine cannot.
    host = netloc.rpartition(":")[0] or netloc
    return scheme == "https" or (scheme == "http" and (host in _LOOPBACK or netloc in _LOOPBACK))


def _takes_many(world: World, asked: dict[str, str]) -> bool:
    return world.platform.bulk_connections and "bulk_connect:false" not in asked["acr_values"]


def _chosen(world: World, asked: dict[str, str], chosen: list[str], form: dict[str, str]) -> list[str]:
    if not chosen or (len(chosen) > 1 and not _takes_many(world, asked)):
        message = "Choose one organisation, or create a new one."
        raise ControlError(message)
    tenants = []
    for choice in chosen:
        if choice == "new":
            made = world.create_organisation(
                form.get("name", ""), form.get("country", "GB"), form.get("currency") or None
            )
            tenants.append(made.tenant_id)
        else:
            tenants.append(world.organisation(choice).tenant_id)
    return tenants


def _back(asked: dict[str, str], **params: str) -> Redirect:
    told = {**params, "state": asked["state"]} if asked["state"] else params
    joint = "&" if urlsplit(asked["redirect_uri"]).query else "?"
    return Redirect(f"{asked['redirect_uri']}{joint}{urlencode(told)}", status_code=302)


def _consent_page(world: World, asked: dict[str, str], wrong: str | None = None) -> Response[str]:
    return page(
        "xero_consent.html",
        status=422 if wrong else 200,
        asked=asked,
        host=urlsplit(asked["redirect_uri"]).netloc,
        problem=wrong,
        kind="checkbox" if _takes_many(world, asked) else "radio",
        organisations=list(world.organisations.values()),
        user=next(iter(world.office.users.values()), User("", DEFAULT_USER)).email,
        users=[user.email for user in world.office.users.values()],
        countries=[(code, country.name) for code, country in COUNTRIES.items()],
        currencies=list(CURRENCY_NAMES),
    )


def _error_page(message: str) -> Response[str]:
    return page("xero_problem.html", status=400, title="Sorry, something went wrong", message=message)


def _problem_answer(world: World, status: int, detail: str) -> Response[Any]:
    instance = world.new_id()
    answer = problem(status, detail, instance)
    headers = {"Xero-Correlation-Id": instance}
    return Response(answer.body, status_code=status, media_type=dict(JSON_HEADERS)["content-type"], headers=headers)


def _json(status: int, body: Any) -> Response[Any]:
    return Response(msgspec.json.encode(body), status_code=status, media_type="application/json", headers=_NO_STORE)
