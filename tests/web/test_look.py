"""Every page in a real browser under the policy of production: accessible, never too wide, alive, fine scriptless."""

import re
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe, AxeResults
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

from tests.chromium import AXE_RULES, FLAGS, find_chromium
from tests.web.preview import PreviewServer, running
from tests.web.samples import PAGES, ROWS

pytestmark = pytest.mark.e2e

WIDTHS = (1440, 900, 390, 320)


@pytest.fixture(scope="module")
def server() -> Iterator[PreviewServer]:
    with running() as preview:
        yield preview


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def shared_page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page(reduced_motion="reduce")
    yield page
    page.close()


@pytest.fixture
def page(shared_page: Page) -> Iterator[Page]:
    """The one page of this file; whatever it complains about fails the test."""
    complaints: list[str] = []

    def note(message: Any) -> None:
        if message.type in {"error", "warning"}:
            complaints.append(message.text)

    def fail(error: Any) -> None:
        complaints.append(str(error))

    shared_page.set_viewport_size({"width": 1280, "height": 900})
    shared_page.on("console", note)
    shared_page.on("pageerror", fail)
    yield shared_page
    shared_page.goto("about:blank")
    shared_page.remove_listener("console", note)
    shared_page.remove_listener("pageerror", fail)
    assert complaints == []


@pytest.fixture
def no_script(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(java_script_enabled=False)
    yield context.new_page()
    context.close()


def show(page: Page, server: PreviewServer, name: str) -> None:
    page.goto(f"{server.address}/show/{name}")


class Examiner(Axe):
    """Axe that reads itself into a document once, however often it then looks at it: that takes longer than a look."""

    def run(self, page: Page, context: Any = None, options: Any = None) -> AxeResults:
        if not page.evaluate("'axe' in window"):
            page.evaluate(f"(() => {{ {self.axe_script} }})()")
        return AxeResults(page.evaluate(f"axe.run({self._format_script_args(context=context, options=options)})"))


@pytest.mark.parametrize("name", PAGES)
def test_page_is_accessible_and_fits_every_screen(page: Page, server: PreviewServer, name: str):
    show(page, server, name)
    axe = Examiner()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            found = axe.run(page, options=AXE_RULES)
            assert found.violations_count == 0, f"{scheme} {width}: {found.generate_report()}"
            wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert wide <= 0, f"{scheme} {width}: {wide} px too wide"


def test_change_is_seen_without_reload_and_without_disturbing_the_person(page: Page, server: PreviewServer):
    show(page, server, "payments")
    expect(page.locator("#live-note")).to_have_text("Live")
    page.evaluate("window.sameDocument = true")
    page.locator("#q").focus()
    with page.expect_response(lambda answer: answer.request.headers.get("hx-request-type") == "partial"):
        server.announce()
    expect(page.locator("#live-note")).to_have_text("Live")
    expect(page.locator("#q")).to_be_focused()
    assert page.evaluate("window.sameDocument") is True


def test_late_refresh_never_covers_a_search(browser: Browser, server: PreviewServer):
    page = browser.new_page()
    held: list[Route] = []
    show(page, server, "payments")
    expect(page.locator("#live-note")).to_have_text("Live")
    page.route("**/show/payments", lambda route: held.append(route))  # noqa: PLW0108 - Playwright marks its handlers
    page.route("**/payments?*", lambda route: route.continue_(url=f"{server.address}/show/payments?q=maria"))
    server.announce()
    while not held:
        page.wait_for_timeout(20)
    page.locator("#q").fill("maria")
    expect(page).to_have_url(re.compile("q=maria"))
    with page.expect_request(lambda request: "q=maria" in request.url):
        held[0].continue_()
    page.close()


def test_typing_outlives_a_refresh(page: Page, server: PreviewServer):
    show(page, server, "payments")
    expect(page.locator("#live-note")).to_have_text("Live")
    page.locator("#q").press_sequentially("mar")
    with page.expect_response(lambda answer: "q=" not in answer.url):
        server.announce()
    page.wait_for_timeout(100)
    assert page.locator("#q").input_value() == "mar"


@pytest.mark.parametrize("late", ["app-", "htmx.min-", "hx-sse.min-"])
def test_scripts_may_arrive_late(browser: Browser, server: PreviewServer, late: str):
    page = browser.new_page()
    others = threading.Event()

    def hold(route: Route) -> None:
        # The other scripts are there before this one is let through.
        others.wait(timeout=0.4)
        route.continue_()

    page.route(f"**/static/{late}*.js", hold)
    show(page, server, "payments")
    expect(page.locator("#live-note")).to_have_text("Live")
    page.close()


def test_lost_stream_is_said_beside_the_heading(browser: Browser, server: PreviewServer):
    page = browser.new_page()
    page.route("**/events*", lambda route: route.abort())
    show(page, server, "payments")
    expect(page.locator("#live-note")).to_contain_text("Updates paused")
    page.close()


def test_filter_changes_the_address_and_only_the_view(page: Page, server: PreviewServer):
    page.goto(f"{server.address}/payments")
    page.evaluate("window.sameDocument = true")
    page.get_by_role("link", name="Needs attention 3").click()
    expect(page).to_have_url(f"{server.address}/payments?show=needs_attention")
    assert page.evaluate("window.sameDocument") is True
    page.go_back()
    expect(page).to_have_url(f"{server.address}/payments")


def test_search_asks_while_typing(page: Page, server: PreviewServer):
    page.goto(f"{server.address}/payments")
    page.locator("#q").press_sequentially("berg")
    expect(page).to_have_url(f"{server.address}/payments?q=berg&show=all")
    expect(page.locator("#q")).to_be_focused()


def test_retry_posts_its_token_and_where_to_return(page: Page, server: PreviewServer):
    page.goto(f"{server.address}/payments")
    page.evaluate("window.sameDocument = true")
    server.posted.clear()
    with page.expect_response(lambda answer: answer.request.method == "GET" and "/show/" in answer.url):
        page.get_by_role("button", name="Retry Hannah Bergström").click()
    expect(page).to_have_url(f"{server.address}/payments")
    assert page.evaluate("window.sameDocument") is True
    expected = {"_csrf_token": ["token-of-the-session"], "next": ["/payments?show=all"]}
    assert server.posted == [(f"/payments/{ROWS[5].id}/retry", expected)]


def test_row_of_the_mapping_saves_itself(page: Page, server: PreviewServer):
    show(page, server, "mapping")
    server.posted.clear()
    with page.expect_response(lambda answer: answer.request.method == "GET" and "/show/" in answer.url):
        page.get_by_label("Income account for Travel fee").select_option("43")
    (path, form) = server.posted[0]
    assert len(server.posted) == 1
    assert path == "/mapping/travel"
    assert form == {"_csrf_token": ["token-of-the-session"], "account_id": ["43"], "tax_code_id": ["NON"]}


def test_suggestion_is_taken_by_one_click(page: Page, server: PreviewServer):
    show(page, server, "mapping")
    server.posted.clear()
    with page.expect_response(lambda answer: answer.request.method == "GET" and "/show/" in answer.url):
        page.get_by_role("button", name="Use 4010 Wedding photography").click()
    ((path, form),) = server.posted
    assert path == "/mapping/second"
    assert form["suggested_account_id"] == ["41"]
    assert form["account_id"] == [""]


def test_accounts_of_the_other_side_save_themselves(page: Page, server: PreviewServer):
    show(page, server, "mapping")
    server.posted.clear()
    with page.expect_response(lambda answer: answer.request.method == "GET" and "/show/" in answer.url):
        page.get_by_label("Stripe clearing").select_option("create")
    ((path, form),) = server.posted
    assert path == "/mapping/accounts"
    assert form["clearing"] == ["create"]


def test_disconnect_asks_first_and_can_be_left(page: Page, server: PreviewServer):
    show(page, server, "connections")
    page.get_by_role("button", name="Disconnect QuickBooks").click()
    dialog = page.get_by_role("dialog", name="Disconnect QuickBooks?")
    expect(dialog).to_be_visible()
    assert Examiner().run(page, options=AXE_RULES).violations_count == 0
    dialog.get_by_role("button", name="Keep it").click()
    expect(dialog).to_be_hidden()


def test_open_menus_and_disclosures_are_accessible(page: Page, server: PreviewServer):
    show(page, server, "payments")
    page.get_by_role("button", name="November 1 – 22").click()
    expect(page.get_by_role("button", name="Show these dates")).to_be_visible()
    assert Examiner().run(page, options=AXE_RULES).violations_count == 0
    show(page, server, "payment")
    page.get_by_text("Ignore this payment").click()
    page.get_by_text("What QuickBooks said").click()
    expect(page.get_by_label("Why")).to_be_visible()
    assert Examiner().run(page, options=AXE_RULES).violations_count == 0


def test_result_is_seen_by_a_person_who_wants_no_motion(page: Page, server: PreviewServer):
    show(page, server, "payments-empty")
    expect(page.locator(".toast")).to_have_css("opacity", "1")
    expect(page.get_by_text("2 payments are being tried again")).to_be_visible()


def test_problem_stays_until_it_is_closed(page: Page, server: PreviewServer):
    show(page, server, "payments-none-match")
    toast = page.get_by_role("alert")
    expect(toast).to_contain_text("That did not work.")
    toast.get_by_role("button", name="Close").click()
    expect(toast).to_have_count(0)


def test_keyboard_reaches_the_content_first(page: Page, server: PreviewServer):
    show(page, server, "payments")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.locator("#period-button")).to_be_focused()


def test_without_script_every_action_still_works(no_script: Page, server: PreviewServer):
    show(no_script, server, "connections")
    expect(no_script.get_by_role("button", name="Disconnect QuickBooks")).to_be_hidden()
    link = no_script.get_by_role("link", name="Disconnect QuickBooks")
    expect(link).to_have_attribute("href", "/connections/quickbooks/disconnect")
    server.posted.clear()
    show(no_script, server, "mapping")
    no_script.get_by_label("Income account for Travel fee").select_option("43")
    no_script.get_by_role("button", name="Save Travel fee").click()
    expect(no_script).to_have_url(f"{server.address}/show/mapping")
    show(no_script, server, "payments")
    no_script.get_by_role("button", name="Retry Hannah Bergström").click()
    expect(no_script.get_by_role("heading", name="Payments", exact=True)).to_be_visible()
    assert [path for path, _ in server.posted] == ["/mapping/travel", f"/payments/{ROWS[5].id}/retry"]


def test_first_load_and_page_stay_within_the_budget(page: Page, server: PreviewServer):
    show(page, server, "payments")
    assert page.evaluate("document.querySelectorAll('*').length") < 900
    requests = page.evaluate("performance.getEntriesByType('resource').map((entry) => new URL(entry.name).pathname)")
    assert len([path for path in requests if path.startswith("/static/")]) <= 9
