"""The line to PostgreSQL is cut in each COMMIT in turn: whether that was heard or not, it is applied once (F28)."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from sqlalchemy.exc import DBAPIError, InterfaceError

from core.config import Settings
from core.db.models import Operation, OperationState, Payment, PaymentState
from core.sync import lanes
from core.wiring import open_wiring
from tests.core.sync.conftest import PORTRAIT, Studio, _studio, movement, sale
from tests.cutter import Cut, Cutter, running_cutter
from tests.postgres import Cluster
from tests.runtime import VirtualRuntime

pytestmark = pytest.mark.postgres
_LOST = (DBAPIError, InterfaceError, OSError)


@pytest.fixture
async def cutter(postgres: Cluster) -> AsyncIterator[Cutter]:
    async with running_cutter(postgres.port) as cutter:
        yield cutter


@pytest.fixture
async def shop(
    postgres: Cluster, cutter: Cutter, settings: Settings, runtime: VirtualRuntime, tmp_path: Path
) -> AsyncIterator[Studio]:
    """A studio whose every word to the database goes through the cutter."""
    name = await postgres.new_database()
    url = postgres.url(name).replace(f":{postgres.port}/", f":{cutter.port}/")
    through = msgspec.structs.replace(settings, database_url=url, mock_books_path=str(tmp_path / "books.db"))
    async with open_wiring(through, runtime=runtime) as wiring:
        studio = await _studio(wiring)
        await studio.map(PORTRAIT.key, "Session income")
        yield studio
    await postgres.take_back(name)


async def _go_on(shop: Studio) -> None:
    """As after a crash: nobody waits for a lease of the dead, or for a next try."""
    await lanes.free_lanes(shop.wiring.db)
    await shop.let_all_go_on()
    await shop.quiet()


@pytest.mark.parametrize("where", list(Cut))
@pytest.mark.parametrize("together", [1, 4], ids=["singly", "together"])
async def test_whatever_commit_is_lost_each_payment_stands_once(
    shop: Studio, cutter: Cutter, where: Cut, together: int
) -> None:
    number, cuts = 0, 0
    while True:
        for _ in range(together):
            number += 1
            await shop.pay(sale(number, amount=10_000 + number, movement=movement(number, 10_000 + number, 300)))
        before = cutter.commits
        cutter.arm(where, after=cuts)
        with suppress(*_LOST):
            await shop.quiet()
        hit = cutter.cuts > cuts
        cutter.disarm()
        await _go_on(shop)
        if not hit:
            break
        cuts += 1
        assert cutter.commits > before
    assert cuts >= 5, "a sale takes more commits than that"
    rows = shop.ledger.books.documents()
    wanted = Counter({10_000 + one: 1 for one in range(1, number + 1)})
    assert Counter(row.total_minor for row in rows if row.kind == "invoice") == wanted
    assert Counter(row.total_minor for row in rows if row.kind == "payment") == wanted
    assert {payment.state for payment in await shop.rows(Payment)} == {PaymentState.SYNCED}
    assert {operation.state for operation in await shop.rows(Operation)} == {OperationState.CONFIRMED}
