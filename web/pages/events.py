"""The event stream behind the live pages."""

from typing import Any

from litestar import Request, get
from litestar.di import NamedDependency
from litestar.exceptions import HTTPException
from litestar.response import Stream

from web.deps import Visitor
from web.guards import signed_in
from web.live import LiveHub

_MOST_DIGITS = 18


@get("/events", guards=[signed_in])
async def events(request: Request[Any, Any, Any], visitor: NamedDependency[Visitor]) -> Stream:
    hub: LiveHub = request.app.state.background.live
    if hub.is_full:
        raise HTTPException(status_code=503, headers={"Retry-After": "30"})
    given = request.headers.get("last-event-id") or request.query_params.get("since") or ""
    return Stream(
        hub.stream(tenant_id=visitor.tenant_id, session_hash=visitor.session_hash, since=_number(given)),
        media_type="text/event-stream",
        # nginx and its kin would collect the events otherwise.
        headers={"X-Accel-Buffering": "no"},
    )


def _number(text: str) -> int | None:
    return int(text) if len(text) <= _MOST_DIGITS and text.isascii() and text.isdigit() else None


ROUTES = [events]
