"""Error pages: one calm page for people, a toast for htmx, a bare status for webhooks; never the exception's text."""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from litestar import Response
from litestar.exceptions import HTTPException, InternalServerException
from litestar.types import Scope

from core.errors import InputError, NotFoundError, TieoutError
from core.identity.members import NotAllowedError
from core.identity.throttle import ThrottledError
from core.logging import get_logger
from web.facts import facts_of
from web.forms import AnyRequest
from web.guards import SAFE_METHODS, ForeignFormError, NotSignedInError, StepUpNeededError
from web.htmx import door_page, html, is_htmx, see_other
from web.links import own_path_of, with_next
from web.purposes import step_up_view
from web.views import ErrorView, Link, Toast

_log = get_logger("web")

_TEXTS: Mapping[int, tuple[str, str]] = {
    400: ("That request could not be read", "Nothing was changed. Go back and try again."),
    403: ("This is not open to you", "Nothing was changed. An owner of the workspace can do this."),
    404: ("There is nothing here", "The page may have moved, or the link is incomplete."),
    405: ("This page cannot do that", "Nothing was changed. Go back and try again."),
    408: ("That took too long to arrive", "Nothing was changed. Check your connection and try again."),
    413: ("That is too much at once", "Nothing was changed. Shorten what you entered and try again."),
    414: ("That address is too long", "Nothing was changed. Start again from the payments page."),
    415: ("That kind of file or form is not taken here", "Nothing was changed. Go back and try again."),
    422: ("Something in the form is missing", "Nothing was changed. Go back and check what you entered."),
    429: ("Too many tries", "Nothing was changed. Wait a while, then try again."),
    500: ("Something went wrong on our side", "Nothing is lost: payments keep waiting and will be posted. Try again."),
    503: ("Tieout is catching its breath", "Nothing is lost. Try again in a minute."),
}
_FOREIGN_FORM = (
    "Please try that once more",
    "The form was open for too long, or it was not sent from this site. Nothing was changed.",
)
_HOME = Link(label="Go to your payments", href="/")

_ACCOUNTED = (HTTPException, NotSignedInError, StepUpNeededError, ForeignFormError, RecursionError)


async def log_unhandled(exc: Exception, scope: Scope) -> None:
    """Litestar's hook after every exception: those that nobody meant are written down (trap 10)."""
    is_meant = isinstance(exc, _ACCOUNTED) and not isinstance(exc, InternalServerException)
    if is_meant or (isinstance(exc, TieoutError) and _status_of(exc) < 500):
        return
    _log.error("unhandled", exc_info=exc, request_id=facts_of(scope).request_id)


def exception_handlers() -> dict[int | type[Exception], Callable[[AnyRequest, Any], Response[Any]]]:
    """Return the handler of each family of exceptions."""
    return {
        NotSignedInError: to_sign_in,
        StepUpNeededError: ask_password,
        ForeignFormError: refuse_form,
        HTTPException: answer_http,
        TieoutError: answer_ours,
        # Junk nested thousands of levels deep runs the parsers out of stack (I9).
        RecursionError: lambda request, _exc: error_page(request, 400),
        Exception: lambda request, _exc: error_page(request, 500),
    }


def to_sign_in(request: AnyRequest, _exc: Exception) -> Response[Any]:
    """Send a person to the sign-in page and back afterwards; tell htmx with 401 (S7)."""
    base_url = request.app.state.settings.app_base_url
    if is_htmx(request):
        back = own_path_of(request.headers.get("hx-current-url"), base_url) or "/"
        return Response(
            b"", media_type="text/plain", status_code=401, headers={"HX-Redirect": with_next("/sign-in", back)}
        )
    if "text/event-stream" in request.headers.get("accept", ""):
        return Response(b"", media_type="text/plain", status_code=401)
    if request.method in SAFE_METHODS:
        query = request.scope["query_string"].decode("latin-1")
        back = own_path_of(f"{base_url}{_raw_path(request)}{'?' if query else ''}{query}", base_url) or "/"
    else:
        back = own_path_of(request.headers.get("referer"), base_url) or "/"
    return see_other(with_next("/sign-in", back))


def ask_password(request: AnyRequest, exc: StepUpNeededError) -> Response[Any]:
    """Refuse, and ask for the password right there (S6)."""
    if is_htmx(request):
        return Response(
            b"", media_type="text/plain", status_code=403, headers={"HX-Redirect": with_next("/step-up", exc.following)}
        )
    visitor = facts_of(request.scope).visitor
    if visitor is None:
        return to_sign_in(request, exc)
    return door_page(request, "step_up/index.html", view=step_up_view(visitor, exc.following), status=403)


def refuse_form(request: AnyRequest, _exc: Exception) -> Response[Any]:
    """Refuse a form that is not ours or no longer current."""
    return error_page(request, 403, words=_FOREIGN_FORM)


def answer_http(request: AnyRequest, exc: HTTPException) -> Response[Any]:
    """Answer with the status that a guard, a parser or a handler chose; keep headers such as Allow."""
    return error_page(request, exc.status_code, headers=dict(exc.headers or {}))


def answer_ours(request: AnyRequest, exc: TieoutError) -> Response[Any]:
    """Answer one of our own exceptions that a handler let pass."""
    headers = {"Retry-After": str(exc.retry_after_s)} if isinstance(exc, ThrottledError) else {}
    words = (_TEXTS[400][0], exc.message) if isinstance(exc, InputError) else None
    return error_page(request, _status_of(exc), words=words, headers=headers)


def error_page(
    request: AnyRequest,
    status: int,
    *,
    words: tuple[str, str] | None = None,
    headers: dict[str, str] | None = None,
) -> Response[Any]:
    """Return what this kind of caller can read; it always holds the request's id and never a detail."""
    if _is_for_a_machine(request):
        return Response(b"", status_code=status, media_type="text/plain", headers=headers)
    title, text = words or _TEXTS.get(status) or (HTTPStatus(status).phrase, "Nothing was changed.")
    if is_htmx(request) and 400 <= status < 500:
        toast = Toast(text=f"{title}. {text}", is_problem=True)
        return html(request, "toast.html", {"toast": toast}, status=status, headers=headers or {})
    view = ErrorView(status=status, title=title, text=text, link=_HOME, request_id=facts_of(request.scope).request_id)
    return door_page(request, "errors/error.html", view=view, status=status, headers=headers)


def _status_of(exc: TieoutError) -> int:
    match exc:
        case NotFoundError():
            return 404
        case NotAllowedError():
            return 403
        case ThrottledError():
            return 429
        case InputError():
            return 400
        case _:
            return 500


def _is_for_a_machine(request: AnyRequest) -> bool:
    handler: Any = request.scope.get("route_handler")
    return request.scope["path"].startswith("/webhooks/") or bool(
        handler is not None and (handler.opt.get("webhook") or handler.opt.get("stateless"))
    )


def _raw_path(request: AnyRequest) -> str:
    raw: bytes | None = request.scope.get("raw_path")
    return raw.decode("latin-1") if raw else request.scope["path"]
