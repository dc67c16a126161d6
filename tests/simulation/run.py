"""Plays seeds in forks of one process for each core, and counts."""

import argparse
import asyncio
import gc
import json
import logging
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import structlog

from core.logging import configure_logging
from tests.simulation import catalogue, disk
from tests.simulation.life import make_task
from tests.simulation.loop import MemoryLoop
from tests.simulation.seed import kind_of, play
from tests.simulation.stage import PRACTICE, Theatre, empty_database

SECONDS = 60
"""More than any seed takes; one that takes longer hangs."""


class Company:
    """One theatre of one kind of books, ready to be forked."""

    def __init__(self, kind: str, empty: bytes) -> None:
        self.kind = kind
        self.loop = MemoryLoop()
        self.loop.set_task_factory(make_task)
        self.theatre = Theatre(kind)
        asyncio.set_event_loop(self.loop)
        for seed in WARM_UP.get(kind, ()):
            # Played for nothing but what SQLAlchemy learns of its statements; every fork would learn it anew.
            self.loop.run_until_complete(self._open(empty))
            self._warm(seed)
        self.loop.run_until_complete(self._open(empty))
        self.files = (disk.copy(), disk.copy(PRACTICE))

    async def _open(self, empty: bytes) -> None:
        await self.theatre.raise_curtain(empty)
        await self.theatre.rest()

    def _warm(self, seed: int) -> None:
        try:
            self.loop.run_until_complete(play(self.theatre, seed))
        except AssertionError:
            pass
        finally:
            self.loop.run_until_complete(self.theatre.rest())
        catalogue.HITS.clear()

    def play(self, seed: int) -> dict[str, Any]:
        """Play one seed in a fork; return what became of it."""
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            self._play_here(seed, writer)
        os.close(writer)
        told = b""
        while chunk := os.read(reader, 65536):
            told += chunk
        os.close(reader)
        os.waitpid(child, 0)
        if not told:
            return {"seed": seed, "error": "the process ended without a word", "hits": {}, "words": []}
        found: dict[str, Any] = json.loads(told)
        return found

    def _play_here(self, seed: int, writer: int) -> None:
        signal.alarm(SECONDS)
        told = self.perform(seed)
        os.write(writer, json.dumps(told).encode())
        os._exit(0)

    def perform(self, seed: int) -> dict[str, Any]:
        """Play one seed in this very process, which is good for nothing else afterwards."""
        asyncio.set_event_loop(self.loop)
        catalogue.HITS.clear()
        root = disk.Disk.root = Path(tempfile.mkdtemp(prefix="seed-", dir=disk.Disk.root))
        disk.restore(self.files[0])
        disk.restore(self.files[1], PRACTICE)
        told: dict[str, Any] = {"seed": seed, "error": None, "words": []}
        try:
            told["words"] = self.loop.run_until_complete(play(self.theatre, seed))
        except BaseException as exc:  # noqa: BLE001 - whatever it was, it is this seed's fault
            told["error"] = "".join(traceback.format_exception(exc))[-6000:]
        told["hits"] = dict(catalogue.HITS)
        shutil.rmtree(root, ignore_errors=True)
        return told


WARM_UP: dict[str, tuple[int, ...]] = {"quickbooks": (10, 12), "xero": (11, 13), "mock": (4,)}


def companies(kinds: set[str]) -> dict[str, Company]:
    """Build a theatre for each kind of books."""
    empty = empty_database()
    built = {kind: Company(kind, empty) for kind in sorted(kinds)}
    gc.collect()
    gc.freeze()
    gc.disable()
    return built


def play_seeds(seeds: range) -> Iterator[dict[str, Any]]:
    """Play seeds one after the other in this process's forks."""
    folder = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - a folder in memory where there is one
    root = Path(tempfile.mkdtemp(prefix="simulation-", dir=folder))
    disk.Disk.root = root
    try:
        built = companies({kind_of(seed) for seed in seeds})
        for seed in seeds:
            yield built[kind_of(seed)].play(seed)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--from", type=int, default=1, dest="first")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", action="store_true", help="one line for each seed instead of a table")
    parser.add_argument("--only", type=int, help="play one seed and tell everything")
    return parser.parse_args()


def main() -> int:
    """Play, print, and say whether all was well."""
    asked = _arguments()
    if os.environ.get("PYTHONHASHSEED") != "0":
        # Sets of names come in another order in each process otherwise, and a seed would not repeat itself.
        os.execve(
            sys.executable,
            [sys.executable, "-m", "tests.simulation", *sys.argv[1:]],
            {**os.environ, "PYTHONHASHSEED": "0"},
        )
    configure_logging("error", tracebacks=False)
    if asked.only is None:
        # Faults are the point here; what the product says of them is told for a single seed alone.
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    if asked.only is not None:
        [told] = play_seeds(range(asked.only, asked.only + 1))
        print(json.dumps({**told, "error": None}, indent=1))
        print(told["error"] or "all well")
        return int(bool(told["error"]))
    started = time.monotonic()
    total, failed, count = Counter[str](), [], 0
    for told in _from_all(asked):
        count += 1
        total.update(told["hits"])
        if told["error"]:
            failed.append(told)
            print(
                f"seed {told['seed']} FAILED {told['words']}\n{told['error']}\nrepeat: {repeat(told['seed'])}",
                flush=True,
            )
        if count % 100 == 0:
            took = time.monotonic() - started
            print(f"{count} of {asked.seeds} seeds, {count / took:.1f} a second, {len(failed)} failed", flush=True)
    took = time.monotonic() - started
    for fault, title in catalogue.TITLES.items():
        print(f"{fault:>4} {total[fault]:>8}  {title}")
    print(f"{count} seeds in {took:.0f} s ({count / took:.1f} a second), {len(failed)} failed")
    never = [fault for fault in catalogue.TITLES if not total[fault]]
    if never:
        print("never hit: " + ", ".join(never))
    return int(bool(failed or never))


def repeat(seed: int) -> str:
    """Return the command that plays one seed again."""
    return f".venv/bin/python -m tests.simulation --only {seed}"


def _from_all(asked: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Play the seeds on so many processes; yield each result as it comes."""
    reader, writer = os.pipe()
    children = []
    for number in range(asked.processes):
        child = os.fork()
        if child == 0:
            os.close(reader)
            for told in play_seeds(range(asked.first + number, asked.first + asked.seeds, asked.processes)):
                line = json.dumps(told)[:60000] + "\n"
                with os.fdopen(os.dup(writer), "w") as out:
                    out.write(line)
            os._exit(0)
        children.append(child)
    os.close(writer)
    with os.fdopen(reader) as lines:
        for line in lines:
            yield json.loads(line)
    for child in children:
        os.waitpid(child, 0)
