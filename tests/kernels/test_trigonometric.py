"""Sine and cosine, next to their roots, far out, and of the smallest numbers."""

from __future__ import annotations

from typing import Any

import mpmath as mp
import numpy as np
import pytest

import fastact
from tests.conftest import callable_of
from tests.reference import ulp_distance

WAVES = {
    "sin": (fastact.activation(lambda x: np.sin(x)), mp.sin),
    "cos": (fastact.activation(lambda x: np.cos(x)), mp.cos),
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
    zeros = callable_of(WAVES["sin"][0], "value", backend)(np.array([0.0, -0.0]))
    assert zeros.tolist() == [0, 0]
    assert np.signbit(zeros).tolist() == [False, True]
