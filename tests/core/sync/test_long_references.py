"""Where Xero has no number, the whole reference is shown: longer than the column, which PostgreSQL refuses."""

from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import msgspec
import pytest

from core.config import Settings
from core.db.models import BooksDocument, PaymentState
from core.wiring import open_wiring
from tests.core.sync.conftest import movement, sale
from tests.core.sync.test_xero_books import BASE, Desk, House, desk_settings, house, open_desk
from tests.postgres import Cluster
from tests.runtime import VirtualRuntime
from web.sandbox.app import create_sandbox
from web.sandbox.settings import SandboxSettings
from web.sandbox.xero.client import XeroControl

__all__ = ["house"]

LENGTH = BooksDocument.external_number.type.length
CHARGE, MOVED = "ch_3PqR5tUvWxYz0AbCdEfGhIjK", "txn_3PqR5tUvWxYz0AbCdEfGhIjK"


@pytest.fixture
async def on_postgres(settings: Settings, runtime: VirtualRuntime, postgres: Cluster) -> AsyncIterator[Desk]:
    """An organisation of the sandbox's Xero, and Tieout on PostgreSQL."""
    name = await postgres.new_database()
    sandbox = create_sandbox(SandboxSettings(base_url=BASE), runtime)
    transport = httpx.ASGITransport(app=sandbox.app)
    there = msgspec.structs.replace(desk_settings(settings), database_url=postgres.url(name))
    async with (
        open_wiring(there, runtime=runtime, transport=transport) as wiring,
        httpx.AsyncClient(transport=transport) as http,
    ):
        yield await open_desk(wiring, sandbox, XeroControl(BASE, http))
    await postgres.take_back(name)


@pytest.fixture
async def on_sqlite(house: House) -> Desk:
    return await house.desk()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def desk(request: pytest.FixtureRequest) -> Desk:
    found: Desk = request.getfixturevalue(f"on_{request.param}")
    return found


async def test_a_reference_longer_than_the_column_is_shown_as_far_as_it_goes(desk: Desk) -> None:
    moved = replace(movement(1, 43_300, 1_286), stripe_id=MOVED, source_id=CHARGE)
    payment_id = await desk.pay(sale(charge_id=CHARGE, movement=moved))
    await desk.quiet()
    assert (await desk.payment(payment_id)).state is PaymentState.SYNCED
    (payment,) = await desk.records("Payment")
    assert len(payment["Reference"]) > LENGTH
    shown = {document.step: document.external_number for document in await desk.rows(BooksDocument)}
    assert shown["payment"] == payment["Reference"][:LENGTH]
    await desk.assert_once()
