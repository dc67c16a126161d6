"""``python -m tests.kills``: kill real processes in mid-work, and compare books, Stripe and inbox afterwards."""

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from core.logging import configure_logging
from tests.kills.run import Order, Outcome, run
from tests.loopback import forbid_the_network
from tests.postgres import running_cluster

BUILD = Path("build")
LONGEST_STILL_S = 60.0
_EVERY_S = {"postgres": 4.0, "sqlite": 3.0}
_SHOPS = {"postgres": (60, 6, 6), "sqlite": (24, 4, 4)}


def main() -> int:
    """Run what was asked for; 1 when anything is wrong."""
    args = _parser().parse_args()
    forbid_the_network()
    configure_logging("error", tracebacks=True)
    outcomes = [_run(order, keep=args.keep) for order in _orders(args)]
    table = "\n".join(table_of(outcomes))
    BUILD.mkdir(exist_ok=True)
    with (BUILD / "kills.md").open("a") as out:
        out.write(f"{time.strftime('%Y-%m-%d %H:%M')}\n\n{table}\n\n")
    faults = [fault for outcome in outcomes for fault in outcome.faults]
    _say("\n".join([table, *faults[:40]]))
    return 1 if faults else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--payments", type=int, default=1000)
    parser.add_argument("--database", choices=("postgres", "sqlite", "both"), default="both")
    parser.add_argument("--every", type=float, help="seconds between kills (default: 4 on PostgreSQL, 3 on SQLite)")
    parser.add_argument("--shops", help="tenants with practice books, QuickBooks and Xero: 60,6,6")
    parser.add_argument("--seed", type=int, default=1)
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
            )
        )  # fmt: skip
    return orders


def _run(order: Order, *, keep: str | None) -> Outcome:
    with ExitStack() as stack:
        folder = Path(keep or tempfile.mkdtemp(prefix="tieout-kills-")).resolve() / order.database
        folder.mkdir(parents=True)
        if keep is None:
            stack.callback(shutil.rmtree, folder.parent, ignore_errors=True)
        cluster = stack.enter_context(running_cluster()) if order.database == "postgres" else None
        return asyncio.run(run(order, folder, cluster, _say))


def table_of(outcomes: list[Outcome]) -> list[str]:
    """Return the table of docs/crashes.md."""
    lines = [
        "| database | kills (web, worker; two at once) | asked to end: exit 0, slowest | payments | documents | twice "
        "| lost | cents | acknowledged, not stored | stood still: median, longest | two calls at once | 429 | took |",
        "|" + "---|" * 13,
    ]
    for one in outcomes:
        tally, found = one.tally, one.found
        still = sorted(tally.still_s) or [0.0]
        lines.append(
            f"| {one.order.database} | {tally.total} ({tally.kills['web']}, {tally.kills['worker']}; {tally.at_once}) "
            f"| {tally.ended[0]} of {tally.ended.total()}, {max(tally.ended_s, default=0):.1f} s "
            f"| {found.payments} | {found.documents} | {found.twice} | {found.lost} | {found.cents} "
            f"| {found.acked}, {found.not_stored} | {still[len(still) // 2]:.1f} s, {still[-1]:.1f} s "
            f"| {found.overlaps} | {found.refused_for_pace.total()} of {found.calls.total()} | {one.took_s:.0f} s |"
        )
    return lines


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
