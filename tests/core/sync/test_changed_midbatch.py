"""Facts that change while a call of many is in doubt: it goes out as it was or is looked up, then the change counts."""

import shutil
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from core.books.documents import LineKind
from core.config import Settings
from core.db.models import Attempt, AttemptOutcome, Batch, PaymentState
from core.intake.facts import Client, Line, ServiceRef
from core.reasons import Reason
from core.sync import posting_rounds
from core.sync.acts import resume_posting, stop_posting
from core.sync.worker import Worker
from tests.core.sync.conftest import PORTRAIT, sale
from tests.core.sync.test_bulk import SYNCED, _until_sent, backlog, known_client, writes
from tests.core.sync.test_xero_books import CLEARING, INCOME, Desk, desk, house
from tests.play import Death, Play, playing
from web.sandbox.quickbooks.client import QuickBooksControl
from web.sandbox.xero.client import XeroControl

__all__ = ["desk", "house"]

SALES = 10
OTHER_INCOME = "Wedding Photography"
TOTALS_DIFFER = (PaymentState.NEEDS_ATTENTION, Reason.TOTALS_DIFFER)
ALBUM = ServiceRef("prod_album", "Album")


async def map_elsewhere(desk: Desk) -> None:
    await desk.map(PORTRAIT.key, OTHER_INCOME)


async def rename_client(desk: Desk) -> None:
    client = Client("cus_anna", "cus_anna", "Anna Schmidt", "anna@example.com", None)
    await tell_again(desk, lambda number: sale(number, client=client))


async def sell_something_else(desk: Desk) -> None:
    """The metadata that names the service was corrected at Stripe."""
    await desk.map(ALBUM.key, OTHER_INCOME)
    lines = (Line(LineKind.SERVICE, ALBUM, "Album", 1, 43300, 0, False, "test", "test"),)
    await tell_again(desk, lambda number: sale(number, lines=lines))


async def refund_some(desk: Desk) -> None:
    await tell_again(desk, lambda number: sale(number, refunded_minor=100 * number))


async def tell_again(desk: Desk, facts: Any) -> None:
    for number in range(1, SALES + 1):
        await desk.pay(facts(number))


CHANGES = [map_elsewhere, rename_client, sell_something_else, refund_some]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
@pytest.mark.parametrize("kind", ["invoice", "payment"])
@pytest.mark.parametrize("sent", [False, True], ids=["died before the call", "died after the call"])
async def test_a_call_that_was_cut_off_goes_out_byte_for_byte_whatever_has_changed(
    desk: Desk, kind: str, sent: bool, change: Any
) -> None:
    await known_client(desk)
    desk.sandbox.log.record_bodies = True
    payments = await backlog(desk, 1, SALES)
    lane, planned = await _until_sent(desk, kind)
    frozen = [step.write.body for step in planned.calls[0].steps]
    if sent:
        await posting_rounds._make(lane, planned)
    await change(desk)
    desk.runtime.forward(seconds=61)
    await desk.quiet(hours=0.1)
    of_many = [e for e in writes(desk, f"{kind.capitalize()}s") if e.body.count("Reference") == SALES]
    assert len({(entry.body, entry.idempotency_key) for entry in of_many}) == 1
    assert [entry.replayed for entry in of_many] == ([False, True] if sent else [False])
    assert all(body.decode()[body.index(b"[") + 1 : -2] in of_many[0].body for body in frozen)
    assert {await desk.stands(payment_id) for payment_id in payments} == {SYNCED}
    # Everything is booked as it was planned, under the client that was there, and what comes next as it is now.
    await desk.assert_once(sales=1 + SALES)
    await assert_next_sale_follows(desk, change)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
@pytest.mark.parametrize("sent", [False, True], ids=["died before the call", "died after the call"])
async def test_when_it_is_too_late_for_that_each_is_looked_up_before_anything_is_sent(
    desk: Desk, sent: bool, change: Any
) -> None:
    await known_client(desk)
    payments = await backlog(desk, 1, SALES)
    lane, planned = await _until_sent(desk, "invoice")
    if sent:
        await posting_rounds._make(lane, planned)
    before = {row.id for row in await desk.rows(Attempt)}
    await change(desk)
    desk.runtime.forward(minutes=3)
    await desk.quiet(hours=0.2)
    after = [row for row in await desk.rows(Attempt) if row.id not in before and row.step == "invoice"]
    outcomes = Counter(row.outcome for row in after)
    looked_up = AttemptOutcome.FOUND if sent else AttemptOutcome.NOT_FOUND
    sent_again = {} if sent else {AttemptOutcome.CONFIRMED: SALES}
    assert outcomes == {looked_up: SALES, **sent_again}
    assert {await desk.stands(payment_id) for payment_id in payments} == {SYNCED}
    await desk.assert_once(sales=1 + SALES)
    await assert_next_sale_follows(desk, change)


async def assert_next_sale_follows(desk: Desk, change: Any) -> None:
    await desk.pay(sale(SALES + 1))
    await desk.quiet(hours=0.1)
    moved = 43300 if change is map_elsewhere else 0
    balance = await desk.control.trial_balance(desk.organisation)
    assert balance.get(OTHER_INCOME, 0) == -moved
    assert balance[INCOME] == -43300 * (SALES + 2) + moved
    assert balance[CLEARING] == 43300 * (SALES + 2)


@pytest.mark.parametrize("sent", [False, True], ids=["died before the call", "died after the call"])
async def test_another_amount_is_said_once_the_old_call_has_ended(desk: Desk, sent: bool) -> None:
    """An amount never changes at Stripe; should it all the same, what was sent stands once, and a person is asked."""
    await known_client(desk)
    payments = await backlog(desk, 1, SALES)
    lane, planned = await _until_sent(desk, "invoice")
    if sent:
        await posting_rounds._make(lane, planned)
    await desk.pay(sale(3, amount=50000))
    desk.runtime.forward(seconds=61)
    await desk.quiet(hours=0.2)
    expected = [TOTALS_DIFFER if number == 3 else SYNCED for number in range(1, SALES + 1)]
    assert [await desk.stands(payment_id) for payment_id in payments] == expected
    invoices = await desk.records("Invoice")
    assert [Decimal(str(one["Total"])) for one in invoices] == [Decimal("433.00")] * (1 + SALES)
    detail = (await desk.payment(payments[2])).reason_detail
    assert (detail["found"], detail["expected"], detail["difference"]) == ("433.00 USD", "500.00 USD", "67.00 USD")
    # Told once: a person who retries has compared both.
    assert await desk.retry(payments[2])
    await desk.quiet()
    assert await desk.stands(payments[2]) == SYNCED
    await desk.assert_once(sales=1 + SALES)


# With refunds that move money, in a process that dies on the line

TAX_FREE = {"quickbooks": "Non-taxable", "xero": "Tax Exempt"}


@pytest.mark.parametrize("kind", ["quickbooks", "xero"])
@pytest.mark.parametrize(
    ("calls", "after", "minutes"),
    [
        pytest.param(0, True, 1.1, id="invoices sent, repeated"),
        pytest.param(0, False, 1.1, id="invoices not sent, repeated"),
        pytest.param(0, True, 4, id="invoices sent, looked up"),
        pytest.param(1, True, 1.1, id="payments sent, repeated"),
        pytest.param(1, False, 4, id="payments not sent, looked up"),
    ],
)
async def test_refunds_and_decisions_made_while_nobody_works_follow_what_was_under_way(
    settings: Settings, tmp_path: Path, migrated_file: Path, kind: str, calls: int, after: bool, minutes: float
) -> None:
    shutil.copyfile(migrated_file, settings.database_url.removeprefix("sqlite:///"))
    async with playing(settings, kind, tmp_path) as play:
        product = await play.product("Portrait session", "Session income", tax=TAX_FREE[kind])
        await play.start()
        client = (await play.stripe.create_customer(play.business, name="Anna Berg", email="a@example.com"))["id"]
        await sell(play, product, client, 10_000)
        await posting(play, on=False)
        amounts = [20_000 + 100 * number for number in range(12)]
        paid = [await sell(play, product, client, amount) for amount in amounts]
        await posting(play, on=True)

        play.outside.dies_in, play.outside.after = calls, after
        with pytest.raises(Death):
            await play.quiet()
        assert await in_doubt(play) == len(amounts)
        play.worker = Worker(play.wiring)
        await play.stripe.refund(play.business, paid[1], 20_100)
        await play.stripe.refund(play.business, paid[4], 5_000)
        await play.map(product, "Portrait session", "Coaching income", tax=TAX_FREE[kind])
        play.runtime.forward(minutes=minutes)
        await play.quiet()
        await sell(play, product, client, 70_000)
        await play.pass_time(hours=0.5, stride_hours=0.05)

        assert await play.open_items() == []
        assert await sales_in_books(play) == [10_000, *amounts, 70_000]
        balances = await play.balances()
        # What was planned stays as it was planned, its refunds beside it; what came later follows the new decision.
        assert balances["Session income"] == -(10_000 + sum(amounts) - 25_100)
        assert balances["Coaching income"] == -70_000
        assert balances["Stripe clearing"] == await play.stripe_balance() == 80_000 + sum(amounts) - 25_100
        assert balances.get("Accounts receivable", 0) == 0


async def sell(play: Play, product: str, client: str, amount: int) -> str:
    made = await play.stripe.pay(
        play.business, via="checkout", lines=[{"product": product, "unit_amount": amount}], customer=client, fee=0,
        bt_delay_s=2.0,
    )  # fmt: skip
    play.runtime.forward(seconds=3)
    await play.quiet()
    return str(made.payment_intent)


async def posting(play: Play, *, on: bool) -> None:
    async with play.wiring.db.tenant(play.owner.tenant_id, write=True) as session:
        if on:
            assert await resume_posting(session, play.books_id)
        else:
            assert await stop_posting(session, play.books_id, now=play.runtime.now())


async def in_doubt(play: Play) -> int:
    """Return how many entries are in the one call that nobody has heard of."""
    async with play.wiring.db.tenant(play.owner.tenant_id) as session:
        found = await session.execute(select(Batch.size).where(Batch.settled_at.is_(None)))
        return found.scalar_one()


async def sales_in_books(play: Play) -> list[int]:
    """Return the totals of all invoices, in minor units, by the books' own account."""
    base = play.sandbox.settings.base_url
    if play.kind == "quickbooks":
        rows = [row["TotalAmt"] for row in await QuickBooksControl(base, play.http).documents(play.company, "Invoice")]
    else:
        rows = [row["Total"] for row in await XeroControl(base, play.http).records(play.company, "Invoice")]
    return sorted(int(Decimal(str(total)) * 100) for total in rows)
