"""What type checkers say of programs that use the package: nothing of right ones, and of wrong ones what is wrong."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest

import fastact
from fastact.losses.definition import LOSSES, REDUCTIONS
from fastact.networks import choices, objectives, schedules
from fastact.networks.checks import ADAPTIVE
from tests.processes import PATIENCE, ROOT

#: Lines and what is said of each.
Findings = list[tuple[int, str]]


def said_by(*command: str) -> str:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.stdout


def mypy(path: Path) -> Findings:
    """As for a package that is installed, of which mypy passes over what is inside."""
    options = ["--strict", "--follow-imports=silent", "--no-incremental", "--output=json"]
    nothing = path.with_suffix(".ini")
    nothing.write_text("[mypy]\n")
    said = said_by(sys.executable, "-m", "mypy", f"--config-file={nothing}", *options, str(path))
    found = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    return [(entry["line"], entry["message"]) for entry in found]


def pyright(path: Path) -> Findings:
    program = shutil.which("pyright", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    if not program or not shutil.which("node"):
        pytest.skip("this machine has no pyright, or no Node.js for it")
    said = json.loads(said_by(program, "--pythonpath", sys.executable, "--outputjson", str(path)))
    return [(entry["range"]["start"]["line"] + 1, entry["message"]) for entry in said["generalDiagnostics"]]


@pytest.fixture(params=[mypy, pyright])
def checker(request: pytest.FixtureRequest) -> Callable[[Path], Findings]:
    check: Callable[[Path], Findings] = request.param
    return check


def written(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


HEAD = """from typing import Any
from typing_extensions import assert_type
import numpy as np
from numpy.typing import NDArray
import fastact
from fastact import fallback

narrow: NDArray[np.float32] = np.ones((2, 4), np.float32)
wide: NDArray[np.float64] = np.ones((2, 4))
row: NDArray[np.float32] = np.ones(4, np.float32)
whole: NDArray[np.int64] = np.ones(2, np.int64)
"""

FLOAT32, FLOAT64 = "NDArray[np.float32]", "NDArray[np.float64]"


@pytest.mark.either_backend
def test_every_public_name_is_known(checker: Callable[[Path], Findings], tmp_path: Path) -> None:
    names = [f"fastact.{name}" for name in fastact.__all__]
    names += [f"fallback.{name}" for name in fastact.fallback.__all__]
    assert checker(written(tmp_path / "every.py", HEAD, *(f"print({name})" for name in names))) == []


RIGHT = [
    *(
        f"assert_type({call}, {type_})"
        for call, type_ in {
            "fastact.sigmoid(narrow)": FLOAT32,
            "fastact.sigmoid(narrow, narrow)": FLOAT32,
            "fastact.sigmoid(wide, out=wide, where=[True], casting='no')": FLOAT64,
            "fastact.sigmoid(whole)": FLOAT64,
            "fastact.expit_backward(narrow, narrow)": FLOAT32,
            "fastact.tanh_with_derivative(narrow)": f"tuple[{FLOAT32}, {FLOAT32}]",
            "fastact.elu(narrow, 2)": FLOAT32,
            "fastact.elu(narrow, alpha=narrow)": FLOAT32,
            "fastact.gelu(narrow, approximate='tanh')": FLOAT32,
            "fastact.gelu(narrow, approximate=True)": FLOAT32,
            "fastact.prelu_backward(narrow, narrow, narrow)": f"tuple[{FLOAT32}, {FLOAT32}]",
            "fastact.softmax(narrow, axis=(0, 1))": FLOAT32,
            "fastact.softmax_backward(narrow, narrow)": FLOAT32,
            "fastact.glu_backward(wide[:, :2], wide)": FLOAT64,
            "fastact.glu_backward(wide, wide, gate=wide)": f"tuple[{FLOAT64}, {FLOAT64}]",
            "fastact.rms_norm_backward(narrow, narrow)": FLOAT32,
            "fastact.rms_norm_backward(narrow, narrow, row)": f"tuple[{FLOAT32}, {FLOAT32}]",
            "fastact.logsumexp(narrow)": "np.float32",
            "fastact.logsumexp(wide, b=wide, return_sign=True)": "tuple[np.float64, np.float64]",
            "fastact.logsumexp(narrow, axis=-1)": FLOAT32,
            "fastact.logsumexp(wide, (0, 1), True, where=[True])": FLOAT64,
            "fastact.logsumexp(wide, keepdims=True)": FLOAT64,
            "fastact.logsumexp(narrow, 0, out=row)": FLOAT32,
            "fastact.logsumexp(wide, 0, return_sign=True)": f"tuple[{FLOAT64}, {FLOAT64}]",
            "fastact.logmeanexp(wide)": "np.float64",
            "fastact.logmeanexp(narrow, axis=1)": FLOAT32,
            "fastact.dense(narrow, narrow, activation='relu')": FLOAT32,
            "fastact.mse_loss(wide, wide)": "np.float64",
            "fastact.mse_loss(wide, wide, 'none')": FLOAT64,
            "fastact.kl_div(wide, wide, 'batchmean')": "np.float64",
            "fastact.cross_entropy(wide, [0, 1])": "np.float64",
            "fastact.cross_entropy_backward(wide, whole)": FLOAT64,
            "fallback.sigmoid(narrow)": FLOAT32,
        }.items()
    ),
    "print(fastact.sigmoid(2.0), fastact.elu([1, 2], [0.5]), fastact.softmax(narrow, dtype='float64'))",
    "print(fastact.logsumexp(wide, axis=(0, 1), keepdims=True), fastact.mse_loss([[1, 2]], [[2, 1]], 'none'))",
    "import xarray as xr",
    "named = xr.DataArray(wide, dims=('i', 'j'))",
    "print(fastact.softmax(named, axis='j'), fastact.log_softmax(named, ('i', 'j')), fastact.logsumexp(named, 'i'))",
    "print(fastact.glu(named, 'j'), fastact.sparsemax(named, axis='i'), fastact.rms_norm(named, axis='j'))",
    "print(fastact.cross_entropy(named, whole, axis='j'), fastact.dice_loss(abs(named), abs(named), axis='j'))",
    "print(fastact.MLP([4, 8, 1], ['relu'], loss='huber', optimizer='adamw', schedule='cosine', epochs=1))",
    "print(fastact.MLP([4, 1]).fit(wide, wide[:, :1]).predict(wide).shape)",
    "print(fastact.MLPClassifier((8,), solver='sgd', learning_rate='adaptive', class_weight='balanced').predict)",
    "print(fallback.MLPRegressor(8, 'gelu', loss='huber', batch_size='auto').predict)",
    "print(fastact.sigmoid.reduce, fastact.sigmoid.nin, fastact.ACTIVATIONS['elu'].name, fastact.get('elu').range)",
    "@fastact.activation",
    "def squared(x: Any) -> Any: return x * x",
    "assert_type(squared, fastact.Activation)",
    "@fastact.activation(name='cube', aliases=('third_power',), register=False)",
    "def cubed(x: Any, a: float = 1.0) -> Any: return a * x * x * x",
    "assert_type(cubed, fastact.Activation)",
    "assert_type(cubed.derivative_formula, str)",
]


@pytest.mark.either_backend
def test_right_calls_pass(checker: Callable[[Path], Findings], tmp_path: Path) -> None:
    assert checker(written(tmp_path / "right.py", HEAD, *RIGHT)) == []


def test_what_is_said_of_results_is_so() -> None:
    """The same calls, made."""

    def assert_type(value: Any, type_: Any) -> None:
        if isinstance(value, tuple):
            for each, its_type in zip(value, get_args(type_), strict=True):
                assert_type(each, its_type)
        elif isinstance(type_, type):
            assert type(value) is type_
        else:
            assert type(value) is get_origin(type_)
            assert value.dtype == get_args(get_args(type_)[1])[0]

    names = {"assert_type": assert_type}
    exec("\n".join([HEAD.replace("from typing_extensions import assert_type", ""), *RIGHT]), names)


WRONG = [
    "fastact.sigmoid(wide, axis=1)",
    "fastact.sigmoid(x=wide)",
    "fastact.sigmoid(None)",
    "fastact.sigmoid(wide, casting='sometimes')",
    "fastact.elu(wide, aplha=1.0)",
    "fastact.elu_backward(wide)",
    "fastact.gelu(wide, approximate='tan')",
    "fastact.softmax(wide, axes=1)",
    "fastact.softmax(wide, axis=1.5)",
    "fastact.logsumexp(wide, axis=(0, None))",
    "fastact.swiglu(wide, dim=1)",
    "fastact.layer_norm(wide, epsilon=1e-5)",
    "fastact.dense(wide, wide, activation=3)",
    "fastact.mse_loss(wide, wide, reduction='avg')",
    "fastact.mse_loss(wide, wide, reduction='batchmean')",
    "fastact.cross_entropy(wide, whole, weights=wide)",
    "fastact.cross_entropy(wide, whole, reduction='avg')",
    "fastact.MLP([2, 1], optimiser='sgd')",
    "fastact.MLP([2, 1], optimizer='rmsprop')",
    "fastact.MLP([2, 1], loss='mae')",
    "fastact.MLP([2, 1], schedule='linear')",
    "fastact.MLPClassifier(solver='lbfgs')",
    "fastact.MLPRegressor(loss='log_loss')",
    "fastact.set_num_threads('2')",
    "fastact.get(3)",
    "fastact.activation(lambda x: x, aliases='identical')",
    "fastact.sigmiod",
    "fallback.relu(wide, alpha=1)",
    "fallback.sigmiod",
]


@pytest.mark.either_backend
def test_wrong_calls_are_caught(checker: Callable[[Path], Findings], tmp_path: Path) -> None:
    found = {line for line, _ in checker(written(tmp_path / "wrong.py", HEAD, *WRONG))}
    start = HEAD.count("\n") + 2
    assert [line for number, line in enumerate(WRONG, start) if number not in found] == []
    assert min(found) >= start


def test_fallback_completes() -> None:
    assert {"sigmoid", "softmax_backward", "mse_loss", "MLP"} <= set(dir(fastact.fallback))


def test_names_of_choices_are_those_there_are() -> None:
    """Type checkers need them written out."""
    assert get_args(choices.LossName) == tuple(objectives.LOSSES)
    assert get_args(choices.ScheduleName) == tuple(schedules.SCHEDULES)
    assert get_args(choices.OptimizerName) == ("sgd", *ADAPTIVE)
    assert all(set(loss.reductions) >= set(REDUCTIONS) for loss in LOSSES.values())
