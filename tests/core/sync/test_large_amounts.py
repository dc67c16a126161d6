"""Large amounts from Stripe's facts to the books and back, alone and together, with an answer lost on the way."""

import pytest
from sqlalchemy import select

from core.db.models import BooksDocument, ClearingLine, Operation, PaymentState
from tests.core.sync.conftest import PORTRAIT, Studio, movement, sale
from tests.core.sync.test_doubts import Desk as QuickBooksDesk
from tests.core.sync.test_doubts import desk as quickbooks
from tests.core.sync.test_xero_books import CLEARING, INCOME, desk, house
from tests.core.sync.test_xero_books import Desk as XeroDesk
from web.sandbox.faults import FaultKind, FaultRule

__all__ = ["desk", "house", "quickbooks"]

LARGEST = 99_999_999
BEYOND_FLOATS = 2**53 + 1
SYNCED = (PaymentState.SYNCED, None)


async def all_synced(studio: Studio, amounts: list[int], *, hours: float = 0) -> None:
    """Let sales of these amounts wait side by side, post them, and hold our own rows to them."""
    payments = [
        await studio.pay(sale(number, amount=amount, movement=movement(number, amount, amount // 40)))
        for number, amount in enumerate(amounts, 1)
    ]
    await studio.quiet(hours=hours)
    assert [await studio.stands(payment_id) for payment_id in payments] == [SYNCED] * len(amounts)
    documents = await studio.rows(BooksDocument)
    for kind in ("invoice", "payment"):
        assert sorted(d.total_minor for d in documents if d.kind == kind) == sorted(amounts)
    async with studio.wiring.db.tenant(studio.tenant_id) as session:
        booked = (await session.execute(select(ClearingLine.amount_minor))).scalars().all()
    assert sum(booked) == sum(amounts)
    assert all(row.sends for row in await studio.rows(Operation))


async def test_large_sales_stand_in_the_practice_books_to_the_cent(studio: Studio) -> None:
    await studio.map(PORTRAIT.key, "Session income")
    amounts = [LARGEST, BEYOND_FLOATS, BEYOND_FLOATS + 1]
    await all_synced(studio, amounts)
    balance = studio.ledger.books.trial_balance()
    assert (balance["Stripe clearing"], balance["Session income"]) == (sum(amounts), -sum(amounts))


AMOUNTS = [LARGEST - 1, LARGEST, *range(BEYOND_FLOATS, BEYOND_FLOATS + 10)]


@pytest.mark.parametrize("is_lost", [False, True], ids=["answered", "answer lost"])
async def test_large_sales_travel_together_to_quickbooks(quickbooks: QuickBooksDesk, is_lost: bool) -> None:
    if is_lost:
        quickbooks.sandbox.faults.add(
            FaultRule(kind=FaultKind.DROP_AFTER_COMMIT, provider="quickbooks", method="POST", path=r"/batch\?", count=2)
        )
    await all_synced(quickbooks, AMOUNTS, hours=1)
    balance = await quickbooks.control.trial_balance(quickbooks.realm)
    assert (balance["Stripe clearing"], balance["Session Income"]) == (sum(AMOUNTS), -sum(AMOUNTS))


@pytest.mark.parametrize("is_lost", [False, True], ids=["answered", "answer lost"])
async def test_large_sales_travel_together_to_xero(desk: XeroDesk, is_lost: bool) -> None:
    if is_lost:
        desk.fail("invoice", FaultKind.DROP_AFTER_COMMIT, count=2)
        desk.fail("payment", FaultKind.DROP_AFTER_COMMIT, count=2)
    await all_synced(desk, AMOUNTS, hours=1)
    balance = await desk.control.trial_balance(desk.organisation)
    assert (balance[CLEARING], balance[INCOME]) == (sum(AMOUNTS), -sum(AMOUNTS))
