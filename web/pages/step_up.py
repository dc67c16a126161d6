"""The password again, before something that matters (S6)."""

from typing import Annotated, Any

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from core.identity.accounts import WrongCredentialsError, confirm_password
from core.identity.throttle import ThrottledError
from core.wiring import Wiring
from web.deps import Visitor
from web.facts import facts_of
from web.forms import take_form
from web.guards import NotSignedInError, signed_in
from web.htmx import door_page, see_other
from web.links import safe_path
from web.pages.sign_in import gate_of, say_minutes
from web.purposes import step_up_view

_DEFAULT = "/connections"


@get("/step-up", guards=[signed_in])
async def step_up_page(
    request: Request[Any, Any, Any],
    visitor: NamedDependency[Visitor],
    next: Annotated[str | None, QueryParameter(max_length=2000)] = None,  # noqa: A002 - the parameter's public name
) -> Response[Any]:
    return door_page(request, "step_up/index.html", view=step_up_view(visitor, safe_path(next, _DEFAULT)))


@post("/step-up", guards=[signed_in], status_code=303)
async def step_up_submit(
    request: Request[Any, Any, Any], visitor: NamedDependency[Visitor], wiring: NamedDependency[Wiring]
) -> Response[Any]:
    form = take_form(request, "password", "next")
    following = safe_path(form.raw("next"), _DEFAULT)
    visit = facts_of(request.scope).visit
    if visit is None:
        raise NotSignedInError
    try:
        await confirm_password(wiring.db, visit, form.raw("password"), gate=gate_of(request, wiring.settings))
    except WrongCredentialsError:
        view = step_up_view(visitor, following, error="That is not the password of this account.")
        return door_page(request, "step_up/index.html", view=view, status=422)
    except ThrottledError as exc:
        error = f"Too many tries. Wait {say_minutes(exc.retry_after_s)} and try again."
        retry = {"Retry-After": str(exc.retry_after_s)}
        view = step_up_view(visitor, following, error=error)
        return door_page(request, "step_up/index.html", view=view, status=429, headers=retry)
    return see_other(following)


ROUTES = [step_up_page, step_up_submit]
