"""A few real kills in every run of the suite; ``make kills`` does it at length (docs/crashes.md)."""

import asyncio
import sys
from pathlib import Path

from tests.kills.record import Record
from tests.kills.run import Order, Say, run


async def test_the_one_process_on_a_file_is_killed_in_mid_work(tmp_path: Path) -> None:
    order = Order(database="sqlite", kills=5, payments=30, every_s=1.5, shops=(2, 1, 0))
    say: Say = lambda text: print(text, file=sys.stderr)  # noqa: T201, E731 - shown on failure
    done = await run(order, tmp_path, None, say, record=Record(None, ""), stop=asyncio.Event())
    assert done.faults == []
    assert done.tally.total >= order.kills
    assert done.found.payments == order.payments
    assert done.found.acked
    assert set(done.tally.ended) <= {0}
