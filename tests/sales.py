"""Services, clients and payments for tests, made with as few words as possible."""

import hashlib
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import event

from core.books.documents import DocumentKind, Invoice, LineKind, SaleLine, Why
from core.books.documents import Payment as PaymentDocument
from core.db.models import (
    BooksAccount,
    BooksDocument,
    BooksTaxCode,
    Customer,
    DocumentState,
    ItemKind,
    ItemState,
    Payment,
    PaymentLine,
    PaymentState,
    Service,
    ServiceSource,
    SyncItem,
)
from core.search import index_text
from core.wiring import Wiring

_numbers = count(1)

HOSTILE = '"><img src=x onerror=alert(1)>{{7*7}}\u202e'
ZONE = ZoneInfo("America/New_York")


async def make_service(wiring: Wiring, tenant_id: UUID, name: str = "", **values: Any) -> Service:
    number = next(_numbers)
    row = Service(
        **{
            "id": uuid4(),
            "tenant_id": tenant_id,
            "key": f"prod_{number}",
            "source": ServiceSource.PRODUCT,
            "name": name or f"Session {number}",
            "unit_amount_minor": 42000,
            "currency": "usd",
            "is_active": True,
            "created_at": wiring.runtime.now(),
            **values,
        }
    )
    async with wiring.db.tenant(tenant_id, write=True) as session:
        session.add(row)
    return row


async def make_customer(wiring: Wiring, tenant_id: UUID, name: str = "", **values: Any) -> Customer:
    number = next(_numbers)
    row = Customer(
        **{
            "id": uuid4(),
            "tenant_id": tenant_id,
            "key": f"cus_{number}",
            "name": name or f"Client {number}",
            "email": f"client{number}@example.com",
            "created_at": wiring.runtime.now(),
            **values,
        }
    )
    async with wiring.db.tenant(tenant_id, write=True) as session:
        session.add(row)
    return row


async def make_payment(
    wiring: Wiring,
    tenant_id: UUID,
    stripe_id: UUID,
    *,
    client: str = "",
    email: str | None = None,
    services: tuple[Service, ...] = (),
    amount: int = 42000,
    fee: int | None = 1248,
    currency: str = "usd",
    state: PaymentState = PaymentState.SYNCED,
    paid_at: datetime | None = None,
    **values: Any,
) -> Payment:
    """Make a payment of a new client, settled as it was paid unless the settled amounts are given."""
    number = next(_numbers)
    customer = await make_customer(wiring, tenant_id, client, **({"email": email} if email else {}))
    when = paid_at or wiring.runtime.now() - timedelta(hours=1)
    settled = values.pop("settled_minor", amount if fee is not None else None)
    fields: dict[str, Any] = {
        "id": uuid4(),
        "tenant_id": tenant_id,
        "connection_id": stripe_id,
        "customer_id": customer.id,
        "source_id": f"pi_{number:024d}",
        "stripe_charge_id": f"ch_{number:024d}",
        "amount_minor": amount,
        "currency": currency,
        "settled_minor": settled,
        "settled_currency": None if settled is None else currency,
        "fee_minor": fee,
        "net_minor": None if settled is None or fee is None else settled - fee,
        "refunded_minor": 0,
        "description": "",
        "paid_with": "Visa ending 4242",
        "is_test_mode": True,
        "paid_at": when,
        "book_date": when.astimezone(ZONE).date(),
        "facts_hash": hashlib.sha256(str(number).encode()).hexdigest(),
        "fetched_at": wiring.runtime.now(),
        "first_seen_at": wiring.runtime.now(),
        "state": state,
        "reason": None,
        "reason_detail": {},
        "next_try_at": None,
        **values,
    }
    words = (customer.name, customer.email, f"{amount / 100:.2f}", fields["source_id"], fields["stripe_charge_id"])
    fields.setdefault("search", index_text(word for word in words if word))
    payment = Payment(**fields)
    async with wiring.db.tenant(tenant_id, write=True) as session:
        session.add(payment)
        await session.flush()
        session.add_all(_lines(payment, services))
    return payment


def _lines(payment: Payment, services: tuple[Service, ...]) -> list[PaymentLine]:
    share = payment.amount_minor // len(services) if services else 0
    return [
        PaymentLine(
            payment_id=payment.id,
            position=position,
            kind=LineKind.SERVICE,
            service_id=service.id,
            description=service.name,
            quantity=1,
            amount_minor=payment.amount_minor - share * (len(services) - 1) if position == 0 else share,
            tax_minor=0,
            has_tax=False,
            stripe_field="checkout line item",
            found_by="product",
        )
        for position, service in enumerate(services)
    ]


async def make_account(wiring: Wiring, tenant_id: UUID, connection_id: UUID, name: str, **values: Any) -> BooksAccount:
    number = next(_numbers)
    row = BooksAccount(
        **{
            "id": uuid4(),
            "tenant_id": tenant_id,
            "connection_id": connection_id,
            "external_id": str(number),
            "name": name,
            "number": None,
            "type": "income",
            "currency": None,
            "is_active": True,
            "read_at": wiring.runtime.now(),
            **values,
        }
    )
    async with wiring.db.tenant(tenant_id, write=True) as session:
        session.add(row)
    return row


async def make_tax_code(wiring: Wiring, tenant_id: UUID, connection_id: UUID, name: str, **values: Any) -> BooksTaxCode:
    row = BooksTaxCode(
        **{
            "id": uuid4(),
            "tenant_id": tenant_id,
            "connection_id": connection_id,
            "external_id": str(next(_numbers)),
            "name": name,
            "rate_ppm": 0,
            "rate_external_id": None,
            "is_active": True,
            "read_at": wiring.runtime.now(),
            **values,
        }
    )
    async with wiring.db.tenant(tenant_id, write=True) as session:
        session.add(row)
    return row


async def make_sale_item(wiring: Wiring, payment: Payment, connection_id: UUID, **values: Any) -> SyncItem:
    row = SyncItem(
        **{
            "id": uuid4(),
            "tenant_id": payment.tenant_id,
            "connection_id": connection_id,
            "kind": ItemKind.SALE,
            "source_id": payment.source_id,
            "payment_id": payment.id,
            "state": ItemState.DONE,
            "reason": None,
            "reason_detail": {},
            "created_at": wiring.runtime.now(),
            "changed_at": wiring.runtime.now(),
            **values,
        }
    )
    async with wiring.db.tenant(payment.tenant_id, write=True) as session:
        session.add(row)
    return row


async def make_documents(wiring: Wiring, payment: Payment, item: SyncItem, *, number: str = "1064") -> None:
    """Let the invoice and the payment of a sale stand in the books."""
    invoice, paid = sale_documents(payment.amount_minor)
    async with wiring.db.tenant(payment.tenant_id, write=True) as session:
        for document in (invoice, paid):
            kind = DocumentKind(document.kind)
            session.add(
                BooksDocument(
                    connection_id=item.connection_id,
                    item_id=item.id,
                    step=document.step,
                    kind=kind,
                    plan_version=0,
                    state=DocumentState.POSTED,
                    reference=document.reference,
                    external_id=number if kind is DocumentKind.INVOICE else f"{number}9",
                    external_number=number if kind is DocumentKind.INVOICE else None,
                    book_date=document.date,
                    total_minor=document.total_minor,
                    currency=document.currency,
                    content=msgspec.to_builtins(document),
                    created_at=wiring.runtime.now(),
                    posted_at=wiring.runtime.now(),
                )
            )


def sale_documents(amount: int, *, tax: int = 0, discount: int = 0) -> tuple[Invoice, PaymentDocument]:
    """A sale of ``amount`` in all, of which ``tax`` is tax, after a ``discount``."""
    why = Why("line_item.amount_subtotal", str(amount), "product; mapping of this service", "m", 3, "Anna")
    line = SaleLine(
        kind=LineKind.SERVICE,
        service_id="s",
        service_name="Portrait session",
        description="Portrait session",
        amount_minor=amount - tax + discount,
        tax_minor=tax,
        income_account_id="42",
        income_account_name="4020 Portraits",
        tax_code_id="TAX" if tax else None,
        tax_code_name="State 8 %" if tax else None,
        tax_rate_ppm=None,
        why=why,
    )
    lines: tuple[SaleLine, ...] = (line,)
    if discount:
        off = replace(line, kind=LineKind.DISCOUNT, description="Discount", amount_minor=-discount, tax_minor=0)
        lines += (off,)
    day = datetime(2026, 3, 2, tzinfo=ZONE).date()
    invoice = Invoice("TO-4F7K2M9QXD3A", "customer:c", day, "usd", lines, "Stripe pi_1")
    paid = PaymentDocument(
        "TO-4F7K2M9QXD3A", "customer:c", "invoice", day, "usd", amount, "11", "1150 Stripe clearing", "Stripe pi_1", why
    )
    return invoice, paid


class QueryCounter:
    """Counts what is sent to the database while the block runs; transaction control does not count."""

    def __init__(self, wiring: Wiring) -> None:
        self._engine = wiring.db.engine.sync_engine
        self.statements: list[str] = []

    def _note(self, _c: object, _cu: object, statement: str, *_rest: object) -> None:
        if statement.lstrip()[:6].upper() in {"SELECT", "INSERT", "UPDATE", "DELETE", "WITH R"}:
            self.statements.append(statement)

    def __enter__(self) -> "QueryCounter":
        event.listen(self._engine, "before_cursor_execute", self._note)
        return self

    def __exit__(self, *_: object) -> None:
        event.remove(self._engine, "before_cursor_execute", self._note)

    def __len__(self) -> int:
        return len(self.statements)
