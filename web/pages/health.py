"""For the host: is the process alive, can it work. The body is a constant either way (D6)."""

from litestar import Response, route
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.enums import HttpMethod, MediaType

from core.identity.readiness import is_ready
from core.logging import get_logger
from core.wiring import Wiring
from web.background import Background

_log = get_logger("readiness")

_METHODS = [HttpMethod.GET, HttpMethod.HEAD]
_OPT = {"stateless": True, "quiet": True}


@route("/health", http_method=_METHODS, opt=_OPT, media_type=MediaType.TEXT, status_code=200)
async def health() -> str:
    return "ok"


@route("/ready", http_method=_METHODS, opt=_OPT, status_code=200)
async def ready(state: State, wiring: NamedDependency[Wiring]) -> Response[str]:
    fine = await is_ready(wiring.db, wiring.keys) and _is_working(state.get("background"))
    return Response("ok" if fine else "not ok", status_code=200 if fine else 503, media_type=MediaType.TEXT)


def _is_working(background: Background | None) -> bool:
    """Whether the worker inside this process, if it has one, still ends its passes."""
    fine = background is None or background.is_working()
    if not fine:
        _log.error("not_ready", reason="worker")
    return fine


ROUTES = [health, ready]
