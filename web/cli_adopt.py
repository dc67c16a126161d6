"""``tieout adopt``: what stands between a restored backup and entries that are booked twice."""

import argparse
import asyncio
import sys

from core.config import load_settings
from core.db.migrate import is_current
from core.errors import ConfigurationError
from core.identity.workspaces import find_workspace
from core.logging import configure_logging
from core.sync.adopt import Adopting, list_adopting, set_adopting
from core.wiring import Wiring, open_wiring

DESCRIPTION = """\
Look every entry up in the books before it is sent for the first time. Needed after a restore from a backup: what was
booked since then stands in the books, and the restored database does not know it.

  on    before any worker starts on the restored database
  off   when everything is done again; refused before (1), unless --anyway
  show  say how it stands, and how much is not done yet
"""


def add_words(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.description, parser.formatter_class = DESCRIPTION, argparse.RawDescriptionHelpFormatter
    parser.add_argument("act", choices=("on", "off", "show"))
    parser.add_argument("--workspace", help="name or id of one workspace; otherwise all of the installation")
    parser.add_argument("--anyway", action="store_true", help="with off: although not everything is done")


def adopt(args: argparse.Namespace) -> int:
    """Begin, end or show it; 1 where ending it would be too early."""
    settings = load_settings()
    configure_logging(settings.log_level, tracebacks=not settings.is_production)

    async def run() -> int:
        async with open_wiring(settings) as wiring:
            if not await is_current(wiring.db.engine):
                raise ConfigurationError("The database is not at its newest shape. Run `tieout migrate` first.")
            return await act(wiring, args)

    return asyncio.run(run())


async def act(wiring: Wiring, args: argparse.Namespace) -> int:
    """Do it with an opened database; return the exit code."""
    tenant_id = (await find_workspace(wiring.db, args.workspace)).id if args.workspace else None
    books = await list_adopting(wiring.db, tenant_id)
    if not books:
        raise ConfigurationError("No books are connected: there is nothing to look up.")
    if args.act == "show":
        for one in books:
            _say(_line(one))
        return 0
    if args.act == "on":
        return await _begin(wiring, books)
    return await _end(wiring, books, anyway=args.anyway)


async def _begin(wiring: Wiring, books: list[Adopting]) -> int:
    await set_adopting(wiring.db, [one.connection_id for one in books], is_on=True)
    _say(
        f"On for {len(books)} sets of books: every entry is looked up before it is sent for the first time. "
        "Start the workers now. When everything is done again: `tieout adopt off`."
    )
    return 0


async def _end(wiring: Wiring, books: list[Adopting], *, anyway: bool) -> int:
    adopting = [one for one in books if one.is_on]
    early = [one for one in adopting if one.undone and not one.is_closed]
    if early and not anyway:
        for one in early:
            _say(_line(one))
        _say(
            "Not switched off: what is not done yet may stand in the books already, and would be booked twice. "
            "Leave it on until this is empty; it costs one look-up for each entry."
        )
        return 1
    ends = [one for one in adopting if anyway or not one.undone]
    await set_adopting(wiring.db, [one.connection_id for one in ends], is_on=False)
    _say(f"Off for {len(ends)} sets of books.")
    if len(ends) < len(adopting):
        _say(
            f"It stays on for {len(adopting) - len(ends)} that are no longer connected: what waits there is looked up "
            "should they come back."
        )
    return 0


def _line(one: Adopting) -> str:
    return f"{one.workspace}  {one.books}  {'on' if one.is_on else 'off'}  {one.undone} not done"


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
