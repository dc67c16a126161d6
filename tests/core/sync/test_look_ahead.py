"""From a history that was read to its posting: compared with the books, planned, and posted on a person's word."""

import shutil
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from core.accounting.mock.adapter import MockAccountingAdapter
from core.accounting.port import FoundSale
from core.books.documents import DocumentKind
from core.config import Settings
from core.connections.setup import start_posting
from core.db.models import HistoryRun, HistoryState, Payment, PaymentState, SyncItem
from core.reasons import Reason
from core.reports.history import HistoryReport, Stage, read_history
from core.reports.standing import read_standing
from core.sync.acts import ignore_payment, resume_posting, retry_all, retry_payment, stop_posting
from core.sync.duplicates import is_ours, months, plain
from core.sync.history import resume, start_history, stop
from core.sync.lane_work import LaneWork
from core.sync.look_ahead import ask_for_dry_run, post_history
from core.sync.worker import Worker
from tests import examples
from tests.play import Play, playing
from tests.practice_hand import OwnersHand

FIRST_DAY = date(2026, 3, 2)


class ShortLived(Worker):
    """A worker that ends after the first thing that it does on a lane."""

    async def _do_some(self, lane: LaneWork, items: list[SyncItem]) -> int:
        done = await super()._do_some(lane, items)
        self._stopping = True
        return done


@pytest.fixture
async def play(settings: Settings, tmp_path: Path, migrated_file: Path) -> AsyncIterator[Play]:
    """A studio with practice books that has sold for some days and posts nothing yet."""
    shutil.copyfile(migrated_file, settings.database_url.removeprefix("sqlite:///"))
    async with playing(settings, "mock", tmp_path) as opened:
        story = await examples.open_a(opened, taxed="Taxable", free="Non-taxable")
        for step in ("A1", "A2", "A4", "A5", "A6"):
            await examples.A_ACTS[step](story)
            await opened.next_day()
        yield opened


async def begin(play: Play) -> None:
    async with play.wiring.db.tenant(play.owner.tenant_id, write=True) as session:
        await start_history(
            session,
            tenant_id=play.owner.tenant_id,
            first_day=FIRST_DAY,
            by_user_id=play.owner.user_id,
            now=play.runtime.now(),
        )


async def report(play: Play) -> HistoryReport:
    async with play.wiring.db.tenant(play.owner.tenant_id) as session:
        now = play.runtime.now()
        found = await read_history(session, await read_standing(session, play.owner.tenant_id, now=now), now=now)
    assert found is not None
    return found


async def act(play: Play, what: Any, **more: Any) -> Any:
    """Do something to the run."""
    async with play.wiring.db.tenant(play.owner.tenant_id, write=True) as session:
        run = (await session.execute(select(HistoryRun))).scalars().one()
        subject = run.id if what in (stop, resume) else run
        return await what(session, subject, now=play.runtime.now(), **more)


async def settle(play: Play) -> None:
    for _ in range(10):
        await play.quiet()
        play.runtime.forward(seconds=2)


async def payment_of(play: Play, amount_minor: int) -> Payment:
    async with play.wiring.db.tenant(play.owner.tenant_id) as session:
        return (await session.execute(select(Payment).where(Payment.amount_minor == amount_minor))).scalar_one()


def hand(play: Play) -> OwnersHand:
    """A person who has kept these books alone so far."""
    assert isinstance(play.provider, MockAccountingAdapter)
    return OwnersHand(play.provider.books)


async def test_nothing_is_posted_until_a_person_says_so_and_then_what_was_shown_is(play: Play) -> None:
    await begin(play)
    assert (await report(play)).stage is Stage.READING
    await settle(play)
    looked = await report(play)
    assert (looked.stage, looked.alike_count, looked.result and looked.result.stops) == (Stage.LOOKED, 0, [])
    assert await play.trial_balance() == {}
    assert looked.result is not None
    assert (looked.result.opening_minor, looked.result.gross_minor) == (0, 217425)
    shown = {line.account: line.amount_minor for line in looked.balance}
    assert sum(shown.values()) == 0
    assert await act(play, post_history)
    assert not await act(play, post_history)
    await settle(play)
    posted = await report(play)
    assert (posted.stage, posted.posted.done, posted.posted.waiting) == (Stage.POSTED, looked.result.items, 0)
    assert _alike(shown) == _alike(await play.trial_balance())
    assert await play.clearing() == await play.stripe_balance()


async def test_what_stands_in_the_books_already_waits_for_a_person_and_is_never_retried_in_bulk(play: Play) -> None:
    hand(play).add_sale(DocumentKind.INVOICE, date(2026, 3, 2), 43300, client="CLIENT  a1", number="1188")
    hand(play).add_sale(DocumentKind.INVOICE, date(2026, 3, 3), 43300, client="Client A1", number="1189")
    hand(play).add_sale(DocumentKind.SALES_RECEIPT, date(2026, 3, 6), 21650, client="Client A6", number="1190")
    before = await play.trial_balance()
    await begin(play)
    await settle(play)
    looked = await report(play)
    assert [(sale.client, sale.document) for sale in looked.alike] == [
        ("Client A1", "Invoice 1188"),
        ("Client A6", "Sales receipt 1190"),
    ]
    assert looked.result is not None
    assert [(stop.reason, stop.count, stop.amount_minor) for stop in looked.result.stops] == [
        (Reason.LOOKS_LIKE_DUPLICATE, 2, 64950)
    ]
    assert await play.trial_balance() == before
    assert await act(play, post_history)
    await settle(play)
    assert _alike({line.account: line.amount_minor for line in looked.balance}) == _alike(
        {name: amount - before.get(name, 0) for name, amount in (await play.trial_balance()).items()}
    )
    first, second = await payment_of(play, 43300), await payment_of(play, 21650)
    assert (first.state, first.reason) == (PaymentState.NEEDS_ATTENTION, Reason.LOOKS_LIKE_DUPLICATE)
    assert (first.reason_detail["document"], first.reason_detail["number"]) == ("Invoice 1188", "1188")
    by = {"by_user_id": play.owner.user_id, "now": play.runtime.now()}
    async with play.wiring.db.tenant(play.owner.tenant_id, write=True) as session:
        assert await retry_all(session, **by) == 0
        assert await retry_payment(session, first.id, **by)
        assert await ignore_payment(session, second.id, why="Entered by hand", **by)
    await settle(play)
    assert (await payment_of(play, 43300)).state is PaymentState.SYNCED
    assert (await payment_of(play, 21650)).state is PaymentState.IGNORED


async def test_a_mapping_that_is_missing_is_said_beforehand_and_gone_when_looked_at_again(play: Play) -> None:
    made = await play.stripe.create_product(play.business, "Mini session", currency="usd")
    await play.stripe.pay(
        play.business, via="checkout", lines=[{"product": made["product"], "unit_amount": 9000}],
        new_customer={"name": "Bo Li", "email": "bo@example.com"},
    )  # fmt: skip
    await play.next_day()
    await begin(play)
    await settle(play)
    looked = await report(play)
    assert looked.result is not None
    assert [(stop.reason, stop.detail["service"], stop.amount_minor) for stop in looked.result.stops] == [
        (Reason.SERVICE_NOT_MAPPED, "Mini session", 9000)
    ]
    await play.map(made["product"], "Mini session", "Session income", tax=None)
    assert await act(play, ask_for_dry_run)
    assert (await report(play)).stage is Stage.LOOKING
    await settle(play)
    again = await report(play)
    assert again.result is not None
    assert (again.stage, again.result.stops) == (Stage.LOOKED, [])
    assert again.result.items == looked.result.items + 1


async def test_a_worker_that_dies_in_the_middle_is_followed_by_one_that_goes_on(play: Play) -> None:
    await begin(play)
    stages = set()
    for _ in range(60):
        # Each step is another worker: all that is known is what the last one wrote down.
        await ShortLived(play.wiring).step()
        play.runtime.forward(seconds=2)
        stages.add((await report(play)).stage)
    assert stages >= {Stage.READING, Stage.LOOKED}
    whole = (await report(play)).result
    assert whole is not None
    assert whole.gross_minor == 217425


async def test_reading_stops_and_goes_on_and_so_does_posting(play: Play) -> None:
    await begin(play)
    await ShortLived(play.wiring).step()
    assert await act(play, stop)
    stopped = await report(play)
    assert sum(stopped.counts.values()) == 3
    await settle(play)
    assert (stopped.stage, (await report(play)).counts) == (Stage.STOPPED, stopped.counts)
    assert await act(play, resume)
    await settle(play)
    assert (await report(play)).stage is Stage.LOOKED
    async with play.wiring.db.tenant(play.owner.tenant_id, write=True) as session:
        assert await stop_posting(session, play.books_id, now=play.runtime.now())
    assert await act(play, post_history)
    await settle(play)
    assert (await report(play)).stage is Stage.POSTING_STOPPED
    assert await play.trial_balance() == {}
    async with play.wiring.db.tenant(play.owner.tenant_id, write=True) as session:
        assert await resume_posting(session, play.books_id)
    await settle(play)
    assert (await report(play)).stage is Stage.POSTED
    async with play.wiring.db.tenant(play.owner.tenant_id) as session:
        assert (await session.execute(select(HistoryRun.state))).scalar_one() is HistoryState.DONE
    assert await play.clearing() == await play.stripe_balance()


async def test_a_start_in_the_middle_books_what_stripe_held_whether_one_looks_or_not(play: Play) -> None:
    """Before March 5 two sales and a refund came: 420.14 + 1,464.98 - 108.25 = 1,776.87; their payout left after it."""
    async with play.wiring.db.tenant(play.owner.tenant_id, write=True) as session:
        day, now = date(2026, 3, 5), play.runtime.now()
        assert await start_posting(session, play.owner.tenant_id, day, now=now)
        await start_history(
            session, tenant_id=play.owner.tenant_id, first_day=day, by_user_id=play.owner.user_id, now=now
        )
    await settle(play)
    assert (await report(play)).stage is Stage.POSTED
    assert await play.open_items() == []
    assert await play.clearing() == await play.stripe_balance()
    assert (await play.balances())["Opening balance"] == -177687


def test_months_are_cut_at_both_ends() -> None:
    assert list(months(date(2025, 12, 30), date(2026, 2, 3))) == [
        (date(2025, 12, 30), date(2025, 12, 31)),
        (date(2026, 1, 1), date(2026, 1, 31)),
        (date(2026, 2, 1), date(2026, 2, 3)),
    ]
    assert list(months(date(2026, 2, 4), date(2026, 2, 3))) == []


def test_names_are_compared_as_people_write_them() -> None:
    assert plain("  Lucía  Fernández-Ruiz ") == plain("LUCIA FERNANDEZ RUIZ")
    assert plain("Bo Li") != plain("Bo Lin")


@pytest.mark.parametrize(("number", "note", "ours"), [("1188", "", False), ("TO-4F7K2M9QXD3A", "", True),
                         ("", "pi_1 | TO-4F7K2M9QXD3A", True), ("TO-1042", "to do", False)])  # fmt: skip
def test_what_carries_our_reference_is_ours(number: str, note: str, ours: bool) -> None:
    sale = FoundSale(DocumentKind.INVOICE, "1", number, date(2026, 3, 2), 100, "USD", "Bo Li", note)
    assert is_ours(sale) is ours


def _alike(balances: dict[str, int]) -> dict[str, int]:
    """Name the accounts of the books' own choosing alike."""
    named: dict[str, int] = {}
    for name, amount in balances.items():
        ours = "Tax" if "tax" in name.casefold() else name.casefold()
        named[ours] = named.get(ours, 0) + amount
    return {name: amount for name, amount in named.items() if amount}
