"""``python -m tests.bench [--only NAME]``: measure, print a table, write it to ``build/bench.md``."""

import argparse
import os
import shutil
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from core.logging import configure_logging
from tests.bench import engine, engine_calls, engine_workers, hold, intake, payments, rest
from tests.bench.figures import Figure, machine, markdown_table, note, plain_table
from tests.bench.peer import measure as peer
from tests.loopback import forbid_the_network
from tests.postgres import NoServerError

BUILD = Path("build")

MEASUREMENTS: dict[str, Callable[[Path], list[Figure]]] = {
    "intake": intake.on_sqlite,
    "intake-postgres": intake.on_postgres,
    "payments": payments.on_sqlite,
    "payments-postgres": payments.on_postgres,
    "start": rest.start_and_rest,
    "first-call": rest.first_call,
    "engine": engine.on_sqlite,
    "engine-postgres": engine.on_postgres,
    "engine-calls": engine_calls.backlog,
    "engine-workers": engine_workers.on_postgres,
    "hold": hold.on_postgres,
    "peer": peer.dj_stripe,
}
ON_REQUEST = {"engine", "engine-postgres", "engine-calls", "engine-workers", "payments-postgres", "hold", "peer"}
"""Not among those that run when none is named: with it, all of them take too long."""


def main() -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--only", action="append", choices=list(MEASUREMENTS), help="may be given several times")
    args = parser.parse_args()
    forbid_the_network()
    configure_logging("warning", tracebacks=True)
    figures: list[Figure] = []
    before, started, failures = machine(), time.monotonic(), 0
    for name in args.only or [name for name in MEASUREMENTS if name not in ON_REQUEST]:
        _say(f"{name}...")
        try:
            figures += _measure(name)
        except Exception:  # noqa: BLE001 - one that fails must not cost the figures of the others
            failures += 1
            figures.append(note(name, "failed"))
            traceback.print_exc()
    _say(f"\n{before}; {time.monotonic() - started:.0f} s\n\n{plain_table(figures)}")
    (BUILD / "bench.md").write_text(f"{before}.\n\n{markdown_table(figures)}\n")
    return 1 if failures else 0


def _measure(name: str) -> list[Figure]:
    # Beside the checkout, not in memory: the disk is half of what is measured.
    folder = BUILD / f"bench-{os.getpid()}"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        return MEASUREMENTS[name](folder.resolve())
    except NoServerError as exc:
        return [note(name, f"not measured: {exc}")]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
