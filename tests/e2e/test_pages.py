"""Every real page of the demo: accessible, never wider than a phone, silent in the console, light and dark."""

from collections.abc import AsyncIterator

import pytest
from axe_playwright_python.async_playwright import Axe, AxeResults  # type: ignore[import-untyped]  # ships no types
from playwright.async_api import Browser, Page, expect

from tests.chromium import AXE_RULES
from tests.e2e.person import Person, visiting
from tests.e2e.site import Site
from web.demo import cast

pytestmark = pytest.mark.e2e

PHONE, WIDE = 390, 1280
LOOKS = ((PHONE, "light"), (PHONE, "dark"), (WIDE, "light"), (WIDE, "dark"))
RULED = {(PHONE, "light"), (WIDE, "dark")}
"""Looks in which axe runs: each width and each scheme once. Scrolling sideways is looked for in all."""

DOORS = ("/sign-in", "/sign-up")
PAGES = (
    "/payments",
    "/payments?show=needs_attention",
    "/payments?q=nobody",
    "/reconciliation",
    "/reconciliation?month=2024-02",
    "/mapping",
    "/accounts",
    "/connections",
    "/connections/quickbooks/disconnect",
    "/step-up",
)


@pytest.fixture(scope="module")
async def owner(anyio_backend: str, browser: Browser, demo: Site) -> AsyncIterator[Person]:
    """The demo's owner, signed in."""
    await demo.has_history()
    async with visiting(browser, demo) as person:
        await person.sign_in(cast.EMAIL, cast.PASSWORD)
        await person.sees_counts(syncing=0, waiting=0)
        yield person


@pytest.mark.parametrize("path", DOORS)
async def test_door(browser: Browser, demo: Site, path: str) -> None:
    async with visiting(browser, demo) as person:
        await person.go(path)
        await looks_right(person.page)


@pytest.mark.parametrize("path", PAGES)
async def test_page(owner: Person, path: str) -> None:
    await owner.go(path)
    await expect(owner.page.get_by_role("heading", level=1)).to_be_visible()
    await looks_right(owner.page)


@pytest.mark.parametrize("state", ["synced", "needs_attention"])
async def test_one_payment(owner: Person, state: str) -> None:
    await owner.go(f"/payments?show={state}")
    await owner.rows(state=state).first.locator("a.lead").click()
    await expect(owner.page.get_by_role("heading", name="What happened")).to_be_visible()
    await looks_right(owner.page)


@pytest.mark.parametrize("state", ["tied", "on_its_way", "before_start"])
async def test_one_payout(owner: Person, state: str) -> None:
    await owner.go("/reconciliation")
    payouts = owner.page.locator(f'#payouts tbody tr[data-state="{state}"]')
    if not await payouts.count():
        await owner.page.locator("#earlier").click()
    await payouts.first.get_by_role("link").first.click()
    await expect(owner.page.get_by_role("heading", name="Proof")).to_be_visible()
    await looks_right(owner.page)


async def test_first_run(browser: Browser, demo: Site) -> None:
    """The checklist, the connections and the mapping of a workspace in which nothing is done yet."""
    async with visiting(browser, demo) as person:
        await person.sign_up("Nothing Done Yet", "new@studio.example")
        await looks_right(person.page)
        for path in ("/connections", "/mapping", "/accounts", "/payments", "/reconciliation"):
            await person.go(path)
            await looks_right(person.page)


async def test_forms_that_come_back_say_what_is_wrong(browser: Browser, demo: Site) -> None:
    async with visiting(browser, demo) as person:
        await person.go("/sign-in")
        await person.page.get_by_label("Email").fill("nobody@studio.example")
        await person.page.get_by_label("Password").fill("not the password of anyone")
        await person.press("Sign in")
        await expect(person.page.get_by_role("alert")).to_contain_text("do not go together")
        await looks_right(person.page)
        await person.go("/nothing/here")
        await expect(person.page.get_by_role("heading", level=1)).to_have_text("There is nothing here")
        await looks_right(person.page)
        # The browser notes both answers itself.
        statuses = [text for text in person.complaints if "status of 422" in text or "status of 404" in text]
        person.complaints = [text for text in person.complaints if text not in statuses]
        assert len(statuses) == 2


async def looks_right(page: Page) -> None:
    for width, scheme in LOOKS:
        await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        await page.set_viewport_size({"width": width, "height": 900})
        wide = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{page.url} {scheme} {width}: {wide} px too wide"
        if (width, scheme) in RULED:
            found = await examine(page)
            assert found.violations_count == 0, f"{page.url} {scheme} {width}: {found.generate_report()}"


async def examine(page: Page) -> AxeResults:
    """Let axe look at the page; it reads itself into each document once."""
    axe = Axe()
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(f"(() => {{ {axe.axe_script} }})()")
    options = axe._format_script_args(context=None, options=AXE_RULES)
    return AxeResults(await page.evaluate(f"axe.run({options})"))
