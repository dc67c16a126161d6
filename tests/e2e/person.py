"""A person with a browser. Whatever their browser complains about fails the test."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from playwright.async_api import Browser, Locator, Page, expect

from tests.e2e.site import Site

PASSWORD = "a quiet room with north light"
PATIENCE_MS = 30_000
"""Longest wait for something that passes through Stripe's and QuickBooks' stand-ins."""


class Person:
    """One tab, and the words for what people do in it."""

    def __init__(self, page: Page, site: Site) -> None:
        self.page = page
        self.site = site
        self.complaints: list[str] = []
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _note(self, message: Any) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(message.text)

    async def go(self, path: str) -> None:
        await self.page.goto(self.site.url + path)

    async def press(self, name: str) -> None:
        """Press the one button of this name."""
        await self.page.get_by_role("button", name=name).click()

    async def follow(self, name: str) -> None:
        await self.page.get_by_role("link", name=name).click()

    async def sign_up(self, workspace: str, email: str) -> None:
        """Open a workspace and sign in to it."""
        await self.go("/sign-up")
        await self.page.get_by_label("Business name").fill(workspace)
        await self.page.get_by_label("Email").fill(email)
        await self.page.get_by_label("Password").fill(PASSWORD)
        await self.page.get_by_label("Time zone").select_option("America/New_York")
        await self.press("Open the workspace")
        await expect(self.page.locator(".toast")).to_contain_text("Your workspace is ready")
        await self.page.get_by_label("Password").fill(PASSWORD)
        await self.press("Sign in")
        await expect(self.page.get_by_role("heading", level=1)).to_have_text("Set up in four steps")

    async def sign_in(self, email: str, password: str) -> None:
        await self.go("/sign-in")
        await self.page.get_by_label("Email").fill(email)
        await self.page.get_by_label("Password").fill(password)
        await self.press("Sign in")
        await expect(self.page.get_by_role("link", name="Tieout, payments")).to_be_visible()

    async def reads(self, text: str) -> None:
        """The word about what was just done."""
        await expect(self.page.locator(".toast")).to_contain_text(text)

    def rows(self, client: str = "", *, state: str = "") -> Locator:
        """Return rows of the payments table, of one client or in one state."""
        css = f'#rows tr[data-state="{state}"]' if state else "#rows tr"
        return self.page.locator(css, has_text=client)

    async def sees_rows(self, count: int, client: str = "", *, state: str = "") -> None:
        await expect(self.rows(client, state=state)).to_have_count(count, timeout=PATIENCE_MS)

    async def sees_counts(self, **counts: int) -> None:
        """The filter chips say so: ``needs_attention=2``."""
        for state, count in counts.items():
            name = f"{state.replace('_', ' ').capitalize()} {count}"
            await expect(self.page.get_by_role("link", name=name, exact=True)).to_be_visible(timeout=PATIENCE_MS)

    async def save_without_script(self, what: str) -> None:
        """Press the button that stands there only where no script saves by itself."""
        button = self.page.get_by_role("button", name=f"Save {what}".strip(), exact=True)
        if await button.count():
            await button.click()

    async def is_live(self) -> None:
        await expect(self.page.locator("#live-note")).to_have_text("Live", timeout=PATIENCE_MS)

    async def stays(self) -> None:
        """Mark the document; :meth:`has_stayed` tells whether it is still the same one."""
        await self.page.evaluate("window.sameDocument = true")

    async def has_stayed(self) -> bool:
        return bool(await self.page.evaluate("window.sameDocument === true"))


@asynccontextmanager
async def visiting(browser: Browser, site: Site, **options: Any) -> AsyncIterator[Person]:
    """Open a browser profile of its own; ``options`` are Playwright's, such as ``java_script_enabled``."""
    context = await browser.new_context(
        **{"viewport": {"width": 1280, "height": 900}, "reduced_motion": "reduce", **options}
    )
    try:
        person = Person(await context.new_page(), site)
        yield person
        assert not person.complaints, person.complaints
    finally:
        await context.close()
