"""Who may call what. One guard stands before every handler of the application; pages add stricter ones.

A handler is closed unless its ``opt`` says otherwise, so a forgotten word locks a page and never opens one:

- ``public``: anyone may call it.
- ``door``: public, with a form for people who are not signed in; its token hangs on a cookie of its own.
- ``stateless``: public, and it looks at no cookie (health, static files).
- ``webhook``: signed by a provider; no cookie, no origin, no form token, its own body limit.
"""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from litestar import Request
from litestar.exceptions import HTTPException
from litestar.handlers import BaseRouteHandler

from core.config import Settings
from core.crypto import same
from core.identity.sessions import find_visit
from core.wiring import Wiring
from web.facts import AnyConnection, RequestFacts, Visitor, facts_of
from web.forms import CSRF_FIELD, AnyRequest, read_fields
from web.sessions import DOOR, SESSION, door_csrf_token, session_csrf_token, token_in

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
CSRF_HEADER = "x-csrf-token"


class NotSignedInError(Exception):
    """This page needs a session and there is none."""


class StepUpNeededError(Exception):
    """This act needs the password again; afterwards the person is at ``following``."""

    def __init__(self, following: str) -> None:
        super().__init__(following)
        self.following = following


class ForeignFormError(Exception):
    """An unsafe request that did not come from a page of ours, or came from one that is too old (C1, C2)."""


async def keep_the_gate(connection: AnyConnection, handler: BaseRouteHandler) -> None:
    """Guard of the whole application: origin, session, form, token, in this order. The body is read last."""
    opt = handler.opt
    method = connection.scope.get("method", "")
    if opt.get("webhook") or opt.get("stateless") or opt.get("static") or method == "OPTIONS":
        return
    is_unsafe = method not in SAFE_METHODS
    settings: Settings = connection.app.state.settings
    if is_unsafe:
        check_origin(connection, settings)
    facts = facts_of(connection.scope)
    await _load_visitor(connection, settings, facts)
    if facts.visitor is None and not (opt.get("public") or opt.get("door")):
        raise NotSignedInError
    if is_unsafe and isinstance(connection, Request):
        facts.fields = await read_fields(connection)
        _check_token(connection, settings, facts, is_door=bool(opt.get("door")))


async def signed_in(connection: AnyConnection, _handler: BaseRouteHandler) -> None:
    """Page guard: only with a session."""
    _visitor(connection)


async def owners_only(connection: AnyConnection, _handler: BaseRouteHandler) -> None:
    """Page guard: only for owners. The service layer checks again (T10)."""
    if not _visitor(connection).is_owner:
        raise HTTPException(status_code=403)


def stepped_up(following: str) -> Callable[[AnyConnection, BaseRouteHandler], Any]:
    """Return a page guard: only when the password was given within the last ten minutes (S6).

    Args:
        following: path of ours where the person is after giving it; ``{key}`` stands for a path parameter.
    """

    async def need_password(connection: AnyConnection, _handler: BaseRouteHandler) -> None:
        if not _visitor(connection).knows_password:
            parameters = {name: quote(str(value), safe="") for name, value in connection.path_params.items()}
            raise StepUpNeededError(following.format_map(parameters))

    return need_password


def check_origin(connection: AnyConnection, settings: Settings) -> None:
    """Refuse an unsafe request that another site began (C1).

    Raises:
        ForeignFormError: neither header vouches for it.
    """
    sites = connection.headers.getall("sec-fetch-site", [])
    if sites:
        if not all(site in {"same-origin", "none"} for site in sites):
            raise ForeignFormError
        return
    if connection.headers.getall("origin", []) != [settings.app_base_url.rstrip("/")]:
        raise ForeignFormError


async def _load_visitor(connection: AnyConnection, settings: Settings, facts: RequestFacts) -> None:
    token = token_in(connection.cookies, settings, SESSION)
    if token is None:
        return
    wiring: Wiring = connection.app.state.wiring
    visit = await find_visit(wiring.db, token)
    if visit is None:
        return
    facts.visit = visit
    facts.visitor = Visitor(
        user_id=visit.user_id,
        tenant_id=visit.tenant_id,
        role=visit.role,
        session_hash=visit.session_hash,
        csrf_token=session_csrf_token(settings, visit.session_hash),
        tenant_name=visit.tenant_name,
        user_name=visit.user_name,
        time_zone=visit.time_zone,
        user_email=visit.user_email,
        is_set_up=visit.is_set_up,
        knows_password=visit.knows_password(wiring.runtime.now()),
    )


def _check_token(request: AnyRequest, settings: Settings, facts: RequestFacts, *, is_door: bool) -> None:
    """Refuse a form whose token does not belong to this session or, on a page with a door, to this browser (C2)."""
    given = facts.fields.get(CSRF_FIELD, []) or request.headers.getall(CSRF_HEADER, [])
    expected = [facts.visitor.csrf_token] if facts.visitor else []
    if is_door:
        door = token_in(request.cookies, settings, DOOR)
        expected += [door_csrf_token(settings, door)] if door else []
    if len(given) != 1 or not any(same(given[0], token) for token in expected):
        raise ForeignFormError


def _visitor(connection: AnyConnection) -> Visitor:
    visitor = facts_of(connection.scope).visitor
    if visitor is None:
        raise NotSignedInError
    return visitor
