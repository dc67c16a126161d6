"""Puts the Stripe stand-in together: state, API, OAuth pages, control."""

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any

import httpx
from litestar import Request, Response, get, post, route
from litestar.handlers import HTTPRouteHandler
from litestar.response import Redirect

from web.sandbox.clock import SandboxClock
from web.sandbox.faults import Faults
from web.sandbox.html import page
from web.sandbox.log import RequestLog, current_entry
from web.sandbox.routes import json_response
from web.sandbox.scheduler import Scheduler
from web.sandbox.settings import SandboxSettings
from web.sandbox.stripe import businesses, shapes
from web.sandbox.stripe.api import all_operations
from web.sandbox.stripe.control import money_control
from web.sandbox.stripe.control_webhooks import webhook_control
from web.sandbox.stripe.dispatch import ApiRequest, Dispatcher
from web.sandbox.stripe.errors import OAuthError, fault_shape
from web.sandbox.stripe.limits import RateLimiter
from web.sandbox.stripe.oauth import Ask, OAuth
from web.sandbox.stripe.params import flat
from web.sandbox.stripe.webhooks import Outbox
from web.sandbox.stripe.world import Key, World

AnyRequest = Request[Any, Any, Any]


class StripeSandbox:
    """One Stripe, with its platform account registered and nothing else in it."""

    def __init__(
        self,
        clock: SandboxClock,
        faults: Faults,
        log: RequestLog,
        settings: SandboxSettings,
        *,
        scheduler: Scheduler,
        client: Callable[[], httpx.AsyncClient],
    ) -> None:
        outbox = Outbox(clock, settings, scheduler, client)
        self.world = World(clock=clock, settings=settings, scheduler=scheduler, outbox=outbox)
        self._limiter = RateLimiter(clock, settings.stripe_rate_limit)
        self._dispatcher = Dispatcher(self.world, all_operations(), self._limiter)
        self._oauth = OAuth(self.world)
        self._log = log
        faults.register_shape("stripe", fault_shape)
        self._register_platform(settings)

    @property
    def route_handlers(self) -> list[HTTPRouteHandler]:
        """Everything that Stripe itself serves."""
        return [self._api(), *self._consent(), *self._tokens()]

    @property
    def control_handlers(self) -> list[HTTPRouteHandler]:
        """``/_control/stripe/...``."""
        return [*money_control(self.world), *webhook_control(self.world, self._limiter)]

    def _register_platform(self, settings: SandboxSettings) -> None:
        platform = businesses.create(
            self.world, name="Platform", email="platform@example.com", account_id=settings.stripe_platform_account
        )
        self.world.keys[settings.stripe_platform_key] = Key(settings.stripe_platform_key, platform.id)
        if settings.stripe_webhook_url:
            endpoint = shapes.webhook_endpoint(self.world, platform, settings.stripe_webhook_url, ["*"])
            endpoint.update(_secret=settings.stripe_webhook_secret, _connect=True)
            platform.add(endpoint)

    def _api(self) -> HTTPRouteHandler:
        dispatcher = self._dispatcher

        @route("/v1/{rest:path}", http_method=["GET", "POST", "DELETE"])
        async def api(request: AnyRequest) -> Response[bytes]:
            answer = dispatcher.answer(
                ApiRequest(
                    method=request.method,
                    path=request.url.path,
                    query=request.scope["query_string"].decode("latin-1"),
                    headers=request.headers,
                    body=await request.body(),
                ),
                current_entry(request.scope),  # type: ignore[arg-type]  # a TypedDict is a mapping at run time
            )
            return Response(
                answer.body, status_code=answer.status, headers=answer.headers, media_type="application/json"
            )

        return api

    def _consent(self) -> list[HTTPRouteHandler]:
        oauth, world = self._oauth, self.world

        def show(flow: str, params: Mapping[str, str]) -> Response[str]:
            try:
                ask = oauth.read_ask(flow, params)
            except OAuthError as error:
                return page("oauth_error.html", status=error.status, message=str(error))
            businesses_shown = [a for a in world.accounts.values() if a is not world.platform]
            return page("stripe_consent.html", ask=ask, businesses=businesses_shown, host=_host(ask.redirect_uri))

        @get("/oauth/authorize")
        async def connect(request: AnyRequest) -> Response[str]:
            return show("connect", dict(request.query_params))

        @get(["/oauth/v2/authorize", "/oauth/v2/{link:str}/authorize"])
        async def app(request: AnyRequest) -> Response[str]:
            return show("app", dict(request.query_params))

        @post("/oauth/decide", status_code=303)
        async def decide(request: AnyRequest) -> Response[Any]:
            form = flat(await request.body())
            try:
                ask = oauth.read_ask(form.get("flow", ""), {**form, "response_type": "code"})
                return Redirect(decided(ask, form), status_code=303)
            except OAuthError as error:
                return page("oauth_error.html", status=error.status, message=str(error))

        def decided(ask: Ask, form: Mapping[str, str]) -> str:
            if form.get("decision") != "allow":
                return oauth.refuse(ask)
            account_id = form.get("account", "new")
            if account_id == "new":
                name = form.get("new_name", "").strip() or "New studio"
                account_id = businesses.create(world, name=name, email=form.get("new_email") or "").id
            return oauth.allow(ask, account_id)

        return [connect, app, decide]

    def _tokens(self) -> list[HTTPRouteHandler]:
        oauth = self._oauth

        async def answer(request: AnyRequest, flow: str) -> Response[bytes]:
            params = flat(await request.body())
            secret = _bearer(request.headers.get("authorization", ""))
            try:
                if flow == "deauthorize":
                    return json_response(oauth.deauthorize(params, secret))
                return json_response(oauth.token(flow, params, secret))
            except OAuthError as error:
                return json_response(error.body, error.status)

        @post("/oauth/token")
        async def connect_token(request: AnyRequest) -> Response[bytes]:
            return await answer(request, "connect")

        @post("/oauth/deauthorize")
        async def deauthorize(request: AnyRequest) -> Response[bytes]:
            return await answer(request, "deauthorize")

        @post("/v1/oauth/token")
        async def app_token(request: AnyRequest) -> Response[bytes]:
            return await answer(request, "app")

        return [connect_token, deauthorize, app_token]


def _host(url: str) -> str:
    return httpx.URL(url).host


def _bearer(header: str) -> str | None:
    scheme, _, value = header.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip() or None
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value, validate=True).decode().partition(":")[0] or None
        except (binascii.Error, UnicodeDecodeError):
            return None
    return None
