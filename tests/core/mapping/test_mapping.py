"""Decisions about services: versions, inheritance, what is refused, what they set going; for this tenant alone."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from core.books.roles import AccountRole
from core.db.models import ItemState, MappingVersion, PaymentState, Service, SyncItem
from core.errors import InputError, NotFoundError
from core.mapping.roles import save_role
from core.mapping.rules import current_roles, load_rules
from core.mapping.save import Saved, save_mapping
from core.mapping.services import MappingPage, mapping_page
from core.reasons import Reason
from core.reports.standing import Standing, read_standing
from core.wiring import Wiring
from tests.factories import make_connection, make_tenant, make_user
from tests.sales import make_account, make_payment, make_sale_item, make_service, make_tax_code


class Books:
    """A tenant with books: accounts "income", "retainers" (a liability), "bank", "old" (inactive), "costs"."""

    def __init__(self, wiring: Wiring) -> None:
        self.wiring = wiring

    async def open(self) -> "Books":
        self.tenant_id = (await make_tenant(self.wiring)).id
        self.user_id = (await make_user(self.wiring)).id
        self.stripe_id = (await make_connection(self.wiring, self.tenant_id, "stripe")).id
        self.connection_id = (await make_connection(self.wiring, self.tenant_id)).id
        self.income = await self.account("Session income")
        self.retainers = await self.account("Client retainers", type="current_liability")
        self.bank = await self.account("Checking", type="bank")
        self.old = await self.account("Old income", is_active=False)
        self.costs = await self.account("Travel costs", type="expense")
        self.taxable = await self.tax_code("Taxable")
        return self

    async def tax_code(self, name: str, **values: Any) -> str:
        row = await make_tax_code(self.wiring, self.tenant_id, self.connection_id, name, **values)
        return row.external_id

    async def account(self, name: str, **values: Any) -> str:
        row = await make_account(self.wiring, self.tenant_id, self.connection_id, name, **values)
        return row.external_id

    async def service(self, name: str) -> UUID:
        return (await make_service(self.wiring, self.tenant_id, name)).id

    async def save(self, service_id: UUID | None, account: str | None, code: str | None = None) -> Saved:
        async with self.wiring.db.tenant(self.tenant_id, write=True) as session:
            return await save_mapping(
                session,
                tenant_id=self.tenant_id,
                connection_id=self.connection_id,
                service_id=service_id,
                income_account_id=account,
                tax_code_id=code,
                by_user_id=self.user_id,
                now=self.wiring.runtime.now(),
            )

    async def choose(self, service_id: UUID) -> tuple[str | None, str | None, bool, int] | None:
        async with self.wiring.db.tenant(self.tenant_id) as session:
            found = (await load_rules(session, self.connection_id)).choose(service_id)
        return (found.income_account_id, found.tax_code_id, found.is_default, found.version) if found else None

    async def standing(self) -> Standing:
        async with self.wiring.db.tenant(self.tenant_id) as session:
            return await read_standing(session, self.tenant_id, now=self.wiring.runtime.now())

    async def page(self) -> MappingPage:
        standing = await self.standing()
        assert standing.books is not None
        async with self.wiring.db.tenant(self.tenant_id) as session:
            return await mapping_page(session, standing.books, now=self.wiring.runtime.now())

    async def stop(self, service_id: UUID, reason: Reason = Reason.SERVICE_NOT_MAPPED, **values: Any) -> UUID:
        """A payment that stopped for want of a choice; return its item."""
        async with self.wiring.db.tenant(self.tenant_id) as session:
            service = await session.get_one(Service, service_id)
        payment = await make_payment(
            self.wiring, self.tenant_id, self.stripe_id, services=(service,), state=PaymentState.NEEDS_ATTENTION,
            reason=reason, reason_detail={"service": service.name, "service_id": str(service.id)}, **values,
        )  # fmt: skip
        item = await make_sale_item(
            self.wiring, payment, self.connection_id, state=ItemState.NEEDS_ATTENTION, reason=reason
        )
        return item.id


@pytest.fixture
async def books(any_wiring: Wiring) -> Books:
    return await Books(any_wiring).open()


async def test_a_service_inherits_until_it_has_a_choice_of_its_own(books: Books) -> None:
    portrait, album = await books.service("Portrait"), await books.service("Album")
    assert await books.choose(portrait) is None
    assert (await books.standing()).unmapped == 2
    await books.save(portrait, books.income)
    assert (await books.standing()).unmapped == 1
    assert await books.choose(album) is None
    await books.save(None, books.retainers, books.taxable)
    assert (await books.standing()).unmapped == 0
    assert await books.choose(album) == (books.retainers, books.taxable, True, 1)
    assert await books.choose(portrait) == (books.income, books.taxable, False, 1)
    await books.save(portrait, None)
    assert await books.choose(portrait) == (books.retainers, books.taxable, True, 1)
    await books.save(None, None)
    assert (await books.standing()).unmapped == 2


async def test_every_change_is_a_version_and_the_same_again_is_none(books: Books) -> None:
    service = await books.service("Portrait")
    versions = [
        (await books.save(service, account, code)).version
        for account, code in ((books.income, None), (books.income, None), (books.income, books.taxable), (None, None))
    ]
    assert versions == [1, 1, 2, 3]
    assert not (await books.save(service, None, None)).is_new
    async with books.wiring.db.tenant(books.tenant_id) as session:
        rows = (await session.execute(select(MappingVersion).order_by(MappingVersion.version))).scalars().all()
    assert [(row.version, row.income_account_id, row.created_by) for row in rows] == [
        (1, books.income, books.user_id),
        (2, books.income, books.user_id),
        (3, None, books.user_id),
    ]


async def test_two_people_at_once_make_two_versions(books: Books) -> None:
    service = await books.service("Portrait")
    done = await asyncio.gather(books.save(service, books.income), books.save(service, books.retainers))
    assert sorted(one.version for one in done) == [1, 2]
    both = await asyncio.gather(books.save(None, books.income), books.save(None, books.retainers))
    assert sorted(one.version for one in both) == [1, 2]


@pytest.mark.parametrize("which", ["bank", "old", "costs"])
async def test_accounts_that_take_no_income_are_refused(books: Books, which: str) -> None:
    service = await books.service("Portrait")
    with pytest.raises(InputError) as refused:
        await books.save(service, getattr(books, which))
    assert refused.value.field == "account_id"
    assert await books.choose(service) is None


async def test_a_tax_code_of_purchases_is_neither_offered_nor_taken(books: Books) -> None:
    code, service = await books.tax_code("GST on expenses", on_sales=False), await books.service("Portrait")
    assert [offered.name for offered in (await books.page()).tax_codes] == ["Taxable"]
    with pytest.raises(InputError) as refused:
        await books.save(service, books.income, code)
    assert refused.value.field == "tax_code_id"


async def test_unknown_and_foreign_ids_are_refused(any_wiring: Wiring, books: Books) -> None:
    others = await Books(any_wiring).open()
    service, theirs = await books.service("Portrait"), await others.service("Foreign")
    for account in ("no such", others.income, "'; DROP TABLE service; --", "9" * 300):
        with pytest.raises(InputError):
            await books.save(service, account)
    with pytest.raises(InputError):
        await books.save(service, books.income, others.taxable)
    for service_id in (theirs, uuid4()):
        with pytest.raises(NotFoundError):
            await books.save(service_id, books.income)
    assert await others.choose(theirs) is None


async def test_a_choice_lets_go_what_waited_for_it_and_leaves_the_rest(books: Books) -> None:
    portrait, album = await books.service("Portrait"), await books.service("Album")
    waits, other = await books.stop(portrait), await books.stop(album)
    async with books.wiring.db.tenant(books.tenant_id) as session:
        service = await session.get_one(Service, portrait)
    await make_payment(books.wiring, books.tenant_id, books.stripe_id, services=(service,), state=PaymentState.SYNCED)
    page = await books.page()
    assert [(row.name, row.use.waiting, row.use.waiting_minor) for row in page.rows if row.name == "Portrait"] == [
        ("Portrait", 1, 42000)
    ]
    assert (page.unmapped, page.waiting.waiting, page.waiting.waiting_minor) == (2, 2, 84000)
    assert await books.save(portrait, None, books.taxable) == Saved(1, True, 0, 1)
    assert await books.save(portrait, books.income) == Saved(2, True, 1, 1)
    async with books.wiring.db.tenant(books.tenant_id) as session:
        states = {row.id: row.state for row in (await session.execute(select(SyncItem))).scalars()}
    assert states == {waits: ItemState.PENDING, other: ItemState.NEEDS_ATTENTION}
    assert (await books.save(None, books.income)).reopened == 1


async def test_the_page_knows_use_prices_and_suggestions(books: Books) -> None:
    portrait = await books.service("Portrait session")
    retainer = await books.service("Client retainer")
    async with books.wiring.db.tenant(books.tenant_id) as session:
        service = await session.get_one(Service, portrait)
    for currency, amount in (("usd", 42000), ("usd", 1000), ("eur", 99000)):
        parts = (service, service) if amount == 1000 else (service,)
        await make_payment(
            books.wiring, books.tenant_id, books.stripe_id, services=parts, amount=amount, currency=currency
        )
    page = await books.page()
    rows = {row.name: row for row in page.rows}
    used = rows["Portrait session"]
    assert (used.use.payments, used.use.amount_minor, used.use.currency) == (3, 99000, "eur")
    assert rows["Client retainer"].id == retainer
    suggested = rows["Client retainer"].suggestion
    assert suggested is not None
    assert suggested.external_id == books.retainers
    assert [row.name for row in page.rows] == ["Portrait session", "Client retainer"]
    assert {account.name for account in page.income_accounts} == {"Session income", "Client retainers"}
    await books.save(retainer, books.income)
    assert {row.name: row.suggestion for row in (await books.page()).rows}["Client retainer"] is None


async def test_waiting_is_told_where_the_choice_is_missing(books: Books) -> None:
    portrait = await books.service("Portrait")
    await books.save(portrait, books.income)
    await books.stop(portrait, Reason.SERVICE_NOT_MAPPED)
    assert [row.use.waiting for row in (await books.page()).rows] == [0]
    archived = await books.account("Archived")
    await books.save(portrait, archived)
    await books.stop(portrait, Reason.ACCOUNT_INACTIVE)
    from core.db.models import BooksAccount

    async with books.wiring.db.tenant(books.tenant_id, write=True) as session:
        row = (await session.execute(select(BooksAccount).where(BooksAccount.external_id == archived))).scalar_one()
        row.is_active = False
    assert [row.use.waiting for row in (await books.page()).rows] == [1]


async def test_the_clearing_account_is_a_bank_account(books: Books) -> None:
    service = await books.service("Portrait")
    item = await books.stop(service, Reason.CLEARING_NOT_CHOSEN)

    async def choose(account_id: str) -> Saved:
        async with books.wiring.db.tenant(books.tenant_id, write=True) as session:
            return await save_role(
                session,
                role=AccountRole.CLEARING,
                tenant_id=books.tenant_id,
                connection_id=books.connection_id,
                account_id=account_id,
                by_user_id=books.user_id,
                now=books.wiring.runtime.now(),
            )

    for wrong in (books.income, books.old, "nothing"):
        with pytest.raises(InputError):
            await choose(wrong)
    assert await choose(books.bank) == Saved(1, True, 1)
    assert not (await choose(books.bank)).is_new
    async with books.wiring.db.tenant(books.tenant_id) as session:
        clearing = (await current_roles(session, books.connection_id))[AccountRole.CLEARING]
        assert clearing.account_id == books.bank
        assert (await session.get_one(SyncItem, item)).state is ItemState.PENDING
    # The account was archived in the books and is active again: choosing it once more lets go on what stopped.
    stopped = await books.stop(service, Reason.ACCOUNT_INACTIVE)
    assert await choose(books.bank) == Saved(1, False, 1)
    async with books.wiring.db.tenant(books.tenant_id) as session:
        assert (await session.get_one(SyncItem, stopped)).state is ItemState.PENDING


async def test_rules_name_who_decided(books: Books) -> None:
    service = await books.service("Portrait")
    await books.save(service, books.income)
    async with books.wiring.db.tenant(books.tenant_id) as session:
        choice = (await load_rules(session, books.connection_id)).choose(service)
    assert choice is not None
    assert choice.set_by
    assert choice.set_by != "someone who has left"


async def test_tips_with_an_account_of_their_own_wait_for_no_mapping(books: Books) -> None:
    await make_service(books.wiring, books.tenant_id, "Tip", key="text:tip")
    assert (await books.standing()).unmapped == 1
    async with books.wiring.db.tenant(books.tenant_id, write=True) as session:
        await save_role(
            session,
            tenant_id=books.tenant_id,
            connection_id=books.connection_id,
            role=AccountRole.TIPS,
            account_id=books.income,
            by_user_id=books.user_id,
            now=books.wiring.runtime.now(),
        )
    assert (await books.standing()).unmapped == 0
    assert (await books.page()).rows == []
