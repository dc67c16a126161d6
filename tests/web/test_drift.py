"""What others did in the books, on the pages: named, left alone, and made again or left out on a click alone."""

from datetime import date
from typing import Any
from uuid import uuid4

from sqlalchemy import select, update

from core.db.models import (
    BalanceTransaction,
    BooksDocument,
    Connection,
    DocumentState,
    Drift,
    ItemKind,
    ItemState,
    OthersEntry,
    ReadState,
    SyncItem,
)
from core.reasons import Reason
from tests.core.reports.test_reconciliation import noon
from tests.core.reports.test_reconciliation_payouts import fill
from tests.web.test_reconciliation import MONTH, Desk, desk

__all__ = ["desk"]


async def drift(desk: Desk, document: BooksDocument, kind: Drift, **values: Any) -> None:
    """Let a reading have shown what somebody did to a document, and its item say so."""
    async with desk.wiring.db.tenant(desk.tenant_id, write=True) as session:
        row = await session.get_one(BooksDocument, document.id)
        is_gone = kind in (Drift.DELETED, Drift.VOIDED)
        row.read_state, row.read_drift = ReadState.GONE if is_gone else ReadState.CHANGED, kind
        row.read_at, row.read_date = desk.wiring.runtime.now(), row.book_date
        row.read_total_minor = None if is_gone else row.total_minor
        for name, value in values.items():
            setattr(row, name, value)
        item = await session.get_one(SyncItem, row.item_id)
        item.state, item.reason = ItemState.NEEDS_ATTENTION, Reason.CHANGED_IN_BOOKS


async def others(desk: Desk, effect: int | None, number: str, **values: Any) -> None:
    async with desk.wiring.db.tenant(desk.tenant_id, write=True) as session:
        now = desk.wiring.runtime.now()
        entry = OthersEntry(
            id=uuid4(), connection_id=desk.books_id, word="Expense", external_id=number, number=number, note="",
            day=date(2026, 2, 10), account_id="11", effect_minor=effect, is_gone=False, seen_at=now, changed_at=now,
        )  # fmt: skip
        for name, value in values.items():
            setattr(entry, name, value)
        session.add(entry)


async def test_entries_of_others_on_clearing_are_named_with_their_sum(desk: Desk) -> None:
    await fill(desk)
    await others(desk, -1234, "E-7")
    await others(desk, -100, "E-8")
    await others(desk, -9999, "E-9", is_gone=True)
    await desk.read(books=desk.books - 1334)
    page = (await desk.browser.get(MONTH)).text
    assert "2 entries on 1150 Stripe clearing are not ours, −$13.34 together: " in page
    assert "Expense E-7 of −$12.34 on Feb 10" in page
    assert "E-9" not in page
    # They explain the difference by name, but do not make it go away.
    assert "Look in QuickBooks for an entry" not in page
    assert "−$13.34</dd>" in page.replace("\n", "")
    await others(desk, None, "E-10")
    assert "3 entries on 1150 Stripe clearing are not ours: " in (await desk.browser.get(MONTH)).text


async def test_books_that_are_read_back_one_by_one_are_said_to_be(desk: Desk) -> None:
    await fill(desk)
    await desk.read()
    assert "reading each entry" not in (await desk.browser.get(MONTH)).text
    async with desk.wiring.db.tenant(desk.tenant_id, write=True) as session:
        books = await session.get_one(Connection, desk.books_id)
        books.changes_lost_at = desk.wiring.runtime.now()
    assert "reading each entry of ours back, one by one" in (await desk.browser.get(MONTH)).text


async def test_a_certificate_that_was_never_read_back_is_not_called_tied_out(desk: Desk) -> None:
    payout = await fill(desk)
    await desk.read()
    path = f"/payouts/{payout.id}"
    page = (await desk.browser.get(path)).text
    assert "nothing is read back yet" in page
    assert "<small>Tied out</small>" not in page
    async with desk.wiring.db.tenant(desk.tenant_id, write=True) as session:
        rows = (await session.execute(select(BooksDocument))).scalars().all()
        for row in rows[1:]:
            row.read_state, row.read_at = ReadState.STANDS, desk.wiring.runtime.now()
            row.read_total_minor, row.read_date = row.total_minor, row.book_date
    assert f"1 of {len(rows)} entries not read back yet" in (await desk.browser.get(path)).text
    async with desk.wiring.db.tenant(desk.tenant_id, write=True) as session:
        (await session.get_one(BooksDocument, rows[0].id)).read_at = desk.wiring.runtime.now()
    assert "<small>Tied out</small>" in (await desk.browser.get(path)).text


async def test_money_that_was_moved_to_another_account_unties_its_payout(desk: Desk) -> None:
    payout = await fill(desk)
    await drift(desk, desk.documents["first"], Drift.MOVED, read_effect_minor=0)
    await desk.read(books=desk.books - 43300)
    page = (await desk.browser.get(f"/payouts/{payout.id}")).text
    assert "Moved to another account in QuickBooks" in page
    assert "−$433.00" in page
    assert "Does not tie" in (await desk.browser.get(MONTH)).text


async def test_a_removed_transfer_is_made_again_on_a_click_and_only_once(desk: Desk) -> None:
    payout = await fill(desk)
    document = desk.documents[payout.stripe_id]
    await drift(desk, document, Drift.DELETED)
    page = (await desk.browser.get("/reconciliation")).text
    path = f"/reconciliation/items/{document.item_id}/recreate"
    assert f'action="{path}"' in page
    assert "Deleted in QuickBooks" in page
    for said in ("Making it again now", "Nothing of it can be made again now"):
        assert (await desk.browser.post(path, {"next": "/reconciliation"})).status_code == 303
        assert said in (await desk.browser.get("/reconciliation")).text
    async with desk.wiring.db.tenant(desk.tenant_id) as session:
        item = await session.get_one(SyncItem, document.item_id)
        row = await session.get_one(BooksDocument, document.id)
    assert (item.state, item.plan_version, row.state) == (ItemState.PENDING, 1, DocumentState.DROPPED)


async def test_a_payment_that_is_open_in_the_books_says_so_and_offers_nothing_to_recreate(desk: Desk) -> None:
    txn = await desk.sale(amount=43300, fee=1286, at=noon(20))
    await drift(desk, desk.documents[f"{txn}:invoice"], Drift.UNPAID, read_open_minor=43300)
    page = (await desk.browser.get("/reconciliation")).text
    assert "Not settled in QuickBooks: $433.00 is open" in page
    assert "/recreate" not in page


async def test_a_refund_can_be_left_out_and_is_then_no_promise_of_ours(desk: Desk) -> None:
    item = await desk.item(
        ItemKind.REFUND, "re_1", state=ItemState.NEEDS_ATTENTION, reason=Reason.PERIOD_CLOSED,
        reason_detail={"books": "QuickBooks"},
    )  # fmt: skip
    await desk.move("refund", amount=-10825, at=noon(22), stripe_source_id="re_1")
    await desk.read()
    path = f"/reconciliation/items/{item.id}/ignore"
    assert f'action="{path}"' in (await desk.browser.get("/reconciliation")).text
    assert (await desk.browser.post(path, {"next": "/reconciliation"})).status_code == 303
    assert "Nothing was changed" in (await desk.browser.get("/reconciliation")).text
    form = {"next": "/reconciliation", "reason": "Entered by hand"}
    assert (await desk.browser.post(path, form)).status_code == 303
    page = (await desk.browser.get("/reconciliation")).text
    assert "Left out of the books." in page
    assert "Refunds not posted yet" not in page
    assert "left out by you, −$108.25 net of fees" in page
    assert f'action="{path}"' not in page


async def test_a_day_of_fees_that_is_left_out_is_no_promise_of_ours(desk: Desk) -> None:
    fees = await desk.item(
        ItemKind.FEES, "2026-02-21", state=ItemState.NEEDS_ATTENTION, reason=Reason.PERIOD_CLOSED,
        reason_detail={"books": "QuickBooks"},
    )  # fmt: skip
    txn = await desk.sale(amount=5000, fee=175, at=noon(21), with_fee=False)
    async with desk.wiring.db.tenant(desk.tenant_id, write=True) as session:
        of_sale = BalanceTransaction.stripe_id == txn
        await session.execute(update(BalanceTransaction).where(of_sale).values(fee_item_id=fees.id))
    await desk.read()
    assert "Stripe fees not posted yet" in (await desk.browser.get("/reconciliation")).text
    form = {"next": "/reconciliation", "reason": "Entered by hand"}
    assert (await desk.browser.post(f"/reconciliation/items/{fees.id}/ignore", form)).status_code == 303
    page = (await desk.browser.get("/reconciliation")).text
    assert "Stripe fees not posted yet" not in page
    assert "1 entry left out by you, −$1.75 net of fees" in page


async def test_what_only_waits_cannot_be_left_out_by_accident(desk: Desk) -> None:
    item = await desk.item(ItemKind.REFUND, "re_1", state=ItemState.PENDING)
    await desk.move("refund", amount=-10825, at=noon(22), stripe_source_id="re_1")
    assert f"/reconciliation/items/{item.id}/ignore" not in (await desk.browser.get("/reconciliation")).text
