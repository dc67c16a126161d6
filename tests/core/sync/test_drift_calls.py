"""What the drift watch hears of in each ledger, and what it costs there, counted by the stand-ins themselves."""

import shutil
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from core.books.documents import DocumentKind
from core.config import Settings
from core.db.models import (
    AccountRole,
    BooksDocument,
    Connection,
    DocumentState,
    Drift,
    Operation,
    OthersEntry,
    ReadState,
    RoleVersion,
)
from core.sync.recreate import recreate
from tests.outside import BASE
from tests.play import Play, playing
from web.sandbox.quickbooks.client import QuickBooksControl
from web.sandbox.xero.client import XeroControl

SALES = 8
DAYS = 4
ELEMENTS = {DocumentKind.PAYMENT: "Payment", DocumentKind.INVOICE: "Invoice", DocumentKind.EXPENSE: "BankTransaction"}


@pytest.fixture(params=["quickbooks", "xero"])
async def play(
    request: pytest.FixtureRequest, settings: Settings, tmp_path: Path, migrated_file: Path
) -> AsyncIterator[Play]:
    shutil.copyfile(migrated_file, settings.database_url.removeprefix("sqlite:///"))
    async with playing(settings, request.param, tmp_path) as found:
        yield found


async def documents(play: Play) -> list[BooksDocument]:
    async with play.wiring.db.tenant(play.owner.tenant_id) as session:
        rows = (await session.execute(select(BooksDocument).order_by(BooksDocument.created_at))).scalars()
        return list(rows)


async def operations(play: Play) -> int:
    async with play.wiring.db.tenant(play.owner.tenant_id) as session:
        return len((await session.execute(select(Operation.id))).all())


async def reads(play: Play) -> int:
    """How many questions the books have answered."""
    if play.kind == "quickbooks":
        return (await QuickBooksControl(BASE, play.http).counters(play.company)).core_plus
    return (await XeroControl(BASE, play.http).counters(play.company)).get("reads", 0)


async def sell(play: Play, count: int) -> None:
    product = await play.product("Session", "Session income", tax=None)
    await play.start()
    for number in range(count):
        client = {"name": f"Client {number % 5}", "email": f"client{number % 5}@example.com"}
        line = {"product": product, "unit_amount": 10_000 + number, "taxes": []}
        await play.stripe.pay(play.business, via="checkout", lines=[line], new_customer=client)
    await play.pass_time(hours=1)


async def remove(play: Play, row: BooksDocument) -> None:
    """The owner deletes a document of ours."""
    external_id = row.external_id or ""
    if play.kind == "quickbooks":
        entity = {DocumentKind.EXPENSE: "purchase"}.get(row.kind, row.kind.value)
        await QuickBooksControl(BASE, play.http).delete_document(play.company, entity, external_id)
    else:
        await XeroControl(BASE, play.http).act(play.company, ELEMENTS[row.kind], external_id, "delete")


async def make_again(play: Play, *rows: BooksDocument) -> None:
    """A person clicks on "Recreate", twice."""
    for row in rows:
        for is_done in (True, False):
            async with play.wiring.db.tenant(play.owner.tenant_id, write=True) as session:
                now = await play.wiring.db.now(session)
                by = play.owner.user_id
                assert await recreate(session, row.item_id, by_user_id=by, now=now) is is_done


async def spend(play: Play, cents: int) -> None:
    """The owner books a charge of Stripe's by hand, on the clearing account."""
    async with play.wiring.db.tenant(play.owner.tenant_id) as session:
        chosen = select(RoleVersion.account_id).where(RoleVersion.role == AccountRole.CLEARING)
        clearing = (await session.execute(chosen)).scalars().one()
    charges = play.accounts["Session income"]
    day = play.runtime.now().date().isoformat()
    if play.kind == "quickbooks":
        detail = {"AccountRef": {"value": charges}}
        line = {
            "Amount": cents / 100,
            "DetailType": "AccountBasedExpenseLineDetail",
            "AccountBasedExpenseLineDetail": detail,
        }
        body = {"PaymentType": "Cash", "AccountRef": {"value": clearing}, "TxnDate": day, "Line": [line]}
        await QuickBooksControl(BASE, play.http).create_document(play.company, "purchase", body)
        return
    body = {
        "Type": "SPEND",
        "Contact": {"Name": "Stripe"},
        "BankAccount": {"AccountID": clearing},
        "Date": day,
        "LineAmountTypes": "NoTax",
        "LineItems": [{"Description": "Charge", "UnitAmount": cents / 100, "AccountID": charges}],
    }
    await XeroControl(BASE, play.http).create_record(play.company, "BankTransaction", body)


async def test_days_of_quiet_cost_a_few_questions_and_everything_is_read(play: Play) -> None:
    await sell(play, SALES)
    before = await reads(play)
    await play.pass_time(hours=24 * DAYS, stride_hours=6)
    asked = await reads(play) - before
    # QuickBooks: a question for changes a day, and one for the balance where something moved. Xero asks in five lists,
    # for the balance in one, and reads transfers again, which tell nothing of their changes.
    most = {"quickbooks": 2, "xero": 7}[play.kind] * DAYS
    assert asked <= most, f"{asked} reads in {DAYS} days"
    found = await documents(play)
    assert len(found) > 2 * SALES
    assert Counter(row.read_state for row in found) == {ReadState.STANDS: len(found)}
    if play.kind == "quickbooks":
        assert all(row.read_version == row.external_version for row in found)


async def test_what_is_done_in_the_books_is_heard_of_and_made_again_only_on_a_word(play: Play) -> None:
    await sell(play, 2)
    await play.pass_time(hours=30)
    rows = await documents(play)
    payment = next(row for row in rows if row.kind is DocumentKind.PAYMENT)
    fees = next(row for row in rows if row.kind is DocumentKind.EXPENSE)
    written = await operations(play)
    for row in (payment, fees):
        await remove(play, row)
    await spend(play, 1234)
    await play.pass_time(hours=30)
    found = {row.id: row.read_drift for row in await documents(play)}
    assert (found[payment.id], found[fees.id]) == (Drift.DELETED, Drift.DELETED)
    invoice = next(row for row in rows if row.item_id == payment.item_id and row.kind is DocumentKind.INVOICE)
    assert found[invoice.id] in (Drift.UNPAID, None)
    async with play.wiring.db.tenant(play.owner.tenant_id) as session:
        others = (await session.execute(select(OthersEntry))).scalars().all()
    assert [(one.effect_minor, one.is_gone) for one in others] == [(-1234, False)]
    assert await operations(play) == written
    await make_again(play, payment, fees)
    await play.pass_time(hours=30)
    assert await play.open_items() == []
    now_stand = [row for row in await documents(play) if row.state is DocumentState.POSTED]
    assert {row.read_drift for row in now_stand} == {None}
    again = [row for row in now_stand if row.reference in (f"{payment.reference}-2", f"{fees.reference}-2")]
    assert len(again) == 2
    # Once more to the cent, but for what the owner wrote there.
    assert await play.clearing() == await play.stripe_balance() - 1234


async def test_books_that_were_away_for_too_long_are_read_back_one_by_one(play: Play) -> None:
    await sell(play, 2)
    await play.pass_time(hours=30)
    payment = next(row for row in await documents(play) if row.kind is DocumentKind.PAYMENT)
    await remove(play, payment)
    async with play.wiring.db.tenant(play.owner.tenant_id, write=True) as session:
        books = await session.get_one(Connection, play.books_id)
        long_ago = play.runtime.now() - timedelta(days=40)
        books.changes_read_at = long_ago
        # What a books' own clock would have said then; QuickBooks refuses it, Xero does not.
        books.changes_mark = long_ago.isoformat()
    begun_at = play.runtime.now()
    await play.pass_time(hours=24)
    found = await documents(play)
    assert next(row.read_drift for row in found if row.id == payment.id) is Drift.DELETED
    async with play.wiring.db.tenant(play.owner.tenant_id) as session:
        books = await session.get_one(Connection, play.books_id)
    assert books.changes_lost_at is None
    if play.kind == "quickbooks":
        assert all(row.read_at and row.read_at > begun_at for row in found)
