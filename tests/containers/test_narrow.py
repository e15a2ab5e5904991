"""ml_dtypes' bfloat16 in every family: results of float32, rounded once."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

import fastact
from fastact.catalogue import ACTIVATIONS
from tests.conftest import callable_of, offered
from tests.containers.cells import BIAS, CASES, LABELS, WEIGHT, Case, X

BFLOAT16: Any = np.dtype(ml_dtypes.bfloat16)
NARROW = X.astype(BFLOAT16)


#: Those with numbers that bfloat16 has none of are tested below.
EXACT = [case for case in CASES if case.name not in ("leaky_relu", "rrelu")]


@pytest.mark.parametrize("case", EXACT, ids=lambda case: f"{case.family}-{case}")
def test_cell(case: Case, backend: str) -> None:
    home = fastact.fallback if backend == "fallback" else fastact
    narrow = case.in_dtype(BFLOAT16)
    results, wide = narrow.call(home), narrow.in_dtype(np.float32).call(home)
    several = isinstance(wide, tuple)
    for ours, theirs in zip(results, wide) if several else [(results, wide)]:
        assert ours.dtype == BFLOAT16
        assert np.array_equal(ours, np.asarray(theirs).astype(BFLOAT16))


@pytest.mark.parametrize("kind", ["value", "derivative", "backward", "with_derivative"])
@pytest.mark.parametrize("name", ["leaky_relu", "elu", "prelu", "hardtanh", "threshold"])
def test_parameters_of_python(name: str, kind: str, backend: str) -> None:
    """They take the dtype of the arrays, as they do beside every other dtype."""
    function = callable_of(ACTIVATIONS[name], kind, backend)
    given = (NARROW, NARROW) if kind == "backward" else (NARROW,)
    parameters = dict(zip(ACTIVATIONS[name].parameters, (0.3, 2)))
    results = function(*given, **parameters)
    rounded = {name: BFLOAT16.type(value) for name, value in parameters.items()}
    expected = function(*given, **rounded)
    for ours, theirs in zip(results, expected) if isinstance(expected, tuple) else [(results, expected)]:
        assert ours.dtype == theirs.dtype == BFLOAT16
        assert np.array_equal(ours, theirs)


def test_drawn_slopes(backend: str) -> None:
    rrelu = callable_of(ACTIVATIONS["rrelu"], "value", backend)
    result = rrelu(NARROW, training=True, rng=1)
    assert result.dtype == BFLOAT16
    slopes = (result / NARROW)[NARROW < 0].astype(float)
    assert ((slopes > 0.12) & (slopes < 0.34)).all()
    assert len(set(slopes)) > 1


def test_targets(backend: str) -> None:
    softmax, dense = offered("softmax", backend), offered("dense", backend)
    for out in (np.empty_like(NARROW), np.empty(X.shape, np.float32)):
        assert softmax(NARROW, out=out) is out
        assert np.array_equal(out.astype(BFLOAT16), softmax(NARROW))
    y, z = np.empty((4, 5), BFLOAT16), np.empty((4, 5), BFLOAT16)
    weight, bias = WEIGHT.astype(BFLOAT16), BIAS.astype(BFLOAT16)
    assert dense(NARROW, weight, bias, "relu", out=y, preactivation=z) is y
    assert np.array_equal(y, np.maximum(z, 0))
    pair = tuple(np.empty_like(NARROW) for _ in range(2))
    made = offered("glu_backward", backend)(NARROW, NARROW, gate=NARROW, out=pair)
    assert made is pair or all(ours is theirs for ours, theirs in zip(made, pair))
    assert np.array_equal(pair[0], offered("glu_backward", backend)(NARROW, NARROW, gate=NARROW)[0])
    with pytest.raises(ValueError, match="out must have shape"):
        softmax(NARROW, out=np.empty(3, BFLOAT16))


def test_lists(backend: str) -> None:
    assert np.array_equal(offered("softmax", backend)(list(NARROW[0])), offered("softmax", backend)(NARROW[0]))


def test_dtype_of_results(backend: str) -> None:
    """That of NumPy's promotion; of a loss of rows, pred's."""
    mse, cross_entropy = offered("mse_loss", backend), offered("cross_entropy", backend)
    assert mse(NARROW, X.astype(np.float32)).dtype == np.float32
    assert mse(NARROW, X).dtype == np.float64
    assert mse(NARROW, 1.0).dtype == mse(NARROW, NARROW > 0).dtype == BFLOAT16
    assert cross_entropy(NARROW, LABELS, weight=np.ones(6)).dtype == BFLOAT16
    assert offered("softmax", backend)(NARROW, dtype=np.float32).dtype == np.float32
    assert offered("softmax", backend)(NARROW[0, 0]).dtype == BFLOAT16
    assert mse(np.full(4, 3e38, BFLOAT16), 0.0, "sum") == np.inf
