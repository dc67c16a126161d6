"""Connections: the page, consent and its callback, a pasted key, the end, and the pages that providers open."""

from typing import Any

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from sqlalchemy.ext.asyncio import AsyncSession

from core.connections.attach import Person
from core.connections.books import connect_built_in, refresh_books
from core.connections.check import check_connection
from core.connections.choice import finish_choice, read_choices
from core.connections.consent import begin_consent, finish_consent
from core.connections.disconnect import disconnect
from core.connections.health import read_connections
from core.connections.providers import STRIPE, display_name, uses_consent
from core.connections.refusals import ConnectError, link_is_spent
from core.connections.restricted_key import FIELD, connect_restricted_key
from core.errors import InputError, NotFoundError, ProviderError
from core.logging import get_logger
from core.reports.standing import read_standing
from core.wiring import Wiring
from web.deps import Visitor
from web.facts import facts_of
from web.flash import redirect_with
from web.forms import take_form
from web.guards import owners_only, signed_in, stepped_up
from web.htmx import see_other
from web.links import with_next
from web.pages.connections_view import connection_card, connections_view
from web.shell import place_of, signed_in_page
from web.views import Choice, ChooseCompanyView, Toast

PATH = "/connections"
MAX_PARAMETER = 2000
COMPANY = "company"
_MAX_KEY = 300
_log = get_logger("web")


@get(PATH, guards=[signed_in])
async def connections_page(
    request: Request[Any, Any, Any],
    visitor: NamedDependency[Visitor],
    tenant_session: NamedDependency[AsyncSession],
    wiring: NamedDependency[Wiring],
) -> Response[str]:
    return await _page(request, visitor, tenant_session, wiring)


@post(PATH + "/{key:str}/connect", guards=[signed_in, owners_only, stepped_up(PATH)], status_code=303)
async def connect(
    request: Request[Any, Any, Any],
    visitor: NamedDependency[Visitor],
    wiring: NamedDependency[Wiring],
    key: FromPath[str],
) -> Response[Any]:
    take_form(request)
    person = person_of(visitor)
    try:
        if uses_consent(key):
            return see_other(await begin_consent(wiring, person, key))
        connection_id = await connect_built_in(wiring, person, key)
    except ConnectError as exc:
        return _refused(request, visitor, exc)
    return await _connected(request, visitor, wiring, key, connection_id)


@get("/connect/{key:str}/callback", guards=[signed_in, owners_only], status_code=303)
async def callback(
    request: Request[Any, Any, Any],
    visitor: NamedDependency[Visitor],
    wiring: NamedDependency[Wiring],
    key: FromPath[str],
) -> Response[Any]:
    answer = {name: value[:MAX_PARAMETER] for name, value in request.query_params.items()}
    try:
        connection_id = await finish_consent(wiring, person_of(visitor), key, answer)
    except ConnectError as exc:
        return _refused(request, visitor, exc)
    if connection_id is None:
        return see_other(f"{PATH}/{key}/choose")
    return await _connected(request, visitor, wiring, key, connection_id)


@get(PATH + "/{key:str}/choose", guards=[signed_in, owners_only])
async def choose_page(
    request: Request[Any, Any, Any],
    visitor: NamedDependency[Visitor],
    wiring: NamedDependency[Wiring],
    key: FromPath[str],
) -> Response[Any]:
    return await _choose(request, visitor, wiring, key)


@post(PATH + "/{key:str}/choose", guards=[signed_in, owners_only], status_code=303)
async def choose(
    request: Request[Any, Any, Any],
    visitor: NamedDependency[Visitor],
    wiring: NamedDependency[Wiring],
    key: FromPath[str],
) -> Response[Any]:
    form = take_form(request, COMPANY)
    choices = await read_choices(wiring, person_of(visitor), key)
    company = form.choice(COMPANY, {choice.external_id for choice in choices})
    if company is None:
        return await _choose(request, visitor, wiring, key, error=form.errors[COMPANY])
    try:
        connection_id = await finish_choice(wiring, person_of(visitor), key, company)
    except ConnectError as exc:
        return _refused(request, visitor, exc)
    return await _connected(request, visitor, wiring, key, connection_id)


@post(PATH + "/stripe/key", guards=[signed_in, owners_only, stepped_up(PATH)], status_code=303)
async def connect_by_key(
    request: Request[Any, Any, Any], visitor: NamedDependency[Visitor], wiring: NamedDependency[Wiring]
) -> Response[Any]:
    form = take_form(request, FIELD)
    pasted = form.text(FIELD, max_length=_MAX_KEY)
    try:
        if not form.is_valid:
            raise InputError(form.errors[FIELD], field=FIELD)
        connection_id = await connect_restricted_key(wiring, person_of(visitor), pasted)
    except ConnectError as exc:
        return _refused(request, visitor, exc)
    except InputError as exc:
        async with wiring.db.tenant(visitor.tenant_id) as session:
            return await _page(request, visitor, session, wiring, key_error=exc.message)
    return await _connected(request, visitor, wiring, STRIPE, connection_id)


@get(PATH + "/{key:str}/disconnect", guards=[signed_in, owners_only])
async def disconnect_page(
    request: Request[Any, Any, Any],
    visitor: NamedDependency[Visitor],
    tenant_session: NamedDependency[AsyncSession],
    wiring: NamedDependency[Wiring],
    key: FromPath[str],
) -> Response[str]:
    place = place_of(request, visitor)
    standing = await read_standing(tenant_session, visitor.tenant_id, now=place.now)
    report = await read_connections(tenant_session, now=place.now, zone=place.zone)
    card = connection_card(key, report, settings=wiring.settings, place=place, can_manage=True)
    if card is None:
        raise NotFoundError("nothing is connected")
    return signed_in_page(
        request, "connections/disconnect.html", page="connections", visitor=visitor, standing=standing, view=card
    )


@post(
    PATH + "/{key:str}/disconnect",
    guards=[signed_in, owners_only, stepped_up(PATH + "/{key}/disconnect")],
    status_code=303,
)
async def end_connection(
    request: Request[Any, Any, Any],
    visitor: NamedDependency[Visitor],
    wiring: NamedDependency[Wiring],
    key: FromPath[str],
) -> Response[Any]:
    take_form(request)
    is_confirmed = await disconnect(wiring, person_of(visitor), key)
    name = display_name(key)
    outcome = "done" if is_confirmed else "not_confirmed"
    _log.info("disconnect", kind=key, outcome=outcome, request_id=facts_of(request.scope).request_id)
    text = f"{name} is disconnected. Its access keys are gone from here."
    if not is_confirmed:
        text += f" {name} did not confirm it; you can end our access there as well."
    return redirect_with(request, visitor, PATH, Toast(text=text))


@get(["/connect/{key:str}/disconnected", "/connect/{key:str}/reconnect"], opt={"public": True}, status_code=303)
async def opened_by_provider(
    request: Request[Any, Any, Any], wiring: NamedDependency[Wiring], key: FromPath[str]
) -> Response[Any]:
    """Where a provider sends people after they disconnected there, or when their consent is ending (O12).

    Anyone can call this with anything in the query, so the query is not read: the provider is asked about the visitor's
    own connection, and that is all.
    """
    display_name(key)
    visitor = facts_of(request.scope).visitor
    if visitor is None:
        return see_other(with_next("/sign-in", PATH))
    await check_connection(wiring, tenant_id=visitor.tenant_id, kind=key)
    return see_other(PATH)


def person_of(visitor: Visitor) -> Person:
    """Return who acts, as the session says."""
    return Person(tenant_id=visitor.tenant_id, user_id=visitor.user_id, session_hash=visitor.session_hash)


async def _page(
    request: Request[Any, Any, Any], visitor: Visitor, session: AsyncSession, wiring: Wiring, *, key_error: str = ""
) -> Response[str]:
    place = place_of(request, visitor)
    standing = await read_standing(session, visitor.tenant_id, now=place.now)
    report = await read_connections(session, now=place.now, zone=place.zone)
    view = connections_view(
        report,
        standing=standing,
        settings=wiring.settings,
        place=place,
        can_manage=visitor.is_owner,
        key_error=key_error,
    )
    return signed_in_page(
        request,
        "connections/index.html",
        page="connections",
        visitor=visitor,
        standing=standing,
        view=view,
        status=422 if key_error else 200,
    )


async def _choose(
    request: Request[Any, Any, Any], visitor: Visitor, wiring: Wiring, key: str, *, error: str = ""
) -> Response[Any]:
    name = display_name(key)
    choices = await read_choices(wiring, person_of(visitor), key)
    if not choices:
        return _refused(request, visitor, link_is_spent(key))
    view = ChooseCompanyView(
        key=key, name=name, choices=tuple(Choice(id=c.external_id, label=c.name) for c in choices), error=error
    )
    async with wiring.db.tenant(visitor.tenant_id) as session:
        standing = await read_standing(session, visitor.tenant_id, now=wiring.runtime.now())
    return signed_in_page(
        request,
        "connections/choose.html",
        page="connections",
        visitor=visitor,
        standing=standing,
        view=view,
        status=422 if error else 200,
    )


def _refused(request: Request[Any, Any, Any], visitor: Visitor, exc: ConnectError) -> Response[bytes]:
    _log.info("connect", kind=exc.kind, outcome="refused", request_id=facts_of(request.scope).request_id)
    return redirect_with(request, visitor, PATH, Toast(text=f"{exc.title}. {exc.message}", is_problem=True))


async def _connected(
    request: Request[Any, Any, Any], visitor: Visitor, wiring: Wiring, key: str, connection_id: Any
) -> Response[bytes]:
    """Say so, and read the books' accounts at once: the mapping is the next thing to do."""
    _log.info("connect", kind=key, outcome="done", request_id=facts_of(request.scope).request_id)
    text = f"{display_name(key)} is connected."
    if key != STRIPE:
        try:
            await refresh_books(wiring, tenant_id=visitor.tenant_id, connection_id=connection_id)
        except ProviderError:
            text += " Its accounts could not be read yet; open the mapping page to try again."
    return redirect_with(request, visitor, PATH if visitor.is_set_up else "/start", Toast(text=text))


ROUTES = [
    connections_page,
    connect,
    callback,
    choose_page,
    choose,
    connect_by_key,
    disconnect_page,
    end_connection,
    opened_by_provider,
]
