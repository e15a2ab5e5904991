"""The words of formulas: each computes what NumPy or SciPy do, in both backends, and its derivative is that."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import mpmath as mp
import numpy as np
import pytest
import scipy.special

import fastact
from fastact.formulas.language import WORDS, calls_c_library
from fastact.formulas.operations import ALIASES, ARITY
from tests.conftest import callable_of, compiled_only
from tests.reference import every_exponent, ulp_distance

#: Of one operand: what mpmath calls it, from where to where there are values, and what is allowed in ulp.
ONE: dict[str, tuple[Any, float, float, float]] = {
    "exp2": (lambda x: mp.mpf(2) ** x, -1100, 1100, 1.1),
    "log2": (lambda x: mp.log(x, 2), 0, np.inf, 1.1),
    "log10": (mp.log10, 0, np.inf, 1.1),
    "cbrt": (lambda x: mp.sign(x) * mp.cbrt(abs(x)), -np.inf, np.inf, 1.1),
    "sinh": (mp.sinh, -720, 720, 3),
    "cosh": (mp.cosh, -720, 720, 2),
    "tan": (mp.tan, -100, 100, 4),
    "arcsinh": (mp.asinh, -np.inf, np.inf, 3),
    "arccosh": (mp.acosh, 1, np.inf, 3),
    "arctanh": (mp.atanh, -0.99, 0.99, 3),
    "arcsin": (mp.asin, -1, 1, 4),
    "arccos": (mp.acos, -0.999, 0.999, 4),
    "expit": (lambda x: 1 / (1 + mp.exp(-x)), -700, 700, 2),
    "log_expit": (lambda x: -mp.log1p(mp.exp(-x)), -700, 700, 3),
    "erf": (mp.erf, -10, 10, 3),
    "erfc": (mp.erfc, -10, 30, 4),
    "ndtr": (mp.ncdf, -38, 10, 3),
    "log_ndtr": (lambda x: mp.log(mp.erfc(-x / mp.sqrt(2)) / 2), -100, 8, 8),
    "logit": (lambda x: mp.log(x / (1 - x)), 0.001, 0.999, 4),
    "exprel": (lambda x: mp.expm1(x) / x, -80, 80, 3),
    "entr": (lambda x: -x * mp.log(x), 0, 1e30, 3),
    "exp10": (lambda x: mp.mpf(10) ** x, -300, 300, 1.1),
    "square": (lambda x: x * x, -1e18, 1e18, 1),
    "reciprocal": (lambda x: 1 / x, -1e30, 1e30, 1),
    "deg2rad": (mp.radians, -1e4, 1e4, 2),
    "rad2deg": (mp.degrees, -1e4, 1e4, 2),
}


def function_of(name: str) -> Any:
    return getattr(np, name) if hasattr(np, name) else getattr(scipy.special, name)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", list(ONE))
def test_words_of_one_operand(name: str, backend: str, dtype: Any) -> None:
    truth, low, high, bound = ONE[name]
    entry = fastact.activation(lambda x: function_of(name)(x))
    x = every_exponent(dtype)[::7]
    spread = np.random.default_rng(1).uniform(max(low, -1e3), min(high, 1e3), 200).astype(dtype)
    x = np.concatenate([x[(abs(x) > 1e-30) & (x > low) & (x < high)], spread])
    with mp.workdps(400), np.errstate(all="ignore"):
        results = callable_of(entry, "value", backend)(x)
        normal = abs(results) >= np.finfo(dtype).tiny
        assert max(ulp_distance(y, truth(mp.mpf(float(v)))) for v, y in zip(x[normal], results[normal])) <= bound


#: x up to which formulas are compared with differences, unless a word has values elsewhere only.
SMOOTH = np.array([-3.3, -1.7, -0.6, -0.11, 0.2, 0.9, 2.4, 4.1])


@pytest.mark.parametrize("name", list(ONE))
def test_derivatives_of_words_of_one_operand(name: str, backend: str) -> None:
    truth, low, high, _ = ONE[name]
    entry = fastact.activation(lambda x: function_of(name)(x))
    x = np.concatenate([SMOOTH, SMOOTH / 5 + 1.2])
    x = x[(x > low) & (x < high)]
    with mp.workdps(40):
        expected = [float(mp.diff(truth, mp.mpf(v))) for v in x]
    assert np.allclose(callable_of(entry, "derivative", backend)(x), expected, rtol=1e-13)


#: Of two operands, or with numbers: the formula, which NumPy computes too, and its derivative.
FORMULAS: dict[str, tuple[Any, Any]] = {
    "x**1.5": (lambda x: abs(x) ** 1.5, lambda x: 1.5 * np.sqrt(abs(x)) * np.sign(x)),
    "x**-2.5": (lambda x: abs(x) ** -2.5, lambda x: -2.5 * abs(x) ** -3.5 * np.sign(x)),
    "x**0": (lambda x: x**0 + x, lambda x: np.ones_like(x)),
    "x**np.pi": (lambda x: abs(x) ** np.pi, lambda x: np.pi * abs(x) ** (np.pi - 1) * np.sign(x)),
    "2**x": (lambda x: 2**x, lambda x: np.log(2) * 2**x),
    "3**x": (lambda x: 3**x, lambda x: np.log(3) * 3**x),
    "abs(x)**x": (lambda x: abs(x) ** x, lambda x: abs(x) ** x * (np.log(abs(x)) + 1)),
    "power": (lambda x: np.power(x, 3), lambda x: 3 * x**2),
    "hypot": (lambda x: np.hypot(x, 1), lambda x: x / np.hypot(x, 1)),
    "remainder": (lambda x: x % 2, lambda x: np.ones_like(x)),
    "reflected": (lambda x: 2 % (x + 10), lambda x: np.zeros_like(x)),
    "fmod": (lambda x: np.fmod(x, 0.7), lambda x: np.ones_like(x)),
    "floor_divide": (lambda x: x // 0.7, lambda x: np.zeros_like(x)),
    "logaddexp": (lambda x: np.logaddexp(x, 1), lambda x: 1 / (1 + np.exp(1 - x))),
    "logaddexp2": (lambda x: np.logaddexp2(x, 1), lambda x: 1 / (1 + 2 ** (1 - x))),
    "heaviside": (lambda x: np.heaviside(x, 0.5), lambda x: np.zeros_like(x)),
    "clip": (lambda x: np.clip(x, -1, 1), lambda x: np.where(abs(x) < 1, 1.0, 0.0)),
    "clip of one": (lambda x: np.clip(x, a_min=None, a_max=1), lambda x: np.where(x < 1, 1.0, 0.0)),
    "sinc": (lambda x: np.sinc(x), lambda x: (np.cos(np.pi * x) - np.sinc(x)) / x),
    "select": (
        lambda x: np.select([x > 1, x < -1], [x * x, -x], 7.0),
        lambda x: np.where(x > 1, 2 * x, np.where(x < -1, -1.0, 0.0)),
    ),
    "floor": (lambda x: np.floor(x) + np.ceil(x) + np.trunc(x) + np.rint(x), lambda x: np.zeros_like(x)),
    "round": (lambda x: np.round(x), np.zeros_like),
    "copysign": (lambda x: np.copysign(x * x, x), lambda x: 2 * abs(x)),
    "sign": (lambda x: np.sign(x) * x, np.sign),
    "isnan": (lambda x: np.where(np.isnan(x), 0, x), np.ones_like),
    "isfinite": (lambda x: np.where(np.isfinite(x) & ~np.isinf(x), x, 0), np.ones_like),
    "signbit": (lambda x: np.where(np.signbit(x), x, 2 * x), lambda x: np.where(x < 0, 1.0, 2.0)),
    "truth": (lambda x: (x > 0) * x + (x < -1), lambda x: np.where(x > 0, 1.0, 0.0)),
    "xor": (lambda x: np.where((x > 0) ^ (x > 1), x, 0), lambda x: np.where((x > 0) & (x <= 1), 1.0, 0.0)),
    "xlogy": (lambda x: scipy.special.xlogy(abs(x), abs(x)), lambda x: np.sign(x) * (np.log(abs(x)) + 1)),
    "xlog1py": (lambda x: scipy.special.xlog1py(x, 0.5), lambda x: np.full_like(x, np.log1p(0.5))),
    "0-d": (lambda x: x * np.array(2.0), lambda x: np.full_like(x, 2.0)),
    "positive": (lambda x: +np.positive(x), np.ones_like),
}


@pytest.mark.parametrize("name", list(FORMULAS))
def test_formulas_are_what_numpy_computes(name: str, backend: str) -> None:
    formula, slope = FORMULAS[name]
    entry = fastact.activation(lambda x: formula(x))
    with np.errstate(all="ignore"):
        expected = np.asarray(formula(SMOOTH), float), np.asarray(slope(SMOOTH), float)
    value, derivative = callable_of(entry, "with_derivative", backend)(SMOOTH)
    assert np.allclose(value, expected[0], rtol=1e-14, atol=1e-15)
    assert np.allclose(derivative, expected[1], rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_powers_to_2_ulp_and_as_c_has_them(backend: str, dtype: Any) -> None:
    """exp multiplies an error of the logarithm by up to 700."""
    power = fastact.activation(lambda x, a: x**a)
    rng = np.random.default_rng(0)
    x = np.exp(rng.uniform(-80, 80, 600)).astype(dtype)
    a = (rng.uniform(-1, 1, 600) * 85 / np.maximum(abs(np.log(x)), 1e-3)).astype(dtype)
    results = callable_of(power, "value", backend)(x, a)
    with mp.workdps(60):
        exact = [mp.mpf(float(u)) ** mp.mpf(float(v)) for u, v in zip(x, a)]
    assert max(map(ulp_distance, results, exact)) <= 2
    special = np.array([-np.inf, -2.5, -1.0, -0.0, 0.0, 0.5, 1.0, 3.0, np.inf, np.nan], dtype)
    exponents = np.array([-np.inf, -3.0, -2.5, 0.0, 0.5, 1.0, 2.0, 5.0, np.inf, np.nan], dtype)
    with np.errstate(all="ignore"):
        expected = np.power(special[:, None], exponents)
    assert np.allclose(callable_of(power, "value", backend)(special[:, None], exponents), expected, equal_nan=True)


def test_exact_where_the_mathematics_is(backend: str) -> None:
    def of(formula: Any, x: Any) -> Any:
        return callable_of(fastact.activation(formula), "value", backend)(np.asarray(x, float)).tolist()

    whole = np.arange(-30.0, 31.0)
    assert of(lambda x: np.exp2(x), whole) == (2.0**whole).tolist()
    assert of(lambda x: np.log2(x), 2.0**whole) == whole.tolist()
    assert of(lambda x: np.log10(x), [1e-3, 1.0, 10.0, 1e3, 1e15]) == [-3, 0, 1, 3, 15]
    assert of(lambda x: np.cbrt(x), [-27.0, -0.0, 8.0, 1e3]) == [-3, 0, 2, 10]


@pytest.mark.parametrize("name", ["sigmoid", "gelu", "mish", "softplus", "elu", "hardtanh", "prelu"])
def test_activations_are_words_of_formulas(name: str, backend: str) -> None:
    inner = fastact.ACTIVATIONS[name]
    given = {name: 0.5 + i for i, name in enumerate(inner.parameters)}
    outer = fastact.activation(lambda x: x * callable_of(inner, "value", backend)(2 * x, **given))
    value, slope = callable_of(outer, "with_derivative", backend)(SMOOTH)
    inside, steep = callable_of(inner, "with_derivative", backend)(2 * SMOOTH, **given)
    assert np.allclose(value, SMOOTH * inside, rtol=1e-15)
    assert np.allclose(slope, inside + 2 * SMOOTH * steep, rtol=1e-14)


def test_ones_own_activations_are_words_too(backend: str) -> None:
    bent = fastact.activation(lambda x, a=2.0: np.tanh(a * x))
    twice = fastact.activation(lambda x, b=3.0: bent(bent(x), a=b) + bent.derivative(x))
    assert np.allclose(
        callable_of(twice, "value", backend)(SMOOTH), np.tanh(3 * np.tanh(2 * SMOOTH)) + bent.derivative(SMOOTH)
    )
    assert twice.formula.startswith("formula(formula(x), b)")


def refused(formula: Any, *parts: str) -> None:
    with pytest.raises(TypeError) as caught:
        fastact.activation(formula)
    for part in parts:
        assert part in str(caught.value)
    assert len(str(caught.value)) < 400


def test_refusals_name_the_line_and_what_to_write_instead() -> None:
    def branches(x: Any) -> Any:
        y = x * x
        if y > 1:  # the line
            return x
        return y

    refused(branches, "if y > 1:  # the line", "where(condition, a, b)")
    refused(lambda x: math.exp(x), "np.exp")
    refused(lambda x: x.sum(), "no x.sum")
    refused(lambda x: np.sort(x), "cannot use sort", "fastact.formulas.language")
    refused(lambda x: scipy.special.gamma(x), "cannot use gamma")
    refused(lambda x: x * np.ones(3), "make the array a parameter")
    refused(lambda x: np.arctan2(x, 1), "did you mean arctan")
    refused(lambda x: np.round(x, 2), "whole numbers only")
    refused(lambda x: np.exp(x, where=x > 0), "plainly")


def test_the_table_is_whole() -> None:
    """Every word has a meaning and as many operands as its derivative takes; what is said of the C library is true."""
    for name, word in WORDS.items():
        assert word.meaning, name
        if word.derivative is not None:
            assert ARITY[name] == word.operands
    assert all(map(calls_c_library, ["sin", "cos", "tan", "sinc"]))
    others = ["exp", "arctan", "arcsin", "arccos", "power", "sinh", "erf", "arcsinh", "clip", "select", "round"]
    assert not any(map(calls_c_library, others))
    assert set(ALIASES.values()) <= set(WORDS) | set(ARITY)


@compiled_only
def test_the_language_does_not_depend_on_what_was_imported() -> None:
    before = "from fastact.formulas.operations import ARITY as words; before = set(words)"
    code = f"{before}; import fastact.kernels.emit; assert before == set(words)"
    subprocess.run([sys.executable, "-c", code], check=True)
