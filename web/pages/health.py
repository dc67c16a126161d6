"""For the host: is the process alive, can it work. The body is a constant either way (D6)."""

from litestar import Response, route
from litestar.di import NamedDependency
from litestar.enums import HttpMethod, MediaType

from core.identity.readiness import is_ready
from core.wiring import Wiring

_METHODS = [HttpMethod.GET, HttpMethod.HEAD]
_OPT = {"stateless": True, "quiet": True}


@route("/health", http_method=_METHODS, opt=_OPT, media_type=MediaType.TEXT, status_code=200)
async def health() -> str:
    return "ok"


@route("/ready", http_method=_METHODS, opt=_OPT, status_code=200)
async def ready(wiring: NamedDependency[Wiring]) -> Response[str]:
    fine = await is_ready(wiring.db, wiring.keys)
    return Response("ok" if fine else "not ok", status_code=200 if fine else 503, media_type=MediaType.TEXT)


ROUTES = [health, ready]
