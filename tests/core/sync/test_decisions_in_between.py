"""A person decides between the two tries of one unit: the second try plans by what was decided.

The number that a rolled-back unit has seen for its own change goes to the person's decision.
"""

from collections.abc import Awaitable, Callable
from uuid import UUID

import pytest
from sqlalchemy import select, text

from core.accounting.port import AccountType
from core.connections.books import refresh_books
from core.db.models import BooksDocument, PaymentState, SyncItem
from core.mapping.save import save_mapping
from core.sync import lanes, posting
from core.sync.documents import thaw
from core.sync.lane_work import BooksLane, load_lane
from tests.core.sync.conftest import PORTRAIT, SteadyRuntime, Studio, movement, sale

SECOND = 55_500
_ONCE = (
    "CREATE SEQUENCE tries",
    f"CREATE FUNCTION once() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.total_minor = {SECOND} "
    "AND nextval('tries') = 1 THEN RAISE EXCEPTION 'of the test' USING ERRCODE = '40001'; END IF; RETURN NULL; END $$",
    "CREATE CONSTRAINT TRIGGER once AFTER INSERT ON books_document DEFERRABLE INITIALLY DEFERRED "
    "FOR EACH ROW EXECUTE FUNCTION once()",
)


class Between(SteadyRuntime):
    """A clock whose first sleep after ``meanwhile`` was set gives somebody else time to do it."""

    meanwhile: Callable[[], Awaitable[None]] | None = None

    async def sleep(self, seconds: float) -> None:
        deed, self.meanwhile = self.meanwhile, None
        if deed is not None:
            await deed()
        await super().sleep(seconds)


@pytest.fixture
def runtime() -> Between:
    return Between()


async def _lane(studio: Studio) -> BooksLane:
    [claim] = [c for c in await lanes.claim_lanes(studio.wiring.db, 8) if c.connection_id == studio.books.id]
    async with studio.wiring.db.tenant(studio.tenant_id) as session:
        return BooksLane(studio.wiring, claim, *await load_lane(session, claim.connection_id))


async def _accounts_of(studio: Studio, item_id: UUID) -> set[str]:
    """Return where the income of an item's invoice was booked."""
    async with studio.wiring.db.tenant(studio.tenant_id) as session:
        rows = select(BooksDocument).where(BooksDocument.item_id == item_id, BooksDocument.step == "invoice")
        row = (await session.execute(rows)).scalar_one()
        return {line.income_account_id for line in thaw(row.kind, row.content).lines}


@pytest.mark.parametrize("studio", [pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True)
async def test_the_second_try_of_a_unit_follows_what_was_decided_after_the_first(studio: Studio) -> None:
    runtime = studio.runtime
    assert isinstance(runtime, Between)
    whose = {"tenant_id": studio.tenant_id, "connection_id": studio.books.id}
    other = (await studio.ledger.create_account("Other income", AccountType.INCOME, key="other")).external_id
    await refresh_books(studio.wiring, **whose)
    service_id = await studio.map(PORTRAIT.key, "Session income")
    payments = [
        await studio.pay(sale(number, amount=amount, movement=movement(number, amount, 100)))
        for number, amount in ((1, 44_400), (2, SECOND))
    ]
    items = {item.payment_id: item.id for item in await studio.rows(SyncItem)}
    async with studio.wiring.db.engine.begin() as connection:
        for statement in _ONCE:
            await connection.execute(text(statement))

    async def decide() -> None:
        async with studio.wiring.db.tenant(studio.tenant_id, write=True) as session:
            await save_mapping(
                session, service_id=service_id, income_account_id=other, tax_code_id=None,
                by_user_id=studio.person.user_id, now=runtime.now(), **whose,
            )  # fmt: skip

    lane = await _lane(studio)
    await posting.bring_up_to_date(lane, items[payments[0]])
    runtime.meanwhile = decide
    await posting.bring_up_to_date(lane, items[payments[1]])

    assert runtime.meanwhile is None
    assert [(await studio.payment(one)).state for one in payments] == [PaymentState.SYNCED] * 2
    assert await _accounts_of(studio, items[payments[0]]) == {studio.accounts["Session income"]}
    assert await _accounts_of(studio, items[payments[1]]) == {other}
