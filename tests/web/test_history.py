"""The way from a first day to the posted history, as a browser without script goes it."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import httpx
import pytest
from sqlalchemy import select

from core.db.models import ItemKind, OpeningBalance, SyncItem, Tenant
from core.reasons import Reason
from core.sync.worker import Worker
from tests.apps import app_over
from tests.browser import Browser
from tests.factories import Person
from tests.outside import BASE, Outside
from tests.runtime import VirtualRuntime
from tests.web.test_connections import connect, map_everything
from web.sandbox.client import SandboxClient

FIRST = {"first_day": "2026-02-20"}


@pytest.fixture
def outside(wiring: object) -> Outside:
    return Outside(wiring)  # type: ignore[arg-type]  # the fixture's own type


@pytest.fixture
async def page(outside: Outside, owner: Person) -> AsyncIterator[Browser]:
    app = app_over(outside.wiring)
    async with app.lifespan(), Browser(app) as opened:
        opened.enter(owner)
        yield opened


@pytest.fixture
async def business(page: Browser, outside: Outside, owner: Person) -> str:
    """A business with three payments of last month, connected and mapped, that posts nothing yet."""
    account = await outside.business()
    async with httpx.AsyncClient(transport=outside.transport, base_url=BASE) as http:
        client = SandboxClient(BASE, http)
        for amount, day in ((10000, 21), (20000, 22), (30000, 10)):
            created = int(datetime(2026, 2, day, 15, tzinfo=UTC).timestamp())
            await client.pay(
                account, amount=amount, created=created, webhooks=False, description="Portrait",
                new_customer={"name": "Bo Li", "email": "bo@example.com"},
            )  # fmt: skip
        # Stripe makes the balance transactions within seconds.
        await client.advance(seconds=30)
    await connect(page, outside, "stripe", account)
    await connect(page, outside, "quickbooks", await outside.company())
    await map_everything(outside, owner)
    return account


async def work(outside: Outside) -> None:
    worker = Worker(outside.wiring)
    runtime = outside.wiring.runtime
    assert isinstance(runtime, VirtualRuntime)
    for _ in range(60):
        await worker.step()
        runtime.forward(seconds=1)


async def first_day_of(outside: Outside, owner: Person) -> datetime | None:
    async with outside.wiring.db.open_session() as session:
        return (
            (await session.execute(select(Tenant).where(Tenant.id == owner.tenant_id))).scalar_one().posting_starts_at
        )


@pytest.mark.usefixtures("business")
async def test_a_history_is_read_looked_at_and_posted(page: Browser, outside: Outside, owner: Person) -> None:
    assert (await page.get("/history")).headers["location"] == "/start"
    start = (await page.get("/start")).text
    assert 'action="/history"' in start
    assert 'formaction="/start"' in start
    begun = await page.post("/history", FIRST)
    assert (begun.status_code, begun.headers["location"]) == (303, "/history")
    text = (await page.get("/history")).text
    assert "Everything since February 20" in text
    assert "0 of 8 lists read" in text
    assert '<noscript><a class="btn plain" href="/history">Refresh</a></noscript>' in text
    assert "We are reading everything since February 20." in (await page.get("/start")).text
    await work(outside)
    text = (await page.get("/history")).text
    assert "This is what we would post. Nothing has been written to QuickBooks yet." in text
    assert "2 payments, $300.00 gross" in text
    assert "Trial balance of what we book" in text
    assert "Which account is for Stripe fees?" in text
    assert await first_day_of(outside, owner) is None
    posted = await page.post("/history/post")
    assert (posted.status_code, posted.headers["location"]) == (303, "/history")
    assert "Posting has started." in (await page.get("/history")).text
    assert str(await first_day_of(outside, owner)) == "2026-02-20 05:00:00+00:00"
    await work(outside)
    text = (await page.get("/history")).text
    assert "See your payments" in text
    assert "Your history is in QuickBooks." in text
    again = await page.post("/history/post")
    assert (again.status_code, "it has moved on" in (await page.get("/history")).text) == (303, True)
    assert (await page.post("/history", FIRST)).headers["location"] == "/history"


@pytest.mark.usefixtures("business")
async def test_reading_and_posting_are_stopped_and_go_on(page: Browser, outside: Outside) -> None:
    await page.post("/history", FIRST)
    assert (await page.post("/history/stop")).status_code == 303
    text = (await page.get("/history")).text
    assert "Reading is stopped. Everything read so far is kept." in text
    assert 'action="/history/resume"' in text
    await page.post("/history/resume")
    await work(outside)
    assert 'action="/history/look"' in (await page.get("/history")).text
    await page.post("/history/look")
    assert "We are working out what would be posted." in (await page.get("/history")).text
    await work(outside)
    await page.post("/history/post")
    await page.post("/history/posting/stop")
    await work(outside)
    text = (await page.get("/history")).text
    assert "Posting is stopped. Nothing is lost" in text
    await page.post("/history/posting/resume")
    await work(outside)
    assert "Your history is in QuickBooks." in (await page.get("/history")).text


@pytest.mark.usefixtures("business")
@pytest.mark.parametrize(
    ("day", "said"), [("2026-12-01", "not after today"), ("2020-01-01", "within the last year"), ("", "Choose a date")]
)
async def test_a_day_that_is_none_to_begin_with_is_said_on_the_checklist(page: Browser, day: str, said: str) -> None:
    answer = await page.post("/history", {"first_day": day})
    assert (answer.status_code, said in answer.text) == (422, True)
    assert (await page.get("/history")).headers["location"] == "/start"


async def test_nothing_can_be_looked_at_before_the_steps_above_are_done(page: Browser) -> None:
    answer = await page.post("/history", FIRST)
    assert (answer.status_code, "Available once Stripe and your books are connected" in answer.text) == (422, True)


@pytest.mark.usefixtures("business")
async def test_starting_without_a_look_still_asks_where_the_opening_balance_goes(
    page: Browser, outside: Outside, owner: Person
) -> None:
    assert (await page.post("/start", FIRST)).headers["location"] == "/payments"
    await work(outside)
    text = (await page.get("/history")).text
    assert "Your history is in QuickBooks." in text
    async with outside.wiring.db.tenant(owner.tenant_id) as session:
        opening = (await session.execute(select(OpeningBalance))).scalar_one()
        item = (await session.execute(select(SyncItem).where(SyncItem.kind == ItemKind.OPENING))).scalar_one()
    # The payment of February 10, less Stripe's fee of 2.9 % and 0.30.
    assert (opening.amount_minor, item.reason) == (29100, Reason.ROLE_NOT_CHOSEN)
