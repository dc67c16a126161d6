"""A tenant with Stripe and the practice books, mapped and started: what the engine works on."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import msgspec
import pytest
from sqlalchemy import select, update

from core.accounting.mock.adapter import MockAccountingAdapter
from core.accounting.port import AccountType
from core.books.documents import LineKind
from core.config import Settings
from core.connections.attach import Person as Owner
from core.connections.attach import attach
from core.connections.disconnect import disconnect
from core.connections.providers import open_books
from core.db.models import (
    AccountRole,
    BooksAccount,
    Connection,
    ConnectionMode,
    MappingVersion,
    Payment,
    PaymentState,
    RoleVersion,
    Service,
    SyncItem,
)
from core.db.upsert import upsert
from core.intake.facts import Client, Line, Movement, PaymentFacts, ServiceRef
from core.intake.store import store_service
from core.oauth import Identity
from core.reasons import Reason
from core.sync.acts import retry_payment
from core.sync.items import take_facts
from core.sync.lanes import HEARTBEAT_S
from core.sync.worker import Worker
from core.wiring import Wiring, open_wiring
from tests.factories import Person, make_connection, make_person
from tests.postgres import Cluster
from tests.runtime import VirtualRuntime


class SteadyRuntime(VirtualRuntime):
    """A clock that heartbeats do not move: in no time at all they would make hours of the shortest call."""

    async def sleep(self, seconds: float) -> None:
        if seconds >= HEARTBEAT_S:
            await asyncio.get_running_loop().create_future()
        await super().sleep(seconds)


@pytest.fixture
def runtime() -> VirtualRuntime:
    """The clock of every test of the engine."""
    return SteadyRuntime()


PORTRAIT = ServiceRef("prod_portrait", "Portrait session")


@dataclass
class Studio:
    """One tenant on the engine, with its practice books open for a look."""

    wiring: Wiring
    person: Person
    stripe: Connection
    books: Connection
    ledger: MockAccountingAdapter
    worker: Worker
    accounts: dict[str, str]

    @property
    def tenant_id(self) -> UUID:
        return self.person.tenant_id

    @property
    def runtime(self) -> VirtualRuntime:
        assert isinstance(self.wiring.runtime, VirtualRuntime)
        return self.wiring.runtime

    async def pay(self, facts: PaymentFacts) -> UUID:
        """Let Stripe's facts of one payment arrive."""
        async with self.wiring.db.tenant(self.tenant_id, write=True) as session:
            now = await self.wiring.db.now(session)
            payment = await take_facts(
                session, tenant_id=self.tenant_id, connection_id=self.stripe.id, facts=facts, now=now
            )
            return payment.id

    async def map(self, key: str, account: str | None, *, tax_code_id: str | None = None) -> UUID:
        """Decide where a service's income goes."""
        async with self.wiring.db.tenant(self.tenant_id, write=True) as session:
            now = await self.wiring.db.now(session)
            service_id = await store_service(session, self.tenant_id, ServiceRef(key, key), now=now)
            made = select(MappingVersion).where(
                MappingVersion.service_id == service_id, MappingVersion.connection_id == self.books.id
            )
            session.add(
                MappingVersion(
                    id=uuid4(),
                    connection_id=self.books.id,
                    service_id=service_id,
                    version=len((await session.execute(made)).all()) + 1,
                    income_account_id=self.accounts[account] if account else None,
                    tax_code_id=tax_code_id,
                    created_at=now,
                    created_by=self.person.user_id,
                )
            )
            return service_id

    async def quiet(self, *, hours: float = 0) -> None:
        """Run the worker until nothing is due, for some hours of its own clock."""
        end = self.runtime.now() + timedelta(hours=hours)
        while True:
            while await self.worker.step():
                pass
            if self.runtime.now() >= end:
                return
            self.runtime.forward(minutes=2)

    async def let_all_go_on(self) -> None:
        """Let nothing wait for its next try any longer; PostgreSQL's own clock cannot be moved."""
        async with self.wiring.db.tenant(self.tenant_id, write=True) as session:
            now = await self.wiring.db.now(session)
            waiting = update(SyncItem).where(SyncItem.due_at.is_not(None)).values(due_at=now)
            await session.execute(waiting.execution_options(synchronize_session=False))

    async def payment(self, payment_id: UUID) -> Payment:
        async with self.wiring.db.tenant(self.tenant_id) as session:
            return await session.get_one(Payment, payment_id)

    async def retry(self, payment_id: UUID) -> bool:
        """Click on "Retry"."""
        async with self.wiring.db.tenant(self.tenant_id, write=True) as session:
            now = await self.wiring.db.now(session)
            return await retry_payment(session, payment_id, by_user_id=self.person.user_id, now=now)

    async def stands(self, payment_id: UUID) -> tuple[PaymentState, Reason | None]:
        """Return how a payment stands."""
        payment = await self.payment(payment_id)
        return payment.state, payment.reason

    async def disconnect(self) -> None:
        """End the connection to the books, as the button does."""
        await disconnect(self.wiring, self._owner(), self.books.kind)

    async def connect(self, external_id: str) -> "Studio":
        """Connect practice books; the same ones again or others. Return the studio as it is then."""
        identity = Identity(external_id, external_id, "US", "usd", True, {})
        connection_id = await attach(
            self.wiring,
            self._owner(),
            kind="mock",
            mode=ConnectionMode.BUILT_IN,
            identity=identity,
            put_secrets=lambda _: None,
        )
        async with self.wiring.db.tenant(self.tenant_id) as session:
            books = await session.get_one(Connection, connection_id)
        ledger, accounts = await _keep_books(self.wiring, self.person, books)
        return replace(self, books=books, ledger=ledger, accounts=accounts)

    def _owner(self) -> Owner:
        return Owner(self.tenant_id, self.person.user_id, self.person.session_hash)

    async def rows(self, model: type) -> list:
        async with self.wiring.db.tenant(self.tenant_id) as session:
            return list((await session.execute(select(model))).scalars())


def sale(
    number: int = 1, *, amount: int = 43300, tax: int = 0, service: ServiceRef = PORTRAIT, **values
) -> PaymentFacts:
    """Facts of one paid sale."""
    source = f"pi_{number:08d}"
    facts = {
        "source_id": source,
        "charge_id": f"ch_{number:08d}",
        "amount_minor": amount,
        "refunded_minor": 0,
        "currency": "usd",
        "is_live": False,
        "paid_at": datetime(2026, 3, 1, 15, 0, tzinfo=UTC),
        "description": "",
        "paid_with": "Visa ending 4242",
        "client": Client("cus_anna", "cus_anna", "Anna Berg", "anna@example.com", None),
        "lines": (
            Line(
                LineKind.SERVICE, service, service.name, 1, amount - tax, tax, bool(tax), "test", "Stripe checkout line"
            ),
        ),
        "movement": None,
        **values,
    }
    return PaymentFacts(**facts)


def movement(number: int, amount: int, fee: int, currency: str = "usd") -> Movement:
    at = datetime(2026, 3, 1, 15, 0, tzinfo=UTC)
    return Movement(
        f"txn_{number:08d}", "charge", "charge", amount, fee, amount - fee, currency, None, (), f"ch_{number:08d}",
        "pending", at, at,
    )  # fmt: skip


async def _studio(wiring: Wiring) -> Studio:
    long_ago = datetime(2026, 1, 1, tzinfo=UTC)
    person = await make_person(wiring, tenant={"posting_starts_at": long_ago})
    stripe = await make_connection(wiring, person.tenant_id, "stripe", mode=ConnectionMode.RESTRICTED_KEY)
    books = await make_connection(
        wiring, person.tenant_id, "mock", mode=ConnectionMode.BUILT_IN, external_id=f"mock-{person.tenant_id}"
    )
    ledger, accounts = await _keep_books(wiring, person, books)
    return Studio(wiring, person, stripe, books, ledger, Worker(wiring), accounts)


async def _keep_books(
    wiring: Wiring, person: Person, books: Connection
) -> tuple[MockAccountingAdapter, dict[str, str]]:
    """Open practice books, with a clearing account that is chosen."""
    ledger = open_books(wiring, books, "")
    assert isinstance(ledger, MockAccountingAdapter)
    await ledger.create_account("Stripe clearing", AccountType.BANK, key="clearing")
    await ledger.create_account("Session income", AccountType.INCOME, key="income")
    accounts = {account.name: account.external_id for account in await ledger.list_accounts()}
    async with wiring.db.tenant(person.tenant_id, write=True) as session:
        for account in await ledger.list_accounts():
            await upsert(
                session,
                BooksAccount,
                {
                    "id": uuid4(),
                    "tenant_id": person.tenant_id,
                    "connection_id": books.id,
                    "external_id": account.external_id,
                    "name": account.name,
                    "number": account.number,
                    "type": account.type.value,
                    "currency": account.currency,
                    "is_active": account.active,
                    # By the clock that items are posted by: on PostgreSQL that is the machine's own.
                    "read_at": await wiring.db.now(session),
                },
                key=("tenant_id", "connection_id", "external_id"),
                update=("is_active",),
            )
        chosen = select(RoleVersion).where(RoleVersion.connection_id == books.id)
        if (await session.execute(chosen)).first() is not None:
            return ledger, accounts
        session.add(
            RoleVersion(
                connection_id=books.id,
                role=AccountRole.CLEARING,
                version=1,
                account_id=accounts["Stripe clearing"],
                created_at=wiring.runtime.now(),
                created_by=person.user_id,
            )
        )
    return ledger, accounts


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
async def studio(
    request: pytest.FixtureRequest, settings: Settings, runtime: VirtualRuntime, tmp_path: Path, migrated_file: Path
) -> AsyncIterator[Studio]:
    settings = msgspec.structs.replace(settings, mock_books_path=str(tmp_path / "books.db"))
    if request.param == "sqlite":
        shutil.copyfile(migrated_file, settings.database_url.removeprefix("sqlite:///"))
        async with open_wiring(settings, runtime=runtime) as wiring:
            yield await _studio(wiring)
        return
    cluster: Cluster = request.getfixturevalue("postgres")
    name = await cluster.new_database()
    settings = msgspec.structs.replace(settings, database_url=cluster.url(name))
    async with open_wiring(settings, runtime=runtime) as wiring:
        yield await _studio(wiring)
    await cluster.take_back(name)


__all__ = ["PORTRAIT", "Service", "Studio", "SyncItem", "movement", "sale", "studio"]
