"""Repeat one tenant's month as thousands of tenants, set-based: every row anew, under ids of its own."""

import asyncpg

SCHEMA = "month"
_OF_NOBODY = frozenset(
    {"app_user", "user_session", "known_device", "failed_sign_in", "oauth_state", "process", "tally"}
)
_PEOPLE = frozenset({"created_by", "user_id", "by_user_id"})
_NUMBERED = frozenset(
    {
        ("connection", "external_id"),
        ("stripe_event", "event_id"),
        ("stripe_event", "account"),
        ("stripe_event", "object_id"),
        ("payment", "source_id"),
        ("payment", "stripe_charge_id"),
        ("sync_item", "source_id"),
    }
)
"""Texts that are unique beyond one tenant, or must find each other: their last six characters become the number."""

_COLUMNS = """
    SELECT table_name, column_name, udt_name FROM information_schema.columns
    WHERE table_schema = 'public' ORDER BY table_name, ordinal_position
"""


async def keep_template(connection: asyncpg.Connection) -> None:
    """Set the rows that are there aside, as what is repeated."""
    await connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE; CREATE SCHEMA {SCHEMA}")
    for table in await _columns(connection):
        await connection.execute(f'CREATE TABLE {SCHEMA}."{table}" AS SELECT * FROM public."{table}"')


async def repeat(connection: asyncpg.Connection, first: int, last: int) -> None:
    """Add tenants number ``first`` to ``last``. References are not checked: they are right as they are in the month."""
    await connection.execute("SET session_replication_role = replica")
    for table, columns in (await _columns(connection)).items():
        names = ", ".join(f'"{name}"' for name, _ in columns)
        values = ", ".join(_value(table, name, kind) for name, kind in columns)
        await connection.execute(
            f'INSERT INTO public."{table}" ({names}) '
            f'SELECT {values} FROM generate_series({first}, {last}) AS n CROSS JOIN {SCHEMA}."{table}"'
        )


async def settle_down(connection: asyncpg.Connection) -> None:
    """Let the standing items be due within the next hour, as on any quiet day, and tell the planner what is there."""
    await connection.execute(
        "UPDATE sync_item SET due_at = now() + interval '5 minutes' + random() * interval '1 hour' "
        "WHERE due_at IS NOT NULL"
    )
    await connection.execute("UPDATE lane SET lease_until = NULL, hold_until = NULL, served_at = now()")
    await connection.execute("VACUUM ANALYZE")


async def _columns(connection: asyncpg.Connection) -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for row in await connection.fetch(_COLUMNS):
        if row["table_name"] not in _OF_NOBODY | {"alembic_version"}:
            found.setdefault(row["table_name"], []).append((row["column_name"], row["udt_name"]))
    return found


def _value(table: str, name: str, kind: str) -> str:
    if kind == "uuid" and name not in _PEOPLE:
        return f'md5("{name}"::text || n)::uuid'
    if (table, name) in _NUMBERED:
        short = f'left("{name}", length("{name}") - 6) || lpad(n::text, 6, \'0\')'
        return f'CASE WHEN length("{name}") < 15 THEN "{name}" ELSE {short} END'
    return f'"{name}"'
