"""What must be true when all is quiet again, read from Stripe's ledger, the books and the log of calls.

Of Tieout's own database only two things are asked: which events it holds, and whether anything is left undone.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from sqlalchemy import or_, select

from core.accounting.mock.books import MockBooks
from core.accounting.port import Company
from core.db.models import POSTED_KINDS, ItemKind, ItemState, Operation, OperationState, StripeEvent, SyncItem
from core.wiring import Wiring
from tests.kills.town import Shop, Town
from web.sandbox.log import LogEntry

_REPAYS = "ARCREDITPAYMENT"
"""Xero's payments of credit notes stand among those of invoices."""

_SETTLED = (OperationState.CONFIRMED, OperationState.REJECTED)
_FETCHED = frozenset({ItemKind.FETCH_PAYMENT, ItemKind.FETCH_REFUND, ItemKind.FETCH_PAYOUT})


@dataclass
class Findings:
    """What was looked at, and every fault that was found as a sentence."""

    payments: int = 0
    documents: int = 0
    twice: int = 0
    lost: int = 0
    cents: int = 0
    acked: int = 0
    not_stored: int = 0
    stuck: int = 0
    overlaps: int = 0
    calls: Counter[str] = field(default_factory=Counter)
    refused_for_pace: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


async def check(town: Town, acked: set[str]) -> Findings:
    """Compare everything once."""
    found = Findings()
    for shop in town.shops:
        await _check_shop(town, shop, found)
    await _check_inbox(town.wiring, acked, found)
    found.stuck = len(undone := await open_work(town.wiring))
    found.faults += [f"not done: {one}" for one in undone[:20]]
    _check_calls(await town.stripe.log(), found)
    return found


async def _check_shop(town: Town, shop: Shop, found: Findings) -> None:
    ledger = await town.stripe.ledger(shop.business)
    found.faults += ledger.problems
    charged = Counter(row["amount"] for row in ledger.rows if row["reporting_category"] == "charge")
    refunded = Counter(-row["amount"] for row in ledger.rows if row["reporting_category"] == "refund")
    if charged != Counter(shop.sold.keys()) or refunded != Counter(shop.given_back):
        found.faults.append(f"{shop.business}: the clients' own notes and Stripe's ledger differ")
    sold, paid, given_back, balances, odd = await _read_books(town, shop)
    found.payments += charged.total()
    found.documents += sold.total() + paid.total() + given_back.total()
    for name, wanted, there in (
        ("sale", charged, sold), ("payment", charged, paid), ("refund", refunded, given_back),
    ):  # fmt: skip
        twice, lost = there - wanted, wanted - there
        found.twice += twice.total()
        found.lost += lost.total()
        found.faults += [f"{shop.kind} {shop.company}: {name} too often: {dict(twice)}"] if twice else []
        found.faults += [f"{shop.kind} {shop.company}: {name} missing: {dict(lost)}"] if lost else []
    part = "net" if shop.fees_at_once else "amount"
    clearing = sum(amount for name, amount in balances.items() if name.casefold() == "stripe clearing")
    cents = abs(clearing - sum(row[part] for row in ledger.rows))
    cents += abs(sum(balances.values()))
    found.cents += cents
    found.faults += [f"{shop.kind} {shop.company}: clearing is {cents} cents off"] if cents else []
    found.faults += odd


_Read = tuple[Counter[int], Counter[int], Counter[int], dict[str, int], list[str]]


async def _read_books(town: Town, shop: Shop) -> _Read:
    """Return the amounts of sales, payments and refunds, the balances, and what the books complain of."""
    if shop.kind == "mock":
        books = MockBooks(
            town.wiring.settings.mock_books_path, Company(shop.company, "", "US", "usd", {"book_close_date": ""})
        )
        documents = [row for row in books.documents() if not row.is_voided]
        of = {kind: Counter(row.total_minor for row in documents if row.kind == kind) for kind in _kinds(documents)}
        given_back = of.get("refund_receipt", Counter()) + of.get("refund", Counter())
        return of["invoice"], of["payment"], given_back, books.trial_balance(), []
    if shop.kind == "quickbooks":
        realm, control = shop.company, town.quickbooks
        totals = {
            entity: _cents(one["TotalAmt"] for one in await control.documents(realm, entity))
            for entity in ("Invoice", "Payment", "RefundReceipt")
        }
        odd = [f"requestid: {one}" for one in await control.requestid_violations(realm)]
        balances = await control.trial_balance(realm)
        return totals["Invoice"], totals["Payment"], totals["RefundReceipt"], balances, odd
    organisation, control_ = shop.company, town.xero
    sales = [one for one in await control_.records(organisation, "Invoice") if one["Type"] == "ACCREC"]
    notes = await control_.records(organisation, "CreditNote")
    payments = await control_.records(organisation, "Payment")
    back = _cents(one["Total"] for one in notes)
    moved = _cents(one["Amount"] for one in payments if one["PaymentType"] != _REPAYS)
    odd = [f"Xero: {one}" for one in await control_.violations(organisation)]
    repaid = _cents(one["Amount"] for one in payments if one["PaymentType"] == _REPAYS)
    odd += [] if repaid == back else [f"{organisation}: credit notes and their repayments differ"]
    return _cents(one["Total"] for one in sales), moved, back, await control_.trial_balance(organisation), odd


def _kinds(documents: Iterable[Any]) -> set[str]:
    return {row.kind for row in documents} | {"invoice", "payment"}


def _cents(amounts: Iterable[object]) -> Counter[int]:
    return Counter(int(Decimal(str(amount)) * 100) for amount in amounts)


async def _check_inbox(wiring: Wiring, acked: set[str], found: Findings) -> None:
    """N3: what was answered 200 is stored."""
    # Across tenants on purpose: the inbox is the installation's.
    async with wiring.db.system() as session:
        stored = set((await session.execute(select(StripeEvent.event_id))).scalars())
    found.acked = len(acked)
    found.not_stored = len(acked - stored)
    found.faults += [f"answered 200 and not stored: {sorted(acked - stored)[:5]}"] if acked - stored else []


async def open_work(wiring: Wiring, most: int = 50) -> list[str]:
    """Return what is not done yet: items that fetch or post, and writes that are not settled.

    Fees of the day wait for its end, which no run of ours sees; those of a single charge are booked at once. What came
    late for them (``#2``) waits an hour for more of its kind, and holds what no document has taken up by then.
    """
    # Across tenants on purpose: all of them are looked at.
    async with wiring.db.system() as session:
        items = select(SyncItem.kind, SyncItem.source_id, SyncItem.state, SyncItem.reason).where(
            SyncItem.kind.in_(POSTED_KINDS | _FETCHED),
            SyncItem.state.not_in((ItemState.DONE, ItemState.IGNORED)),
            or_(
                SyncItem.kind != ItemKind.FEES,
                SyncItem.source_id.like("txn\\_%", escape="\\") & SyncItem.source_id.not_like("%#%"),
            ),
        )
        writes = select(Operation.kind, Operation.reference, Operation.state).where(Operation.state.not_in(_SETTLED))
        found = [" ".join(map(str, row)) for row in await session.execute(items.limit(most))]
        found += [" ".join(map(str, row)) for row in await session.execute(writes.limit(most))]
    return found


def _check_calls(entries: list[LogEntry], found: Findings) -> None:
    """No connection had two calls under way at once, and nobody was refused for going too fast."""
    of_account: defaultdict[tuple[str, str], list[LogEntry]] = defaultdict(list)
    for entry in entries:
        found.calls[entry.provider] += 1
        if entry.status == 429:
            found.refused_for_pace[entry.provider] += 1
        if entry.account is not None:
            of_account[entry.provider, entry.account].append(entry)
    for (provider, account), calls in of_account.items():
        busy_until, before = 0.0, ""
        for call in sorted(calls, key=lambda one: one.at):
            if call.at < busy_until:
                found.overlaps += 1
                found.faults.append(f"{provider} {account}: {call.path} while {before} was under way")
            if (call.ended_at or call.at) > busy_until:
                busy_until, before = call.ended_at or call.at, call.path
    found.faults += [f"429 from {name}: {count} times" for name, count in found.refused_for_pace.items()]
