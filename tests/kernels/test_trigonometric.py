"""Sine, cosine and tangent, next to their roots and poles, far out, and of the smallest numbers; the arctangent."""

from __future__ import annotations

from typing import Any

import mpmath as mp
import numpy as np
import pytest

import fastact
from tests.conftest import callable_of
from tests.reference import every_exponent, ulp_distance

WAVES = {
    "sin": (fastact.activation(lambda x: np.sin(x)), mp.sin),
    "cos": (fastact.activation(lambda x: np.cos(x)), mp.cos),
    "tan": (fastact.activation(lambda x: np.tan(x)), mp.tan),
}

ANGLES = {
    "arctan": (fastact.activation(lambda x: np.arctan(x)), mp.atan, np.inf),
    "arcsin": (fastact.activation(lambda x: np.arcsin(x)), mp.asin, 1.0),
    "arccos": (fastact.activation(lambda x: np.arccos(x)), mp.acos, 1.0),
}

wave = pytest.mark.parametrize("name", list(WAVES))
of_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def points(dtype: Any) -> np.ndarray:
    rng, information = np.random.default_rng(0), np.finfo(dtype)
    sizes = np.exp(rng.uniform(np.log(float(information.smallest_subnormal)), np.log(1e9), 600))
    turns = np.concatenate([np.arange(1.0, 40), rng.integers(1, 6_000_000, 400)])
    edges = [2.99999e4, 3.00001e4, 9.99999e6, 1.00001e7, 1e30]
    x = np.concatenate([sizes, turns * (np.pi / 2), edges]).astype(dtype)
    return np.concatenate([x, -x])


@wave
@of_dtype
def test_to_the_last_bit(name: str, backend: str, dtype: Any) -> None:
    """What is next to a root is small, and right relative to that."""
    entry, exact = WAVES[name]
    x = points(dtype)
    results = callable_of(entry, "value", backend)(x)
    with mp.workdps(80):
        worst = max(ulp_distance(result, exact(mp.mpf(float(point)))) for result, point in zip(results, x))
    assert worst <= 1


@wave
@of_dtype
def test_beside_elements_far_out(name: str, backend: str, dtype: Any) -> None:
    """An element has the same bits whatever stands beside it."""
    function = callable_of(WAVES[name][0], "value", backend)
    x = points(dtype)
    beside = x.repeat(3)
    beside[1::3], beside[2::3] = 1e20, np.inf
    with np.errstate(all="ignore"):
        assert (function(beside)[::3].view(f"u{x.itemsize}") == function(x).view(f"u{x.itemsize}")).all()
        assert np.isnan(function(np.array([np.inf, -np.inf, np.nan], dtype))).all()


def test_zero_keeps_its_sign(backend: str) -> None:
    for made in (WAVES["sin"][0], WAVES["tan"][0], ANGLES["arctan"][0], ANGLES["arcsin"][0]):
        zeros = callable_of(made, "value", backend)(np.array([0.0, -0.0]))
        assert zeros.tolist() == [0, 0]
        assert np.signbit(zeros).tolist() == [False, True]


@of_dtype
@pytest.mark.parametrize("name", list(ANGLES))
def test_angles(name: str, backend: str, dtype: Any) -> None:
    """On both sides of where the reduction changes, next to the ends, and of every size."""
    made, exact, end = ANGLES[name]
    edges = np.tan(np.array([1, 2, 3]) * np.pi / 8)
    turns = (edges[:, None] * (1 + np.linspace(-0.2, 0.2, 200))).ravel().astype(dtype)
    near_one = 1 - np.arange(40, dtype=dtype) * np.finfo(dtype).epsneg
    x = np.concatenate([every_exponent(dtype)[::3], turns, np.linspace(0, 1, 300).astype(dtype), near_one])
    x = x[abs(x) <= end]
    x = np.concatenate([x, -x])
    results = callable_of(made, "value", backend)(x)
    assert results.dtype == dtype
    with mp.workdps(60):
        worst = max(ulp_distance(result, exact(mp.mpf(float(point)))) for result, point in zip(results, x))
    assert worst <= (1.1 if name == "arctan" else 2)


def test_ends_of_angles(backend: str) -> None:
    arctan = callable_of(ANGLES["arctan"][0], "value", backend)
    for dtype in (np.float32, np.float64):
        assert arctan(np.array([np.inf, -np.inf], dtype)).tolist() == [dtype(np.pi / 2), -dtype(np.pi / 2)]
        assert np.isnan(arctan(np.array([np.nan], dtype)))
    assert callable_of(ANGLES["arcsin"][0], "value", backend)([1.0, -1.0]).tolist() == [np.pi / 2, -np.pi / 2]
    assert callable_of(ANGLES["arccos"][0], "value", backend)([1.0, -1.0]).tolist() == [0, np.pi]
    for name in ("arcsin", "arccos"):
        with np.errstate(invalid="ignore"):
            assert np.isnan(callable_of(ANGLES[name][0], "value", backend)([1.5, -1.5])).all()
