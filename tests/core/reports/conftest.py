"""A tenant with something to report on."""

import pytest

from core.wiring import Wiring
from tests.core.reports.test_payments_table import Studio, open_studio


@pytest.fixture
async def studio(wiring: Wiring) -> Studio:
    """A studio on SQLite."""
    return await open_studio(wiring)
