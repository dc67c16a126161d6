"""Sessions and cookies as a browser sees them (S1, S2, S4, S6, S7, S8, A4, A5)."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from http.cookies import SimpleCookie
from urllib.parse import quote

import httpx
import msgspec
import pytest
from litestar import Litestar, get, post
from sqlalchemy import func, select

from core.db.models import FailedSignIn, UserSession
from core.identity.sessions import find_visit
from core.wiring import Wiring
from tests.browser import Browser
from tests.factories import PASSWORD, Person, make_person
from tests.runtime import VirtualRuntime
from web.app import create_app
from web.guards import signed_in, stepped_up
from web.links import own_path_of, safe_path


async def _sign_in(browser: Browser, person: Person, password: str = PASSWORD, **headers: str) -> httpx.Response:
    return await browser.post("/sign-in", {"email": person.email, "password": password}, headers=headers)


def _cookies(answer: httpx.Response) -> SimpleCookie:
    jar = SimpleCookie()
    for line in answer.headers.get_list("set-cookie"):
        jar.load(line)
    return jar


async def test_cookies_are_for_this_host_over_https_and_for_no_script(browser: Browser, owner: Person) -> None:
    page, answer = await browser.get("/sign-in"), await _sign_in(browser, owner)
    found = {**_cookies(page), **_cookies(answer)}
    assert set(found) == {"__Host-door", "__Host-session", "__Host-device"}
    for cookie in found.values():
        assert cookie["secure"]
        assert cookie["httponly"]
        assert cookie["samesite"].lower() == "lax"
        assert cookie["path"] == "/"
        assert not cookie["domain"]
    assert int(found["__Host-session"]["max-age"]) == 7 * 24 * 3600
    assert len(bytes.fromhex(found["__Host-session"].value)) == 32


async def test_plain_http_on_this_machine_has_names_that_browsers_take(wiring: Wiring, owner: Person) -> None:
    local = replace(wiring, settings=msgspec.structs.replace(wiring.settings, app_base_url="http://localhost:8000"))
    app = create_app(local.settings, wiring=local)
    async with app.lifespan(), Browser(app) as browser:
        found = {**_cookies(await browser.get("/sign-in")), **_cookies(await _sign_in(browser, owner))}
    assert set(found) == {"door", "session", "device"}
    for cookie in found.values():
        assert cookie["httponly"]
        assert cookie["samesite"].lower() == "lax"


async def test_a_planted_session_is_never_adopted(app: Litestar, browser: Browser, owner: Person) -> None:
    """Fixation: the attacker's value stays nobody, whoever signs in with it in their jar (S1)."""
    planted = "a" * 64
    browser.http.cookies.set("__Host-session", planted, domain="tieout.test")
    answer = await _sign_in(browser, owner)
    assert answer.status_code == 303
    assert browser.session_token not in {None, planted}
    async with Browser(app) as attacker:
        attacker.http.cookies.set("__Host-session", planted, domain="tieout.test")
        assert (await attacker.get("/payments")).status_code == 303


async def test_signing_in_again_ends_the_session_before(owner_browser: Browser, owner: Person, wiring: Wiring) -> None:
    assert (await _sign_in(owner_browser, owner)).status_code == 303
    assert await find_visit(wiring.db, owner.token) is None
    assert owner_browser.session_token is not None
    assert owner_browser.session_token != owner.token


async def test_visits_without_a_session_store_nothing(browser: Browser, wiring: Wiring) -> None:
    for path in ("/", "/payments", "/sign-in", "/sign-up", "/nowhere", "/health"):
        answer = await browser.get(path)
        assert "__Host-session" not in answer.headers.get("set-cookie", "")
    async with wiring.db.open_session() as session:
        assert await session.scalar(select(func.count()).select_from(UserSession)) == 0


@pytest.mark.parametrize("junk", ["", "x", "0" * 64, "é" * 64, '"', "%00", "a" * 5000, "../..", "; other=1"])
async def test_a_junk_cookie_is_nobody(app: Litestar, junk: str) -> None:
    async with Browser(app) as browser:
        headers = {"Cookie": f"__Host-session={junk}".encode()}
        answer = await browser.http.get("/payments", headers=headers)  # type: ignore[arg-type]  # httpx takes bytes too
    assert answer.status_code == 303


async def test_a_request_in_flight_does_not_revive_an_ended_session(
    app: Litestar, wiring: Wiring, owner: Person, runtime: VirtualRuntime
) -> None:
    """A poll is open, the person signs out, the poll ends: the cookie is dead (S4)."""
    entered, leave = asyncio.Event(), asyncio.Event()

    @get("/test-only/poll", guards=[signed_in])
    async def poll() -> str:
        entered.set()
        await leave.wait()
        return "done"

    app.register(poll)
    runtime.forward(minutes=6)
    async with Browser(app) as polling, Browser(app) as leaving:
        polling.enter(owner)
        leaving.enter(owner)
        waiting = asyncio.create_task(polling.get("/test-only/poll"))
        await entered.wait()
        assert (await leaving.post("/sign-out")).status_code == 303
        leave.set()
        assert (await waiting).status_code == 200
        assert (await polling.get("/payments")).status_code == 303
    async with wiring.db.open_session() as session:
        assert await session.scalar(select(func.count()).select_from(UserSession)) == 0


@pytest.fixture
async def guarded(wiring: Wiring, owner: Person) -> AsyncIterator[Browser]:
    """An application with an act that needs the password."""

    @post("/connections/{key:str}/disconnect-test", guards=[signed_in, stepped_up("/connections/{key}/disconnect")])
    async def act() -> str:
        return "done"

    app = create_app(wiring.settings, wiring=wiring)
    app.register(act)
    async with app.lifespan(), Browser(app) as browser:
        browser.enter(owner)
        yield browser


async def test_a_sensitive_act_asks_for_the_password(guarded: Browser, runtime: VirtualRuntime) -> None:
    path = "/connections/quickbooks/disconnect-test"
    assert (await guarded.post(path)).status_code == 201
    runtime.forward(minutes=10)
    refused = await guarded.post(path)
    assert refused.status_code == 403
    assert "To disconnect QuickBooks, please confirm" in refused.text
    assert 'name="next" value="/connections/quickbooks/disconnect"' in refused.text
    wrong = await guarded.post("/step-up", {"password": "wrong", "next": "/connections/quickbooks/disconnect"})
    assert wrong.status_code == 422
    assert (await guarded.post(path)).status_code == 403
    right = await guarded.post("/step-up", {"password": PASSWORD, "next": "/connections/quickbooks/disconnect"})
    assert (right.status_code, right.headers["location"]) == (303, "/connections/quickbooks/disconnect")
    assert (await guarded.post(path)).status_code == 201


async def test_htmx_is_sent_to_the_password_page(guarded: Browser, runtime: VirtualRuntime) -> None:
    runtime.forward(minutes=11)
    answer = await guarded.post("/connections/x%2Fy%3F/disconnect-test", headers={"HX-Request": "true"})
    if answer.status_code == 404:
        answer = await guarded.post("/connections/xy/disconnect-test", headers={"HX-Request": "true"})
    assert answer.status_code == 403
    assert answer.headers["hx-redirect"].startswith("/step-up?next=/connections/")


async def test_guessing_at_the_password_page_is_throttled(guarded: Browser) -> None:
    for _ in range(5):
        assert (await guarded.post("/step-up", {"password": "guess"})).status_code == 422
    answer = await guarded.post("/step-up", {"password": PASSWORD})
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0


ELSEWHERE = [
    "https://evil.example",
    "//evil.example",
    "///evil.example",
    "////evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "\\/evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    "\t//evil.example",
    " //evil.example",
    "/ /evil.example",
    "http:evil.example",
    "javascript:alert(1)",
    "data:text/html,x",
    "evil.example",
    "@evil.example",
    "/\r\nLocation: https://evil.example",
    "/é",
    "/\u3000/evil.example",
    "/" + "x" * 3000,
    "",
    "?next=/",
    "#x",
    "/\\/evil.example",
    "/%0d%0a//x\\",
    "https:///evil.example",
    "//[",
]


@pytest.mark.parametrize("following", ELSEWHERE)
def test_no_redirect_leads_elsewhere(following: str) -> None:
    assert safe_path(following) == "/"


@pytest.mark.parametrize(
    "following", ["/", "/payments", "/payments?show=attention&q=a%20b", "/connections#books", "/a//b", "/%2f%2fevil"]
)
def test_own_paths_are_kept(following: str) -> None:
    assert safe_path(following) == following


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("https://tieout.test/payments?show=all", "/payments?show=all"),
        ("https://tieout.test", "/"),
        ("https://tieout.test//evil.example", None),
        ("https://evil.example/payments", None),
        ("http://tieout.test/payments", None),
        ("https://tieout.test@evil.example/", None),
        ("https://tieout.test:8443/", None),
        ("//[", None),
        ("", None),
        (None, None),
    ],
)
def test_where_a_person_was(url: str | None, path: str | None) -> None:
    assert own_path_of(url, "https://tieout.test") == path


@pytest.mark.parametrize("following", [entry for entry in ELSEWHERE if len(entry) < 2000])
async def test_signing_in_never_leads_elsewhere(app: Litestar, owner: Person, following: str) -> None:
    async with Browser(app) as browser:
        page = await browser.get(f"/sign-in?next={quote(following)}")
        assert page.status_code == 200
        assert 'name="next"' not in page.text
        answer = await browser.post("/sign-in", {"email": owner.email, "password": PASSWORD, "next": following})
        assert (answer.status_code, answer.headers["location"]) == (303, "/")


async def test_an_expired_session_leads_back_to_where_one_was(owner_browser: Browser, runtime: VirtualRuntime) -> None:
    runtime.forward(hours=13)
    page = await owner_browser.get("/payments?show=attention&q=a%20b")
    assert page.headers["location"] == "/sign-in?next=/payments%3Fshow%3Dattention%26q%3Da%2520b"
    form = await owner_browser.post("/sign-out", headers={"Referer": "https://tieout.test/mapping"})
    assert form.headers["location"] == "/sign-in?next=/mapping"
    foreign = await owner_browser.post("/sign-out", headers={"Referer": "https://evil.example/mapping"})
    assert foreign.headers["location"] == "/sign-in"
    stream = await owner_browser.get("/events", headers={"Accept": "text/event-stream"})
    assert stream.status_code == 401


@pytest.mark.parametrize(
    ("hops", "forwarded", "network"),
    [
        (0, ["1.2.3.4"], "198.51.100.7/32"),
        (0, [], "198.51.100.7/32"),
        (1, ["1.2.3.4"], "1.2.3.4/32"),
        (1, ["6.6.6.6, 1.2.3.4"], "1.2.3.4/32"),
        (2, ["6.6.6.6, 1.2.3.4, 10.0.0.1"], "1.2.3.4/32"),
        (2, ["6.6.6.6", "1.2.3.4, 10.0.0.1"], "1.2.3.4/32"),
        (2, ["1.2.3.4"], "198.51.100.7/32"),
        (1, ["nonsense"], "198.51.100.7/32"),
        (1, [""], "198.51.100.7/32"),
        (1, ["1.2.3.4:5555"], "198.51.100.7/32"),
        (1, ["2001:db8:1:2:3::4"], "2001:db8:1:2::/64"),
    ],
)
async def test_the_address_behind_trusted_proxies(
    wiring: Wiring, owner: Person, hops: int, forwarded: list[str], network: str
) -> None:
    """Only what our own proxies appended counts; everything left of it may be forged (A5)."""
    settings = msgspec.structs.replace(wiring.settings, trusted_hops=hops)
    app = create_app(settings, wiring=wiring)
    async with app.lifespan(), Browser(app) as browser:
        token = await browser.form_token("/sign-in")
        await browser.http.post(
            "/sign-in",
            data={"email": owner.email, "password": "wrong", "_csrf_token": token},
            headers=[("Sec-Fetch-Site", "same-origin"), *(("X-Forwarded-For", line) for line in forwarded)],
        )
    async with wiring.db.open_session() as session:
        assert (await session.scalars(select(FailedSignIn.network))).all() == [network]


async def test_a_thousand_guesses_from_forged_addresses_cost_twenty_hashes(wiring: Wiring, owner: Person) -> None:
    """A throttled try answers 429 without hashing; only 422 was a hash. The owner's own device still enters (A4)."""
    settings = msgspec.structs.replace(wiring.settings, trusted_hops=1)
    app = create_app(settings, wiring=wiring)
    async with app.lifespan(), Browser(app) as home, Browser(app) as attacker:
        assert (await _sign_in(home, owner, **{"X-Forwarded-For": "203.0.113.9"})).status_code == 303
        token = await attacker.form_token("/sign-in")
        hashed = 0
        for number in range(1000):
            form = {"email": owner.email, "password": "guess", "_csrf_token": token}
            answer = await attacker.post("/sign-in", form, headers={"X-Forwarded-For": f"192.0.2.{number % 200}"})
            assert answer.status_code in {422, 429}
            hashed += answer.status_code == 422
            if answer.status_code == 429:
                assert 0 < int(answer.headers["retry-after"]) <= 3600
        assert hashed <= 20
        home.http.cookies.delete("__Host-session")
        home.person = None
        assert (await _sign_in(home, owner, **{"X-Forwarded-For": "192.0.2.1"})).status_code == 303


async def test_sign_up_tells_nothing(app: Litestar, owner: Person) -> None:
    """Known and new addresses: same status, same headers, same words (A3)."""
    answers = []
    for email in (owner.email, "somebody.new@example.com"):
        async with Browser(app) as browser:
            form = {"workspace": "Berg", "email": email, "password": PASSWORD, "zone": "Europe/Oslo"}
            answers.append(await browser.post("/sign-up", form))
    known, new = answers
    assert known.status_code == new.status_code == 200
    assert set(known.headers) == set(new.headers)

    def words(answer: httpx.Response, email: str) -> str:
        text = answer.text.replace(email, "EMAIL")
        token = text.split('name="_csrf_token" value="')[1].split('"')[0]
        return text.replace(token, "")

    assert words(known, owner.email) == words(new, "somebody.new@example.com")


async def test_sign_in_tells_nothing(browser: Browser, wiring: Wiring) -> None:
    person = await make_person(wiring)
    known = await browser.post("/sign-in", {"email": person.email, "password": "wrong"})
    unknown = await browser.post("/sign-in", {"email": "nobody@example.com", "password": "wrong"})
    assert known.status_code == unknown.status_code == 422
    assert known.text.replace(person.email, "") == unknown.text.replace("nobody@example.com", "")
    assert set(known.headers) == set(unknown.headers)
