"""The documents of a refund, and of its failure."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core.books.categories import CHARGE_PREFIXES, BookedBy, booked_by
from core.books.documents import MoneyDocument
from core.books.facts import RefundFacts
from core.books.refunds import plan_refund
from core.db.models import BalanceTransaction, Payment, Refund, SyncItem, Tenant
from core.sync.plan import ConnectedBooks, books_profile
from core.sync.planners.given_back import booked_lines, history_of
from core.sync.planners.original import original_sale
from core.sync.planners.rows import movement_facts, movement_rows, references

_FAILED = "refund_failure"


async def plan_refund_item(session: AsyncSession, item: SyncItem, profile: ConnectedBooks) -> list[MoneyDocument]:
    """Plan one refund; nothing while Stripe has moved no money for it.

    Raises:
        StopError: why nothing can be posted yet.
    """
    tenant = await session.get_one(Tenant, item.tenant_id)
    rows = [row for row in await movement_rows(session, item.source_id) if _is_of_refund(row)]
    refund = await _find_refund(session, item)
    moved = [movement_facts(row, tenant) for row in rows]
    if refund is None or not any(one.in_scope for one in moved):
        return []
    taken = next((one for one in moved if one.reporting_category != _FAILED), None)
    facts = RefundFacts(
        source_id=refund.stripe_id,
        amount_minor=refund.amount_minor,
        currency=refund.currency,
        status=refund.status,
        sale=await original_sale(session, refund.payment_id, profile),
        taken=taken,
        returned=next((one for one in moved if one.reporting_category == _FAILED), None),
        history=await history_of(session, item, refund.payment_id, (rows[0].created_at, rows[0].stripe_id)),
        booked=await booked_lines(session, item),
    )
    books = await books_profile(session, profile)
    return plan_refund(facts, books, reference=references(item, "TR"))


@dataclass(frozen=True, slots=True)
class _FailedCharge:
    """A bank debit that failed after it had succeeded, as the refund of the whole payment that it comes to."""

    stripe_id: str
    payment_id: UUID | None
    amount_minor: int
    currency: str
    status: str = "succeeded"


async def _find_refund(session: AsyncSession, item: SyncItem) -> Refund | _FailedCharge | None:
    if not item.source_id.startswith(CHARGE_PREFIXES):
        refund = select(Refund).where(Refund.stripe_id == item.source_id)
        return (await session.execute(refund)).scalar_one_or_none()
    charged = select(Payment).where(Payment.stripe_charge_id == item.source_id)
    payment = (await session.execute(charged)).scalar_one_or_none()
    if payment is None:
        return _FailedCharge(item.source_id, None, 0, "")
    return _FailedCharge(item.source_id, payment.id, payment.amount_minor, payment.currency)


def _is_of_refund(row: BalanceTransaction) -> bool:
    return booked_by(row.reporting_category, row.type, row.stripe_source_id) is BookedBy.REFUND
