"""Multiples of the logistic function: factors of any size, and where 1 + exp(-z) nearly ends in a tie."""

from __future__ import annotations

import re
from typing import Any

import mpmath as mp
import numpy as np
import pytest

import fastact
from fastact.catalogue import ACTIVATIONS
from fastact.ufuncs import ufunc
from tests.conftest import callable_of, compiled_only, offered
from tests.reference import ulp_distance

of_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])

#: NumPy rounds more often.
BOUNDS = {"compiled": 2, "fallback": 4}


def exact(factor: Any, z: Any) -> mp.mpf:
    return mp.mpf(float(factor)) / (1 + mp.exp(-z))


@of_dtype
def test_factors_of_any_size(backend: str, dtype: Any) -> None:
    """With x as large and beta as small as floats are, the result is no zero where exp(beta * x) is."""
    rng, kind = np.random.default_rng(0), np.finfo(dtype)
    x = np.ldexp(1 + rng.random(800), rng.integers(int(kind.minexp), int(kind.maxexp), 800)).astype(dtype)
    z = rng.uniform(-0.7 * (2 * float(kind.maxexp) + kind.nmant), 40, x.size)
    with np.errstate(all="ignore"):
        beta = (z / x.astype(np.float64)).astype(dtype)
    x, beta = (a[np.isfinite(beta) & (abs(beta) >= kind.tiny)] for a in (x, beta))
    results = callable_of(ACTIVATIONS["swish"], "value", backend)(x, beta)
    with mp.workdps(40):
        truths = [exact(a, mp.mpf(float(a)) * mp.mpf(float(b))) for a, b in zip(x, beta)]
        worst = max(map(ulp_distance, results, truths))
    assert worst <= BOUNDS[backend]


@of_dtype
def test_a_product_of_factors_that_is_infinite(backend: str, dtype: Any) -> None:
    """a * b is, but not a * b * sigmoid(b)."""
    a = np.array([0.55, -0.9], dtype) * np.finfo(dtype).max
    b = np.array([-42.016243, -60.5], dtype)
    results = offered("swiglu", backend)(a, gate=b)
    with mp.workdps(40):
        truths = [exact(factor, mp.mpf(float(z))) * float(z) for factor, z in zip(a, b)]
        assert max(map(ulp_distance, results, truths)) <= BOUNDS[backend] + 0.5  # for the product


@compiled_only
@pytest.mark.parametrize("name", ["sigmoid", "silu", "swish", "quick_gelu", "gelu_tanh"])
def test_value_and_derivative_take_two_polynomials(name: str) -> None:
    """One each, at a parameter's default too: an error that is then zero, of either sign, is none."""
    function = callable_of(ACTIVATIONS[name], "with_derivative", "compiled")
    function(np.float32(1))
    ours = [entry for entry in ufunc._entries if entry.definition.name == f"{name}_with_derivative"]
    sources = [entry.definition.source("float32") for entry in ours]
    kernel = next(text for text in sources if f"def {name}_with_derivative_kernel(x)" in text)
    body = kernel[kernel.index("@kernel") :]
    sixths = re.findall(r"^(c\d+) = float32\(0\.166", kernel, re.MULTILINE)
    polynomials = sum(len(re.findall(rf"\b{sixth}\b", body)) for sixth in sixths)
    assert polynomials == 2


@of_dtype
def test_where_one_is_the_last_bit_of_a_power_of_two(backend: str, dtype: Any) -> None:
    """1 + 2**24 is half way between two floats there; added so, it costs 2.4 ulp."""
    near = (np.finfo(dtype).nmant + 1) * np.log(2)
    x = -np.linspace(near - 1.5, near + 1.5, 1500).astype(dtype)
    for name in ("sigmoid", "silu"):
        results = callable_of(ACTIVATIONS[name], "value", backend)(x)
        with mp.workdps(40):
            truths = [exact(1 if name == "sigmoid" else z, mp.mpf(float(z))) for z in x]
            worst = max(map(ulp_distance, results, truths))
        assert worst <= BOUNDS[backend], name


def test_infinities_and_zeros() -> None:
    for dtype in (np.float32, np.float64):
        x = np.array([0.0, -0.0, np.inf, -np.inf, np.nan], dtype)
        np.testing.assert_array_equal(fastact.silu(x), dtype([0, 0, np.inf, 0, np.nan]))
        np.testing.assert_array_equal(np.signbit(fastact.silu(x[:2])), [False, True])
        np.testing.assert_array_equal(fastact.sigmoid(x), dtype([0.5, 0.5, 1, 0, np.nan]))
        np.testing.assert_array_equal(fastact.swish(x, dtype(-2)), dtype([0, 0, 0, -np.inf, np.nan]))
