"""The engine on Xero: exactly one sale after every doubt, though keys are forgotten and errors are remembered.

Xero here is the sandbox's, in this process, with its real double-entry ledger and its honest limits.
"""

import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import msgspec
import pytest

from core.accounting.xero.oauth import SCOPE
from core.books.keys import reference_for
from core.config import Settings
from core.connections.providers import open_books
from core.connections.secrets import seal
from core.db.models import (
    AccountRole,
    Attempt,
    AttemptOutcome,
    BooksAccount,
    BooksDocument,
    Connection,
    ConnectionMode,
    ConnectionStatus,
    PaymentState,
    RoleVersion,
    SyncItem,
)
from core.reasons import Reason
from core.sync import lanes, posting
from core.sync.acts import retry_payment
from core.sync.lane_work import BooksLane, load_lane
from core.sync.worker import Worker
from core.wiring import Wiring, open_wiring
from tests.core.sync.conftest import PORTRAIT, Studio, sale
from tests.factories import make_connection, make_person
from tests.runtime import VirtualRuntime
from web.sandbox.app import Sandbox, create_sandbox
from web.sandbox.faults import FaultKind, FaultRule
from web.sandbox.settings import SandboxSettings
from web.sandbox.xero.client import XeroControl

BASE = "http://sandbox.test"
STEPS = {"customer": "Contacts", "invoice": "Invoices", "payment": "Payments"}
CLEARING, INCOME = "Stripe Clearing", "Session Fees"


@dataclass
class Desk(Studio):
    """A studio whose books are an organisation of the sandbox's Xero."""

    sandbox: Sandbox = None  # type: ignore[assignment]
    control: XeroControl = None  # type: ignore[assignment]
    organisation: str = ""

    def fail(self, step: str, kind: FaultKind, **rule: Any) -> None:
        path = rf"/{STEPS[step]}\?summarizeErrors"
        self.sandbox.faults.add(FaultRule(kind=kind, provider="xero", method="PUT", path=path, **rule))

    async def retry(self, payment_id: Any) -> bool:
        async with self.wiring.db.tenant(self.tenant_id, write=True) as session:
            now = await self.wiring.db.now(session)
            return await retry_payment(session, payment_id, by_user_id=self.person.user_id, now=now)

    async def records(self, element: str) -> list[dict[str, Any]]:
        return await self.control.records(self.organisation, element)

    async def assert_once(self, amount: int = 43300, sales: int = 1) -> None:
        """Exactly one of everything, paid to the cent, and no key ever used for two bodies."""
        invoices, payments = await self.records("Invoice"), await self.records("Payment")
        assert len(invoices) == len(payments) == sales
        assert {invoice["Status"] for invoice in invoices} == {"PAID"}
        names = [contact["Name"] for contact in await self.records("Contact")]
        assert [name for name in names if name.startswith("Anna Berg")] == ["Anna Berg"]
        balance = await self.control.trial_balance(self.organisation)
        assert balance[CLEARING] == amount * sales
        assert balance[INCOME] == -amount * sales
        assert sum(balance.values()) == 0
        assert await self.control.violations(self.organisation) == []


def desk_settings(settings: Settings) -> Settings:
    known = SandboxSettings()
    return msgspec.structs.replace(
        settings,
        stripe_api_base=BASE,
        xero_api_base=BASE,
        xero_token_url=f"{BASE}/connect/token",
        xero_client_id=known.xero_client_id,
        xero_client_secret=known.xero_client_secret,
    )


async def open_desk(wiring: Wiring, sandbox: Sandbox, control: XeroControl, name: str = "Anna Berg") -> Desk:
    """Open a tenant whose books are a new organisation, mapped and started."""
    organisation = (await control.create_organisation(name, "US")).tenant_id
    tokens = await control.connect(organisation, scope=SCOPE)
    now = wiring.runtime.now()
    person = await make_person(wiring, tenant={"posting_starts_at": datetime(2026, 1, 1, tzinfo=UTC)})
    stripe = await make_connection(wiring, person.tenant_id, "stripe", mode=ConnectionMode.RESTRICTED_KEY)
    books = await make_connection(wiring, person.tenant_id, "xero", external_id=organisation)
    async with wiring.db.tenant(person.tenant_id, write=True) as session:
        row = await session.get_one(Connection, books.id)
        row.access_token = seal(wiring.keys, row, "access_token", tokens.access_token)
        row.refresh_token = seal(wiring.keys, row, "refresh_token", tokens.refresh_token)
        row.access_expires_at = now + timedelta(seconds=tokens.expires_in)
    accounts = {}
    async with wiring.db.tenant(person.tenant_id, write=True) as session:
        for account in await open_books(wiring, books, tokens.access_token).list_accounts():
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
                account_id=accounts[CLEARING],
                created_at=now,
                created_by=person.user_id,
            )
        )
    await control.clear_counters(organisation)
    desk = Desk(wiring, person, stripe, books, None, Worker(wiring), accounts, sandbox, control, organisation)  # type: ignore[arg-type]
    await desk.map(PORTRAIT.key, INCOME)
    return desk


@dataclass
class House:
    """One process, one sandbox."""

    wiring: Wiring
    sandbox: Sandbox
    control: XeroControl

    async def desk(self, name: str = "Anna Berg") -> Desk:
        return await open_desk(self.wiring, self.sandbox, self.control, name)


@pytest.fixture
async def house(settings: Settings, runtime: VirtualRuntime, migrated_file) -> AsyncIterator[House]:
    sandbox = create_sandbox(SandboxSettings(base_url=BASE), runtime)
    transport = httpx.ASGITransport(app=sandbox.app)
    shutil.copyfile(migrated_file, settings.database_url.removeprefix("sqlite:///"))
    async with (
        open_wiring(desk_settings(settings), runtime=runtime, transport=transport) as wiring,
        httpx.AsyncClient(transport=transport) as http,
    ):
        yield House(wiring, sandbox, XeroControl(BASE, http))


@pytest.fixture
async def desk(house: House) -> Desk:
    return await house.desk()


async def test_a_quiet_day_costs_the_calls_that_it_should(desk: Desk) -> None:
    payment_id = await desk.pay(sale())
    await desk.quiet()
    assert (await desk.payment(payment_id)).state is PaymentState.SYNCED
    await desk.assert_once()
    # A client nobody knows: asked for by number and by name, then made; then the sale and its money.
    assert (await desk.control.counters(desk.organisation))["calls"] == 5
    await desk.control.clear_counters(desk.organisation)
    await desk.pay(sale(2))
    await desk.quiet()
    await desk.assert_once(sales=2)
    counters = await desk.control.counters(desk.organisation)
    assert (counters["calls"], counters.get("throttled", 0)) == (2, 0)


async def test_what_stands_in_the_books_says_whose_it_is(desk: Desk) -> None:
    payment_id = await desk.pay(sale())
    await desk.quiet()
    reference = reference_for(desk.books.id, sale().source_id)
    (invoice,), (payment,) = await desk.records("Invoice"), await desk.records("Payment")
    assert invoice["InvoiceNumber"] == reference
    assert (await desk.payment(payment_id)).source_id in invoice["Reference"]
    assert payment["Reference"].split()[0] == reference
    (line,) = invoice["LineItems"]
    assert (line["AccountCode"], line["AccountID"]) == ("200", desk.accounts[INCOME])
    documents = {d.step: d.external_id for d in await desk.rows(BooksDocument)}
    assert documents == {"invoice": invoice["InvoiceID"], "payment": payment["PaymentID"]}


FAULTS = [
    pytest.param(FaultKind.DROP_AFTER_COMMIT, {}, id="answer lost after commit"),
    pytest.param(FaultKind.DROP_BEFORE_COMMIT, {}, id="line cut before commit"),
    pytest.param(FaultKind.STATUS, {"status": 500}, id="500 before commit"),
    pytest.param(FaultKind.STATUS, {"status": 503, "after_commit": True}, id="503 after commit"),
    pytest.param(FaultKind.JUNK, {"after_commit": True}, id="junk after commit"),
    pytest.param(FaultKind.TRUNCATE, {}, id="half an answer"),
    pytest.param(FaultKind.HTML_500, {}, id="a proxy's page"),
    pytest.param(FaultKind.RATE_LIMIT, {"code": "minute", "retry_after": "17"}, id="429 of the minute"),
    pytest.param(FaultKind.RATE_LIMIT, {"code": "concurrent"}, id="429 of too many at once"),
    pytest.param(FaultKind.STATUS, {"status": 401}, id="401"),
    pytest.param(FaultKind.DROP_AFTER_COMMIT, {"count": 2}, id="answer lost twice"),
    pytest.param(FaultKind.DROP_BEFORE_COMMIT, {"count": 7}, id="an outage of seven calls"),
]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(("kind", "rule"), FAULTS)
async def test_a_doubt_at_any_step_ends_in_exactly_one_sale(
    desk: Desk, step: str, kind: FaultKind, rule: dict[str, Any]
) -> None:
    desk.fail(step, kind, **rule)
    payment_id = await desk.pay(sale())
    await desk.quiet(hours=12 if rule.get("count", 1) > 2 else 1)
    payment = await desk.payment(payment_id)
    assert (payment.state, payment.reason) == (PaymentState.SYNCED, None)
    # A second loss may be spared: the look-up may come before the repeat.
    assert 1 <= desk.sandbox.faults.rules()[0].hits <= rule.get("count", 1)
    await desk.assert_once()


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("stored", [0, 1], ids=["died before storing", "died after storing"])
async def test_an_error_that_xero_remembers_does_not_stop_the_sale(desk: Desk, step: str, stored: int) -> None:
    """Under its old key the error would be repeated for six minutes; the next sending has another key."""
    payment_id = await desk.pay(sale())
    # Held at the step by its pace, so that the next write is the one that breaks.
    desk.fail(step, FaultKind.RATE_LIMIT, code="minute", retry_after="5")
    await desk.worker.step()
    await desk.control.break_next(desk.organisation, after_elements=stored)
    began = desk.runtime.now()
    await desk.quiet(hours=0.2)
    assert (await desk.payment(payment_id)).state is PaymentState.SYNCED
    attempts = [attempt for attempt in await desk.rows(Attempt) if attempt.at >= began]
    assert AttemptOutcome.UNKNOWN in {attempt.outcome for attempt in attempts}
    assert max(attempt.at for attempt in attempts) - began < timedelta(minutes=5)
    assert (await desk.control.counters(desk.organisation)).get("replayed", 0) == 0
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
        await desk.control.forget_idempotency()
        desk.runtime.forward(minutes=7)
    # The process is gone; its lane is free when the lease ends.
    desk.runtime.forward(seconds=61)
    await desk.quiet(hours=1)
    assert (await desk.payment(payment_id)).state is PaymentState.SYNCED
    await desk.assert_once()


# -- access


async def test_an_expired_access_token_is_refreshed_in_the_middle(desk: Desk) -> None:
    await desk.control.expire_tokens()
    payment_id = await desk.pay(sale())
    await desk.quiet()
    assert (await desk.payment(payment_id)).state is PaymentState.SYNCED
    await desk.assert_once()


async def test_a_day_of_sales_outlives_many_tokens(desk: Desk) -> None:
    for number in range(1, 6):
        await desk.pay(sale(number))
        await desk.quiet()
        desk.runtime.forward(hours=5)
    await desk.quiet()
    await desk.assert_once(sales=5)


async def test_disconnected_within_xero_everything_waits_and_nothing_fails(desk: Desk) -> None:
    await desk.control.disconnect(desk.organisation)
    payment_id = await desk.pay(sale())
    await desk.quiet(hours=1)
    payment = await desk.payment(payment_id)
    assert (payment.state, payment.reason) == (PaymentState.WAITING, Reason.RECONNECT_BOOKS)
    [books] = [c for c in await desk.rows(Connection) if c.id == desk.books.id]
    assert books.status is ConnectionStatus.NEEDS_RECONNECT


async def test_two_workspaces_of_one_person_never_cross(house: House) -> None:
    first, second = await house.desk("Anna Berg"), await house.desk("Ana Lima")
    await first.pay(sale(1))
    await second.pay(sale(2, amount=10000))
    await first.quiet()
    await first.assert_once()
    await second.assert_once(amount=10000)


# -- pace


async def test_a_backlog_travels_together(desk: Desk) -> None:
    for number in range(1, 41):
        await desk.pay(sale(number))
    await desk.quiet()
    counters = await desk.control.counters(desk.organisation)
    # One client nobody knows (three calls), all invoices, all their money.
    assert (counters["calls"], counters.get("throttled", 0)) == (5, 0)
    await desk.assert_once(sales=40)


async def test_a_used_up_day_parks_the_connection_until_it_is_over(desk: Desk) -> None:
    # Reading the accounts, looking for the client twice and making it: that was the day.
    await desk.control.set_behaviour(desk.organisation, day_limit=4)
    payment_id = await desk.pay(sale())
    await desk.quiet(hours=2)
    payment = await desk.payment(payment_id)
    assert (payment.state, payment.reason) == (PaymentState.WAITING, Reason.RATE_LIMITED)
    assert (await desk.control.counters(desk.organisation))["throttled"] == 1
    await desk.quiet(hours=24)
    assert (await desk.payment(payment_id)).state is PaymentState.SYNCED
    await desk.assert_once()


# -- what people do in the books


async def test_a_closed_month_is_never_written_to(desk: Desk) -> None:
    await desk.control.set_behaviour(desk.organisation, period_lock_date="2026-03-01")
    payment_id = await desk.pay(sale())
    await desk.quiet(hours=1)
    payment = await desk.payment(payment_id)
    assert (payment.state, payment.reason) == (PaymentState.NEEDS_ATTENTION, Reason.PERIOD_CLOSED)
    assert payment.reason_detail["closed_to"] == "2026-03-01"
    assert await desk.records("Invoice") == []
    await desk.control.set_behaviour(desk.organisation, period_lock_date=None)
    assert await desk.retry(payment_id)
    await desk.quiet()
    await desk.assert_once()


async def test_an_archived_client_needs_a_person_and_posts_after_they_acted(desk: Desk) -> None:
    body = {"Name": "Anna Berg", "EmailAddress": "anna@example.com"}
    made = await desk.control.create_record(desk.organisation, "Contact", body)
    await desk.control.act(desk.organisation, "Contact", made["ContactID"], "archive")
    payment_id = await desk.pay(sale())
    await desk.quiet()
    payment = await desk.payment(payment_id)
    assert (payment.state, payment.reason) == (PaymentState.NEEDS_ATTENTION, Reason.CUSTOMER_INACTIVE)
    await desk.control.act(desk.organisation, "Contact", made["ContactID"], "restore")
    assert await desk.retry(payment_id)
    await desk.quiet()
    await desk.assert_once()


async def test_a_voided_invoice_stops_the_money_and_is_not_made_again(desk: Desk) -> None:
    payment_id = await desk.pay(sale())
    desk.fail("payment", FaultKind.DROP_BEFORE_COMMIT)
    while not await desk.records("Invoice"):
        await desk.worker.step()
    [invoice] = await desk.records("Invoice")
    await desk.control.act(desk.organisation, "Invoice", invoice["InvoiceID"], "void")
    await desk.quiet(hours=2)
    payment = await desk.payment(payment_id)
    assert (payment.state, payment.reason) == (PaymentState.NEEDS_ATTENTION, Reason.CHANGED_IN_BOOKS)
    assert [row["Status"] for row in await desk.records("Invoice")] == ["VOIDED"]
    assert await desk.records("Payment") == []


async def test_a_foreign_invoice_under_our_number_is_left_alone(desk: Desk) -> None:
    body = {
        "Type": "ACCREC",
        "Status": "AUTHORISED",
        "Contact": {"Name": "Somebody else"},
        "Date": "2026-03-01",
        "DueDate": "2026-03-01",
        "InvoiceNumber": reference_for(desk.books.id, sale().source_id),
        "LineItems": [{"Description": "Work", "UnitAmount": 1, "AccountID": desk.accounts[INCOME]}],
    }
    await desk.control.create_record(desk.organisation, "Invoice", body)
    payment_id = await desk.pay(sale())
    await desk.quiet(hours=2)
    payment = await desk.payment(payment_id)
    assert (payment.state, payment.reason) == (PaymentState.NEEDS_ATTENTION, Reason.NUMBER_TAKEN)
    assert len(await desk.records("Invoice")) == 1
    assert await desk.records("Payment") == []
