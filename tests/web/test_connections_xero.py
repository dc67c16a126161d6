"""Xero on the connections page: beside QuickBooks, through the registry, with a choice where there are several."""

from collections.abc import AsyncIterator
from urllib.parse import urlencode

import pytest
from sqlalchemy import select

from core.db.models import BooksAccount, Connection, ConnectionStatus
from core.wiring import Wiring
from tests.apps import app_over
from tests.factories import Person, make_connection
from tests.outside import Outside
from tests.web.conftest import Browser


@pytest.fixture
def outside(wiring: Wiring) -> Outside:
    return Outside(wiring)


@pytest.fixture
async def page(outside: Outside, owner: Person) -> AsyncIterator[Browser]:
    app = app_over(outside.wiring)
    async with app.lifespan(), Browser(app) as opened:
        opened.enter(owner)
        yield opened


async def sign_in(page: Browser, outside: Outside, *organisations: str) -> str:
    """Consent at Xero; return where our callback leads."""
    begun = await page.post("/connections/xero/connect")
    callback = await outside.consent(begun.headers["location"], *organisations, user="ana@studio.example")
    answer = await page.get(f"/connect/xero/callback?{urlencode(callback)}")
    assert answer.status_code == 303
    return answer.headers["location"]


async def connections(outside: Outside, owner: Person) -> list[Connection]:
    async with outside.wiring.db.tenant(owner.tenant_id) as session:
        return list((await session.execute(select(Connection))).scalars())


async def two(outside: Outside) -> tuple[str, str]:
    await outside.control("PUT", "/_control/xero/platform", bulk_connections=True)
    return await outside.organisation("Juniper Lane <Ltd>"), await outside.organisation("Amber Workshops")


async def test_xero_stands_beside_quickbooks(page: Browser) -> None:
    text = (await page.get("/connections")).text
    assert text.index('action="/connections/quickbooks/connect"') < text.index('action="/connections/xero/connect"')
    answer = await page.post("/connections/xero/connect")
    assert "/identity/connect/authorize?" in answer.headers["location"]


async def test_an_organisation_is_connected_and_its_accounts_are_read(
    page: Browser, outside: Outside, owner: Person
) -> None:
    organisation = await outside.organisation("Juniper Lane Ltd")
    text = (await page.get(await sign_in(page, outside, organisation))).text
    assert "Xero is connected." in text
    assert "Juniper Lane Ltd in Xero." in text
    async with outside.wiring.db.tenant(owner.tenant_id) as session:
        names = set((await session.execute(select(BooksAccount.name))).scalars())
    assert {"Session Fees", "Stripe Clearing"} <= names
    text = (await page.get("/connections")).text
    assert "To move them to QuickBooks, disconnect Xero first" in text


async def test_quickbooks_must_be_disconnected_first(page: Browser, outside: Outside, owner: Person) -> None:
    await make_connection(outside.wiring, owner.tenant_id, "quickbooks")
    text = (await page.get("/connections")).text
    assert "Your books are in QuickBooks. To move them to Xero, disconnect QuickBooks first" in text
    answer = await page.post("/connections/xero/connect")
    assert answer.headers["location"] == "/connections"


async def test_of_several_organisations_one_is_chosen(page: Browser, outside: Outside, owner: Person) -> None:
    juniper, amber = await two(outside)
    assert await sign_in(page, outside, juniper, amber) == "/connections/xero/choose"
    text = (await page.get("/connections/xero/choose")).text
    assert "Juniper Lane &lt;Ltd&gt;" in text
    assert f'value="{amber}"' in text
    assert await connections(outside, owner) == []
    for wrong in ({}, {"company": ""}, {"company": owner.tenant_id.hex}):
        answer = await page.post("/connections/xero/choose", wrong)
        assert answer.status_code == 422
        assert "Choose one from the list." in answer.text
    answer = await page.post("/connections/xero/choose", {"company": amber})
    assert answer.status_code == 303
    assert "Xero is connected." in (await page.get(answer.headers["location"])).text
    (row,) = await connections(outside, owner)
    assert (row.external_name, row.status) == ("Amber Workshops", ConnectionStatus.ACTIVE)


async def test_without_anything_to_choose_the_page_leads_back(page: Browser) -> None:
    for answer in (
        await page.get("/connections/xero/choose"),
        await page.get("/connections/stripe/choose"),
        await page.post("/connections/xero/choose", {"company": "x"}),
    ):
        assert (answer.status_code, answer.headers["location"]) == (303, "/connections")
    assert "can no longer be used" in (await page.get("/connections")).text
    assert (await page.get("/connections/sage/choose")).status_code == 404


async def test_the_choice_of_one_session_is_not_anothers(
    page: Browser, outside: Outside, owner: Person, stranger: Person
) -> None:
    juniper, amber = await two(outside)
    await sign_in(page, outside, juniper, amber)
    page.enter(stranger)
    answer = await page.post("/connections/xero/choose", {"company": juniper})
    assert (answer.status_code, answer.headers["location"]) == (303, "/connections")
    assert await connections(outside, owner) == await connections(outside, stranger) == []


async def test_disconnecting_says_so_and_keeps_quiet_about_others(page: Browser, outside: Outside) -> None:
    await sign_in(page, outside, await outside.organisation())
    await page.post("/connections/xero/disconnect")
    assert "Xero is disconnected. Its access keys are gone from here." in (await page.get("/connections")).text
    assert await outside.control("GET", "/_control/xero/connections") == []
