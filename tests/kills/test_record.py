"""The record of the kills: what was written is added up over runs, and a run that was cut off leaves what it had."""

import json
from pathlib import Path

from tests.kills.record import Record, table_of


def _end(record: Record, *, lost: int, still_s: list[float]) -> None:
    record.write(
        "reckoned", kills={"worker": 3, "web": 1}, blows={"crash": 1}, ended={"0": 2}, ended_s=[0.5, 1.5], at_once=1,
        still_s=still_s, payments=50, documents=101, twice=0, lost=lost, cents=0, acked=70, not_stored=0, overlaps=0,
        calls=300, refused=0, took_s=60,
    )  # fmt: skip


def _lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_runs_are_added_up(tmp_path: Path) -> None:
    path = tmp_path / "kills.jsonl"
    for name, lost in (("first", 0), ("second", 2)):
        record = Record(path, name)
        record.write("blow", killed=["worker-1"], still_s=44.0)
        _end(record, lost=lost, still_s=[1.0, 44.0])
    *_, together = table_of(_lines(path))
    cells = [cell.strip() for cell in together.strip("|").split("|")]
    assert cells[:4] == ["together", "8 (2, 6; 2)", "4 of 4, 1.5 s", "2 crash"]
    assert cells[4:9] == ["100", "202", "0", "2", "0"]
    assert cells[10:] == ["44.0 s, 44.0 s", "0", "0 of 600", "120 s"]


def test_a_run_that_was_cut_off_is_no_row_and_its_blows_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "kills.jsonl"
    Record(path, "cut off").write("blow", killed=["web-1"], still_s=0.4)
    assert len(table_of(_lines(path))) == 2
    assert _lines(path)[0]["killed"] == ["web-1"]


def test_nothing_is_kept_where_no_file_is_named() -> None:
    Record(None, "of the suite").write("blow", killed=["web-1"])
