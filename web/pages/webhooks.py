"""Where Stripe delivers events. Answers carry no text; Stripe reads the status alone."""

from typing import Any

from litestar import Request, Response, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from core.intake.webhook import BadEventError, Endpoint, StorageError, platform_endpoint, receive, tenant_endpoint
from core.wiring import Wiring
from web.background import Background

MAX_EVENT_BYTES = 1024 * 1024
PATH = "/webhooks/stripe"


@post(PATH, opt={"webhook": True}, request_max_body_size=MAX_EVENT_BYTES, status_code=200)
async def stripe_platform(
    request: Request[Any, Any, Any], wiring: NamedDependency[Wiring], background: NamedDependency[Background]
) -> Response[bytes]:
    raw = await request.body()
    return await _take(request, wiring, background, await platform_endpoint(wiring), raw)


@post(f"{PATH}/{{endpoint_token:str}}", opt={"webhook": True}, request_max_body_size=MAX_EVENT_BYTES, status_code=200)
async def stripe_tenant(
    request: Request[Any, Any, Any],
    wiring: NamedDependency[Wiring],
    background: NamedDependency[Background],
    endpoint_token: FromPath[str],
) -> Response[bytes]:
    raw = await request.body()
    try:
        endpoint = await tenant_endpoint(wiring, endpoint_token)
    except BadEventError:
        return _answer(400)
    except (StorageError, OSError):
        return _answer(503)
    return await _take(request, wiring, background, endpoint, raw)


async def _take(
    request: Request[Any, Any, Any], wiring: Wiring, background: Background, endpoint: Endpoint, raw: bytes
) -> Response[bytes]:
    try:
        await receive(background.inbox, wiring, endpoint, raw, request.headers.get("stripe-signature", ""))
    except BadEventError:
        return _answer(400)
    except StorageError:
        return _answer(503)
    return _answer(200)


def _answer(status: int) -> Response[bytes]:
    return Response(b"", status_code=status, media_type="text/plain")


ROUTES = [stripe_platform, stripe_tenant]
