"""One sandbox: every stand-in on one port, as one ASGI app that also works in-process."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import uvicorn
from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from core.clock import Runtime
from web.sandbox.clock import SandboxClock
from web.sandbox.control import shared_control
from web.sandbox.doors import Doors, plain_app
from web.sandbox.edge import AsgiApp, Edge
from web.sandbox.faults import Faults
from web.sandbox.html import stylesheet
from web.sandbox.log import RequestLog
from web.sandbox.pages import page_handlers
from web.sandbox.quickbooks import QuickBooksSandbox
from web.sandbox.scheduler import Scheduler
from web.sandbox.settings import SandboxSettings
from web.sandbox.stripe import StripeSandbox
from web.sandbox.xero import XeroSandbox


class Sandbox:
    """All stand-ins with their shared clock, log, faults and scheduler.

    Serve :attr:`app` with uvicorn, or drive it in-process through ``httpx.ASGITransport(app=sandbox.app)``. In the
    second case nothing runs in the background: call :meth:`flush` (or use :meth:`running`).
    """

    def __init__(
        self, settings: SandboxSettings, runtime: Runtime | None = None, http: httpx.AsyncClient | None = None
    ) -> None:
        self.settings = settings
        self.clock = SandboxClock(runtime, seed=settings.seed)
        self.log = RequestLog()
        self.faults = Faults(self.clock)
        self.scheduler = Scheduler(self.clock)
        self._http = http
        self._owns_http = http is None
        self.stripe = StripeSandbox(
            self.clock, self.faults, self.log, settings, scheduler=self.scheduler, client=self._client
        )
        self.quickbooks = QuickBooksSandbox(self.clock, self.faults, self.log, settings)
        self.xero = XeroSandbox(self.clock, self.faults, self.log, settings)
        doors = Doors(
            [
                *self._handlers(),
                *self.stripe.route_handlers,
                *self.quickbooks.route_handlers,
                *self.xero.route_handlers,
            ],
            plain_app([], lifespan=[lambda _: self.running()]),
        )
        self.app: AsgiApp = Edge(doors, clock=self.clock, faults=self.faults, log=self.log)

    async def flush(self) -> int:
        """Do everything that is due now: balance transactions, webhooks. Return the number of jobs."""
        return await self.scheduler.run_due()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Work off due jobs in the background while the block runs."""
        worker = asyncio.create_task(self.scheduler.run())
        try:
            yield
        finally:
            worker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await worker
            await self.aclose()

    async def aclose(self) -> None:
        if self._owns_http and self._http is not None:
            await self._http.aclose()
            self._http = None

    def _client(self) -> httpx.AsyncClient:
        if self._http is None:
            self._http = httpx.AsyncClient()
        return self._http

    def _handlers(self) -> list[Any]:
        shared: list[HTTPRouteHandler] = shared_control(self.clock, self.scheduler, self.faults, self.log)
        return [
            *shared,
            *self.stripe.control_handlers,
            *self.quickbooks.control_handlers,
            *self.xero.control_handlers,
            *page_handlers(self.stripe.world),
            _styles,
        ]


@get("/_static/sandbox.css", sync_to_thread=False)
def _styles() -> Response[str]:
    return stylesheet()


def create_sandbox(
    settings: SandboxSettings | None = None, runtime: Runtime | None = None, http: httpx.AsyncClient | None = None
) -> Sandbox:
    """Build a sandbox; ``http`` is the client that sends its webhooks (an in-process one in simulations)."""
    return Sandbox(settings or SandboxSettings(), runtime, http)


def run(settings: SandboxSettings, *, host: str = "127.0.0.1", port: int = 8001) -> None:
    """Serve a sandbox until interrupted."""
    uvicorn.run(
        create_sandbox(settings).app,
        host=host,
        port=port,
        log_level="warning",
        timeout_graceful_shutdown=2,
    )
