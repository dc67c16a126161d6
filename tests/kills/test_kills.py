"""A few real kills in every run of the suite; ``make kills`` does it at length (docs/crashes.md)."""

import sys
from pathlib import Path

import pytest

from tests.kills.run import Order, run
from tests.postgres import Cluster

LONGEST_STILL_S = 60.0


async def test_the_one_process_on_a_file_is_killed_in_mid_work(tmp_path: Path) -> None:
    order = Order(database="sqlite", kills=5, payments=40, every_s=2.5, shops=(2, 1, 0))
    await _nothing_came_of_it(order, tmp_path, None)


@pytest.mark.postgres
async def test_web_processes_and_workers_on_one_server_are_killed_in_mid_work(
    tmp_path: Path, postgres: Cluster
) -> None:
    order = Order(database="postgres", kills=8, payments=60, every_s=2.0, shops=(8, 1, 0))
    await _nothing_came_of_it(order, tmp_path, postgres)


async def _nothing_came_of_it(order: Order, folder: Path, cluster: Cluster | None) -> None:
    done = await run(order, folder, cluster, lambda text: print(text, file=sys.stderr))  # noqa: T201 - shown on failure
    assert done.faults == []
    assert done.tally.total >= order.kills
    assert done.found.payments == order.payments
    assert done.found.acked
    assert set(done.tally.ended) <= {0}
    assert max(done.tally.still_s) <= LONGEST_STILL_S
