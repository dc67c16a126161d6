"""Forms from elsewhere change nothing (C1, C2, C8)."""

import json
from typing import Any
from urllib.parse import quote

import pytest
from litestar import Litestar

from core.identity.sessions import find_visit
from core.wiring import Wiring
from tests.browser import Browser
from tests.factories import PASSWORD, Person
from tests.web.matrix import MATRIX
from tests.web.routes import fill, walk
from web.sessions import session_csrf_token

BASE = "https://tieout.test"
FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def token(wiring: Wiring, owner: Person) -> str:
    return session_csrf_token(wiring.settings, owner.session_hash)


async def _send(browser: Browser, token: str, headers: dict[str, str]) -> int:
    body = f"password={quote(PASSWORD)}&_csrf_token={token}"
    answer = await browser.http.post("/step-up", content=body, headers={"Content-Type": FORM, **headers})
    return answer.status_code


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "same-origin", "Origin": BASE}, 303),
        ({"Sec-Fetch-Site": "same-origin"}, 303),
        ({"Sec-Fetch-Site": "none"}, 303),
        ({"Origin": BASE}, 303),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Origin": BASE}, 403),
        ({"Sec-Fetch-Site": "same-site", "Origin": "https://other.tieout.test"}, 403),
        ({"Sec-Fetch-Site": "SAME-ORIGIN"}, 403),
        ({"Sec-Fetch-Site": ""}, 403),
        ({"Sec-Fetch-Site": "é"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "https://tieout.test.evil.example"}, 403),
        ({"Origin": "http://tieout.test"}, 403),
        ({"Origin": "https://tieout.test:8443"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": ""}, 403),
        ({"Referer": f"{BASE}/step-up"}, 403),
        ({}, 403),
    ],
)
async def test_where_a_form_comes_from(
    owner_browser: Browser, token: str, headers: dict[str, str], status: int
) -> None:
    encoded = {name: value.encode() for name, value in headers.items()}
    assert await _send(owner_browser, token, encoded) == status  # type: ignore[arg-type]  # httpx takes bytes too


async def test_two_origins_are_none(owner_browser: Browser, token: str) -> None:
    answer = await owner_browser.http.post(
        "/step-up",
        content=f"_csrf_token={token}",
        headers=[("Content-Type", FORM), ("Origin", BASE), ("Origin", "https://evil.example")],
    )
    assert answer.status_code == 403


@pytest.fixture
async def strangers_token(wiring: Wiring, stranger: Person) -> str:
    return session_csrf_token(wiring.settings, stranger.session_hash)


@pytest.mark.parametrize(
    "bad", ["", "x", "f" * 64, "é", "\u0000", "%ED%A0%80", "%", "%ZZ", "&_csrf_token=", "[]", "f" * 60_000]
)
async def test_a_bad_token_is_refused_and_never_a_fault(owner_browser: Browser, bad: str) -> None:
    body = f"password=x&_csrf_token={bad}".encode("utf-8", "surrogatepass")
    headers = {"Content-Type": FORM, "Sec-Fetch-Site": "same-origin"}
    answer = await owner_browser.http.post("/step-up", content=body, headers=headers)
    assert answer.status_code in {400, 403}


async def test_a_token_of_another_session_is_refused(owner_browser: Browser, token: str, strangers_token: str) -> None:
    headers = {"Sec-Fetch-Site": "same-origin"}
    assert await _send(owner_browser, strangers_token, headers) == 403
    assert await _send(owner_browser, f"{token}&_csrf_token={token}", headers) == 403
    assert await _send(owner_browser, token, headers) == 303


async def test_the_token_may_come_in_a_header(owner_browser: Browser, token: str) -> None:
    for given, status in ((token, 422), ("é", 403), ("", 403)):
        answer = await owner_browser.http.post(
            "/step-up",
            content=b"password=wrong",
            headers={
                "Content-Type": FORM,
                "Sec-Fetch-Site": "same-origin",
                "X-CSRF-Token": given.encode(),  # type: ignore[dict-item]  # httpx takes bytes too
            },
        )
        assert answer.status_code == status


async def test_a_token_dies_with_its_session(owner_browser: Browser, owner: Person, token: str) -> None:
    entered = await owner_browser.post("/sign-in", {"email": owner.email, "password": PASSWORD})
    assert entered.status_code == 303
    assert await _send(owner_browser, token, {"Sec-Fetch-Site": "same-origin"}) == 403


async def test_sign_in_forms_are_bound_to_their_browser(app: Litestar, browser: Browser, owner: Person) -> None:
    """An attacker's form with the attacker's token would sign the victim in to the attacker's account."""
    async with Browser(app) as attacker:
        foreign = await attacker.form_token("/sign-in")
    await browser.get("/sign-in")
    form = {"email": owner.email, "password": PASSWORD, "_csrf_token": foreign}
    assert (await browser.post("/sign-in", form)).status_code == 403
    assert browser.session_token is None


async def test_a_browser_without_the_door_cookie_cannot_sign_in(browser: Browser, owner: Person) -> None:
    form = {"email": owner.email, "password": PASSWORD, "_csrf_token": "f" * 64}
    assert (await browser.post("/sign-in", form)).status_code == 403


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", json.dumps({"password": "x"})),
        ("text/plain", json.dumps({"password": "x"})),
        ("text/plain", "password=x"),
        (
            "multipart/form-data; boundary=x",
            "--x\r\nContent-Disposition: form-data; name=_csrf_token\r\n\r\nx\r\n--x--",
        ),
        ("multipart/form-data", "junk"),
        ("application/x-msgpack", "\x81"),
        ("application/xml", "<x/>"),
        ("", "password=x"),
        ("é", "password=x"),
    ],
)
async def test_only_plain_forms_are_read(owner_browser: Browser, content_type: str, body: str, token: str) -> None:
    """JSON as text/plain crosses sites without a preflight, and multipart faults were 500 (I2)."""
    headers: dict[str, Any] = {
        "Content-Type": content_type.encode(),
        "Sec-Fetch-Site": "same-origin",
        "X-CSRF-Token": token,
    }
    answer = await owner_browser.http.post("/step-up", content=body.encode(), headers=headers)
    assert answer.status_code == 415


async def test_every_unsafe_route_refuses_a_foreign_form_before_reading_it(
    app: Litestar, owner_browser: Browser, wiring: Wiring, owner: Person, token: str
) -> None:
    for method, template, handler in walk(app):
        line = MATRIX[method, template]
        if method == "GET" or line.open_to in {"provider", "machine"}:
            continue
        for headers in (
            {"Sec-Fetch-Site": "cross-site", "Content-Type": FORM},
            {"Origin": "https://evil.example", "Content-Type": "text/plain"},
            {"Content-Type": "multipart/form-data; boundary=x"},
        ):
            body = f"_csrf_token={token}".encode()
            answer = await owner_browser.http.request(method, fill(template, line.path), content=body, headers=headers)
            assert answer.status_code == 403, f"{handler}"
    assert await find_visit(wiring.db, owner.token), "signing out by a foreign form did nothing"


def test_only_signed_webhooks_are_exempt() -> None:
    exempt = {key for key, line in MATRIX.items() if line.open_to == "provider"}
    assert all(path.startswith("/webhooks/") for _, path in exempt)


async def test_nothing_is_shared_with_other_origins(owner_browser: Browser) -> None:
    answer = await owner_browser.http.options(
        "/payments", headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    )
    assert not [name for name in answer.headers if name.startswith("access-control-")]
