"""Whatever is posted, changed, voided and deleted: the books balance, and balances agree with documents."""

import asyncio
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.sandbox.quickbooks.harness import Books, line, payment, running_intuit, sale
from web.sandbox.quickbooks.amounts import to_cents

AMOUNTS = st.integers(min_value=1, max_value=999_999).map(lambda cents: Decimal(cents).scaleb(-2))
STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["invoice", "receipt", "refund", "memo", "pay", "part", "deposit", "fee", "void", "delete", "edit"]
        ),
        AMOUNTS,
        st.integers(min_value=0, max_value=9),
    ),
    max_size=25,
)
COUNTRIES = st.sampled_from([("US", "TAX"), ("US", "NON"), ("GB", "20.0% S"), ("CA", "GST/PST BC"), ("AU", "GST")])


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=STEPS, country=COUNTRIES)
def test_any_history_balances(steps: list[tuple[str, Decimal, int]], country: tuple[str, str]) -> None:
    asyncio.run(_live(steps, country))


async def _live(steps: list[tuple[str, Decimal, int]], country: tuple[str, str]) -> None:
    async with running_intuit() as intuit:
        books = await intuit.company("Any", country[0])
        story = _Story(books, country[1])
        await story.open()
        for step in steps:
            await story.take(*step)
            await story.check()


class _Story:
    """Takes random steps through the public API; refusals by rule are fine, imbalance is not."""

    def __init__(self, books: Books, code: str) -> None:
        self.books = books
        self.code = code

    async def open(self) -> None:
        self.customer, self.item = await self.books.customer(), await self.books.item()
        if self.books.accounts.get("Sales Tax Payable") is None:
            found = await self.books.query(f"select * from TaxCode where Name = '{self.code}'")
            self.code = found["TaxCode"][0]["Id"]

    async def take(self, kind: str, amount: Decimal, pick: int) -> None:
        body = sale(line(self.item, amount, self.code), customer=self.customer)
        match kind:
            case "invoice" | "receipt" | "memo":
                entity = {"invoice": "Invoice", "receipt": "SalesReceipt", "memo": "CreditMemo"}[kind]
                await self.books.send(entity, body)
            case "refund":
                await self.books.send("RefundReceipt", {**body, "DepositToAccountRef": self.books.ref("Checking")})
            case "pay" | "part":
                await self._pay(amount if kind == "part" else None, pick)
            case "deposit":
                await self._deposit(pick)
            case "fee":
                await self._fee(amount)
            case "edit":
                await self._edit(amount, pick)
            case _:
                await self._undo(kind, pick)

    async def check(self) -> None:
        balance = await self.books.trial_balance()
        invoices = await self._all("Invoice")
        memos = await self._all("CreditMemo")
        payments = await self._all("Payment")
        receivable = sum(to_cents(i["Balance"]) for i in invoices) - sum(to_cents(m["Balance"]) for m in memos)
        receivable -= sum(to_cents(p["UnappliedAmt"]) for p in payments)
        assert balance.get("Accounts Receivable (A/R)", 0) == receivable
        customer = await self.books.get("Customer", self.customer)
        assert to_cents(customer["Balance"]) == receivable
        checking = await self.books.get("Account", self.books.accounts["Checking"])
        assert to_cents(checking["CurrentBalance"]) == balance.get("Checking", 0)

    async def _all(self, entity: str) -> list[Any]:
        found: list[Any] = await self.books.control("GET", f"/documents/{entity.lower()}")
        return found

    async def _pay(self, amount: Decimal | None, pick: int) -> None:
        open_ones = [i for i in await self._all("Invoice") if i["Balance"] > 0]
        if not open_ones:
            return
        invoice = open_ones[pick % len(open_ones)]
        applied = invoice["Balance"] if amount is None else min(amount, invoice["Balance"])
        await self.books.send("Payment", payment(self.customer, applied + pick, (invoice["Id"], applied)))

    async def _deposit(self, pick: int) -> None:
        held = [(e, d) for e in ("Payment", "SalesReceipt") for d in await self._all(e) if _in_hand(d)]
        if not held:
            return
        entity, document = held[pick % len(held)]
        taken = {"Amount": document["TotalAmt"], "LinkedTxn": [{"TxnId": document["Id"], "TxnType": entity}]}
        body = {"DepositToAccountRef": self.books.ref("Checking"), "TxnDate": "2026-03-02", "Line": [taken]}
        await self.books.send("Deposit", body)

    async def _fee(self, amount: Decimal) -> None:
        detail: dict[str, Any] = {"AccountRef": self.books.ref("Bank Charges & Fees")}
        if self.code not in ("TAX", "NON"):
            detail["TaxCodeRef"] = {"value": self.code}
        fee = {"Amount": amount, "DetailType": "AccountBasedExpenseLineDetail", "AccountBasedExpenseLineDetail": detail}
        body = {"PaymentType": "Cash", "AccountRef": self.books.ref("Checking"), "Line": [fee]}
        await self.books.send("Purchase", body)

    async def _edit(self, amount: Decimal, pick: int) -> None:
        invoices = [i for i in await self._all("Invoice") if i["TotalAmt"] > 0]
        if invoices:
            chosen = invoices[pick % len(invoices)]
            change = {"Id": chosen["Id"], "SyncToken": chosen["SyncToken"], "sparse": True}
            await self.books.send("Invoice", {**change, "Line": [line(self.item, amount, self.code)]})

    async def _undo(self, kind: str, pick: int) -> None:
        entities = ("Invoice", "Payment", "SalesReceipt", "RefundReceipt", "CreditMemo", "Deposit", "Purchase")
        entity = entities[pick % (3 if kind == "void" else len(entities))]
        documents = await self._all(entity)
        if not documents:
            return
        chosen = documents[pick % len(documents)]
        body = {"Id": chosen["Id"], "SyncToken": chosen["SyncToken"]}
        params = {"operation": kind}
        if kind == "void" and entity != "Invoice":
            body["sparse"], params = True, {"operation": "update", "include": "void"}
        answer = await self.books.call("POST", entity.lower(), body, **params)
        # A deposited payment is frozen; nothing else may be refused here.
        assert answer.status_code == 200 or b'"6540"' in answer.content


def _in_hand(document: Any) -> bool:
    held = any(link["TxnType"] == "Deposit" for link in document["LinkedTxn"])
    return document["TotalAmt"] > 0 and not held
