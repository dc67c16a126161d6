"""The accounts page, as a browser without script sees it, over the practice books."""

from pathlib import Path
from uuid import UUID, uuid4

import msgspec
import pytest
from litestar import Litestar

from core.accounting.port import AccountType
from core.books.roles import AccountRole, FeeStyle, SaleStyle
from core.config import Settings
from core.connections.books import refresh_books
from core.db.models import (
    ConnectionMode,
    ItemKind,
    ItemState,
    OpeningBalance,
    SyncItem,
)
from core.mapping.rules import current_bookkeeping, current_roles
from core.reasons import Reason
from core.wiring import Wiring
from tests.browser import Browser
from tests.factories import Person, make_connection, make_person
from tests.sales import HOSTILE, QueryCounter, make_account, make_tax_code


class Desk:
    """An owner whose books are practice books, with their chart of accounts read."""

    def __init__(self, browser: Browser, wiring: Wiring, person: Person, books_id: UUID) -> None:
        self.browser, self.wiring, self.person, self.books_id = browser, wiring, person, books_id
        self.tenant_id = person.tenant_id

    async def page(self, path: str = "/accounts") -> str:
        answer = await self.browser.get(path)
        assert answer.status_code == 200
        return answer.text

    async def said(self, path: str, form: dict[str, str] | None = None) -> str:
        done = await self.browser.post(path, form or {})
        assert done.status_code == 303
        return await self.page(done.headers["location"])

    async def account(self, name: str, kind: AccountType) -> str:
        external = f"by-hand-{uuid4().hex[:8]}"
        row = await make_account(
            self.wiring, self.tenant_id, self.books_id, name, type=kind.value, external_id=external
        )
        return row.external_id

    async def chosen(self) -> dict[AccountRole, str]:
        async with self.wiring.db.tenant(self.tenant_id) as session:
            return {role: row.account_id for role, row in (await current_roles(session, self.books_id)).items()}

    async def question(self, category: str = "climate_order_purchase", amount: str = "−4.00 USD") -> UUID:
        item_id = uuid4()
        async with self.wiring.db.tenant(self.tenant_id, write=True) as session:
            now = self.wiring.runtime.now()
            session.add(
                SyncItem(
                    id=item_id,
                    connection_id=self.books_id,
                    kind=ItemKind.MOVEMENT,
                    source_id=f"txn_{item_id.hex}",
                    state=ItemState.NEEDS_ATTENTION,
                    reason=Reason.UNKNOWN_CATEGORY,
                    reason_detail={"category": category, "amount": amount},
                    created_at=now,
                    changed_at=now,
                )
            )
        return item_id


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    return msgspec.structs.replace(settings, mock_books_path=str(tmp_path / "practice.db"))


@pytest.fixture
async def desk(app: Litestar, wiring: Wiring, browser: Browser) -> Desk:
    person = await make_person(wiring)
    await make_connection(wiring, person.tenant_id, "stripe")
    books = await make_connection(wiring, person.tenant_id, "mock", mode=ConnectionMode.BUILT_IN)
    await refresh_books(wiring, tenant_id=person.tenant_id, connection_id=books.id)
    browser.enter(person)
    return Desk(browser, wiring, person, books.id)


async def test_without_books_there_is_nothing_to_choose_from(browser: Browser, wiring: Wiring) -> None:
    browser.enter(await make_person(wiring))
    assert "Connect your books first" in (await browser.get("/accounts")).text
    for path in ("roles", "create", "bookkeeping", "category"):
        assert (await browser.post(f"/accounts/{path}")).headers["location"] == "/accounts"
    assert "Connect your books first. Nothing was changed." in (await browser.get("/accounts")).text


async def test_one_click_creates_what_is_missing_and_a_second_one_creates_nothing(desk: Desk) -> None:
    page = await desk.page()
    assert "Create 9 missing accounts" in page
    assert "Saved." in await desk.said("/accounts/create")
    chosen = await desk.chosen()
    optional = {AccountRole.BANK, AccountRole.TIPS, AccountRole.DISCOUNTS}
    assert set(chosen) == set(AccountRole) - optional
    assert len(set(chosen.values())) == len(chosen)
    page = await desk.page()
    assert "missing account" not in page
    assert "Stripe disputes held" in page
    await desk.said("/accounts/create")
    assert await desk.chosen() == chosen


async def test_a_role_takes_only_accounts_of_its_type(desk: Desk) -> None:
    expense = await desk.account("Card fees", AccountType.EXPENSE)
    bank = await desk.account("Main bank", AccountType.BANK)
    assert "Saved." in await desk.said("/accounts/roles", {"fees": expense, "bank": bank})
    assert await desk.chosen() == {AccountRole.FEES: expense, AccountRole.BANK: bank}
    refused = await desk.said("/accounts/roles", {"held": expense})
    assert "Choose an active account of the type Current asset. Nothing was changed." in refused
    assert AccountRole.HELD not in await desk.chosen()


async def test_the_clearing_account_stands_alone(desk: Desk) -> None:
    bank = await desk.account("Main bank", AccountType.BANK)
    await desk.said("/accounts/roles", {"bank": bank})
    page = await desk.said("/accounts/roles", {"clearing": bank})
    assert "The clearing account must stand alone." in page
    assert AccountRole.CLEARING not in await desk.chosen()


async def test_a_stripe_feed_beside_our_clearing_account_is_named(desk: Desk) -> None:
    await desk.said("/accounts/create")
    assert "would count twice" not in await desk.page()
    feed = await desk.account("Stripe AUD", AccountType.BANK)
    assert "“Stripe AUD” may be filled by a Stripe feed" in await desk.page()
    await desk.said("/accounts/roles", {"clearing": feed})
    assert "“Stripe clearing” may be filled" in await desk.page()


async def test_how_things_are_booked_is_kept_in_versions(desk: Desk) -> None:
    code = await make_tax_code(desk.wiring, desk.tenant_id, desk.books_id, "GST on expenses")
    form = {
        "sale_style": "receipt",
        "fee_style": "per_payout",
        "lost_dispute_tax": "reversed",
        "fee_tax_code_id": code.external_id,
    }
    assert "It applies from now on" in await desk.said("/accounts/bookkeeping", form)
    async with desk.wiring.db.tenant(desk.tenant_id) as session:
        kept = await current_bookkeeping(session, desk.books_id)
    assert (kept.sale_style, kept.fee_style) == (SaleStyle.RECEIPT, FeeStyle.PER_PAYOUT)
    assert kept.fee_tax_code_id == code.external_id
    assert "It applies" not in await desk.said("/accounts/bookkeeping", form)
    sales = await make_tax_code(desk.wiring, desk.tenant_id, desk.books_id, "GST on income", on_purchases=False)
    page = await desk.page()
    assert "GST on expenses" in page
    assert "GST on income" not in page
    assert "A sale in another currency" not in page
    for wrong in (
        {"fee_style": "weekly"},
        {"foreign_style": "presentment"},
        {"fee_tax_code_id": "nothing"},
        {"fee_tax_code_id": sales.external_id},
    ):
        assert "Nothing was changed." in await desk.said("/accounts/bookkeeping", form | wrong)
    async with desk.wiring.db.tenant(desk.tenant_id) as session:
        assert await current_bookkeeping(session, desk.books_id) == kept


async def test_an_unknown_movement_is_asked_about_and_goes_on_after_the_answer(desk: Desk) -> None:
    item_id = await desk.question()
    page = await desk.page()
    assert "“climate order purchase”, 1 movement waits, the first of −4.00 USD" in page
    expense = await desk.account("Climate", AccountType.EXPENSE)
    page = await desk.said("/accounts/category", {"category": "climate_order_purchase", "account_id": expense})
    assert "Saved." in page
    async with desk.wiring.db.tenant(desk.tenant_id) as session:
        assert (await session.get_one(SyncItem, item_id)).state is ItemState.PENDING
    refused = await desk.said("/accounts/category", {"category": "climate_order_purchase", "account_id": "nothing"})
    assert "Choose an active account" in refused


async def test_an_account_that_answers_a_question_is_never_the_clearing_account(desk: Desk) -> None:
    bank = await desk.account("Holding", AccountType.BANK)
    await desk.said("/accounts/category", {"category": "climate_order_purchase", "account_id": bank})
    assert "takes movements of another kind" in await desk.said("/accounts/roles", {"clearing": bank})
    assert AccountRole.CLEARING not in await desk.chosen()


async def test_hostile_words_of_stripe_and_the_books_stay_text(desk: Desk) -> None:
    await desk.question(HOSTILE[:60], HOSTILE)
    await desk.account(f"Stripe {HOSTILE}", AccountType.BANK)
    page = await desk.page()
    assert "<img src=x" not in page
    assert "&lt;img src=x" in page


async def test_the_opening_balance_is_said(desk: Desk) -> None:
    start = desk.wiring.runtime.now()
    async with desk.wiring.db.tenant(desk.tenant_id, write=True) as session:
        from sqlalchemy import select

        from core.db.models import Connection, Tenant

        (await session.get_one(Tenant, desk.tenant_id)).posting_starts_at = start
        stripe = (await session.execute(select(Connection).where(Connection.kind == "stripe"))).scalar_one()
        session.add(
            OpeningBalance(connection_id=stripe.id, currency="usd", starts_at=start, amount_minor=84217, read_at=start)
        )
    assert "Stripe held $842.17 at that moment" in await desk.page()


async def test_the_page_takes_few_queries(desk: Desk) -> None:
    await desk.said("/accounts/create")
    with QueryCounter(desk.wiring) as queries:
        await desk.browser.get("/accounts")
    assert len(queries) <= 10, queries.statements
