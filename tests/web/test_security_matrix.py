"""Who gets what from every route, by session, role and tenant (T1, T6, T7, T8, T10, C3)."""

import re
from collections.abc import AsyncIterator
from uuid import uuid4

import httpx
import pytest
from litestar import Litestar
from sqlalchemy import inspect, select

from core.db.models import Membership, Tenant
from core.db.types import Base
from core.wiring import Wiring
from tests.apps import app_over
from tests.browser import Browser
from tests.factories import Person, make_person
from tests.outside import Outside
from tests.runtime import START
from tests.web.matrix import MATRIX, Line, make_things
from tests.web.routes import fill, walk
from web.sessions import session_csrf_token

LINES = [pytest.param(*key, line, id=" ".join(key)) for key, line in MATRIX.items()]
PEOPLE = [param for param in LINES if param.values[2].open_to == "people"]  # type: ignore[union-attr]
WITH_IDS = [param for param in LINES if param.values[2].ids]  # type: ignore[union-attr]
REQUEST_ID = re.compile(r"\b[0-9a-f]{16}\b")
HTMX = {"HX-Request": "true", "HX-Request-Type": "partial", "HX-Current-URL": "https://tieout.test/payments"}


@pytest.fixture
async def app(wiring: Wiring) -> AsyncIterator[Litestar]:
    """The application, with stand-ins of the providers to talk to."""
    outside = Outside(wiring).wiring
    application = app_over(outside)
    async with application.lifespan():
        yield application


@pytest.fixture
async def owner(wiring: Wiring) -> Person:
    """An owner whose workspace is set up and posts."""
    return await make_person(wiring, tenant={"posting_starts_at": START})


@pytest.fixture
async def things(wiring: Wiring, owner: Person) -> dict[str, str]:
    return await make_things(wiring, owner.tenant_id)


@pytest.fixture
async def foreign_things(wiring: Wiring, stranger: Person) -> dict[str, str]:
    return await make_things(wiring, stranger.tenant_id)


@pytest.fixture
async def member_browser(app: Litestar, member: Person) -> AsyncIterator[Browser]:
    async with Browser(app) as opened:
        opened.enter(member)
        yield opened


async def call(browser: Browser, method: str, path: str, line: Line, **headers: str) -> httpx.Response:
    if method == "GET":
        return await browser.get(path, headers=headers)
    if line.open_to == "provider":
        return await browser.http.post(path, content=b"{}", headers=headers)
    return await browser.post(path, line.form, headers=headers)


def path_of(template: str, line: Line, things: dict[str, str]) -> str:
    return fill(template, {**line.path, **{name: things[kind] for name, kind in line.ids.items()}})


async def test_every_route_has_a_line_and_every_line_a_route(app: Litestar) -> None:
    routes = {(method, path) for method, path, _ in walk(app)}
    assert routes - set(MATRIX) == set(), "add a line to tests/web/matrix.py"
    assert set(MATRIX) - routes == set(), "this route is gone"


async def test_no_route_is_cached(app: Litestar) -> None:
    """Litestar's cache does not know the user: one person would see another's page (T8)."""
    assert [path for _, path, handler in walk(app) if handler.cache] == []
    assert app.response_cache_config.default_expiration is None or all(not h.cache for *_, h in walk(app))


async def test_a_handler_says_that_it_is_open_only_where_the_matrix_does(app: Litestar) -> None:
    for method, path, handler in walk(app):
        is_open = any(handler.opt.get(word) for word in ("public", "door", "stateless", "webhook", "static"))
        assert is_open == (MATRIX[method, path].open_to != "people"), f"{method} {path}"


@pytest.mark.parametrize(("method", "template", "line"), LINES)
async def test_without_a_session(browser: Browser, method: str, template: str, line: Line) -> None:
    path = fill(template, line.path)
    if line.open_to in {"people", "anyone"} and method == "POST":
        answer = await browser.post(path, {**line.form, "_csrf_token": "f" * 64})
    else:
        answer = await call(browser, method, path, line)
    if line.open_to == "people":
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/sign-in")
        assert answer.content == b""
    else:
        assert answer.status_code in {200, 303, 400, 404, 422}


@pytest.mark.parametrize(("method", "template", "line"), PEOPLE)
async def test_htmx_without_a_session(browser: Browser, method: str, template: str, line: Line) -> None:
    path = fill(template, line.path)
    if method == "POST":
        answer = await browser.post(path, {**line.form, "_csrf_token": "f" * 64}, headers=HTMX)
    else:
        answer = await browser.get(path, headers=HTMX)
    assert answer.status_code == 401
    assert answer.headers["hx-redirect"] == "/sign-in?next=/payments"
    assert answer.content == b""


@pytest.mark.parametrize(("method", "template", "line"), LINES)
async def test_as_the_owner(
    owner_browser: Browser, things: dict[str, str], method: str, template: str, line: Line
) -> None:
    if line.is_stream:
        pytest.skip("a stream never ends; tests/web/test_events.py reads it over a real port")
    answer = await call(owner_browser, method, path_of(template, line, things), line)
    assert answer.status_code == line.owner, answer.text


@pytest.mark.parametrize(("method", "template", "line"), LINES)
async def test_as_a_member(
    member_browser: Browser, things: dict[str, str], method: str, template: str, line: Line
) -> None:
    if line.is_stream:
        pytest.skip("a stream never ends; tests/web/test_events.py reads it over a real port")
    answer = await call(member_browser, method, path_of(template, line, things), line)
    assert answer.status_code == line.member, answer.text


@pytest.mark.parametrize("headers", [{}, HTMX], ids=["page", "htmx"])
@pytest.mark.parametrize(("method", "template", "line"), WITH_IDS)
async def test_foreign_and_missing_ids_are_the_same_404(
    owner_browser: Browser,
    wiring: Wiring,
    things: dict[str, str],
    foreign_things: dict[str, str],
    method: str,
    template: str,
    line: Line,
    headers: dict[str, str],
) -> None:
    before = await _snapshot(wiring)
    foreign = await call(owner_browser, method, path_of(template, line, foreign_things), line, **headers)
    nowhere = dict.fromkeys(foreign_things, str(uuid4()))
    missing = await call(owner_browser, method, path_of(template, line, nowhere), line, **headers)
    assert foreign.status_code == missing.status_code == 404
    assert REQUEST_ID.sub("", foreign.text) == REQUEST_ID.sub("", missing.text)
    names = [{name for name in answer.headers if name != "x-request-id"} for answer in (foreign, missing)]
    assert names[0] == names[1]
    for value in foreign_things.values():
        assert value not in foreign.text
    assert await _snapshot(wiring) == before


ASKS_THE_PROVIDER = {"/connect/{key:str}/disconnected", "/connect/{key:str}/reconnect"}
"""Opened by providers; they ask the provider about the visitor's own connection and write what it said (O12)."""
READS = [param for param in LINES if param.values[0] == "GET" and param.values[1] not in ASKS_THE_PROVIDER]


@pytest.mark.parametrize(("method", "template", "line"), READS)
async def test_reading_changes_nothing(
    owner_browser: Browser, wiring: Wiring, things: dict[str, str], method: str, template: str, line: Line
) -> None:
    """GET, HEAD and OPTIONS leave the database as it was (C3)."""
    before = await _snapshot(wiring)
    path = path_of(template, line, things)
    for verb in ("GET", "HEAD", "OPTIONS"):
        if not (line.is_stream and verb == "GET"):
            await owner_browser.http.request(verb, path)
    assert await _snapshot(wiring) == before


async def _snapshot(wiring: Wiring) -> dict[str, list[object]]:
    async with wiring.db.engine.connect() as connection:
        tables = Base.metadata.sorted_tables
        return {table.name: sorted(map(repr, (await connection.execute(select(table))).all())) for table in tables}


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "PROPFIND", "get"])
async def test_other_methods_are_refused_everywhere(
    owner_browser: Browser, app: Litestar, things: dict[str, str], method: str
) -> None:
    for _, template, _handler in walk(app):
        answer = await owner_browser.http.request(method, fill(template))
        expected = {405} if method != "get" else {200, 303, 400, 404, 405}
        assert answer.status_code in expected, template


async def test_the_tenant_is_never_taken_from_the_request(
    app: Litestar, wiring: Wiring, owner: Person, stranger: Person, foreign_things: dict[str, str]
) -> None:
    """Query, form, header, cookie: nothing of it decides whose rows are read (T1)."""
    claim = str(stranger.tenant_id)
    async with Browser(app) as browser:
        browser.enter(owner)
        honest = await browser.get("/payments")
        browser.http.cookies.set("tenant_id", claim, domain="tieout.test")
        claimed = await browser.get(
            f"/payments?tenant_id={claim}&tenant={claim}", headers={"X-Tenant-Id": claim, "Tenant-Id": claim}
        )
        assert foreign_things["payment"] not in claimed.text
        assert claimed.text.count("<tr") == honest.text.count("<tr")
        answer = await browser.post("/mapping/refresh", {"tenant_id": claim})
        assert answer.status_code == 400, "a field that the form does not have"
    async with wiring.db.open_session() as session:
        rows = (await session.execute(select(Membership.tenant_id, Membership.role))).all()
        assert len(rows) == len(set(rows)) == 2
        assert inspect(Tenant)


async def test_links_hold_random_ids_only(owner_browser: Browser, things: dict[str, str]) -> None:
    """No counters in addresses: the next one cannot be guessed (T7)."""
    random_id = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
    for page in ("/payments", "/mapping", "/connections", f"/payments/{things['payment']}"):
        html = (await owner_browser.get(page)).text
        links = re.findall(r'(?:href|action|hx-get|hx-post)="(/[^"]*)"', html)
        assert links
        for link in links:
            path = random_id.sub("", link.partition("?")[0])
            if not path.startswith("/static/"):
                assert not re.search(r"/\d+(/|$)", path), link


async def test_a_members_token_does_not_make_an_owner(member_browser: Browser, wiring: Wiring, member: Person) -> None:
    token = session_csrf_token(wiring.settings, member.session_hash)
    form = {"_csrf_token": token, "role": "owner"}
    assert (await member_browser.post("/step-up", form)).status_code == 400
    async with wiring.db.open_session() as session:
        assert await session.scalar(select(Membership.role).where(Membership.user_id == member.user_id)) == "member"
