"""Facts and mappings that change while a sale waits, flies or stands: nothing half old, and nothing hidden."""

from dataclasses import replace

import pytest
from sqlalchemy import select

from core.books.documents import LineKind
from core.books.roles import BookkeepingSettings, SaleStyle
from core.db.models import BooksDocument, DocumentState, ItemState, Operation, OperationState, PaymentState, SyncItem
from core.errors import OutcomeUnknownError
from core.intake.facts import Line, ServiceRef
from core.mapping.roles import save_bookkeeping
from core.reasons import Reason
from core.sync import ladder, lanes
from core.sync import posting as engine
from core.sync.operations import Report
from tests.core.sync.conftest import PORTRAIT, Studio, movement, sale
from tests.core.sync.test_doubts import Desk, desk
from tests.core.sync.test_other_books import fly
from web.sandbox.faults import FaultKind, FaultRule

__all__ = ["desk"]

ON_SQLITE = pytest.mark.parametrize("studio", ["sqlite"], indirect=True)
SYNCED = (PaymentState.SYNCED, None)


def parts(*amounts: int, service: ServiceRef = PORTRAIT) -> tuple[Line, ...]:
    return tuple(Line(LineKind.SERVICE, service, "x", 1, amount, 0, False, "test", "test") for amount in amounts)


@ON_SQLITE
async def test_lines_that_come_after_the_money_let_a_stopped_payment_go_on(studio: Studio) -> None:
    """An invoice's share, or a checkout's lines, may be visible only a moment after the payment itself."""
    await studio.map(PORTRAIT.key, "Session income")
    payment_id = await studio.pay(sale(lines=parts(50000)))
    await studio.quiet()
    assert await studio.stands(payment_id) == (PaymentState.NEEDS_ATTENTION, Reason.LINES_DO_NOT_ADD_UP)
    await studio.pay(sale(lines=parts(50000)))
    await studio.quiet()
    assert await studio.stands(payment_id) == (PaymentState.NEEDS_ATTENTION, Reason.LINES_DO_NOT_ADD_UP)
    await studio.pay(sale(lines=parts(40000, 3300)))
    await studio.quiet()
    assert await studio.stands(payment_id) == SYNCED


@ON_SQLITE
async def test_a_product_that_is_known_later_lets_a_payment_without_a_service_go_on(studio: Studio) -> None:
    await studio.map(PORTRAIT.key, "Session income")
    payment_id = await studio.pay(sale(service=ServiceRef("*", "Anything else")))
    await studio.quiet()
    assert await studio.stands(payment_id) == (PaymentState.NEEDS_ATTENTION, Reason.SERVICE_NOT_MAPPED)
    await studio.pay(sale())
    await studio.quiet()
    assert await studio.stands(payment_id) == SYNCED


@ON_SQLITE
@pytest.mark.parametrize("change", ["facts", "mapping"])
async def test_a_plan_of_which_nothing_was_sent_follows_facts_and_mapping(studio: Studio, change: str) -> None:
    await studio.map(PORTRAIT.key, "Session income")
    payment_id = await studio.pay(sale())
    lane, item_id, call = await fly(studio, payment_id, "customer")
    late = OutcomeUnknownError("no answer", answered=False)
    assert await engine.advance(lane, item_id, Report(call, error=late)) is None
    await lanes.release(studio.wiring.db, lane.claim, next_call_at=None)
    if change == "facts":
        await studio.pay(sale(amount=50000))
    else:
        await studio.map(PORTRAIT.key, "Product income")
    await studio.quiet(hours=1)
    assert await studio.stands(payment_id) == SYNCED
    balance = studio.ledger.books.trial_balance()
    account, amount = ("Session income", 50000) if change == "facts" else ("Product income", 43300)
    assert (balance[account], balance["Stripe clearing"]) == (-amount, amount)
    assert len(studio.ledger.books.documents("invoice")) == 1


@ON_SQLITE
async def test_a_sent_plan_is_what_counts(studio: Studio) -> None:
    await studio.map(PORTRAIT.key, "Session income")
    payment_id = await studio.pay(sale())
    lane, item_id, call = await fly(studio, payment_id, "invoice")
    await lane.call(call)
    late = OutcomeUnknownError("no answer", answered=False)
    assert await engine.advance(lane, item_id, Report(call, error=late)) is None
    await lanes.release(studio.wiring.db, lane.claim, next_call_at=None)
    await studio.map(PORTRAIT.key, "Product income")
    await studio.pay(sale(refunded_minor=5))
    await studio.quiet(hours=1)
    assert await studio.stands(payment_id) == SYNCED
    assert studio.ledger.books.trial_balance()["Session income"] == -43300


@ON_SQLITE
async def test_an_invoice_that_stands_is_never_paid_with_another_amount(studio: Studio) -> None:
    await studio.map(PORTRAIT.key, "Session income")
    payment_id = await studio.pay(sale())
    lane, item_id, call = await fly(studio, payment_id, "payment")
    studio.ledger.books.set_account_active(studio.accounts["Stripe clearing"], active=False)
    assert await engine.advance(lane, item_id, await lane.call(call)) is None
    await lanes.release(studio.wiring.db, lane.claim, next_call_at=None)
    assert await studio.stands(payment_id) == (PaymentState.NEEDS_ATTENTION, Reason.ACCOUNT_INACTIVE)
    studio.ledger.books.set_account_active(studio.accounts["Stripe clearing"], active=True)
    await studio.pay(sale(amount=50000))
    for _ in range(2):
        assert await studio.retry(payment_id)
        await studio.quiet()
        payment = await studio.payment(payment_id)
        assert (payment.state, payment.reason) == (PaymentState.NEEDS_ATTENTION, Reason.TOTALS_DIFFER)
        assert (payment.reason_detail["found"], payment.reason_detail["expected"]) == ("433.00 USD", "500.00 USD")
    assert studio.ledger.books.documents("payment") == []
    await studio.pay(sale())
    assert await studio.retry(payment_id)
    await studio.quiet()
    assert await studio.stands(payment_id) == SYNCED


@ON_SQLITE
async def test_a_sale_keeps_the_style_of_what_stands_whatever_the_setting_became(studio: Studio) -> None:
    """Its invoice stands, the payment was refused, and from now on sales are receipts: this one is still an invoice."""
    await studio.map(PORTRAIT.key, "Session income")
    payment_id = await studio.pay(sale())
    lane, item_id, call = await fly(studio, payment_id, "payment")
    studio.ledger.books.set_account_active(studio.accounts["Stripe clearing"], active=False)
    assert await engine.advance(lane, item_id, await lane.call(call)) is None
    await lanes.release(studio.wiring.db, lane.claim, next_call_at=None)
    studio.ledger.books.set_account_active(studio.accounts["Stripe clearing"], active=True)
    await set_style(studio, SaleStyle.RECEIPT)
    assert await studio.retry(payment_id)
    await studio.quiet()
    assert await studio.stands(payment_id) == SYNCED
    assert len(studio.ledger.books.documents("payment")) == 1
    assert studio.ledger.books.documents("sales_receipt") == []
    other = await studio.pay(sale(2))
    await studio.quiet()
    assert await studio.stands(other) == SYNCED
    assert len(studio.ledger.books.documents("sales_receipt")) == 1


@ON_SQLITE
async def test_a_plan_that_nobody_sent_follows_the_new_style(studio: Studio) -> None:
    await studio.map(PORTRAIT.key, "Session income")
    studio.ledger.books.set_account_active(studio.accounts["Session income"], active=False)
    payment_id = await studio.pay(sale())
    await studio.quiet()
    assert (await studio.stands(payment_id))[0] is PaymentState.NEEDS_ATTENTION
    studio.ledger.books.set_account_active(studio.accounts["Session income"], active=True)
    await set_style(studio, SaleStyle.RECEIPT)
    assert await studio.retry(payment_id)
    await studio.quiet()
    assert await studio.stands(payment_id) == SYNCED
    assert studio.ledger.books.documents("invoice") == []
    assert len(studio.ledger.books.documents("sales_receipt")) == 1


async def set_style(studio: Studio, style: SaleStyle) -> None:
    async with studio.wiring.db.tenant(studio.tenant_id, write=True) as session:
        await save_bookkeeping(
            session, tenant_id=studio.tenant_id, connection_id=studio.books.id,
            settings=BookkeepingSettings(sale_style=style), by_user_id=studio.person.user_id,
            now=await studio.wiring.db.now(session),
        )  # fmt: skip


@ON_SQLITE
async def test_an_amount_that_changes_after_posting_is_said_and_not_corrected_in_secret(studio: Studio) -> None:
    await studio.map(PORTRAIT.key, "Session income")
    payment_id = await studio.pay(sale())
    await studio.quiet()
    await studio.pay(sale(movement=movement(1, 43300, 1286)))
    assert await studio.stands(payment_id) == SYNCED
    await studio.pay(sale(amount=50000))
    payment = await studio.payment(payment_id)
    assert (payment.state, payment.reason) == (PaymentState.NEEDS_ATTENTION, Reason.TOTALS_DIFFER)
    assert payment.reason_detail["difference"] == "67.00 USD"
    await studio.quiet()
    assert studio.ledger.books.trial_balance()["Stripe clearing"] == 43300
    # A person has compared both and corrected it there.
    assert await studio.retry(payment_id)
    await studio.quiet()
    assert await studio.stands(payment_id) == SYNCED
    assert len(await studio.rows(Operation)) == 3


@ON_SQLITE
async def test_a_foreign_sale_is_compared_by_what_was_settled(studio: Studio) -> None:
    await studio.map(PORTRAIT.key, "Session income")
    facts = sale(amount=50000, currency="eur", movement=movement(1, 54125, 2952))
    payment_id = await studio.pay(facts)
    await studio.quiet()
    await studio.pay(replace(facts, refunded_minor=10))
    assert await studio.stands(payment_id) == SYNCED


# Against real books


async def _gone_wrong(desk: Desk, step: str) -> tuple[str, str]:
    """Lose the answer of a write, and let a person change the document before we look."""
    await desk.fail(step, FaultKind.STATUS, status=500, after_commit=True)
    while not await desk.control.documents(desk.realm, step):
        await desk.worker.step()
    [document] = await desk.control.documents(desk.realm, step)
    return document["Id"], document["SyncToken"]


@pytest.mark.parametrize("step", ["invoice", "payment"])
async def test_what_a_person_changed_and_then_deleted_is_made_anew_under_a_new_key(desk: Desk, step: str) -> None:
    """The old key would bring back QuickBooks' first answer, about a document that is gone."""
    payment_id = await desk.pay(sale())
    document_id, _ = await _gone_wrong(desk, step)
    await desk.control.void_document(desk.realm, step, document_id)
    await desk.quiet(hours=1)
    assert (await desk.payment(payment_id)).state is PaymentState.NEEDS_ATTENTION
    await desk.control.delete_document(desk.realm, step, document_id)
    assert await desk.retry(payment_id)
    await desk.quiet(hours=1)
    assert await desk.stands(payment_id) == SYNCED
    await desk.assert_once()
    dropped = [row for row in await desk.rows(BooksDocument) if row.state is DocumentState.DROPPED]
    assert [row.step for row in dropped].count(step) >= 1


async def test_an_archived_item_is_replaced_after_a_retry(desk: Desk) -> None:
    first = await desk.pay(sale(1))
    await desk.quiet()
    assert await desk.stands(first) == SYNCED
    [item] = [i for i in await desk.control.documents(desk.realm, "item") if i["Name"].startswith(PORTRAIT.name)]
    await desk.control.deactivate(desk.realm, "item", item["Id"])
    second = await desk.pay(sale(2))
    await desk.quiet(hours=0.2)
    payment = await desk.payment(second)
    assert (payment.state, payment.reason) == (PaymentState.NEEDS_ATTENTION, Reason.REFUSED)
    assert await desk.retry(second)
    await desk.quiet(hours=0.2)
    assert await desk.stands(second) == SYNCED
    await desk.assert_once(sales=2)


async def test_an_entry_that_never_goes_through_ends_with_a_person_after_a_week_and_others_flow_on(desk: Desk) -> None:
    desk.sandbox.faults.add(
        FaultRule(
            kind=FaultKind.STATUS, provider="quickbooks", method="POST", path=r"/invoice\?", body="pi_00000001",
            status=500, count=None,
        )
    )  # fmt: skip
    stuck = await desk.pay(sale(1))
    await desk.quiet()
    async with desk.wiring.db.tenant(desk.tenant_id, write=True) as session:
        item = next(item for item in (await session.execute(select(SyncItem))).scalars() if item.payment_id == stuck)
        assert item.tries == 1
        # Almost a week has passed.
        item.tries = ladder.GIVE_UP_AFTER - 1
    for number in (2, 3, 4):
        other = await desk.pay(sale(number))
        await desk.quiet()
        desk.runtime.forward(hours=8)
        await desk.quiet()
        assert await desk.stands(other) == SYNCED
    payment = await desk.payment(stuck)
    assert (payment.state, payment.reason) == (PaymentState.NEEDS_ATTENTION, Reason.OUR_FAULT)
    item = next(item for item in await desk.rows(SyncItem) if item.payment_id == stuck)
    assert (item.state, item.due_at) == (ItemState.NEEDS_ATTENTION, None)
    assert item.reason_detail["incident"]
    assert item.provider_text is not None
    assert item.tries >= ladder.GIVE_UP_AFTER
    desk.sandbox.faults.clear()
    assert await desk.retry(stuck)
    await desk.quiet(hours=1)
    assert await desk.stands(stuck) == SYNCED
    await desk.assert_once(sales=4)
    assert {o.state for o in await desk.rows(Operation)} == {OperationState.CONFIRMED}
