"""Keeping facts: newest fetched state wins, written under unique keys so that races end in one row."""

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from core.db.models import (
    Customer,
    Payment,
    PaymentLine,
    PaymentState,
    Service,
    ServiceSource,
    Tenant,
)
from core.db.upsert import insert_missing, upsert
from core.intake.facts import DEFAULT_KEY, Client, PaymentFacts, ServiceRef
from core.intake.store_movements import store_transactions
from core.money import to_decimal
from core.search import index_text

_FACTS = (
    "connection_id",
    "customer_id",
    "stripe_charge_id",
    "amount_minor",
    "currency",
    "settled_minor",
    "settled_currency",
    "fee_minor",
    "net_minor",
    "stripe_balance_transaction_id",
    "refunded_minor",
    "description",
    "paid_with",
    "is_test_mode",
    "paid_at",
    "invoiced_at",
    "book_date",
    "facts_hash",
    "fetched_at",
    "search",
)


async def store_payment(
    session: AsyncSession, *, tenant_id: UUID, connection_id: UUID, facts: PaymentFacts, now: datetime
) -> Payment:
    """Insert or bring up to date one payment with its client, services, lines and balance transaction."""
    tenant = await session.get_one(Tenant, tenant_id)
    customer_id = await _store_client(session, tenant_id, facts.client, now)
    services = {
        line.service.key: await store_service(session, tenant_id, line.service, now=now) for line in facts.lines
    }
    movement = facts.movement
    row: dict[str, Any] = {
        "id": uuid4(),
        "tenant_id": tenant_id,
        "source_id": facts.source_id,
        "connection_id": connection_id,
        "customer_id": customer_id,
        "stripe_charge_id": facts.charge_id,
        "amount_minor": facts.amount_minor,
        "currency": facts.currency,
        "settled_minor": movement.amount_minor if movement else None,
        "settled_currency": movement.currency if movement else None,
        "fee_minor": movement.fee_minor if movement else None,
        "net_minor": movement.net_minor if movement else None,
        "stripe_balance_transaction_id": movement.stripe_id if movement else None,
        "refunded_minor": facts.refunded_minor,
        "description": facts.description,
        "paid_with": facts.paid_with,
        "is_test_mode": not facts.is_live,
        "paid_at": facts.paid_at,
        "invoiced_at": facts.invoiced_at,
        "book_date": facts.paid_at.astimezone(ZoneInfo(tenant.time_zone)).date(),
        "facts_hash": facts.digest,
        "fetched_at": now,
        "first_seen_at": now,
        "search": _search_words(facts),
        "state": PaymentState.WAITING,
        "reason": None,
        "reason_detail": {},
        "next_try_at": None,
    }
    payment_id = await upsert(session, Payment, row, key=("tenant_id", "source_id"), update=_FACTS)
    payment = await session.get_one(Payment, payment_id, populate_existing=True)
    await _store_lines(session, payment, facts, services)
    if movement is not None:
        await store_transactions(
            session, tenant_id=tenant_id, connection_id=connection_id, movements=[movement], now=now
        )
    return payment


async def _store_client(session: AsyncSession, tenant_id: UUID, client: Client, now: datetime) -> UUID:
    row = {
        "id": uuid4(),
        "tenant_id": tenant_id,
        "key": client.key,
        "stripe_customer_id": client.stripe_customer_id,
        "name": client.name,
        "email": client.email,
        "phone": client.phone,
        "created_at": now,
    }
    found: UUID = await upsert(
        session, Customer, row, key=("tenant_id", "key"), update=("stripe_customer_id", "name", "email", "phone")
    )
    return found


async def store_service(
    session: AsyncSession,
    tenant_id: UUID,
    ref: ServiceRef,
    *,
    now: datetime,
    unit_amount_minor: int | None = None,
    currency: str | None = None,
) -> UUID:
    """Return the id of a service, making it when it is new. A name that is only an id is replaced by a better one."""
    source = ServiceSource.PRODUCT if ref.key.startswith("prod_") else ServiceSource.TEXT
    row = {
        "id": uuid4(),
        "tenant_id": tenant_id,
        "key": ref.key,
        "source": ServiceSource.DEFAULT if ref.key == DEFAULT_KEY else source,
        "name": ref.name[:300],
        "unit_amount_minor": unit_amount_minor,
        "currency": currency,
        "is_active": True,
        "created_at": now,
    }
    await insert_missing(session, Service, [row])
    service = (await session.execute(select(Service).where(Service.key == ref.key))).scalar_one()
    if service.name == service.key and ref.name != ref.key:
        service.name = ref.name[:300]
    return service.id


async def store_product(session: AsyncSession, tenant_id: UUID, product: dict[str, Any], *, now: datetime) -> None:
    """Bring one Stripe product up to date as a service."""
    price = product.get("default_price")
    price = price if isinstance(price, dict) else {}
    name = str(product.get("name") or product["id"]).replace("\x00", "")[:300]
    service_id = await store_service(session, tenant_id, ServiceRef(str(product["id"]), name), now=now)
    service = await session.get_one(Service, service_id)
    service.name = name
    service.is_active = bool(product.get("active")) and not product.get("deleted")
    if isinstance(price.get("unit_amount"), int):
        service.unit_amount_minor, service.currency = price["unit_amount"], str(price.get("currency", ""))[:3]


async def _store_lines(session: AsyncSession, payment: Payment, facts: PaymentFacts, services: dict[str, UUID]) -> None:
    await session.execute(delete(PaymentLine).where(PaymentLine.payment_id == payment.id))
    for position, line in enumerate(facts.lines):
        session.add(
            PaymentLine(
                tenant_id=payment.tenant_id,
                payment_id=payment.id,
                position=position,
                kind=line.kind,
                service_id=services[line.service.key],
                description=line.description,
                quantity=line.quantity,
                amount_minor=line.amount_minor,
                tax_minor=line.tax_minor,
                has_tax=line.has_tax,
                stripe_field=line.stripe_field,
                found_by=line.found_by,
            )
        )
    await session.flush()


def _search_words(facts: PaymentFacts) -> str:
    """Everything that the search box looks in: name, email, services, the amount, ids."""
    return index_text(
        (
            facts.client.name,
            facts.client.email or "",
            *(line.service.name for line in facts.lines),
            str(to_decimal(facts.amount_minor, facts.currency)),
            facts.source_id,
            facts.charge_id or "",
            facts.description,
        )
    )
