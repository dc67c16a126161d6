"""``python -m tests.kills``: kill real processes in mid-work, and compare books, Stripe and inbox afterwards."""

import argparse
import asyncio
import json
import shutil
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from core.logging import configure_logging
from tests.kills.record import Record, table_of
from tests.kills.run import Order, Outcome, run
from tests.loopback import forbid_the_network
from tests.postgres import Cluster, running_cluster

_KEPT = ("synchronous_commit=on", "full_page_writes=on")
"""What was committed outlives a crash of the server; a power cut, which is not played, it would not."""
_EVERY_S = {"postgres": 4.0, "sqlite": 3.0}
_SHOPS = {"postgres": (60, 6, 6), "sqlite": (24, 4, 4)}


def main() -> int:
    """Run what was asked for; 1 when anything is wrong."""
    args = _parser().parse_args()
    record = Path(args.record)
    if not args.sum:
        forbid_the_network()
        configure_logging("error", tracebacks=True)
        record.parent.mkdir(parents=True, exist_ok=True)
        for order in _orders(args):
            outcome = _run(order, record, keep=args.keep)
            _say("\n".join(outcome.faults[:40] or [f"{order.database}: nothing is wrong"]))
    lines = [json.loads(line) for line in record.read_text().splitlines()]
    _say("\n".join(table_of(lines)))
    return 1 if any(line.get("faults") for line in lines) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--payments", type=int, default=1000)
    parser.add_argument("--database", choices=("postgres", "sqlite", "both"), default="both")
    parser.add_argument("--every", type=float, help="seconds between kills (default: 4 on PostgreSQL, 3 on SQLite)")
    parser.add_argument("--shops", help="tenants with practice books, QuickBooks and Xero: 60,6,6")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--blow-after", type=int, default=8, help="strike the database after so many kills; 0: never")
    parser.add_argument(
        "--record", default="build/kills.jsonl", help="file to which each kill and each run adds a line"
    )
    parser.add_argument("--sum", action="store_true", help="only add up the runs of the record")
    parser.add_argument("--keep", help="folder for the logs and databases of the run")
    return parser


def _orders(args: argparse.Namespace) -> list[Order]:
    """Share the kills and payments: three fifths for PostgreSQL, where more processes can die."""
    names = ["postgres", "sqlite"] if args.database == "both" else [args.database]
    orders = []
    for name in names:
        share = {"postgres": 0.6, "sqlite": 0.4}[name] if len(names) > 1 else 1.0
        practice, quickbooks, xero = (int(n) for n in args.shops.split(",")) if args.shops else _SHOPS[name]
        orders.append(
            Order(
                database=name, kills=round(args.kills * share), payments=round(args.payments * share),
                every_s=args.every or _EVERY_S[name], shops=(practice, quickbooks, xero), seed=args.seed,
                blow_after=args.blow_after,
            )
        )  # fmt: skip
    return orders


def _run(order: Order, record: Path, *, keep: str | None) -> Outcome:
    name = f"{order.database} {time.strftime('%Y-%m-%d %H:%M')}"
    with ExitStack() as stack:
        folder = Path(keep or tempfile.mkdtemp(prefix="tieout-kills-")).resolve() / order.database
        folder.mkdir(parents=True)
        if keep is None:
            stack.callback(shutil.rmtree, folder.parent, ignore_errors=True)
        cluster = stack.enter_context(running_cluster(settings=_KEPT)) if order.database == "postgres" else None
        return asyncio.run(_until_stopped(order, folder, cluster, Record(record, name)))


async def _until_stopped(order: Order, folder: Path, cluster: Cluster | None, record: Record) -> Outcome:
    """Run; SIGINT ends the killing, and what was done until then is reckoned."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, stop.set)
    return await run(order, folder, cluster, _say, record=record, stop=stop)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
