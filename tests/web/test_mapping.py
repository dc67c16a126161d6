"""The mapping page, as a browser without script sees it."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from litestar import Litestar

from core.db.models import ItemState, PaymentState
from core.reasons import Reason
from core.wiring import Wiring
from tests.browser import Browser
from tests.factories import Person, make_connection, make_person
from tests.sales import (
    HOSTILE,
    QueryCounter,
    make_account,
    make_payment,
    make_sale_item,
    make_service,
    make_tax_code,
)

PARTIAL = {"HX-Request": "true", "HX-Request-Type": "partial"}


class Desk:
    """An owner with books: two income accounts, a bank account, a tax code."""

    def __init__(self, browser: Browser, wiring: Wiring, person: Person) -> None:
        self.browser, self.wiring, self.person, self.tenant_id = browser, wiring, person, person.tenant_id

    async def connect(self) -> "Desk":
        self.stripe_id = (await make_connection(self.wiring, self.tenant_id, "stripe")).id
        self.books_id = (await make_connection(self.wiring, self.tenant_id)).id
        self.portraits = await self.account("Portraits and minis", number="4020")
        self.retainers = await self.account("Client retainers", number="2310", type="current_liability")
        self.bank = await self.account("Stripe holding", number="1150", type="bank")
        code = await make_tax_code(self.wiring, self.tenant_id, self.books_id, "Non-taxable")
        self.free = code.external_id
        return self

    async def account(self, name: str, **values: Any) -> str:
        return (await make_account(self.wiring, self.tenant_id, self.books_id, name, **values)).external_id

    async def service(self, name: str = "Portrait session") -> UUID:
        return (await make_service(self.wiring, self.tenant_id, name)).id

    async def page(self, path: str = "/mapping") -> str:
        answer = await self.browser.get(path)
        assert answer.status_code == 200
        return answer.text


@pytest.fixture
async def desk(app: Litestar, wiring: Wiring, browser: Browser) -> Desk:
    person = await make_person(wiring)
    browser.enter(person)
    return await Desk(browser, wiring, person).connect()


async def test_without_books_there_is_nothing_to_choose_from(browser: Browser, wiring: Wiring) -> None:
    browser.enter(await make_person(wiring))
    page = await browser.get("/mapping")
    assert "Connect your books first" in page.text
    for path in ("/mapping/default", "/mapping/accounts", "/mapping/refresh"):
        done = await browser.post(path)
        assert (done.status_code, done.headers["location"]) == (303, "/mapping")
    assert "Connect your books first. Nothing was changed." in (await browser.get("/mapping")).text


async def test_the_page_shows_services_accounts_and_what_is_missing(desk: Desk) -> None:
    service_id = await desk.service("Mini session")
    page = await desk.page()
    for expected in (
        "Mini session",
        "$420.00 each",
        "4020 Portraits and minis",
        "2310 Client retainers",
        "Non-taxable",
        "One service has no account.",
        "Use 4020 Portraits and minis",
        f'action="/mapping/{service_id}"',
        "Hold and ask me",
        "Create “Stripe clearing”",
        "1150 Stripe holding",
    ):
        assert expected in page, expected
    assert 'class="count">1<' in page


async def test_a_choice_is_kept_and_its_effect_said(desk: Desk) -> None:
    service = await make_service(desk.wiring, desk.tenant_id, "Portrait session")
    for _ in range(2):
        payment = await make_payment(
            desk.wiring, desk.tenant_id, desk.stripe_id, services=(service,), state=PaymentState.NEEDS_ATTENTION,
            reason=Reason.SERVICE_NOT_MAPPED, reason_detail={"service_id": str(service.id)},
        )  # fmt: skip
        await make_sale_item(
            desk.wiring, payment, desk.books_id, state=ItemState.NEEDS_ATTENTION, reason=Reason.SERVICE_NOT_MAPPED
        )
    await make_payment(desk.wiring, desk.tenant_id, desk.stripe_id, services=(service,))
    assert "2 payments wait for this" in await desk.page()
    done = await desk.browser.post(f"/mapping/{service.id}", {"account_id": desk.portraits, "tax_code_id": desk.free})
    assert (done.status_code, done.headers["location"]) == (303, f"/mapping?saved={service.id}")
    page = await desk.page(done.headers["location"])
    assert "Saved. It applies to 2 waiting payments. 1 already in your books stays as it is." in page
    assert f'<option value="{desk.portraits}" selected>' in page
    assert page.count('role="status"') == 1
    kept = await desk.page()
    assert 'title="Version 1"' in kept
    assert "by you, Mar 2" in kept


async def test_the_default_row_and_a_suggestion_are_saved_the_same_way(desk: Desk) -> None:
    service_id = await desk.service("Mini session")
    await desk.browser.post("/mapping/default", {"account_id": desk.retainers, "tax_code_id": ""})
    assert "Same as “Anything else”" in await desk.page()
    form = {"account_id": "", "tax_code_id": "", "suggested_account_id": desk.portraits}
    await desk.browser.post(f"/mapping/{service_id}", form)
    page = await desk.page()
    row = page.split(f'id="s-{service_id}"', 1)[1].split("</tr>", 1)[0]
    assert f'<option value="{desk.portraits}" selected>' in row


async def test_what_cannot_be_used_is_refused_with_a_reason(desk: Desk) -> None:
    service_id = await desk.service()
    for form in (
        {"account_id": desk.bank, "tax_code_id": ""},
        {"account_id": "9" * 400, "tax_code_id": ""},
        {"account_id": HOSTILE, "tax_code_id": ""},
        {"account_id": desk.portraits, "tax_code_id": "nope"},
    ):
        done = await desk.browser.post(f"/mapping/{service_id}", form)
        assert done.headers["location"] == "/mapping"
        page = (await desk.browser.get("/mapping", headers=PARTIAL)).text
        assert "Nothing was changed." in page
        assert 'role="alert"' in page
    assert (await desk.browser.post(f"/mapping/{service_id}", {"role": "owner"})).status_code == 400


async def test_foreign_and_missing_rows_are_the_same_404(desk: Desk) -> None:
    stranger = await make_person(desk.wiring)
    theirs = await make_service(desk.wiring, stranger.tenant_id, "Foreign")
    for row_id in (theirs.id, uuid4(), "no-row", "9" * 200):
        done = await desk.browser.post(f"/mapping/{row_id}", {"account_id": desk.portraits})
        assert done.status_code == 404
    assert "Foreign" not in await desk.page()


async def test_the_clearing_account_is_chosen_once(desk: Desk) -> None:
    done = await desk.browser.post("/mapping/accounts", {"clearing": desk.bank})
    assert done.headers["location"] == "/mapping?saved=clearing"
    page = await desk.page()
    assert f'<option value="{desk.bank}" selected>' in page
    assert "Create “Stripe clearing”" not in page
    refused = await desk.browser.post("/mapping/accounts", {"clearing": desk.portraits})
    assert refused.headers["location"] == "/mapping"
    assert "active account of the type Bank" in await desk.page()


async def test_an_account_archived_in_the_books_is_said_and_still_shown(desk: Desk) -> None:
    from sqlalchemy import update

    from core.db.models import BooksAccount

    service_id = await desk.service()
    await desk.browser.post(f"/mapping/{service_id}", {"account_id": desk.portraits})
    await desk.browser.post("/mapping/accounts", {"clearing": desk.bank})
    async with desk.wiring.db.tenant(desk.tenant_id, write=True) as session:
        await session.execute(update(BooksAccount).values(is_active=False))
    page = await desk.page()
    assert "“Portraits and minis” is no longer active" in page
    assert '<optgroup label="No longer active">' in page
    assert "This account is no longer active. Choose another one." in page


async def test_hostile_names_stay_text(desk: Desk) -> None:
    await desk.service(HOSTILE)
    await desk.account(HOSTILE)
    page = await desk.page()
    assert "<img src=x" not in page
    assert page.count("&lt;img src=x onerror=alert(1)&gt;{{7*7}}") >= 2


async def test_books_that_do_not_answer_change_nothing(desk: Desk) -> None:
    # The connection of this test holds no token, so it counts as lost before any call is made.
    for path, form in (("/mapping/refresh", {}), ("/mapping/accounts", {"clearing": "create"})):
        done = await desk.browser.post(path, form)
        assert (done.status_code, done.headers["location"]) == (303, "/mapping")
        assert "QuickBooks did not do this just now." in await desk.page()


async def test_the_page_takes_few_queries_however_many_services(desk: Desk) -> None:
    for n in range(6):
        await desk.service(f"Service {n}")
    with QueryCounter(desk.wiring) as queries:
        await desk.browser.get("/mapping")
    assert len(queries) <= 10, queries.statements


async def test_a_partial_request_gets_the_view_and_no_frame(desk: Desk) -> None:
    part = (await desk.browser.get("/mapping", headers=PARTIAL)).text
    assert part.lstrip().startswith('<div class="page" id="view">')
    assert "<!doctype" not in part
