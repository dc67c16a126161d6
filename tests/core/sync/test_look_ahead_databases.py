"""The dry run, the search for duplicates and the offering ask SQLite and PostgreSQL alike."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select

from core.accounting.mock.adapter import MockAccountingAdapter
from core.accounting.port import AccountType
from core.books.documents import DocumentKind
from core.connections.attach import attach
from core.connections.providers import open_books
from core.db.models import Connection, ConnectionMode, HistoryRun, ItemKind, Payment, PaymentState
from core.oauth import Identity
from core.reasons import Reason
from core.reports.history import HistoryReport, Stage, read_history
from core.reports.standing import read_standing
from core.sync.history import start_history
from core.sync.look_ahead import ask_for_dry_run, post_history
from core.wiring import Wiring
from tests.core.sync.conftest import SteadyRuntime
from tests.core.sync.fetching import Account, connect
from tests.outside import BASE, Outside
from tests.practice_hand import OwnersHand
from tests.runtime import VirtualRuntime


@pytest.fixture
def runtime() -> VirtualRuntime:
    """Begins now: PostgreSQL measures due times by its own clock."""
    return SteadyRuntime(datetime.now(UTC))


@pytest.fixture
async def account(any_wiring: Wiring, tmp_path: Path) -> AsyncIterator[Account]:
    outside = Outside(any_wiring, mock_books_path=str(tmp_path / "practice.db"))
    async with httpx.AsyncClient(transport=outside.transport, base_url=BASE) as http:
        yield await connect(any_wiring, outside, http, await outside.business())


async def keep_books(account: Account) -> UUID:
    """Connect practice books in which an invoice of today was entered by hand."""
    owner = account.owner
    identity = Identity(f"practice-{owner.tenant_id}", "Anna Berg Photography", "US", "usd", True, {})
    books_id = await attach(
        account.wiring, owner, kind="mock", mode=ConnectionMode.BUILT_IN, identity=identity, put_secrets=lambda _: None
    )
    async with account.wiring.db.tenant(owner.tenant_id) as session:
        books = open_books(account.wiring, await session.get_one(Connection, books_id), "")
    assert isinstance(books, MockAccountingAdapter)
    await books.create_account("Session income", AccountType.INCOME, key="income")
    payment = (await account.rows(Payment))[0]
    hand = OwnersHand(books.books)
    hand.add_sale(DocumentKind.INVOICE, payment.book_date, 10000, client="bo li", number="1188")
    return books_id


async def report(account: Account) -> HistoryReport:
    async with account.wiring.db.tenant(account.owner.tenant_id) as session:
        now = await account.wiring.db.now(session)
        standing = await read_standing(session, account.owner.tenant_id, now=now)
        found = await read_history(session, standing, now=now)
    assert found is not None
    return found


async def test_a_history_is_compared_planned_and_offered(account: Account) -> None:
    await account.forget(ItemKind.CATCH_UP, ItemKind.SWEEP)
    for amount in (10000, 20000):
        client = {"name": "Bo Li", "email": "bo@example.com"}
        await account.client.pay(account.id, amount, description="Session", new_customer=client, webhooks=False)
    await account.client.advance(seconds=60)
    day = (account.runtime.now() - timedelta(days=3)).date()
    async with account.wiring.db.tenant(account.owner.tenant_id, write=True) as session:
        now = await account.wiring.db.now(session)
        await start_history(
            session, tenant_id=account.owner.tenant_id, first_day=day, by_user_id=account.owner.user_id, now=now
        )
    for _ in range(20):
        await account.hurry(ItemKind.HISTORY)
    await keep_books(account)
    async with account.wiring.db.tenant(account.owner.tenant_id, write=True) as session:
        run = (await session.execute(select(HistoryRun))).scalar_one()
        assert await ask_for_dry_run(session, run, now=now)
    for _ in range(5):
        await account.hurry(ItemKind.DRY_RUN)
    looked = await report(account)
    assert looked.stage is Stage.LOOKED
    assert [(sale.client, sale.document) for sale in looked.alike] == [("Bo Li", "Invoice 1188")]
    assert looked.result is not None
    assert looked.result.gross_minor == 30000
    assert {stop.reason for stop in looked.result.stops} == {
        Reason.LOOKS_LIKE_DUPLICATE, Reason.CLEARING_NOT_CHOSEN, Reason.ROLE_NOT_CHOSEN
    }  # fmt: skip
    async with account.wiring.db.tenant(account.owner.tenant_id, write=True) as session:
        run = (await session.execute(select(HistoryRun))).scalar_one()
        assert await post_history(session, run, now=now)
    for _ in range(5):
        await account.hurry(ItemKind.DRY_RUN)
    payments = {row.amount_minor: row for row in await account.rows(Payment)}
    assert {row.state for row in payments.values()} == {PaymentState.NEEDS_ATTENTION}
    assert {amount: row.reason for amount, row in payments.items()} == {
        10000: Reason.LOOKS_LIKE_DUPLICATE, 20000: Reason.CLEARING_NOT_CHOSEN
    }  # fmt: skip
