"""Sales in the client's own currency: invoiced at the rate of that day, paid a week later at Stripe's."""

import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from core.books.documents import DocumentKind
from core.books.effects import role_totals
from core.books.ledger_lines import EXCHANGE, RECEIVABLE, ledger_lines
from core.books.roles import BookkeepingSettings, ForeignStyle, SaleStyle
from core.config import Settings
from core.connections.books import refresh_books
from core.db.models import BooksDocument, BooksLink, BooksRate, ClearingLine, DocumentState
from core.errors import InputError
from core.reasons import Reason
from core.sync.acts import retry_all
from core.sync.documents import thaw
from tests.outside import BASE
from tests.play import START, Play, playing
from web.sandbox.faults import FaultRule
from web.sandbox.quickbooks.client import QuickBooksControl
from web.sandbox.xero.client import XeroControl

PRESENTMENT = BookkeepingSettings(foreign_style=ForeignStyle.PRESENTMENT)
FREE = {"quickbooks": "Non-taxable", "xero": "Tax Exempt", "mock": "Non-taxable"}
GAIN = {"quickbooks": "Exchange Gain or Loss", "xero": "Realised Currency Gains"}
RATES = {"quickbooks": 1.07, "xero": 0.934579}
"""EUR as each of them keeps it: dollars for a euro, euros for a dollar."""

Stage = Callable[[str], AbstractAsyncContextManager[Play]]


@pytest.fixture
def stage(settings: Settings, tmp_path: Path, migrated_file: Path) -> Stage:
    """Opens a play in the United States with a coaching service, posting since the first of the month."""
    shutil.copyfile(migrated_file, settings.database_url.removeprefix("sqlite:///"))

    @asynccontextmanager
    async def open_stage(kind: str) -> AsyncIterator[Play]:
        async with playing(settings, kind, tmp_path, country="US", start=START) as play:
            yield play

    return open_stage


async def sell(play: Play, product: str, *, euros: int = 50000, settled: int = 54125, **options: Any) -> str:
    """Let a client pay an invoice in euros that was raised a week ago."""
    paid = await play.stripe.pay(
        play.business, via="invoice", lines=[{"product": product, "unit_amount": euros}], settled_currency="usd",
        settled_amount=settled, exchange_rate=settled / euros, fee=2952, bt_delay_s=2.0,
        **{"new_customer": {"name": "Ana Lima", "email": "ana@example.com"}, "invoiced_days_ago": 7,
           "currency": "eur", **options},
    )  # fmt: skip
    assert paid.payment_intent is not None
    return paid.payment_intent


async def keep_euros(play: Play) -> None:
    """Switch euros on in the books, at 1.0700 dollars for one."""
    if play.kind == "quickbooks":
        control = QuickBooksControl(BASE, play.http)
        await control.set_behaviour(play.company, multicurrency=True)
        await control.set_rates(play.company, {"EUR": RATES["quickbooks"]})
    else:
        await XeroControl(BASE, play.http).set_rates(play.company, {"EUR": RATES["xero"]})
    play.runtime.forward(seconds=5)
    await refresh_books(play.wiring, tenant_id=play.owner.tenant_id, connection_id=play.books_id)


async def begin(play: Play, settings: BookkeepingSettings = PRESENTMENT) -> str:
    """Start two weeks ago with the settings; return the product that is sold."""
    await play.settle_on(settings)
    product = await play.product("Coaching", "Coaching income", tax=FREE[play.kind])
    await play.start(START - timedelta(days=14))
    return product


async def documents(play: Play) -> dict[DocumentKind, BooksDocument]:
    async with play.wiring.db.tenant(play.owner.tenant_id) as session:
        rows = (await session.execute(select(BooksDocument).order_by(BooksDocument.position))).scalars()
        return {row.kind: row for row in rows if row.state is DocumentState.POSTED}


@pytest.mark.parametrize("kind", ["quickbooks", "xero"])
async def test_an_invoice_raised_before_it_is_paid_brings_an_exchange_gain(stage: Stage, kind: str) -> None:
    async with stage(kind) as play:
        await keep_euros(play)
        product = await begin(play)
        await sell(play, product)
        await play.next_day()
        assert await play.open_items() == []
        assert await play.balances() == {
            "Coaching income": -53500,
            "Stripe clearing": 54125 - 2952,
            "Stripe fees": 2952,
            GAIN[kind]: -625,
        }
        assert await play.clearing() == await play.stripe_balance()
        week_ago = (START - timedelta(days=7)).date()
        owed = await play.balances(as_of=week_ago)
        assert owed == {"Coaching income": -53500, "Accounts receivable": 53500}
        found = await documents(play)
        invoice, payment = found[DocumentKind.INVOICE], found[DocumentKind.PAYMENT]
        assert (invoice.total_minor, invoice.currency, invoice.book_date) == (50000, "eur", week_ago)
        assert (payment.total_minor, payment.currency, payment.book_date) == (50000, "eur", START.date())
        async with play.wiring.db.tenant(play.owner.tenant_id) as session:
            lines = select(ClearingLine.amount_minor, ClearingLine.currency).where(
                ClearingLine.document_id == payment.id
            )
            assert [tuple(row) for row in await session.execute(lines)] == [(54125, "usd")]


async def test_our_own_lines_show_the_exchange_gain_where_the_rate_is_known(stage: Stage) -> None:
    async with stage("quickbooks") as play:
        await keep_euros(play)
        await sell(play, await begin(play))
        await play.next_day()
        ours = [thaw(row.kind, row.content) for row in (await documents(play)).values()]
        totals = role_totals(ours)
        assert (totals[EXCHANGE], totals[RECEIVABLE], totals[play.accounts["Coaching income"]]) == (-625, 0, -53500)
        payment = next(one for one in ours if one.kind is DocumentKind.PAYMENT)
        shown = [(line.account_name, line.debit_minor, line.credit_minor) for line in ledger_lines(payment)]
        assert shown[1:] == [(RECEIVABLE, None, 53500), (EXCHANGE, None, 625)]
        async with play.wiring.db.tenant(play.owner.tenant_id) as session:
            rates = (await session.execute(select(BooksRate))).scalars().all()
            names = (await session.execute(select(BooksLink.name).where(BooksLink.kind == "customer"))).scalars().all()
        assert [(row.currency, row.day, row.rate) for row in rates] == [("eur", date(2026, 2, 23), "1.07")]
        assert names == ["Ana Lima (EUR)"]


@pytest.mark.parametrize("kind", ["quickbooks", "xero"])
async def test_money_that_buys_less_than_the_invoice_said_is_a_loss(stage: Stage, kind: str) -> None:
    async with stage(kind) as play:
        await keep_euros(play)
        await sell(play, await begin(play), euros=33333, settled=34999)
        await play.next_day()
        assert await play.open_items() == []
        found = await play.balances()
        assert (found["Coaching income"], found["Stripe clearing"]) == (-35666, 34999 - 2952)
        assert found[GAIN[kind]] == 35666 - 34999
        assert "Accounts receivable" not in found


@pytest.mark.parametrize("kind", ["quickbooks", "xero", "mock"])
async def test_by_default_the_settled_amount_is_booked_on_the_day_of_the_charge(stage: Stage, kind: str) -> None:
    async with stage(kind) as play:
        await sell(play, await begin(play, BookkeepingSettings()))
        await play.next_day()
        assert await play.open_items() == []
        expected = {"Coaching income": -54125, "Stripe clearing": 54125 - 2952, "Stripe fees": 2952}
        assert await play.balances() == expected
        assert (await documents(play))[DocumentKind.INVOICE].book_date == START.date()


async def test_a_receipt_has_no_day_between_sale_and_money(stage: Stage) -> None:
    async with stage("quickbooks") as play:
        settings = BookkeepingSettings(sale_style=SaleStyle.RECEIPT, foreign_style=ForeignStyle.PRESENTMENT)
        await sell(play, await begin(play, settings))
        await play.next_day()
        assert await play.open_items() == []
        assert (await play.balances())["Coaching income"] == -54125


async def test_home_sales_are_booked_as_ever_beside_foreign_ones(stage: Stage) -> None:
    async with stage("quickbooks") as play:
        await keep_euros(play)
        product = await begin(play)
        client = (await play.stripe.create_customer(play.business, name="Ana Lima", email="ana@example.com"))["id"]
        await sell(play, product, new_customer=None, customer=client)
        await play.stripe.pay(
            play.business, via="checkout", lines=[{"product": product, "unit_amount": 10000}], customer=client, fee=320
        )
        await play.next_day()
        assert await play.open_items() == []
        assert (await play.balances())["Coaching income"] == -53500 - 10000
        async with play.wiring.db.tenant(play.owner.tenant_id) as session:
            names = (await session.execute(select(BooksLink.name).where(BooksLink.kind == "customer"))).scalars().all()
        assert sorted(names) == ["Ana Lima", "Ana Lima (EUR)"]


async def test_practice_books_refuse_the_setting(stage: Stage) -> None:
    async with stage("mock") as play:
        with pytest.raises(InputError, match="keep one currency"):
            await play.settle_on(PRESENTMENT)


@pytest.mark.parametrize("kind", ["quickbooks", "xero"])
async def test_a_currency_that_the_books_do_not_keep_stops_before_anything_is_posted(stage: Stage, kind: str) -> None:
    async with stage(kind) as play:
        await sell(play, await begin(play), currency="chf")
        await play.pass_time(hours=1)
        [sale] = [row for row in await play.open_items() if row[0] == "sale"]
        assert sale[2:4] == ("needs_attention", str(Reason.CURRENCY_NOT_ENABLED))
        detail: Any = sale[4]
        assert (detail[0]["currency"], detail[0]["home_currency"]) == ("CHF", "USD")
        assert await documents(play) == {}
        await play.settle_on(BookkeepingSettings())
        await retry(play)
        await play.next_day()
        assert await play.open_items() == []
        assert (await play.balances())["Coaching income"] == -54125


async def retry(play: Play) -> None:
    """Ask for everything that stopped again."""
    async with play.wiring.db.tenant(play.owner.tenant_id, write=True) as session:
        assert await retry_all(session, by_user_id=play.owner.user_id, now=play.runtime.now())


async def test_a_full_refund_leaves_nothing_of_the_income_where_the_rate_is_known(stage: Stage) -> None:
    async with stage("quickbooks") as play:
        await keep_euros(play)
        intent = await sell(play, await begin(play))
        await play.next_day()
        await play.stripe.refund(play.business, intent, 50000, settled_amount=54750, exchange_rate=1.095)
        await play.next_day()
        assert await play.open_items() == []
        found = await play.balances()
        assert "Coaching income" not in found
        assert (found["Currency differences"], found[GAIN["quickbooks"]]) == (54750 - 53500, -625)
        assert await play.clearing() == await play.stripe_balance()


async def test_what_was_booked_at_a_rate_that_only_the_books_know_is_not_taken_back_by_guess(stage: Stage) -> None:
    async with stage("xero") as play:
        await keep_euros(play)
        intent = await sell(play, await begin(play))
        await play.next_day()
        before = await play.balances()
        await play.stripe.refund(play.business, intent, 50000, settled_amount=54750, exchange_rate=1.095)
        await play.next_day()
        [refund] = await play.open_items()
        assert (refund[0], refund[2:4]) == ("refund", ("needs_attention", str(Reason.RATE_NOT_KNOWN)))
        assert await play.balances() == before


async def test_an_invoice_from_before_the_first_day_lies_on_the_first_day(stage: Stage) -> None:
    async with stage("quickbooks") as play:
        await keep_euros(play)
        await sell(play, await begin(play), invoiced_days_ago=40)
        await play.next_day()
        first = datetime(2026, 2, 16, tzinfo=UTC).date()
        assert (await documents(play))[DocumentKind.INVOICE].book_date == first


async def test_books_that_do_not_tell_their_rate_now_are_asked_again(stage: Stage) -> None:
    async with stage("quickbooks") as play:
        await keep_euros(play)
        product = await begin(play)
        await play.stripe.add_fault(FaultRule(kind="status", status=503, path="/exchangerate", count=None))
        await sell(play, product)
        await play.pass_time(hours=0.05)
        [sale] = [row for row in await play.open_items() if row[0] == "sale"]
        assert sale[2:4] == ("pending", str(Reason.RATE_PENDING))
        await play.stripe.clear_faults()
        await play.next_day()
        assert await play.open_items() == []
        assert (await play.balances())["Coaching income"] == -53500
