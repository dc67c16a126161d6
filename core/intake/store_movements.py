"""Keeping everything beside the payments: refunds, disputes, payouts, balance transactions, balances.

Newest fetched state wins, written under unique keys so that races end in one row. A refund or dispute may be stored
before its payment; :func:`link_to_payment` joins the two whichever comes last.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from core.db.models import BalanceReading, BalanceTransaction, Dispute, Payment, Payout, Refund, Tenant
from core.db.upsert import insert_missing, upsert
from core.intake.facts import Movement
from core.intake.facts_movements import FetchedBalance, FetchedDispute, FetchedPayout, FetchedRefund

ROWS_AT_ONCE = 200
"""Rows of one INSERT: some 4,000 values, far below what either database takes."""

_REFUND = (
    "connection_id",
    "payment_source_id",
    "stripe_charge_id",
    "amount_minor",
    "currency",
    "status",
    "stated_reason",
    "failure_reason",
    "created_at",
    "fetched_at",
)
_DISPUTE = (
    "connection_id",
    "payment_source_id",
    "stripe_charge_id",
    "amount_minor",
    "currency",
    "status",
    "stated_reason",
    "created_at",
    "fetched_at",
)
_PAYOUT = (
    "connection_id",
    "amount_minor",
    "currency",
    "status",
    "arrival_date",
    "automatic",
    "method",
    "reconciliation_status",
    "trace_id",
    "failure_code",
    "failure_message",
    "created_at",
    "fetched_at",
)


async def store_refund(
    session: AsyncSession, *, tenant_id: UUID, connection_id: UUID, fetched: FetchedRefund, now: datetime
) -> Refund:
    """Insert or bring up to date one refund with its balance transactions, and join it to its payment if known."""
    row: dict[str, Any] = {
        "id": uuid4(),
        "tenant_id": tenant_id,
        "connection_id": connection_id,
        "stripe_id": fetched.stripe_id,
        "payment_id": None,
        "payment_source_id": fetched.payment_source_id,
        "stripe_charge_id": fetched.charge_id,
        "amount_minor": fetched.amount_minor,
        "currency": fetched.currency,
        "status": fetched.status,
        "stated_reason": fetched.stated_reason,
        "failure_reason": fetched.failure_reason,
        "created_at": fetched.created_at,
        "fetched_at": now,
    }
    refund_id = await upsert(session, Refund, row, key=("tenant_id", "stripe_id"), update=_REFUND)
    refund = await session.get_one(Refund, refund_id, populate_existing=True)
    payment = await _join(session, refund)
    if payment is not None and fetched.payment_refunded_minor is not None:
        payment.refunded_minor = fetched.payment_refunded_minor
    await store_transactions(
        session, tenant_id=tenant_id, connection_id=connection_id, movements=fetched.movements, now=now
    )
    return refund


async def store_dispute(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    connection_id: UUID,
    fetched: FetchedDispute,
    closed_at: datetime | None,
    now: datetime,
) -> Dispute:
    """Insert or bring up to date one dispute with its balance transactions.

    ``closed_at`` is kept from the first time that it was known: documents are dated by it.
    """
    row: dict[str, Any] = {
        "id": uuid4(),
        "tenant_id": tenant_id,
        "connection_id": connection_id,
        "stripe_id": fetched.stripe_id,
        "payment_id": None,
        "payment_source_id": fetched.payment_source_id,
        "stripe_charge_id": fetched.charge_id,
        "amount_minor": fetched.amount_minor,
        "currency": fetched.currency,
        "status": fetched.status,
        "stated_reason": fetched.stated_reason,
        "closed_at": closed_at,
        "created_at": fetched.created_at,
        "fetched_at": now,
    }
    dispute_id = await upsert(session, Dispute, row, key=("tenant_id", "stripe_id"), update=_DISPUTE)
    dispute = await session.get_one(Dispute, dispute_id, populate_existing=True)
    dispute.closed_at = dispute.closed_at or closed_at
    await _join(session, dispute)
    await store_transactions(
        session, tenant_id=tenant_id, connection_id=connection_id, movements=fetched.movements, now=now
    )
    return dispute


async def store_payout(
    session: AsyncSession, *, tenant_id: UUID, connection_id: UUID, fetched: FetchedPayout, now: datetime
) -> Payout:
    """Insert or bring up to date one payout with its own balance transactions; a bank once shown stays known."""
    row: dict[str, Any] = {
        "id": uuid4(),
        "tenant_id": tenant_id,
        "connection_id": connection_id,
        "stripe_id": fetched.stripe_id,
        "amount_minor": fetched.amount_minor,
        "currency": fetched.currency,
        "status": fetched.status,
        "arrival_date": fetched.arrival_date,
        "automatic": fetched.automatic,
        "method": fetched.method,
        "reconciliation_status": fetched.reconciliation_status,
        "bank_name": fetched.bank_name,
        "bank_last4": fetched.bank_last4,
        "trace_id": fetched.trace_id,
        "failure_code": fetched.failure_code,
        "failure_message": fetched.failure_message,
        "lines_read": False,
        "lines_minor": None,
        "created_at": fetched.created_at,
        "fetched_at": now,
    }
    payout_id = await upsert(session, Payout, row, key=("tenant_id", "stripe_id"), update=_PAYOUT)
    payout = await session.get_one(Payout, payout_id, populate_existing=True)
    payout.bank_name = fetched.bank_name or payout.bank_name
    payout.bank_last4 = fetched.bank_last4 or payout.bank_last4
    await store_transactions(
        session, tenant_id=tenant_id, connection_id=connection_id, movements=fetched.movements, now=now
    )
    return payout


async def store_transactions(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    connection_id: UUID,
    movements: Iterable[Movement],
    now: datetime,
    payout_id: str | None = None,
) -> set[str]:
    """Keep balance transactions; return the ids of those that were not known before.

    Only the status of one ever changes at Stripe. ``payout_id`` is the payout whose list named them; it is kept.
    """
    every, fresh = list({movement.stripe_id: movement for movement in movements}.values()), set[str]()
    zone = ZoneInfo((await session.get_one(Tenant, tenant_id)).time_zone)
    for start in range(0, len(every), ROWS_AT_ONCE):
        part = every[start : start + ROWS_AT_ONCE]
        rows = [_transaction_row(tenant_id, connection_id, one, zone, payout_id, now) for one in part]
        inserted = set(await insert_missing(session, BalanceTransaction, rows))
        fresh |= {row["stripe_id"] for row in rows if row["id"] in inserted}
        known = [one for one in part if one.stripe_id not in fresh]
        await _bring_up_to_date(session, {one.stripe_id: one for one in known}, zone, payout_id, now)
    return fresh


def _transaction_row(
    tenant_id: UUID,
    connection_id: UUID,
    movement: Movement,
    zone: ZoneInfo,
    payout_id: str | None,
    now: datetime,
) -> dict[str, Any]:
    return {
        "id": uuid4(),
        "tenant_id": tenant_id,
        "connection_id": connection_id,
        "stripe_id": movement.stripe_id,
        "type": movement.type,
        "reporting_category": movement.reporting_category,
        "amount_minor": movement.amount_minor,
        "fee_minor": movement.fee_minor,
        "net_minor": movement.net_minor,
        "currency": movement.currency,
        "exchange_rate": movement.exchange_rate,
        "fee_details": [dict(detail) for detail in movement.fee_details],
        "stripe_source_id": movement.source_id,
        "stripe_payout_id": payout_id,
        "description": movement.description,
        "book_date": movement.created_at.astimezone(zone).date(),
        "fee_item_id": None,
        "status": movement.status,
        "available_at": movement.available_at,
        "created_at": movement.created_at,
        "fetched_at": now,
    }


async def _bring_up_to_date(
    session: AsyncSession,
    movements: dict[str, Movement],
    zone: ZoneInfo,
    payout_id: str | None,
    now: datetime,
) -> None:
    """Change what can have changed, and fill in what was not kept by an earlier release."""
    if not movements:
        return
    known = select(BalanceTransaction).where(BalanceTransaction.stripe_id.in_(movements))
    for row in (await session.execute(known.execution_options(populate_existing=True))).scalars():
        movement = movements[row.stripe_id]
        if row.status != movement.status or row.available_at != movement.available_at:
            row.status, row.available_at, row.fetched_at = movement.status, movement.available_at, now
        row.description = row.description or movement.description
        row.book_date = row.book_date or movement.created_at.astimezone(zone).date()
        row.stripe_payout_id = row.stripe_payout_id or payout_id
    await session.flush()


async def store_balance(
    session: AsyncSession, *, tenant_id: UUID, connection_id: UUID, balance: Sequence[FetchedBalance], read_at: datetime
) -> None:
    """Keep what Stripe holds now; a currency that it names no more holds nothing."""
    gone = update(BalanceReading).where(
        BalanceReading.connection_id == connection_id,
        BalanceReading.currency.not_in([part.currency for part in balance]),
    )
    await session.execute(gone.values(available_minor=0, pending_minor=0, read_at=read_at))
    for part in balance:
        row = {
            "id": uuid4(),
            "tenant_id": tenant_id,
            "connection_id": connection_id,
            "currency": part.currency,
            "available_minor": part.available_minor,
            "pending_minor": part.pending_minor,
            "read_at": read_at,
        }
        key = ("tenant_id", "connection_id", "currency")
        await upsert(session, BalanceReading, row, key=key, update=("available_minor", "pending_minor", "read_at"))


async def link_to_payment(session: AsyncSession, payment: Payment) -> tuple[list[Refund], list[Dispute]]:
    """Join refunds and disputes that were stored before their payment; return those that were."""
    refunds = await session.execute(select(Refund).where(Refund.payment_id.is_(None), _belongs(Refund, payment)))
    disputes = await session.execute(select(Dispute).where(Dispute.payment_id.is_(None), _belongs(Dispute, payment)))
    joined = list(refunds.scalars()), list(disputes.scalars())
    rows: list[Refund | Dispute] = [*joined[0], *joined[1]]
    for row in rows:
        row.payment_id = payment.id
    await session.flush()
    return joined


def _belongs(kind: type[Refund] | type[Dispute], payment: Payment) -> ColumnElement[bool]:
    by_intent = kind.payment_source_id == payment.source_id
    if payment.stripe_charge_id is None:
        return by_intent
    return or_(by_intent, kind.stripe_charge_id == payment.stripe_charge_id)


async def _join(session: AsyncSession, row: Refund | Dispute) -> Payment | None:
    """Return the payment of a refund or dispute, and remember it there."""
    if row.payment_id is not None:
        return await session.get(Payment, row.payment_id)
    # Compared with None, a column would be asked for NULL and find somebody else's payment.
    ids = [one for one in (row.payment_source_id, row.stripe_charge_id) if one is not None]
    theirs = or_(Payment.source_id.in_(ids), Payment.stripe_charge_id.in_(ids))
    payment = (await session.execute(select(Payment).where(theirs).limit(1))).scalar_one_or_none()
    if payment is not None:
        row.payment_id = payment.id
        await session.flush()
    return payment
