"""After every kind of doubt at every step: the sale stands in the books exactly once, to the cent.

QuickBooks here is the sandbox's, in this process, with its real double-entry ledger.
"""

import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import httpx
import msgspec
import pytest

from core.accounting.port import AccountType
from core.books.keys import reference_for
from core.config import Settings
from core.connections.providers import open_books
from core.connections.secrets import seal
from core.db.models import (
    AccountRole,
    Attempt,
    AttemptOutcome,
    BooksAccount,
    Connection,
    ConnectionMode,
    ConnectionStatus,
    Operation,
    OperationState,
    PaymentState,
    RoleVersion,
    SyncItem,
)
from core.errors import LeaseLostError
from core.reasons import Reason
from core.sync import lanes, posting
from core.sync.acts import retry_payment
from core.sync.lane_work import BooksLane, load_lane
from core.sync.operations import perform
from core.sync.worker import Worker
from core.wiring import Wiring, open_wiring
from tests.core.sync.conftest import PORTRAIT, Studio, sale
from tests.factories import make_connection, make_person
from tests.runtime import VirtualRuntime
from web.sandbox.app import Sandbox, create_sandbox
from web.sandbox.faults import FaultKind, FaultRule
from web.sandbox.quickbooks.client import QuickBooksControl
from web.sandbox.settings import SandboxSettings

BASE = "http://sandbox.test"
STEPS = ["customer", "item", "invoice", "payment"]


@dataclass
class Desk(Studio):
    """A studio whose books are the sandbox's QuickBooks."""

    sandbox: Sandbox = None  # type: ignore[assignment]
    control: QuickBooksControl = None  # type: ignore[assignment]
    realm: str = ""

    async def fail(self, step: str, kind: FaultKind, **rule: object) -> None:
        self.sandbox.faults.add(
            FaultRule(kind=kind, provider="quickbooks", method="POST", path=rf"/{step}\?", **rule)  # type: ignore[arg-type]
        )

    async def assert_once(self, amount: int = 43300, sales: int = 1) -> None:
        """Exactly one of everything, paid to the cent, and no key ever used for two bodies."""
        invoices = await self.control.documents(self.realm, "invoice")
        payments = await self.control.documents(self.realm, "payment")
        assert len(invoices) == len(payments) == sales
        assert all(float(invoice["Balance"]) == 0 for invoice in invoices)
        assert (
            len([c for c in await self.control.documents(self.realm, "customer") if c["DisplayName"] == "Anna Berg"])
            == 1
        )
        balance = await self.control.trial_balance(self.realm)
        assert balance["Stripe clearing"] == amount * sales
        assert balance["Session Income"] == -amount * sales
        assert sum(balance.values()) == 0
        assert await self.control.requestid_violations(self.realm) == []


def desk_settings(settings: Settings) -> Settings:
    """Point ``settings`` at the sandbox of this process."""
    known = SandboxSettings()
    return msgspec.structs.replace(
        settings,
        stripe_api_base=BASE,
        quickbooks_api_base=BASE,
        quickbooks_token_url=f"{BASE}/oauth2/v1/tokens/bearer",
        quickbooks_client_id=known.intuit_client_id,
        quickbooks_client_secret=known.intuit_client_secret,
    )


async def open_desk(wiring: Wiring, sandbox: Sandbox, control: QuickBooksControl, name: str = "Anna Berg") -> Desk:
    """Open a tenant whose books are a new company of the sandbox, mapped and started."""
    realm = (await control.create_company(name)).realm_id
    tokens = await control.connect(realm)
    person = await make_person(wiring, tenant={"posting_starts_at": datetime(2026, 1, 1, tzinfo=UTC)})
    stripe = await make_connection(wiring, person.tenant_id, "stripe", mode=ConnectionMode.RESTRICTED_KEY)
    books = await make_connection(wiring, person.tenant_id, external_id=realm)
    now = wiring.runtime.now()
    async with wiring.db.tenant(person.tenant_id, write=True) as session:
        row = await session.get_one(Connection, books.id)
        row.access_token = seal(wiring.keys, row, "access_token", tokens.access_token)
        row.refresh_token = seal(wiring.keys, row, "refresh_token", tokens.refresh_token)
        row.access_expires_at = now + timedelta(seconds=tokens.expires_in)
    provider = open_books(wiring, books, tokens.access_token)
    await provider.create_account("Stripe clearing", AccountType.BANK, key="clearing")
    accounts = {}
    async with wiring.db.tenant(person.tenant_id, write=True) as session:
        for account in await provider.list_accounts():
            accounts[account.name] = account.external_id
            session.add(
                BooksAccount(
                    connection_id=books.id,
                    external_id=account.external_id,
                    name=account.name,
                    number=account.number,
                    type=account.type.value,
                    currency=account.currency,
                    is_active=account.active,
                    read_at=now,
                )
            )
        session.add(
            RoleVersion(
                connection_id=books.id,
                role=AccountRole.CLEARING,
                version=1,
                account_id=accounts["Stripe clearing"],
                created_at=now,
                created_by=person.user_id,
            )
        )
    desk = Desk(wiring, person, stripe, books, None, Worker(wiring), accounts, sandbox, control, realm)  # type: ignore[arg-type]
    await desk.map(PORTRAIT.key, "Session Income")
    return desk


@pytest.fixture
async def desk(settings: Settings, runtime: VirtualRuntime, migrated_file) -> AsyncIterator[Desk]:
    sandbox = create_sandbox(SandboxSettings(base_url=BASE), runtime)
    transport = httpx.ASGITransport(app=sandbox.app)
    shutil.copyfile(migrated_file, settings.database_url.removeprefix("sqlite:///"))
    async with (
        open_wiring(desk_settings(settings), runtime=runtime, transport=transport) as wiring,
        httpx.AsyncClient(transport=transport) as http,
    ):
        yield await open_desk(wiring, sandbox, QuickBooksControl(BASE, http), "Anna Berg Photography")


async def test_a_quiet_day_costs_the_calls_that_it_should(desk: Desk) -> None:
    payment_id = await desk.pay(sale())
    await desk.quiet()
    assert (await desk.payment(payment_id)).state is PaymentState.SYNCED
    await desk.assert_once()
    counters = await desk.control.counters(desk.realm)
    assert counters.throttled == 0


FAULTS = [
    pytest.param(FaultKind.DROP_AFTER_COMMIT, {}, id="answer lost after commit"),
    pytest.param(FaultKind.DROP_BEFORE_COMMIT, {}, id="line cut before commit"),
    pytest.param(FaultKind.STATUS, {"status": 500}, id="500 before commit"),
    pytest.param(FaultKind.STATUS, {"status": 503, "after_commit": True}, id="503 after commit"),
    pytest.param(FaultKind.JUNK, {"after_commit": True}, id="junk after commit"),
    pytest.param(FaultKind.TRUNCATE, {}, id="half an answer"),
    pytest.param(FaultKind.HTML_500, {}, id="a proxy's page"),
    pytest.param(FaultKind.RATE_LIMIT, {}, id="429"),
    pytest.param(FaultKind.STATUS, {"status": 401}, id="401"),
    pytest.param(FaultKind.DROP_AFTER_COMMIT, {"count": 2}, id="answer lost twice"),
    pytest.param(FaultKind.DROP_BEFORE_COMMIT, {"count": 7}, id="an outage of seven calls"),
]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(("kind", "rule"), FAULTS)
async def test_a_doubt_at_any_step_ends_in_exactly_one_sale(desk: Desk, step: str, kind: FaultKind, rule: dict) -> None:
    await desk.fail(step, kind, **rule)
    payment_id = await desk.pay(sale())
    await desk.quiet(hours=12 if rule.get("count", 1) > 2 else 1)
    payment = await desk.payment(payment_id)
    assert (payment.state, payment.reason) == (PaymentState.SYNCED, None)
    # A second loss may be spared: the look-up may come before the repeat.
    assert 1 <= desk.sandbox.faults.rules()[0].hits <= rule.get("count", 1)
    await desk.assert_once()


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("forgets", [False, True], ids=["keys remembered", "keys forgotten"])
@pytest.mark.parametrize("sent", [False, True], ids=["died before the call", "died after the call"])
async def test_a_process_that_dies_between_intent_and_result(desk: Desk, step: str, sent: bool, forgets: bool) -> None:
    payment_id = await desk.pay(sale())
    item = next(i for i in await desk.rows(SyncItem) if i.payment_id == payment_id)
    [claim] = [c for c in await lanes.claim_lanes(desk.wiring.db, 8) if c.connection_id == desk.books.id]
    async with desk.wiring.db.tenant(desk.tenant_id) as session:
        lane = BooksLane(desk.wiring, claim, *await load_lane(session, claim.connection_id))
    planned = await posting.advance(lane, item.id, None)
    while planned is not None and not (planned.write.kind == step and planned.move.name == "SEND"):
        planned = await posting.advance(lane, item.id, await lane.call(planned))
    assert planned is not None
    if sent:
        await lane.call(planned)
    if forgets:
        await desk.control.forget_requestids(desk.realm)
        desk.runtime.forward(minutes=5)
    # The process is gone; its lane is free when the lease ends.
    desk.runtime.forward(seconds=61)
    await desk.quiet(hours=1)
    assert (await desk.payment(payment_id)).state is PaymentState.SYNCED
    await desk.assert_once()


async def test_a_late_finisher_changes_nothing(desk: Desk) -> None:
    payment_id = await desk.pay(sale())
    item = next(i for i in await desk.rows(SyncItem) if i.payment_id == payment_id)
    [claim] = [c for c in await lanes.claim_lanes(desk.wiring.db, 8) if c.connection_id == desk.books.id]
    async with desk.wiring.db.tenant(desk.tenant_id) as session:
        lane = BooksLane(desk.wiring, claim, *await load_lane(session, claim.connection_id))
    planned = await posting.advance(lane, item.id, None)
    assert planned is not None
    desk.runtime.forward(seconds=61)
    await desk.quiet()
    report = await perform(lane.books, planned)
    with pytest.raises(LeaseLostError):
        await posting.advance(lane, item.id, report)
    await desk.assert_once()


async def test_an_expired_access_token_is_refreshed_in_the_middle(desk: Desk) -> None:
    await desk.control.expire_tokens(desk.realm)
    payment_id = await desk.pay(sale())
    await desk.quiet()
    assert (await desk.payment(payment_id)).state is PaymentState.SYNCED
    await desk.assert_once()


async def test_a_revoked_grant_blocks_without_failing_and_resumes_after_the_reconnect(desk: Desk) -> None:
    await desk.control.revoke_tokens(desk.realm)
    payment_id = await desk.pay(sale())
    await desk.quiet(hours=1)
    payment = await desk.payment(payment_id)
    assert (payment.state, payment.reason) == (PaymentState.WAITING, Reason.RECONNECT_BOOKS)
    [books] = [c for c in await desk.rows(Connection) if c.id == desk.books.id]
    assert books.status is ConnectionStatus.NEEDS_RECONNECT
    assert len([i for i in await desk.rows(SyncItem) if i.due_at and i.connection_id == books.id]) == 0


async def test_a_total_that_the_books_change_is_stopped_before_the_payment(desk: Desk) -> None:
    """The books add a cent of their own: nothing more is posted, and the reader is told the figures."""
    payment_id = await desk.pay(sale())
    await desk.fail("payment", FaultKind.DROP_BEFORE_COMMIT, count=1)
    while not await desk.control.documents(desk.realm, "invoice"):
        await desk.worker.step()
    [invoice] = await desk.control.documents(desk.realm, "invoice")
    await desk.control.void_document(desk.realm, "invoice", invoice["Id"])
    await desk.quiet(hours=2)
    payment = await desk.payment(payment_id)
    assert payment.state is PaymentState.NEEDS_ATTENTION
    assert (await desk.control.trial_balance(desk.realm)).get("Stripe clearing", 0) in (0, 43300)
    operations = {o.step: o for o in await desk.rows(Operation)}
    assert operations["payment"].state in (OperationState.REJECTED, OperationState.UNCERTAIN)


async def test_an_inactive_customer_needs_a_person_and_posts_after_they_acted(desk: Desk) -> None:
    made = await desk.control.create_document(desk.realm, "customer", {"DisplayName": "Anna Berg"})
    await desk.control.deactivate(desk.realm, "customer", made["Id"])
    payment_id = await desk.pay(sale())
    await desk.quiet()
    payment = await desk.payment(payment_id)
    assert (payment.state, payment.reason) == (PaymentState.NEEDS_ATTENTION, Reason.CUSTOMER_INACTIVE)
    await desk.control.activate(desk.realm, "customer", made["Id"])
    async with desk.wiring.db.tenant(desk.tenant_id, write=True) as session:
        now = await desk.wiring.db.now(session)
        assert await retry_payment(session, payment_id, by_user_id=desk.person.user_id, now=now)
    await desk.quiet()
    assert (await desk.payment(payment_id)).state is PaymentState.SYNCED
    await desk.assert_once()


async def test_a_closed_month_is_never_written_to(desk: Desk) -> None:
    await desk.control.set_behaviour(desk.realm, book_close_date="2026-03-01")
    payment_id = await desk.pay(sale())
    await desk.quiet(hours=1)
    payment = await desk.payment(payment_id)
    assert (payment.state, payment.reason) == (PaymentState.NEEDS_ATTENTION, Reason.PERIOD_CLOSED)
    assert await desk.control.documents(desk.realm, "invoice") == []


async def test_a_name_that_a_vendor_has_leads_to_the_next_name(desk: Desk) -> None:
    await desk.control.create_document(desk.realm, "vendor", {"DisplayName": "Anna Berg"})
    payment_id = await desk.pay(sale())
    await desk.quiet(hours=1)
    assert (await desk.payment(payment_id)).state is PaymentState.SYNCED
    names = [c["DisplayName"] for c in await desk.control.documents(desk.realm, "customer")]
    assert "Anna Berg (anna@example.com)" in names


async def test_a_foreign_document_under_our_number_is_left_alone(desk: Desk) -> None:
    await desk.control.set_behaviour(desk.realm, custom_txn_numbers=True, warn_duplicate_numbers=True)
    reference = reference_for(desk.books.id, sale().source_id)
    owner = await desk.control.create_document(desk.realm, "customer", {"DisplayName": "Somebody else"})
    item = (await desk.control.documents(desk.realm, "item"))[0]["Id"]
    line = {
        "Amount": 1.0,
        "DetailType": "SalesItemLineDetail",
        "SalesItemLineDetail": {"ItemRef": {"value": item}, "TaxCodeRef": {"value": "NON"}},
    }
    await desk.control.create_document(
        desk.realm, "invoice", {"CustomerRef": {"value": owner["Id"]}, "DocNumber": reference, "Line": [line]}
    )
    payment_id = await desk.pay(sale())
    await desk.quiet(hours=2)
    payment = await desk.payment(payment_id)
    assert (payment.state, payment.reason) == (PaymentState.NEEDS_ATTENTION, Reason.NUMBER_TAKEN)
    assert len(await desk.control.documents(desk.realm, "invoice")) == 1


async def test_every_failure_is_in_the_history(desk: Desk) -> None:
    await desk.fail("invoice", FaultKind.STATUS, status=500)
    await desk.pay(sale())
    await desk.quiet(hours=1)
    outcomes = {attempt.outcome for attempt in await desk.rows(Attempt)}
    assert AttemptOutcome.UNKNOWN in outcomes
    assert AttemptOutcome.CONFIRMED in outcomes
