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
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import structlog

from core.logging import configure_logging
from tests import factories
from tests.simulation import catalogue, disk
from tests.simulation.crash import die_everywhere
from tests.simulation.life import make_task
from tests.simulation.loop import MemoryLoop
from tests.simulation.seed import kind_of, play
from tests.simulation.stage import PRACTICE, STARTS, Theatre, empty_database

SECONDS = 60
"""Of CPU: more than any seed takes; one that takes longer goes round in circles."""


class Company:
    """One theatre of one kind of books, ready to be forked."""

    traces = False
    """Whether every call of a seed is told."""

    def __init__(self, kind: str, empty: bytes) -> None:
        self.kind = kind
        # All that is made here is made alike in every process, whatever was made before.
        os.urandom = Random(kind).randbytes
        factories._numbers = count(1)
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
            self.loop.run_until_complete(play(self.theatre, seed, []))
        except AssertionError:
            pass
        finally:
            self.loop.run_until_complete(self.theatre.rest())
        catalogue.HITS.clear()

    def play(self, seed: int) -> dict[str, Any]:
        """Play one seed in a fork; return what became of it."""

        def perform() -> dict[str, Any]:
            signal.setitimer(signal.ITIMER_PROF, SECONDS)
            return self.perform(seed)

        told = self._in_fork(perform)
        if not told:
            words = "the process ended without a word"
            return {"seed": seed, "error": words, "hits": {}, "words": [], "cpu_s": 0.0, "calls": 0}
        found: dict[str, Any] = json.loads(told)
        return found

    def _in_fork(self, work: Callable[[], dict[str, Any]]) -> bytes:
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            with os.fdopen(writer, "w") as out:
                json.dump(work(), out)
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader, "rb") as answer:
            told = answer.read()
        os.waitpid(child, 0)
        return told

    @contextmanager
    def _own_files(self) -> Iterator[None]:
        """Let this process have the files of the theatre for itself."""
        asyncio.set_event_loop(self.loop)
        root = disk.Disk.root = Path(tempfile.mkdtemp(prefix="seed-", dir=disk.Disk.root))
        disk.restore(self.files[0])
        disk.restore(self.files[1], PRACTICE)
        try:
            yield
        finally:
            shutil.rmtree(root, ignore_errors=True)

    def crash(self, *, stride: int, offset: int) -> dict[str, Any]:
        """Die at every point of a scenario, in a fork."""
        found = self._in_fork(lambda: self._crash_here(stride, offset))
        return json.loads(found) if found else {"points": 0, "died": 0, "failed": [], "error": "ended without a word"}

    def _crash_here(self, stride: int, offset: int) -> dict[str, Any]:
        with self._own_files():
            return die_everywhere(self.loop, self.theatre, stride=stride, offset=offset)

    def perform(self, seed: int) -> dict[str, Any]:
        """Play one seed in this very process, which is good for nothing else afterwards."""
        begun = time.process_time()
        catalogue.HITS.clear()
        told: dict[str, Any] = {"seed": seed, "error": None, "words": []}
        with self._own_files():
            try:
                self.loop.run_until_complete(play(self.theatre, seed, told["words"]))
            except BaseException as exc:  # noqa: BLE001 - whatever it was, it is this seed's fault
                told["error"] = "".join(traceback.format_exception(exc))[-6000:]
        told["calls"] = len(self.theatre.wire.trace)
        if self.traces:
            told["trace"] = self.theatre.wire.trace
        told["hits"], told["cpu_s"] = dict(catalogue.HITS), time.process_time() - begun
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


def play_seeds(seeds: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Play seeds one after the other in forks of this process."""
    with own_folder():
        built = companies({kind_of(seed) for seed in seeds})
        for seed in seeds:
            yield built[kind_of(seed)].play(seed)


def crash_points(kind: str, *, stride: int = 1, offset: int = 0) -> dict[str, Any]:
    """Die at every ``stride``-th point of the scenario in one kind of books."""
    with own_folder():
        return companies({kind})[kind].crash(stride=stride, offset=offset)


@contextmanager
def own_folder() -> Iterator[None]:
    """Let files lie in memory where the machine has room for them there."""
    folder = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    root = disk.Disk.root = Path(tempfile.mkdtemp(prefix="simulation-", dir=folder))
    try:
        yield
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--from", type=int, default=1, dest="first")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--record", type=Path, help="add a line for each seed to this file, and go on behind it")
    parser.add_argument("--trace", action="store_true", help="with --only: tell every call as well")
    parser.add_argument("--crash", choices=sorted(STARTS), help="die at every point of a scenario in these books")
    parser.add_argument("--stride", type=int, default=1, help="with --crash: at every so manieth point only")
    parser.add_argument("--only", type=int, nargs="+", help="play these seeds and tell everything")
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
    Company.traces = asked.trace
    if asked.only is not None:
        return max([_tell(told) for told in play_seeds(asked.only)])
    if asked.crash is not None:
        told = crash_points(asked.crash, stride=asked.stride)
        say(json.dumps(told, indent=1))
        return int(bool(told["error"] or told["failed"]))
    tally = Tally(asked.seeds)
    wanted = [*range(asked.first, asked.first + asked.seeds)]
    if asked.record is not None:
        wanted = tally.take_up(asked.record, wanted)
    for told in _from_all(wanted, asked.processes):
        tally.add(told)
        if asked.record is not None:
            with asked.record.open("a") as record:
                record.write(json.dumps(told) + "\n")
    return tally.close()


class Tally:
    """Counts what came of the seeds, and shows how far they are."""

    def __init__(self, wanted: int) -> None:
        self._wanted = wanted
        self._started = time.monotonic()
        self._hits = Counter[str]()
        self._failed: list[int] = []
        self._count = self._played = 0

    def take_up(self, record: Path, seeds: list[int]) -> list[int]:
        """Count what an earlier run has written down; return the seeds that are left."""
        known = [json.loads(line) for line in record.read_text().splitlines()] if record.exists() else []
        for told in known:
            self._take(told)
        done = {told["seed"] for told in known}
        return [seed for seed in seeds if seed not in done]

    def add(self, told: dict[str, Any]) -> None:
        """Count one seed that was played now."""
        self._take(told)
        self._played += 1
        if told["error"]:
            say(f"seed {told['seed']} FAILED {told['words']}\n{told['error']}\nrepeat: {repeat(told['seed'])}")
        if self._played % 100 == 0:
            rate = self._played / (time.monotonic() - self._started)
            say(f"{self._count} of {self._wanted} seeds, {rate:.1f} a second, {len(self._failed)} failed")

    def close(self) -> int:
        """Print the table; return 1 where a seed failed or a fault never happened."""
        for fault, title in catalogue.TITLES.items():
            say(f"{fault:>4} {self._hits[fault]:>8}  {title}")
        took = time.monotonic() - self._started
        say(f"{self._count} seeds, {self._played} of them now in {took:.0f} s: {len(self._failed)} failed")
        never = [fault for fault in catalogue.TITLES if not self._hits[fault]]
        if never:
            say("never hit: " + ", ".join(never))
        return int(bool(self._failed or never))

    def _take(self, told: dict[str, Any]) -> None:
        self._count += 1
        self._hits.update(told["hits"])
        if told["error"]:
            self._failed.append(told["seed"])


def _tell(told: dict[str, Any]) -> int:
    """Print everything about one seed; return 1 where it failed."""
    for line in told.get("trace", ()):
        say(line)
    say(f"seed {told['seed']} {told['words']} {told['hits']} {told['calls']} calls\n{told['error'] or 'all well'}")
    return int(bool(told["error"]))


def say(text: str) -> None:
    """Print a line, at once: whoever waits for the end of a long run wants to see that it goes on."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def repeat(seed: int) -> str:
    """Return the command that plays one seed again."""
    return f".venv/bin/python -m tests.simulation --only {seed}"


def _from_all(seeds: Sequence[int], processes: int) -> Iterator[dict[str, Any]]:
    """Play the seeds on so many processes; yield each result as it comes."""
    reader, writer = os.pipe()
    children = []
    for number in range(min(processes, len(seeds))):
        child = os.fork()
        if child == 0:
            os.close(reader)
            for told in play_seeds(seeds[number::processes]):
                # Shorter than what a pipe takes in one piece, so that lines of two processes never mix.
                os.write(
                    writer, (json.dumps({**told, "error": told["error"] and told["error"][-3000:]}) + "\n").encode()
                )
            os._exit(0)
        children.append(child)
    os.close(writer)
    with os.fdopen(reader) as lines:
        for line in lines:
            yield json.loads(line)
    for child in children:
        os.waitpid(child, 0)
