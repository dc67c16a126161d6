"""Studios with sales that wait, and books that answer at once: the engine alone, without a provider's own time."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Table, func, insert, select

from core.accounting import registry
from core.accounting.mock.adapter import TOGETHER, MockAccountingAdapter
from core.accounting.mock.books import MockBooks
from core.accounting.port import AccountingProvider, Company, Limits, Posted, PreparedWrite
from core.accounting.settings import ProviderSettings
from core.books.documents import MONEY, LineKind
from core.books.roles import SaleStyle
from core.config import load_settings
from core.db.models import (
    BookkeepingVersion,
    BooksAccount,
    BooksDocument,
    BooksLink,
    ConnectionMode,
    Customer,
    DocumentState,
    ItemKind,
    ItemState,
    MappingVersion,
    Operation,
    Payment,
    PaymentLine,
    PaymentState,
    RoleVersion,
    SyncItem,
)
from core.db.types import Base
from core.errors import ProviderError
from core.outgoing import Outgoing
from core.sync.worker import Worker
from core.wiring import Wiring, open_wiring
from tests.bench.processes import app_environ
from tests.factories import make_connection, make_person
from tests.sales import make_service

INCOME, CLEARING = "income", "clearing"
_NO_PACE = 1e9
_PAID_AT = datetime(2026, 3, 2, 15, tzinfo=UTC)
_CHUNK = 2_000


class LostItemError(Exception):
    """A sale is not in the books exactly once: the measurement is worth nothing."""


class PromptBooks(MockAccountingAdapter):
    """Practice books that keep nothing and answer what was sent, after ``delay_s`` of waiting.

    ``seen`` counts by key how often each write was executed: a key that comes twice is a document that stands twice.
    """

    seen: dict[str, int] = {}  # noqa: RUF012 - of the whole process on purpose: every lane opens its own books
    delay_s = 0.0

    async def execute(self, write: PreparedWrite, *, send: int = 1) -> Posted:
        """Answer for one write."""
        del send
        self._calls += 1
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        return self._answer(write)

    async def execute_many(
        self, writes: Sequence[PreparedWrite], *, key: str, send: int = 1
    ) -> Sequence[Posted | ProviderError]:
        """Answer for each."""
        del key, send
        self._calls += 1
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        return [self._answer(write) for write in writes]

    def _answer(self, write: PreparedWrite) -> Posted:
        self.seen[write.key] = self.seen.get(write.key, 0) + 1
        return Posted(write.key, write.reference, None, write.total_minor, write.currency, write.party_id)


class _NoBooks(MockBooks):
    """Books without a file."""

    def __init__(self) -> None:
        """Open nothing."""


@asynccontextmanager
async def prompt_books(*, together: int = TOGETHER, delay_s: float = 0.0) -> AsyncIterator[type[PromptBooks]]:
    """Let every set of practice books be prompt while the block runs; ``together`` documents travel in one call."""
    kinds = dict.fromkeys(sorted(MONEY), together) if together > 1 else {}

    class Books(PromptBooks):
        seen: dict[str, int] = {}  # noqa: RUF012 - see above
        limits = Limits(calls_per_second=_NO_PACE, settling_s=0.0, together=kinds)

    Books.delay_s = delay_s

    def opened(
        *, outgoing: Outgoing, settings: ProviderSettings, access_token: str, company: Company
    ) -> AccountingProvider:
        del outgoing, settings, access_token
        return Books(_NoBooks(), company)

    before = registry._PROVIDERS["mock"]
    registry._PROVIDERS["mock"] = replace(before, open=opened)
    try:
        yield Books
    finally:
        registry._PROVIDERS["mock"] = before


@dataclass(frozen=True, slots=True)
class Studio:
    """One tenant with a client who buys one thing."""

    tenant_id: UUID
    stripe_id: UUID
    books_id: UUID
    service_id: UUID
    client_id: UUID


@asynccontextmanager
async def opened(database_url: str) -> AsyncIterator[Wiring]:
    """Open the parts of a process on a migrated database."""
    settings = load_settings(app_environ(database_url, 1))
    async with open_wiring(settings) as wiring:
        yield wiring


async def make_studio(wiring: Wiring, *, style: SaleStyle) -> Studio:
    """Make a tenant, mapped and started, with one client whom the books know."""
    person = await make_person(wiring, tenant={"posting_starts_at": datetime(2026, 1, 1, tzinfo=UTC)})
    stripe = await make_connection(wiring, person.tenant_id, "stripe", mode=ConnectionMode.RESTRICTED_KEY)
    books = await make_connection(wiring, person.tenant_id, "mock", mode=ConnectionMode.BUILT_IN)
    service = await make_service(wiring, person.tenant_id)
    now, by = wiring.runtime.now(), person.user_id
    client = Customer(id=uuid4(), key="cus_1", name="Anna Berg", email="anna@example.com", created_at=now)
    async with wiring.db.tenant(person.tenant_id, write=True) as session:
        session.add(client)
        await session.flush()
        for name, kind in ((INCOME, "income"), (CLEARING, "bank")):
            session.add(
                BooksAccount(
                    connection_id=books.id, external_id=name, name=name, type=kind, is_active=True, read_at=now
                )
            )
        session.add(
            RoleVersion(
                connection_id=books.id, role="clearing", version=1, account_id=CLEARING, created_at=now, created_by=by
            )
        )
        session.add(
            MappingVersion(
                id=uuid4(), connection_id=books.id, service_id=service.id, version=1, income_account_id=INCOME,
                created_at=now, created_by=by,
            )
        )  # fmt: skip
        session.add(
            BookkeepingVersion(
                connection_id=books.id, version=1, sale_style=style, fee_style="daily", lost_dispute_tax="kept",
                created_at=now, created_by=by,
            )
        )  # fmt: skip
        session.add(
            BooksLink(
                connection_id=books.id, step=f"customer:{client.id}", kind="customer", customer_id=client.id,
                external_id="1", name="Anna Berg", created_at=now,
            )
        )  # fmt: skip
    return Studio(person.tenant_id, stripe.id, books.id, service.id, client.id)


async def queue_sales(
    wiring: Wiring, studios: Studio | Sequence[Studio], first: int, count: int, *, due_in_s: float = 0
) -> None:
    """Let ``count`` sales of each studio wait, as they stand once Stripe's facts were stored and offered."""
    each = [studios] if isinstance(studios, Studio) else studios
    made = [_sale(wiring, studio, number, due_in_s) for studio in each for number in range(first, first + count)]
    for start in range(0, len(made), _CHUNK):
        part = made[start : start + _CHUNK]
        for model, rows in zip((Payment, PaymentLine, SyncItem), map(list, zip(*part, strict=True)), strict=True):
            await _put(wiring, model, rows)


async def work_off(wiring: Wiring) -> None:
    """Let one worker do everything that is due."""
    worker = Worker(wiring)
    while await worker.step():
        pass


async def check(wiring: Wiring, books: type[PromptBooks], sales: int, documents: int) -> None:
    """Prove that every sale stands once.

    Raises:
        LostItemError: one does not.
    """
    async with wiring.db.system() as session:  # every studio of the measurement
        done = select(func.count()).select_from(SyncItem).where(SyncItem.state == ItemState.DONE)
        posted = select(func.count()).select_from(BooksDocument).where(BooksDocument.state == DocumentState.POSTED)
        keys = select(func.count()).select_from(Operation)
        found = [(await session.execute(statement)).scalar_one() for statement in (done, posted, keys)]
    expected = [sales, sales * documents, sales * documents]
    if found != expected or len(books.seen) != expected[2] or set(books.seen.values()) != {1}:
        raise LostItemError(f"{found} instead of {expected}, {len(books.seen)} keys")


async def _put(wiring: Wiring, model: type[Base], rows: list[dict[str, Any]]) -> None:
    table = model.__table__
    assert isinstance(table, Table)
    async with wiring.db.engine.begin() as connection:
        await connection.execute(insert(table), rows)


def _sale(wiring: Wiring, studio: Studio, number: int, due_in_s: float) -> tuple[Mapping[str, Any], ...]:
    """Return payment, line and item of one sale."""
    payment_id, tenant_id, now = uuid4(), studio.tenant_id, wiring.runtime.now()
    source, amount = f"pi_{number:024d}", 10_000 + number % 977
    payment = {
        "id": payment_id, "tenant_id": tenant_id, "connection_id": studio.stripe_id, "customer_id": studio.client_id,
        "source_id": source, "stripe_charge_id": f"ch_{number:024d}", "amount_minor": amount, "currency": "usd",
        "settled_minor": amount, "settled_currency": "usd", "fee_minor": 300, "net_minor": amount - 300,
        "stripe_balance_transaction_id": f"txn_{number:024d}", "refunded_minor": 0, "description": "Portrait session",
        "paid_with": "Visa ending 4242", "is_test_mode": True, "paid_at": _PAID_AT, "book_date": _PAID_AT.date(),
        "facts_hash": "0" * 64, "fetched_at": now, "first_seen_at": now, "search": source,
        "state": PaymentState.WAITING, "reason_detail": {},
    }  # fmt: skip
    line = {
        "id": uuid4(), "tenant_id": tenant_id, "payment_id": payment_id, "position": 0, "kind": LineKind.SERVICE,
        "service_id": studio.service_id, "description": "Portrait session", "quantity": 1, "amount_minor": amount,
        "tax_minor": 0, "has_tax": False, "stripe_field": "test", "found_by": "Stripe checkout line",
    }  # fmt: skip
    item = {
        "id": uuid4(), "tenant_id": tenant_id, "connection_id": studio.books_id, "kind": ItemKind.SALE,
        "source_id": source, "payment_id": payment_id, "state": ItemState.PENDING, "wanted": 1, "done": 0,
        "plan_version": 0, "tries": 0, "due_at": now + timedelta(seconds=due_in_s), "reason_detail": {},
        "created_at": now, "changed_at": now,
    }  # fmt: skip
    return payment, line, item
