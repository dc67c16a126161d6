"""Finding a workspace by what an operator calls it; for the command line alone."""

from sqlalchemy import select

from core.db.models import Tenant
from core.db.session import Database
from core.errors import ConfigurationError

_SHOWN = 20


async def find_workspace(db: Database, name: str | None) -> Tenant:
    """Return the workspace of that name or id; without a name the only one there is.

    Raises:
        ConfigurationError: there is none, or more than one.
    """
    # Across tenants on purpose: whoever runs the command line runs the installation.
    async with db.system() as session:
        found = list((await session.execute(select(Tenant).order_by(Tenant.name, Tenant.id))).scalars())
    if name is not None:
        found = [tenant for tenant in found if name in (tenant.name, str(tenant.id))]
    if len(found) == 1:
        return found[0]
    if not found:
        raise ConfigurationError("There is no such workspace." if name else "There is no workspace yet.")
    shown = ", ".join(f"{tenant.name} ({tenant.id})" for tenant in found[:_SHOWN])
    raise ConfigurationError(f"Name one of these with --workspace: {shown}")
