"""First run: four steps, and the last one starts the posting."""

from typing import Any

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from sqlalchemy.ext.asyncio import AsyncSession

from core.connections.setup import FIELD, Setup, choosable_days, read_setup, start_posting
from core.errors import InputError
from core.reports.history import read_history
from core.reports.standing import Standing, read_standing
from core.sync.history import start_history
from core.wiring import Wiring
from web.deps import Visitor
from web.flash import redirect_with
from web.formats import local_day, write_count, write_long_date
from web.forms import take_form
from web.guards import signed_in
from web.htmx import see_other
from web.pages.history_view import status_line
from web.shell import place_of, signed_in_page
from web.views import FirstDay, Link, Place, StartView, Step, Toast

PATH = "/start"
_DONE = "/payments"


@get(PATH, guards=[signed_in])
async def start_page(
    request: Request[Any, Any, Any], visitor: NamedDependency[Visitor], tenant_session: NamedDependency[AsyncSession]
) -> Response[Any]:
    if visitor.is_set_up:
        return see_other(_DONE)
    return await checklist(request, visitor, tenant_session)


@post(PATH, guards=[signed_in], status_code=303)
async def start(
    request: Request[Any, Any, Any],
    visitor: NamedDependency[Visitor],
    tenant_session: NamedDependency[AsyncSession],
    wiring: NamedDependency[Wiring],
) -> Response[Any]:
    form = take_form(request, FIELD)
    day = form.day(FIELD)
    if day is None:
        return await checklist(request, visitor, tenant_session, error=form.errors[FIELD])
    try:
        has_begun = await start_posting(tenant_session, visitor.tenant_id, day, now=wiring.runtime.now())
    except InputError as exc:
        return await checklist(request, visitor, tenant_session, error=exc.message)
    if has_begun:
        # What Stripe held at that moment is known only once everything since has been read.
        await start_history(
            tenant_session, tenant_id=visitor.tenant_id, first_day=day, by_user_id=visitor.user_id,
            now=wiring.runtime.now(),
        )  # fmt: skip
    since = write_long_date(day, place_of(request, visitor))
    text = f"Syncing has started. We post payments from {since} on." if has_begun else "Syncing was started before."
    return redirect_with(request, visitor, _DONE, Toast(text=text))


async def checklist(
    request: Request[Any, Any, Any], visitor: Visitor, session: AsyncSession, *, error: str = ""
) -> Response[str]:
    """Show the steps, with what was wrong with the day that was chosen."""
    place = place_of(request, visitor)
    standing = await read_standing(session, visitor.tenant_id, now=place.now)
    setup = await read_setup(session, visitor.tenant_id)
    report = await read_history(session, standing, now=place.now)
    history = status_line(report, place) if report else ""
    return signed_in_page(
        request,
        "start/index.html",
        page="start",
        visitor=visitor,
        standing=standing,
        view=start_view(setup, standing=standing, place=place, error=error, history=history),
        status=422 if error else 200,
    )


def start_view(setup: Setup, *, standing: Standing, place: Place, error: str = "", history: str = "") -> StartView:
    """Return the checklist: the first step that is not done is the one to do now."""
    parts = (
        (
            setup.stripe is not None,
            "Connect Stripe",
            _stripe_text(setup),
            Link(label="Connect Stripe", href="/connections"),
        ),
        (
            setup.books is not None,
            "Connect your books",
            f"{setup.books} in {standing.books_name}." if setup.books else "They receive each payment once.",
            Link(label="Connect your books", href="/connections#books"),
        ),
        (
            setup.is_mapped,
            "Say where income goes",
            _mapping_text(setup, standing),
            Link(label="Review mapping", href="/mapping"),
        ),
    )
    done = [is_done for is_done, *_ in parts]
    first_open = done.index(False) if False in done else len(done)
    steps = tuple(
        Step(
            title=title, text=text, link=link, state="done" if is_done else "now" if place_in == first_open else "later"
        )
        for place_in, (is_done, title, text, link) in enumerate(parts)
    )
    earliest, latest = choosable_days(place.now, standing.zone)
    return StartView(
        steps=steps,
        first_day=FirstDay(
            day=local_day(place.now, place).replace(day=1),
            earliest=earliest,
            latest=latest,
            is_open=setup.is_ready,
            why_not=_why_not(setup),
            error=error,
            history=history,
        ),
        payments_seen=setup.payments,
    )


def _stripe_text(setup: Setup) -> str:
    if setup.stripe is None:
        return "We read what was paid. We never move money."
    found = f"{write_count(setup.payments, 'payment')} found" if setup.payments else "No payments found so far"
    return f"{setup.stripe}. {found}."


def _mapping_text(setup: Setup, standing: Standing) -> str:
    if setup.books is None:
        return "An income account for what you sell, and the account that holds the money at Stripe."
    found = f"{write_count(setup.services, 'service', spell=True)} found."
    text = f"{found[:1].upper()}{found[1:]}" if setup.services else "Choose where everything goes by default."
    if standing.unmapped and setup.services:
        text += f" {standing.unmapped} without an account, please look them over."
    return text


def _why_not(setup: Setup) -> str:
    if setup.stripe is None or setup.books is None:
        return "Available once Stripe and your books are connected"
    return "Available once the mapping is reviewed"


ROUTES = [start_page, start]
