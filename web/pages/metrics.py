"""The operator's figures: a page for people, the same for a scraper. A token opens it; no session, no cookie."""

from base64 import b64decode
from typing import Any

from litestar import Request, Response, route
from litestar.enums import HttpMethod
from litestar.exceptions import HTTPException
from litestar.handlers import BaseRouteHandler

from core.config import Settings
from core.crypto import same
from core.ops.exposition import MEDIA_TYPE, write_exposition
from core.ops.read_figures import read_figures
from web.facts import AnyConnection
from web.htmx import html
from web.pages.metrics_view import metrics_view
from web.views import Door

_METHODS = [HttpMethod.GET, HttpMethod.HEAD]
_OPT = {"stateless": True}
_ASK = {"WWW-Authenticate": 'Basic realm="Tieout, whoever runs it", charset="UTF-8"'}

_Request = Request[Any, Any, Any]


async def operators_only(connection: AnyConnection, _handler: BaseRouteHandler) -> None:
    """Page guard: only with the operator's token; without one in the settings the page is not there at all."""
    settings: Settings = connection.app.state.settings
    if not settings.operator_token:
        raise HTTPException(status_code=404)
    given = _token_in(connection.headers.getall("authorization", []))
    if given is None or not same(given, settings.operator_token):
        raise HTTPException(status_code=401, headers=_ASK)


def _token_in(headers: list[str]) -> str | None:
    """Return the token of one ``Authorization`` header: as bearer, or as the password of any name."""
    if len(headers) != 1:
        return None
    scheme, _, value = headers[0].partition(" ")
    match scheme.lower():
        case "bearer":
            return value.strip()
        case "basic":
            try:
                return b64decode(value.strip(), validate=True).decode("utf-8").partition(":")[2]
            except ValueError:
                return None
    return None


@route("/metrics", http_method=_METHODS, opt=_OPT, guards=[operators_only], status_code=200)
async def metrics(request: _Request) -> Response[str]:
    if "text/html" not in request.headers.get("accept", ""):
        return await metrics_text(request)
    figures = await read_figures(request.app.state.wiring)
    context = {"door": Door(), "view": metrics_view(figures)}
    return html(request, "metrics/index.html", context, headers={"Vary": "Accept"})


@route("/metrics.txt", http_method=_METHODS, opt=_OPT, guards=[operators_only], status_code=200)
async def metrics_as_text(request: _Request) -> Response[str]:
    return await metrics_text(request)


async def metrics_text(request: _Request) -> Response[str]:
    figures = await read_figures(request.app.state.wiring)
    return Response(write_exposition(figures), media_type=MEDIA_TYPE, headers={"Vary": "Accept"})


ROUTES = [metrics, metrics_as_text]
