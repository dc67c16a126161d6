"""Reading back: what a person changes in the books is said with both values, never overwritten, and taken back."""

from datetime import date

import pytest

from core.books.documents import DocumentKind
from core.db.models import (
    BooksDocument,
    ClearingReading,
    ItemKind,
    ItemState,
    Operation,
    PaymentState,
    ReadState,
    SyncItem,
)
from core.reasons import Reason
from core.sync.check_books import check_books_now
from tests.core.sync.conftest import PORTRAIT, Studio, sale
from tests.practice_hand import OwnersHand

ON_SQLITE = pytest.mark.parametrize("studio", ["sqlite"], indirect=True)
SYNCED = (PaymentState.SYNCED, None)
CHANGED = (PaymentState.NEEDS_ATTENTION, Reason.CHANGED_IN_BOOKS)


async def read(studio: Studio) -> None:
    """Click on "Check now"."""
    studio.runtime.forward(minutes=1)
    async with studio.wiring.db.tenant(studio.tenant_id, write=True) as session:
        now = await studio.wiring.db.now(session)
        assert await check_books_now(session, tenant_id=studio.tenant_id, now=now)
    await studio.quiet()


async def test_what_stands_is_read_and_clearing_with_it(studio: Studio) -> None:
    await studio.map(PORTRAIT.key, "Session income")
    payment_id = await studio.pay(sale())
    await studio.quiet()
    await read(studio)
    documents = await studio.rows(BooksDocument)
    assert [(d.read_state, d.read_total_minor) for d in documents] == [(ReadState.STANDS, 43300)] * 2
    [reading] = await studio.rows(ClearingReading)
    assert (reading.balance_minor, reading.account_id) == (43300, studio.accounts["Stripe clearing"])
    assert await studio.stands(payment_id) == SYNCED


@ON_SQLITE
@pytest.mark.parametrize("change", ["total", "date", "void", "delete"])
async def test_what_a_person_changed_is_said_until_it_is_put_right(studio: Studio, change: str) -> None:
    await studio.map(PORTRAIT.key, "Session income")
    payment_id = await studio.pay(sale())
    await studio.quiet()
    hand, at = OwnersHand(studio.ledger.books), studio.runtime.now()
    [payment] = [d for d in await studio.rows(BooksDocument) if d.kind is DocumentKind.PAYMENT]
    document = (DocumentKind.PAYMENT, payment.external_id or "")
    if change == "total":
        hand.edit_total(*document, 43200, at=at)
    elif change == "date":
        hand.move(*document, date(2026, 1, 15), at=at)
    elif change == "void":
        hand.void(*document, at=at)
    else:
        hand.delete(*document)
    await read(studio)
    assert await studio.stands(payment_id) == CHANGED
    detail = (await studio.payment(payment_id)).reason_detail
    assert detail["document"] == "payment"
    found = {"total": "432.00 USD", "date": "433.00 USD", "void": "0.00 USD", "delete": "0.00 USD"}[change]
    assert (detail["found"], detail["expected"]) == (found, "433.00 USD")
    operations = len(await studio.rows(Operation))
    if change in ("total", "date"):
        hand.edit_total(*document, 43300, at=at)
        hand.move(*document, payment.book_date, at=at)
        await read(studio)
        assert await studio.stands(payment_id) == SYNCED
    assert len(await studio.rows(Operation)) == operations


@ON_SQLITE
async def test_the_daily_reading_finds_it_without_being_asked(studio: Studio) -> None:
    await studio.map(PORTRAIT.key, "Session income")
    payment_id = await studio.pay(sale())
    await studio.quiet()
    await read(studio)
    [payment] = [d for d in await studio.rows(BooksDocument) if d.kind is DocumentKind.PAYMENT]
    hand = OwnersHand(studio.ledger.books)
    hand.edit_total(DocumentKind.PAYMENT, payment.external_id or "", 1, at=studio.runtime.now())
    studio.runtime.forward(hours=25)
    await studio.quiet()
    assert await studio.stands(payment_id) == CHANGED
    [item] = [item for item in await studio.rows(SyncItem) if item.kind is ItemKind.VERIFY]
    assert (item.state, item.wanted - item.done) == (ItemState.PENDING, 0)
    assert item.due_at is not None
