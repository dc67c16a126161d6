"""Refunds, payouts, fees and Stripe's own charges after every kind of doubt: each stands in the books exactly once.

QuickBooks and Xero here are the sandbox's, in this process. Every balance transaction's net reaches clearing once.
"""

from collections import Counter
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from core.db.models import (
    AccountRole,
    BalanceTransaction,
    BooksDocument,
    ClearingLine,
    DocumentState,
    ItemKind,
    ItemState,
    Operation,
    Refund,
    RoleVersion,
    SyncItem,
)
from core.db.session import Database
from core.reasons import Reason
from core.sync import lanes, posting
from core.sync.acts import ignore_item, retry_item
from core.sync.lane_work import BooksLane, load_lane
from core.sync.planners.offers import offer_fees, offer_movements, offer_payout, offer_refund
from tests.core.sync.conftest import PORTRAIT, Studio, movement, sale
from tests.core.sync.test_doubts import Desk as QuickBooksDesk
from tests.core.sync.test_doubts import desk as quickbooks
from tests.core.sync.test_xero_books import Desk as XeroDesk
from tests.core.sync.test_xero_books import desk as xero
from tests.core.sync.test_xero_books import house
from tests.moves import make_movement, make_payout, make_refund
from web.sandbox.faults import FaultKind, FaultRule

__all__ = ["house", "quickbooks", "xero"]

ON_SQLITE = pytest.mark.parametrize("studio", ["sqlite"], indirect=True)
CLEARING_AFTER = 43300 - 1286 - 10000 - 500 - 30000
DAY = date(2026, 3, 2)


async def choose(desk: Studio, role: AccountRole, name: str, version: int = 1) -> None:
    async with desk.wiring.db.tenant(desk.tenant_id, write=True) as session:
        session.add(
            RoleVersion(
                connection_id=desk.books.id, role=role, version=version, account_id=desk.accounts[name],
                created_at=desk.runtime.now(), created_by=desk.person.user_id,
            )
        )  # fmt: skip


async def happen(desk: Studio, *, fees: str, bank: str) -> UUID:
    """One sale with its fee, a refund of part of it, a charge of Stripe's own, and a payout. Return the payment."""
    await choose(desk, AccountRole.FEES, fees)
    await choose(desk, AccountRole.BANK, bank)
    payment_id = await desk.pay(sale(movement=movement(1, 43300, 1286)))
    of = (desk.wiring, desk.tenant_id, desk.stripe.id)
    refund = await make_refund(*of, payment_id=payment_id, amount_minor=10000)
    payout = await make_payout(*of, amount=30000, arrives=DAY)
    at = desk.runtime.now() - timedelta(days=1)
    await make_movement(*of, "refund", amount=-10000, stripe_source_id=refund.stripe_id, at=at)
    await make_movement(*of, "payout", amount=-30000, stripe_source_id=payout.stripe_id, at=at)
    await make_movement(*of, "fee", amount=-500, at=at)
    async with desk.wiring.db.tenant(desk.tenant_id, write=True) as session:
        now = await desk.wiring.db.now(session)
        rows = list((await session.execute(select(BalanceTransaction))).scalars())
        await offer_refund(session, refund, now=now)
        await offer_payout(session, payout, now=now)
        await offer_movements(session, rows, now=now)
        await offer_fees(session, rows, now=now)
    return payment_id


async def posted_items(desk: Studio) -> dict[ItemKind, SyncItem]:
    return {item.kind: item for item in await desk.rows(SyncItem) if item.connection_id == desk.books.id}


async def assert_settled(desk: Studio) -> None:
    items = await posted_items(desk)
    assert {kind: (item.state, item.reason) for kind, item in items.items()} == dict.fromkeys(
        (ItemKind.SALE, ItemKind.REFUND, ItemKind.PAYOUT, ItemKind.FEES, ItemKind.MOVEMENT), (ItemState.DONE, None)
    )
    documents = await desk.rows(BooksDocument)
    standing = {row.id for row in documents if row.state is DocumentState.POSTED}
    assert {row.state for row in documents} <= {DocumentState.POSTED, DocumentState.DROPPED}
    nets = {row.stripe_id: row.net_minor for row in await desk.rows(BalanceTransaction)}
    found: Counter[str | None] = Counter()
    for line in await desk.rows(ClearingLine):
        if line.document_id in standing:
            found[line.stripe_balance_transaction_id] += line.amount_minor
    assert dict(found) == nets


async def assert_quickbooks(desk: QuickBooksDesk) -> None:
    await assert_settled(desk)
    counts = {
        name: len(await desk.control.documents(desk.realm, name))
        for name in ("invoice", "payment", "refundreceipt", "transfer", "purchase")
    }
    assert counts == {"invoice": 1, "payment": 1, "refundreceipt": 1, "transfer": 1, "purchase": 2}
    vendors = [row["DisplayName"] for row in await desk.control.documents(desk.realm, "vendor")]
    assert vendors.count("Stripe") == 1
    balance = await desk.control.trial_balance(desk.realm)
    assert (balance["Stripe clearing"], sum(balance.values())) == (CLEARING_AFTER, 0)
    assert await desk.control.requestid_violations(desk.realm) == []


async def assert_xero(desk: XeroDesk) -> None:
    await assert_settled(desk)
    counts = {
        name: len(await desk.records(name))
        for name in ("Invoice", "Payment", "CreditNote", "BankTransfer", "BankTransaction")
    }
    assert counts == {"Invoice": 1, "Payment": 2, "CreditNote": 1, "BankTransfer": 1, "BankTransaction": 2}
    balance = await desk.control.trial_balance(desk.organisation)
    assert (balance["Stripe Clearing"], sum(balance.values())) == (CLEARING_AFTER, 0)
    assert await desk.control.violations(desk.organisation) == []


IN_QUICKBOOKS = {"fees": "Bank Charges & Fees", "bank": "Checking"}
IN_XERO = {"fees": "Payment Processing Fees", "bank": "Business Bank Account"}

FAULTS = [
    pytest.param(FaultKind.DROP_AFTER_COMMIT, {}, id="answer lost after commit"),
    pytest.param(FaultKind.DROP_BEFORE_COMMIT, {}, id="line cut before commit"),
    pytest.param(FaultKind.STATUS, {"status": 503, "after_commit": True}, id="503 after commit"),
    pytest.param(FaultKind.STATUS, {"status": 500}, id="500 before commit"),
    pytest.param(FaultKind.DROP_AFTER_COMMIT, {"count": 2}, id="answer lost twice"),
]


@pytest.mark.parametrize("entity", ["refundreceipt", "transfer", "purchase"])
@pytest.mark.parametrize(("kind", "rule"), FAULTS)
async def test_after_any_doubt_quickbooks_holds_each_document_once(
    quickbooks: QuickBooksDesk, entity: str, kind: FaultKind, rule: dict[str, Any]
) -> None:
    quickbooks.sandbox.faults.add(
        FaultRule(kind=kind, provider="quickbooks", method="POST", path=rf"/{entity}\?", **rule)
    )
    await happen(quickbooks, **IN_QUICKBOOKS)
    await quickbooks.quiet(hours=1)
    assert quickbooks.sandbox.faults.rules()[0].hits >= 1
    await assert_quickbooks(quickbooks)


@pytest.mark.parametrize("collection", ["CreditNotes", "Payments", "BankTransactions", "BankTransfers"])
@pytest.mark.parametrize(("kind", "rule"), FAULTS)
async def test_after_any_doubt_xero_holds_each_document_once(
    xero: XeroDesk, collection: str, kind: FaultKind, rule: dict[str, Any]
) -> None:
    xero.sandbox.faults.add(FaultRule(kind=kind, provider="xero", method="PUT", path=f"/{collection}", **rule))
    await happen(xero, **IN_XERO)
    await xero.quiet(hours=1)
    assert xero.sandbox.faults.rules()[0].hits >= 1
    await assert_xero(xero)


async def crash_at(desk: Studio, step: str, *, sent: bool) -> None:
    """Let the process die at the call of ``step``, before or after it was made."""
    [claim] = [c for c in await lanes.claim_lanes(desk.wiring.db, 8) if c.connection_id == desk.books.id]
    async with desk.wiring.db.tenant(desk.tenant_id) as session:
        lane = BooksLane(desk.wiring, claim, *await load_lane(session, claim.connection_id))
    for kind in (ItemKind.SALE, ItemKind.REFUND, ItemKind.PAYOUT, ItemKind.FEES):
        item = (await posted_items(desk))[kind]
        planned = await posting.advance(lane, item.id, None)
        while planned is not None and not (planned.write.step == step and planned.move.name == "SEND"):
            planned = await posting.advance(lane, item.id, await lane.call(planned))
        if planned is not None:
            if sent:
                await lane.call(planned)
            return
    raise AssertionError(f"never came to {step}")


@pytest.mark.parametrize("step", ["refund", "payout", "fees"])
@pytest.mark.parametrize("sent", [False, True], ids=["died before the call", "died after the call"])
@pytest.mark.parametrize("minutes", [1.1, 8])
async def test_a_process_that_dies_with_another_kind_under_way_in_quickbooks(
    quickbooks: QuickBooksDesk, step: str, sent: bool, minutes: float
) -> None:
    await happen(quickbooks, **IN_QUICKBOOKS)
    await crash_at(quickbooks, step, sent=sent)
    quickbooks.runtime.forward(minutes=minutes)
    await quickbooks.quiet(hours=1)
    await assert_quickbooks(quickbooks)


@pytest.mark.parametrize("step", ["refund", "refund_paid", "payout", "fees"])
@pytest.mark.parametrize("sent", [False, True], ids=["died before the call", "died after the call"])
@pytest.mark.parametrize("minutes", [1.1, 8])
async def test_a_process_that_dies_with_another_kind_under_way_in_xero(
    xero: XeroDesk, step: str, sent: bool, minutes: float
) -> None:
    await happen(xero, **IN_XERO)
    await crash_at(xero, step, sent=sent)
    xero.runtime.forward(minutes=minutes)
    await xero.quiet(hours=1)
    await assert_xero(xero)


# What a plan does over time


@ON_SQLITE
async def test_a_refund_waits_for_its_payment_without_asking_anybody(studio: Studio) -> None:
    await choose(studio, AccountRole.FEES, "Product income")
    payment_id = await studio.pay(sale(movement=movement(1, 43300, 1286)))
    of = (studio.wiring, studio.tenant_id, studio.stripe.id)
    refund = await make_refund(*of, payment_id=payment_id, amount_minor=10000)
    await make_movement(*of, "refund", amount=-10000, stripe_source_id=refund.stripe_id)
    async with studio.wiring.db.tenant(studio.tenant_id, write=True) as session:
        await offer_refund(session, refund, now=await studio.wiring.db.now(session))
    await studio.quiet()
    # The service has no account yet, so neither the sale nor its refund can be booked.
    waiting = (await posted_items(studio))[ItemKind.REFUND]
    assert (waiting.state, waiting.reason) == (ItemState.BLOCKED, Reason.WAITS_FOR_PAYMENT)
    await studio.map(PORTRAIT.key, "Session income")
    assert await studio.retry(payment_id)
    await studio.quiet()
    assert {item.state for item in (await posted_items(studio)).values()} == {ItemState.DONE}
    assert studio.ledger.books.trial_balance()["Stripe clearing"] == 33300


@ON_SQLITE
async def test_a_refund_that_fails_later_gets_its_opposite_and_nothing_twice(studio: Studio) -> None:
    await studio.map(PORTRAIT.key, "Session income")
    payment_id = await studio.pay(sale())
    of = (studio.wiring, studio.tenant_id, studio.stripe.id)
    refund = await make_refund(*of, payment_id=payment_id, amount_minor=10000)
    await make_movement(*of, "refund", amount=-10000, stripe_source_id=refund.stripe_id)
    await _tell_refund(studio.wiring.db, studio.tenant_id, refund)
    await studio.quiet()
    assert studio.ledger.books.trial_balance()["Stripe clearing"] == 33300
    await make_movement(*of, "refund_failure", amount=10000, stripe_source_id=refund.stripe_id)
    for _ in range(3):
        await _tell_refund(studio.wiring.db, studio.tenant_id, refund)
        await studio.quiet()
    assert studio.ledger.books.trial_balance()["Stripe clearing"] == 43300
    assert studio.ledger.books.trial_balance()["Session income"] == -43300
    steps = [row.step for row in await studio.rows(BooksDocument)]
    assert sorted(steps) == ["invoice", "payment", "refund", "refund_failed"]
    assert [row.sends for row in await studio.rows(Operation)] == [1] * 5


async def _tell_refund(db: Database, tenant_id: UUID, refund: Refund) -> None:
    async with db.tenant(tenant_id, write=True) as session:
        await offer_refund(session, refund, now=await db.now(session))


@ON_SQLITE
async def test_an_item_without_a_payment_is_retried_and_left_out_like_one(studio: Studio) -> None:
    await studio.map(PORTRAIT.key, "Session income")
    of = (studio.wiring, studio.tenant_id, studio.stripe.id)
    row = await make_movement(*of, "fee", amount=-500)
    async with studio.wiring.db.tenant(studio.tenant_id, write=True) as session:
        await offer_movements(session, [row], now=await studio.wiring.db.now(session))
    await studio.quiet()
    item = (await posted_items(studio))[ItemKind.MOVEMENT]
    assert (item.state, item.reason) == (ItemState.NEEDS_ATTENTION, Reason.ROLE_NOT_CHOSEN)
    by = studio.person.user_id
    async with studio.wiring.db.tenant(studio.tenant_id, write=True) as session:
        now = await studio.wiring.db.now(session)
        assert await ignore_item(session, item.id, why="By hand", by_user_id=by, now=now)
        assert not await ignore_item(session, item.id, why="By hand", by_user_id=by, now=now)
    await choose(studio, AccountRole.FEES, "Product income")
    await studio.quiet()
    assert (await posted_items(studio))[ItemKind.MOVEMENT].state is ItemState.IGNORED
    async with studio.wiring.db.tenant(studio.tenant_id, write=True) as session:
        now = await studio.wiring.db.now(session)
        assert await retry_item(session, item.id, by_user_id=by, now=now)
        assert not await retry_item(session, item.id, by_user_id=by, now=now)
    await studio.quiet()
    assert (await posted_items(studio))[ItemKind.MOVEMENT].state is ItemState.DONE
    assert studio.ledger.books.trial_balance()["Stripe clearing"] == -500
