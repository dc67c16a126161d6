"""What a run has done and seen, one line of JSON each, written at once: a run that is cut off has told of it all."""

import json
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

HEAD = (
    "| run | killed (web, worker; two at once) | asked to end: exit 0, slowest | other blows | payments | documents "
    "| twice | lost | cents | acknowledged, not stored | stood still: median, longest | two calls at once "
    "| 429 | took |"
)
RULE = "|" + "---|" * 14
_SUMS = ("payments", "documents", "twice", "lost", "cents", "acked", "not_stored", "overlaps", "calls", "refused")


class Record:
    """The record of one run, at the end of a file that may hold others. ``path`` None keeps nothing."""

    def __init__(self, path: Path | None, run: str) -> None:
        self._path = path
        self._run = run
        self._began = time.monotonic()

    def write(self, what: str, **facts: Any) -> None:
        """Add a line: the run, seconds since its beginning, what it is, and its facts."""
        if self._path is None:
            return
        line = {"run": self._run, "s": round(time.monotonic() - self._began, 1), "what": what, **facts}
        with self._path.open("a") as out:
            out.write(json.dumps(line) + "\n")


def table_of(lines: Iterable[dict[str, Any]]) -> list[str]:
    """Return the table of docs/crashes.md: a row for each run that was reckoned, and their sum."""
    ends = [line for line in lines if line["what"] == "reckoned"]
    rows = [_row(end) for end in ends]
    if len(ends) > 1:
        rows.append(_row(_sum(ends)))
    return [HEAD, RULE, *rows]


def _sum(ends: list[dict[str, Any]]) -> dict[str, Any]:
    whole: dict[str, Any] = {name: sum(end[name] for end in ends) for name in (*_SUMS, "at_once", "took_s")}
    for name in ("kills", "blows", "ended"):
        whole[name] = sum((Counter(end[name]) for end in ends), Counter())
    for name in ("still_s", "ended_s"):
        whole[name] = [one for end in ends for one in end[name]]
    return {**whole, "run": "together"}


def _row(end: dict[str, Any]) -> str:
    still, kills, ended = sorted(end["still_s"]) or [0.0], Counter(end["kills"]), Counter(end["ended"])
    blows = ", ".join(f"{count} {name}" for name, count in sorted(end["blows"].items())) or "none"
    return (
        f"| {end['run']} | {kills.total()} ({kills['web']}, {kills['worker']}; {end['at_once']}) "
        f"| {ended['0']} of {ended.total()}, {max(end['ended_s'], default=0):.1f} s | {blows} "
        f"| {end['payments']} | {end['documents']} | {end['twice']} | {end['lost']} | {end['cents']} "
        f"| {end['acked']}, {end['not_stored']} | {still[len(still) // 2]:.1f} s, {still[-1]:.1f} s "
        f"| {end['overlaps']} | {end['refused']} of {end['calls']} | {end['took_s']:.0f} s |"
    )
