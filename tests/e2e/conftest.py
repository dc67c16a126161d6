"""One browser and one demo for all browser tests; what changes something has a workspace of its own."""

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, async_playwright

from tests.chromium import FLAGS, find_chromium
from tests.e2e.site import Site, running_demo


@pytest.fixture(scope="session")
async def browser(anyio_backend: str) -> AsyncIterator[Browser]:
    """A real Chromium."""
    path = find_chromium()
    async with async_playwright() as playwright:
        opened = await playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield opened
        await opened.close()


@pytest.fixture(scope="session")
async def demo(anyio_backend: str, browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """What ``make demo`` serves, without new payments by themselves."""
    async with running_demo(tmp_path_factory.mktemp("demo")) as site:
        yield site
