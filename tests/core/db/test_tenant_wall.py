"""The first wall between tenants (T3): whatever is asked, and however, only one's own rows are there."""

from uuid import UUID, uuid4

import pytest
from sqlalchemy import CTE, delete, exists, func, insert, literal, select, union_all, update
from sqlalchemy.orm import aliased, joinedload, selectinload

from core.db.models import Service, ServiceSource, Tenant
from core.db.session import Database, ForeignRowError, NoTenantError, UnwalledStatementError
from core.db.upsert import insert_missing, upsert
from core.wiring import Wiring
from tests.factories import make_tenant
from tests.runtime import START


def _service(tenant_id: UUID | None, name: str) -> Service:
    row = Service(key=f"text:{name}", source=ServiceSource.TEXT, name=name, created_at=START)
    if tenant_id is not None:
        row.tenant_id = tenant_id
    return row


@pytest.fixture
async def mine(any_wiring: Wiring) -> UUID:
    return await _with_services(any_wiring, "mine", 2)


@pytest.fixture
async def theirs(any_wiring: Wiring) -> UUID:
    return await _with_services(any_wiring, "theirs", 3)


async def _with_services(wiring: Wiring, name: str, count: int) -> UUID:
    tenant = await make_tenant(wiring)
    async with wiring.db.tenant(tenant.id, write=True) as session:
        session.add_all(_service(None, f"{name} {number}") for number in range(count))
    return tenant.id


async def _their_row(database: Database, theirs: UUID) -> Service:
    async with database.tenant(theirs) as session:
        return (await session.scalars(select(Service).limit(1))).one()


async def _names(database: Database, tenant_id: UUID) -> list[str]:
    async with database.tenant(tenant_id) as session:
        return sorted(await session.scalars(select(Service.name)))


async def test_reading_statements_of_every_kind_see_own_rows_only(database: Database, mine: UUID, theirs: UUID) -> None:
    foreign = await _their_row(database, theirs)
    other = aliased(Service)
    cte: CTE = select(Service.name).cte()
    async with database.tenant(mine) as session:
        assert len((await session.scalars(select(Service))).all()) == 2
        assert await session.get(Service, foreign.id) is None
        assert await session.scalar(select(func.count()).select_from(Service)) == 2
        assert await session.scalar(select(func.count(Service.id))) == 2
        assert not await session.scalar(select(select(Service.id).where(Service.id == foreign.id).exists()))
        assert len((await session.execute(select(Service, other).join(other, literal(True)))).all()) == 4
        assert len((await session.execute(select(other.name))).all()) == 2
        assert len((await session.execute(select(cte.c.name))).all()) == 2
        both = union_all(select(Service.name), select(Service.name))
        assert len((await session.execute(both)).all()) == 4
        in_subquery = select(func.count()).select_from(select(Service.id).subquery())
        assert await session.scalar(in_subquery) == 2
        other_tables = select(Tenant.id).where(Tenant.id.in_(select(Service.tenant_id)))
        assert (await session.scalars(other_tables)).all() == [mine]
        scalar = select(select(func.count(Service.id)).scalar_subquery())
        assert await session.scalar(scalar) == 2
        assert (await session.scalars(select(Service.id).where(Service.id.in_([foreign.id])))).all() == []
        row = (await session.scalars(select(Service).limit(1))).one()
        await session.refresh(row)
        streamed = await session.stream_scalars(select(Service.name))
        assert sorted([found async for found in streamed]) == ["mine 0", "mine 1"]


async def test_updates_and_deletes_touch_own_rows_only(database: Database, mine: UUID, theirs: UUID) -> None:
    foreign = await _their_row(database, theirs)
    async with database.tenant(mine, write=True) as session:
        await session.execute(update(Service).values(name="renamed"))
        await session.execute(update(Service).where(Service.id == foreign.id).values(name="renamed"))
        await session.execute(delete(Service).where(Service.id == foreign.id))
    assert await _names(database, mine) == ["renamed", "renamed"]
    assert await _names(database, theirs) == ["theirs 0", "theirs 1", "theirs 2"]
    async with database.tenant(mine, write=True) as session:
        await session.execute(delete(Service))
    assert await _names(database, mine) == []
    assert len(await _names(database, theirs)) == 3


async def test_new_rows_are_stamped_and_foreign_ones_refused(database: Database, mine: UUID, theirs: UUID) -> None:
    with pytest.raises(ForeignRowError):
        async with database.tenant(mine, write=True) as session:
            session.add(_service(theirs, "planted"))
    row = await _their_row(database, theirs)
    with pytest.raises(ForeignRowError):
        async with database.tenant(mine, write=True) as session:
            await session.merge(row)
    with pytest.raises(ForeignRowError):
        await _move_one(database, mine, theirs)
    assert len(await _names(database, theirs)) == 3
    assert len(await _names(database, mine)) == 2


async def _move_one(database: Database, mine: UUID, theirs: UUID) -> None:
    async with database.tenant(mine, write=True) as session:
        (await session.scalars(select(Service).limit(1))).one().tenant_id = theirs


async def test_a_statement_cannot_carry_rows_into_another_tenant(database: Database, mine: UUID, theirs: UUID) -> None:
    values = {"id": uuid4(), "key": "text:x", "source": ServiceSource.TEXT, "name": "x", "created_at": START}
    planted = {**values, "tenant_id": theirs, "is_active": True}
    foreign = await _their_row(database, theirs)
    table = Service.__table__
    for statement in (
        insert(Service).values(**planted),
        insert(Service).from_select(["id", "tenant_id"], select(Service.id, Service.tenant_id)),
        update(Service).values(tenant_id=theirs),
        update(Service).values({Service.tenant_id: theirs}),
        select(table.c.name),
        select(Service.__table__),
        update(table).values(name="x"),
    ):
        with pytest.raises(UnwalledStatementError):
            async with database.tenant(mine, write=True) as session:
                await session.execute(statement)
    for statement, rows in (
        (insert(Service), [planted]),
        (update(Service), [{"id": foreign.id, "name": "renamed"}]),
    ):
        with pytest.raises(UnwalledStatementError):
            async with database.tenant(mine, write=True) as session:
                await session.execute(statement, rows)
    with pytest.raises(ForeignRowError):
        async with database.tenant(mine, write=True) as session:
            await insert_missing(session, Service, [planted])
    with pytest.raises(ForeignRowError):
        async with database.tenant(mine, write=True) as session:
            await upsert(session, Service, planted, key=["tenant_id", "key"], update=["name"])
    assert len(await _names(database, theirs)) == 3


async def test_without_a_tenant_there_is_an_exception_not_an_empty_answer(database: Database, mine: UUID) -> None:
    for statement in (
        select(Service),
        select(func.count()).select_from(Service),
        select(select(Service.name).cte().c.name),
        select(exists().where(Service.name == "x")),
        select(Tenant.id).where(Tenant.id.in_(select(Service.tenant_id))),
        select(Service.__table__),
        union_all(select(Service.name), select(Service.name)),
        update(Service).values(name="x"),
        delete(Service),
    ):
        with pytest.raises(NoTenantError):
            async with database.open_session(write=True) as session:
                await session.execute(statement)
    with pytest.raises(NoTenantError):
        async with database.open_session() as session:
            await session.get(Service, uuid4())
    with pytest.raises(NoTenantError):
        async with database.open_session(write=True) as session:
            session.add(_service(mine, "x"))
    with pytest.raises(NoTenantError):
        async with database.open_session(write=True) as session:
            await insert_missing(session, Service, [{"tenant_id": mine}])


async def test_a_loaded_relation_is_filtered_like_everything_else() -> None:
    """There are no relationships yet: whoever adds the first one adds its loaders to this file."""
    assert not Service.__mapper__.relationships
    assert joinedload
    assert selectinload
