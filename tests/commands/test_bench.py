"""``fastact bench``: functions of every family in one table, and whether its times mean anything."""

from __future__ import annotations

import json
import sys

import pytest

import fastact
from fastact.commands import bench, bench_report
from fastact.commands.parser import main

Capture = pytest.CaptureFixture[str]

WIDE = ["thresholded_relu", "binary_cross_entropy_with_logits_backward", "softmax", "swiglu_backward", "dense", "logit"]


@pytest.mark.parametrize("options", [[], ["--backward"], ["--dtype", "float64"], ["--dtype", "float16"]], ids=" ".join)
def test_bench_prints_a_row_each(options: list[str], capsys: Capture) -> None:
    assert main(["bench", "--size", "1e4", "--repeat", "2", *options, "sigmoid", "prelu"]) == 0
    header, _, columns, *rows = capsys.readouterr().out.splitlines()
    assert f"10,000 {options[-1] if '--dtype' in options else 'float32'}" in header
    assert "ns/element" in columns
    suffix = "_backward" if "--backward" in options else ""
    assert [row.split()[0] for row in rows[:2]] == [f"sigmoid{suffix}", f"prelu{suffix}"]
    assert {len(row.split()) for row in rows[:2]} == {5}  # time per element, beside a copy, and of NumPy
    assert all(float(row.split()[1]) > 0 for row in rows[:2])


def test_every_family_fits_a_hundred_columns(capsys: Capture) -> None:
    names = [*WIDE, "sigmoid_backward", "gelu_with_derivative"]
    assert main(["bench", "--size", "1e3", "--repeat", "3", *names]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 100
    table = lines[2 : 3 + len(names)]
    assert len(set(map(len, table))) == 1  # columns stand below one another
    assert [row.split()[0] for row in table[1:]] == names


def test_without_names_it_takes_every_family() -> None:
    forward, backward = bench._names([], False), bench._names([], True)
    assert {"relu", "softmax", "swiglu", "mse_loss", "dense"} <= set(forward)
    assert not any(name.endswith("_backward") for name in forward)
    assert {"relu_backward", "softmax_backward", "dense_backward"} <= set(backward)
    assert all(name.endswith("_backward") for name in backward)
    assert bench._names(["gelu", "silu_backward"], True) == ["gelu_backward", "silu_backward"]


def test_for_programs_and_for_pages(capsys: Capture) -> None:
    arguments = ["bench", "--size", "1e3", "--repeat", "2", "gelu", "softmax"]
    assert main([*arguments, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["size"], said["dtype"], said["backend"]) == (1000, "float32", fastact.backend())
    assert [row["name"] for row in said["rows"]] == ["gelu", "softmax"]
    assert said["trusted"] == (said["noise"] <= bench_report.QUIET)
    assert main([*arguments, "--markdown"]) == 0
    table = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in table} == {6}
    assert [line.split()[1] for line in table[2:]] == ["gelu", "softmax"]


def test_gelu_without_scipy(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.special", None)
    assert main(["bench", "--size", "1e3", "--repeat", "1", "--json", "gelu"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"][0]["numpy_nanoseconds"] > 0


@pytest.mark.parametrize(("seconds", "trusted"), [((1.0, 1.02, 0.98, 1.01, 5.0), True), ((1.0, 2.0, 1.5, 3.0), False)])
def test_it_says_when_times_mean_nothing(seconds: tuple[float, ...], trusted: bool) -> None:
    written: list[str] = []
    report = bench_report.Report({}, "text", 10)
    report.add(bench_report.Row("relu", 1.0, 1.0, 1.0, 1.0, seconds), written.append)
    report.end(written.append)
    assert ("too noisy to trust" in "\n".join(written)) != trusted
