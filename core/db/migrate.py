"""Bring a database to the newest shape. Old code must run on the new shape: add first, remove a release later."""

from enum import StrEnum
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

_MIGRATIONS = Path(__file__).parent / "migrations"


def alembic_config(database_url: str) -> Config:
    """Return Alembic's configuration for ``database_url``."""
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.set_main_option("file_template", "%%(year)d%%(month).2d%%(day).2d_%%(slug)s")
    config.attributes["database_url"] = database_url
    return config


def upgrade(database_url: str) -> None:
    """Run every migration that is still missing. Blocks, and starts its own event loop: call it from a thread."""
    command.upgrade(alembic_config(database_url), "head")


class MigrationState(StrEnum):
    """How a database stands to this release. ``AHEAD``: it has a migration that this release does not know."""

    EMPTY = "empty"
    BEHIND = "behind"
    CURRENT = "current"
    AHEAD = "ahead"


async def is_current(engine: AsyncEngine) -> bool:
    """Return whether the database has every migration."""
    return await migration_state(engine) is MigrationState.CURRENT


async def migration_state(engine: AsyncEngine) -> MigrationState:
    """Return how the database stands to the migrations of this release."""
    script = ScriptDirectory(str(_MIGRATIONS))

    def revision(connection: Connection) -> str | None:
        return MigrationContext.configure(connection).get_current_revision()

    async with engine.connect() as connection:
        found = await connection.run_sync(revision)
    if found is None:
        return MigrationState.EMPTY
    if found == script.get_current_head():
        return MigrationState.CURRENT
    is_known = any(found == known.revision for known in script.walk_revisions())
    return MigrationState.BEHIND if is_known else MigrationState.AHEAD
