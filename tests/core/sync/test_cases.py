"""The shorter cases of bookkeeping: a retainer, a start in the middle of a history, a month that ends in transit."""

import shutil
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from core.config import Settings
from core.db.models import BooksDocument, HistoryState, Payment, PaymentState
from core.reasons import Reason
from core.reports.reconciliation import Clearing, Gap, read_clearing
from core.reports.standing import read_standing
from core.sync.history import progress, start_history
from tests.examples import Story
from tests.play import PROVIDERS, Play, playing

NEW_YORK = ZoneInfo("America/New_York")
FREE = {"quickbooks": "Non-taxable", "xero": "Tax Exempt", "mock": "Non-taxable"}

Stage = Callable[[datetime], AbstractAsyncContextManager[Play]]


@pytest.fixture(params=PROVIDERS)
def stage(request: pytest.FixtureRequest, settings: Settings, tmp_path: Path, migrated_file: Path) -> Stage:
    """Opens a play at a moment, with the books of each provider in turn."""
    shutil.copyfile(migrated_file, settings.database_url.removeprefix("sqlite:///"))
    return lambda start: playing(settings, request.param, tmp_path, start=start)


async def selling(play: Play, name: str, account: str) -> Story:
    """Sell one thing, without tax."""
    return Story(play, {name: await play.product(name, account, tax=FREE[play.kind])})


async def clearing_line(play: Play, day: date | None = None) -> Clearing:
    """Return the clearing line as the reconciliation page shows it."""
    async with play.wiring.db.tenant(play.owner.tenant_id) as session:
        now = play.runtime.now()
        standing = await read_standing(session, play.owner.tenant_id, now=now)
        found = await read_clearing(session, standing=standing, day=day, today=now.astimezone(NEW_YORK).date())
    assert found is not None
    return found


# -- D: a retainer


async def test_a_retainer_is_a_debt_to_the_client_until_the_shoot(stage: Stage) -> None:
    async with stage(datetime(2026, 1, 12, 15, 0, tzinfo=UTC)) as play:
        story = await selling(play, "Retainer for the shoot in May", "Client deposits")
        await play.start()
        await story.sell("D1", story.line("Retainer for the shoot in May", 50000), fee=1480)
        await play.next_day()
        assert await play.open_items() == []
        # The fee is January's expense; nothing is income before the shoot.
        january = {"Stripe clearing": 48520, "Stripe fees": 1480, "Client deposits": -50000}
        assert await play.balances() == january
        assert await play.balances(date(2026, 1, 31)) == january


async def test_a_retainer_given_back_leaves_no_debt_to_the_client(stage: Stage) -> None:
    async with stage(datetime(2026, 1, 12, 15, 0, tzinfo=UTC)) as play:
        story = await selling(play, "Retainer", "Client deposits")
        await play.start()
        await story.sell("D1", story.line("Retainer", 50000), fee=1480)
        await play.next_day()
        await story.refund("D2", "D1", 50000)
        await play.next_day()
        assert await play.open_items() == []
        assert await play.balances() == {"Stripe clearing": -1480, "Stripe fees": 1480}


# -- E: starting mid-stream

FIRST_DAY = datetime(2026, 3, 1, tzinfo=NEW_YORK)


async def test_books_that_start_in_the_middle_hold_what_stripe_holds(stage: Stage) -> None:
    async with stage(FIRST_DAY - timedelta(days=4, hours=-10)) as play:
        story = await selling(play, "Coaching", "Coaching income")
        for step, amount, fee in (("E1", 50000, 1480), ("E2", 12000, 520), ("E3", 25000, 783)):
            await story.sell(step, story.line("Coaching", amount), fee=fee)
            await play.next_day()
        await play.pass_time(hours=34)
        assert play.runtime.now() > FIRST_DAY
        assert await play.stripe_balance() == 84217

        payout = await first_payout(story, "E1", "E2")
        await play.next_day()
        await read_history(play)
        await play.start(FIRST_DAY + timedelta(hours=12))
        await play.next_day()

        assert await play.open_items() == []
        assert await play.stripe_balance() == 24217
        assert await play.balances() == {"Stripe clearing": 24217, "Checking": 60000, "Opening balance": -84217}
        assert (await play.balances(date(2026, 3, 1)))["Opening balance"] == -84217
        assert payout in await names_of_documents(play)
        line = await clearing_line(play)
        assert (line.is_tied, line.books_minor, line.stripe_minor) == (True, 24217, 24217)
        assert line.explained == ()


async def test_what_moved_before_the_first_day_is_left_out_and_said_so(stage: Stage) -> None:
    async with stage(FIRST_DAY - timedelta(days=3, hours=-10)) as play:
        story = await selling(play, "Coaching", "Coaching income")
        await story.sell("E1", story.line("Coaching", 50000), fee=1480)
        await play.next_day()
        # Left Stripe before the first day, reached the bank on it: out of scope with its balance transaction.
        early = await first_payout(story, "E1", arrival_days=4)
        await story.sell("E2", story.line("Coaching", 12000), fee=520)
        await play.pass_time(hours=72)
        await play.stripe.move_payout(play.business, early, "pay")
        await read_history(play)
        await play.start(FIRST_DAY + timedelta(hours=12))
        await play.next_day()

        assert await play.open_items() == []
        assert await play.balances() == {"Stripe clearing": 11480, "Opening balance": -11480}
        assert early not in await names_of_documents(play)
        async with play.wiring.db.tenant(play.owner.tenant_id) as session:
            payments = (await session.execute(select(Payment))).scalars().all()
        assert {(one.state, one.reason) for one in payments} == {(PaymentState.IGNORED, Reason.BEFORE_START)}


async def test_a_refund_of_an_earlier_sale_takes_its_income_back(stage: Stage) -> None:
    async with stage(FIRST_DAY - timedelta(days=2, hours=-10)) as play:
        story = await selling(play, "Coaching", "Coaching income")
        await story.sell("E1", story.line("Coaching", 50000), fee=1480)
        await play.pass_time(hours=48)
        await read_history(play)
        await play.start(FIRST_DAY + timedelta(hours=12))
        await play.next_day()
        await story.refund("E2", "E1", 20000)
        await play.next_day()
        assert await play.open_items() == []
        expected = {"Stripe clearing": 28520, "Coaching income": 20000, "Opening balance": -48520}
        assert await play.balances() == expected
        assert await play.stripe_balance() == 28520


async def first_payout(story: Story, *steps: str, arrival_days: int = 0) -> str:
    """Pay out what these sales brought, and nothing else."""
    rows = []
    for step in steps:
        intent = await story.play.stripe.stripe_object(story.play.business, story.made[step])
        charge = await story.play.stripe.stripe_object(story.play.business, intent["latest_charge"])
        rows.append(charge["balance_transaction"])
    until = "in_transit" if arrival_days else "paid"
    await story.pay_out("payout", balance_transactions=rows, arrival_days=arrival_days, until=until)
    return str(story.made["payout"])


async def read_history(play: Play) -> None:
    """Read everything since the first day, as a person asks for before posting begins."""
    async with play.wiring.db.tenant(play.owner.tenant_id, write=True) as session:
        await start_history(
            session,
            tenant_id=play.owner.tenant_id,
            first_day=FIRST_DAY.date(),
            by_user_id=play.owner.user_id,
            now=play.runtime.now(),
        )
    await play.pass_time(hours=1)
    async with play.wiring.db.tenant(play.owner.tenant_id) as session:
        read = await progress(session)
    assert read is not None
    assert read.state is HistoryState.READ


async def names_of_documents(play: Play) -> str:
    """Return everything that our documents say."""
    async with play.wiring.db.tenant(play.owner.tenant_id) as session:
        return str([row.content for row in (await session.execute(select(BooksDocument))).scalars()])


# -- F: a month that ends in transit


async def test_a_month_that_ends_in_transit_is_explained_to_the_cent(stage: Stage) -> None:
    async with stage(datetime(2026, 3, 30, 15, 0, tzinfo=UTC)) as play:
        story = await selling(play, "Coaching", "Coaching income")
        await play.start()
        await story.sell("F1", story.line("Coaching", 31000), fee=1000)
        await story.sell("F2", story.line("Coaching", 26000), fee=535)
        await play.next_day()
        payout = await first_payout(story, "F1", arrival_days=2)
        await play.pass_time(hours=47)
        await play.stripe.move_payout(play.business, payout, "pay")
        await play.next_day()

        assert await play.open_items() == []
        left, arrived = date(2026, 3, 31), date(2026, 4, 2)
        for day, books, in_transit in ((left - timedelta(days=1), 55465, 0), (left, 55465, 30000), (arrived, 25465, 0)):
            assert (await play.balances(day))["Stripe clearing"] == books, day
            line = await clearing_line(play, day)
            assert (line.books_minor, line.stripe_minor) == (books, books - in_transit), day
            assert line.is_tied, line
            assert {one.gap: -one.amount_minor for one in line.explained} == (
                {Gap.IN_TRANSIT: in_transit} if in_transit else {}
            ), day
        assert (await play.balances())["Checking"] == 30000
