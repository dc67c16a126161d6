"""A stateful stand-in of QuickBooks Online: OAuth, the accounting API, and real books below it.

It imitates ``facts``: documented and recorded behaviour; what nobody knows is a switch of :class:`Behaviour`.
"""

from litestar.handlers import HTTPRouteHandler

from web.sandbox.clock import SandboxClock
from web.sandbox.faults import Faults
from web.sandbox.log import RequestLog
from web.sandbox.quickbooks.api import api_routes
from web.sandbox.quickbooks.consent import oauth_routes
from web.sandbox.quickbooks.control import control_routes
from web.sandbox.quickbooks.errors import injected
from web.sandbox.quickbooks.pages import page_routes
from web.sandbox.quickbooks.world import World
from web.sandbox.settings import SandboxSettings

__all__ = ["QuickBooksSandbox"]


class QuickBooksSandbox:
    """One Intuit: all its companies, and the handlers that a sandbox app mounts."""

    def __init__(self, clock: SandboxClock, faults: Faults, log: RequestLog, settings: SandboxSettings) -> None:
        self.world = World(clock, settings)
        self.log = log
        faults.register_shape("quickbooks", lambda rule: injected(rule, clock.now()))

    @property
    def route_handlers(self) -> list[HTTPRouteHandler]:
        return [*api_routes(self.world), *oauth_routes(self.world), *page_routes(self.world)]

    @property
    def control_handlers(self) -> list[HTTPRouteHandler]:
        return control_routes(self.world)
