"""ml_dtypes' bfloat16: loops of its own in every ufunc."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fastact
from fastact.catalogue import Activation
from tests.conftest import callable_of, parameters

bfloat16: Any = pytest.importorskip("ml_dtypes").bfloat16


def every_value() -> np.ndarray:
    bits = np.arange(1 << 16, dtype=np.uint32)
    return bits[~np.isnan((bits << 16).view(np.float32))].astype(np.uint16).view(bfloat16)


def test_all_values(entry: Activation, kind: str, backend: str) -> None:
    """Each result is one of the two bfloat16 next to the float64 result, and the nearer one but for near ties."""
    x = every_value()
    with np.errstate(all="ignore"):
        x_wide = x.astype(np.float64)
    given = [bfloat16(value) for value in parameters(entry).values()]
    arguments = [x, x] if kind == "backward" else [x]
    results = callable_of(entry, kind, backend)(*arguments, *given)
    wide = callable_of(entry, kind, backend)(*[x_wide] * len(arguments), *map(float, given))
    lost: Any = False
    if kind == "backward":  # a derivative that is subnormal in float32 has few bits left to be multiplied
        slope = callable_of(entry, "derivative", backend)(x_wide, *map(float, given))
        lost = (abs(slope) > 0) & (abs(slope) < np.finfo(np.float32).tiny)
    if not isinstance(results, tuple):
        results, wide = (results,), (wide,)
    for result, truth in list(zip(results, wide))[: 1 if entry.learned else None]:
        assert result.dtype == bfloat16
        with np.errstate(all="ignore"):  # ml_dtypes' own conversions
            nearest = truth.astype(np.float32).astype(bfloat16).astype(np.float64)
            spacing = np.ldexp(1.0, np.maximum(np.frexp(truth)[1] - 8, -133))
            value = result.astype(np.float64)
            error = np.abs(value - truth) / spacing
        same = (value == nearest) | (np.isnan(truth) & np.isnan(nearest))
        assert (same | (error <= 0.505) | lost).all(), x[~same][:3]


@pytest.mark.filterwarnings("error")
def test_rounding_ties_and_nan() -> None:
    x = np.array([0x3F80, 0x7FC0, 0x7F80, 0x8000, 0x7F61], np.uint16).view(bfloat16)  # 1, NaN, inf, -0, 3e38
    assert np.array_equal(fastact.identity(x).view(np.uint16), x.view(np.uint16))
    halves = np.array([1.0 + 2.0**-8, 1.0 + 3 * 2.0**-8], np.float32)  # ties go to the even neighbour
    assert np.array_equal(halves.astype(bfloat16), np.array([1.0, 1.015625], bfloat16))
    assert np.array_equal(fastact.relu(np.full(100, 1.5, bfloat16)), np.full(100, 1.5, bfloat16))


def test_strides_threads_and_out() -> None:
    x = np.random.default_rng(1).standard_normal(400_003).astype(bfloat16)
    whole = fastact.silu(x)
    assert np.array_equal(fastact.silu(x[::3]), whole[::3])
    out = np.empty_like(x)
    assert fastact.silu(x, out=out) is out
    assert np.array_equal(out, whole)
