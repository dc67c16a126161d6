"""A studio with a long history, put into the tables in bulk. The same rows in every run."""

import asyncio
import random
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Table, insert

from core.books.documents import DocumentKind, LineKind
from core.config import load_settings
from core.db.models import (
    BalanceTransaction,
    BooksDocument,
    ClearingLine,
    Customer,
    DocumentState,
    ItemKind,
    ItemState,
    Payment,
    PaymentLine,
    PaymentState,
    ReadState,
    SyncItem,
)
from core.db.types import Base
from core.reasons import Reason
from core.search import index_text
from core.wiring import Wiring, open_wiring
from tests.bench.processes import app_environ
from tests.factories import make_connection, make_person
from tests.sales import make_service

_CHUNK = 5_000
_SPAN = timedelta(days=3 * 365)
_CLIENTS = 2_000
_STATES = (
    (PaymentState.SYNCED, 94),
    (PaymentState.NEEDS_ATTENTION, 2),
    (PaymentState.WAITING, 1),
    (PaymentState.IGNORED, 2),
    (PaymentState.UNDONE, 1),
)
_FIRST_NAMES = ("Anna", "Bela", "Cora", "Dario", "Elif", "Femi", "Greta", "Hugo")


class Place(msgspec.Struct):
    """Who may look at the rows, and what to look for."""

    token: str
    tenant_id: UUID
    needle: str
    newest: datetime

    def paid_at(self, number: int, count: int) -> datetime:
        """Return when payment ``number`` of ``count`` was paid; 0 is the newest."""
        return self.newest - _SPAN * (number / count)


def fill(database_url: str, count: int) -> Place:
    """Fill a migrated database with ``count`` payments of one studio over three years."""
    return asyncio.run(_fill(database_url, count))


async def _fill(database_url: str, count: int) -> Place:
    settings = load_settings(app_environ(database_url, 1))
    async with open_wiring(settings) as wiring:
        person = await make_person(wiring, tenant={"posting_starts_at": datetime(2020, 1, 1, tzinfo=UTC)})
        stripe = await make_connection(wiring, person.tenant_id, "stripe")
        books = await make_connection(wiring, person.tenant_id, "quickbooks")
        services = [await make_service(wiring, person.tenant_id, f"Session {number}") for number in range(10)]
        makers = _Makers(person.tenant_id, stripe.id, books.id, [service.id for service in services])
        await _put(wiring, Customer, [makers.customer(number) for number in range(_CLIENTS)])
        for start in range(0, count, _CHUNK):
            numbers = range(start, min(start + _CHUNK, count))
            made = [makers.payment(number, count) for number in numbers]
            for model, rows in zip(
                (BalanceTransaction, Payment, PaymentLine, SyncItem, BooksDocument, ClearingLine),
                map(list, zip(*made, strict=True)),
                strict=True,
            ):
                await _put(wiring, model, [row for row in rows if row])
        await _analyze(wiring)
    return Place(person.token, person.tenant_id, f"pi_{count // 2:024d}", makers.now)


async def _put(wiring: Wiring, model: type[Base], rows: list[dict[str, Any]]) -> None:
    table = model.__table__
    assert isinstance(table, Table)
    async with wiring.db.engine.begin() as connection:
        await connection.execute(insert(table), rows)


async def _analyze(wiring: Wiring) -> None:
    async with wiring.db.engine.begin() as connection:
        await connection.exec_driver_sql("ANALYZE")


class _Makers:
    """Makes the rows of one payment, with everything that a page or a file reads beside it."""

    def __init__(self, tenant_id: UUID, stripe_id: UUID, books_id: UUID, services: list[UUID]) -> None:
        self._tenant, self._stripe, self._books, self._services = tenant_id, stripe_id, books_id, services
        self._dice = random.Random(1)
        self.now = datetime.now(UTC)

    def customer(self, number: int) -> dict[str, Any]:
        name = f"{_FIRST_NAMES[number % len(_FIRST_NAMES)]} Client{number}"
        return {
            "id": UUID(int=(1 << 120) + number),
            "tenant_id": self._tenant,
            "key": f"cus_{number}",
            "stripe_customer_id": f"cus_{number}",
            "name": name,
            "email": f"client{number}@example.com",
            "phone": None,
            "created_at": self.now,
        }

    def payment(self, number: int, count: int) -> tuple[dict[str, Any], ...]:
        client, service = number % _CLIENTS, self._services[number % len(self._services)]
        amount = 5_000 + 100 * self._dice.randrange(2_000)
        fee = amount * 29 // 1000 + 30
        state = self._dice.choices([s for s, _ in _STATES], [weight for _, weight in _STATES])[0]
        paid_at = self.now - _SPAN * (number / count)
        shared: dict[str, Any] = {"tenant_id": self._tenant}
        payment_id, item_id = UUID(int=(2 << 120) + number), UUID(int=(3 << 120) + number)
        charge, intent, transaction = f"ch_{number:024d}", f"pi_{number:024d}", f"txn_{number:024d}"
        name = self.customer(client)["name"]
        balance = shared | {
            "id": UUID(int=(4 << 120) + number),
            "connection_id": self._stripe,
            "stripe_id": transaction,
            "type": "charge",
            "reporting_category": "charge",
            "amount_minor": amount,
            "fee_minor": fee,
            "net_minor": amount - fee,
            "currency": "usd",
            "exchange_rate": None,
            "fee_details": [],
            "stripe_source_id": charge,
            "stripe_payout_id": f"po_{number // 40}",
            "status": "available",
            "available_at": paid_at,
            "created_at": paid_at,
            "fetched_at": self.now,
        }
        payment: dict[str, Any] = shared | {
            "id": payment_id,
            "connection_id": self._stripe,
            "customer_id": UUID(int=(1 << 120) + client),
            "source_id": intent,
            "stripe_charge_id": charge,
            "amount_minor": amount,
            "currency": "usd",
            "settled_minor": amount,
            "settled_currency": "usd",
            "fee_minor": fee,
            "net_minor": amount - fee,
            "stripe_balance_transaction_id": transaction,
            "refunded_minor": 0,
            "description": "",
            "paid_with": "Visa ending 4242",
            "is_test_mode": True,
            "paid_at": paid_at,
            "book_date": paid_at.date(),
            "facts_hash": f"{number:064d}",
            "fetched_at": self.now,
            "first_seen_at": self.now,
            "search": index_text((name, f"client{client}@example.com", f"{amount / 100:.2f}", intent, charge)),
            "state": state,
            "reason": Reason.SERVICE_NOT_MAPPED if state is PaymentState.NEEDS_ATTENTION else None,
            "reason_detail": {},
            "next_try_at": None,
        }
        line = shared | {
            "id": UUID(int=(5 << 120) + number),
            "payment_id": payment_id,
            "position": 0,
            "kind": LineKind.SERVICE,
            "service_id": service,
            "description": "Session",
            "quantity": 1,
            "amount_minor": amount,
            "tax_minor": 0,
            "has_tax": False,
            "stripe_field": "checkout line item",
            "found_by": "product",
        }
        item: dict[str, Any] = shared | {
            "id": item_id,
            "connection_id": self._books,
            "kind": ItemKind.SALE,
            "source_id": intent,
            "payment_id": payment_id,
            "state": ItemState.DONE,
            "due_at": None,
            "reason": None,
            "reason_detail": {},
            "provider_text": None,
            "provider_request_id": None,
            "created_at": self.now,
            "changed_at": self.now,
        }
        document = shared | {
            "id": UUID(int=(6 << 120) + number),
            "connection_id": self._books,
            "item_id": item_id,
            "step": "invoice",
            "kind": DocumentKind.INVOICE,
            "plan_version": 0,
            "state": DocumentState.POSTED,
            "reference": f"TO-{number:012d}",
            "external_id": str(number),
            "external_number": str(1000 + number),
            "external_version": "0",
            "book_date": paid_at.date(),
            "total_minor": amount,
            "currency": "usd",
            "content": {},
            "created_at": self.now,
            "posted_at": self.now,
            "read_state": ReadState.CHANGED if number % 5_000 == 0 else ReadState.STANDS,
            "read_total_minor": amount + 100 if number % 5_000 == 0 else amount,
        }
        cleared = shared | {
            "id": UUID(int=(7 << 120) + number),
            "document_id": document["id"],
            "stripe_balance_transaction_id": transaction,
            "amount_minor": amount,
            "currency": "usd",
        }
        if state is not PaymentState.SYNCED:
            return balance, payment, line, item, {}, {}
        return balance, payment, line, item, document, cleared
