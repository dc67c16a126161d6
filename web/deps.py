"""What handlers may ask for by name: ``wiring``, ``visitor``, ``tenant_session``.

Use them as ``visitor: NamedDependency[Visitor]``. ``tenant_session`` is one transaction of the visitor's tenant, for
reading under GET and for writing otherwise. It is committed after the handler has returned and before anything is sent,
so a commit that fails becomes an error page (trap 1). A stream must open its own (trap 2).
"""

from collections.abc import AsyncIterator
from typing import Any

from litestar import Request
from litestar.datastructures import State
from litestar.di import Provide
from sqlalchemy.ext.asyncio import AsyncSession

from core.wiring import Wiring
from web.background import Background
from web.facts import Visitor, facts_of
from web.guards import SAFE_METHODS, NotSignedInError

__all__ = ["Visitor", "dependencies", "provide_tenant_session", "provide_visitor", "provide_wiring"]


def dependencies() -> dict[str, Provide]:
    """Return the providers of the whole application."""
    return {
        "wiring": Provide(provide_wiring, sync_to_thread=False),
        "background": Provide(provide_background, sync_to_thread=False),
        "visitor": Provide(provide_visitor, sync_to_thread=False),
        "tenant_session": Provide(provide_tenant_session),
    }


def provide_wiring(state: State) -> Wiring:
    """Return what this process holds."""
    wiring: Wiring = state.wiring
    return wiring


def provide_background(state: State) -> Background:
    """Return what runs beside the pages."""
    background: Background = state.background
    return background


def provide_visitor(request: Request[Any, Any, Any]) -> Visitor:
    """Return the signed-in person; a page without one was left open by mistake, so it closes here."""
    visitor = facts_of(request.scope).visitor
    if visitor is None:
        raise NotSignedInError
    return visitor


async def provide_tenant_session(request: Request[Any, Any, Any]) -> AsyncIterator[AsyncSession]:
    """Open one transaction of the visitor's tenant."""
    wiring: Wiring = request.app.state.wiring
    visitor = provide_visitor(request)
    async with wiring.db.tenant(visitor.tenant_id, write=request.method not in SAFE_METHODS) as session:
        yield session
