"""A month of an Australian studio in Xero, to the cent: every kind of movement, and the trial balance that it leaves.

The figures are Tieout's own example B: home currency AUD, GST inside the price, GST on fees reclaimed.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from core.accounting.port import AccountType, PreparedWrite
from core.books.documents import (
    AccountRef,
    Document,
    DocumentKind,
    Expense,
    Invoice,
    LineKind,
    MoneyDocument,
    Payment,
    Refund,
    SaleLine,
    SalesReceipt,
    Transfer,
)
from tests.contract.xero_bench import XeroBench, xero_bench
from tests.core.accounting.documents import CUSTOMER, invoice, line, payment
from tests.core.accounting.movements import PAYEE_STEP, account_line, expense, refund, sales_receipt, transfer

GST, FREE, INPUT = "OUTPUT", "EXEMPTEXPORT", "INPUT"
DAY = date(2026, 11, 20)


class Studio:
    """The books of example B, and short words for what happens in them."""

    def __init__(self, bench: XeroBench) -> None:
        self.bench = bench
        self.ids: dict[str, str] = {}
        self.accounts: dict[str, AccountRef] = {}
        self._number = 0

    async def open(self) -> None:
        for name, kind in (
            ("Business account", AccountType.BANK),
            ("Session income", AccountType.INCOME),
            ("Coaching income", AccountType.INCOME),
            ("Chargebacks (contra-income)", AccountType.INCOME),
            ("Stripe fees", AccountType.EXPENSE),
            ("Dispute fees", AccountType.EXPENSE),
            ("Currency differences", AccountType.EXPENSE),
            ("Stripe disputes held", AccountType.CURRENT_ASSET),
        ):
            await self.bench.provider.create_account(name, kind, key=f"make-{len(name)}")
        for account in await self.bench.provider.list_accounts():
            is_bank = account.type is AccountType.BANK
            self.accounts[account.name] = AccountRef(account.external_id, account.name, is_bank, account.number)
        self.ids[CUSTOMER.step] = await self.bench.provider.sync_customer(CUSTOMER)

    async def book(self, document: MoneyDocument) -> None:
        """Put one document into the books as the engine does: what it needs first, what has no guard looked up."""
        for part in self.bench.provider.parts(document):
            for needed in self.bench.provider.supporting(part):
                if needed.step not in self.ids:
                    write = self.prepared(needed)
                    found = await self.bench.provider.look_up(write) or await self.bench.provider.execute(write)
                    self.ids[needed.step] = found.external_id
            self.ids[part.step] = await self.written(self.prepared(part))

    def prepared(self, document: Document) -> PreparedWrite:
        self._number += 1
        return self.bench.provider.prepare(document, key=f"key-{self._number}", ids=self.ids)

    async def written(self, write: PreparedWrite) -> str:
        if write.kind in self.bench.provider.limits.found_first:
            assert await self.bench.provider.look_up(write) is None
        posted = await self.bench.provider.execute(write)
        assert (posted.total_minor, posted.currency) == (write.total_minor, "AUD")
        assert posted.party_id == write.party_id
        found = await self.bench.provider.look_up(write)
        assert found is not None
        assert (found.external_id, found.total_minor) == (posted.external_id, posted.total_minor)
        return posted.external_id

    def reference(self, prefix: str) -> str:
        self._number += 1
        return f"{prefix}-{self._number:012}"

    def line(self, account: str, net: int, tax: int, code: str | None, **changes: Any) -> SaleLine:
        income = self.accounts[account]
        rate = {GST: 100_000, FREE: 0, None: None}[code]
        chosen = {"tax_code_id": code, "tax_code_name": code, "tax_rate_ppm": rate}
        named = {"income_account_id": income.external_id, "income_account_number": income.number}
        return line(net, tax, **{**named, **chosen, **changes})

    def invoice(self, *lines: SaleLine) -> Invoice:
        return invoice(*lines, currency="AUD", reference=self.reference("TO"))

    def payment(self, amount: int) -> Payment:
        return payment(
            amount, currency="AUD", reference=self.reference("TO"), clearing_account_id=self.clearing.external_id
        )

    def receipt(self, *lines: SaleLine) -> SalesReceipt:
        return sales_receipt(*lines, currency="AUD", reference=self.reference("TO"), account=self.clearing)

    def refund(self, *lines: SaleLine, account: str = "Stripe Clearing") -> Refund:
        reference = self.reference("TR")
        return refund(*lines, currency="AUD", reference=reference, account=self.accounts[account])

    def fees(self, account: str, *fees: tuple[int, int]) -> Expense:
        lines = [
            account_line(
                net,
                tax,
                account=self.accounts[account],
                tax_code_id=INPUT if tax else None,
                tax_code_name="GST on Expenses" if tax else None,
                tax_rate_ppm=100_000 if tax else None,
            )
            for net, tax in fees
        ]
        return expense(*lines, currency="AUD", reference=self.reference("TF"), account=self.clearing)

    def transfer(self, amount: int, source: str, target: str) -> Transfer:
        ends = {"from_account": self.accounts[source], "to_account": self.accounts[target]}
        return transfer(amount, currency="AUD", reference=self.reference("TP"), **ends)

    @property
    def clearing(self) -> AccountRef:
        return self.accounts["Stripe Clearing"]

    async def sell(self, account: str, net: int, tax: int, code: str, fee: tuple[int, int]) -> None:
        await self.book(self.invoice(self.line(account, net, tax, code)))
        await self.book(self.payment(net + tax))
        await self.book(self.fees("Stripe fees", fee))

    async def clearing_holds(self, minor: int) -> None:
        assert await self.bench.provider.read_balance(self.clearing.external_id) == minor


@pytest.fixture
async def studio(tmp_path: Path) -> AsyncIterator[Studio]:
    async with xero_bench(tmp_path, "AU") as bench:
        made = Studio(bench)
        await made.open()
        yield made


CLEARING, BANK, HELD = "Stripe Clearing", "Business account", "Stripe disputes held"


async def test_a_month_leaves_the_trial_balance_of_the_example(studio: Studio) -> None:
    s = studio
    await s.sell("Session income", 40000, 4000, GST, (707, 71))
    await s.sell("Coaching income", 27500, 0, FREE, (453, 45))
    await s.clearing_holds(70224)
    await s.book(s.refund(s.line("Session income", 10000, 1000, GST)))
    await s.book(s.transfer(59224, CLEARING, BANK))
    await s.clearing_holds(0)
    await s.sell("Session income", 20000, 2000, GST, (367, 37))
    await s.sell("Coaching income", 15000, 1500, GST, (283, 28))
    await s.sell("Coaching income", 30400, 0, FREE, (940, 94))
    await s.book(s.transfer(67151, CLEARING, BANK))
    await s.clearing_holds(0)
    for held in (22000, 16500):
        await s.book(s.transfer(held, CLEARING, HELD))
        await s.book(s.fees("Dispute fees", (2500, 0)))
    await s.clearing_holds(-43500)
    chargeback = s.line("Chargebacks (contra-income)", 20000, 2000, GST, kind=LineKind.CHARGEBACK)
    await s.book(s.refund(chargeback, account=HELD))
    await s.book(s.transfer(16500, HELD, CLEARING))
    await s.clearing_holds(-27000)
    difference = s.line("Currency differences", -100, 0, None, kind=LineKind.DIFFERENCE)
    await s.book(s.refund(s.line("Coaching income", 15200, 0, FREE), difference))
    await s.clearing_holds(-42100)
    await s.sell("Coaching income", 45455, 4545, GST, (800, 80))
    await s.clearing_holds(7020)
    assert await s.bench.control.trial_balance(s.bench.tenant) == {
        "Business account": 126375,
        "Stripe Clearing": 7020,
        "GST": -8690,
        "Session income": -50000,
        "Coaching income": -103155,
        "Chargebacks (contra-income)": 20000,
        "Stripe fees": 3550,
        "Dispute fees": 5000,
        "Currency differences": -100,
    }


async def test_a_receipt_leaves_the_same_balance_as_an_invoice_and_its_payment(studio: Studio) -> None:
    await studio.book(studio.receipt(studio.line("Session income", 40000, 4000, GST)))
    assert await studio.bench.control.trial_balance(studio.bench.tenant) == {
        "Stripe Clearing": 44000,
        "GST": -4000,
        "Session income": -40000,
    }


async def test_a_payout_that_comes_back_is_the_opposite_transfer(studio: Studio) -> None:
    await studio.book(studio.transfer(30000, CLEARING, BANK))
    await studio.book(studio.transfer(30000, BANK, CLEARING))
    assert await studio.bench.control.trial_balance(studio.bench.tenant) == {}
    assert len(await studio.bench.control.records(studio.bench.tenant, "BankTransfer")) == 2


async def test_stripe_is_one_contact_and_a_persons_own_is_taken(studio: Studio) -> None:
    theirs = await studio.bench.add_customer("Stripe", None)
    await studio.book(studio.fees("Stripe fees", (707, 71)))
    await studio.book(studio.transfer(100, CLEARING, HELD))
    assert studio.ids[PAYEE_STEP] == theirs
    assert (await studio.bench.names()).count("Stripe") == 1


async def test_an_account_for_held_money_takes_payments(studio: Studio) -> None:
    accounts = {a["Name"]: a for a in await studio.bench.control.records(studio.bench.tenant, "Account")}
    assert accounts[HELD]["Type"] == "CURRENT"
    assert accounts[HELD]["EnablePaymentsToAccount"] is True
    assert accounts["Stripe fees"]["EnablePaymentsToAccount"] is False


async def test_everything_is_read_back_as_it_stands(studio: Studio) -> None:
    s = studio
    await s.sell("Session income", 40000, 4000, GST, (707, 71))
    await s.book(s.refund(s.line("Session income", 10000, 1000, GST)))
    await s.book(s.transfer(300, CLEARING, BANK))
    await s.book(s.transfer(200, CLEARING, HELD))
    totals = {
        DocumentKind.INVOICE: ("invoice", 44000),
        DocumentKind.PAYMENT: ("payment", 44000),
        DocumentKind.CREDIT_NOTE: ("refund", 11000),
        DocumentKind.REPAYMENT: ("refund_paid", 11000),
        DocumentKind.EXPENSE: ("expense", 778),
        DocumentKind.TRANSFER: ("transfer", 200),
    }
    for kind, (step, total) in totals.items():
        external_id = s.ids[step]
        (standing,) = (await s.bench.provider.read_back(kind, [external_id])).values()
        assert (standing.stands, standing.total_minor, standing.currency, standing.date) == (True, total, "AUD", DAY)
        assert standing.number


async def test_what_a_person_deleted_or_never_made_does_not_stand(studio: Studio) -> None:
    s = studio
    await s.book(s.transfer(300, CLEARING, BANK))
    await s.book(s.fees("Stripe fees", (707, 71)))
    carried, spent = s.ids["transfer"], s.ids["expense"]
    await s.bench.control.act(s.bench.tenant, "BankTransfer", carried, "delete")
    await s.bench.control.act(s.bench.tenant, "BankTransaction", spent, "delete")
    nowhere = "5e0c1b2a-0009-4000-8000-000000000009"
    for kind, ids in ((DocumentKind.TRANSFER, [carried, nowhere]), (DocumentKind.EXPENSE, [spent, nowhere])):
        found = await s.bench.provider.read_back(kind, ids)
        assert [(standing.stands, standing.total_minor) for standing in found.values()] == [(False, 0), (False, 0)]


async def test_reading_fifty_back_is_one_call(studio: Studio) -> None:
    s = studio
    documents: Sequence[MoneyDocument] = [s.fees("Stripe fees", (100 + n, 0)) for n in range(50)]
    ids = []
    for document in documents:
        await s.book(document)
        ids.append(s.ids["expense"])
    before = s.bench.provider.calls
    found = await s.bench.provider.read_back(DocumentKind.EXPENSE, ids)
    assert s.bench.provider.calls - before == 1
    assert [found[external_id].total_minor for external_id in ids] == [100 + n for n in range(50)]


async def test_sales_of_some_days_are_listed_whoever_made_them(studio: Studio) -> None:
    s = studio
    await s.sell("Session income", 40000, 4000, GST, (707, 71))
    await s.book(s.receipt(s.line("Session income", 2000, 0, FREE)))
    await s.bench.take_number("INV-0007")
    sales = await s.bench.provider.list_sales(DAY, DAY)
    assert sorted((sale.kind, sale.total_minor, sale.customer_name) for sale in sales) == [
        (DocumentKind.INVOICE, 44000, "Ana Lima"),
        (DocumentKind.SALES_RECEIPT, 2000, "Ana Lima"),
    ]
    assert all("Stripe" in sale.note and sale.date == DAY for sale in sales)
    earlier = await s.bench.provider.list_sales(date(2026, 11, 1), date(2026, 11, 19))
    assert [(sale.number, sale.customer_name) for sale in earlier] == [("INV-0007", "Somebody else")]


async def test_an_account_that_never_held_anything_holds_nothing(studio: Studio) -> None:
    await studio.clearing_holds(0)
