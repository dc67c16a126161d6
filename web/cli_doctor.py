"""``tieout doctor``: what is wrong with an installation, in plain words, with the one thing to do about each.

Ends with 0 when all is well, 1 when something wants to be looked at, 2 when something is broken.
"""

import argparse
import asyncio
import json
import sys
import textwrap
from collections.abc import Iterator

from core.logging import configure_logging
from core.ops.doctor import EXIT_CODES, examine, worst
from core.ops.findings import Finding, Level

_WIDTH = 96
_MARKS = {Level.FINE: "ok", Level.WARNING: "look", Level.BROKEN: "BROKEN"}
_ENDS = {
    Level.FINE: "Everything is as it should be.",
    Level.WARNING: "It works; what is marked “look” should not be left for long.",
    Level.BROKEN: "Begin with the first line that is marked “BROKEN”; later ones often follow from it.",
}


def call_doctor(args: argparse.Namespace) -> int:
    """Look at everything, print it, and end with how bad it is."""
    configure_logging("error")
    found = asyncio.run(examine(asks_network=args.network))
    level = worst(found)
    lines = [_as_json(found, level)] if args.json else _as_text(found, level)
    for line in lines:
        sys.stdout.write(f"{line}\n")
    return EXIT_CODES[level]


def _as_json(found: list[Finding], level: Level) -> str:
    findings = [
        {"about": finding.about, "level": finding.level.value, "text": finding.text, "do": finding.do}
        for finding in found
    ]
    return json.dumps({"level": level.value, "findings": findings}, indent=2, ensure_ascii=False)


def _as_text(found: list[Finding], level: Level) -> Iterator[str]:
    for finding in found:
        yield from _wrapped(f"{_MARKS[finding.level]:<8}", finding.text)
        if finding.do:
            yield from _wrapped(f"{'':<8}→ ", finding.do)
    yield ""
    yield _ENDS[level]


def _wrapped(start: str, text: str) -> list[str]:
    return textwrap.wrap(
        text, _WIDTH, initial_indent=start, subsequent_indent=" " * len(start), break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip
