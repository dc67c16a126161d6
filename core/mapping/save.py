"""Deciding where a service's income goes. A decision is a new version; nothing that was decided is ever changed."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from core.db.models import (
    BooksAccount,
    BooksTaxCode,
    MappingVersion,
    Payment,
    PaymentLine,
    PaymentState,
    Service,
    ServiceSource,
)
from core.db.upsert import insert_missing
from core.errors import InputError, NotFoundError
from core.live import touch
from core.mapping.rules import DEFAULT_KEY, load_rules
from core.mapping.services import INCOME_TYPES
from core.sync.acts import reopen_for_mapping


@dataclass(frozen=True, slots=True)
class Saved:
    """What a decision did. ``in_books`` payments stand in the books already and stay as they are."""

    version: int
    is_new: bool
    reopened: int
    in_books: int = 0


async def save_mapping(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    connection_id: UUID,
    service_id: UUID | None,
    income_account_id: str | None,
    tax_code_id: str | None,
    by_user_id: UUID,
    now: datetime,
) -> Saved:
    """Decide for one service and let go on what waited for it.

    The same choice again is no new version, but what it stopped is tried again: the account may have been archived in
    the books and be back by now.

    Args:
        session: of the tenant, writing.
        tenant_id: the session's tenant.
        connection_id: the books that the choice is for.
        service_id: which service; None for the default row, which the others inherit.
        income_account_id: None for "as the default row", on the default row "hold and ask me".
        tax_code_id: None for "as the default row", on the default row no tax code.
        by_user_id: who decides.
        now: when.

    Raises:
        NotFoundError: no such service of this tenant.
        InputError: the account or tax code cannot be used; ``field`` names which.
    """
    service = await _default(session, tenant_id, now) if service_id is None else await _service(session, service_id)
    await _check_account(session, connection_id, income_account_id)
    await _check_tax_code(session, connection_id, tax_code_id)
    newest = await _newest(session, connection_id, service.id)
    before = (newest.income_account_id, newest.tax_code_id) if newest else (None, None)
    if before == (income_account_id, tax_code_id):
        again = await _let_go(session, connection_id, service_id, now)
        return Saved(newest.version if newest else 0, is_new=False, reopened=again)
    version = MappingVersion(
        connection_id=connection_id,
        service_id=service.id,
        version=newest.version + 1 if newest else 1,
        income_account_id=income_account_id,
        tax_code_id=tax_code_id,
        created_at=now,
        created_by=by_user_id,
    )
    session.add(version)
    await session.flush()
    await touch(session, tenant_id)
    return Saved(
        version.version,
        is_new=True,
        reopened=await _let_go(session, connection_id, service_id, now),
        in_books=await _in_books(session, service_id) if service_id else 0,
    )


async def _let_go(session: AsyncSession, connection_id: UUID, service_id: UUID | None, now: datetime) -> int:
    """Reopen what waited, if there is an account now; otherwise it would stop again at once."""
    rules = await load_rules(session, connection_id)
    holds = rules.default if service_id is None else rules.choose(service_id)
    if holds is None or holds.income_account_id is None:
        return 0
    return await reopen_for_mapping(session, connection_id=connection_id, service_id=service_id, now=now)


async def _service(session: AsyncSession, service_id: UUID) -> Service:
    """Return the service, locked: two people deciding at once get two versions, one after the other."""
    statement = (
        select(Service).where(Service.id == service_id, Service.key != DEFAULT_KEY).with_for_update(key_share=True)
    )
    found = (await session.execute(statement)).scalar_one_or_none()
    if found is None:
        raise NotFoundError("no such service")
    return found


async def _default(session: AsyncSession, tenant_id: UUID, now: datetime) -> Service:
    """Return the default row's service, made at first need."""
    row = {
        "id": uuid4(),
        "tenant_id": tenant_id,
        "key": DEFAULT_KEY,
        "source": ServiceSource.DEFAULT,
        "name": "Anything else",
        "unit_amount_minor": None,
        "currency": None,
        "is_active": True,
        "created_at": now,
    }
    await insert_missing(session, Service, [row])
    statement = select(Service).where(Service.key == DEFAULT_KEY).with_for_update(key_share=True)
    return (await session.execute(statement)).scalar_one()


async def _check_account(session: AsyncSession, connection_id: UUID, account_id: str | None) -> None:
    if account_id is None:
        return
    account = await find_account(session, connection_id, account_id)
    if account is None:
        raise InputError("That account is not in your books any more. Fetch the accounts again.", field="account_id")
    if not account.is_active:
        raise InputError(f"“{account.name}” is no longer active. Choose another account.", field="account_id")
    if account.type not in INCOME_TYPES:
        raise InputError(f"“{account.name}” is not an account for income. Choose another one.", field="account_id")


async def _check_tax_code(session: AsyncSession, connection_id: UUID, tax_code_id: str | None) -> None:
    if tax_code_id is None:
        return
    statement = select(BooksTaxCode).where(
        BooksTaxCode.connection_id == connection_id, BooksTaxCode.external_id == tax_code_id
    )
    code = (await session.execute(statement)).scalar_one_or_none()
    if code is None or not code.is_active or not code.on_sales:
        raise InputError("That tax code is not in use in your books any more. Choose another one.", field="tax_code_id")


async def find_account(session: AsyncSession, connection_id: UUID, account_id: str) -> BooksAccount | None:
    """Return an account of these books as last read."""
    statement = select(BooksAccount).where(
        BooksAccount.connection_id == connection_id, BooksAccount.external_id == account_id
    )
    return (await session.execute(statement)).scalar_one_or_none()


async def _newest(session: AsyncSession, connection_id: UUID, service_id: UUID) -> MappingVersion | None:
    statement = (
        select(MappingVersion)
        .where(MappingVersion.connection_id == connection_id, MappingVersion.service_id == service_id)
        .order_by(MappingVersion.version.desc())
        .limit(1)
    )
    return (await session.execute(statement)).scalar_one_or_none()


async def _in_books(session: AsyncSession, service_id: UUID) -> int:
    statement = (
        select(func.count(Payment.id.distinct()))
        .join(PaymentLine, PaymentLine.payment_id == Payment.id)
        .where(PaymentLine.service_id == service_id, Payment.state == PaymentState.SYNCED)
    )
    return (await session.execute(statement)).scalar_one()
