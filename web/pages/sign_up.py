"""Sign up. The answer is the same whether or not the address had an account (A3; docs/decisions)."""

from typing import Any

from litestar import Request, Response, get, post
from litestar.di import NamedDependency

from core.identity.accounts import check_new_account, sign_up
from core.identity.throttle import ThrottledError
from core.wiring import Wiring
from web.facts import facts_of
from web.forms import take_form
from web.htmx import door_page, see_other
from web.pages.sign_in import gate_of, say_minutes
from web.views import SignInView, SignUpView, Toast

_READY = Toast(text="Your workspace is ready. Sign in with your e-mail and password to open it.")


@get("/sign-up", opt={"door": True})
async def sign_up_page(request: Request[Any, Any, Any]) -> Response[Any]:
    if facts_of(request.scope).visitor:
        return see_other("/")
    return door_page(request, "sign_up/index.html", view=SignUpView())


@post("/sign-up", opt={"door": True}, status_code=200)
async def sign_up_submit(request: Request[Any, Any, Any], wiring: NamedDependency[Wiring]) -> Response[Any]:
    form = take_form(request, "workspace", "email", "password", "zone", "next")
    email, workspace, zone = form.raw("email").strip(), form.text("workspace", max_length=100), form.raw("zone")
    password = form.raw("password")
    errors = check_new_account(email=email, password=password, workspace=workspace, time_zone=zone)
    if errors:
        view = SignUpView(workspace=workspace[:100], email=email[:254], zone=zone[:64], errors=errors)
        return door_page(request, "sign_up/index.html", view=view, status=422)
    try:
        await sign_up(
            wiring.db,
            email=email,
            password=password,
            workspace=workspace,
            time_zone=zone,
            gate=gate_of(request, wiring.settings),
        )
    except ThrottledError as exc:
        errors = {"form": f"Too many workspaces were opened from here. Wait {say_minutes(exc.retry_after_s)}."}
        view = SignUpView(workspace=workspace, email=email, zone=zone, errors=errors)
        retry = {"Retry-After": str(exc.retry_after_s)}
        return door_page(request, "sign_up/index.html", view=view, status=429, headers=retry)
    return door_page(request, "sign_in/index.html", view=SignInView(email=email), toast=_READY)


ROUTES = [sign_up_page, sign_up_submit]
