"""The file for a spreadsheet: whole, harmless, and adding up to the screen."""

import csv
import io
from datetime import timedelta
from decimal import Decimal

import pytest

from core.db.models import PaymentState
from core.reasons import Reason
from core.reports.csv_export import COLUMNS, EXPORTS, plain, safe, write_csv
from core.reports.query import parse_query
from core.wiring import Wiring
from tests.core.reports.test_payments_table import TODAY, Studio, open_studio
from tests.runtime import START
from tests.sales import HOSTILE, QueryCounter, make_documents, make_sale_item, make_service


async def write(studio: Studio, of: str = "unreconciled", *, chunk: int = 2000, **given: str) -> bytes:
    query = parse_query(given, today=TODAY)
    pieces = write_csv(studio.wiring.db, query, EXPORTS[of], standing=await studio.standing(), chunk=chunk)
    return b"".join([piece async for piece in pieces])


def read(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def total(rows: list[dict[str, str]], column: str, currency: str = "USD") -> Decimal:
    return sum((Decimal(row[column]) for row in rows if row[column] and row["currency"] == currency), Decimal(0))


async def fill(studio: Studio) -> None:
    portrait = await make_service(studio.wiring, studio.tenant_id, "=Portrait session")
    await studio.pay(client="Grace", amount=22500, fee=683, services=(portrait,))
    await studio.pay(
        client=HOSTILE, email="+mail@example.org", amount=60000, fee=1770, state=PaymentState.NEEDS_ATTENTION,
        reason=Reason.SERVICE_NOT_MAPPED, services=(portrait,), refunded_minor=1050,
    )  # fmt: skip
    await studio.pay(client="-1+1", amount=101, fee=33, state=PaymentState.WAITING, paid_at=START - timedelta(hours=9))
    await studio.pay(client="Unsettled", amount=7, fee=None, state=PaymentState.SYNCING)
    await studio.pay(client="Left out", amount=999, fee=9, state=PaymentState.IGNORED)
    await studio.pay(client="Euro", amount=5000, fee=100, currency="eur", state=PaymentState.WAITING)


@pytest.mark.parametrize("chunk", [1, 2, 2000])
async def test_the_file_adds_up_to_the_screen(any_wiring: Wiring, chunk: int) -> None:
    studio = await open_studio(any_wiring)
    await fill(studio)
    screen = {summary.totals.currency.upper(): summary.totals for summary in (await studio.see()).summaries}
    rows = read(await write(studio, "all", chunk=chunk))
    *records, euro, dollar = rows
    assert (euro["date"], dollar["date"], dollar["currency"]) == ("Total", "Total", "USD")
    for line in (euro, dollar):
        currency, shown = line["currency"], screen[line["currency"]]
        for column, minor in (
            ("gross", shown.gross_minor),
            ("fee", shown.fee_minor),
            ("refunded", shown.refund_minor),
            ("net", shown.net_minor),
        ):
            assert line[column] == plain(minor, currency)
            assert total(records, column, currency) == Decimal(line[column])
    assert len(records) == 7  # six payments and one refund


async def test_unreconciled_items_are_what_the_chart_calls_still_open(any_wiring: Wiring) -> None:
    studio = await open_studio(any_wiring)
    await fill(studio)
    *records, _euro, last = read(await write(studio))
    assert {row["state"] for row in records} == {"Waiting", "Syncing", "Needs attention"}
    still_open = sum(day.open_minor for day in (await studio.see()).summaries[0].columns)
    assert last["gross"] == plain(still_open, "usd") == "601.08"


async def test_the_file_is_what_spreadsheets_take(studio: Studio) -> None:
    await fill(studio)
    content = await write(studio, "all")
    assert content.startswith(b"\xef\xbb\xbf")
    text = content.decode("utf-8-sig")
    assert text.endswith("\r\n")
    assert "\n" not in text.replace("\r\n", "")
    assert text.split("\r\n")[0] == ",".join(f'"{name}"' for name in COLUMNS)
    for line in text.split("\r\n")[1:-1]:
        assert line.count('","') == len(COLUMNS) - 1
        assert line.startswith('"')
        assert line.endswith('"')
    for row in read(content):
        for column, value in row.items():
            if not value.startswith("-"):
                assert not value.lstrip().startswith(("=", "+", "@")), (column, value)
            else:
                Decimal(value)


async def test_a_line_says_what_the_bookkeeper_needs(studio: Studio) -> None:
    service = await make_service(studio.wiring, studio.tenant_id, "Portrait session")
    payment = await studio.pay(client="Grace Kim", email="grace@example.org", services=(service,), refunded_minor=1000)
    await make_documents(studio.wiring, payment, await make_sale_item(studio.wiring, payment, studio.books_id))
    charge, refund, _ = read(await write(studio, "all"))
    assert charge == {
        "date": "2026-03-02",
        "reporting_category": "charge",
        "client": "Grace Kim",
        "email": "grace@example.org",
        "service": "Portrait session",
        "customer_facing_amount": "420.00",
        "customer_facing_currency": "USD",
        "gross": "420.00",
        "tax": "",
        "fee": "12.48",
        "refunded": "",
        "net": "407.52",
        "currency": "USD",
        "payout_id": "",
        "payout_date": "",
        "state": "Synced",
        "reason": "",
        "ledger_document": "1064",
        "charge_id": payment.stripe_charge_id,
        "payment_intent_id": payment.source_id,
    }
    assert (refund["reporting_category"], refund["refunded"], refund["net"]) == ("refund", "10.00", "-10.00")


async def test_an_empty_file_still_has_its_total(studio: Studio) -> None:
    (only,) = read(await write(studio))
    assert (only["date"], only["gross"], only["net"], only["currency"]) == ("Total", "0.00", "0.00", "USD")


async def test_nobody_elses_payments_are_in_the_file(any_wiring: Wiring) -> None:
    mine, theirs = await open_studio(any_wiring), await open_studio(any_wiring)
    await theirs.pay(client="Foreign", state=PaymentState.WAITING)
    assert b"Foreign" not in await write(mine, "all")


async def test_filters_of_the_page_narrow_the_file(studio: Studio) -> None:
    await fill(studio)
    assert [row["client"] for row in read(await write(studio, "all", q="grace"))][:-1] == ["Grace"]
    assert len(read(await write(studio, "all", period="last-month"))) == 1


async def test_memory_and_queries_follow_the_chunk_not_the_file(studio: Studio) -> None:
    for n in range(30):
        await studio.pay(client=f"c{n}", state=PaymentState.WAITING)
    query, standing = parse_query({}, today=TODAY), await studio.standing()
    with QueryCounter(studio.wiring) as queries:
        biggest = max(
            [len(p) async for p in write_csv(studio.wiring.db, query, EXPORTS["all"], standing=standing, chunk=5)]
        )
    assert biggest < 5 * 500
    # The last chunk is known by its being short: six full ones, and an empty one.
    assert len(queries) == 7 * 2
    # Nothing is held between two chunks: a reader who stops in the middle keeps no connection.
    pieces = write_csv(studio.wiring.db, query, EXPORTS["all"], standing=standing, chunk=5)
    await anext(pieces)
    await anext(pieces)
    assert studio.wiring.db.engine.pool.checkedout() == 0  # type: ignore[attr-defined]  # of every pool with a size
    await pieces.aclose()  # type: ignore[attr-defined]  # it is a generator


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "\nx", "  =1", "＝1", "＋1", "－1", "＠x", "\x00=1", "\u00a0=1"]
)
def test_formulas_are_disarmed(text: str) -> None:
    assert safe(text).startswith("'")
    assert not set("\r\n\x00") & set(safe(text))


@pytest.mark.parametrize("text", ["Anna = Berg", "Berg-Lie", "a@b.c", "", "1 + 1", "Łukasz"])
def test_names_stay_as_they_are(text: str) -> None:
    assert safe(text) == text


@pytest.mark.parametrize(
    ("minor", "currency", "written"),
    [
        (0, "usd", "0.00"),
        (-5, "usd", "-0.05"),
        (123456, "usd", "1234.56"),
        (500, "jpy", "500"),
        (-1234, "kwd", "-1.234"),
    ],
)
def test_amounts_are_plain_decimals(minor: int, currency: str, written: str) -> None:
    assert plain(minor, currency) == written
