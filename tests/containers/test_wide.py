"""longdouble: computed by NumPy's formulas, in longdouble, where nothing is compiled for it; complex is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fastact
from fastact.catalogue import ACTIVATIONS, Activation
from tests.conftest import callable_of, needs_wide_longdouble, offered, parameters
from tests.containers.cells import CASES, WEIGHT, Case, X

WIDE = X.astype(np.longdouble)

#: Dense layers multiply in float32 or float64; random numbers are drawn in float64.
ALL = [case for case in CASES if case.family != "dense" and "rng" not in case.rest]


@pytest.mark.parametrize("case", ALL, ids=lambda case: f"{case.family}-{case}")
def test_cell(case: Case, backend: str) -> None:
    home = fastact.fallback if backend == "fallback" else fastact
    results, narrow = case.in_dtype(np.longdouble).call(home), case.call(home)
    several = isinstance(narrow, tuple)
    for ours, theirs in zip(results, narrow) if several else [(results, narrow)]:
        assert np.asarray(ours).dtype == np.longdouble
        assert np.allclose(np.asarray(ours, float), theirs, rtol=1e-13, atol=1e-15)


def test_every_activation(entry: Activation, kind: str, backend: str) -> None:
    function, given = callable_of(entry, kind, backend), parameters(entry)
    x = np.linspace(0.1, 0.9, 20) if entry.domain[0] >= 0 else np.linspace(-4, 4, 41)
    arrays = (x, x) if kind == "backward" else (x,)
    results = function(*(a.astype(np.longdouble) for a in arrays), **given)
    narrow = function(*arrays, **given)
    for ours, theirs in zip(results, narrow) if isinstance(narrow, tuple) else [(results, narrow)]:
        assert np.asarray(ours).dtype == np.longdouble
        assert np.allclose(np.asarray(ours, float), theirs, rtol=1e-13, atol=1e-15)


@needs_wide_longdouble
def test_digits_beyond_float64(backend: str) -> None:
    one = np.longdouble(1)
    sigmoid = callable_of(ACTIVATIONS["sigmoid"], "value", backend)(WIDE)
    eps = np.finfo(np.longdouble).eps
    assert np.all(np.abs(sigmoid - one / (one + np.exp(-WIDE))) <= 4 * eps * sigmoid)
    exponentials = np.exp(WIDE - WIDE.max(axis=1, keepdims=True))
    softmax = offered("softmax", backend)(WIDE)
    expected = exponentials / exponentials.sum(axis=1, keepdims=True)
    assert np.all(np.abs(softmax - expected) <= 4 * eps * expected)
    squares = offered("mse_loss", backend)(WIDE, WIDE / 3)
    assert abs(squares - ((WIDE - WIDE / 3) ** 2).mean()) <= 4 * eps * squares
    labels = np.array([0, 5, 2, 2])
    losses = offered("cross_entropy", backend)(WIDE, labels, "none")
    assert np.all(np.abs(losses + np.log(expected[np.arange(4), labels])) <= 16 * eps)
    sums = offered("logsumexp", backend)(WIDE, axis=1)
    assert np.all(np.abs(sums - np.log(np.exp(WIDE).sum(axis=1))) <= 8 * eps)
    assert offered("softmax", backend)(np.longdouble("1e4000") * np.eye(2)[0] / 2)[0] == 1


def test_rows_in_parts_and_columns(backend: str) -> None:
    """Shapes that compiled code cuts up, and strides."""
    x = np.random.default_rng(0).standard_normal((3, 70_000)).astype(np.longdouble)
    softmax = offered("softmax", backend)
    assert np.allclose(np.asarray(softmax(x), float), softmax(x.astype(float)), rtol=1e-13)
    assert np.array_equal(softmax(x.T, axis=0).T, softmax(x))
    assert np.array_equal(softmax(np.asfortranarray(x)), softmax(x))


def test_refused(backend: str) -> None:
    with pytest.raises(TypeError, match="must be numbers of up to 64 bits"):
        offered("dense", backend)(WIDE, WEIGHT)
    for dtype in (np.complex64, np.complex128, np.clongdouble):
        given: Any = X.astype(dtype)
        for name in ("softmax", "logsumexp", "glu"):
            with pytest.raises(TypeError, match=r"must be real numbers, not c(omplex|longdouble)"):
                offered(name, backend)(given)
        with pytest.raises(TypeError):
            callable_of(ACTIVATIONS["sigmoid"], "value", backend)(given)
