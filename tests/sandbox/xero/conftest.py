"""A fresh sandbox for each test, and one connected British organisation in it."""

from collections.abc import AsyncIterator

import pytest

from tests.sandbox.xero.harness import Books, Xero, running_xero


@pytest.fixture
async def xero() -> AsyncIterator[Xero]:
    """The stand-in, without an organisation."""
    async with running_xero() as started:
        yield started


@pytest.fixture
async def books(xero: Xero) -> Books:
    """A connected organisation in the United Kingdom, without limits."""
    return await xero.books()
