"""What people do in the practice books themselves, and files that were made before there was more than sales."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from core.accounting.mock.books import MockBooks
from core.accounting.port import Company, Posted
from core.books.documents import DocumentKind, Expense, Refund, SalesReceipt
from core.errors import ProviderRejectedError
from core.reasons import Reason
from tests.contract.mock_bench import MockBench
from tests.contract.movements import Desk, a_document, freeze, furnish, post
from tests.core.accounting.documents import DAY, booked, invoice, payment, sold

AT = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)


@pytest.fixture
def bench(tmp_path: Path) -> MockBench:
    return MockBench(tmp_path, "US")


async def receipt(bench: MockBench) -> Posted:
    desk = await furnish(bench)
    sale = sold(SalesReceipt, desk.sale_line("income", 40000, 3300), account=desk["clearing"], **desk.header("receipt"))
    ((posted,),) = [outcome.values() for outcome in await post(desk, sale)]
    return posted


async def test_a_larger_total_keeps_the_books_balanced(bench: MockBench) -> None:
    posted = await receipt(bench)
    bench.hand.edit_total(DocumentKind.SALES_RECEIPT, posted.external_id, 50000, at=AT)
    assert await bench.balances() == {"clearing": 50000, "income": -46700, "tax": -3300, "receivable": 0}
    standing = (await bench.provider.read_back(DocumentKind.SALES_RECEIPT, [posted.external_id]))[posted.external_id]
    assert (standing.stands, standing.total_minor, standing.changed_at) == (True, 50000, AT)


async def test_another_date_moves_the_balance_of_a_day(bench: MockBench) -> None:
    posted = await receipt(bench)
    assert bench.books.trial_balance(date(2026, 11, 19)) == {}
    bench.hand.move(DocumentKind.SALES_RECEIPT, posted.external_id, date(2026, 11, 19), at=AT)
    assert bench.books.trial_balance(date(2026, 11, 19))["Stripe clearing"] == 43300
    standing = (await bench.provider.read_back(DocumentKind.SALES_RECEIPT, [posted.external_id]))[posted.external_id]
    assert standing.date == date(2026, 11, 19)


async def test_a_voided_document_stays_with_nothing_in_it_and_is_never_adopted(bench: MockBench) -> None:
    desk = await furnish(bench)
    write = await freeze(desk, a_document(desk, "expense"))
    posted = await bench.provider.execute(write)
    bench.hand.void(DocumentKind.EXPENSE, posted.external_id, at=AT)
    standing = (await bench.provider.read_back(DocumentKind.EXPENSE, [posted.external_id]))[posted.external_id]
    assert (standing.stands, standing.total_minor) == (False, 0)
    assert bench.books.trial_balance() == {}
    with pytest.raises(ProviderRejectedError) as refused:
        await bench.provider.look_up(write)
    assert refused.value.reason is Reason.CHANGED_IN_BOOKS


async def test_what_a_voided_payment_paid_is_open_again(bench: MockBench) -> None:
    desk = await furnish(bench)
    account = {"clearing_account_id": bench.clearing_account}
    bill = invoice(desk.sale_line("income", 1000), **desk.header("sale"))
    _, paid = await post(desk, bill, payment(1000, **account, **desk.header("sale")))
    bench.hand.void(DocumentKind.PAYMENT, paid["payment"].external_id, at=AT)
    assert (await bench.balances())["receivable"] == 1000
    await post(desk, bill, payment(1000, **account, **desk.header("again")))
    assert (await bench.balances())["receivable"] == 0


async def test_a_sale_of_somebody_else_is_open_and_not_ours(bench: MockBench) -> None:
    desk = await furnish(bench)
    bench.hand.add_sale(DocumentKind.INVOICE, DAY, 1000, client="ana lima", number="H-1", note="by hand")
    (row,) = bench.books.documents("invoice")
    assert (row.is_ours, row.customer_id, row.paid_minor) == (False, desk.customer_id, 0)
    (found,) = await bench.provider.list_sales(DAY, DAY)
    assert (found.customer_name, found.note, found.total_minor) == ("Ana Lima", "H-1 by hand", 1000)


async def test_the_id_of_a_deleted_document_is_never_given_to_another(bench: MockBench) -> None:
    posted = await receipt(bench)
    bench.hand.delete(DocumentKind.SALES_RECEIPT, posted.external_id)

    other = bench.hand.add_sale(DocumentKind.SALES_RECEIPT, date(2026, 3, 7), 5_000)

    assert other != posted.external_id


async def test_a_deleted_document_is_gone_and_its_key_still_answers(bench: MockBench) -> None:
    desk = await furnish(bench)
    write = await freeze(desk, a_document(desk, "payout"))
    posted = await bench.provider.execute(write)
    bench.hand.delete(DocumentKind.TRANSFER, posted.external_id)
    assert await bench.provider.look_up(write) is None
    assert await bench.provider.execute(write) == posted
    assert bench.books.trial_balance() == {}


@pytest.mark.parametrize(
    "act",
    [
        lambda hand: hand.edit_total(DocumentKind.EXPENSE, "404", 1, at=AT),
        lambda hand: hand.void(DocumentKind.EXPENSE, "404", at=AT),
        lambda hand: hand.move(DocumentKind.EXPENSE, "404", DAY, at=AT),
        lambda hand: hand.delete(DocumentKind.EXPENSE, "404"),
    ],
)
def test_what_is_not_there_cannot_be_changed(bench: MockBench, act: Callable[[object], None]) -> None:
    with pytest.raises(LookupError, match="404"):
        act(bench.hand)


async def test_documents_of_others_count_in_the_balance_and_never_as_ours(bench: MockBench) -> None:
    bench.hand.add_document(DocumentKind.TRANSFER, DAY, [("Checking", 5000), ("Stripe clearing", -5000)], note="feed")
    assert await bench.provider.read_balance(bench.clearing_account) == -5000
    (row,) = bench.books.documents("transfer")
    assert (row.is_ours, row.memo, row.total_minor) == (False, "feed", 5000)


async def test_a_line_cannot_stand_on_the_accounts_of_the_books_themselves(bench: MockBench) -> None:
    desk = await furnish(bench)
    own = bench.books.account_named("Sales tax payable")
    by_hand = sold(
        Refund,
        desk.sale_line("income", 1000, income_account_id=own),
        account=desk["clearing"],
        **desk.header("by hand"),
    )
    with pytest.raises(ProviderRejectedError) as refused:
        await bench.provider.execute(await freeze(desk, by_hand))
    assert (refused.value.reason, refused.value.detail) == (
        Reason.ACCOUNT_INACTIVE,
        {"account": "Sales tax payable"},
    )


async def test_an_australian_fee_gives_its_tax_back(tmp_path: Path) -> None:
    bench = MockBench(tmp_path, "AU")
    desk = await furnish(bench)
    gst = {"tax_code_id": bench.books.tax_codes()[0].external_id, "tax_code_name": "GST 10 %", "tax_rate_ppm": 100_000}
    await post(desk, *_australian(desk, gst))
    assert await bench.balances() == {"clearing": 32222, "income": -30000, "tax": -2929, "receivable": 0}
    assert bench.books.trial_balance()["Stripe fees"] == 707
    assert {code.name: code.rate_ppm for code in await bench.provider.list_tax_codes()} == bench.tax_codes


def _australian(desk: Desk, gst: dict[str, object]) -> tuple[SalesReceipt, Expense, Refund]:
    """The first and the third step of example B: a session with its fee, and a quarter of it given back."""
    clearing = desk["clearing"]
    fee = booked(Expense, desk.taxed_line("fees", 707, 71, **gst), account=clearing, **desk.header("B1 fee"))
    sale = sold(SalesReceipt, desk.sale_line("income", 40000, 4000), account=clearing, **desk.header("B1"))
    back = sold(Refund, desk.sale_line("income", 10000, 1000), account=clearing, **desk.header("B3"))
    return sale, fee, back


OLD_FILE = """
CREATE TABLE company (id TEXT PRIMARY KEY, name TEXT NOT NULL, country TEXT NOT NULL,
    home_currency TEXT NOT NULL, closed_to TEXT NOT NULL DEFAULT '');
CREATE TABLE account (id INTEGER PRIMARY KEY, company TEXT NOT NULL, name TEXT NOT NULL COLLATE NOCASE,
    type TEXT NOT NULL, active INTEGER NOT NULL DEFAULT 1, UNIQUE (company, name));
CREATE TABLE customer (id INTEGER PRIMARY KEY, company TEXT NOT NULL, name TEXT NOT NULL COLLATE NOCASE,
    email TEXT, active INTEGER NOT NULL DEFAULT 1, UNIQUE (company, name));
CREATE TABLE document (id INTEGER PRIMARY KEY, company TEXT NOT NULL, kind TEXT NOT NULL,
    reference TEXT NOT NULL, is_ours INTEGER NOT NULL, date TEXT NOT NULL, currency TEXT NOT NULL,
    total_minor INTEGER NOT NULL, customer_id INTEGER NOT NULL, pays_id INTEGER, UNIQUE (company, kind, reference));
CREATE TABLE entry (document_id INTEGER NOT NULL, account_id INTEGER NOT NULL, amount_minor INTEGER NOT NULL);
INSERT INTO company VALUES ('practice', 'Practice', 'US', 'USD', '');
INSERT INTO account VALUES (1, 'practice', 'Accounts receivable', 'receivable', 1);
INSERT INTO account VALUES (2, 'practice', 'Session income', 'income', 1);
INSERT INTO customer VALUES (1, 'practice', 'Ana Lima', NULL, 1);
INSERT INTO document VALUES (1, 'practice', 'invoice', 'TO-OLD', 1, '2026-10-01', 'USD', 25000, 1, NULL);
INSERT INTO entry VALUES (1, 1, 25000), (1, 2, -25000);
"""


def test_a_file_from_before_opens_with_everything_in_it(tmp_path: Path) -> None:
    path = tmp_path / "books.sqlite"
    with closing(sqlite3.connect(path)) as old:
        old.executescript(OLD_FILE)
    company = Company("practice", "Practice", "US", "USD", {})
    for _ in range(2):
        books = MockBooks(str(path), company)
        (row,) = books.documents()
        assert (row.reference, row.total_minor, row.customer_name) == ("TO-OLD", 25000, "Ana Lima")
        assert (row.memo, row.is_voided, row.payee_id) == ("", False, None)
        assert books.trial_balance() == {"Accounts receivable": 25000, "Session income": -25000}
