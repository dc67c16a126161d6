"""Pages as responses: the whole page, or for htmx only what changed on it."""

from typing import Any

from jinja2 import Environment
from litestar import Response
from litestar.datastructures import Cookie

from core.config import Settings
from core.crypto import new_token
from core.wiring import Wiring
from web.facts import facts_of
from web.forms import AnyRequest
from web.sessions import DOOR, door_cookie, door_csrf_token, token_in
from web.templating import render
from web.views import Door, Shell, Toast

PARTIAL_HEADER = "HX-Request-Type"
_VARY = {"Vary": PARTIAL_HEADER}


def is_htmx(request: AnyRequest) -> bool:
    """Whether htmx sent this request."""
    return request.headers.get("hx-request", "").lower() == "true"


def is_partial(request: AnyRequest) -> bool:
    """Whether only the view of the page is wanted; set ``Shell.partial`` to this."""
    return request.headers.get(PARTIAL_HEADER, "").lower() == "partial"


def page_or_view(
    request: AnyRequest, template: str, *, shell: Shell, view: Any, status: int = 200, **more: Any
) -> Response[str]:
    """Render a signed-in page. ``shell.partial`` decides whether that is the page or its view."""
    return html(request, template, {"shell": shell, "view": view, **more}, status=status, headers=_VARY)


def door_page(
    request: AnyRequest,
    template: str,
    *,
    view: Any,
    status: int = 200,
    toast: Toast | None = None,
    headers: dict[str, str] | None = None,
) -> Response[str]:
    """Render a page outside the shell, with a form token for whoever is there."""
    settings: Settings = request.app.state.settings
    token, cookie = _door_token(request, settings)
    response = html(
        request,
        template,
        {"door": Door(csrf_token=token, toast=toast), "view": view},
        status=status,
        headers=headers or {},
    )
    if cookie:
        response.cookies.append(cookie)
    return response


def see_other(path: str, *, status: int = 303, headers: dict[str, str] | None = None) -> Response[Any]:
    """Send the browser on with a GET: the answer to every form that did its work."""
    return Response(b"", status_code=status, media_type="text/plain", headers={"Location": path, **(headers or {})})


def html(
    request: AnyRequest, template: str, context: dict[str, Any], *, status: int = 200, headers: dict[str, str]
) -> Response[str]:
    """Render a template into a response."""
    env: Environment = request.app.state.templates
    return Response(render(env, template, context), status_code=status, media_type="text/html", headers=headers)


def _door_token(request: AnyRequest, settings: Settings) -> tuple[str, Cookie | None]:
    facts = facts_of(request.scope)
    if facts.visitor:
        return facts.visitor.csrf_token, None
    known = token_in(request.cookies, settings, DOOR)
    if known:
        return door_csrf_token(settings, known), None
    wiring: Wiring = request.app.state.wiring
    fresh = new_token(wiring.runtime)
    return door_csrf_token(settings, fresh), door_cookie(settings, fresh)
