"""Where Stripe delivers events. Answers carry no text; Stripe reads the status alone."""

from typing import Any

from litestar import Request, Response, post
from litestar.params import FromPath

from core.intake.webhook import BadEventError, Endpoint, StorageError, platform_endpoint, receive, tenant_endpoint

MAX_EVENT_BYTES = 1024 * 1024
PATH = "/webhooks/stripe"

_Request = Request[Any, Any, Any]


@post(PATH, opt={"webhook": True}, request_max_body_size=MAX_EVENT_BYTES, status_code=200)
async def stripe_platform(request: _Request) -> Response[bytes]:
    raw = await request.body()
    return await _take(request, await platform_endpoint(request.app.state.wiring), raw)


@post(f"{PATH}/{{endpoint_token:str}}", opt={"webhook": True}, request_max_body_size=MAX_EVENT_BYTES, status_code=200)
async def stripe_tenant(request: _Request, endpoint_token: FromPath[str]) -> Response[bytes]:
    raw = await request.body()
    try:
        endpoint = await tenant_endpoint(request.app.state.wiring, endpoint_token)
    except BadEventError:
        return _answer(400)
    except StorageError:
        return _answer(503)
    return await _take(request, endpoint, raw)


async def _take(request: _Request, endpoint: Endpoint, raw: bytes) -> Response[bytes]:
    # From the application's state, not injected: two dependencies make Litestar start a group of tasks per request.
    state = request.app.state
    try:
        await receive(state.background.inbox, state.wiring, endpoint, raw, request.headers.get("stripe-signature", ""))
    except BadEventError:
        return _answer(400)
    except StorageError:
        return _answer(503)
    return _answer(200)


def _answer(status: int) -> Response[bytes]:
    return Response(b"", status_code=status, media_type="text/plain")


ROUTES = [stripe_platform, stripe_tenant]
