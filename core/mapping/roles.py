"""Deciding which account plays which role, how sales and fees are booked, and where unknown movements go.

A decision is a new version; nothing that was decided is ever changed.
"""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID, uuid4, uuid5

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from core.accounting import registry
from core.accounting.port import Account
from core.books.roles import AccountRole, BookkeepingSettings, ForeignStyle
from core.connections.access import with_access
from core.connections.providers import open_books
from core.db.models import BookkeepingVersion, BooksAccount, BooksTaxCode, CategoryVersion, Connection, RoleVersion
from core.db.upsert import upsert
from core.errors import InputError, NotFoundError
from core.live import touch
from core.mapping.role_specs import SPECS, RoleSpec
from core.mapping.rules import current_roles, newest_settings, settings_of
from core.mapping.save import Saved, find_account
from core.sync.acts import reopen_for_mapping
from core.sync.planners.offers import offer_open_fees
from core.wiring import Wiring

_CATEGORY_LENGTH = 64
_BETWEEN_ACCOUNTS_S = 0.4


async def save_role(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    connection_id: UUID,
    role: AccountRole,
    account_id: str,
    by_user_id: UUID,
    now: datetime,
) -> Saved:
    """Let ``account_id`` play ``role`` from now on, and let go on what waited for it.

    The same account again is no new version.

    Raises:
        NotFoundError: no such connection of this tenant.
        InputError: the account cannot play it; ``field`` is the role.
    """
    await _lock(session, connection_id)
    spec = SPECS[role]
    account = await find_account(session, connection_id, account_id)
    if account is None or not account.is_active or account.type not in spec.types:
        raise InputError(f"Choose an active account of the type {_types(spec)}.", field=role.value)
    newest = (await current_roles(session, connection_id)).get(role)
    if newest is not None and newest.account_id == account_id:
        # Chosen once more, and active: what waited while it was not goes on.
        again = await reopen_for_mapping(session, connection_id=connection_id, service_id=None, now=now)
        return Saved(newest.version, is_new=False, reopened=again)
    await _refuse_double_use(session, connection_id, role, account)
    version = RoleVersion(
        connection_id=connection_id,
        role=role,
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


def _types(spec: RoleSpec) -> str:
    words = [account_type.value.replace("_", " ").capitalize() for account_type in spec.types]
    return " or ".join(words)


async def _refuse_double_use(
    session: AsyncSession, connection_id: UUID, role: AccountRole, account: BooksAccount
) -> None:
    """Clearing must be nobody else's account: only what Stripe's balance did may touch it."""
    for other, row in (await current_roles(session, connection_id)).items():
        if row.account_id == account.external_id and AccountRole.CLEARING in (role, other) and other is not role:
            raise InputError(
                f"“{account.name}” already is “{SPECS[other].name}”. The clearing account must stand alone.",
                field=role.value,
            )
    answered = select(CategoryVersion.category).where(
        CategoryVersion.connection_id == connection_id, CategoryVersion.account_id == account.external_id
    )
    if role is AccountRole.CLEARING and (await session.execute(answered.limit(1))).first() is not None:
        raise InputError(
            f"“{account.name}” takes movements of another kind. The clearing account must stand alone.",
            field=role.value,
        )


async def create_roles(
    wiring: Wiring, *, tenant_id: UUID, connection_id: UUID, roles: Iterable[AccountRole], by_user_id: UUID
) -> Saved:
    """Create the accounts of ``roles`` in the books, or find them there, and choose them, one after the other.

    Every call is outside any transaction; what was chosen before an error stays chosen, and a second try goes on.

    Raises:
        NotFoundError: no such connection.
        ProviderError: the books refused or did not answer.
    """
    async with wiring.db.tenant(tenant_id) as session:
        connection = await session.get(Connection, connection_id)
    if connection is None:
        raise NotFoundError("no such connection")
    done = Saved(0, is_new=False, reopened=0)
    for role in roles:
        # Each takes two calls; QuickBooks allows ten in a second.
        await wiring.runtime.sleep(_BETWEEN_ACCOUNTS_S)
        saved = await _create_role(wiring, connection, role, by_user_id)
        done = Saved(saved.version, is_new=done.is_new or saved.is_new, reopened=done.reopened + saved.reopened)
    return done


async def _create_role(wiring: Wiring, connection: Connection, role: AccountRole, by_user_id: UUID) -> Saved:
    spec = SPECS[role]
    # One key for ever: a second click, or a try after a lost answer, finds the same account.
    key = str(uuid5(connection.id, f"account:{role.value}"))

    async def create(token: str) -> Account:
        return await open_books(wiring, connection, token).create_account(spec.name, spec.types[0], key=key)

    account = await with_access(wiring, tenant_id=connection.tenant_id, connection_id=connection.id, call=create)

    async def work() -> Saved:
        async with wiring.db.tenant(connection.tenant_id, write=True) as session:
            now = wiring.runtime.now()
            await _remember(session, connection, account, now)
            return await save_role(
                session,
                tenant_id=connection.tenant_id,
                connection_id=connection.id,
                role=role,
                account_id=account.external_id,
                by_user_id=by_user_id,
                now=now,
            )

    return await wiring.db.unit(work)


async def save_bookkeeping(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    connection_id: UUID,
    settings: BookkeepingSettings,
    by_user_id: UUID,
    now: datetime,
) -> bool:
    """Keep how sales and fees are booked from now on; what stands in the books stays. False: nothing was new.

    Raises:
        NotFoundError: no such connection of this tenant.
        InputError: the tax code is not in use in these books, or they keep no other currency than their own.
    """
    await _lock(session, connection_id)
    if settings.foreign_style is ForeignStyle.PRESENTMENT:
        await _refuse_one_currency(session, connection_id)
    if settings.fee_tax_code_id is not None:
        statement = select(BooksTaxCode.is_active).where(
            BooksTaxCode.connection_id == connection_id,
            BooksTaxCode.external_id == settings.fee_tax_code_id,
            BooksTaxCode.on_purchases,
        )
        if not (await session.execute(statement)).scalar_one_or_none():
            raise InputError("That tax code is not in use in your books any more.", field="fee_tax_code_id")
    newest = await newest_settings(session, connection_id)
    before = settings_of(newest) if newest else BookkeepingSettings()
    if before == settings:
        return False
    session.add(
        BookkeepingVersion(
            connection_id=connection_id,
            version=newest.version + 1 if newest else 1,
            sale_style=settings.sale_style,
            fee_style=settings.fee_style,
            lost_dispute_tax=settings.lost_dispute_tax,
            fee_tax_code_id=settings.fee_tax_code_id,
            foreign_style=settings.foreign_style,
            created_at=now,
            created_by=by_user_id,
        )
    )
    await session.flush()
    await touch(session, tenant_id)
    if before.fee_style is not settings.fee_style:
        # What waited for its payout waits for nothing any more.
        await offer_open_fees(session, now=now)
    return True


async def _refuse_one_currency(session: AsyncSession, connection_id: UUID) -> None:
    provider = registry.get((await session.get_one(Connection, connection_id)).kind)
    if not provider.keeps_currencies:
        text = f"{provider.display_name} keep one currency. Book other currencies at the settled amount."
        raise InputError(text, field="foreign_style")


async def save_category(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    connection_id: UUID,
    category: str,
    account_id: str,
    by_user_id: UUID,
    now: datetime,
) -> Saved:
    """Answer where movements of a kind that Tieout does not know belong, and let go on what waited for it.

    Raises:
        NotFoundError: no such connection of this tenant.
        InputError: no such account, or it is the clearing account itself.
    """
    await _lock(session, connection_id)
    account = await find_account(session, connection_id, account_id)
    clearing = (await current_roles(session, connection_id)).get(AccountRole.CLEARING)
    if account is None or not account.is_active or (clearing is not None and clearing.account_id == account_id):
        raise InputError("Choose an active account other than the clearing account.", field="account_id")
    if not category or len(category) > _CATEGORY_LENGTH:
        raise InputError("Stripe has no such kind of movement.", field="category")
    made = select(func.max(CategoryVersion.version)).where(
        CategoryVersion.connection_id == connection_id, CategoryVersion.category == category
    )
    version = ((await session.execute(made)).scalar_one_or_none() or 0) + 1
    session.add(
        CategoryVersion(
            connection_id=connection_id,
            category=category,
            version=version,
            account_id=account_id,
            created_at=now,
            created_by=by_user_id,
        )
    )
    await session.flush()
    await touch(session, tenant_id)
    reopened = await reopen_for_mapping(session, connection_id=connection_id, service_id=None, now=now)
    return Saved(version, is_new=True, reopened=reopened)


async def _lock(session: AsyncSession, connection_id: UUID) -> None:
    """Hold the connection, so that two people deciding at once get two versions, one after the other."""
    lock = select(Connection.id).where(Connection.id == connection_id).with_for_update(key_share=True)
    if (await session.execute(lock)).scalar_one_or_none() is None:
        raise NotFoundError("no such connection")


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
