"""Signing up, in and out, as a browser sees it."""

from core.wiring import Wiring
from tests.browser import Browser
from tests.factories import PASSWORD, Person, make_person
from tests.runtime import VirtualRuntime

NEW = {
    "workspace": "Anna Berg Photography",
    "email": "anna@example.com",
    "password": "golden hour over the harbour",
    "zone": "Europe/Oslo",
}


async def test_a_person_signs_up_signs_in_and_lands_on_the_checklist(browser: Browser) -> None:
    opened = await browser.post("/sign-up", NEW)
    assert opened.status_code == 200
    assert "Your workspace is ready" in opened.text
    assert browser.session_token is None

    entered = await browser.post("/sign-in", {"email": " Anna@Example.com", "password": NEW["password"]})
    assert (entered.status_code, entered.headers["location"]) == (303, "/")
    assert browser.session_token is not None
    home = await browser.get("/")
    assert (home.status_code, home.headers["location"]) == (303, "/start")


async def test_home_is_the_payments_page_once_posting_has_started(
    browser: Browser, wiring: Wiring, runtime: VirtualRuntime
) -> None:
    browser.enter(await make_person(wiring, tenant={"posting_starts_at": runtime.now()}))
    assert (await browser.get("/")).headers["location"] == "/payments"


async def test_every_mistake_of_a_sign_up_is_shown_at_once_and_the_rest_is_kept(browser: Browser) -> None:
    answer = await browser.post("/sign-up", {**NEW, "email": "anna", "password": "short", "zone": "Mars/Base"})
    assert answer.status_code == 422
    for expected in ("Enter an e-mail address", "at least 12 characters", "Choose a time zone", NEW["workspace"]):
        assert expected.lower() in answer.text.lower()
    assert "short" not in answer.text


async def test_wrong_password_says_one_thing_and_keeps_the_address(browser: Browser, owner: Person) -> None:
    answer = await browser.post("/sign-in", {"email": owner.email, "password": "not the password"})
    assert answer.status_code == 422
    assert "do not go together" in answer.text
    assert owner.email in answer.text
    assert "not the password" not in answer.text


async def test_sign_in_leads_to_where_the_person_wanted_to_go(browser: Browser, owner: Person) -> None:
    sent_away = await browser.get("/step-up?next=/connections")
    assert sent_away.headers["location"] == "/sign-in?next=/step-up%3Fnext%3D/connections"
    page = await browser.get(sent_away.headers["location"])
    assert 'name="next" value="/step-up?next=/connections"' in page.text
    form = {"email": owner.email, "password": PASSWORD, "next": "/step-up?next=/connections"}
    assert (await browser.post("/sign-in", form)).headers["location"] == "/step-up?next=/connections"


async def test_a_signed_in_person_needs_no_sign_in_page(owner_browser: Browser) -> None:
    for path in ("/sign-in", "/sign-up"):
        answer = await owner_browser.get(path)
        assert (answer.status_code, answer.headers["location"]) == (303, "/")


async def test_sign_out_ends_the_session_and_the_cookie(owner_browser: Browser) -> None:
    answer = await owner_browser.post("/sign-out")
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
    assert "Max-Age=0" in answer.headers["set-cookie"]
    assert "Secure" in answer.headers["set-cookie"]
    assert owner_browser.session_token is None
