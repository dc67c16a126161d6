"""One set of books per provider and country; a provider without a bench fails the suite."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from core.accounting import registry
from tests.contract.bench import Bench
from tests.contract.mock_bench import mock_bench
from tests.contract.quickbooks_bench import QuickBooksBench, quickbooks_bench
from tests.contract.xero_bench import XeroBench, xero_bench

BENCHES: dict[str, Callable[[Path, str], AbstractAsyncContextManager[Bench]]] = {
    "quickbooks": quickbooks_bench,
    "xero": xero_bench,
    "mock": mock_bench,
}
KINDS = [provider.kind for provider in registry.every()]


@pytest.fixture(params=KINDS)
async def us_books(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    async with BENCHES[request.param](tmp_path, "US") as bench:
        yield bench


@pytest.fixture(params=KINDS)
async def gb_books(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    async with BENCHES[request.param](tmp_path, "GB") as bench:
        yield bench


@pytest.fixture
async def quickbooks(tmp_path: Path) -> AsyncIterator[QuickBooksBench]:
    async with quickbooks_bench(tmp_path, "US") as bench:
        yield bench


@pytest.fixture
async def british_quickbooks(tmp_path: Path) -> AsyncIterator[QuickBooksBench]:
    async with quickbooks_bench(tmp_path, "GB") as bench:
        yield bench


@pytest.fixture
async def xero(tmp_path: Path) -> AsyncIterator[XeroBench]:
    async with xero_bench(tmp_path, "US") as bench:
        yield bench


@pytest.fixture
async def british_xero(tmp_path: Path) -> AsyncIterator[XeroBench]:
    async with xero_bench(tmp_path, "GB") as bench:
        yield bench
