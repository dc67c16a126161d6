"""The connections page and the checklist, as a browser sees them, against Stripe's and Intuit's stand-ins."""

from collections.abc import AsyncIterator
from datetime import timedelta
from urllib.parse import urlencode, urlsplit
from uuid import uuid4

import pytest
from sqlalchemy import select

from core.connections.restricted_key import RIGHTS
from core.db.models import (
    AccountRole,
    BooksAccount,
    CallCount,
    Connection,
    ConnectionMode,
    ConnectionStatus,
    MappingVersion,
    OAuthState,
    RoleVersion,
    Service,
    ServiceSource,
    Tenant,
)
from core.wiring import Wiring
from tests.apps import app_over
from tests.browser import Browser
from tests.factories import PASSWORD, Person, make_connection
from tests.outside import BASE, Outside
from tests.runtime import VirtualRuntime


@pytest.fixture
def outside(wiring: Wiring) -> Outside:
    return Outside(wiring)


@pytest.fixture
async def page(outside: Outside, owner: Person) -> AsyncIterator[Browser]:
    """A browser of the owner, whose application reaches the stand-ins."""
    app = app_over(outside.wiring)
    async with app.lifespan(), Browser(app) as opened:
        opened.enter(owner)
        yield opened


async def connect(page: Browser, outside: Outside, kind: str, choice: str, **changes: str) -> str:
    """Consent to the end; return what the page says then."""
    begun = await page.post(f"/connections/{kind}/connect")
    assert begun.status_code == 303, begun.text
    callback = {**await outside.consent(begun.headers["location"], choice), **changes}
    ended = await page.get(f"/connect/{kind}/callback?{urlencode(callback)}")
    assert ended.status_code == 303, ended.text
    return (await page.get(ended.headers["location"])).text


async def connections(outside: Outside, person: Person) -> list[Connection]:
    async with outside.wiring.db.tenant(person.tenant_id) as session:
        return list((await session.execute(select(Connection).order_by(Connection.kind))).scalars())


async def test_connect_is_a_form_that_leads_to_the_provider(page: Browser, outside: Outside) -> None:
    text = (await page.get("/connections")).text
    assert 'action="/connections/stripe/connect"' in text
    assert 'action="/connections/quickbooks/connect"' in text
    assert "Practice books" not in text
    for kind in ("stripe", "quickbooks"):
        answer = await page.post(f"/connections/{kind}/connect")
        assert answer.status_code == 303
        assert answer.headers["location"].startswith(BASE)
        assert urlsplit(BASE).netloc in answer.headers["content-security-policy"]


async def test_both_sides_are_connected_and_the_page_says_whose(page: Browser, outside: Outside, owner: Person) -> None:
    account, realm = await outside.business("juniperlane.co"), await outside.company("Juniper Lane LLC")
    text = await connect(page, outside, "stripe", account)
    assert "Stripe is connected." in text
    assert "juniperlane.co" in text
    text = await connect(page, outside, "quickbooks", realm)
    assert "QuickBooks is connected." in text
    assert "Juniper Lane LLC in QuickBooks." in text
    text = (await page.get("/connections")).text
    for expected in ("juniperlane.co", "Juniper Lane LLC", "Consent ends", "Read only", "Test mode", "Last checked"):
        assert expected in text
    async with outside.wiring.db.tenant(owner.tenant_id) as session:
        assert (await session.execute(select(BooksAccount))).first() is not None


async def test_the_host_header_has_no_say_in_where_a_provider_sends_people(page: Browser) -> None:
    honest = await page.post("/connections/quickbooks/connect")
    assert "redirect_uri=https%3A%2F%2Ftieout.test%2Fconnect%2Fquickbooks%2Fcallback" in honest.headers["location"]
    forged = await page.post("/connections/quickbooks/connect", headers={"Host": "evil.example"})
    assert forged.status_code == 400


async def test_a_refusal_at_the_provider_is_told_in_our_words_only(page: Browser, outside: Outside) -> None:
    begun = await page.post("/connections/quickbooks/connect")
    callback = await outside.consent(begun.headers["location"], await outside.company(), allow=False)
    callback["error_description"] = "<script>alert(1)</script>"
    answer = await page.get(f"/connect/quickbooks/callback?{urlencode(callback)}")
    text = (await page.get(answer.headers["location"])).text
    assert "QuickBooks was not connected" in text
    assert "alert(1)" not in text


@pytest.mark.parametrize(
    "query", ["", "state=x", "code=1", "state=" + "0" * 64 + "&code=1&realmId=1", "error=%3Cscript%3E", "state=%00"]
)
async def test_a_callback_out_of_nowhere_changes_nothing(
    page: Browser, outside: Outside, owner: Person, query: str
) -> None:
    answer = await page.get(f"/connect/quickbooks/callback?{query}")
    assert answer.status_code in (303, 400)
    assert await connections(outside, owner) == []
    assert await outside.calls("/oauth2/v1") == []


async def test_a_callback_in_another_browser_fails(
    page: Browser, outside: Outside, owner: Person, stranger: Person
) -> None:
    begun = await page.post("/connections/quickbooks/connect")
    callback = await outside.consent(begun.headers["location"], await outside.company())
    page.enter(stranger)
    answer = await page.get(f"/connect/quickbooks/callback?{urlencode(callback)}")
    assert "can no longer be used" in (await page.get(answer.headers["location"])).text
    assert await connections(outside, owner) == await connections(outside, stranger) == []


async def test_a_company_of_another_workspace_is_refused_without_its_name(
    page: Browser, outside: Outside, owner: Person, stranger: Person, wiring: Wiring
) -> None:
    realm = await outside.company()
    await connect(page, outside, "quickbooks", realm)
    page.enter(stranger)
    text = await connect(page, outside, "quickbooks", realm)
    assert "connected to another workspace" in text
    async with wiring.db.open_session() as session:
        theirs = await session.get_one(Tenant, owner.tenant_id)
    assert theirs.name not in text


async def test_another_company_on_reconnect_is_refused_by_name(page: Browser, outside: Outside) -> None:
    await connect(page, outside, "quickbooks", await outside.company("Anna Berg Photography"))
    text = await connect(page, outside, "quickbooks", await outside.company("Berg Rentals"))
    assert "That is a different company" in text
    assert "You signed in to “Berg Rentals”; your books here are “Anna Berg Photography”." in text


@pytest.mark.parametrize(
    "path",
    ["/connections/stripe/connect", "/connections/quickbooks/disconnect", "/connections/stripe/key"],
)
async def test_connecting_and_disconnecting_ask_for_the_password_again(
    page: Browser, outside: Outside, owner: Person, runtime: VirtualRuntime, path: str
) -> None:
    runtime.forward(minutes=11)
    answer = await page.post(path, {"restricted_key": "rk_test_1"} if path.endswith("key") else None)
    assert answer.status_code == 403
    assert 'name="password"' in answer.text
    async with outside.wiring.db.open_session() as session:
        assert (await session.execute(select(OAuthState))).first() is None
    following = path if "disconnect" in path else "/connections"
    entered = await page.post("/step-up", {"password": PASSWORD, "next": following})
    assert entered.headers["location"] == following


async def test_members_see_the_page_and_change_nothing(page: Browser, outside: Outside, member: Person) -> None:
    page.enter(member)
    seen = await page.get("/connections")
    assert seen.status_code == 200
    assert 'action="/connections/' not in seen.text
    assert (await page.post("/connections/stripe/connect")).status_code == 403
    assert (await page.post("/connections/stripe/key", {"restricted_key": "rk_test_1"})).status_code == 403
    assert (await page.get("/connections/stripe/disconnect")).status_code == 403
    assert (await page.post("/connections/stripe/disconnect")).status_code == 403
    assert (await page.get("/connect/stripe/callback?state=x")).status_code == 403


@pytest.mark.parametrize("kind", ["sage", "nothing", "mock", "..%2Fstripe"])
async def test_unknown_providers_do_not_exist(page: Browser, kind: str) -> None:
    for answer in (
        await page.post(f"/connections/{kind}/connect"),
        await page.get(f"/connect/{kind}/callback?state=x"),
        await page.get(f"/connections/{kind}/disconnect"),
        await page.post(f"/connections/{kind}/disconnect"),
    ):
        assert answer.status_code in (303, 404)
        assert answer.headers.get("location", "/connections") == "/connections"


async def test_a_restricted_key_is_taken_and_never_shown(page: Browser, outside: Outside, owner: Person) -> None:
    account = await outside.business("juniperlane.co")
    path = f"/_control/stripe/accounts/{account}/restricted_keys"
    weak = (await outside.control("POST", path, permissions=["connected_account_read", "charge_read"]))["key"]
    strong = (await outside.control("POST", path, permissions=[right.permission for right in RIGHTS]))["key"]
    refused = await page.post("/connections/stripe/key", {"restricted_key": weak})
    assert refused.status_code == 422
    assert "Events: read" in refused.text
    assert weak not in refused.text
    empty = await page.post("/connections/stripe/key", {"restricted_key": " "})
    assert (empty.status_code, "This is needed." in empty.text) == (422, True)
    answer = await page.post("/connections/stripe/key", {"restricted_key": strong})
    assert answer.status_code == 303
    (row,) = await connections(outside, owner)
    assert row.mode is ConnectionMode.RESTRICTED_KEY
    text = (await page.get("/connections")).text
    assert "Restricted key, read only" in text
    assert strong not in text


async def test_a_broken_connection_says_so_everywhere_and_is_mended_by_the_same_company(
    page: Browser, outside: Outside, owner: Person
) -> None:
    realm = await outside.company()
    await connect(page, outside, "quickbooks", realm)
    async with outside.wiring.db.tenant(owner.tenant_id, write=True) as session:
        row = (await session.execute(select(Connection))).scalar_one()
        row.status, row.broken_at = ConnectionStatus.NEEDS_RECONNECT, outside.wiring.runtime.now()
    text = (await page.get("/connections")).text
    assert "QuickBooks needs you to sign in again." in text
    assert "Reconnect QuickBooks" in text
    await connect(page, outside, "quickbooks", realm)
    assert "needs you to sign in again" not in (await page.get("/connections")).text
    assert len(await connections(outside, owner)) == 1


async def test_disconnecting_asks_first_and_says_what_happened(page: Browser, outside: Outside, owner: Person) -> None:
    await connect(page, outside, "quickbooks", await outside.company("Juniper Lane LLC"))
    asked = await page.get("/connections/quickbooks/disconnect")
    assert "Disconnect QuickBooks?" in asked.text
    assert "Juniper Lane LLC" in asked.text
    answer = await page.post("/connections/quickbooks/disconnect")
    assert (answer.status_code, answer.headers["location"]) == (303, "/connections")
    assert "QuickBooks is disconnected." in (await page.get("/connections")).text
    (row,) = await connections(outside, owner)
    assert (row.status, row.access_token, row.refresh_token) == (ConnectionStatus.CLOSED, None, None)
    assert (await page.get("/connections/quickbooks/disconnect")).status_code == 404


async def test_pages_that_providers_open_believe_nothing_and_ask_the_provider(
    page: Browser, outside: Outside, owner: Person, runtime: VirtualRuntime
) -> None:
    realm = await outside.company()
    await connect(page, outside, "quickbooks", realm)
    before = len(await outside.calls("companyinfo"))
    for path in ("/connect/quickbooks/disconnected?realmId=999", f"/connect/quickbooks/reconnect?realmId={realm}"):
        answer = await page.get(path)
        assert (answer.status_code, answer.headers["location"]) == (303, "/connections")
    assert len(await outside.calls("companyinfo")) == before, "asked a moment ago"
    runtime.forward(minutes=2)
    await page.get("/connect/quickbooks/disconnected?realmId=999")
    assert len(await outside.calls("companyinfo")) == before + 1
    assert (await connections(outside, owner))[0].status is ConnectionStatus.ACTIVE
    outside.sandbox.quickbooks.world.office.revoke_realm(realm)
    runtime.forward(minutes=2)
    await page.get(f"/connect/quickbooks/disconnected?realmId={realm}")
    assert (await connections(outside, owner))[0].status is ConnectionStatus.NEEDS_RECONNECT


async def test_pages_that_providers_open_do_nothing_for_strangers(
    browser: Browser, wiring: Wiring, owner: Person
) -> None:
    row = await make_connection(wiring, owner.tenant_id)
    answer = await browser.get(f"/connect/quickbooks/disconnected?realmId={row.external_id}")
    assert answer.headers["location"] == "/sign-in?next=/connections"
    assert (await browser.get("/connect/sage/disconnected")).status_code == 404
    async with wiring.db.tenant(owner.tenant_id) as session:
        assert (await session.get_one(Connection, row.id)).status is ConnectionStatus.ACTIVE


async def test_other_books_must_be_disconnected_first(page: Browser, outside: Outside, owner: Person) -> None:
    await make_connection(outside.wiring, owner.tenant_id, "mock", mode=ConnectionMode.BUILT_IN)
    text = (await page.get("/connections")).text
    assert "To move them to QuickBooks, disconnect Practice books first" in text
    answer = await page.post("/connections/quickbooks/connect")
    assert answer.headers["location"] == "/connections"
    assert "Your books are in Practice books" in (await page.get("/connections")).text


async def map_everything(outside: Outside, owner: Person) -> None:
    now = outside.wiring.runtime.now()
    async with outside.wiring.db.tenant(owner.tenant_id, write=True) as session:
        books = (await session.execute(select(Connection).where(Connection.kind != "stripe"))).scalar_one()
        service = Service(id=uuid4(), key="*", source=ServiceSource.DEFAULT, name="Anything else", created_at=now)
        session.add(service)
        await session.flush()
        both = {"id": uuid4(), "connection_id": books.id, "version": 1, "created_at": now, "created_by": owner.user_id}
        session.add(MappingVersion(**both, service_id=service.id, income_account_id="1"))
        session.add(RoleVersion(**both, role=AccountRole.CLEARING, account_id="2"))


async def test_the_checklist_leads_from_nothing_to_a_first_day(page: Browser, outside: Outside, owner: Person) -> None:
    text = (await page.get("/start")).text
    assert "0 of 4 done" in text
    early = await page.post("/start", {"first_day": "2026-03-01"})
    assert (early.status_code, "Set up in four steps" in early.text) == (422, True)
    await connect(page, outside, "stripe", await outside.business())
    await connect(page, outside, "quickbooks", await outside.company())
    text = (await page.get("/start")).text
    assert "2 of 4 done" in text
    assert 'href="/mapping"' in text
    await map_everything(outside, owner)
    text = (await page.get("/start")).text
    assert "3 of 4 done" in text
    assert 'value="2026-03-01"' in text
    for day, said in (
        ("2026-03-03", "not after today"),
        ("2024-01-01", "within the last year"),
        ("2026-02-30", "Choose a date"),
        ("<script>", "Choose a date"),
        ("", "Choose a date"),
    ):
        answer = await page.post("/start", {"first_day": day})
        assert answer.status_code == 422
        assert said in answer.text
        assert "<script>" not in answer.text
    answer = await page.post("/start", {"first_day": "2026-03-01"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/payments")
    async with outside.wiring.db.open_session() as session:
        tenant = await session.get_one(Tenant, owner.tenant_id)
    # Midnight in New York.
    assert tenant.posting_starts_at is not None
    assert tenant.posting_starts_at.isoformat() == "2026-03-01T05:00:00+00:00"
    assert (await page.get("/start")).headers["location"] == "/payments"
    again = await page.post("/start", {"first_day": "2026-02-01"})
    assert again.status_code == 303
    async with outside.wiring.db.open_session() as session:
        assert (await session.get_one(Tenant, owner.tenant_id)).posting_starts_at == tenant.posting_starts_at
    assert "We post payments from March 1 on." in (await page.get("/connections")).text


@pytest.mark.parametrize("path", ["/connections", "/start", "/connections/stripe/disconnect"])
async def test_nobody_sees_these_pages_without_signing_in(browser: Browser, path: str) -> None:
    answer = await browser.get(path)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/sign-in?next={path}")


async def test_the_cost_of_the_books_is_said_in_calls(page: Browser, outside: Outside, owner: Person) -> None:
    books = await make_connection(outside.wiring, owner.tenant_id)
    assert "Calls this month" not in (await page.get("/connections")).text
    today = outside.wiring.runtime.now().date()
    async with outside.wiring.db.tenant(owner.tenant_id, write=True) as session:
        for day, calls, payments in ((today, 9, 100), (today - timedelta(days=40), 1000, 1)):
            row = CallCount(connection_id=books.id, day=day, calls=calls, documents=2, payments=payments, slow_downs=1)
            session.add(row)
    assert "9, 9 for each 100 payments, asked to slow down 1 time" in (await page.get("/connections")).text
