"""``tieout journal`` and ``tieout prove``: what an auditor runs."""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable

from core.config import load_settings
from core.db.models import Connection, OthersEntry, Tenant
from core.errors import ConfigurationError
from core.identity.workspaces import find_workspace
from core.logging import configure_logging
from core.money import to_decimal
from core.reports.drift import list_others
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
        async with wiring.db.tenant(tenant.id) as session:
            others = await list_others(session, connection.id)
        for one in others:
            _say(_others_line(one, connection.currency))
        _say(f"{held + broken} documents looked up in {connection.external_name}: {held} stand once, {broken} do not.")
        return 1 if broken else 0

    return asyncio.run(_with_books(args.workspace, run))


def _line(proof: Proof) -> str:
    verdict = "ok" if proof.holds else proof.problem
    return f"{proof.source_id}  {proof.kind.value}  {proof.reference}  {proof.external_id}  {proof.count}  {verdict}"


def _others_line(one: OthersEntry, currency: str) -> str:
    effect = "an unknown amount" if one.effect_minor is None else f"{to_decimal(one.effect_minor, currency)}"
    return f"not ours  {one.word} {one.number}  {one.external_id}  {one.day or ''}  {effect} on the clearing account"


async def _with_books(workspace: str | None, work: Callable[[Wiring, Tenant, Connection], Awaitable[int]]) -> int:
    settings = load_settings()
    configure_logging(settings.log_level, tracebacks=not settings.is_production)
    async with open_wiring(settings) as wiring:
        tenant = await find_workspace(wiring.db, workspace)
        async with wiring.db.tenant(tenant.id) as session:
            connection = await books_connection(session)
        if connection is None:
            raise ConfigurationError(f"No books are connected to “{tenant.name}”.")
        return await work(wiring, tenant, connection)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
