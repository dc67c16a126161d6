"""A fresh sandbox for each test, and one connected US company in it."""

from collections.abc import AsyncIterator

import pytest

from tests.sandbox.quickbooks.harness import Books, Intuit, running_intuit


@pytest.fixture
async def intuit() -> AsyncIterator[Intuit]:
    """The stand-in, without a company."""
    async with running_intuit() as started:
        yield started


@pytest.fixture
async def books(intuit: Intuit) -> Books:
    """A connected US company."""
    return await intuit.company()
