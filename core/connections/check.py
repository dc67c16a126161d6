"""Asking the provider whether a connection still holds, when somebody says that it may not (O12)."""

from datetime import timedelta
from uuid import UUID

from core.connections.access import mark_checked, with_access
from core.connections.disconnect import find_open
from core.connections.providers import STRIPE, open_books
from core.db.models import Connection, ConnectionStatus
from core.errors import ProviderError
from core.intake.stripe_oauth import read_account
from core.wiring import Wiring

AT_MOST_EVERY = timedelta(minutes=1)
"""The pages that lead here can be opened by anyone's link."""


async def check_connection(wiring: Wiring, *, tenant_id: UUID, kind: str) -> None:
    """Ask the provider of the tenant's own connection; nothing that a request says is believed or used."""
    async with wiring.db.tenant(tenant_id) as session:
        row = await find_open(session, kind)
    if row is None or row.status is not ConnectionStatus.ACTIVE:
        return
    if row.last_checked_at is not None and wiring.runtime.now() - row.last_checked_at < AT_MOST_EVERY:
        return
    await mark_checked(wiring, tenant_id=tenant_id, connection_id=row.id)
    try:
        await _ask(wiring, row)
    except ProviderError:
        # Either it was marked as broken on the way, or this says nothing about the grant.
        return


async def _ask(wiring: Wiring, row: Connection) -> None:
    async def ask(token: str) -> None:
        if row.kind == STRIPE:
            await read_account(wiring.outgoing, wiring.settings, wiring.runtime, token)
        else:
            await open_books(wiring, row, token).read_company()

    await with_access(wiring, tenant_id=row.tenant_id, connection_id=row.id, call=ask)
