"""The database refuses a row of one item: that item stops, the others of its round stand, and the log names the cause.

PostgreSQL refused Xero's long references in this way; what is refused here is refused by a trigger, on both databases.
"""

from contextlib import suppress
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from core.db.models import Attempt, AttemptOutcome, PaymentState, SyncItem
from core.reasons import Reason
from core.sync.worker import REST_AFTER_BREAK_S
from tests.core.sync.conftest import PORTRAIT, Studio, movement, sale

REFUSED = 77_700
PARTS = pytest.mark.parametrize("part", ["invoice", "payment"])
_SYNCED = (PaymentState.SYNCED, None)
_SQLITE = (
    "CREATE TRIGGER refuse BEFORE UPDATE ON books_document WHEN {when} "
    "BEGIN SELECT RAISE(ABORT, 'refused by the test'); END",
)
_POSTGRES = (
    "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF {when} "
    "THEN RAISE EXCEPTION 'refused by the test' USING ERRCODE = '{state}'; END IF; RETURN NEW; END $$",
    "CREATE TRIGGER refuse BEFORE UPDATE ON books_document FOR EACH ROW EXECUTE FUNCTION refuse()",
)


async def _refuse(studio: Studio, part: str, *, state: str = "22001") -> None:
    """Let the database refuse to note that a document of this kind and amount stands."""
    when = f"NEW.total_minor = {REFUSED} AND NEW.kind = '{part}' AND NEW.external_id IS NOT NULL"
    async with studio.wiring.db.engine.begin() as connection:
        for statement in _SQLITE if studio.wiring.db.is_sqlite else _POSTGRES:
            await connection.execute(text(statement.format(when=when, state=state)))


async def _pay(studio: Studio, number: int, amount: int = 43_300) -> UUID:
    return await studio.pay(sale(number, amount=amount, movement=movement(number, amount, 1_286)))


@PARTS
async def test_a_refused_row_stops_its_item_alone_and_the_cause_is_told(
    studio: Studio, capsys: pytest.CaptureFixture[str], part: str
) -> None:
    await studio.map(PORTRAIT.key, "Session income")
    await _pay(studio, 0)
    await studio.quiet()
    await _refuse(studio, part)
    others = [await _pay(studio, number) for number in range(1, 5)]
    bad = await _pay(studio, 5, REFUSED)
    others += [await _pay(studio, number) for number in range(6, 9)]
    capsys.readouterr()

    await studio.quiet()

    assert [await studio.stands(payment_id) for payment_id in others] == [_SYNCED] * 7
    assert await studio.stands(bad) == (PaymentState.WAITING, Reason.OUR_FAULT)
    told = "".join(capsys.readouterr())
    assert "refused by the test" in told
    assert "item_failed" in told
    assert "MissingGreenlet" not in told


@PARTS
async def test_after_the_fault_is_mended_it_stands_once(studio: Studio, part: str) -> None:
    await studio.map(PORTRAIT.key, "Session income")
    await _pay(studio, 0)
    await studio.quiet()
    await _refuse(studio, part)
    payments = [await _pay(studio, number, REFUSED if number == 2 else 43_300) for number in range(1, 5)]
    await studio.quiet()
    async with studio.wiring.db.engine.begin() as connection:
        on = "" if studio.wiring.db.is_sqlite else " ON books_document"
        await connection.execute(text(f"DROP TRIGGER refuse{on}"))
    await studio.let_all_go_on()
    await studio.quiet()
    assert [await studio.stands(payment_id) for payment_id in payments] == [_SYNCED] * 4
    totals = [row.total_minor for row in studio.ledger.books.documents() if row.kind == "invoice"]
    assert sorted(totals) == [43_300] * 4 + [REFUSED]


@pytest.mark.parametrize("studio", [pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True)
@pytest.mark.parametrize("together", [1, 4], ids=["singly", "together"])
async def test_a_database_without_room_costs_no_item_a_try(studio: Studio, together: int) -> None:
    """F29: counted as a fault of the item, five full disks would have given it up for good."""
    await studio.map(PORTRAIT.key, "Session income")
    await _refuse(studio, "invoice", state="53100")
    payments = [await _pay(studio, number, REFUSED) for number in range(1, together + 1)]
    for _ in range(6):
        with suppress(DBAPIError):
            await studio.worker.step()
        studio.runtime.forward(seconds=REST_AFTER_BREAK_S)
        await studio.let_all_go_on()
    assert {item.tries for item in await studio.rows(SyncItem)} <= {0, 1}
    assert AttemptOutcome.STOPPED not in {attempt.outcome for attempt in await studio.rows(Attempt)}
    async with studio.wiring.db.engine.begin() as connection:
        await connection.execute(text("DROP TRIGGER refuse ON books_document"))
    await studio.let_all_go_on()
    await studio.quiet()
    assert [await studio.stands(payment_id) for payment_id in payments] == [_SYNCED] * together
    totals = [row.total_minor for row in studio.ledger.books.documents() if row.kind == "invoice"]
    assert totals == [REFUSED] * together


@pytest.mark.parametrize("studio", [pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True)
async def test_a_lane_that_the_database_broke_off_needs_no_end_of_its_lease(studio: Studio) -> None:
    """Its worker lives on: nobody else could take it for 45 seconds of the database's clock."""
    await studio.map(PORTRAIT.key, "Session income")
    await _refuse(studio, "invoice", state="53100")
    payment_id = await _pay(studio, 1, REFUSED)
    with pytest.raises(DBAPIError):
        await studio.worker.step()
    async with studio.wiring.db.engine.begin() as connection:
        await connection.execute(text("DROP TRIGGER refuse ON books_document"))
    await studio.worker.step()
    assert await studio.stands(payment_id) != _SYNCED
    studio.runtime.forward(seconds=REST_AFTER_BREAK_S)
    for _ in range(8):
        await studio.let_all_go_on()
        await studio.worker.step()
    assert await studio.stands(payment_id) == _SYNCED
