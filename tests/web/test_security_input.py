"""Hostile input gets a plain refusal, never a fault and never a row (I1, I2, I9, C9)."""

from typing import Any

import msgspec
import pytest
from sqlalchemy import func, select

from core.db.models import User
from core.wiring import Wiring
from tests.browser import Browser
from tests.factories import Person, make_person
from tests.runtime import START
from web.forms import Form, parse_fields
from web.sessions import session_csrf_token

FORM = "application/x-www-form-urlencoded"


@pytest.fixture
async def owner(wiring: Wiring) -> Person:
    return await make_person(wiring, tenant={"posting_starts_at": START})


@pytest.mark.parametrize("raw", ["%00", "%ED%A0%80", "%FF", "%C3%28", "%F8%A1%A1%A1%A1"])
async def test_bytes_that_are_no_text_are_refused_everywhere(owner_browser: Browser, raw: str) -> None:
    """PostgreSQL refuses NUL and broken UTF-8, SQLite does not: they stop at the edge."""
    for target in (f"/payments?q={raw}", f"/payments/{raw}", f"/{raw}", f"/sign-in?next=/{raw}"):
        assert (await owner_browser.get(target)).status_code == 400
    headers = {"Content-Type": FORM, "Sec-Fetch-Site": "same-origin"}
    for body in (f"password={raw}", f"{raw}=x"):
        answer = await owner_browser.http.post("/step-up", content=body, headers=headers)
        assert answer.status_code == 400


async def test_long_addresses_are_refused(owner_browser: Browser) -> None:
    assert (await owner_browser.get("/payments?q=" + "x" * 8200)).status_code == 414
    assert (await owner_browser.get("/" + "x" * 60_000)).status_code == 414


async def test_bodies_are_bounded(owner_browser: Browser, wiring: Wiring, owner: Person) -> None:
    token = session_csrf_token(wiring.settings, owner.session_hash)
    headers = {"Content-Type": FORM, "Sec-Fetch-Site": "same-origin"}

    async def chunks() -> Any:
        for _ in range(200):
            yield b"x" * 1024

    announced = await owner_browser.http.post("/step-up", content=b"x" * (64 * 1024 + 1), headers=headers)
    assert announced.status_code == 413
    chunked = await owner_browser.http.post("/step-up", content=chunks(), headers=headers)
    assert chunked.status_code == 413
    many = "&".join(f"f{number}=x" for number in range(101))
    assert (await owner_browser.http.post("/step-up", content=many, headers=headers)).status_code == 400
    fits = f"_csrf_token={token}&password={'x' * 60_000}"
    assert (await owner_browser.http.post("/step-up", content=fits, headers=headers)).status_code == 422


@pytest.mark.parametrize("length", ["-1", "abc", "9" * 40, ""])
async def test_a_false_length_is_no_fault(owner_browser: Browser, length: str) -> None:
    headers = {"Content-Type": FORM, "Sec-Fetch-Site": "same-origin", "Content-Length": length}
    answer = await owner_browser.http.post("/step-up", content=b"password=x", headers=headers)
    assert answer.status_code in {400, 403, 413}


async def test_unknown_and_repeated_fields_are_refused(owner_browser: Browser, wiring: Wiring, owner: Person) -> None:
    token = session_csrf_token(wiring.settings, owner.session_hash)
    headers = {"Content-Type": FORM, "Sec-Fetch-Site": "same-origin"}
    for body in ("password=x&role=owner", "password=x&password=y", "password=x&next=/&next=/", "password=x&=y"):
        answer = await owner_browser.http.post("/step-up", content=f"{body}&_csrf_token={token}", headers=headers)
        assert answer.status_code == 400, body


@pytest.mark.parametrize("depth", [100, 100_000])
async def test_deep_json_is_not_even_read(owner_browser: Browser, depth: int) -> None:
    body = ("[" * depth)[:60_000]
    for content_type in ("application/json", "text/plain", FORM):
        headers = {"Content-Type": content_type, "Sec-Fetch-Site": "same-origin"}
        answer = await owner_browser.http.post("/step-up", content=body, headers=headers)
        assert answer.status_code in {403, 415}


@pytest.mark.parametrize("deep", [b"[" * 100_000, b'{"a":' * 100_000, b"null", b"\xff", b"", b"x" * 2_000_000])
async def test_junk_at_the_webhook_is_refused_and_not_stored(browser: Browser, deep: bytes) -> None:
    for path in ("/webhooks/stripe", "/webhooks/stripe/" + "f" * 64, "/webhooks/stripe/x"):
        answer = await browser.http.post(path, content=deep, headers={"Stripe-Signature": "t=1,v1=x"})
        assert answer.status_code in {400, 413}
        assert answer.content == b""


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "tieout.test.evil.example", "xtieout.test", "tieout.test:8443", "tieout.test@evil.example"),
        *("tieout.test/", "tieout.test#x", "é", "[::1]", "", " "),
    ],
)
async def test_other_hosts_are_not_answered(browser: Browser, host: str) -> None:
    for path in ("/sign-in", "/", "/nowhere", "/health", "/static/x.css"):
        answer = await browser.http.get(path, headers={"Host": host.encode()})  # type: ignore[arg-type]  # bytes too
        assert answer.status_code == 400
        assert answer.content == b""


async def test_hosts_are_compared_without_case_and_may_be_several(wiring: Wiring) -> None:
    from web.app import create_app

    settings = msgspec.structs.replace(wiring.settings, allowed_hosts="tieout.test, other.test:8000")
    app = create_app(settings, wiring=wiring)
    async with app.lifespan(), Browser(app) as browser:
        for host, status in (("TIEOUT.test", 200), ("other.test:8000", 200), ("other.test", 400)):
            assert (await browser.http.get("/health", headers={"Host": host})).status_code == status


async def test_a_hostile_host_changes_no_redirect(browser: Browser) -> None:
    """Nothing is built from the Host header (O4): not the sign-in redirect, not a link."""
    answer = await browser.get(
        "/payments", headers={"X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example"}
    )
    assert answer.headers["location"] == "/sign-in?next=/payments"


async def test_no_form_of_a_stranger_makes_a_row(browser: Browser, wiring: Wiring) -> None:
    for bad in ({"email": "a@b.de"}, {"email": "x", "password": "y", "workspace": "z", "zone": "w"}):
        assert (await browser.post("/sign-up", bad)).status_code == 422
    async with wiring.db.open_session() as session:
        assert await session.scalar(select(func.count()).select_from(User)) == 0


def test_a_form_reads_each_kind_of_value() -> None:
    fields = parse_fields(b"n=7&d=2026-03-31&c=b&t=+a%0D%0Ab+&on=on&u=12345678-1234-4234-8234-123456789abc&l=1&l=2")
    form = Form(fields, ("n", "d", "c", "t", "on", "u", "off"), lists=("l",))
    assert form.integer("n") == 7
    assert str(form.day("d")) == "2026-03-31"
    assert form.choice("c", {"a", "b"}) == "b"
    assert form.text("t") == "a\nb"
    assert form.raw("t") == " a\r\nb "
    assert (form.checked("on"), form.checked("off")) == (True, False)
    assert str(form.uuid("u")) == "12345678-1234-4234-8234-123456789abc"
    assert form.values("l") == ["1", "2"]
    assert form.is_valid


@pytest.mark.parametrize(
    "value", ["", "x", "1.5", "+1", "٣", "²", "1_0", "9" * 20, "9" * 30, "-1", "0x1", " ", "--1", "-"]
)
def test_what_is_no_whole_number(value: str) -> None:
    form = Form({"n": [value]}, ("n",))
    assert form.integer("n") is None
    assert set(form.errors) == {"n"}


@pytest.mark.parametrize("value", ["2026-02-30", "20260331", "2026-W01-1", "x", "0000-00-00", "2026-03-31T00:00"])
def test_what_is_no_day(value: str) -> None:
    form = Form({"d": [value]}, ("d",))
    assert form.day("d") is None
    assert not form.is_valid


def test_every_mistake_is_collected() -> None:
    form = Form({"a": ["x" * 30]}, ("a", "b", "c"))
    form.text("a", max_length=10)
    form.text("b")
    form.choice("c", {"1"})
    form.uuid("c")
    assert set(form.errors) == {"a", "b", "c"}
    assert form.errors["c"] == "Choose one from the list."
