"""What is read from the connected books: the company, its accounts, its tax codes. And books that need no consent."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from core.accounting import registry
from core.accounting.port import Account, AccountingProvider, Company, TaxCode
from core.connections.access import with_access
from core.connections.attach import Person, attach, refuse_if_occupied
from core.connections.provider_settings import provider_settings
from core.connections.providers import is_offered, open_books
from core.connections.refusals import not_offered
from core.db.models import BooksAccount, BooksTaxCode, Connection, ConnectionMode, ConnectionStatus, Tenant
from core.db.upsert import upsert
from core.errors import NotFoundError
from core.identity.members import require_owner
from core.live import touch
from core.oauth import Identity
from core.wiring import Wiring

_KEY = ("tenant_id", "connection_id", "external_id")


@dataclass(frozen=True, slots=True)
class Lists:
    """What the books say of themselves: how the company is set up, its accounts and its tax codes."""

    company: Company
    accounts: Sequence[Account]
    tax_codes: Sequence[TaxCode]


async def refresh_books(wiring: Wiring, *, tenant_id: UUID, connection_id: UUID) -> None:
    """Read company, accounts and tax codes anew and store them. What is no longer there becomes inactive.

    Raises:
        NotFoundError: no such connection.
        ProviderError: nothing was stored; what was read last stays.
    """
    async with wiring.db.tenant(tenant_id) as session:
        connection = await session.get(Connection, connection_id)
    if connection is None:
        raise NotFoundError("no such connection")

    async def read(token: str) -> Lists:
        return await read_lists(open_books(wiring, connection, token))

    lists = await with_access(wiring, tenant_id=tenant_id, connection_id=connection_id, call=read)

    async def work() -> None:
        async with wiring.db.tenant(tenant_id, write=True) as session:
            await store_lists(session, connection_id, lists, await wiring.db.now(session))

    await wiring.db.unit(work)


async def read_lists(books: AccountingProvider) -> Lists:
    """Ask the books for all of it.

    Raises:
        ProviderError: as the adapter does.
    """
    return Lists(await books.read_company(), await books.list_accounts(), await books.list_tax_codes())


async def connect_built_in(wiring: Wiring, person: Person, kind: str) -> UUID:
    """Connect books that are opened without consent. Each workspace gets a company of its own in them.

    Raises:
        NotFoundError: there is no such provider, or it asks for consent.
        ConnectError: not set up here, or other books are connected.
        NotAllowedError: the person is no owner.
    """
    provider = registry.get(kind)
    if provider.uses_oauth:
        raise NotFoundError("this provider asks for consent")
    if not is_offered(wiring.settings, kind):
        raise not_offered(kind)
    async with wiring.db.tenant(person.tenant_id) as session:
        await require_owner(session, tenant_id=person.tenant_id, user_id=person.user_id)
        await refuse_if_occupied(session, kind)
        tenant = await session.get_one(Tenant, person.tenant_id)
    books = provider.open(
        outgoing=wiring.outgoing,
        settings=provider_settings(wiring.settings, kind),
        access_token="",
        company=Company(str(person.tenant_id), tenant.name, "US", "USD", {}),
    )
    company = await books.read_company()
    identity = Identity(
        external_id=company.external_id,
        name=company.name,
        country=company.country,
        currency=company.home_currency,
        is_test_mode=True,
        options=company.options,
    )
    mode = ConnectionMode.BUILT_IN
    return await attach(wiring, person, kind=kind, mode=mode, identity=identity, put_secrets=lambda _row: None)


async def store_lists(session: AsyncSession, connection_id: UUID, lists: Lists, now: datetime) -> Connection | None:
    """Keep what the books said; what we ourselves have noted beside it stays.

    Returns:
        The connection; None where it has ended, and nothing is kept.
    """
    company = lists.company
    is_open = (Connection.id == connection_id, Connection.status != ConnectionStatus.CLOSED)
    # Locked and read in one: somebody may be noting something beside it in this moment.
    locked = select(Connection).where(*is_open).with_for_update(key_share=True)
    row = (await session.execute(locked.execution_options(populate_existing=True))).scalar_one_or_none()
    if row is None:
        return None
    row.external_name = company.name[:255] or row.external_name
    row.country, row.currency = company.country[:2].upper(), company.home_currency[:3].lower()
    row.options = {**row.options, **company.options}
    row.last_checked_at = now
    await _put(session, BooksAccount, row, [_account_row(account) for account in lists.accounts], now)
    await _put(session, BooksTaxCode, row, [_tax_code_row(code) for code in lists.tax_codes], now)
    await touch(session, row.tenant_id)
    return row


async def _put(
    session: AsyncSession,
    model: type[BooksAccount] | type[BooksTaxCode],
    connection: Connection,
    rows: Sequence[dict[str, object]],
    now: datetime,
) -> None:
    for values in rows:
        row = {"tenant_id": connection.tenant_id, "connection_id": connection.id, **values, "read_at": now}
        changed = [name for name in row if name not in _KEY]
        await upsert(session, model, {"id": uuid4(), **row}, key=_KEY, update=changed)
    # Never deleted: what was posted under an account still needs its name.
    gone = model.external_id.not_in([row["external_id"] for row in rows])
    await session.execute(
        update(model)
        .where(model.connection_id == connection.id, gone)
        .values(is_active=False, read_at=now)
        .execution_options(synchronize_session=False)
    )


def _account_row(account: Account) -> dict[str, object]:
    return {
        "external_id": account.external_id,
        "name": account.name[:255],
        "number": account.number[:64] if account.number else None,
        "type": account.type.value,
        "currency": account.currency[:3].lower() if account.currency else None,
        "is_active": account.active,
    }


def _tax_code_row(code: TaxCode) -> dict[str, object]:
    return {
        "external_id": code.external_id,
        "name": code.name[:255],
        "rate_ppm": code.rate_ppm,
        "rate_external_id": code.rate_external_id,
        "is_active": code.active,
        "on_sales": code.on_sales,
        "on_purchases": code.on_purchases,
    }
