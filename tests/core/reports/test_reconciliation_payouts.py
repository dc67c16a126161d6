"""Payouts: what is in them, whether they tie, and the certificate that names the one odd row."""

from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import pytest

from core.books.documents import DocumentKind
from core.db.models import ItemKind, ItemState, PaymentState, Payout
from core.errors import NotFoundError
from core.reasons import Reason
from core.reports.payout import Certificate, read_certificate
from core.reports.payouts import PayoutMonth, PayoutRow, PayoutState, read_payout_month
from core.wiring import Wiring
from tests.core.reports.test_reconciliation import FIRST, Ledger, noon, open_ledger
from tests.moves import make_document, make_movement, make_payout, make_refund
from tests.sales import QueryCounter, make_payment, make_service

FEBRUARY = date(2026, 2, 1)


@pytest.fixture
async def ledger(wiring: Wiring) -> Ledger:
    return await open_ledger(wiring)


async def fill(ledger: Ledger, *, arrives: date = date(2026, 2, 24), **values: Any) -> Payout:
    """Example A's first payout: three sales, a part refund, and the transfer of 2,099.21."""
    payout_id = f"po_{uuid4().hex}"
    for name, amount, fee in (("first", 43300, 1286), ("second", 152475, 5977), ("third", 33228, 994)):
        ledger.documents[name] = ledger.documents[
            await ledger.sale(amount=amount, fee=fee, at=noon(20), stripe_payout_id=payout_id, payment={"client": name})
        ]
    refund = await make_refund(ledger.wiring, ledger.tenant_id, ledger.stripe_id, amount_minor=10825)
    txn = await ledger.move(
        "refund", amount=-10825, at=noon(21), stripe_payout_id=payout_id, stripe_source_id=refund.stripe_id
    )
    item = await ledger.item(ItemKind.REFUND, refund.stripe_id)
    ledger.documents["refund"] = await ledger.book(item, DocumentKind.REFUND, {txn: -10825})
    payout: Payout = await ledger.pay_out(209921, at=noon(22), arrives=arrives, **{"stripe_id": payout_id, **values})
    return payout


async def month(ledger: Ledger, of: date = FEBRUARY, **values: Any) -> PayoutMonth:
    standing = await ledger.standing()
    async with ledger.wiring.db.tenant(ledger.tenant_id) as session:
        return await read_payout_month(session, standing=standing, month=of, **values)


async def only(ledger: Ledger) -> PayoutRow:
    (row,) = (await month(ledger)).rows
    return row


async def certificate(ledger: Ledger, payout: Payout) -> Certificate:
    standing = await ledger.standing()
    async with ledger.wiring.db.tenant(ledger.tenant_id) as session:
        return await read_certificate(session, payout.id, standing=standing)


async def test_a_payout_that_ties_says_what_is_in_it(any_wiring: Wiring) -> None:
    ledger = await open_ledger(any_wiring)
    await fill(ledger)
    row = await only(ledger)
    assert row.parts is not None
    assert (row.state, row.amount_minor, row.in_books_minor, row.difference_minor) == (
        PayoutState.TIED, 209921, 209921, 0,
    )  # fmt: skip
    parts = row.parts
    assert (parts.payments, parts.gross_minor, parts.fees_minor, parts.refunds_minor) == (3, 229003, -8257, -10825)
    assert (parts.disputes_minor, parts.other_minor, parts.net_minor) == (0, 0, 209921)
    found = await month(ledger)
    assert (found.paid_minor, found.differ_minor, found.off, found.total) == (209921, 0, 0, 1)
    assert (await ledger.standing()).untied == 0


async def test_the_certificate_lists_each_line_once_in_three_columns(any_wiring: Wiring) -> None:
    ledger = await open_ledger(any_wiring)
    found = await certificate(ledger, await fill(ledger))
    assert [(row.stripe_minor, row.ours_minor, row.books_minor) for row in found.rows] == [
        (42014, 42014, 42014), (146498, 146498, 146498), (32234, 32234, 32234), (-10825, -10825, -10825),
    ]  # fmt: skip
    assert (found.stripe_minor, found.ours_minor, found.books_minor) == (209921, 209921, 209921)
    assert [row.client for row in found.rows] == ["first", "second", "third", ""]
    assert [document.kind for document in found.rows[0].documents] == [
        DocumentKind.INVOICE, DocumentKind.PAYMENT, DocumentKind.EXPENSE,
    ]  # fmt: skip
    assert (found.doubled, found.documents, len(found.transfers)) == (0, 3 * 3 + 1 + 1, 1)


async def test_a_payment_changed_by_hand_is_the_one_odd_row(any_wiring: Wiring) -> None:
    ledger = await open_ledger(any_wiring)
    payout = await fill(ledger)
    await ledger.change(ledger.documents["first"], 40000)
    row = await only(ledger)
    assert (row.state, row.in_books_minor, row.difference_minor) == (PayoutState.OFF, 206621, -3300)
    found = await certificate(ledger, payout)
    odd = [one for one in found.rows if one.difference_minor]
    assert [(one.client, one.stripe_minor, one.books_minor, one.difference_minor) for one in odd] == [
        ("first", 42014, 38714, -3300)
    ]
    (changed,) = [one for one in odd[0].documents if one.is_changed]
    assert (changed.total_minor, changed.read_total_minor) == (43300, 40000)
    assert (found.books_minor, found.stripe_minor) == (206621, 209921)
    assert (await ledger.standing()).untied == 1


async def test_an_invoice_and_its_payment_changed_alike_count_once(ledger: Ledger) -> None:
    payout = await fill(ledger)
    payment = ledger.documents["first"]
    invoice = next(
        document for name, document in ledger.documents.items()
        if name.endswith(":invoice") and document.item_id == payment.item_id
    )  # fmt: skip
    await ledger.change(invoice, 40000)
    assert (await only(ledger)).difference_minor == -3300
    await ledger.change(payment, 40000)
    assert (await only(ledger)).difference_minor == -3300
    assert [row.difference_minor for row in (await certificate(ledger, payout)).rows] == [-3300, 0, 0, 0]
    assert (await ledger.standing()).untied == 1


async def test_a_removed_refund_and_a_changed_transfer_are_off_by_their_amounts(any_wiring: Wiring) -> None:
    ledger = await open_ledger(any_wiring)
    payout = await fill(ledger)
    await ledger.change(ledger.documents["refund"], None)
    assert (await only(ledger)).difference_minor == 10825
    await ledger.change(ledger.documents[payout.stripe_id], 208681)
    row = await only(ledger)
    assert (row.state, row.difference_minor) == (PayoutState.OFF, 10825 - 1240)
    found = await certificate(ledger, payout)
    assert [one.difference_minor for one in found.rows] == [0, 0, 0, 10825]
    assert [(one.total_minor, one.read_total_minor) for one in found.transfers] == [(209921, 208681)]
    assert (await ledger.standing()).untied == 1


async def test_differences_that_cancel_out_do_not_make_a_payout_tie(ledger: Ledger) -> None:
    await fill(ledger)
    await ledger.change(ledger.documents["first"], 43200)
    await ledger.change(ledger.documents["second"], 152575)
    row = await only(ledger)
    assert (row.state, row.difference_minor) == (PayoutState.OFF, None)


async def test_a_changed_date_alone_leaves_the_payout_tied(ledger: Ledger) -> None:
    await fill(ledger)
    await ledger.change(ledger.documents["first"], 43300, read_date=date(2026, 2, 21))
    assert (await only(ledger)).state is PayoutState.TIED
    assert (await ledger.standing()).untied == 0


async def test_a_shared_document_of_fees_is_off_in_a_row_of_its_own(any_wiring: Wiring) -> None:
    ledger = await open_ledger(any_wiring)
    payout_id = f"po_{uuid4().hex}"
    txns = [
        await ledger.sale(amount=10000, fee=320, at=noon(20), with_fee=False, stripe_payout_id=payout_id)
        for _ in range(2)
    ]
    item = await ledger.item(ItemKind.FEES, "2026-02-20")
    fees = await ledger.book(item, DocumentKind.EXPENSE, dict.fromkeys(txns, -320))
    payout = await ledger.pay_out(19360, at=noon(22), arrives=date(2026, 2, 24), stripe_id=payout_id)
    assert (await only(ledger)).state is PayoutState.TIED
    await ledger.change(fees, 600)
    row = await only(ledger)
    assert (row.state, row.difference_minor) == (PayoutState.OFF, 40)
    found = await certificate(ledger, payout)
    assert [(one.is_shared, one.difference_minor) for one in found.rows] == [(False, 0), (False, 0), (True, 40)]
    assert found.books_minor == 19400
    await ledger.change(fees, None)
    assert (await only(ledger)).difference_minor == 640


async def test_what_is_not_booked_yet_makes_a_payout_wait_not_fail(any_wiring: Wiring) -> None:
    ledger = await open_ledger(any_wiring)
    payout_id = f"po_{uuid4().hex}"
    await ledger.sale(amount=10000, fee=320, at=noon(20), is_booked=False, stripe_payout_id=payout_id)
    await ledger.pay_out(9680, at=noon(22), arrives=date(2026, 2, 24), stripe_id=payout_id, is_booked=False)
    row = await only(ledger)
    assert (row.state, row.waiting, row.in_books_minor, row.difference_minor) == (PayoutState.WAITING, 2, None, None)


async def test_the_other_states_are_said_as_they_are(any_wiring: Wiring) -> None:
    ledger = await open_ledger(any_wiring)
    await ledger.pay_out(500, at=noon(10), arrives=date(2026, 2, 11), automatic=False, lines_read=False)
    await ledger.pay_out(600, at=noon(12), arrives=date(2026, 2, 13), status="in_transit", is_booked=False)
    await ledger.pay_out(700, at=FIRST - timedelta(days=1), arrives=date(2026, 2, 3), is_booked=False)
    await ledger.pay_out(800, at=noon(14), arrives=date(2026, 2, 15), status="failed", is_booked=False)
    payout_id = f"po_{uuid4().hex}"
    await ledger.sale(
        amount=1000, fee=59, at=noon(16), is_booked=False, with_fee=False, stripe_payout_id=payout_id,
        payment={"state": PaymentState.IGNORED, "reason": Reason.IGNORED_BY_PERSON},
    )  # fmt: skip
    await ledger.pay_out(941, at=noon(16), arrives=date(2026, 2, 17), stripe_id=payout_id)
    rows = (await month(ledger)).rows
    assert [(row.amount_minor, row.state, row.in_books_minor, row.difference_minor) for row in rows] == [
        (941, PayoutState.BY_HAND, 0, -941),
        (800, PayoutState.FAILED, None, None),
        (600, PayoutState.ON_ITS_WAY, None, None),
        (500, PayoutState.BY_HAND, 500, 0),
        (700, PayoutState.BEFORE_START, None, None),
    ]
    assert (await month(ledger)).paid_minor == 941 + 600 + 500


async def test_lines_from_before_the_first_day_are_the_opening_balance_s(ledger: Ledger) -> None:
    payout_id = f"po_{uuid4().hex}"
    await make_movement(
        ledger.wiring, ledger.tenant_id, ledger.stripe_id, amount=5000, fee=100, at=FIRST - timedelta(days=3),
        stripe_payout_id=payout_id,
    )  # fmt: skip
    await ledger.sale(amount=1000, fee=59, at=noon(2), stripe_payout_id=payout_id)
    payout = await ledger.pay_out(5841, at=noon(3), arrives=date(2026, 2, 5), stripe_id=payout_id)
    assert (await only(ledger)).state is PayoutState.TIED
    found = await certificate(ledger, payout)
    assert [(row.is_before_start, row.books_minor) for row in found.rows] == [(True, 4900), (False, 941)]


async def test_a_payout_that_does_not_add_up_is_off_by_what_is_missing(ledger: Ledger) -> None:
    payout_id = f"po_{uuid4().hex}"
    await ledger.sale(amount=1000, fee=59, at=noon(2), stripe_payout_id=payout_id)
    payout = await make_payout(
        ledger.wiring, ledger.tenant_id, ledger.stripe_id, amount=1000, arrives=date(2026, 2, 5), stripe_id=payout_id,
        lines_read=False, created_at=noon(3),
    )  # fmt: skip
    item = await ledger.item(
        ItemKind.PAYOUT, payout_id, state=ItemState.NEEDS_ATTENTION, reason=Reason.PAYOUT_DOES_NOT_TIE
    )
    txn = await ledger.move("payout", amount=-1000, at=noon(3), stripe_source_id=payout.stripe_id)
    await ledger.book(item, DocumentKind.TRANSFER, {txn: -1000})
    row = await only(ledger)
    assert (row.state, row.difference_minor) == (PayoutState.OFF, -59)
    assert (await ledger.standing()).untied == 1


async def test_a_document_that_stands_twice_is_seen(ledger: Ledger) -> None:
    payout = await fill(ledger)
    once = ledger.documents["first"]
    async with ledger.wiring.db.tenant(ledger.tenant_id) as session:
        from core.db.models import SyncItem

        item = await session.get_one(SyncItem, once.item_id)
    await make_document(ledger.wiring, item, DocumentKind.PAYMENT, 43300, plan_version=1)
    assert (await certificate(ledger, payout)).doubled == 2


async def test_months_are_paged_by_rows(any_wiring: Wiring) -> None:
    ledger = await open_ledger(any_wiring)
    for day in range(3, 10):
        await ledger.pay_out(day, at=noon(day), arrives=date(2026, 2, day), automatic=False)
    first = await month(ledger, page_size=3)
    assert [row.amount_minor for row in first.rows] == [9, 8, 7]
    assert (first.newer, first.total, first.paid_minor) == (None, 7, 42)
    second = await month(ledger, page_size=3, before=first.older)
    assert [row.amount_minor for row in second.rows] == [6, 5, 4]
    third = await month(ledger, page_size=3, before=second.older)
    assert ([row.amount_minor for row in third.rows], third.older) == ([3], None)
    back = await month(ledger, page_size=3, after=third.newer)
    assert [row.amount_minor for row in back.rows] == [6, 5, 4]
    assert (await month(ledger, date(2026, 3, 1))).rows == ()


async def test_queries_do_not_grow_with_payouts_or_lines(ledger: Ledger) -> None:
    payout = await fill(ledger)
    await ledger.change(ledger.documents["first"], 40000)
    standing = await ledger.standing()

    async def count() -> tuple[int, int]:
        async with ledger.wiring.db.tenant(ledger.tenant_id) as session:
            with QueryCounter(ledger.wiring) as of_month:
                await read_payout_month(session, standing=standing, month=FEBRUARY)
            with QueryCounter(ledger.wiring) as of_one:
                await read_certificate(session, payout.id, standing=standing)
        return len(of_month), len(of_one)

    one = await count()
    for day in range(10, 15):
        await fill(ledger, arrives=date(2026, 2, day))
    assert await count() == one
    assert one <= (6, 12)


async def test_nobody_elses_payout_can_be_seen(any_wiring: Wiring) -> None:
    mine, theirs = await open_ledger(any_wiring), await open_ledger(any_wiring)
    payout = await fill(theirs)
    with pytest.raises(NotFoundError):
        await certificate(mine, payout)
    assert (await month(mine)).rows == ()
    await theirs.change(theirs.documents["first"], 40000)
    assert (await mine.standing()).untied == 0


async def test_a_client_and_service_are_named(ledger: Ledger) -> None:
    payout_id = f"po_{uuid4().hex}"
    service = await make_service(ledger.wiring, ledger.tenant_id, "Mini session")
    txn = await ledger.move("charge", amount=1000, fee=59, at=noon(2), stripe_payout_id=payout_id)
    payment = await make_payment(
        ledger.wiring, ledger.tenant_id, ledger.stripe_id, client="Grace", services=(service,), amount=1000, fee=59,
        stripe_balance_transaction_id=txn,
    )  # fmt: skip
    refund = await make_refund(ledger.wiring, ledger.tenant_id, ledger.stripe_id, payment_id=payment.id)
    await ledger.move("refund", amount=-100, at=noon(3), stripe_payout_id=payout_id, stripe_source_id=refund.stripe_id)
    payout = await ledger.pay_out(841, at=noon(4), arrives=date(2026, 2, 5), stripe_id=payout_id)
    rows = (await certificate(ledger, payout)).rows
    assert [(row.client, row.what_for, row.payment_id) for row in rows] == [("Grace", "Mini session", payment.id)] * 2
