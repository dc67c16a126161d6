"""The payments page and its acts, as a browser without script sees them, and as htmx does."""

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from litestar import Litestar
from sqlalchemy import select

from core.db.models import (
    Attempt,
    AttemptOutcome,
    ItemState,
    Payment,
    PaymentState,
    SyncItem,
)
from core.reasons import Reason
from core.wiring import Wiring
from tests.browser import Browser
from tests.factories import Person, make_connection, make_person
from tests.runtime import START
from tests.sales import HOSTILE, QueryCounter, make_account, make_documents, make_payment, make_sale_item, make_service

PARTIAL = {"HX-Request": "true", "HX-Request-Type": "partial"}


class Desk:
    """The owner at work: a browser, connected Stripe and QuickBooks."""

    def __init__(self, browser: Browser, wiring: Wiring, person: Person, stripe_id: UUID, books_id: UUID) -> None:
        self.browser, self.wiring, self.person = browser, wiring, person
        self.stripe_id, self.books_id = stripe_id, books_id

    async def pay(self, **values: object) -> Payment:
        return await make_payment(self.wiring, self.person.tenant_id, self.stripe_id, **values)  # type: ignore[arg-type]  # as given

    async def stopped(self, reason: Reason = Reason.CUSTOMER_INACTIVE, **values: object) -> Payment:
        """A payment that the books refused."""
        payment = await self.pay(
            state=PaymentState.NEEDS_ATTENTION, reason=reason, reason_detail={"books": "QuickBooks"}, **values
        )
        item = await make_sale_item(
            self.wiring, payment, self.books_id, state=ItemState.NEEDS_ATTENTION, reason=reason,
            provider_text="Error 610. Object Not Found", provider_request_id="1-64f0c2aa",
        )  # fmt: skip
        async with self.wiring.db.tenant(payment.tenant_id, write=True) as session:
            session.add(
                Attempt(
                    item_id=item.id, outcome=AttemptOutcome.REJECTED, step="invoice", at=START - timedelta(minutes=3)
                )
            )
        return payment

    async def state_of(self, payment: Payment) -> tuple[PaymentState, ItemState | None]:
        async with self.wiring.db.tenant(payment.tenant_id) as session:
            row = await session.get_one(Payment, payment.id)
            item = (
                await session.execute(select(SyncItem.state).where(SyncItem.payment_id == payment.id))
            ).scalar_one_or_none()
        return row.state, item


async def sit_down(app: Litestar, wiring: Wiring, browser: Browser) -> Desk:
    person = await make_person(wiring, tenant={"posting_starts_at": START - timedelta(days=400)})
    browser.enter(person)
    stripe = await make_connection(wiring, person.tenant_id, "stripe")
    books = await make_connection(wiring, person.tenant_id)
    return Desk(browser, wiring, person, stripe.id, books.id)


@pytest.fixture
async def desk(app: Litestar, wiring: Wiring, browser: Browser) -> Desk:
    return await sit_down(app, wiring, browser)


@pytest.fixture
async def neighbour(app: Litestar, wiring: Wiring) -> AsyncIterator[Desk]:
    async with Browser(app) as browser:
        yield await sit_down(app, wiring, browser)


async def test_without_payments_it_says_what_will_happen(desk: Desk) -> None:
    page = await desk.browser.get("/payments")
    assert page.status_code == 200
    assert "No payments since March 1" in page.text
    assert page.headers["vary"] == "HX-Request-Type"
    assert page.headers["cache-control"] == "no-store"


async def test_the_table_says_everything_about_a_row(desk: Desk) -> None:
    service = await make_service(desk.wiring, desk.person.tenant_id, "Portrait session")
    payment = await desk.pay(client="Hannah Bergström", services=(service,))
    await make_documents(desk.wiring, payment, await make_sale_item(desk.wiring, payment, desk.books_id))
    page = (await desk.browser.get("/payments")).text
    for expected in ("Hannah Bergström", "Portrait session", "$420.00", "−$12.48", "$407.52", "Synced", "Invoice 1064"):
        assert expected in page
    assert "https://app.qbo.intuit.com/app/invoice?txnId=1064" in page
    assert 'hx-sse:connect="/events?since=0"' in page


async def test_a_partial_request_gets_the_view_and_no_frame(desk: Desk) -> None:
    await desk.pay(client="Grace Kim")
    part = await desk.browser.get("/payments", headers=PARTIAL)
    assert part.text.lstrip().startswith('<div class="page" id="view">')
    assert "Grace Kim" in part.text
    assert "<!doctype" not in part.text


async def test_hostile_names_stay_text(desk: Desk) -> None:
    service = await make_service(desk.wiring, desk.person.tenant_id, HOSTILE)
    payment = await desk.stopped(client=HOSTILE, services=(service,), paid_with=HOSTILE)
    for path in ("/payments", f"/payments/{payment.id}", f"/payments?q={HOSTILE}"):
        page = (await desk.browser.get(path)).text
        assert "<img src=x" not in page
        assert "&lt;img src=x onerror=alert(1)&gt;{{7*7}}" in page


ODD_ADDRESSES = [
    "q=" + "9" * 400,
    "q=%27%3B+DROP+TABLE+payment%3B--",
    "show=drop",
    "period=%F0%9F%98%80",
    "from=x&to=y",
    "before=" + "9" * 40 + "-" + "0" * 32,
    "before=1-" + "f" * 32,
    "service=nobody",
    "sort=paid_at;drop",
    "q=a&q=b",
    "tenant_id=" + "0" * 32,
    "show[]=a&show[]=b",
    "from=2026-02-30",
]
UNREADABLE_ADDRESSES = ["q=%00%ff", "after=%ED%A0%80", "%00=%00"]


@pytest.mark.parametrize("query", ODD_ADDRESSES)
async def test_no_odd_address_breaks_the_page(desk: Desk, query: str) -> None:
    await desk.pay(client="Grace Kim")
    for path in ("/payments", "/payments.csv"):
        assert (await desk.browser.get(f"{path}?{query}")).status_code == 200


@pytest.mark.parametrize("query", UNREADABLE_ADDRESSES)
async def test_what_is_no_text_is_refused_at_the_edge(desk: Desk, query: str) -> None:
    for path in ("/payments", "/payments.csv"):
        assert (await desk.browser.get(f"{path}?{query}")).status_code == 400


async def test_filters_live_in_the_address_and_carry_one_another(desk: Desk) -> None:
    await desk.pay(client="Grace Kim")
    await desk.stopped(client="Maya")
    page = (await desk.browser.get("/payments?show=attention&q=maya&period=90-days")).text
    assert "Grace Kim" not in page
    assert 'href="/payments?period=90-days&amp;show=synced&amp;q=maya"' in page
    assert '<input type="hidden" name="show" value="attention">' in page
    nothing = (await desk.browser.get("/payments?q=nobody")).text
    assert "Nothing matches" in nothing
    assert 'id="clear" href="/payments"' in nothing


async def test_older_and_newer_lead_through_the_whole_list(desk: Desk) -> None:
    for n in range(30):
        await desk.pay(client=f"Client no {n:02d}", paid_at=START - timedelta(minutes=n + 1))
    first = (await desk.browser.get("/payments")).text
    assert "1 – 25 of 30" in first
    older = _href(first, "older")
    second = (await desk.browser.get(older)).text
    assert "Client no 29" in second
    assert "Client no 24" not in second
    back = (await desk.browser.get(_href(second, "newer"))).text
    assert "Client no 00" in back
    assert 'id="newer"' not in back


async def test_the_page_takes_few_queries(desk: Desk) -> None:
    service = await make_service(desk.wiring, desk.person.tenant_id)
    for _ in range(5):
        payment = await desk.pay(services=(service,))
        await make_documents(desk.wiring, payment, await make_sale_item(desk.wiring, payment, desk.books_id))
    with QueryCounter(desk.wiring) as queries:
        await desk.browser.get("/payments?q=client")
    # One of them is the session's, one asks how many come into question.
    assert len(queries) == 7, queries.statements


async def test_retry_puts_a_payment_back_to_work_and_says_so_once(desk: Desk) -> None:
    payment = await desk.stopped(client="Hannah")
    page = (await desk.browser.get("/payments?show=attention")).text
    assert f'action="/payments/{payment.id}/retry"' in page
    done = await desk.browser.post(f"/payments/{payment.id}/retry", {"next": "/payments?show=attention"})
    assert (done.status_code, done.headers["location"]) == (303, "/payments?show=attention")
    assert await desk.state_of(payment) == (PaymentState.WAITING, ItemState.PENDING)
    assert "Trying again now." in (await desk.browser.get("/payments")).text
    assert "Trying again now." not in (await desk.browser.get("/payments")).text
    again = await desk.browser.post(f"/payments/{payment.id}/retry")
    assert again.headers["location"] == "/payments"
    assert "we are on it already" in (await desk.browser.get("/payments", headers=PARTIAL)).text


async def test_retry_all_tries_what_a_retry_can_cure(desk: Desk) -> None:
    hopeful = await desk.stopped()
    needs_account = await desk.stopped(Reason.SERVICE_NOT_MAPPED, paid_at=START - timedelta(days=60))
    page = (await desk.browser.get("/payments")).text
    assert "2 payments need attention." in page
    assert "Retry 1" in page
    assert "/payments?period=all&amp;show=attention" in page
    await desk.browser.post("/payments/retry", {"next": "/payments"})
    assert (await desk.state_of(hopeful))[0] is PaymentState.WAITING
    assert (await desk.state_of(needs_account))[0] is PaymentState.NEEDS_ATTENTION
    assert "Trying 1 payment again now." in (await desk.browser.get("/payments")).text


async def test_a_payment_is_left_out_with_a_reason(desk: Desk) -> None:
    payment = await desk.stopped()
    path = f"/payments/{payment.id}"
    assert (await desk.browser.post(f"{path}/ignore", {"reason": "  "})).headers["location"] == path
    assert "Say why" in (await desk.browser.get(path)).text
    await desk.browser.post(f"{path}/ignore", {"reason": "Entered by hand", "next": path})
    page = (await desk.browser.get(path)).text
    assert await desk.state_of(payment) == (PaymentState.IGNORED, ItemState.IGNORED)
    assert "Left out of the books." in page
    assert "You left this payment out of the books" in page
    assert "Entered by hand" in page


async def test_one_payment_tells_what_happened_and_what_to_do(desk: Desk) -> None:
    service = await make_service(desk.wiring, desk.person.tenant_id, "Portrait session")
    payment = await desk.stopped(client="Hannah Bergström", services=(service,))
    page = (await desk.browser.get(f"/payments/{payment.id}")).text
    for expected in (
        "Hannah Bergström is inactive in QuickBooks",
        "Make the customer active there, then retry.",
        "What QuickBooks said",
        "Error 610. Object Not Found",
        "1-64f0c2aa",
        "QuickBooks refused the invoice",
        "Hannah Bergström paid $420.00 by Visa ending 4242",
        f"/mapping#s-{service.id}",
        f"/test/payments/{payment.source_id}",
    ):
        assert expected in page, expected


async def test_posted_lines_stand_with_their_why_and_documents_open_in_the_books(desk: Desk) -> None:
    payment = await desk.pay(client="Hannah")
    await make_documents(desk.wiring, payment, await make_sale_item(desk.wiring, payment, desk.books_id))
    page = (await desk.browser.get(f"/payments/{payment.id}")).text
    for expected in (
        "Lines in your books",
        "4020 Portraits",
        "1150 Stripe clearing",
        "Stripe’s line_item.amount_subtotal, product; mapping of this service, version 3, set by Anna",
        "$840.00",
        "TO-4F7K2M9QXD3A",
        "https://app.qbo.intuit.com/app/recvpayment?txnId=10649",
    ):
        assert expected in page, expected


async def test_lines_of_a_payment_not_posted_yet_are_those_that_would_be(desk: Desk) -> None:
    tenant_id = desk.person.tenant_id
    service = await make_service(desk.wiring, tenant_id, "Portrait session")
    income = await make_account(desk.wiring, tenant_id, desk.books_id, "Portrait income")
    clearing = await make_account(desk.wiring, tenant_id, desk.books_id, "Stripe clearing", type="bank")
    payment = await desk.stopped(services=(service,))
    path = f"/payments/{payment.id}"
    assert "Lines to be posted" not in (await desk.browser.get(path)).text
    await desk.browser.post(f"/mapping/{service.id}", {"account_id": income.external_id, "tax_code_id": ""})
    await desk.browser.post("/mapping/accounts", {"clearing": clearing.external_id})
    page = (await desk.browser.get(path)).text
    for expected in ("Lines to be posted", "Portrait income", "Stripe clearing", "version 1, set by", "$840.00"):
        assert expected in page, expected


async def test_foreign_and_missing_payments_are_the_same_404(desk: Desk, neighbour: Desk) -> None:
    theirs = await neighbour.stopped()
    bodies = set()
    for some_id in (theirs.id, uuid4()):
        got = await desk.browser.get(f"/payments/{some_id}")
        retried = await desk.browser.post(f"/payments/{some_id}/retry")
        ignored = await desk.browser.post(f"/payments/{some_id}/ignore", {"reason": "x"})
        assert {got.status_code, retried.status_code, ignored.status_code} == {404}
        bodies.add(got.text.replace(got.headers["x-request-id"], ""))
    assert len({body.split("<main", 1)[-1] for body in bodies}) == 1
    assert (await desk.browser.get("/payments/1")).status_code == 404
    assert (await desk.browser.get("/payments/" + "9" * 300)).status_code == 404
    assert (await neighbour.state_of(theirs))[0] is PaymentState.NEEDS_ATTENTION


async def test_forms_lead_only_to_paths_of_ours(desk: Desk) -> None:
    payment = await desk.stopped()
    for elsewhere in ("https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)"):
        done = await desk.browser.post(f"/payments/{payment.id}/retry", {"next": elsewhere})
        assert done.headers["location"] == "/payments"


async def test_nobody_else_can_put_words_into_the_toast(desk: Desk, neighbour: Desk) -> None:
    payment = await neighbour.stopped()
    done = await neighbour.browser.post(f"/payments/{payment.id}/retry")
    stolen = done.cookies["__Host-flash"]
    for value in (stolen, "21" * 10 + "-" + "0" * 64, "zz-zz", "-", ""):
        desk.browser.http.cookies.set("__Host-flash", value, domain="tieout.test")
        page = await desk.browser.get("/payments")
        assert page.status_code == 200
        assert 'class="toast"' not in page.text.split('id="lost"')[0]


async def test_signed_out_people_are_sent_to_the_door(browser: Browser) -> None:
    for path in ("/payments", f"/payments/{uuid4()}", "/payments.csv"):
        answer = await browser.get(path)
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/sign-in?next=")


def _href(page: str, element_id: str) -> str:
    return page.split(f'id="{element_id}" href="', 1)[1].split('"', 1)[0].replace("&amp;", "&")
