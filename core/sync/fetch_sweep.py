"""The hourly look at Stripe's own ledger and balance: it finds whatever no event told of.

An idle account costs two reads an hour, some 1,500 a month of the 10,000 that Stripe grants every account.
"""

from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from core.db.models import SyncItem
from core.intake.reader import StripeReader
from core.intake.store_movements import store_balance
from core.live import touch
from core.sync.fetch_lane import StripeLane, done
from core.sync.fetch_ledger import take_transactions
from core.sync.fetch_window import Window

SWEEP_EVERY = timedelta(hours=1)
SWEEP_OVERLAP = timedelta(hours=24)
"""A balance transaction may appear later than its own date says."""

SWEEP_REACH = timedelta(days=30)
"""As far back as the list of events; what is older belongs to the history that a person asks for."""


async def sweep(lane: StripeLane, item: SyncItem, reader: StripeReader) -> None:
    """Read the balance, then what has moved since the cursor.

    In this order the ledger knows at least what the balance knows.
    """
    now = lane.runtime.now()
    window = Window.of(item, now, reach=SWEEP_REACH, overlap=SWEEP_OVERLAP)
    balance = await reader.balance()
    rows, missing_before = await reader.balance_transactions(window.since, window.until)
    rest = window.after(missing_before)

    async def work(session: AsyncSession, recorded: datetime) -> None:
        await lane.lock_connection(session)
        await store_balance(
            session,
            tenant_id=lane.claim.tenant_id,
            connection_id=lane.claim.connection_id,
            balance=balance,
            read_at=now,
        )
        await take_transactions(lane, session, rows, now=recorded)
        await touch(session, lane.claim.tenant_id)
        due_at = recorded if rest.until else recorded + SWEEP_EVERY
        row = await done(lane, session, item, due_at=due_at, now=recorded)
        row.reason_detail = rest.stored

    await lane.record(work)
