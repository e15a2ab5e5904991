"""The special functions: against mpmath over their whole domain, SciPy at its ends, and torch's gradients."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import mpmath as mp
import numpy as np
import pytest

import fastact
from fastact.catalogue import SPECIAL
from tests.conftest import callable_of
from tests.reference import every_exponent, exact, ulp_distance

LIMITED = [entry.name for entry in SPECIAL.values() if np.isfinite(entry.domain[0])]


def points(name: str, dtype: Any) -> np.ndarray:
    """Every exponent of the domain, and more where a formula changes."""
    rng, (low, high) = np.random.default_rng(7), SPECIAL[name].domain
    x = abs(every_exponent(dtype)[:: 2 if dtype is np.float32 else 12])
    around = [rng.uniform(0, 1, 200), rng.uniform(0.4, 0.8, 60), 1 - np.exp2(rng.uniform(-20, -1, 40))]
    around += [rng.uniform(0, 3, 40), rng.uniform(1, 110, 40), rng.uniform(600, 750, 20)]
    x = np.concatenate([x, *(a.astype(dtype) for a in around)])
    return x[(x > low) & (x < high)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", ["value", "derivative"])
@pytest.mark.parametrize("name", LIMITED)
def test_within_bound(name: str, kind: str, dtype: type, backend: str) -> None:
    entry, x = SPECIAL[name], points(name, dtype)
    for value, result in zip(x, callable_of(entry, kind, backend)(x)):
        assert ulp_distance(result, exact(entry, value, kind)) <= entry.ulp, value


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("name", LIMITED)
def test_ends_of_the_domain(name: str, dtype: str, backend: str) -> None:
    entry = SPECIAL[name]
    value, slope = callable_of(entry, "value", backend), callable_of(entry, "derivative", backend)
    outside = np.array([-np.inf, -3, -1e-7, np.nan], dtype)
    ends: dict[str, Any] = {
        "logit": ([0, -0.0, 0.5, 1], [-np.inf, -np.inf, 0, np.inf], [np.inf, np.inf, 4, np.inf]),
        "log1mexp": ([0, -0.0, np.inf], [-np.inf, -np.inf, 0], [np.inf, np.inf, 0]),
    }
    x, values, slopes = ends[name]
    assert value(np.array(x, dtype)).tolist() == values
    assert slope(np.array(x, dtype)).tolist() == slopes
    if np.isfinite(entry.domain[1]):
        outside = np.append(outside, np.array([1.01, 2, 3e4, np.inf], dtype))
    assert np.isnan(value(outside)).all()
    assert np.isnan(slope(outside)).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_xlogy_within_bound(dtype: type, backend: str) -> None:
    entry, rng = SPECIAL["xlogy"], np.random.default_rng(2)
    x, y = rng.normal(0, 3, 300).astype(dtype), abs(every_exponent(dtype))[:: 1 if dtype is np.float32 else 8]
    x = np.resize(x, y.size)
    y[::3] = rng.uniform(0.5, 2, y[::3].size)
    values = callable_of(entry, "value", backend)(x, y)
    slopes = callable_of(entry, "derivative", backend)(x, y)
    with mp.workdps(60):
        for u, v, value, slope in zip(x, y, values, slopes):
            logarithm = mp.log(mp.mpf(float(v)))
            assert ulp_distance(value, mp.mpf(float(u)) * logarithm) <= entry.ulp, (u, v)
            assert ulp_distance(slope, logarithm) <= entry.ulp, v


def test_as_scipy(backend: str) -> None:
    special = pytest.importorskip("scipy.special")
    some = np.array([0, -0.0, 1, 2, -1, np.inf, -np.inf, np.nan, 0.5])
    x, y = np.meshgrid(some, some)
    with np.errstate(all="ignore"):
        assert np.allclose(callable_of(SPECIAL["xlogy"], "value", backend)(x, y), special.xlogy(x, y), equal_nan=True)
        probabilities = np.linspace(0, 1, 101)
        logits = callable_of(SPECIAL["logit"], "value", backend)(probabilities)
        assert np.allclose(logits, special.logit(probabilities), rtol=1e-12, atol=1e-15)
    assert np.allclose(fastact.sigmoid(logits), probabilities, rtol=1e-14)


def torch_functions(torch: Any) -> dict[str, Callable[..., Any]]:
    return {
        "logit": torch.logit,
        "log1mexp": lambda x: torch.where(x < 0.7, torch.log(-torch.expm1(-x)), torch.log1p(-torch.exp(-x))),
        "xlogy": torch.xlogy,
    }


@pytest.mark.parametrize("name", list(SPECIAL))
def test_gradients_as_torch(name: str, backend: str) -> None:
    torch = pytest.importorskip("torch")
    entry, rng = SPECIAL[name], np.random.default_rng(3)
    x, grad, y = rng.uniform(0.01, 0.99, (6, 5)), rng.normal(0, 1, (6, 5)), rng.uniform(0.1, 3, 5)
    x[0, :2] = 0 if name == "xlogy" else 0.5
    parameters = [y] if entry.parameters else []
    leaves = [torch.tensor(array, requires_grad=True) for array in (x, *parameters)]
    expected = torch_functions(torch)[name](*leaves)
    expected.backward(torch.tensor(grad))
    assert np.allclose(callable_of(entry, "value", backend)(x, *parameters), expected.detach(), rtol=1e-12, atol=1e-14)
    results = callable_of(entry, "backward", backend)(grad, x, *parameters)
    results = results if isinstance(results, tuple) else (results,)
    assert len(results) == len(leaves)
    for result, leaf in zip(results, leaves):
        assert np.allclose(result, leaf.grad, rtol=1e-12, atol=1e-14)
    value, slope = callable_of(entry, "with_derivative", backend)(x, *parameters)
    assert np.array_equal(value, callable_of(entry, "value", backend)(x, *parameters))
    assert np.array_equal(slope, callable_of(entry, "derivative", backend)(x, *parameters))


@pytest.mark.parametrize("name", list(SPECIAL))
def test_they_are_public_and_reach_other_processes(name: str) -> None:
    for suffix in ("", "_derivative", "_backward", "_with_derivative"):
        function = getattr(fastact, name + suffix)
        assert pickle.loads(pickle.dumps(function)) is function
        same = getattr(fastact.fallback, name + suffix) is function
        assert same == (fastact.backend() == "numpy")
        assert name + suffix in fastact.__all__


def test_they_are_no_activations() -> None:
    assert not set(SPECIAL) & set(fastact.ACTIVATIONS)
    with pytest.raises(ValueError, match="no activation is called 'logit'"):
        fastact.get("logit")
