"""Rows about money that moved at Stripe and in the books: balance transactions, payouts, documents, readings."""

from datetime import date, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID, uuid4

from core.books.documents import DocumentKind
from core.db.models import (
    BalanceReading,
    BalanceTransaction,
    BooksDocument,
    ClearingLine,
    ClearingReading,
    Dispute,
    DocumentState,
    ItemKind,
    ItemState,
    OpeningBalance,
    Payout,
    Refund,
    SyncItem,
)
from core.db.types import Base
from core.wiring import Wiring
from tests.sales import ZONE

_numbers = count(1)


async def add(wiring: Wiring, tenant_id: UUID, *rows: Base) -> None:
    async with wiring.db.tenant(tenant_id, write=True) as session:
        session.add_all(rows)


async def make_movement(
    wiring: Wiring, tenant_id: UUID, connection_id: UUID, category: str = "charge", *, amount: int, fee: int = 0,
    at: datetime | None = None, **values: Any,
) -> BalanceTransaction:  # fmt: skip
    """Make a balance transaction; ``category`` is Stripe's reporting_category."""
    when = at or wiring.runtime.now() - timedelta(hours=1)
    fields: dict[str, Any] = {
        "id": uuid4(),
        "tenant_id": tenant_id,
        "connection_id": connection_id,
        "stripe_id": f"txn_{next(_numbers):020d}",
        "type": category,
        "reporting_category": category,
        "amount_minor": amount,
        "fee_minor": fee,
        "net_minor": amount - fee,
        "currency": "usd",
        "exchange_rate": None,
        "fee_details": [{"type": "stripe_fee", "amount": fee}] if fee else [],
        "book_date": when.astimezone(ZONE).date(),
        "status": "available",
        "available_at": when,
        "created_at": when,
        "fetched_at": wiring.runtime.now(),
        **values,
    }
    row = BalanceTransaction(**fields)
    await add(wiring, tenant_id, row)
    return row


async def make_payout(
    wiring: Wiring, tenant_id: UUID, connection_id: UUID, *, amount: int, arrives: date, **values: Any
) -> Payout:
    fields: dict[str, Any] = {
        "id": uuid4(),
        "tenant_id": tenant_id,
        "connection_id": connection_id,
        "stripe_id": f"po_{next(_numbers):020d}",
        "amount_minor": amount,
        "currency": "usd",
        "status": "paid",
        "arrival_date": arrives,
        "automatic": True,
        "method": "standard",
        "reconciliation_status": "completed",
        "bank_name": "Umpqua Bank",
        "bank_last4": "8841",
        "lines_read": True,
        "created_at": wiring.runtime.now() - timedelta(days=1),
        "fetched_at": wiring.runtime.now(),
        **values,
    }
    row = Payout(**fields)
    await add(wiring, tenant_id, row)
    return row


async def make_refund(wiring: Wiring, tenant_id: UUID, connection_id: UUID, **values: Any) -> Refund:
    fields: dict[str, Any] = {
        "id": uuid4(),
        "tenant_id": tenant_id,
        "connection_id": connection_id,
        "stripe_id": f"re_{next(_numbers):020d}",
        "amount_minor": 1000,
        "currency": "usd",
        "status": "succeeded",
        "created_at": wiring.runtime.now(),
        "fetched_at": wiring.runtime.now(),
        **values,
    }
    row = Refund(**fields)
    await add(wiring, tenant_id, row)
    return row


async def make_dispute(wiring: Wiring, tenant_id: UUID, connection_id: UUID, **values: Any) -> Dispute:
    fields: dict[str, Any] = {
        "id": uuid4(),
        "tenant_id": tenant_id,
        "connection_id": connection_id,
        "stripe_id": f"dp_{next(_numbers):020d}",
        "amount_minor": 1000,
        "currency": "usd",
        "status": "needs_response",
        "created_at": wiring.runtime.now(),
        "fetched_at": wiring.runtime.now(),
        **values,
    }
    row = Dispute(**fields)
    await add(wiring, tenant_id, row)
    return row


async def make_item(
    wiring: Wiring, tenant_id: UUID, books_id: UUID, kind: ItemKind, source_id: str, **values: Any
) -> SyncItem:
    fields: dict[str, Any] = {
        "id": uuid4(),
        "tenant_id": tenant_id,
        "connection_id": books_id,
        "kind": kind,
        "source_id": source_id,
        "payment_id": None,
        "state": ItemState.DONE,
        "reason": None,
        "reason_detail": {},
        "created_at": wiring.runtime.now(),
        "changed_at": wiring.runtime.now(),
        **values,
    }
    row = SyncItem(**fields)
    await add(wiring, tenant_id, row)
    return row


async def make_document(
    wiring: Wiring, item: SyncItem, kind: DocumentKind, total: int, lines: dict[str | None, int] | None = None,
    **values: Any,
) -> BooksDocument:  # fmt: skip
    """Let a document of ours stand in the books; ``lines`` is what it does to clearing, by balance transaction."""
    number = next(_numbers)
    fields: dict[str, Any] = {
        "id": uuid4(),
        "tenant_id": item.tenant_id,
        "connection_id": item.connection_id,
        "item_id": item.id,
        "step": kind.value,
        "kind": kind,
        "plan_version": 0,
        "state": DocumentState.POSTED,
        "reference": f"T-{number}",
        "external_id": str(number),
        "external_number": str(1000 + number),
        "book_date": wiring.runtime.now().astimezone(ZONE).date(),
        "total_minor": total,
        "currency": "usd",
        "content": {},
        "created_at": wiring.runtime.now(),
        "posted_at": wiring.runtime.now() - timedelta(minutes=10),
        **values,
    }
    row = BooksDocument(**fields)
    await add(wiring, item.tenant_id, row)
    await add(
        wiring,
        item.tenant_id,
        *(
            ClearingLine(
                document_id=row.id, stripe_balance_transaction_id=movement, amount_minor=amount, currency=row.currency
            )
            for movement, amount in (lines or {}).items()
        ),
    )
    return row


async def make_balance(
    wiring: Wiring, tenant_id: UUID, connection_id: UUID, minor: int, **values: Any
) -> BalanceReading:
    fields: dict[str, Any] = {
        "tenant_id": tenant_id,
        "connection_id": connection_id,
        "currency": "usd",
        "available_minor": minor,
        "pending_minor": 0,
        "read_at": wiring.runtime.now() - timedelta(minutes=2),
        **values,
    }
    row = BalanceReading(**fields)
    await add(wiring, tenant_id, row)
    return row


async def make_reading(wiring: Wiring, tenant_id: UUID, books_id: UUID, minor: int, **values: Any) -> ClearingReading:
    fields: dict[str, Any] = {
        "tenant_id": tenant_id,
        "connection_id": books_id,
        "account_id": "11",
        "balance_minor": minor,
        "currency": "usd",
        "read_at": wiring.runtime.now() - timedelta(minutes=1),
        **values,
    }
    row = ClearingReading(**fields)
    await add(wiring, tenant_id, row)
    return row


async def make_opening(
    wiring: Wiring, tenant_id: UUID, connection_id: UUID, minor: int, *, starts_at: datetime, currency: str = "usd"
) -> OpeningBalance:
    row = OpeningBalance(
        tenant_id=tenant_id,
        connection_id=connection_id,
        currency=currency,
        starts_at=starts_at,
        amount_minor=minor,
        read_at=wiring.runtime.now(),
    )
    await add(wiring, tenant_id, row)
    return row
