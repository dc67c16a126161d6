"""What books must refuse is refused in plain words and posts nothing; once it is mended it goes through once."""

import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from core.books.keys import reference_for
from core.config import Settings
from core.connections.attach import Person as Owner
from core.connections.attach import attach
from core.connections.refusals import ConnectError
from core.db.models import BooksAccount, Connection, ConnectionMode, ItemState, Payment, SyncItem
from core.oauth import Identity
from core.reasons import WORDING, Reason, Wording
from core.sync.acts import resume_posting, retry_all, retry_payment, stop_posting
from tests.core.sync.test_worked_examples import TAX
from tests.examples import Story
from tests.factories import make_person
from tests.hands import HANDS, Hand, QuickBooksHand, XeroHand
from tests.play import PROVIDERS, Play, playing

SERVICE = "Portrait session"
SOLD = {"Stripe clearing": 43300, "Session income": -40000, "Tax": -3300}


@dataclass
class Scene:
    """One tenant whose books are about to refuse something."""

    play: Play
    hand: Hand
    story: Story

    async def sell(self, step: str = "R1", **options: object) -> None:
        await self.story.sell(step, self.story.line(SERVICE, 40000, 8.25), fee=0, **options)
        await self.settle()

    async def settle(self) -> None:
        await self.play.pass_time(hours=0.1)

    async def stopped(self) -> tuple[Reason, Wording]:
        """Return why the one stopped item stopped, and what the pages say of it."""
        async with self.play.wiring.db.tenant(self.play.owner.tenant_id) as session:
            needing = select(SyncItem).where(SyncItem.state == ItemState.NEEDS_ATTENTION)
            item = (await session.execute(needing)).scalar_one()
        assert item.reason is not None
        said = WORDING[item.reason].filled(item.reason_detail)
        # No parameter of the sentence is missing.
        assert "…" not in f"{said.short}{said.title}{said.explanation}"
        return item.reason, said

    async def sell_unheard(self, step: str = "R1") -> None:
        """Sell while none of Stripe's events arrives."""
        await self.play.stripe.set_knobs(drop=".")
        await self.story.sell(step, self.story.line(SERVICE, 40000, 8.25), fee=0)
        self.play.runtime.forward(seconds=10)
        await self.play.sandbox.flush()

    async def hear(self) -> None:
        """Let Stripe say it all again."""
        await self.play.stripe.set_knobs()
        await self.play.stripe.resend(self.play.business)
        await self.settle()

    async def asked_at(self) -> set[datetime]:
        """Return the moments at which the books were last asked how they are set up."""
        async with self.play.wiring.db.tenant(self.play.owner.tenant_id) as session:
            return set((await session.execute(select(BooksAccount.read_at))).scalars())

    async def retry(self) -> int:
        async with self.play.wiring.db.tenant(self.play.owner.tenant_id, write=True) as session:
            count = await retry_all(session, by_user_id=self.play.owner.user_id, now=self.play.runtime.now())
        await self.settle()
        return count

    async def click_retry(self) -> bool:
        """Retry the one payment, as its own page lets a person do whatever stopped it."""
        async with self.play.wiring.db.tenant(self.play.owner.tenant_id, write=True) as session:
            payment_id = (await session.execute(select(Payment.id))).scalar_one()
            changed = await retry_payment(
                session, payment_id, by_user_id=self.play.owner.user_id, now=self.play.runtime.now()
            )
        await self.settle()
        return changed

    async def nothing_stands(self) -> None:
        """Hold that the books are empty, and that asking again, unmended, changes nothing."""
        for _ in range(2):
            assert await self.play.balances() == {}
            assert await self.hand.count_sales() == 0
            await self.retry()

    async def stands_once(self, sold: dict[str, int] | None = None) -> None:
        """Hold that the sale stands once, a day and another try later as well."""
        for _ in range(2):
            assert await self.play.open_items() == []
            assert await self.play.balances() == (SOLD if sold is None else sold)
            assert await self.hand.count_sales() == 1
            assert await self.retry() == 0
            await self.play.stripe.resend(self.play.business)
            await self.play.next_day()


Stage = Callable[..., AbstractAsyncContextManager[Scene]]


@pytest.fixture
def stage(settings: Settings, tmp_path: Path, migrated_file: Path) -> Stage:
    shutil.copyfile(migrated_file, settings.database_url.removeprefix("sqlite:///"))

    @asynccontextmanager
    async def opened(kind: str, country: str = "US") -> AsyncIterator[Scene]:
        async with playing(settings, kind, tmp_path, country=country) as play:
            taxed, _ = TAX[kind, country]
            story = Story(play, {SERVICE: await play.product(SERVICE, "Session income", tax=taxed)})
            await play.start()
            yield Scene(play, HANDS[kind](play), story)

    return opened


everywhere = pytest.mark.parametrize("kind", PROVIDERS)


@everywhere
async def test_a_closed_period_is_never_written_to(stage: Stage, kind: str) -> None:
    async with stage(kind) as scene:
        await scene.hand.close_books("2026-03-02")
        await scene.sell()
        reason, said = await scene.stopped()
        assert reason is Reason.PERIOD_CLOSED
        assert "is closed in" in said.title
        assert "dated 2026-03-02; your books are locked to 2026-03-02" in said.explanation
        await scene.nothing_stands()
        await scene.hand.close_books(None)
        assert await scene.retry() == 1
        await scene.stands_once()


@everywhere
async def test_a_month_that_was_opened_again_is_written_to_on_retry(stage: Stage, kind: str) -> None:
    async with stage(kind) as scene:
        await scene.hand.close_books("2026-03-02")
        # We have heard that the month is closed, and refuse by ourselves; nobody tells us that it was opened.
        await scene.play.refresh()
        await scene.sell()
        assert (await scene.stopped())[0] is Reason.PERIOD_CLOSED
        await scene.nothing_stands()
        await scene.hand.close_books(None)
        assert await scene.retry() == 1
        await scene.stands_once()


async def test_a_month_that_was_closed_unknown_to_us_is_not_written_to_by_an_adviser(stage: Stage) -> None:
    """Xero's period lock does not stop an adviser's connection, and what we know of it is as old as our last look."""
    async with stage("xero") as scene:
        await scene.sell_unheard()
        scene.play.runtime.forward(hours=31 * 24)
        control = XeroHand(scene.play).control
        await control.set_behaviour(scene.play.company, period_lock_date="2026-03-31", is_adviser=True)
        await scene.hear()
        assert (await scene.stopped())[0] is Reason.PERIOD_CLOSED
        await scene.nothing_stands()
        await scene.hand.close_books(None)
        assert await scene.retry() == 1
        await scene.stands_once()


@everywhere
@pytest.mark.parametrize(("days", "asked"), [(31, 1), (3, 0)])
async def test_books_are_asked_once_about_months_gone_by(stage: Stage, kind: str, days: int, asked: int) -> None:
    async with stage(kind) as scene:
        await scene.sell_unheard("R1")
        await scene.sell_unheard("R2")
        scene.play.runtime.forward(hours=days * 24)
        before = await scene.asked_at()
        await scene.hear()
        assert await scene.play.open_items() == []
        assert await scene.hand.count_sales() == 2
        assert len(await scene.asked_at() - before) == asked


@everywhere
async def test_an_archived_account_is_named(stage: Stage, kind: str) -> None:
    async with stage(kind) as scene:
        account = scene.play.accounts["Session income"]
        await scene.hand.archive_account(account)
        await scene.sell()
        reason, said = await scene.stopped()
        assert reason is Reason.ACCOUNT_INACTIVE
        assert said.title.casefold() == "session income is no longer active"
        await scene.nothing_stands()
        await scene.hand.restore_account(account)
        await scene.play.map(scene.story.products[SERVICE], SERVICE, "Session income", tax=TAX[kind, "US"][0])
        await scene.settle()
        await scene.stands_once()


@everywhere
async def test_an_account_that_was_restored_is_used_on_retry(stage: Stage, kind: str) -> None:
    async with stage(kind) as scene:
        account = scene.play.accounts["Session income"]
        await scene.hand.archive_account(account)
        await scene.play.refresh()
        await scene.sell()
        assert (await scene.stopped())[0] is Reason.ACCOUNT_INACTIVE
        await scene.nothing_stands()
        await scene.hand.restore_account(account)
        assert await scene.click_retry()
        await scene.stands_once()


@pytest.mark.parametrize("kind", ["quickbooks", "xero"])
async def test_an_inactive_tax_code_is_named(stage: Stage, kind: str) -> None:
    # In the United States QuickBooks' two codes are words, which nobody can archive.
    async with stage(kind, "AU") as scene:
        name = TAX[kind, "AU"][0]
        code = await scene.play.tax_code(name)
        assert code is not None
        await _set_tax_code(scene, code, is_active=False)
        line = scene.story.line(SERVICE, 44000, 10.0, inclusive=True)
        await scene.story.sell("R1", line, fee=0)
        await scene.settle()
        reason, said = await scene.stopped()
        assert reason is Reason.TAX_CODE_MISFIT
        assert "Stripe charged 440.00 AUD" in said.explanation
        assert f"“{name}” would give another total, or is no longer active" in said.explanation
        await scene.nothing_stands()
        await _set_tax_code(scene, code, is_active=True)
        await scene.play.map(scene.story.products[SERVICE], SERVICE, "Session income", tax=name)
        await scene.settle()
        await scene.stands_once({"Stripe clearing": 44000, "Session income": -40000, "Tax": -4000})


async def _set_tax_code(scene: Scene, code: str, *, is_active: bool) -> None:
    company = scene.play.company
    match scene.hand:
        case QuickBooksHand() as hand if is_active:
            await hand.control.activate(company, "taxcode", code)
        case QuickBooksHand() as hand:
            await hand.control.deactivate(company, "taxcode", code)
        case XeroHand() as hand:
            status = "ACTIVE" if is_active else "DELETED"
            await hand.control.edit_record(company, "TaxRate", code, {"Status": status})


@everywhere
async def test_money_that_stripe_keeps_in_another_currency_stops(stage: Stage, kind: str) -> None:
    async with stage(kind) as scene:
        await scene.sell(currency="eur")
        reason, said = await scene.stopped()
        assert reason is Reason.SETTLED_ELSEWHERE
        assert said.title == "Stripe keeps this money in EUR"
        assert "Your books are kept in USD, and of the Stripe balance" in said.explanation
        assert "let Stripe convert EUR to USD" in said.explanation
        await scene.nothing_stands()


@everywhere
async def test_when_every_name_is_taken_nobody_elses_client_is_used(stage: Stage, kind: str) -> None:
    async with stage(kind) as scene:
        email = "r1@example.com"
        client = (await scene.play.stripe.create_customer(scene.play.business, name="Client R1", email=email))["id"]
        others = [
            await scene.hand.add_client(name, f"other{number}@example.com")
            for number, name in enumerate(("Client R1", f"Client R1 ({email})", f"Client R1 ({client})"))
        ]
        await scene.story.play.stripe.pay(
            scene.play.business, via="checkout", lines=[scene.story.line(SERVICE, 40000, 8.25)], customer=client,
            fee=0, bt_delay_s=2.0,
        )  # fmt: skip
        await scene.settle()
        reason, said = await scene.stopped()
        assert reason is Reason.NAME_TAKEN
        assert said.title == "Another “Client R1” exists"
        await scene.nothing_stands()
        if kind == "mock":
            # Nobody can rename a client of the practice books.
            return
        await scene.hand.rename_client(others[1], "Client R1 the elder")
        assert await scene.retry() == 1
        await scene.stands_once()


@everywhere
async def test_a_number_that_somebody_else_used_is_left_alone(stage: Stage, kind: str) -> None:
    async with stage(kind) as scene:
        if isinstance(scene.hand, QuickBooksHand):
            await scene.hand.control.set_behaviour(
                scene.play.company, custom_txn_numbers=True, warn_duplicate_numbers=True
            )
            await scene.play.refresh()
        await _posting(scene, on=False)
        await scene.sell()
        async with scene.play.wiring.db.tenant(scene.play.owner.tenant_id) as session:
            payment = (await session.execute(select(Payment))).scalar_one()
        number = reference_for(scene.play.books_id, payment.source_id)
        theirs = await scene.hand.take_number(number)
        before = await scene.play.balances()
        await _posting(scene, on=True)
        reason, said = await scene.stopped()
        assert reason is Reason.NUMBER_TAKEN
        assert number in said.explanation
        assert await scene.play.balances() == before
        assert await scene.hand.count_sales() == 1
        await scene.hand.give_number_up(theirs)
        assert await scene.retry() == 1
        await scene.stands_once()


async def _posting(scene: Scene, *, on: bool) -> None:
    async with scene.play.wiring.db.tenant(scene.play.owner.tenant_id, write=True) as session:
        if on:
            await resume_posting(session, scene.play.books_id)
        else:
            await stop_posting(session, scene.play.books_id, now=scene.play.runtime.now())
    await scene.settle()


async def test_a_cent_of_tax_that_quickbooks_counts_otherwise_stops_the_sale(stage: Stage) -> None:
    async with stage("quickbooks") as scene:
        assert isinstance(scene.hand, QuickBooksHand)
        control, company = scene.hand.control, scene.play.company
        await control.set_behaviour(company, honour_total_tax=False)
        # 8.25 % of 270.00 is 22.275: Stripe says 22.27, QuickBooks' own engine 22.28.
        await scene.story.sell("R1", scene.story.line(SERVICE, 27000, 8.25, tax=2227), fee=0)
        await scene.settle()
        reason, said = await scene.stopped()
        assert reason is Reason.TOTALS_DIFFER
        assert said.title == "Books total is 0.01 USD off"
        assert "shows 292.28 USD, the client paid 292.27 USD" in said.explanation
        # The invoice stands alone: no payment hides the cent, and no second invoice is made.
        assert "Stripe clearing" not in await scene.play.balances()
        await scene.retry()
        assert await scene.hand.count_sales() == 1
        assert "Stripe clearing" not in await scene.play.balances()
        await _correct_the_cent(scene)
        assert await scene.retry() == 1
        await scene.stands_once({"Stripe clearing": 29227, "Session income": -27000, "Tax": -2227})


async def _correct_the_cent(scene: Scene) -> None:
    assert isinstance(scene.hand, QuickBooksHand)
    control, company = scene.hand.control, scene.play.company
    await control.set_behaviour(company, honour_total_tax=True)
    (invoice,) = await control.documents(company, "invoice")
    await control.edit_document(company, "invoice", invoice["Id"], {"TxnTaxDetail": {"TotalTax": 22.27}})


@pytest.mark.parametrize("kind", ["quickbooks", "xero"])
async def test_books_of_another_workspace_are_not_connected_twice(stage: Stage, kind: str) -> None:
    async with stage(kind) as scene:
        await scene.sell()
        wiring, theirs = scene.play.wiring, scene.play.company
        stranger = await make_person(wiring)
        with pytest.raises(ConnectError) as refused:
            await _connect(scene, Owner(stranger.tenant_id, stranger.user_id, stranger.session_hash), theirs)
        assert refused.value.title.endswith("company is in use")
        assert "would be booked twice" in refused.value.message
        assert "Anna Berg" not in f"{refused.value.title}{refused.value.message}"
        async with wiring.db.tenant(stranger.tenant_id) as session:
            assert (await session.execute(select(Connection))).scalars().all() == []
        # Signing in to somebody else's books by mistake changes nothing here either.
        with pytest.raises(ConnectError) as other:
            await _connect(scene, scene.play.owner, "9999999")
        assert other.value.title == "That is a different company"
        assert "Nothing was changed" in other.value.message
        await scene.stands_once()


async def _connect(scene: Scene, owner: Owner, company: str) -> None:
    identity = Identity(company, "Somebody's books", "US", "usd", True, {})
    await attach(
        scene.play.wiring, owner, kind=scene.play.kind, mode=ConnectionMode.OAUTH, identity=identity,
        put_secrets=lambda _: None,
    )  # fmt: skip
