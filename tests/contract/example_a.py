"""Example A of the bookkeeping rules: every movement that Stripe knows, in dollars, with tax of 8.25 % on top.

Each step brings its documents and what the clearing account holds after it, in cents.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from core.books.documents import (
    Deposit,
    Expense,
    LineKind,
    MoneyDocument,
    Refund,
    SaleLine,
    SalesReceipt,
    Transfer,
)
from core.books.roles import SaleStyle
from tests.contract.movements import DAY, Desk
from tests.core.accounting.documents import booked, invoice, payment, sold, transfer

TRIAL_BALANCE = {
    "bank": 256884,
    "clearing": 55465,
    "held": 0,
    "income": -200000,
    "products": -30000,
    "coaching": -113000,
    "tips": -4000,
    "discounts": 3000,
    "chargebacks": 20000,
    "fees": 13679,
    "platform fees": 1525,
    "dispute fees": 3000,
    "differences": 625,
}
TAX = -7178


@dataclass(frozen=True)
class Step:
    """One event of Stripe's."""

    name: str
    documents: tuple[MoneyDocument, ...]
    clearing_after: int


class Story:
    """Makes the documents of each step for one set of books."""

    def __init__(self, desk: Desk, style: SaleStyle) -> None:
        self._desk = desk
        self._style = style

    def steps(self) -> Iterator[Step]:
        line = self._desk.sale_line
        yield self._step("A1", 42014, *self._sale("A1", line("income", 40000, 3300)), self._fee("A1", 1286))
        wedding = (line("income", 120000), line("products", 30000, 2475))
        yield self._step("A2", 188512, *self._sale("A2", *wedding), self._fee("A2", 4452, 1525))
        # 8.25 % of 270.00 is 22.275; Stripe's cent rules, spread over the two lines.
        bargain = (
            line("income", 30000, 2475),
            line("discounts", -3000, -247),
            line("tips", 4000, kind=LineKind.TIP),
        )
        yield self._step("A3", 220746, *self._sale("A3", *bargain), self._fee("A3", 994))
        yield self._step("A4", 209921, self._refund("A4", "clearing", line("income", 10000, 825)))
        yield self._step("A5", 0, self._move("A5", 209921, "clearing", "bank"))
        yield self._step("A6", 20992, *self._sale("A6", line("income", 20000, 1650)), self._fee("A6", 658))
        yield self._step("A7", 38440, *self._sale("A7", line("coaching", 18000)), self._fee("A7", 552))
        yield self._step("A8", 89613, *self._sale("A8", line("coaching", 54125)), self._fee("A8", 2952))
        yield self._step("A9", 0, self._move("A9", 89613, "clearing", "bank"))
        yield self._step("A10", -23150, self._move("A10", 21650, "clearing", "held"), self._dispute_fee("A10"))
        yield self._step("A11", -42650, self._move("A11", 18000, "clearing", "held"), self._dispute_fee("A11"))
        yield self._step("A12", 0, self._move("A12", 42650, "bank", "clearing"))
        yield self._step("A13", -1500, self._dispute_fee("A13"))
        lost = line("chargebacks", 20000, 1650, kind=LineKind.CHARGEBACK)
        yield self._step("A14", -1500, self._refund("A14", "held", lost))
        yield self._step("A15", 16500, self._move("A15", 18000, "held", "clearing"))
        yield self._step("A16", 18000, self._fee_returned("A16"))
        foreign = (line("coaching", 54125), self._desk.difference(625))
        yield self._step("A17", -36750, self._refund("A17", "clearing", *foreign))
        yield self._step("A18", 55465, *self._sale("A18", line("coaching", 95000)), self._fee("A18", 2785))
        yield self._step("A19", 25465, self._move("A19", 30000, "clearing", "bank"))
        yield self._step("A20", 55465, self._move("A20", 30000, "bank", "clearing"))

    def _step(self, name: str, clearing_after: int, *documents: MoneyDocument) -> Step:
        return Step(name, documents, clearing_after)

    def _header(self, name: str) -> dict[str, object]:
        # One step a day, the last one on DAY: no books answer a balance of tomorrow.
        step = int(name.partition(":")[0][1:])
        return self._desk.header(name, DAY - timedelta(days=20 - step))

    def _sale(self, name: str, *lines: SaleLine) -> tuple[MoneyDocument, ...]:
        clearing, header = self._desk["clearing"], self._header(name)
        if self._style is SaleStyle.RECEIPT:
            return (sold(SalesReceipt, *lines, account=clearing, **header),)
        bill = invoice(*lines, **header)
        account = {"clearing_account_id": clearing.external_id, "clearing_account_name": clearing.name}
        return (bill, payment(bill.total_minor, **account, **header))

    def _fee(self, name: str, fee: int, platform: int = 0) -> Expense:
        lines = [self._desk.account_line("fees", fee, f"txn_{name}")]
        if platform:
            lines.append(self._desk.account_line("platform fees", platform, f"txn_{name}"))
        return booked(Expense, *lines, account=self._desk["clearing"], **self._header(f"{name}:fees"))

    def _dispute_fee(self, name: str) -> Expense:
        line = self._desk.account_line("dispute fees", 1500, f"txn_{name}")
        return booked(Expense, line, account=self._desk["clearing"], **self._header(f"{name}:fee"))

    def _fee_returned(self, name: str) -> Deposit:
        line = self._desk.account_line("dispute fees", 1500, f"txn_{name}")
        return booked(Deposit, line, account=self._desk["clearing"], **self._header(name))

    def _refund(self, name: str, source: str, *lines: SaleLine) -> Refund:
        return sold(Refund, *lines, account=self._desk[source], **self._header(name))

    def _move(self, name: str, amount: int, source: str, target: str) -> Transfer:
        accounts = {"from_account": self._desk[source], "to_account": self._desk[target]}
        return transfer(amount, **accounts, **self._header(name))
