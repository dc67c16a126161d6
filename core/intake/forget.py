"""Letting go of what Stripe's events said, once nobody can need it any more.

An event is a hint: what it told of was fetched, and the facts are kept for good. Its payload repeats names and
addresses of clients, and takes more room than all else (docs/scale.md). The row itself stays, so that the history
of a payment stays (N10), and so that the same event is known should it come again (F1).
"""

from datetime import timedelta

from sqlalchemy import literal_column, select, update

from core.db.models import EventState, StripeEvent
from core.db.models.inbox import SETTLED
from core.db.session import Database

KEPT_FOR = timedelta(days=35)
"""Stripe gives events back for thirty days, and delivers none that is older: nothing of these comes again."""

AT_ONCE = 500
MOST = 40
"""Transactions of one run: 20,000 events an hour for each worker, where ten million payments a year bring 7,500."""


async def forget_payloads(db: Database) -> int:
    """Empty the payloads of settled events that are old enough; return how many. Bounded; the next hour goes on."""
    total = 0
    for _ in range(MOST):
        count = await _forget_some(db)
        total += count
        if count < AT_ONCE:
            break
    return total


async def _forget_some(db: Database) -> int:
    # As text, because a partial index is not found through parameters.
    settled = StripeEvent.state.in_([literal_column(f"'{state}'") for state in SETTLED])

    async def work() -> int:
        async with db.open_session(write=True) as session:
            before = await db.now(session) - KEPT_FOR
            old = (
                select(StripeEvent.id)
                .where(settled, StripeEvent.received_at < before)
                .order_by(StripeEvent.received_at)
                .limit(AT_ONCE)
                .with_for_update(skip_locked=True)
            )
            forgotten = await session.execute(
                update(StripeEvent)
                .where(StripeEvent.id.in_(old))
                .values(state=EventState.FORGOTTEN, payload=b"")
                .returning(StripeEvent.id)
                .execution_options(synchronize_session=False)
            )
            return len(forgotten.all())

    return await db.unit(work)
