"""The headers of every response that the application can give (C4, C6, C7, C8, C11, C12)."""

import re
from collections.abc import AsyncIterator

import httpx
import msgspec
import pytest
from litestar import Litestar, get

from core.config import Settings
from core.wiring import Wiring
from tests.browser import Browser
from tests.factories import Person, make_person
from tests.runtime import START
from tests.web.matrix import MATRIX, make_things
from tests.web.routes import fill, walk
from web.app import create_app
from web.headers import content_policy, security_headers

ALWAYS = {
    "strict-transport-security": "max-age=31536000; includeSubDomains",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; base-uri 'none'; frame-ancestors 'none'; "
    "form-action 'self' https://appcenter.intuit.com https://marketplace.stripe.com"
)


def check(answer: httpx.Response, *, is_static: bool = False) -> None:
    for name, value in ALWAYS.items():
        assert answer.headers.get_list(name) == [value], name
    assert answer.headers.get_list("content-security-policy") == [POLICY]
    assert re.fullmatch(r"([a-z-]+=\(\)(, )?)+", answer.headers["permissions-policy"])
    assert re.fullmatch(r"[0-9a-f]{16}", answer.headers["x-request-id"])
    assert not [name for name in answer.headers if name.startswith("access-control-")]
    assert "server" not in answer.headers
    assert "x-powered-by" not in answer.headers
    kept = "public, max-age=31536000, immutable" if is_static else "no-store"
    assert answer.headers.get_list("cache-control") == [kept]


@pytest.fixture
async def owner(wiring: Wiring) -> Person:
    return await make_person(wiring, tenant={"posting_starts_at": START})


async def test_every_route_with_and_without_a_session(
    app: Litestar, browser: Browser, owner_browser: Browser, wiring: Wiring, owner: Person
) -> None:
    things = await make_things(wiring, owner.tenant_id)
    for method, template, _handler in walk(app):
        line = MATRIX[method, template]
        path = fill(template, {**line.path, **{name: things[kind] for name, kind in line.ids.items()}})
        for visitor in (browser, owner_browser):
            if not (line.is_stream and visitor is owner_browser):
                headers = {"Origin": "https://elsewhere.example"} if method == "GET" else {}
                check(await visitor.http.request(method, path, headers=headers))
            check(await visitor.http.request("OPTIONS", path))
            check(await visitor.http.request("DELETE", path))


async def test_errors_of_every_kind(browser: Browser, owner_browser: Browser) -> None:
    seen = set()
    for answer in (
        await browser.get("/nowhere"),
        await browser.http.put("/sign-in"),
        await browser.http.post("/sign-in"),
        await browser.get("/sign-in", headers={"Host": "evil.example"}),
        await browser.get("/sign-in?next=" + "x" * 9000),
        await browser.get("/sign-in?next=%00"),
        await owner_browser.post("/step-up", {"password": "x" * 70_000}),
        await owner_browser.http.post("/step-up", files={"a": b"b"}, headers={"Sec-Fetch-Site": "same-origin"}),
        await browser.get("/static/nothing.css"),
    ):
        check(answer)
        seen.add(answer.status_code)
    assert seen == {400, 403, 404, 405, 413, 414, 415}


async def test_static_files_are_kept_for_a_year_and_set_no_cookie(app: Litestar, browser: Browser) -> None:
    for asset in app.state.assets:
        answer = await browser.get(asset.url)
        assert answer.status_code == 200
        check(answer, is_static=True)
        assert "set-cookie" not in answer.headers
        again = await browser.get(asset.url, headers={"If-None-Match": answer.headers["etag"]})
        assert again.status_code == 304
        check(again, is_static=True)


@get("/test-only/breaks", opt={"public": True}, sync_to_thread=False)
def breaks() -> None:
    raise ValueError("canary-of-an-exception")


@get("/test-only/recursion", opt={"public": True}, sync_to_thread=False)
def recursion() -> None:
    raise RecursionError


@pytest.fixture
async def broken(wiring: Wiring) -> AsyncIterator[Browser]:
    """An application with handlers that fail."""
    app = create_app(wiring.settings, wiring=wiring)
    app.register(breaks)
    app.register(recursion)
    async with app.lifespan(), Browser(app) as opened:
        yield opened


async def test_a_fault_of_ours_is_a_calm_page_with_a_request_id(broken: Browser) -> None:
    answer = await broken.get("/test-only/breaks")
    assert answer.status_code == 500
    check(answer)
    assert answer.headers["x-request-id"] in answer.text
    for word in ("canary", "ValueError", "Traceback", "test_security_headers"):
        assert word not in answer.text
    htmx = await broken.get("/test-only/breaks", headers={"HX-Request": "true"})
    assert htmx.status_code == 500
    assert "canary" not in htmx.text


async def test_running_out_of_stack_is_the_callers_fault(broken: Browser) -> None:
    """Junk nested thousands of levels deep runs parsers out of stack (I9)."""
    assert (await broken.get("/test-only/recursion")).status_code == 400


async def test_an_error_for_htmx_is_a_word_beside_the_page(browser: Browser) -> None:
    answer = await browser.get("/nowhere", headers={"HX-Request": "true"})
    assert answer.status_code == 404
    check(answer)
    assert "<hx-partial" in answer.text
    assert "<html" not in answer.text


async def test_the_schema_is_not_public(browser: Browser) -> None:
    for path in (
        "/schema",
        "/schema/openapi.json",
        "/schema/swagger",
        "/openapi.json",
        "/docs",
        "/.git/config",
        "/.env",
    ):
        assert (await browser.get(path)).status_code == 404


async def test_fragments_say_what_they_vary_by(owner_browser: Browser) -> None:
    answer = await owner_browser.get("/payments")
    assert "HX-Request-Type" in answer.headers["vary"]


async def test_nothing_on_a_page_comes_from_elsewhere(browser: Browser, owner_browser: Browser, app: Litestar) -> None:
    """Scripts, styles, fonts and pictures are ours (C12)."""
    pages = [await browser.get("/sign-in"), await browser.get("/sign-up"), await owner_browser.get("/payments")]
    for text in (
        *(page.text for page in pages),
        *(a.body.decode() for a in app.state.assets if a.name.endswith(".css")),
    ):
        assert not re.search(r"(?:src=|@import|url\(|<link[^>]*href=)[\"']?(?:https?:)?//", text)


def test_the_policy_names_the_consent_pages_in_use(settings: Settings) -> None:
    """Chromium checks where the answer of a form redirects to: without these, "Connect" dies (C4)."""
    connect = msgspec.structs.replace(settings, stripe_connect_mode="connect")
    assert "https://connect.stripe.com" in content_policy(connect)
    assert "marketplace" not in content_policy(connect)
    sandbox = msgspec.structs.replace(settings, quickbooks_authorize_url="http://localhost:8001/connect/oauth2")
    assert content_policy(sandbox).endswith("http://localhost:8001 https://marketplace.stripe.com")
    assert "xero" not in content_policy(settings)
    assert "https://login.xero.com" in content_policy(msgspec.structs.replace(settings, xero_client_id="client"))
    for part in ("unsafe-inline", "unsafe-eval", "*", "nonce"):
        assert part not in content_policy(settings)


def test_plain_http_promises_no_https(settings: Settings) -> None:
    local = msgspec.structs.replace(settings, app_base_url="http://localhost:8000")
    assert "Strict-Transport-Security" not in security_headers(local)
