"""A stateful stand-in of Xero: identity, the Accounting API, and real books below them.

It imitates documented and recorded behaviour; what nobody outside Xero knows is a switch of
:class:`web.sandbox.xero.organisation.Behaviour` or :class:`web.sandbox.xero.world.Platform`.
"""

from litestar.handlers import HTTPRouteHandler

from web.sandbox.clock import SandboxClock
from web.sandbox.faults import Faults
from web.sandbox.log import RequestLog
from web.sandbox.settings import SandboxSettings
from web.sandbox.xero.api import api_routes
from web.sandbox.xero.consent import oauth_routes
from web.sandbox.xero.control import control_routes
from web.sandbox.xero.errors import injected
from web.sandbox.xero.pages import page_routes
from web.sandbox.xero.world import World

__all__ = ["XeroSandbox"]


class XeroSandbox:
    """One Xero: all its organisations, and the handlers that a sandbox app mounts."""

    def __init__(self, clock: SandboxClock, faults: Faults, log: RequestLog, settings: SandboxSettings) -> None:
        self.world = World(clock, settings)
        self.log = log
        faults.register_shape("xero", lambda rule: injected(rule, self.world.new_id()))

    @property
    def route_handlers(self) -> list[HTTPRouteHandler]:
        return [*api_routes(self.world), *oauth_routes(self.world), *page_routes(self.world)]

    @property
    def control_handlers(self) -> list[HTTPRouteHandler]:
        return control_routes(self.world)
