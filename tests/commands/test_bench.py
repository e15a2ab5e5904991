"""``fastact bench``: functions of every family in one table, and whether its times mean anything."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastact
from fastact.catalogue import ACTIVATIONS
from fastact.commands import bench_chart, bench_report, subjects
from fastact.commands.parser import main
from fastact.commands.peers import peers_of
from fastact.commands.row_peers import row_peers

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


def test_beside_other_libraries_and_as_a_chart(tmp_path: Path, capsys: Capture) -> None:
    names = ["gelu", "binary_cross_entropy_with_logits_backward", "mse_loss", "softmax", "dense", "training"]
    target = tmp_path / "bench.svg"
    plot = ["--plot", str(target)] if find_spec("matplotlib") else []
    assert main(["bench", "--size", "1e4", "--repeat", "2", "--peers", *plot, *names]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 100
    assert [line.split()[0] for line in lines[3 : 3 + len(names)]] == names
    assert all(float(line.split()[3]) > 0 for line in lines[3 : 3 + len(names)])
    assert not plot or "nanoseconds per element" in target.read_text() or target.stat().st_size > 10_000


def test_peers_compute_what_we_compute() -> None:
    pytest.importorskip("torch")
    assert set(subjects.subject("mse_loss", 1000, np.dtype("float32")).peers()) == {"torch"}
    assert subjects.subject("layer_norm", 1000, np.dtype("float32")).peers() == {}  # torch's takes other arguments
    assert "torch" in subjects.subject("gelu", 1000, np.dtype("float32")).peers()
    training = subjects.subject("training", 10_000, np.dtype("float64"))
    assert training.peers()["torch"]() == pytest.approx(training.call().loss_curve_[0], rel=1e-9)  # type: ignore


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("name", ["softmax", "log_softmax", "gelu", "gelu_tanh", "mish", "sigmoid", "celu"])
def test_peers_compute_the_same_in_no_narrower_dtype(name: str, dtype: str) -> None:
    pytest.importorskip("torch")
    x = np.random.default_rng(0).standard_normal((30, 20)).astype(dtype)
    peers = row_peers(name, x, -1, None) if "softmax" in name else peers_of(ACTIVATIONS[name], x, None)
    assert "torch" in peers
    expected = getattr(fastact, name)(x).astype(float)
    for peer, call in peers.items():
        result: Any = call()
        result = np.asarray(result[0] if isinstance(result, list) else result)  # onnxruntime returns all that there are
        assert result.dtype.itemsize >= x.itemsize, peer
        eps = float(np.finfo(dtype).eps)
        assert np.allclose(result, expected, rtol=20 * eps, atol=max(eps, 1e-5)), peer


def test_no_ratio_is_printed_of_a_busy_machine(tmp_path: Path) -> None:
    busy = bench_report.Row("relu", 1.0, 5.25, 3.0, 4.75, (1.0, 2.0, 1.5, 3.0), {"torch": 2.0})
    quiet = busy._replace(name="gelu", copy_seconds=(1.0, 1.02, 0.98, 1.01))
    for style in ("text", "markdown"):
        written: list[str] = []
        report = bench_report.Report({}, style, 10, peers=True)
        report.add(busy, written.append)
        report.add(quiet, written.append)
        assert "5.25" not in written[0]
        assert written[0].count("noisy") == 2
        assert "5.25" in written[1]
        assert "torch 2.0x" in written[1]
    report = bench_report.Report({}, "json", 10)
    report.rows = [busy, quiet]
    report.end(written.append)
    ratios = [(row["speedup"], row["copies"], row["quiet"]) for row in json.loads(written[-1])["rows"]]
    assert ratios == [(None, None, False), (4.75, 5.25, True)]
    pytest.importorskip("matplotlib", reason="this machine has no matplotlib")
    axes = bench_chart.draw_chart([busy, quiet], "here")
    assert [label.get_text() for label in axes.get_yticklabels()] == ["gelu"]
    assert "1 left out" in axes.get_title()


def test_without_names_it_takes_every_family() -> None:
    forward, backward = subjects.chosen_names([], False), subjects.chosen_names([], True)
    assert {"relu", "softmax", "swiglu", "mse_loss", "dense", "training"} <= set(forward)
    assert not any(name.endswith("_backward") for name in forward)
    assert {"relu_backward", "softmax_backward", "dense_backward"} <= set(backward)
    assert all(name.endswith("_backward") for name in backward)
    assert subjects.chosen_names(["gelu", "silu_backward"], True) == ["gelu_backward", "silu_backward"]


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
