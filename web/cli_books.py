"""``tieout journal`` and ``tieout prove``: what an auditor runs."""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable

from sqlalchemy import select

from core.config import load_settings
from core.db.models import Connection, Tenant
from core.errors import ConfigurationError
from core.logging import configure_logging
from core.reports.journal import write_journal
from core.sync.items import books_connection
from core.sync.prove import Proof, prove
from core.wiring import Wiring, open_wiring


def write_journal_of(args: argparse.Namespace) -> int:
    """Write the journal of one workspace to the standard output."""

    async def write(wiring: Wiring, tenant: Tenant, connection: Connection) -> int:
        async with wiring.db.tenant(tenant.id) as session:
            async for line in write_journal(session, connection):
                _say(line)
        return 0

    return asyncio.run(_with_books(args.workspace, write))


def prove_books(args: argparse.Namespace) -> int:
    """Print one line for each document, and end with 1 when one does not stand exactly once as it was sent."""

    async def run(wiring: Wiring, tenant: Tenant, connection: Connection) -> int:
        held = broken = 0
        async for proof in prove(wiring, tenant_id=tenant.id, connection_id=connection.id):
            _say(_line(proof))
            held, broken = held + proof.holds, broken + (not proof.holds)
        _say(f"{held + broken} documents looked up in {connection.external_name}: {held} stand once, {broken} do not.")
        return 1 if broken else 0

    return asyncio.run(_with_books(args.workspace, run))


def _line(proof: Proof) -> str:
    verdict = "ok" if proof.holds else proof.problem
    return f"{proof.source_id}  {proof.kind.value}  {proof.reference}  {proof.external_id}  {proof.count}  {verdict}"


async def _with_books(workspace: str | None, work: Callable[[Wiring, Tenant, Connection], Awaitable[int]]) -> int:
    settings = load_settings()
    configure_logging(settings.log_level, tracebacks=not settings.is_production)
    async with open_wiring(settings) as wiring:
        tenant = await _tenant(wiring, workspace)
        async with wiring.db.tenant(tenant.id) as session:
            connection = await books_connection(session)
        if connection is None:
            raise ConfigurationError(f"No books are connected to “{tenant.name}”.")
        return await work(wiring, tenant, connection)


async def _tenant(wiring: Wiring, workspace: str | None) -> Tenant:
    # Across tenants on purpose: whoever runs the command line runs the installation.
    async with wiring.db.system() as session:
        found = list((await session.execute(select(Tenant).order_by(Tenant.name))).scalars())
    if workspace is not None:
        found = [tenant for tenant in found if workspace in (tenant.name, str(tenant.id))]
    if len(found) == 1:
        return found[0]
    if not found:
        raise ConfigurationError("There is no such workspace." if workspace else "There is no workspace yet.")
    names = ", ".join(f"{tenant.name} ({tenant.id})" for tenant in found[:20])
    raise ConfigurationError(f"Name one with --workspace: {names}")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
