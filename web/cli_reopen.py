"""``tieout reopen``: what an operator runs after a release that mends a fault of ours."""

import argparse
import asyncio
import sys

from core.config import load_settings
from core.logging import configure_logging
from core.sync.reopen import Reopened, reopen_after_release
from core.wiring import open_wiring


def add_options(command: argparse.ArgumentParser) -> None:
    """Give the command its options."""
    command.add_argument("--incident", help="the eight characters of one incident, as the page or the log shows them")


def reopen_all(args: argparse.Namespace) -> int:
    """Let go on what was stopped, and say how much that is."""
    settings = load_settings()
    configure_logging(settings.log_level, tracebacks=not settings.is_production)

    async def run() -> Reopened:
        async with open_wiring(settings) as wiring:
            return await reopen_after_release(wiring.db, incident=args.incident)

    done = asyncio.run(run())
    sys.stdout.write(
        f"{done.events} events and {done.items} items go on. What fails again is set apart again after five tries.\n"
    )
    return 0
