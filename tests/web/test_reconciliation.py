"""The reconciliation and the certificate, as a browser without script sees them, and as htmx does."""

import csv
import io
from collections.abc import AsyncIterator
from datetime import date, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from litestar import Litestar
from sqlalchemy import select

from core.books.documents import DocumentKind
from core.db.models import ItemKind, ItemState, PaymentState, Payout, SyncItem
from core.reasons import Reason
from core.wiring import Wiring
from tests.browser import Browser
from tests.core.reports.test_reconciliation import FIRST, Ledger, noon
from tests.core.reports.test_reconciliation_payouts import fill
from tests.factories import Person, make_connection, make_person
from tests.moves import make_opening
from tests.runtime import START
from tests.sales import HOSTILE, QueryCounter, make_account
from tests.web.test_payments import PARTIAL, UNREADABLE_ADDRESSES

MONTH = "/reconciliation?month=2026-02"


class Desk(Ledger):
    """A signed-in owner whose Stripe and books move together."""

    browser: Browser
    person: Person


async def sit_down(wiring: Wiring, browser: Browser) -> Desk:
    person = await make_person(wiring, tenant={"posting_starts_at": FIRST})
    browser.enter(person)
    stripe = await make_connection(wiring, person.tenant_id, "stripe")
    books = await make_connection(wiring, person.tenant_id)
    await make_account(
        wiring, person.tenant_id, books.id, "Stripe clearing", external_id="11", number="1150", type="bank"
    )
    await make_opening(wiring, person.tenant_id, stripe.id, 0, starts_at=FIRST)
    desk = Desk(wiring, person.tenant_id, stripe.id, books.id)
    desk.browser, desk.person = browser, person
    return desk


@pytest.fixture
async def desk(app: Litestar, wiring: Wiring, browser: Browser) -> Desk:
    return await sit_down(wiring, browser)


@pytest.fixture
async def neighbour(app: Litestar, wiring: Wiring) -> AsyncIterator[Desk]:
    async with Browser(app) as browser:
        yield await sit_down(wiring, browser)


async def read(desk: Desk, path: str) -> list[dict[str, str]]:
    answer = await desk.browser.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"), newline="")))


async def test_when_everything_is_booked_the_page_says_tied_out(desk: Desk) -> None:
    await fill(desk)
    await desk.sale(amount=10000, fee=320, at=noon(24))
    await desk.read()
    page = (await desk.browser.get(MONTH)).text
    for expected in ("1150 Stripe clearing", "Clearing once settled", "$96.80", "Tied out", "$2,099.21", "3 payments"):
        assert expected in page
    assert "Everything is reconciled" in page
    assert "Does not tie" not in page
    assert 'aria-current="page"' in page
    assert 'hx-sse:connect="/events?since=0"' in page


async def test_a_changed_document_leads_from_the_count_to_the_one_odd_row(desk: Desk) -> None:
    payout = await fill(desk)
    await desk.change(desk.documents["first"], 40000)
    await desk.read(books=desk.books - 3300)
    page = (await desk.browser.get(MONTH)).text
    assert '1<span class="vh"> payout does not tie</span>' in page
    for expected in ("Does not tie", "Changed or removed by hand", "Total was $433.00, now $400.00", "See the proof"):
        assert expected in page
    assert f'href="/payouts/{payout.id}"' in page
    proof = (await desk.browser.get(f"/payouts/{payout.id}")).text
    assert proof.count('data-state="off" id=') + proof.count('" data-state="off">') >= 1
    assert proof.count("Total was $433.00, now $400.00") == 1
    for expected in ("first", "−$33.00", "$2,066.21", "Prepared by Tieout on March 2, 2026", payout.stripe_id):
        assert expected in proof
    assert "11 entries, each in QuickBooks once" in proof


async def test_a_transfer_changed_by_hand_is_named_although_no_line_is_odd(desk: Desk) -> None:
    payout = await fill(desk)
    await desk.change(desk.documents[payout.stripe_id], 200000)
    await desk.read(books=desk.books + 9921)
    proof = (await desk.browser.get(f"/payouts/{payout.id}")).text
    assert "The transfer was changed in QuickBooks." in proof
    assert "Total was $2,099.21, now $2,000.00" in proof
    assert "−$99.21" in proof


async def test_payouts_by_hand_and_before_the_first_day_are_shown_as_they_are(desk: Desk) -> None:
    by_hand = await desk.pay_out(500, at=noon(10), arrives=date(2026, 2, 11), automatic=False, lines_read=False)
    early = await desk.pay_out(700, at=FIRST - timedelta(days=1), arrives=date(2026, 2, 3), is_booked=False)
    page = (await desk.browser.get(MONTH)).text
    assert "By hand" in page
    assert "Before your first day" in page
    assert "Stripe gives no breakdown here." in (await desk.browser.get(f"/payouts/{by_hand.id}")).text
    assert "out of scope" in (await desk.browser.get(f"/payouts/{early.id}")).text


async def test_a_past_day_is_a_parameter_of_the_address(desk: Desk) -> None:
    await desk.sale(amount=55465, fee=0, at=noon(20))
    await desk.pay_out(30000, at=noon(28), arrives=date(2026, 3, 2))
    await desk.read()
    page = (await desk.browser.get("/reconciliation?day=2026-02-28")).text
    for expected in (
        "at the end of February 28",
        "Payouts on their way to the bank",
        "$554.65",
        "$254.65",
        "Back to now",
    ):
        assert expected in page
    assert "at the end of" not in (await desk.browser.get("/reconciliation?day=2027-02-28")).text


async def test_nothing_connected_leads_on(app: Litestar, wiring: Wiring, browser: Browser) -> None:
    browser.enter(await make_person(wiring))
    page = (await browser.get("/reconciliation")).text
    assert "Connect your books" in page
    assert "No payouts arrive in March" in page
    assert 'action="/reconciliation/check"' not in page


async def test_a_partial_request_gets_the_view(desk: Desk) -> None:
    payout = await fill(desk)
    for path, first in (
        (MONTH, '<div class="page" id="view">'),
        (f"/payouts/{payout.id}", '<div class="page certificate'),
    ):
        part = await desk.browser.get(path, headers=PARTIAL)
        assert part.text.lstrip().startswith(first)
        assert "<!doctype" not in part.text
        assert part.headers["vary"] == "HX-Request-Type"


ODD = ["month=2026-13", "month=9999-99", "day=x", "day=2026-02-30", "before=1", "after=2026-02-30-" + "0" * 32,
       "open=" + "9" * 17 + "-" + "f" * 32, "open=1-1", "month=0001-01", "day=9999-12-31",
       "before=a&after=b"]  # fmt: skip


@pytest.mark.parametrize("query", ODD)
async def test_no_odd_address_breaks_the_page(desk: Desk, query: str) -> None:
    await fill(desk)
    await desk.read()
    for path in ("/reconciliation", "/payouts.csv"):
        assert (await desk.browser.get(f"{path}?{query}")).status_code == 200


@pytest.mark.parametrize("query", UNREADABLE_ADDRESSES)
async def test_what_is_no_text_is_refused_at_the_edge(desk: Desk, query: str) -> None:
    assert (await desk.browser.get(f"/reconciliation?{query}")).status_code == 400


async def test_the_months_lead_to_one_another(desk: Desk) -> None:
    page = (await desk.browser.get(MONTH)).text
    assert 'id="earlier" href="/reconciliation?month=2026-01"' in page
    assert 'id="later" href="/reconciliation"' in page
    assert 'id="later" href="/reconciliation?month=2026-04"' in (await desk.browser.get("/reconciliation")).text
    assert 'id="later"' not in (await desk.browser.get("/reconciliation?month=2026-04")).text


async def test_checking_the_books_asks_for_a_reading_and_says_so(desk: Desk) -> None:
    done = await desk.browser.post("/reconciliation/check", {"next": MONTH})
    assert (done.status_code, done.headers["location"]) == (303, MONTH)
    assert "Reading your books now." in (await desk.browser.get(MONTH)).text
    async with desk.wiring.db.tenant(desk.tenant_id) as session:
        item = (await session.execute(select(SyncItem).where(SyncItem.kind == ItemKind.VERIFY))).scalar_one()
    assert (item.state, item.connection_id, item.wanted > item.done) == (ItemState.PENDING, desk.books_id, True)
    assert item.due_at == desk.wiring.runtime.now()


async def test_an_open_refund_can_be_retried(desk: Desk) -> None:
    item = await desk.item(
        ItemKind.REFUND, "re_1", state=ItemState.NEEDS_ATTENTION, reason=Reason.PERIOD_CLOSED,
        reason_detail={"books": "QuickBooks"},
    )  # fmt: skip
    await desk.move("refund", amount=-10825, at=noon(22), stripe_source_id="re_1")
    page = (await desk.browser.get("/reconciliation")).text
    assert "That month is closed in QuickBooks" in page
    assert "−$108.25" in page
    path = f"/reconciliation/items/{item.id}/retry"
    assert f'action="{path}"' in page
    assert (await desk.browser.post(path, {"next": "/reconciliation"})).status_code == 303
    async with desk.wiring.db.tenant(desk.tenant_id) as session:
        row = await session.get_one(SyncItem, item.id)
    assert (row.state, row.reason) == (ItemState.PENDING, None)


async def open_things(desk: Desk) -> None:
    """One of everything that can be open."""
    await desk.sale(
        amount=43300, fee=1286, at=noon(20), is_booked=False, with_fee=False,
        payment={"client": "=cmd()", "reason": Reason.SERVICE_NOT_MAPPED, "state": PaymentState.NEEDS_ATTENTION},
    )  # fmt: skip
    txn = await desk.move("charge", amount=5000, fee=175, at=noon(21))
    fees = await desk.item(ItemKind.FEES, "2026-02-21", state=ItemState.PENDING)
    sold = await desk.item(ItemKind.SALE, "pi_x")
    await desk.book(sold, DocumentKind.PAYMENT, {txn: 5000})
    for kind, category, amount in (
        (ItemKind.REFUND, "refund", -1000), (ItemKind.DISPUTE, "dispute", -2000), (ItemKind.PAYOUT, "payout", -3000),
    ):  # fmt: skip
        await desk.item(kind, f"x_{kind}", state=ItemState.BLOCKED)
        await desk.move(category, amount=amount, at=noon(22), stripe_source_id=f"x_{kind}")
    movement = await desk.move("climate", amount=-50, at=noon(23))
    await desk.item(ItemKind.MOVEMENT, movement, state=ItemState.NEEDS_ATTENTION, reason=Reason.UNKNOWN_CATEGORY)
    await desk.change(await desk.book(fees, DocumentKind.DEPOSIT, {None: 700}), 600)
    await desk.read()


async def test_the_file_of_open_things_holds_all_kinds_and_adds_up_to_the_screen(desk: Desk) -> None:
    await open_things(desk)
    *rows, total = await read(desk, "/reconciliation/unreconciled.csv")
    nets = {row["type"]: row["net"] for row in rows}
    assert nets == {
        "payment": "420.14", "fees": "-1.75", "refund": "-10.00", "dispute": "-20.00", "payout": "-30.00",
        "movement": "-0.50", "changed_document": "1.00",
    }  # fmt: skip
    assert (total["date"], total["type"], total["currency"]) == ("Total", "7", "USD")
    assert sum(Decimal(row["net"]) for row in rows) == Decimal(total["net"]) == Decimal("358.89")
    page = (await desk.browser.get("/reconciliation")).text
    assert "7 items" in page
    assert "$358.89" in page
    assert next(row for row in rows if row["type"] == "payment")["client"] == "'=cmd()"
    changed = next(row for row in rows if row["type"] == "changed_document")
    assert (changed["ledger_total_was"], changed["ledger_total_now"]) == ("7.00", "6.00")


async def test_a_payment_changed_in_the_books_is_listed_once_as_its_document(desk: Desk) -> None:
    txn = await desk.sale(
        amount=43300, fee=1286, at=noon(20),
        payment={"state": PaymentState.NEEDS_ATTENTION, "reason": Reason.CHANGED_IN_BOOKS},
    )  # fmt: skip
    await desk.change(desk.documents[txn], 40000)
    assert "1 item<" in (await desk.browser.get("/reconciliation")).text
    (row, _) = await read(desk, "/reconciliation/unreconciled.csv")
    assert (row["type"], row["net"]) == ("changed_document", "33.00")


async def test_open_things_are_paged_without_losing_or_repeating_one(desk: Desk) -> None:
    for n in range(60):
        await desk.sale(
            amount=1000, fee=59, at=START - timedelta(hours=n + 1), is_booked=False, with_fee=False,
            payment={"client": f"Client no {n:02d}"},
        )  # fmt: skip
    seen: list[str] = []
    path = "/reconciliation"
    for _ in range(3):
        page = (await desk.browser.get(path)).text
        seen += [f"{n:02d}" for n in range(60) if f"Client no {n:02d}<" in page]
        _, found, rest = page.partition('id="open-older" href="')
        path = rest.partition("#")[0].replace("&amp;", "&") if found else ""
    assert seen == [f"{n:02d}" for n in range(60)]
    assert path == ""


async def test_the_file_of_payouts_adds_up_to_the_screen(desk: Desk) -> None:
    payout: Payout = await fill(desk)
    await desk.change(desk.documents["first"], 40000)
    row, total = await read(desk, "/payouts.csv?month=2026-02")
    assert row["payout_id"] == payout.stripe_id
    assert (row["state"], row["gross"], row["fees"], row["refunds"], row["net"]) == (
        "Does not tie", "2290.03", "-82.57", "-108.25", "2099.21",
    )  # fmt: skip
    assert (row["in_books"], row["difference"]) == ("2066.21", "-33.00")
    assert (total["arrival_date"], total["net"], total["difference"]) == ("Total", "2099.21", "-33.00")


async def test_the_file_of_a_certificate_has_three_columns_and_ids(desk: Desk) -> None:
    payout = await fill(desk)
    *rows, total = await read(desk, f"/payouts/{payout.id}/lines.csv")
    assert [(row["net"], row["tieout"], row["books"]) for row in rows] == [
        ("420.14", "420.14", "420.14"), ("1464.98", "1464.98", "1464.98"), ("322.34", "322.34", "322.34"),
        ("-108.25", "-108.25", "-108.25"),
    ]  # fmt: skip
    assert (total["net"], total["tieout"], total["books"], total["difference"]) == (*["2099.21"] * 3, "0.00")
    assert rows[0]["times_posted"] == "1 1 1"


async def test_hostile_names_stay_text(desk: Desk) -> None:
    payout_id = f"po_{uuid4().hex}"
    await desk.sale(
        amount=1000, fee=59, at=noon(20), stripe_payout_id=payout_id, description=HOSTILE, payment={"client": HOSTILE}
    )
    payout = await desk.pay_out(
        941, at=noon(22), arrives=date(2026, 2, 24), stripe_id=payout_id, bank_name=HOSTILE, failure_message=HOSTILE
    )
    await desk.item(ItemKind.REFUND, HOSTILE, state=ItemState.BLOCKED)
    for path in (MONTH, f"/payouts/{payout.id}"):
        page = (await desk.browser.get(path)).text
        assert "<img src=x" not in page
        assert "&lt;img src=x onerror=alert(1)&gt;{{7*7}}" in page


async def test_pages_take_as_many_queries_for_many_rows_as_for_few(desk: Desk) -> None:
    await open_things(desk)
    payout = await fill(desk)
    await desk.change(desk.documents["second"], 100)

    async def count(path: str) -> int:
        with QueryCounter(desk.wiring) as queries:
            await desk.browser.get(path)
        return len(queries)

    few = [await count(MONTH), await count(f"/payouts/{payout.id}")]
    for day in range(3, 9):
        await fill(desk, arrives=date(2026, 2, day))
        await desk.sale(amount=1000, fee=59, at=noon(day), is_booked=False, with_fee=False)
    many = [await count(MONTH), await count(f"/payouts/{payout.id}")]
    assert many == few
    assert many <= [27, 14]


async def test_another_workspace_sees_none_of_it(desk: Desk, neighbour: Desk) -> None:
    payout = await fill(neighbour)
    await open_things(neighbour)
    page = (await desk.browser.get(MONTH)).text
    assert "No payouts arrive in February" in page
    assert "Everything is reconciled" in page
    assert (await desk.browser.get(f"/payouts/{payout.id}")).status_code == 404
    assert len(await read(desk, "/reconciliation/unreconciled.csv")) == 1
