"""Two months of Stripe in QuickBooks, to the cent: clearing after every event, and the trial balance that is left.

The figures are Tieout's own examples: A in dollars with sales tax on top, B in Australian dollars with GST inside the
price and on fees.
"""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.accounting.port import Posted
from core.books.documents import Deposit, DocumentKind, Expense, LineKind, MoneyDocument, Refund, SaleLine, SalesReceipt
from core.books.roles import SaleStyle
from tests.contract.movements import Desk, furnish, post
from tests.contract.quickbooks_bench import quickbooks_bench
from tests.core.accounting.documents import booked, invoice, payment, sold, transfer

Fee = tuple[str, int, int]
"""Role, net, tax."""


class Studio:
    """One set of books, and short words for what happens in them."""

    def __init__(self, desk: Desk, style: SaleStyle) -> None:
        self.desk = desk
        self.style = style
        self.tax = desk.bench.line_tax(taxed=True)
        self._events = 0

    async def sell(self, *lines: SaleLine, fees: tuple[Fee, ...]) -> None:
        header = self._header("sale")
        if self.style is SaleStyle.RECEIPT:
            await self._post(sold(SalesReceipt, *lines, account=self.desk["clearing"], **header))
        else:
            sale = invoice(*lines, **header)
            clearing = self.desk["clearing"].external_id
            await self._post(sale, payment(sale.total_minor, clearing_account_id=clearing, **header))
        await self.spend(*fees)

    async def spend(self, *fees: Fee) -> None:
        await self._post(booked(Expense, *map(self._fee, fees), account=self.desk["clearing"], **self._header("fees")))

    async def fee_returned(self, *fees: Fee) -> None:
        header = self._header("returned")
        await self._post(booked(Deposit, *map(self._fee, fees), account=self.desk["clearing"], **header))

    async def refund(self, *lines: SaleLine, account: str = "clearing") -> None:
        await self._post(sold(Refund, *lines, account=self.desk[account], **self._header("refund")))

    async def move(self, amount: int, source: str, target: str) -> None:
        ends = {"from_account": self.desk[source], "to_account": self.desk[target]}
        await self._post(transfer(amount, **ends, **self._header("move")))

    async def clearing_holds(self, minor: int) -> None:
        assert await self.desk.bench.provider.read_balance(self.desk["clearing"].external_id) == minor

    def lost(self, net: int, tax: int) -> SaleLine:
        return self.desk.sale_line("chargebacks", net, tax, kind=LineKind.CHARGEBACK)

    def _fee(self, fee: Fee) -> Any:
        role, net, tax = fee
        return replace(self.desk.account_line(role, net), tax_minor=tax, **(self.tax if tax else {}))

    def _header(self, what: str) -> dict[str, Any]:
        self._events += 1
        return self.desk.header(f"{what} {self._events}")

    async def _post(self, *documents: MoneyDocument) -> None:
        posted: list[dict[str, Posted]] = await post(self.desk, *documents)
        for document, outcome in zip(documents, posted, strict=True):
            assert outcome[document.step].total_minor == document.total_minor


@pytest.fixture(params=list(SaleStyle))
async def dollars(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Studio]:
    async with quickbooks_bench(tmp_path, "US") as bench:
        yield Studio(await furnish(bench), request.param)


@pytest.fixture
async def australian(tmp_path: Path) -> AsyncIterator[Studio]:
    async with quickbooks_bench(tmp_path, "AU") as bench:
        yield Studio(await furnish(bench), SaleStyle.INVOICE)


async def test_example_a(dollars: Studio) -> None:
    s, line = dollars, dollars.desk.sale_line
    await s.sell(line("income", 40000, 3300), fees=(("fees", 1286, 0),))
    await s.clearing_holds(42014)
    wedding, album = line("income", 120000), line("products", 30000, 2475)
    await s.sell(wedding, album, fees=(("fees", 4452, 0), ("platform fees", 1525, 0)))
    await s.clearing_holds(188512)
    session, discount, tip = line("income", 30000, 2476), line("discounts", -3000, -248), line("tips", 4000)
    await s.sell(session, discount, tip, fees=(("fees", 994, 0),))
    await s.clearing_holds(220746)
    await s.refund(line("income", 10000, 825))
    await s.clearing_holds(209921)
    await s.move(209921, "clearing", "bank")
    await s.clearing_holds(0)
    await s.sell(line("income", 20000, 1650), fees=(("fees", 658, 0),))
    await s.sell(line("coaching", 18000), fees=(("fees", 552, 0),))
    await s.sell(line("coaching", 54125), fees=(("fees", 2952, 0),))
    await s.clearing_holds(89613)
    await s.move(89613, "clearing", "bank")
    for amount, after in ((21650, -23150), (18000, -42650)):
        await s.move(amount, "clearing", "held")
        await s.spend(("dispute fees", 1500, 0))
        await s.clearing_holds(after)
    await s.move(42650, "bank", "clearing")
    await s.spend(("dispute fees", 1500, 0))
    await s.refund(s.lost(20000, 1650), account="held")
    await s.clearing_holds(-1500)
    await s.move(18000, "held", "clearing")
    await s.fee_returned(("dispute fees", 1500, 0))
    await s.clearing_holds(18000)
    await s.refund(line("coaching", 54125), s.desk.difference(625))
    await s.clearing_holds(-36750)
    await s.sell(line("coaching", 95000), fees=(("fees", 2785, 0),))
    await s.move(30000, "clearing", "bank")
    await s.clearing_holds(25465)
    await s.move(30000, "bank", "clearing")
    await s.clearing_holds(55465)
    assert await s.desk.bench.trial_balance() == {
        "Business account": 256884,
        "Stripe clearing": 55465,
        "Sales Tax Payable": -7178,
        "Session Income": -200000,
        "Album income": -30000,
        "Coaching of teams": -113000,
        "Tips of clients": -4000,
        "Discounts by us": 3000,
        "Chargebacks": 20000,
        "Stripe fees": 13679,
        "Booking platform fees": 1525,
        "Dispute fees": 3000,
        "Currency differences": 625,
    }
    # Everybody's sales of the days: ours, once each, in either style.
    sales = await s.desk.bench.provider.list_sales(*(2 * [s.desk.header("x")["date"]]))
    is_receipt = s.style is SaleStyle.RECEIPT
    assert {sale.kind for sale in sales} == {DocumentKind.SALES_RECEIPT if is_receipt else DocumentKind.INVOICE}
    assert sum(sale.total_minor for sale in sales) == 417778


async def test_example_b(australian: Studio) -> None:
    s, line = australian, australian.desk.sale_line
    await s.sell(line("income", 40000, 4000), fees=(("fees", 707, 71),))
    await s.sell(line("coaching", 27500), fees=(("fees", 453, 45),))
    await s.clearing_holds(70224)
    await s.refund(line("income", 10000, 1000))
    await s.move(59224, "clearing", "bank")
    await s.clearing_holds(0)
    await s.sell(line("income", 20000, 2000), fees=(("fees", 367, 37),))
    await s.sell(line("coaching", 15000, 1500), fees=(("fees", 283, 28),))
    await s.sell(line("coaching", 30400), fees=(("fees", 940, 94),))
    await s.clearing_holds(67151)
    await s.move(67151, "clearing", "bank")
    for amount in (22000, 16500):
        await s.move(amount, "clearing", "held")
        await s.spend(("dispute fees", 2500, 0))
    await s.clearing_holds(-43500)
    await s.refund(s.lost(20000, 2000), account="held")
    await s.move(16500, "held", "clearing")
    await s.clearing_holds(-27000)
    await s.refund(line("coaching", 15200), s.desk.difference(-100))
    await s.clearing_holds(-42100)
    await s.sell(line("coaching", 45455, 4545), fees=(("fees", 800, 80),))
    await s.clearing_holds(7020)
    assert await s.desk.bench.trial_balance() == {
        "Business account": 126375,
        "Stripe clearing": 7020,
        "GST Liabilities Payable": -8690,
        "Session Income": -50000,
        "Coaching of teams": -103155,
        "Chargebacks": 20000,
        "Stripe fees": 3550,
        "Dispute fees": 5000,
        "Currency differences": -100,
    }
