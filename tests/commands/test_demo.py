"""``fastact demo``: what is learned is what the tutorials print."""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import fastact
from fastact.commands import demo, parser
from fastact.commands.parser import main

Capture = pytest.CaptureFixture[str]

#: Weights and bias as the tutorial prints them, and where it says how it got there: to within its own rounding errors.
GATES = {
    "identity": [0.4999999999999979, 0.4999999999999979, -0.24999999999999753],
    "relu": [0.9999999999999944, 0.9999999999999944, -0.9999999999999922],
    "sigmoid": [4.649822106307222, 4.649822106307222, -7.0720835183397455],
}


def pairs(lines: list[str]) -> list[tuple[str, str]]:
    """What was learned, and what the tutorial prints, of each row that has both."""
    return [
        (learned.split("  ")[-1].strip(), printed.removeprefix(demo.TUTORIAL).strip())
        for learned, printed in pairwise(lines)
        if printed.startswith(demo.TUTORIAL)
    ]


def test_the_parser_names_the_lessons() -> None:
    assert tuple(demo.LESSONS) == parser.LESSONS


@pytest.mark.parametrize(("name", "count"), [("and-gate", 3), ("regression", 6)])
def test_digits_of_the_tutorials(name: str, count: int, capsys: Capture) -> None:
    assert main(["demo", name]) == 0
    found = pairs(capsys.readouterr().out.splitlines())
    assert len(found) == count
    for learned, printed in found:
        assert learned == printed


def test_the_gates_to_the_last_digits_but_two() -> None:
    x, y = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0, 0, 0, 1])
    for activation, expected in GATES.items():
        epochs = 1_000 if activation == "identity" else 10_000
        gate = fastact.MLP(
            [2, 1], output_activation=activation, learning_rate=0.1, batch_size=None, epochs=epochs, dtype="float64"
        )
        gate.weights[0], gate.biases[0] = np.ones((1, 2)), np.ones(1)
        gate.fit(x, y)
        assert np.allclose([*gate.weights[0].ravel(), *gate.biases[0]], expected, rtol=1e-13, atol=0)


def test_relu_gets_stuck_where_the_others_learn(capsys: Capture) -> None:
    assert main(["demo", "pairings"]) == 0
    output = capsys.readouterr().out
    rows = dict(line.split("  ", 1) for line in output.splitlines() if "weight -" in line or "weight 0" in line)
    losses = {name: [float(word) for word in row.split("loss ")[1].split(" to ")] for name, row in rows.items()}
    assert losses["relu, mse_loss"] == [0.5, 0.5]
    assert losses["sigmoid, binary_cross_entropy"] == [2.1269, 0.6773]  # as the tutorial's own loop gives them
    assert losses["tanh, mse_loss"] == [1.9287, 1.7341]
    assert "relu 0" in output


def test_a_neuron_finds_the_threshold(capsys: Capture) -> None:
    assert main(["demo", "neuron"]) == 0
    row = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("toxic from"))
    assert abs(float(row.split()[-1]) - 0.8) < 0.05


def test_digits_are_learned(capsys: Capture) -> None:
    pytest.importorskip("sklearn", reason="this machine has no scikit-learn")
    assert main(["demo", "--epochs", "12"]) == 0
    output, errors = capsys.readouterr()
    accuracy = next(line for line in output.splitlines() if line.startswith("right"))
    assert float(accuracy.split()[1]) >= 97
    assert "12/12" in errors  # the progress bar
    assert "compiling, or finding what is compiled, took" in output


def test_gradients_vanish_through_sigmoids(capsys: Capture) -> None:
    assert main(["demo", "vanishing", "--epochs", "2"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if "arrives;" in line]
    arrives = {row[0]: float(row[1]) for row in rows}
    assert arrives["sigmoid"] < 1e-6 < 1e-3 < min(arrives["tanh"], arrives["relu"])


def test_ones_own_beside_relu(capsys: Capture) -> None:
    assert main(["demo", "own"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if "% right" in line]
    assert [row[0] for row in rows] == ["relu", "bent"]
    assert all(float(row[1].rstrip("%")) > 95 for row in rows)


@pytest.mark.parametrize("name", [name for name in demo.LESSONS if name != "digits"])
def test_pictures(name: str, tmp_path: Path, capsys: Capture) -> None:
    pytest.importorskip("matplotlib")
    target = tmp_path / "lesson.png"
    assert main(["demo", name, "--epochs", "3", "--save", str(target)]) == 0
    assert f"wrote {target}" in capsys.readouterr().out
    assert target.read_bytes().startswith(b"\x89PNG")


def test_a_neuron_as_an_animation(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    target = tmp_path / "neuron.gif"
    assert main(["demo", "neuron", "--epochs", "4", "--save", str(target)]) == 0
    assert target.read_bytes().startswith(b"GIF8")


@pytest.mark.parametrize("name", ["regression", "pairings"])
def test_torch_learns_the_same(name: str, capsys: Capture) -> None:
    pytest.importorskip("torch")
    assert main(["demo", name, "--compare"]) == 0
    lines = capsys.readouterr().out.splitlines()
    beside = [(ours, theirs) for ours, theirs in pairwise(lines) if theirs.startswith("  torch")]
    assert len(beside) == {"regression": 6, "pairings": 3}[name]
    for ours, theirs in beside:
        assert ours.split("  ")[-1].strip() == theirs.removeprefix("  torch").strip()
    assert lines[-1].startswith("torch: a first step took ")


@pytest.mark.parametrize("name", ["and-gate", "vanishing", "own"])
def test_torch_beside_ours(name: str, capsys: Capture) -> None:
    pytest.importorskip("torch")
    assert main(["demo", name, "--compare", "--epochs", "2"]) == 0
    output = capsys.readouterr().out
    assert output.count("  torch  ") == {"and-gate": 3, "vanishing": 3, "own": 2}[name]


def test_without_torch(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert main(["demo", "regression", "--compare"]) == 2
    output, errors = capsys.readouterr()
    assert output == ""  # said before anything is learned
    assert errors == "fastact: to compare with torch takes torch: python -m pip install torch\n"


def test_without_scikit_learn(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    assert main(["demo"]) == 2
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1
    assert errors.startswith("fastact: ")
    assert "scikit-learn" in errors
