"""Deciding which account is the other side of every entry: the Stripe clearing account."""

from datetime import datetime
from uuid import UUID, uuid4, uuid5

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core.accounting.port import Account, AccountType
from core.connections.access import with_access
from core.connections.providers import open_books
from core.db.models import AccountRole, BooksAccount, Connection, RoleVersion
from core.db.upsert import upsert
from core.errors import InputError, NotFoundError
from core.live import touch
from core.mapping.save import Saved, find_account
from core.mapping.services import CLEARING_TYPES, current_clearing
from core.sync.acts import reopen_for_mapping
from core.wiring import Wiring

CLEARING_NAME = "Stripe clearing"


async def save_clearing(
    session: AsyncSession, *, tenant_id: UUID, connection_id: UUID, account_id: str, by_user_id: UUID, now: datetime
) -> Saved:
    """Let ``account_id`` be the clearing account from now on. The same account again is no new version.

    Raises:
        NotFoundError: no such connection of this tenant.
        InputError: the account cannot be used.
    """
    # Locked, so that two people deciding at once get two versions, one after the other.
    lock = select(Connection.id).where(Connection.id == connection_id).with_for_update(key_share=True)
    if (await session.execute(lock)).scalar_one_or_none() is None:
        raise NotFoundError("no such connection")
    account = await find_account(session, connection_id, account_id)
    if account is None or not account.is_active or account.type not in CLEARING_TYPES:
        raise InputError("Choose an active account of the type Bank.", field="clearing")
    newest = await current_clearing(session, connection_id)
    if newest is not None and newest.account_id == account_id:
        return Saved(newest.version, is_new=False, reopened=0)
    version = RoleVersion(
        connection_id=connection_id,
        role=AccountRole.CLEARING,
        version=newest.version + 1 if newest else 1,
        account_id=account_id,
        created_at=now,
        created_by=by_user_id,
    )
    session.add(version)
    await session.flush()
    await touch(session, tenant_id)
    reopened = await reopen_for_mapping(session, connection_id=connection_id, service_id=None, now=now)
    return Saved(version.version, is_new=True, reopened=reopened)


async def create_clearing(wiring: Wiring, *, tenant_id: UUID, connection_id: UUID, by_user_id: UUID) -> Saved:
    """Create the clearing account in the books, or find it there, and choose it. The call is outside any transaction.

    Raises:
        NotFoundError: no such connection.
        ProviderError: the books refused or did not answer; nothing was chosen.
    """
    async with wiring.db.tenant(tenant_id) as session:
        connection = await session.get(Connection, connection_id)
    if connection is None:
        raise NotFoundError("no such connection")
    # One key for ever: a second click, or a try after a lost answer, finds the same account.
    key = str(uuid5(connection_id, "account:clearing"))

    async def create(token: str) -> Account:
        return await open_books(wiring, connection, token).create_account(CLEARING_NAME, AccountType.BANK, key=key)

    account = await with_access(wiring, tenant_id=tenant_id, connection_id=connection_id, call=create)

    async def work() -> Saved:
        async with wiring.db.tenant(tenant_id, write=True) as session:
            now = wiring.runtime.now()
            await _remember(session, connection, account, now)
            return await save_clearing(
                session,
                tenant_id=tenant_id,
                connection_id=connection_id,
                account_id=account.external_id,
                by_user_id=by_user_id,
                now=now,
            )

    return await wiring.db.unit(work)


async def _remember(session: AsyncSession, connection: Connection, account: Account, now: datetime) -> None:
    row = {
        "id": uuid4(),
        "tenant_id": connection.tenant_id,
        "connection_id": connection.id,
        "external_id": account.external_id,
        "name": account.name,
        "number": account.number,
        "type": account.type.value,
        "currency": account.currency.lower() if account.currency else None,
        "is_active": account.active,
        "read_at": now,
    }
    key = ("tenant_id", "connection_id", "external_id")
    await upsert(session, BooksAccount, row, key=key, update=["name", "number", "type", "currency", "is_active"])
