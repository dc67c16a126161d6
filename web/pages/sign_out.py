"""Sign out."""

from typing import Any

from litestar import Request, Response, post
from litestar.di import NamedDependency

from core.identity.sessions import end_session
from core.wiring import Wiring
from web.deps import Visitor
from web.guards import signed_in
from web.htmx import see_other
from web.sessions import no_session_cookie


@post("/sign-out", guards=[signed_in], status_code=303)
async def sign_out(
    request: Request[Any, Any, Any], visitor: NamedDependency[Visitor], wiring: NamedDependency[Wiring]
) -> Response[Any]:
    async with wiring.db.open_session(write=True) as session:
        await end_session(session, visitor.session_hash)
    # Clear-Site-Data empties the back button as well, where the browser knows it.
    response = see_other("/sign-in", headers={"Clear-Site-Data": '"cache"'})
    response.cookies.append(no_session_cookie(wiring.settings))
    return response


ROUTES = [sign_out]
