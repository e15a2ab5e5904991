"""``python -m benchmarks.report``: everything runs, and machines stand side by side."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import machines, report

HERE = {
    "processor": "One", "registers": "512 bits", "cores": 2, "threads": 2, "versions": {"numpy": "2.4"}, "noise": 0.012,
    "parts": {
        "elementwise": {
            "relu": {"each": {"fastact": 0.25, "numpy": 1.0, "torch": 0.5}, "quiet": True, "copies": 0.9},
            "gelu": {"each": {"fastact": 0.5, "numpy": 7.5}, "quiet": False},
        },
        "memory": {"a fit": {"each": {"fastact": 3.0}, "quiet": True}},
    },
}  # fmt: skip
RELU = {"each": {"fastact": 2.0}, "quiet": True}
THERE = HERE | {"processor": "Two", "registers": "256 bits", "parts": {"elementwise": {"relu": RELU}}}


def test_machines_side_by_side() -> None:
    lines = machines.tables([HERE, THERE]).splitlines()
    assert "| A | One | 512 bits | 2 of 2 | numpy 2.4 | 1.2% |" in lines
    assert "| relu | 0.25 | 0.90 | torch 0.5, 2.0x | 2 |  |  |" in lines
    assert "| gelu | 0.5 | noisy | numpy 7.5 (noisy) |  |  |  |" in lines  # no ratio, and nothing of the other machine
    assert "| a fit | 3 |  |  |  |" in lines
    table = lines[lines.index("| relu | 0.25 | 0.90 | torch 0.5, 2.0x | 2 |  |  |") - 2 :][:4]
    assert {line.count("|") for line in table} == {8}  # as many columns in every row


def test_first_figures_are_those_of_quiet_machines() -> None:
    lines = machines.headline([HERE, THERE]).splitlines()
    assert lines[0] == "|  | One, 512 bits, 2 threads | Two, 256 bits, 2 threads |"
    assert lines[2:] == ["| relu | 0.25 ns; torch 2.0x, numpy 4.0x | 2 ns |"]  # no gelu: the machine was busy


def test_speed_of_one_function(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machines, "load", lambda: [HERE, THERE])
    both = "0.25 ns per element on One, 512 bits, 2 threads; 2 ns per element on Two, 256 bits, 2 threads"
    assert (machines.speed("relu"), machines.speed("gelu"), machines.speed("none")) == (both, "", "")


def test_parts_are_measured_one_at_a_time(tmp_path: Path) -> None:
    machines.save(HERE, tmp_path)
    later = HERE | {"noise": 0.5, "parts": {"startup": {"a": {"each": {"fastact": 9.0}, "quiet": True}}}}
    path = machines.save(later, tmp_path)
    assert path.name == "one-512-bits.json"
    kept = json.loads(path.read_text())
    assert (list(kept["parts"]), kept["noise"]) == (["elementwise", "memory", "startup"], 0.5)


def test_everything_runs(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    report.main(["--quick", "--into", str(tmp_path)])
    (path,) = tmp_path.glob("*.json")
    machine = json.loads(path.read_text())
    assert list(machine["parts"]) == list(report.PARTS)
    assert all("fastact" in entry["each"] for part in machine["parts"].values() for entry in part.values())
    assert machines.picture(machine, tmp_path).read_text().startswith("<?xml")
    assert set(report.PARTS) == set(machines.TITLES)


def test_little_is_not_taken_for_much() -> None:
    with pytest.raises(SystemExit):
        report.main(["--quick"])
