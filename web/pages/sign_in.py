"""Sign in."""

from dataclasses import replace
from typing import Annotated, Any

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from core.config import Settings
from core.identity.accounts import Gate, WrongCredentialsError, sign_in
from core.identity.throttle import ThrottledError
from core.logging import get_logger
from core.wiring import Wiring
from web.facts import facts_of
from web.forms import take_form
from web.htmx import door_page, see_other
from web.links import safe_path
from web.sessions import DEVICE, device_cookie, session_cookie, token_in
from web.views import SignInView

_log = get_logger("web")

_WRONG = "This e-mail and password do not go together. Check both and try again."
_TOO_MANY = "Too many tries. Wait {minutes} and try again, or use a browser that signed in before."


@get("/sign-in", opt={"door": True})
async def sign_in_page(
    request: Request[Any, Any, Any],
    next: Annotated[str | None, QueryParameter(max_length=2000)] = None,  # noqa: A002 - the parameter's public name
) -> Response[Any]:
    following = safe_path(next)
    if facts_of(request.scope).visitor:
        return see_other(following)
    return door_page(request, "sign_in/index.html", view=_view(request, SignInView(next=_shown(following))))


@post("/sign-in", opt={"door": True}, status_code=303)
async def sign_in_submit(request: Request[Any, Any, Any], wiring: NamedDependency[Wiring]) -> Response[Any]:
    form = take_form(request, "email", "password", "next")
    email, following = form.raw("email").strip(), safe_path(form.raw("next"))
    facts = facts_of(request.scope)
    try:
        done = await sign_in(
            wiring.db,
            email=email,
            password=form.raw("password"),
            gate=gate_of(request, wiring.settings),
            replaces=facts.visit.session_hash if facts.visit else None,
        )
    except WrongCredentialsError:
        _log.info("sign_in", outcome="refused", request_id=facts.request_id)
        return _again(request, email, following, error=_WRONG, status=422)
    except ThrottledError as exc:
        _log.warning("sign_in", outcome="throttled", request_id=facts.request_id, retry_after_s=exc.retry_after_s)
        error = _TOO_MANY.format(minutes=say_minutes(exc.retry_after_s))
        return _again(request, email, following, error=error, status=429, retry_after_s=exc.retry_after_s)
    _log.info("sign_in", outcome="done", request_id=facts.request_id)
    response = see_other(following)
    response.cookies.append(session_cookie(wiring.settings, done.token))
    response.cookies.append(device_cookie(wiring.settings, done.device_token))
    return response


def gate_of(request: Request[Any, Any, Any], settings: Settings) -> Gate:
    """Return where this try comes from, for the throttle."""
    return Gate(
        secret=settings.secret_key,
        network=facts_of(request.scope).network,
        device_token=token_in(request.cookies, settings, DEVICE),
    )


def say_minutes(seconds: int) -> str:
    """Return "one minute", "12 minutes"."""
    minutes = -(-seconds // 60)
    return "one minute" if minutes <= 1 else f"{minutes} minutes"


def _again(
    request: Request[Any, Any, Any],
    email: str,
    following: str,
    *,
    error: str,
    status: int,
    retry_after_s: int | None = None,
) -> Response[str]:
    headers = {} if retry_after_s is None else {"Retry-After": str(retry_after_s)}
    view = _view(request, SignInView(email=email[:254], error=error, next=_shown(following)))
    return door_page(request, "sign_in/index.html", view=view, status=status, headers=headers)


def _view(request: Request[Any, Any, Any], view: SignInView) -> SignInView:
    """Return the page; the demo leaves its own sign-in in the application's state, to be shown to whoever looks."""
    email, password = request.app.state.get("demo_sign_in", ("", ""))
    return replace(view, demo_email=email, demo_password=password)


def _shown(following: str) -> str:
    return "" if following == "/" else following


ROUTES = [sign_in_page, sign_in_submit]
