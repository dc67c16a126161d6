"""A served sandbox for the Stripe and control tests."""

from collections.abc import AsyncIterator

import pytest

from tests.sandbox.stripe_harness import Running, serve


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    """A fresh sandbox on a real port."""
    async with serve() as served:
        yield served
