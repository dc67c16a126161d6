"""What a payment gave back before: what stands in the books is taken from there, the rest in Stripe's order.

Refunds may become known in another order than they were made. Only what was really taken back of each line keeps all
refunds of one sale from taking back more than it brought, or less.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core.books.documents import CreditNote, DocumentKind, LineKind, SaleLine
from core.books.documents import Refund as RefundDocument
from core.books.facts import GivenBack
from core.books.refunds import FAILED
from core.db.models import BooksDocument, DocumentState, ItemKind, Refund, SyncItem
from core.sync.documents import thaw
from core.sync.items import is_begun
from core.sync.planners.original import given_back_before

_TAKEN_BACK = (DocumentKind.REFUND, DocumentKind.CREDIT_NOTE)


async def history_of(
    session: AsyncSession, item: SyncItem, payment_id: UUID | None, before: tuple[datetime, str]
) -> tuple[GivenBack, ...]:
    """Return what the payment of an item gave back without it: first what stands in the item's books, then the rest.

    Args:
        session: of the tenant.
        item: of the refund or dispute that is planned.
        payment_id: the payment; without one nothing is known of it.
        before: moment and id of the item's first balance transaction.
    """
    if payment_id is None:
        return ()
    told = await given_back_before(session, payment_id, before)
    of_payment = select(Refund.stripe_id, Refund.amount_minor).where(
        Refund.payment_id == payment_id, Refund.stripe_id != item.source_id
    )
    others = (await session.execute(of_payment.order_by(Refund.created_at, Refund.stripe_id))).all()
    amounts = {name: amount for name, amount in others}  # noqa: C416 - rows are no pairs to mypy
    booked = await _booked(session, item.connection_id, amounts)
    undone = {name for name, (_, has_failed) in booked.items() if has_failed}
    standing = [
        GivenBack(name, amounts[name], booked[name][0]) for name in amounts if name in booked and name not in undone
    ]
    rest = [
        step
        for step in told
        if step.source_id not in undone and (step.source_id not in booked or step.amount_minor < 0)
    ]
    return (*standing, *rest)


async def booked_lines(session: AsyncSession, item: SyncItem) -> tuple[SaleLine, ...]:
    """Return the lines that the refund of an item has taken back, where it stands or may stand in the books."""
    found = await _booked(session, item.connection_id, {item.source_id: 0})
    return found[item.source_id][0] if item.source_id in found else ()


async def _booked(
    session: AsyncSession, connection_id: UUID, names: Mapping[str, int]
) -> dict[str, tuple[tuple[SaleLine, ...], bool]]:
    """Return the lines of each refund that is begun in these books, and whether its failure is frozen beside it."""
    statement = (
        select(SyncItem.source_id, BooksDocument)
        .join(BooksDocument, BooksDocument.item_id == SyncItem.id)
        .where(
            SyncItem.connection_id == connection_id,
            SyncItem.kind == ItemKind.REFUND,
            SyncItem.source_id.in_(names),
            BooksDocument.state != DocumentState.DROPPED,
            is_begun(),
        )
    )
    lines: dict[str, tuple[SaleLine, ...]] = {}
    failed: set[str] = set()
    for name, row in (await session.execute(statement)).all():
        if row.kind in _TAKEN_BACK:
            document = thaw(row.kind, row.content)
            if isinstance(document, RefundDocument | CreditNote):
                lines[name] = tuple(_of_the_sale(document.lines))
        elif row.step == FAILED:
            failed.add(name)
    return {name: (taken, name in failed) for name, taken in lines.items()}


def _of_the_sale(lines: Iterable[SaleLine]) -> Iterable[SaleLine]:
    return (line for line in lines if line.kind is not LineKind.DIFFERENCE)
