"""The drift watch: what changed in the books is heard of without reading everything, named, and never repeated."""

from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import pytest

from core.books.documents import DocumentKind
from core.db.models import (
    BooksDocument,
    CallCount,
    Connection,
    DocumentState,
    Drift,
    ItemKind,
    ItemState,
    Operation,
    OthersEntry,
    Payment,
    PaymentState,
    ReadState,
    SyncItem,
)
from core.errors import NotFoundError
from core.reasons import Reason
from core.sync.call_counts import rest_of_day
from core.sync.check_books import check_books_now
from core.sync.drift import make_standing
from core.sync.items import mirror
from core.sync.recreate import recreate
from tests.core.sync.conftest import PORTRAIT, Studio, sale
from tests.practice_hand import OwnersHand

ON_SQLITE = pytest.mark.parametrize("studio", ["sqlite"], indirect=True)
SYNCED = (PaymentState.SYNCED, None)
CHANGED = (PaymentState.NEEDS_ATTENTION, Reason.CHANGED_IN_BOOKS)


async def watch(studio: Studio) -> None:
    """Let the standing readings begin, as the first round of a new connection does."""
    async with studio.wiring.db.tenant(studio.tenant_id, write=True) as session:
        books = await session.get_one(Connection, studio.books.id)
        await make_standing(session, books, now=await studio.wiring.db.now(session))
    await studio.quiet()


async def sold(studio: Studio, number: int = 1) -> tuple:
    """Post one sale, and let the books tell of it."""
    await studio.map(PORTRAIT.key, "Session income")
    payment_id = await studio.pay(sale(number))
    await studio.quiet()
    await hours_go_by(studio)
    return payment_id, await paid(studio)


async def paid(studio: Studio) -> BooksDocument:
    return [row for row in await studio.rows(BooksDocument) if row.kind is DocumentKind.PAYMENT][-1]


async def hours_go_by(studio: Studio, hours: float = 14) -> None:
    studio.runtime.forward(hours=hours)
    if not studio.wiring.db.is_sqlite:
        # PostgreSQL keeps a time of its own, which does not go by: there a person asks.
        async with studio.wiring.db.tenant(studio.tenant_id, write=True) as session:
            now = await studio.wiring.db.now(session)
            assert await check_books_now(session, tenant_id=studio.tenant_id, now=now)
    await studio.quiet()


async def calls(studio: Studio) -> int:
    return sum(row.calls for row in await studio.rows(CallCount))


def edit(studio: Studio, document: BooksDocument, change: str) -> None:
    """What a person does to a payment in the practice books."""
    hand, at = OwnersHand(studio.ledger.books), studio.runtime.now()
    name = (DocumentKind.PAYMENT, document.external_id or "")
    match change:
        case "total":
            hand.edit_total(*name, 43200, at=at)
        case "date":
            hand.move(*name, date(2026, 1, 15), at=at)
        case "void":
            hand.void(*name, at=at)
        case "delete":
            hand.delete(*name)
        case "account":
            put_into(studio, document, "Checking")


def put_into(studio: Studio, document: BooksDocument, account: str) -> None:
    """Let the money of a payment arrive on another account."""
    books, money = studio.ledger.books, (studio.accounts["Stripe clearing"], studio.accounts["Checking"])
    with books.transaction() as db:
        db.execute(
            "UPDATE entry SET account_id = ? WHERE document_id = ? AND account_id IN (?, ?)",
            (int(studio.accounts[account]), int(document.external_id or "0"), *map(int, money)),
        )
        db.execute("UPDATE document SET memo = 'moved' WHERE id = ?", (int(document.external_id or "0"),))


async def test_our_own_writes_are_read_back_by_the_first_round_after_them(studio: Studio) -> None:
    await watch(studio)
    payment_id, _ = await sold(studio)
    documents = await studio.rows(BooksDocument)
    assert [(row.read_state, row.read_drift, row.read_total_minor) for row in documents] == [
        (ReadState.STANDS, None, 43300)
    ] * 2
    assert {row.kind: row.read_effect_minor for row in documents} == {
        DocumentKind.INVOICE: 0,
        DocumentKind.PAYMENT: 43300,
    }
    assert await studio.stands(payment_id) == SYNCED
    assert await studio.rows(OthersEntry) == []


@ON_SQLITE
async def test_a_round_without_news_is_one_call(studio: Studio) -> None:
    await watch(studio)
    await sold(studio)
    before, read_at = await calls(studio), (await paid(studio)).read_at
    await hours_go_by(studio)
    # One question for changes, and within these hours the daily one for the balance of clearing.
    assert await calls(studio) - before == 2
    assert (await paid(studio)).read_at == read_at


@ON_SQLITE
@pytest.mark.parametrize(
    ("change", "drift", "words"),
    [
        ("total", Drift.EDITED, "has another amount there"),
        ("date", Drift.DATED, "has another date there"),
        ("void", Drift.VOIDED, "was voided there"),
        ("delete", Drift.DELETED, "was deleted there"),
        ("account", Drift.MOVED, "was moved to other accounts there"),
    ],
)
async def test_what_a_person_does_is_heard_of_named_and_never_repeated(
    studio: Studio, change: str, drift: Drift, words: str
) -> None:
    await watch(studio)
    payment_id, document = await sold(studio)
    operations = len(await studio.rows(Operation))
    edit(studio, document, change)
    await hours_go_by(studio)
    assert await studio.stands(payment_id) == CHANGED
    assert words in (await studio.payment(payment_id)).reason_detail["change"]
    assert (await paid(studio)).read_drift is drift
    assert (await paid(studio)).read_effect_minor == {"total": 43200, "date": 43300, "account": 0}.get(change)
    await hours_go_by(studio, 24 * 40)
    assert len(await studio.rows(Operation)) == operations


@ON_SQLITE
async def test_the_word_is_taken_back_as_soon_as_the_books_tell_that_it_was_put_right(studio: Studio) -> None:
    await watch(studio)
    payment_id, document = await sold(studio)
    edit(studio, document, "account")
    await hours_go_by(studio)
    assert await studio.stands(payment_id) == CHANGED
    put_into(studio, document, "Stripe clearing")
    await hours_go_by(studio)
    assert await studio.stands(payment_id) == SYNCED
    assert (await paid(studio)).read_drift is None


@ON_SQLITE
async def test_an_invoice_that_is_open_again_is_unpaid_and_one_that_waits_for_its_payment_is_not(
    studio: Studio,
) -> None:
    await watch(studio)
    payment_id, document = await sold(studio)
    edit(studio, document, "void")
    [invoice] = [row for row in await studio.rows(BooksDocument) if row.kind is DocumentKind.INVOICE]
    with studio.ledger.books.transaction() as db:
        # Somebody looked at it and wrote a word: now the books tell of it as well.
        db.execute("UPDATE document SET memo = 'unpaid?' WHERE id = ?", (int(invoice.external_id or "0"),))
    await hours_go_by(studio)
    found = {row.kind: (row.read_drift, row.read_open_minor) for row in await studio.rows(BooksDocument)}
    assert found == {DocumentKind.INVOICE: (Drift.UNPAID, 43300), DocumentKind.PAYMENT: (Drift.VOIDED, None)}
    assert "was voided" in (await studio.payment(payment_id)).reason_detail["change"]
    async with studio.wiring.db.tenant(studio.tenant_id, write=True) as session:
        row = await session.get_one(BooksDocument, document.id)
        row.state = DocumentState.PLANNED
    with studio.ledger.books.transaction() as db:
        db.execute("UPDATE document SET memo = '' WHERE id = ?", (int(invoice.external_id or "0"),))
    await hours_go_by(studio)
    [invoice] = [row for row in await studio.rows(BooksDocument) if row.kind is DocumentKind.INVOICE]
    assert invoice.read_drift is None


async def test_what_others_write_on_clearing_is_named_and_what_they_write_elsewhere_is_not(studio: Studio) -> None:
    await watch(studio)
    hand, day = OwnersHand(studio.ledger.books), date(2026, 3, 1)
    hand.add_document(DocumentKind.EXPENSE, day, (("Bank charges", 500), ("Checking", -500)))
    theirs = hand.add_document(
        DocumentKind.EXPENSE, day, (("Bank charges", 700), ("Stripe clearing", -700)), number="E-7", note="Stripe fee"
    )
    hand.add_document(DocumentKind.EXPENSE, date(2025, 12, 30), (("Bank charges", 9), ("Stripe clearing", -9)))
    await hours_go_by(studio)
    [entry] = await studio.rows(OthersEntry)
    assert (entry.external_id, entry.word, entry.number, entry.note) == (theirs, "Expense", "E-7", "Stripe fee")
    assert (entry.effect_minor, entry.day, entry.is_gone) == (-700, day, False)
    hand.delete(DocumentKind.EXPENSE, theirs)
    await hours_go_by(studio)
    [entry] = await studio.rows(OthersEntry)
    assert entry.is_gone


@ON_SQLITE
async def test_a_document_of_ours_that_is_in_doubt_is_nobody_elses(studio: Studio) -> None:
    await watch(studio)
    _, document = await sold(studio)
    async with studio.wiring.db.tenant(studio.tenant_id, write=True) as session:
        row = await session.get_one(BooksDocument, document.id)
        row.state, row.external_id = DocumentState.PLANNED, None
    edit(studio, document, "account")
    put_into(studio, document, "Stripe clearing")
    await hours_go_by(studio)
    assert await studio.rows(OthersEntry) == []


@ON_SQLITE
async def test_a_mark_that_the_books_do_not_know_lets_everything_be_read_back(studio: Studio) -> None:
    await watch(studio)
    payment_id, document = await sold(studio)
    async with studio.wiring.db.tenant(studio.tenant_id, write=True) as session:
        books = await session.get_one(Connection, studio.books.id)
        books.changes_mark = "of other books"
    edit(studio, document, "delete")
    await hours_go_by(studio)
    assert await studio.stands(payment_id) == CHANGED
    books = await studio_books(studio)
    assert books.changes_mark is not None
    assert books.changes_mark.isdigit()
    assert books.changes_lost_at is None
    assert all(row.read_at for row in await studio.rows(BooksDocument))


async def studio_books(studio: Studio) -> Connection:
    async with studio.wiring.db.tenant(studio.tenant_id) as session:
        return await session.get_one(Connection, studio.books.id)


async def test_readings_leave_the_last_calls_of_a_day_to_the_postings(studio: Studio) -> None:
    now = datetime(2026, 3, 1, 15, tzinfo=UTC)
    async with studio.wiring.db.tenant(studio.tenant_id, write=True) as session:
        count = CallCount(id=uuid4(), connection_id=studio.books.id, day=now.date(), calls=799)
        session.add(count)
        await session.flush()
        asked = (session, studio.books.id, 1000, studio.runtime, now)
        assert await rest_of_day(*asked) is None
        count.calls = 800
        await session.flush()
        until = await rest_of_day(*asked)
        assert until is not None
        assert timedelta(hours=9) <= until - now < timedelta(hours=10)
        assert await rest_of_day(session, studio.books.id, None, studio.runtime, now) is None


@ON_SQLITE
async def test_a_disconnected_watch_waits_and_goes_on_where_it_was(studio: Studio) -> None:
    await watch(studio)
    payment_id, document = await sold(studio)
    mark = (await studio_books(studio)).changes_mark
    await studio.disconnect()
    [item] = [row for row in await studio.rows(SyncItem) if row.kind is ItemKind.CHANGES]
    assert (item.state, item.due_at) == (ItemState.BLOCKED, None)
    edit(studio, document, "delete")
    await hours_go_by(studio)
    assert (await studio_books(studio)).changes_mark == mark
    studio = await studio.connect(studio.books.external_id)
    await hours_go_by(studio, 1)
    assert await studio.stands(payment_id) == CHANGED


# -- recreating


async def click(studio: Studio, document: BooksDocument) -> bool:
    """Click on "Recreate"."""
    async with studio.wiring.db.tenant(studio.tenant_id, write=True) as session:
        now = await studio.wiring.db.now(session)
        done = await recreate(session, document.item_id, by_user_id=studio.person.user_id, now=now)
    await studio.quiet()
    return done


async def test_what_was_removed_is_made_again_on_a_word_and_once(studio: Studio) -> None:
    await watch(studio)
    payment_id, document = await sold(studio)
    assert not await click(studio, document)
    edit(studio, document, "void")
    await hours_go_by(studio)
    assert await studio.stands(payment_id) == CHANGED
    assert await click(studio, document)
    assert not await click(studio, document)
    assert await studio.stands(payment_id) == SYNCED
    rows = [row for row in await studio.rows(BooksDocument) if row.kind is DocumentKind.PAYMENT]
    stood = {row.reference: (row.state, row.plan_version) for row in rows}
    assert stood == {
        document.reference: (DocumentState.DROPPED, 0),
        f"{document.reference}-2": (DocumentState.POSTED, 1),
    }
    [invoice] = studio.ledger.books.documents("invoice")
    assert (invoice.paid_minor, studio.ledger.books.balance(studio.accounts["Stripe clearing"])) == (43300, 43300)
    await hours_go_by(studio)
    assert await studio.stands(payment_id) == SYNCED


@ON_SQLITE
async def test_a_payment_without_its_invoice_is_in_the_way_until_it_is_removed_as_well(studio: Studio) -> None:
    await watch(studio)
    payment_id, document = await sold(studio)
    [invoice] = [row for row in await studio.rows(BooksDocument) if row.kind is DocumentKind.INVOICE]
    OwnersHand(studio.ledger.books).delete(DocumentKind.INVOICE, invoice.external_id or "")
    await hours_go_by(studio)
    assert await studio.stands(payment_id) == CHANGED
    assert not await click(studio, document)
    edit(studio, document, "delete")
    await hours_go_by(studio)
    assert await click(studio, document)
    assert await studio.stands(payment_id) == SYNCED
    assert [row.reference for row in studio.ledger.books.documents()] == [f"{document.reference}-2"] * 2
    assert studio.ledger.books.balance(studio.accounts["Stripe clearing"]) == 43300


@ON_SQLITE
@pytest.mark.parametrize("change", ["total", "account"])
async def test_what_stands_with_another_content_is_not_made_again(studio: Studio, change: str) -> None:
    await watch(studio)
    _, document = await sold(studio)
    edit(studio, document, change)
    await hours_go_by(studio)
    assert not await click(studio, document)
    assert len(studio.ledger.books.documents()) == 2


async def test_nobody_makes_again_what_is_another_workspaces(studio: Studio) -> None:
    async with studio.wiring.db.tenant(studio.tenant_id, write=True) as session:
        with pytest.raises(NotFoundError):
            await recreate(session, uuid4(), by_user_id=studio.person.user_id, now=studio.runtime.now())


@ON_SQLITE
@pytest.mark.parametrize("reason", [Reason.CHANGED_IN_BOOKS, Reason.TOTALS_DIFFER])
async def test_what_was_said_of_an_item_outlives_that_its_books_go_and_come_back(
    studio: Studio, reason: Reason
) -> None:
    await watch(studio)
    payment_id, document = await sold(studio)
    async with studio.wiring.db.tenant(studio.tenant_id, write=True) as session:
        item = await session.get_one(SyncItem, document.item_id)
        item.state, item.reason, item.reason_detail = ItemState.NEEDS_ATTENTION, reason, {"difference": "1.00 USD"}
        mirror(await session.get_one(Payment, payment_id), PaymentState.NEEDS_ATTENTION, item)
        row = await session.get_one(BooksDocument, document.id)
        row.read_state, row.read_drift = ReadState.CHANGED, Drift.EDITED
    await studio.disconnect()
    assert await studio.stands(payment_id) == (PaymentState.NEEDS_ATTENTION, reason)
    studio = await studio.connect(studio.books.external_id)
    await studio.quiet()
    payment = await studio.payment(payment_id)
    assert (payment.state, payment.reason) == (PaymentState.NEEDS_ATTENTION, reason)
    assert payment.reason_detail["difference"] == "1.00 USD"


@ON_SQLITE
async def test_a_retry_of_what_a_reading_told_asks_the_books_and_posts_nothing(studio: Studio) -> None:
    await watch(studio)
    payment_id, document = await sold(studio)
    edit(studio, document, "account")
    await hours_go_by(studio)
    operations = len(await studio.rows(Operation))
    assert await studio.retry(payment_id)
    await studio.quiet()
    assert await studio.stands(payment_id) == CHANGED
    put_into(studio, document, "Stripe clearing")
    assert await studio.retry(payment_id)
    await studio.quiet()
    assert await studio.stands(payment_id) == SYNCED
    assert len(await studio.rows(Operation)) == operations
