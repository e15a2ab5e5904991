"""Sixteen published activations, each written as its paper does, in one to three lines: values and derivatives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import mpmath as mp
import numpy as np
import pytest
from scipy.special import erf

import fastact
from tests.conftest import callable_of
from tests.reference import WORDS, limited

INF = np.inf


def snake(x: Any, a: Any = 1.0) -> Any:
    return x + np.sin(a * x) ** 2 / a


def serf(x: Any) -> Any:
    return x * erf(np.log(1 + np.exp(x)))


def phish(x: Any) -> Any:
    return x * np.tanh(0.5 * x * (1 + erf(x / np.sqrt(2))))


def loglogish(x: Any) -> Any:
    return x * (1 - np.exp(-np.exp(x)))


def gaussian(x: Any) -> Any:
    return np.exp(-x * x)


def sinc(x: Any) -> Any:
    return np.where(x == 0, 1, np.sin(x) / x)


def isru(x: Any, alpha: Any = 1.0) -> Any:
    return x / np.sqrt(1 + alpha * x * x)


def smish(x: Any) -> Any:
    return x * np.tanh(np.log(1 + 1 / (1 + np.exp(-x))))


def tanhexp(x: Any) -> Any:
    return x * np.tanh(np.exp(x))


def bent_identity(x: Any) -> Any:
    return (np.sqrt(x**2 + 1) - 1) / 2 + x


def elish(x: Any) -> Any:
    return np.where(x >= 0, x, np.exp(x) - 1) / (1 + np.exp(-x))


def logish(x: Any) -> Any:
    return x * np.log(1 + 1 / (1 + np.exp(-x)))


def gish(x: Any) -> Any:
    return x * np.log(2 - np.exp(-np.exp(x)))


def symlog(x: Any) -> Any:
    return np.sign(x) * np.log(1 + np.abs(x))


def star_relu(x: Any, scale: Any = 0.8944, bias: Any = -0.4472) -> Any:
    return scale * np.maximum(x, 0) ** 2 + bias


def penalized_tanh(x: Any, slope: Any = 0.25) -> Any:
    return np.where(x > 0, np.tanh(x), slope * np.tanh(x))


class Truth(NamedTuple):
    """Terms whose sum the value is, and the derivative, in words of mpmath; and both at minus and plus infinity."""

    value: str
    derivative: str
    limits: tuple[float, float]
    slopes: tuple[float, float]


NONE = np.nan  # there is no limit

TRUTHS = {
    snake: Truth("x, sin(x)**2", "1, sin(2 * x)", (-INF, INF), (NONE, NONE)),
    serf: Truth("x * erf(sp)", "erf(sp), x * 2 / sqrt(pi) * exp(-sp * sp) * s", (0, INF), (0, 1)),
    phish: Truth("x * tanh(g)", "tanh(g), x * sech2(g) * phi, x * sech2(g) * x * bell", (0, INF), (0, 1)),
    loglogish: Truth("-x * expm1(-e)", "-expm1(-e), x * exp(x - e)", (0, INF), (0, 1)),
    gaussian: Truth("exp(-x * x)", "-2 * x * exp(-x * x)", (0, 0), (0, 0)),
    sinc: Truth("sin(x) / x if x else 1", "cos(x) / x if x else 0, -sin(x) / x**2 if x else 0", (0, 0), (0, 0)),
    isru: Truth("x / r", "1 / r**3", (-1, 1), (0, 0)),
    smish: Truth("x * tanh(log1p(s))", "tanh(log1p(s)), x * sech2(log1p(s)) / (1 + s) * bell_s", (0, INF), (0, 0.6)),
    tanhexp: Truth("x * tanh(e)", "tanh(e), x * sech2_exp", (0, INF), (0, 1)),
    bent_identity: Truth("r / 2, -0.5, x", "x / r / 2, 1", (-INF, INF), (0.5, 1.5)),
    elish: Truth(
        "x * s if x >= 0 else expm1(x) * s",
        "s if x >= 0 else e * s, (x if x >= 0 else expm1(x)) * bell_s",
        (0, INF),
        (0, 1),
    ),
    logish: Truth("x * log1p(s)", "log1p(s), x * bell_s / (1 + s)", (0, INF), (0, np.log(2))),
    gish: Truth("x * log1p(-expm1(-e))", "log1p(-expm1(-e)), x * exp(x - e) / (2 - exp(-e))", (0, INF), (0, np.log(2))),
    symlog: Truth("sign(x) * log1p(abs(x))", "1 / (1 + abs(x)) if x else 0", (-INF, INF), (0, 0)),
    star_relu: Truth("scale * x * x if x > 0 else 0, bias", "2 * scale * x if x > 0 else 0", (-0.4472, INF), (0, INF)),
    penalized_tanh: Truth("tanh(x) * (1 if x > 0 else 0.25)", "sech2(x) * (1 if x > 0 else 0.25)", (-0.25, 1), (0, 0)),
}  # fmt: skip

DTYPES = [np.float32, np.float64]

FAR = [100.0, 1e4, 1e30]


def words(x: Any) -> dict[str, Any]:
    """What the terms above are made of."""
    exp, cosh = limited("exp"), limited("cosh")
    e = exp(x)
    sp = mp.log1p(e) if x < 1000 else x
    s = e / (1 + e) if x < 0 else 1 / (1 + exp(-x))
    phi, bell = mp.erfc(-x / mp.sqrt(2)) / 2 if abs(x) < 1000 else mp.mpf(x > 0), exp(-x * x / 2) / mp.sqrt(2 * mp.pi)
    sech2_exp = 4 * exp(x - 2 * e) / (1 + exp(-2 * e)) ** 2
    more = {
        "sin": mp.sin,
        "cos": mp.cos,
        "sign": mp.sign,
        "sech2": lambda a: 1 / cosh(a) ** 2,
        "e": e,
        "sp": sp,
        "s": s,
    }
    more |= {"bell_s": exp(-abs(x)) / (1 + exp(-abs(x))) ** 2}
    more |= {"sp": sp, "s": s, "phi": phi, "bell": bell, "g": x * phi, "r": mp.sqrt(1 + x * x), "sech2_exp": sech2_exp}
    return WORDS | more | {"x": x}


def worst(entry: Any, terms: str, kind: str, backend: str, dtype: Any) -> float:
    """The largest error in ulp of the value, or of its largest term."""
    near = np.linspace(-30, 30, 601) + np.random.default_rng(0).uniform(-0.05, 0.05, 601)
    x = np.concatenate([near, [-0.0, 1e-5, -1e-5, 1e-30], FAR, np.negative(FAR)]).astype(dtype)
    given = {name: dtype(default) for name, default in entry.parameters.items()}
    results = callable_of(entry, kind, backend)(x, **given)
    largest = 0.0
    with mp.workdps(60):
        exact = {name: mp.mpf(float(value)) for name, value in given.items()}
        for point, result in zip(x, results):
            parts = [mp.mpf(eval(term, words(mp.mpf(float(point))) | exact)) for term in terms.split(", ")]
            largest = max(largest, ulps(result, mp.fsum(parts), max(map(abs, parts)), dtype))
    return largest


def ulps(result: Any, truth: Any, scale: Any, dtype: Any) -> float:
    information = np.finfo(dtype)
    if abs(truth) > mp.mpf(float(information.max)):
        return 0.0 if result == np.inf * float(mp.sign(truth)) else INF
    if not np.isfinite(result):
        return INF
    smallest = int(information.minexp - information.nmant)
    scale = max(scale, abs(truth))
    exponent = int(mp.frexp(scale)[1]) - 1 - int(information.nmant) if scale else smallest
    return float(abs(mp.mpf(float(result)) - truth) / mp.mpf(2) ** max(exponent, smallest))


ENTRIES: dict[Callable[..., Any], Any] = {function: fastact.activation(function) for function in TRUTHS}

published = pytest.mark.parametrize("function", list(TRUTHS), ids=lambda function: function.__name__)


@published
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["value", "derivative"])
def test_right_to_8_ulp(function: Callable[..., Any], kind: str, backend: str, dtype: Any) -> None:
    assert worst(ENTRIES[function], getattr(TRUTHS[function], kind), kind, backend, dtype) <= 8


@published
@pytest.mark.parametrize("dtype", DTYPES)
def test_limits_at_infinity(function: Callable[..., Any], backend: str, dtype: Any) -> None:
    x = np.array([-INF, INF], dtype)
    value, slope = callable_of(ENTRIES[function], "with_derivative", backend)(x)
    assert np.allclose(value, TRUTHS[function].limits, rtol=1e-6)
    assert np.allclose(slope, TRUTHS[function].slopes, rtol=1e-6, equal_nan=True)


@published
def test_nan_gives_nan(function: Callable[..., Any], backend: str) -> None:
    assert np.isnan(callable_of(ENTRIES[function], "with_derivative", backend)(np.array([np.nan]))).all()
