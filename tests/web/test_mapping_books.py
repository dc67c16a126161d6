"""The mapping page against books that answer: the practice books, in a file of this test."""

from pathlib import Path

import msgspec
import pytest
from litestar import Litestar
from sqlalchemy import select

from core.config import Settings
from core.connections.attach import Person as Connecting
from core.connections.books import connect_built_in
from core.db.models import BooksAccount, RoleVersion
from core.wiring import Wiring
from tests.browser import Browser
from tests.factories import make_person


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    """With practice books."""
    return msgspec.structs.replace(settings, mock_books_path=str(tmp_path / "books.db"))


async def test_accounts_are_fetched_and_the_clearing_account_is_made_once(
    app: Litestar, wiring: Wiring, browser: Browser
) -> None:
    person = await make_person(wiring)
    browser.enter(person)
    connecting = Connecting(person.tenant_id, person.user_id, person.session_hash)
    connection_id = await connect_built_in(wiring, connecting, "mock")

    await browser.post("/mapping/refresh", {"next": "/mapping"})
    page = (await browser.get("/mapping")).text
    assert "Accounts and tax codes are up to date." in page
    assert "Session income" in page

    for _ in range(2):
        done = await browser.post("/mapping/accounts", {"clearing": "create"})
        assert done.headers["location"] == "/mapping?saved=clearing"
    async with wiring.db.tenant(person.tenant_id) as session:
        accounts = (
            await session.execute(select(BooksAccount.external_id).where(BooksAccount.name == "Stripe clearing"))
        ).scalars().all()  # fmt: skip
        roles = (await session.execute(select(RoleVersion.account_id, RoleVersion.connection_id))).all()
    assert len(accounts) == 1
    assert [tuple(role) for role in roles] == [(accounts[0], connection_id)]
    assert f'<option value="{accounts[0]}" selected>Stripe clearing</option>' in (await browser.get("/mapping")).text
