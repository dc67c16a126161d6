"""The application: the one place where its parts are put together."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from litestar import Litestar
from litestar.datastructures import State

from core.clock import Runtime
from core.config import Settings
from core.outgoing import Transport
from core.wiring import Wiring, open_wiring
from web.assets import Assets
from web.background import start_background
from web.deps import dependencies
from web.edge import Edge
from web.errors import exception_handlers, log_unhandled
from web.forms import MAX_BODY_BYTES
from web.guards import keep_the_gate
from web.headers import header_writer
from web.pages import ROUTE_HANDLERS
from web.templating import STATIC, build_environment


def create_app(
    settings: Settings,
    *,
    runtime: Runtime | None = None,
    transport: Transport | None = None,
    wiring: Wiring | None = None,
    beats: bool = False,
) -> Litestar:
    """Build the application.

    Args:
        settings: from :func:`core.config.load_settings`.
        runtime: clock, sleep and randomness; the machine's own when not given.
        transport: carries outgoing HTTP; the network when not given.
        wiring: an open one that the caller keeps and closes; then the two above are not used.
        beats: write heartbeats with a given wiring as well; one that is opened here always has them.
    """
    assets = Assets(STATIC)
    return Edge(
        route_handlers=[assets.handler(), *ROUTE_HANDLERS],
        state=State({"settings": settings, "templates": build_environment(assets), "assets": assets}),
        lifespan=[_lifespan(settings, runtime, transport, wiring, beats=beats)],
        dependencies=dependencies(),
        guards=[keep_the_gate],
        before_send=[header_writer(settings)],
        exception_handlers=exception_handlers(),
        after_exception=[log_unhandled],
        request_max_body_size=MAX_BODY_BYTES,
        # Unset, the first lets httpx log addresses and the second opens /schema to everyone (traps 10, 11).
        logging_config=None,
        openapi_config=None,
        debug=False,
    )


def _lifespan(
    settings: Settings,
    runtime: Runtime | None,
    transport: Transport | None,
    given: Wiring | None,
    *,
    beats: bool,
) -> Callable[[Litestar], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def run(app: Litestar) -> AsyncIterator[None]:
        if given is not None:
            app.state.wiring = given
            async with start_background(given, beats=beats) as background:
                app.state.background = background
                yield
            return
        async with open_wiring(settings, runtime=runtime, transport=transport) as opened:
            app.state.wiring = opened
            async with start_background(opened, beats=True) as background:
                app.state.background = background
                yield

    return run
