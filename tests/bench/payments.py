"""G5, G6, G7: the payments page and the file, beside what the bare driver needs for the same rows."""

import asyncio
import csv
import http.client
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import asyncpg

from core.db.migrate import upgrade
from core.reports.payments import PAGE_SIZE
from core.reports.query import Cursor
from tests.bench.figures import RUNS, Figure, at_most, median, milliseconds
from tests.bench.processes import Running, running_app
from tests.bench.rows import Place, fill
from tests.postgres import running_cluster
from web.server import KEEP_ALIVE_S
from web.sessions import SESSION

_MANY, _FEW = 100_000, 1_000
_LOOKS, _WARM_LOOKS = 9, 3
_BARE = """
SELECT p.*, c.name, c.email FROM payment p JOIN customer c ON c.id = p.customer_id
WHERE p.tenant_id = '{tenant}' AND {where}
ORDER BY p.paid_at DESC, p.id DESC LIMIT {limit}
"""
_BARE_CSV = """
SELECT p.book_date, 'charge', c.name, c.email, s.name, p.amount_minor, p.currency, p.settled_minor, l.tax_minor,
       p.fee_minor, '', p.net_minor, p.settled_currency, b.stripe_payout_id, '', p.state, p.reason, d.external_number,
       p.stripe_charge_id, p.source_id
FROM payment p
JOIN customer c ON c.id = p.customer_id
JOIN payment_line l ON l.tenant_id = p.tenant_id AND l.payment_id = p.id
JOIN service s ON s.id = l.service_id
LEFT JOIN balance_transaction b ON b.tenant_id = p.tenant_id AND b.stripe_id = p.stripe_balance_transaction_id
LEFT JOIN sync_item i ON i.tenant_id = p.tenant_id AND i.payment_id = p.id
LEFT JOIN books_document d ON d.tenant_id = i.tenant_id AND d.item_id = i.id
WHERE p.tenant_id = '{tenant}' ORDER BY p.paid_at DESC, p.id DESC
"""

Bare = Callable[[str], float]


@dataclass(frozen=True, slots=True)
class _Case:
    goal: str
    name: str
    query: str
    where: str


@dataclass(frozen=True, slots=True)
class _Seen:
    """Median times of one page and of the bare query for its rows."""

    page_s: float
    bare_s: float


def on_sqlite(folder: Path) -> list[Figure]:
    """Measure the page and the file on SQLite."""
    pages, figures = {}, []
    for count in (_FEW, _MANY):
        path = folder / f"payments{count}.db"
        url = f"sqlite:///{path}"
        upgrade(url)
        place = fill(url, count)
        with running_app(url, folder / "payments.log") as app, closing(sqlite3.connect(path)) as connection:

            def bare(sql: str, opened: sqlite3.Connection = connection) -> float:
                return _timed(lambda: opened.execute(sql).fetchall())

            pages[count] = _measure(app, place, count, bare)
            if count == _MANY:
                figures += _file(app, place, connection)
    return [*_figures("SQLite", pages), *figures]


def on_postgres(folder: Path) -> list[Figure]:
    """Measure the page on PostgreSQL."""
    pages = {}
    with running_cluster() as cluster, asyncio.Runner() as runner:
        for count in (_FEW, _MANY):
            url = cluster.url(runner.run(cluster.new_database()))
            place = fill(url, count)
            connection = runner.run(asyncpg.connect(url, server_settings={"timezone": "UTC"}))

            def bare(sql: str, opened: asyncpg.Connection = connection) -> float:
                return _timed(lambda: runner.run(opened.fetch(sql)))

            with running_app(url, folder / "payments.log") as app:
                pages[count] = _measure(app, place, count, bare)
            runner.run(connection.close())
    return _figures("PostgreSQL", pages)


def _cases(place: Place, count: int) -> list[_Case]:
    month = datetime.now(UTC).strftime("%Y-%m-01 00:00:00.000000")
    deep_id, deep_at = _deep(place, count)
    like = "p.search LIKE '%{}%'".format
    return [
        _Case("G5", "this month, first page", "", f"p.paid_at >= '{month}'"),
        _Case("G5", "all dates, first page", "period=all", "1 = 1"),
        _Case("G5", "one state", "period=all&show=attention", "p.state = 'needs_attention'"),
        _Case(
            "G5",
            "nine tenths down",
            f"period=all&before={Cursor(deep_at, deep_id)}",
            f"(p.paid_at, p.id) < ('{deep_at:%Y-%m-%d %H:%M:%S.%f}', '{deep_id.hex}')",
        ),
        _Case("G6", "search, an id", f"period=all&q={place.needle}", like(place.needle)),
        _Case("G6", "search, a name", "period=all&q=greta", like("greta")),
        _Case("G6", "search, an amount", "period=all&q=123.00", like("123.00")),
        _Case("G6", "search, nothing found", "period=all&q=nobody-at-all", like("nobody-at-all")),
    ]


def _deep(place: Place, count: int) -> tuple[UUID, datetime]:
    number = count * 9 // 10
    return UUID(int=(2 << 120) + number), place.paid_at(number, count)


def _measure(app: Running, place: Place, count: int, bare: Bare) -> dict[tuple[str, str], _Seen]:
    found = {}
    with _browser(app, place) as look:
        for case in _cases(place, count):
            sql = _BARE.format(tenant=place.tenant_id.hex, where=case.where, limit=PAGE_SIZE + 1)
            address = f"/payments?{case.query}"
            for _ in range(_WARM_LOOKS):
                look(address)
                bare(sql)
            pages, queries = [], []
            for _ in range(RUNS):
                pages.append(median([look(address) for _ in range(_LOOKS)]))
                queries.append(median([bare(sql) for _ in range(_LOOKS)]))
            found[case.goal, case.name] = _Seen(median(pages), median(queries))
    return found


def _figures(database: str, pages: dict[int, dict[tuple[str, str], _Seen]]) -> list[Figure]:
    figures = []
    first = pages[_MANY]["G5", "all dates, first page"].page_s
    for (goal, name), seen in pages[_MANY].items():
        small = pages[_FEW][goal, name].page_s
        what, page = f"payments, {database}: {name}", milliseconds(seen.page_s)
        query = f"{milliseconds(seen.bare_s)} bare query"
        if goal == "G5":
            figures.append(at_most(goal, what, page, query, seen.page_s / seen.bare_s, 15))
            figures.append(
                at_most(goal, "  against itself at 1,000 rows", page, milliseconds(small), seen.page_s / small, 1.3)
            )
        else:
            beside = f"{milliseconds(first)} first page; {query}"
            figures.append(at_most(goal, what, page, beside, seen.page_s / first, 3))
    return figures


def _file(app: Running, place: Place, connection: sqlite3.Connection) -> list[Figure]:
    sql = _BARE_CSV.format(tenant=place.tenant_id.hex)
    ours, raw, grown = [], [], []
    with _browser(app, place) as look:
        look("/payments.csv?of=all&period=month")
        for _ in range(RUNS):
            app.forget_peak()
            before = app.memory_mb()
            ours.append(look("/payments.csv?of=all&period=all"))
            grown.append(app.peak_mb() - before)
            raw.append(_timed(lambda: _write_raw(connection, sql)))
    seconds = f"{median(ours):.2f} s"
    limit = 20
    return [
        at_most("G7", f"file of {_MANY:,} payments", seconds, f"{median(raw):.2f} s", median(ours) / median(raw), 2),
        Figure("G7", "  memory it takes", f"+ {max(grown):.1f} MB", "", None, f"<= {limit} MB", max(grown) <= limit),
    ]


def _write_raw(connection: sqlite3.Connection, sql: str) -> None:
    with open(os.devnull, "w", newline="", encoding="utf-8") as sink:
        csv.writer(sink, quoting=csv.QUOTE_ALL).writerows(connection.execute(sql))


@contextmanager
def _browser(app: Running, place: Place) -> Iterator[Callable[[str], float]]:
    """Give a function that asks for an address, signed in, and returns how long the whole answer took."""
    connection = http.client.HTTPConnection("127.0.0.1", app.port, timeout=60)
    headers = {"Cookie": f"{SESSION}={place.token}", "Accept": "text/html"}
    last = time.perf_counter()

    def look(address: str) -> float:
        nonlocal last
        if time.perf_counter() - last > KEEP_ALIVE_S / 2:
            # The server gives up a line that says nothing; what was measured beside it may have taken longer.
            connection.close()
            connection.connect()
        started = time.perf_counter()
        connection.request("GET", address, headers=headers)
        answer = connection.getresponse()
        while answer.read(65536):
            pass
        last = time.perf_counter()
        taken = last - started
        if answer.status != 200:
            raise RuntimeError(f"{address} answered {answer.status}")
        return taken

    try:
        yield look
    finally:
        connection.close()


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
