"""The frame of every signed-in page, from where the tenant stands."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from litestar import Response

from core.connections.providers import display_name
from core.db.models import Connection, ConnectionStatus
from core.reports.standing import Standing
from core.wiring import Wiring
from web.deps import Visitor
from web.flash import forget_flash, take_flash
from web.forms import AnyRequest
from web.htmx import is_partial, page_or_view
from web.views import HealthLine, Link, Notice, Place, Shell, build_nav


def signed_in_page(
    request: AnyRequest,
    template: str,
    *,
    page: str,
    visitor: Visitor,
    standing: Standing,
    view: Any,
    status: int = 200,
    **more: Any,
) -> Response[str]:
    """Render a signed-in page, whole or in part, with the word about what was just done.

    Args:
        request: of this page.
        template: ``payments/index.html``.
        page: key of the navigation's entry.
        visitor: who looks.
        standing: of the visitor's tenant, read in this request.
        view: the page's own view model.
        status: 422 for a form that comes back.
        more: further names of the template.
    """
    shell = build_shell(request, page=page, visitor=visitor, standing=standing)
    response = page_or_view(request, template, shell=shell, view=view, status=status, **more)
    forget_flash(request, response)
    return response


def build_shell(request: AnyRequest, *, page: str, visitor: Visitor, standing: Standing) -> Shell:
    """Return what the frame shows."""
    return Shell(
        page=page,
        here=here(request),
        place=place_of(request, visitor),
        csrf_token=visitor.csrf_token,
        workspace_name=visitor.tenant_name,
        workspace_note=visitor.user_email,
        nav=build_nav(
            attention=standing.attention.count,
            untied=standing.untied,
            unmapped=standing.unmapped,
            broken=standing.broken,
            is_started=standing.posting_starts_at is not None,
        ),
        health=health(standing),
        banner=banner(standing),
        toast=take_flash(request, visitor),
        partial=is_partial(request),
    )


def place_of(request: AnyRequest, visitor: Visitor) -> Place:
    """Return where and when the reader is."""
    return Place(zone=ZoneInfo(visitor.time_zone), now=now_of(request))


def now_of(request: AnyRequest) -> datetime:
    """Return the time of this process's clock."""
    wiring: Wiring = request.app.state.wiring
    return wiring.runtime.now()


def here(request: AnyRequest) -> str:
    """Return the path and query of this page as the browser wrote them."""
    query = request.scope["query_string"].decode("latin-1")
    path: str = request.scope["path"]
    return f"{path}?{query}" if query else path


def health(standing: Standing) -> tuple[HealthLine, ...]:
    """Return one line for Stripe and one for the books, connected or not."""
    books = standing.books
    return (
        HealthLine(name="Stripe", state=_state(standing.stripe)),
        HealthLine(
            name=books.display_name if books else "Your books", state=_state(books.connection if books else None)
        ),
    )


def banner(standing: Standing) -> Notice | None:
    """Say on every page that a connection is broken; the books first, since payments wait for them."""
    books = standing.books
    if books is not None and books.needs_reconnect:
        return Notice(
            title=f"{books.display_name} needs you to sign in again.",
            text="Payments are safe and waiting. They post by themselves once you reconnect.",
            link=Link(label=f"Reconnect {books.display_name}", href="/connections#books"),
        )
    if standing.stripe is not None and standing.stripe.status is ConnectionStatus.NEEDS_RECONNECT:
        return Notice(
            title="Stripe is disconnected.",
            text="We cannot see new payments. Nothing in your books changed.",
            link=Link(label=f"Reconnect {display_name('stripe')}", href="/connections#stripe"),
        )
    return None


def _state(connection: Connection | None) -> str:
    if connection is None:
        return "not_connected"
    return "connected" if connection.status is ConnectionStatus.ACTIVE else "needs_attention"
