"""Sums beyond 2^53, where a float would lose cents: kept by triggers, on the page and in the file, to the cent."""

import csv
import io
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import delete, func, select, update

from core.db.models import Payment, PaymentState, PaymentTotal
from core.reports.csv_export import EXPORTS, write_csv
from core.reports.query import parse_query
from core.wiring import Wiring
from tests.core.reports.test_payments_table import TODAY, Studio, open_studio
from tests.runtime import START
from tests.totals import check_totals

LARGEST = 99_999_999
BEYOND_FLOATS = 2**53 + 1
NEAR_THE_END = 2**62 - 1
"""Two of them are all but one of what 64 bits hold."""


async def kept(wiring: Wiring, column: str) -> set[int]:
    """Return the kept sums of days and months of one column; slots of one place added up."""
    async with wiring.db.system() as session:  # one workspace only
        rows = (await session.execute(select(PaymentTotal))).scalars().all()
    sums: dict[object, int] = {}
    for row in rows:
        place = (row.span, row.first_day, row.state, row.currency)
        value = getattr(row, column)
        assert type(value) is int
        sums[place] = sums.get(place, 0) + value
    return set(sums.values())


@pytest.mark.parametrize(
    ("amounts", "currency"),
    [
        pytest.param([LARGEST] * 3, "usd", id="Stripe's largest"),
        pytest.param([LARGEST] * 3, "jpy", id="Stripe's largest without decimals"),
        pytest.param([BEYOND_FLOATS] * 3, "usd", id="beyond floats"),
        pytest.param([BEYOND_FLOATS] * 3, "jpy", id="beyond floats without decimals"),
        pytest.param([BEYOND_FLOATS] * 3, "kwd", id="beyond floats with three decimals"),
        pytest.param([NEAR_THE_END, NEAR_THE_END, 1], "usd", id="all that 64 bits hold"),
    ],
)
async def test_sums_keep_every_cent(any_wiring: Wiring, amounts: list[int], currency: str) -> None:
    studio, total = await open_studio(any_wiring), sum(amounts)
    for number, amount in enumerate(amounts):
        await studio.pay(amount=amount, fee=amount // 2, currency=currency, paid_at=START - timedelta(minutes=number))
    fees = sum(amount // 2 for amount in amounts)
    assert await kept(any_wiring, "gross_minor") == {total}
    assert await kept(any_wiring, "fee_minor") == {fees}
    await check_totals(any_wiring)
    # By days, by months, and added up from the payments themselves.
    for given in ({}, {"period": "all"}, {"q": "client"}):
        [summary] = [one for one in (await studio.see(**given)).summaries if one.totals.gross_minor]
        totals = summary.totals
        assert (totals.gross_minor, totals.fee_minor, totals.net_minor) == (total, fees, total - fees), given
        assert sum(column.in_books_minor for column in summary.columns) in (total, 0)
    await assert_file(studio, total, fees, currency)


async def assert_file(studio: Studio, total: int, fees: int, currency: str) -> None:
    digits = {"usd": 2, "jpy": 0, "kwd": 3}[currency]
    pieces = write_csv(
        studio.wiring.db, parse_query({}, today=TODAY), EXPORTS["all"], standing=await studio.standing(), chunk=2
    )
    text = b"".join([piece async for piece in pieces]).decode("utf-8-sig")
    *records, last = csv.DictReader(io.StringIO(text, newline=""))
    assert (last["date"], last["currency"]) == ("Total", currency.upper())
    for column, minor in (("gross", total), ("fee", fees), ("net", total - fees)):
        written = str(minor) if not digits else f"{str(minor)[:-digits]}.{str(minor)[-digits:]}"
        assert last[column] == written
        assert sum(Decimal(row[column]) for row in records if row["date"] != "Total") == Decimal(written)


async def test_large_sums_go_back_to_nothing_when_their_payments_do(any_wiring: Wiring) -> None:
    """What was added as a float could not be taken away again."""
    studio = await open_studio(any_wiring)
    for amount in (BEYOND_FLOATS, NEAR_THE_END, BEYOND_FLOATS + 2):
        await studio.pay(amount=amount, fee=1)
    async with any_wiring.db.tenant(studio.tenant_id, write=True) as session:
        await session.execute(
            update(Payment).where(Payment.amount_minor == NEAR_THE_END).values(settled_minor=7, net_minor=6)
        )
    assert await kept(any_wiring, "gross_minor") == {2 * BEYOND_FLOATS + 2 + 7}
    async with any_wiring.db.tenant(studio.tenant_id, write=True) as session:
        await session.execute(update(Payment).values(state=PaymentState.IGNORED))
    assert await kept(any_wiring, "gross_minor") == {2 * BEYOND_FLOATS + 2 + 7, 0}
    async with any_wiring.db.tenant(studio.tenant_id, write=True) as session:
        await session.execute(delete(Payment))
        assert await session.scalar(select(func.count()).select_from(Payment)) == 0
    assert await kept(any_wiring, "gross_minor") == {0}
