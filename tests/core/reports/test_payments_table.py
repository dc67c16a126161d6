"""The payments table: what is listed, added up and said, for this tenant alone and in few queries."""

from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest

from core.db.models import ConnectionStatus, ItemState, Lane, PaymentState
from core.reasons import Reason
from core.reports.narrowing import Bounds
from core.reports.payments import PaymentsTable, payments_table
from core.reports.query import Cursor, PaymentQuery, parse_query
from core.reports.standing import Standing, read_standing
from core.wiring import Wiring
from tests.factories import make_connection, make_tenant
from tests.runtime import START
from tests.sales import (
    HOSTILE,
    QueryCounter,
    make_documents,
    make_payment,
    make_sale_item,
    make_service,
)

TODAY = date(2026, 3, 2)


class Studio:
    """A tenant with Stripe and QuickBooks connected."""

    def __init__(self, wiring: Wiring, tenant_id: UUID, stripe_id: UUID, books_id: UUID) -> None:
        self.wiring, self.tenant_id, self.stripe_id, self.books_id = wiring, tenant_id, stripe_id, books_id
        self.bounds = Bounds()

    async def pay(self, **values: Any) -> Any:
        return await make_payment(self.wiring, self.tenant_id, self.stripe_id, **values)

    async def standing(self) -> Standing:
        async with self.wiring.db.tenant(self.tenant_id) as session:
            return await read_standing(session, self.tenant_id, now=self.wiring.runtime.now())

    async def see(self, page_size: int = 25, **given: str) -> PaymentsTable:
        return await self.show(parse_query(given, today=TODAY), page_size)

    async def show(self, query: PaymentQuery, page_size: int = 25) -> PaymentsTable:
        async with self.wiring.db.tenant(self.tenant_id) as session:
            standing = await read_standing(session, self.tenant_id, now=self.wiring.runtime.now())
            return await payments_table(
                session, query, standing=standing, today=TODAY, page_size=page_size, bounds=self.bounds
            )


async def open_studio(wiring: Wiring) -> Studio:
    tenant = await make_tenant(wiring, posting_starts_at=START - timedelta(days=400))
    stripe = await make_connection(wiring, tenant.id, "stripe")
    books = await make_connection(wiring, tenant.id)
    return Studio(wiring, tenant.id, stripe.id, books.id)


@pytest.fixture
async def studio(wiring: Wiring) -> Studio:
    return await open_studio(wiring)


async def test_a_page_shows_its_rows_sums_counts_and_days(any_wiring: Wiring) -> None:
    studio = await open_studio(any_wiring)
    portrait = await make_service(any_wiring, studio.tenant_id, "Portrait session")
    album = await make_service(any_wiring, studio.tenant_id, "Album")
    await studio.pay(client="Grace Kim", services=(portrait,), amount=22500, fee=683)
    await studio.pay(
        client="Maya", services=(portrait, album), amount=60000, fee=1770, state=PaymentState.NEEDS_ATTENTION,
        reason=Reason.SERVICE_NOT_MAPPED, reason_detail={"service": "Album", "service_id": str(album.id)},
        paid_at=START - timedelta(days=1, hours=1), refunded_minor=1000,
    )  # fmt: skip
    await studio.pay(client="Old", amount=100, fee=10, paid_at=START - timedelta(days=40))
    table = await studio.see()
    assert [(row.client, row.service, row.amount_minor, row.fee_minor, row.net_minor) for row in table.rows] == [
        ("Grace Kim", "Portrait session", 22500, 683, 21817),
        ("Maya", "Portrait session and Album", 60000, 1770, 58230),
    ]
    maya = table.rows[1]
    assert maya.why is not None
    assert maya.why.wording.title == "Where should “Album” go?"
    assert maya.service_id == album.id
    totals = table.summaries[0].totals
    assert (totals.currency, totals.gross_minor, totals.fee_minor, totals.refund_minor, totals.net_minor) == (
        "usd", 82500, 2453, 1000, 79047,
    )  # fmt: skip
    assert [(day.first, day.in_books_minor, day.open_minor) for day in table.summaries[0].columns] == [
        (date(2026, 3, 1), 0, 60000),
        (date(2026, 3, 2), 22500, 0),
    ]
    assert table.counts[PaymentState.SYNCED] == table.counts[PaymentState.NEEDS_ATTENTION] == 1
    standing = await studio.standing()
    assert (standing.attention.count, standing.attention.retryable, standing.unmapped) == (1, 0, 2)


async def test_another_tenants_payments_change_nothing(any_wiring: Wiring) -> None:
    mine, theirs = await open_studio(any_wiring), await open_studio(any_wiring)
    service = await make_service(any_wiring, theirs.tenant_id, "Foreign")
    theirs_payment = await theirs.pay(
        client="Foreign", services=(service,), state=PaymentState.NEEDS_ATTENTION, reason=Reason.REFUSED
    )
    item = await make_sale_item(any_wiring, theirs_payment, theirs.books_id)
    await make_documents(any_wiring, theirs_payment, item)
    await mine.pay(client="Mine")
    for given in ({}, {"q": "foreign"}, {"service": str(service.id)}, {"period": "all"}):
        table = await mine.see(**given)
        assert all(row.client == "Mine" for row in table.rows)
        assert sum(table.counts.values()) == len(table.rows)
    standing = await mine.standing()
    assert (standing.attention.count, standing.unmapped) == (0, 0)
    assert standing.books is not None
    assert standing.books.connection.id == mine.books_id


async def test_a_page_takes_five_queries_and_a_search_one_more_however_many_rows(studio: Studio) -> None:
    service = await make_service(studio.wiring, studio.tenant_id)
    for _ in range(8):
        payment = await studio.pay(services=(service,))
        item = await make_sale_item(studio.wiring, payment, studio.books_id)
        await make_documents(studio.wiring, payment, item)
    for given, count in (({}, 5), ({"period": "all"}, 6), ({"q": "client"}, 6)):
        with QueryCounter(studio.wiring) as queries:
            table = await studio.see(**given)
        assert len(queries) == count, queries.statements
    assert [row.invoice.number for row in table.rows if row.invoice] == ["1064"] * 8


@pytest.mark.parametrize("same_moment", [False, True])
async def test_paging_visits_every_row_once_while_new_ones_arrive(any_wiring: Wiring, same_moment: bool) -> None:
    studio = await open_studio(any_wiring)
    made = [
        (await studio.pay(paid_at=START - timedelta(hours=1 if same_moment else n + 1), client=f"c{n}")).id
        for n in range(11)
    ]
    query = parse_query({"period": "all"}, today=TODAY)
    seen: list[UUID] = []
    pages: list[list[UUID]] = []
    cursor: Cursor | None = None
    while True:
        table = await studio.show(query.with_(before=cursor), page_size=4)
        pages.append([row.id for row in table.rows])
        seen += pages[-1]
        await studio.pay(paid_at=START, client="newcomer")
        if table.older is None:
            break
        cursor = table.older
    assert sorted(seen) == sorted(made)
    # And back: the newer pages are the same ones, though newcomers stand above them now.
    back = await studio.show(query.with_(after=table.newer), page_size=4)
    assert [row.id for row in back.rows] == pages[-2]
    assert back.older is not None
    assert back.newer is not None


async def test_newer_than_the_newest_is_the_first_page(studio: Studio) -> None:
    for n in range(3):
        await studio.pay(client=f"c{n}", paid_at=START - timedelta(hours=n + 1))
    first = await studio.see(page_size=2)
    again = await studio.show(
        parse_query({}, today=TODAY).with_(after=Cursor(first.rows[1].paid_at, first.rows[1].id)), 2
    )
    assert [row.client for row in again.rows] == ["c0", "c1"]
    assert again.is_first_page


async def test_search_finds_name_email_amount_and_stripe_id_and_nothing_by_wildcard(any_wiring: Wiring) -> None:
    studio = await open_studio(any_wiring)
    grace = await studio.pay(client="Grace O'Neil", email="grace@example.org", amount=123450)
    await studio.pay(client="100% Pure", amount=5000)
    await studio.pay(client="Łukasz Nowak", amount=5100)

    async def clients(q: str) -> set[str]:
        return {row.client for row in (await studio.see(q=q)).rows}

    for q in ("grace", "GRACE", "o'neil", "grace@example.org", "1234.50", "$1,234.50", grace.source_id, "neil 1234"):
        assert await clients(q) == {"Grace O'Neil"}, q
    assert await clients("łukasz") == {"Łukasz Nowak"}
    await studio.pay(client="Jürgen Groß", amount=5200)
    assert await clients("JÜRGEN GROSS") == {"Jürgen Groß"}
    assert await clients("100%") == {"100% Pure"}
    for q in ("%", "__", "\\", "' OR 1=1 --", "\x00\ud800", HOSTILE, "nobody", "x" * 5000):
        found = await clients(q)
        assert found == set() or not q.strip("\x00\ud800"), q


async def test_filters_by_state_and_service_keep_the_counts_of_the_others(studio: Studio) -> None:
    portrait = await make_service(studio.wiring, studio.tenant_id, "Portrait")
    album = await make_service(studio.wiring, studio.tenant_id, "Album")
    await studio.pay(client="a", services=(portrait,))
    await studio.pay(client="b", services=(portrait, album), state=PaymentState.WAITING)
    await studio.pay(client="c", services=(album,), state=PaymentState.IGNORED)
    table = await studio.see(show="waiting", service=str(portrait.id))
    assert [row.client for row in table.rows] == ["b"]
    assert (table.counts[PaymentState.SYNCED], table.counts[PaymentState.WAITING]) == (1, 1)
    assert table.counts[PaymentState.IGNORED] == 0


async def test_a_day_is_the_tenants_day(studio: Studio) -> None:
    # 04:30 UTC on March 1 is 23:30 on February 28 in New York.
    await studio.pay(client="late", paid_at=START.replace(day=1, hour=4, minute=30))
    assert (await studio.see()).rows == []
    assert [row.client for row in (await studio.see(period="last-month")).rows] == ["late"]
    assert [row.client for row in (await studio.see(**{"from": "2026-02-28", "to": "2026-02-28"})).rows] == ["late"]


async def test_currencies_stand_apart_with_the_main_one_first(studio: Studio) -> None:
    await studio.pay(amount=10000, fee=300, currency="eur", settled_currency="eur")
    await studio.pay(
        amount=5000, currency="gbp", settled_minor=6300, settled_currency="usd", fee=200, refunded_minor=1000
    )
    await studio.pay(amount=700, currency="usd", fee=None)
    table = await studio.see()
    found = [
        (t.currency, t.gross_minor, t.fee_minor, t.refund_minor, t.net_minor)
        for t in (summary.totals for summary in table.summaries)
    ]
    assert found == [("usd", 7000, 200, 0, 6800), ("eur", 10000, 300, 0, 9700), ("gbp", 0, 0, 1000, -1000)]
    foreign = next(row for row in table.rows if row.client_currency)
    assert (foreign.amount_minor, foreign.currency) == (6300, "usd")
    assert (foreign.client_amount_minor, foreign.client_currency) == (5000, "gbp")
    unsettled = next(row for row in table.rows if row.fee_minor is None)
    assert (unsettled.amount_minor, unsettled.net_minor) == (700, None)


async def test_a_paused_connection_is_said_on_every_waiting_row(studio: Studio) -> None:
    await studio.pay(state=PaymentState.WAITING)
    until = START + timedelta(minutes=5)
    async with studio.wiring.db.tenant(studio.tenant_id, write=True) as session:
        lane = await session.get_one(Lane, studio.books_id)
        lane.hold_until, lane.hold_reason = until, Reason.RATE_LIMITED.value
    why = (await studio.see()).rows[0].why
    assert why is not None
    assert (why.wording.short, why.until) == ("QuickBooks asked us to slow down", until)
    studio.wiring.runtime.forward(minutes=6)  # type: ignore[attr-defined]  # the tests' clock
    assert (await studio.see()).rows[0].why is None


async def test_a_lost_sign_in_is_said_on_every_waiting_row(studio: Studio) -> None:
    await studio.pay(state=PaymentState.WAITING)
    async with studio.wiring.db.tenant(studio.tenant_id, write=True) as session:
        from core.db.models import Connection

        (await session.get_one(Connection, studio.books_id)).status = ConnectionStatus.NEEDS_RECONNECT
    row = (await studio.see()).rows[0]
    assert row.why is not None
    assert row.why.wording.short == "QuickBooks needs you to sign in again"
    assert (await studio.standing()).broken == 1


async def test_the_newest_posted_invoice_is_linked(studio: Studio) -> None:
    payment = await studio.pay()
    item = await make_sale_item(studio.wiring, payment, studio.books_id, state=ItemState.DONE)
    await make_documents(studio.wiring, payment, item, number="77")
    invoice = (await studio.see()).rows[0].invoice
    assert invoice is not None
    assert (invoice.number, invoice.external_id) == ("77", "77")


async def test_all_time_reaches_from_the_first_payment_to_today(studio: Studio) -> None:
    await studio.pay(paid_at=START - timedelta(days=700))
    table = await studio.see(period="all")
    assert (table.first_day, table.last_day) == (date(2024, 4, 1), TODAY)
    months = table.summaries[0].columns
    assert (len(months), months[0].first, months[0].last, months[-1].last) == (
        24,
        date(2024, 4, 1),
        date(2024, 4, 30),
        TODAY,
    )
    assert (months[0].in_books_minor, months[1].in_books_minor) == (table.summaries[0].totals.gross_minor, 0)
    empty = await studio.see(period="last-month")
    assert (empty.rows, empty.summaries) == ([], [])


async def test_a_search_with_too_many_hits_lists_the_newest_and_adds_up_nothing(any_wiring: Wiring) -> None:
    studio = await open_studio(any_wiring)
    studio.bounds = Bounds(in_period=2, found=1)
    portrait = await make_service(any_wiring, studio.tenant_id, "Portrait")
    for n, client in enumerate(("Greta Old", "Hugo", "Greta New", "Ida")):
        services = (portrait,) if client.startswith("Greta") else ()
        await studio.pay(client=client, services=services, paid_at=START - timedelta(hours=9 - n))
    for given in ({"q": "greta"}, {"service": str(portrait.id)}):
        table = await studio.see(**given)
        assert [row.client for row in table.rows] == ["Greta New", "Greta Old"]
        assert (table.counts, table.summaries) == (None, [])
    for q, clients in (("hugo", ["Hugo"]), ("greta old", ["Greta Old"]), ("nobody", [])):
        table = await studio.see(q=q)
        assert [row.client for row in table.rows] == clients
        assert table.counts is not None
        assert sum(table.counts.values()) == len(clients)


@pytest.mark.parametrize("first", ["2025-01-01", "2025-01-20", "2025-02-01"])
async def test_months_and_the_days_at_both_ends_add_up_to_the_period(any_wiring: Wiring, first: str) -> None:
    studio = await open_studio(any_wiring)
    start = date.fromisoformat(first)
    days = ((1, 1), (1, 19), (1, 20), (1, 31), (2, 1), (9, 9), (11, 30), (12, 1), (12, 14), (12, 15))
    paid = [date(2025, month, day) for month, day in days]
    for n, day in enumerate(paid):
        await studio.pay(amount=10**n, fee=None, paid_at=START.replace(year=day.year, month=day.month, day=day.day))
    table = await studio.see(**{"from": first, "to": "2025-12-14"})
    shown = [10**n for n, day in enumerate(paid) if start <= day <= date(2025, 12, 14)]
    assert table.summaries[0].totals.gross_minor == sum(shown)
    assert sum(column.in_books_minor for column in table.summaries[0].columns) == sum(shown)
    assert table.counts is not None
    assert sum(table.counts.values()) == len(shown)
