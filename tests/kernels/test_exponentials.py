"""Multiples of exp(x) - 1: they lose most where the factor leaves them just above a power of two."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks.accuracy import ulp_errors
from fastact.catalogue import ACTIVATIONS
from tests.conftest import callable_of

FACTORS = 2.0 ** np.linspace(0, 1, 57)


def multiple(name: str, x: np.ndarray, alpha: Any) -> np.ndarray:
    wide, factor = x.astype(np.longdouble), np.longdouble(alpha)
    return factor * np.expm1(wide / factor if name == "celu" else wide)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["elu", "celu"])
def test_factors_all_over_an_octave(name: str, backend: str, dtype: Any) -> None:
    rng = np.random.default_rng(0)
    function, bound = callable_of(ACTIVATIONS[name], "value", backend), 2 if backend == "compiled" else 4
    x = -np.concatenate([rng.uniform(0, 0.2, 40_000), rng.uniform(0, 2, 20_000)]).astype(dtype)
    for alpha in FACTORS.astype(dtype):
        assert ulp_errors(function(x, alpha), multiple(name, x, alpha)).max() <= bound, alpha
