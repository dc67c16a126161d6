"""The suite's share of the simulation; ``make simulate SEEDS=n`` plays as many seeds as anybody likes."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SEEDS = int(os.environ.get("SIMULATION_SEEDS", "60"))
"""A share that the suite can afford on two cores; docs/simulation.md says how many more were played."""

COVERS_FROM = 1000
"""So many seeds meet every fault; a run of fewer may miss a rare one by chance."""

STRIDE = 100
"""Of the crash points, every so manieth dies here; ``make crash-points`` dies at each."""

pytestmark = pytest.mark.slow


def simulate(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run the simulation in a process of its own: it forks, and takes the place of the database's driver."""
    return subprocess.run(
        [sys.executable, "-m", "tests.simulation", *arguments],
        cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": "0"}, capture_output=True, text=True, check=False, timeout=3600,
    )  # fmt: skip


def test_nothing_is_lost_and_nothing_is_doubled_under_any_fault() -> None:
    ended = simulate("--seeds", str(SEEDS), "--processes", "1")
    told = ended.stdout[-8000:] + ended.stderr[-2000:]
    assert re.search(rf"^{SEEDS} seeds, .* 0 failed$", ended.stdout, re.MULTILINE), told
    assert ended.returncode == 0 or SEEDS < COVERS_FROM, told


@pytest.mark.parametrize("kind", ["quickbooks", "xero", "mock"])
def test_a_death_at_any_step_between_intent_and_result_costs_nothing(kind: str) -> None:
    ended = simulate("--crash", kind, "--stride", str(STRIDE))
    assert ended.returncode == 0, ended.stdout[-8000:] + ended.stderr[-2000:]


def test_a_seed_repeats_itself_to_the_last_call() -> None:
    first, second = (simulate("--only", "8", "--trace").stdout for _ in range(2))
    assert first == second
    assert len(first.splitlines()) > 20
