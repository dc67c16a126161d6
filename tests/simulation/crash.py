"""Crash points: one small scenario, and a death at every single step between an intent and its result.

The scenario is played once. At each point the process forks: the child dies there and goes on as its successor would,
until the books are held against Stripe; the other one plays on to the next point.
"""

import asyncio
import json
import os
import re
import shutil
import tempfile
import traceback
from pathlib import Path
from random import Random
from typing import Any

from core.books.roles import FeeStyle, SaleStyle
from tests.histories import History
from tests.simulation import disk
from tests.simulation.check import check
from tests.simulation.life import Death, Life
from tests.simulation.scene import Scene
from tests.simulation.seed import SETTLES_H, come_to_rest
from tests.simulation.stage import PRACTICE, Theatre

SEED = 4
_INTENT = re.compile(r"^(INSERT INTO|UPDATE) (operation|batch)\b")
_DEEDS = (
    History.sell, History.sell_abroad, History.refund, History.dispute, History.charge_of_stripes_own,
    History.hold_back, History.pay_out,
)  # fmt: skip


class Points:
    """Counts the points, and forks at each that is asked for. ``told``: what became of those who died."""

    def __init__(self, theatre: Theatre, *, stride: int, offset: int) -> None:
        self._theatre = theatre
        self._stride, self._offset = stride, offset
        self._is_open = self._has_written = False
        self.count = 0
        self.told: list[dict[str, Any]] = []
        self.writer: int | None = None
        """Where one who died here says what became of it; None for the one who goes on."""

    def pass_by(self, life: Life, where: str) -> None:
        """Pass one point: of a worker, between the first word of an intent and the commit after its result."""
        if self.writer is not None or life.name != "worker":
            return
        sql = where.partition(" ")[2]
        if _INTENT.match(sql):
            self._is_open = self._has_written = True
        if not self._is_open:
            return
        self.count += 1
        if self.count % self._stride == self._offset:
            self._fork(life, where)
        if where == "after COMMIT":
            self._is_open, self._has_written = self._has_written, False

    def _fork(self, life: Life, where: str) -> None:
        reader, writer = os.pipe()
        loop = asyncio.get_running_loop()
        child = os.fork()
        if child == 0:
            # A loop is known to the process that runs it alone.
            asyncio._set_running_loop(loop)
            os.close(reader)
            self.writer, life.is_over, life.died_at = writer, True, where
            self._theatre.is_reborn = True
            disk.leave_for(Path(tempfile.mkdtemp(prefix="crash-", dir=disk.Disk.root.parent)), (disk.WATCHED, PRACTICE))
            raise Death(where)
        os.close(writer)
        told = b""
        while chunk := os.read(reader, 65536):
            told += chunk
        os.close(reader)
        os.waitpid(child, 0)
        result = json.loads(told) if told else {"error": "the process ended without a word"}
        self.told.append({"point": self.count, "where": where, **result})


async def _scenario(theatre: Theatre, points: Points) -> None:
    theatre.begin(SEED)
    scene = Scene(theatre, Random(SEED))
    await theatre.choose((SaleStyle.INVOICE, FeeStyle.DAILY))
    for deed in _DEEDS:
        await deed(theatre.history)
    await theatre.sandbox.flush()
    theatre.at_point = points.pass_by
    await come_to_rest(scene, hours=SETTLES_H)
    await check(scene)


def die_everywhere(loop: asyncio.AbstractEventLoop, theatre: Theatre, *, stride: int, offset: int) -> dict[str, Any]:
    """Play the scenario in this very process, and die at every ``stride``-th point; return what came of it."""
    points = Points(theatre, stride=stride, offset=offset)
    error = None
    try:
        loop.run_until_complete(_scenario(theatre, points))
    except BaseException as exc:  # noqa: BLE001 - whatever it was, it belongs to this point
        error = "".join(traceback.format_exception(exc))[-3000:]
    if points.writer is not None:
        os.write(points.writer, json.dumps({"error": error}).encode())
        shutil.rmtree(disk.Disk.root, ignore_errors=True)
        os._exit(0)
    failed = [one for one in points.told if one["error"]]
    return {"points": points.count, "died": len(points.told), "failed": failed[:20], "error": error}
