"""The shape of the tables keeps tenants apart (T2), and the migrations make exactly the tables of the models."""

import ast
import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection as DbConnection
from sqlalchemy import Index, Table, UniqueConstraint
from sqlalchemy.exc import IntegrityError

import core.db.models  # noqa: F401 - registers every table
from core.db.migrate import alembic_config, is_current
from core.db.models import Payment, PaymentLine, PaymentState
from core.db.types import Base, TenantOwned
from core.wiring import Wiring
from tests.factories import make_connection, make_tenant

ROOT = Path(__file__).resolve().parents[3]

WITHOUT_TENANT = {
    "tenant",  # is one
    "app_user",  # a person may belong to several
    "known_device",
    "failed_sign_in",
    "stripe_event",  # belongs to nobody until it is routed
    "process",  # of the installation
    "tally",  # counts of the installation, all tenants together
}
"""The short list of tables that carry no tenant, or not always."""

ACROSS_TENANTS = {
    "uq_connection_one_workspace",  # T9: one account is active in one workspace of the whole database
    "uq_connection_endpoint_token_hash",  # finds the tenant of a webhook, hashed and random
}
"""The only unique keys of tenant-owned tables that do not start with the tenant."""

OF_THE_QUEUE = {"ix_sync_item_next"}
"""Read by the claim alone, which crosses tenants on purpose."""


def _owned() -> list[Table]:
    mappers = [mapper for mapper in Base.registry.mappers if issubclass(mapper.class_, TenantOwned)]
    return [mapper.local_table for mapper in mappers if isinstance(mapper.local_table, Table)]


def test_every_table_says_whose_its_rows_are() -> None:
    for table in Base.metadata.tables.values():
        if table.name in WITHOUT_TENANT:
            continue
        assert "tenant_id" in table.c, table.name
        assert not table.c.tenant_id.nullable, table.name


def test_unique_keys_of_a_tenant_start_with_the_tenant() -> None:
    for table in _owned():
        for name, columns in _unique_keys(table):
            assert columns[0] == "tenant_id" or name in ACROSS_TENANTS, f"{name} of {table.name}"


def _unique_keys(table: Table) -> Iterator[tuple[str, list[str]]]:
    for constraint in table.constraints:
        if isinstance(constraint, UniqueConstraint):
            yield str(constraint.name), [column.name for column in constraint.columns]
    for index in table.indexes:
        if index.unique:
            yield str(index.name), [column.name for column in index.columns]


def test_indexes_that_pages_read_start_with_the_tenant_or_a_connection() -> None:
    for table in _owned():
        for index in table.indexes:
            first = next(iter(index.columns)).name
            assert first in {"tenant_id", "connection_id"} or index.name in ACROSS_TENANTS | OF_THE_QUEUE, index.name


def test_children_point_at_their_parent_within_the_tenant() -> None:
    owned = {table.name for table in _owned()}
    for table in _owned():
        for constraint in table.foreign_key_constraints:
            if constraint.referred_table.name in owned:
                columns = [column.name for column in constraint.columns]
                assert columns[0] == "tenant_id", f"{table.name} -> {constraint.referred_table.name}"


async def test_a_child_of_another_tenants_parent_is_refused_by_the_database(any_wiring: Wiring) -> None:
    """Past the session's own check: the key itself does not fit."""
    mine, theirs = await make_tenant(any_wiring), await make_tenant(any_wiring)
    connection = await make_connection(any_wiring, theirs.id, "stripe")
    with pytest.raises(IntegrityError):
        async with any_wiring.db.tenant(mine.id, write=True) as session:
            session.add(_payment(connection.id, any_wiring))


def _payment(connection_id: object, wiring: Wiring) -> Payment:
    now = wiring.runtime.now()
    return Payment(
        connection_id=connection_id,
        customer_id=uuid4(),
        source_id="pi_1",
        amount_minor=100,
        currency="usd",
        is_test_mode=True,
        paid_at=now,
        book_date=now.date(),
        facts_hash="",
        fetched_at=now,
        first_seen_at=now,
        search="",
        state=PaymentState.WAITING,
        reason_detail={},
    )


async def test_migrations_make_the_tables_of_the_models(any_wiring: Wiring) -> None:
    def differences(connection: DbConnection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": False})
        found: list[object] = compare_metadata(context, Base.metadata)
        return found

    async with any_wiring.db.engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    assert await is_current(any_wiring.db.engine)


async def test_an_empty_database_is_not_current(any_wiring: Wiring) -> None:
    await asyncio.to_thread(command.downgrade, alembic_config(any_wiring.settings.database_url), "base")
    assert not await is_current(any_wiring.db.engine)


def test_a_payment_line_belongs_to_its_payments_tenant() -> None:
    """The example that the walk above must not miss."""
    targets = {tuple(c.column_keys) for c in PaymentLine.__table__.foreign_key_constraints}  # type: ignore[attr-defined]
    assert ("tenant_id", "payment_id") in targets


BELOW_THE_ORM = {
    "core/db/session.py",  # NOTIFY and the database's clock
    "core/db/upsert.py",  # checks the tenant itself
    "core/db/engine.py",
    "core/db/append.py",  # refuses tables that belong to a tenant
}
"""The reviewed modules that may write statements below the ORM (T4)."""

_FORBIDDEN_CALLS = {"text", "from_select", "bulk_insert_mappings", "bulk_update_mappings", "bulk_save_objects"}
_FORBIDDEN_NAMES = {"__table__", "exec_driver_sql", "get_bind"}


def test_nobody_goes_below_the_orm_outside_the_reviewed_modules() -> None:
    """The wall reaches classes, not tables and not text (T4)."""
    found = []
    for folder in ("core", "web"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            if name in BELOW_THE_ORM or name.startswith(("core/db/migrations/", "web/sandbox/")):
                continue
            found += [f"{name}:{line} {what}" for line, what in _below_the_orm(path, name)]
    assert found == []


def _below_the_orm(path: Path, name: str) -> Iterator[tuple[int, str]]:
    tree = ast.parse(path.read_text("utf-8"))
    imports_text = any(
        isinstance(node, ast.ImportFrom)
        and (node.module or "").startswith("sqlalchemy")
        and any(alias.name in {"text", "insert", "Table"} for alias in node.names)
        for node in ast.walk(tree)
    )
    in_models = name.startswith("core/db/models/")
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in _FORBIDDEN_NAMES:
            yield node.lineno, node.attr
        if isinstance(node, ast.Call) and not in_models:
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in _FORBIDDEN_CALLS - {"text"} or (imports_text and called in {"text", "insert", "Table"}):
                yield node.lineno, called


def test_crossing_tenants_names_its_reason() -> None:
    """``db.system()`` is for the few places that must; each says why in the lines above it."""
    for folder in ("core", "web"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            lines = path.read_text("utf-8").splitlines()
            for number, line in enumerate(lines):
                if re.search(r"\.db\.system\(|\bdb\.system\(", line) and "``" not in line:
                    above = "\n".join(lines[max(0, number - 8) : number])
                    assert "#" in above or '"""' in above, f"{path.relative_to(ROOT)}:{number + 1}"


def test_partial_unique_index_of_connections_is_there() -> None:
    indexes: set[Index] = set(Base.metadata.tables["connection"].indexes)
    assert "uq_connection_one_workspace" in {index.name for index in indexes}
