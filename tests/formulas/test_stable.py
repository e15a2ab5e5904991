"""Naive forms: what they are taken for, their tails, and that nothing else is changed."""

from __future__ import annotations

import itertools
from typing import Any

import mpmath as mp
import numpy as np
import pytest

import fastact
from fastact.formulas.expressions import trace
from fastact.formulas.stable import stable
from tests.conftest import callable_of
from tests.reference import every_exponent, ulp_distance

#: Naive forms; what they are, and their derivatives, without cancellation.
NAIVE: dict[str, tuple[Any, Any, Any]] = {
    "softplus": (
        lambda x: np.log(1 + np.exp(x)),
        lambda x: mp.log1p(mp.exp(x)) if x < 800 else x,
        lambda x: 1 / (1 + mp.exp(-x)) if x > -800 else mp.exp(x),
    ),
    "sigmoid": (
        lambda x: 1 / (1 + np.exp(-x)),
        lambda x: 1 / (1 + mp.exp(-x)) if x > -800 else mp.exp(x),
        lambda x: mp.exp(-abs(x)) / (1 + mp.exp(-abs(x))) ** 2,
    ),
    "expm1": (lambda x: np.exp(x) - 1, mp.expm1, mp.exp),
    "cloglog": (
        lambda x: 1 - np.exp(-np.exp(x)),
        lambda x: -mp.expm1(-mp.exp(x)) if x < 100 else mp.mpf(1),
        lambda x: mp.exp(x - mp.exp(x)) if x < 100 else mp.mpf(0),
    ),
    "isru": (
        lambda x: x / np.sqrt(1 + x * x),
        lambda x: x / mp.sqrt(1 + x * x),
        lambda x: 1 / mp.sqrt(1 + x * x) ** 3,
    ),
    "cauchy": (
        lambda x: np.log(1 + x * x),  # whose square overflows from 1e154 on, and vanishes below 1e-162
        lambda x: mp.log1p(x * x),
        lambda x: 2 * x / (1 + x * x),
    ),
    "log_of_square": (lambda x: np.log(2 + x * x), lambda x: mp.log(2 + x * x), lambda x: 2 * x / (2 + x * x)),
    "log_of_four": (lambda x: np.log(1 + 4 * x * x), lambda x: mp.log1p(4 * x * x), lambda x: 8 * x / (1 + 4 * x * x)),
    "squareplus": (  # whose terms cancel below zero
        lambda x: (x + np.sqrt(x * x + 4)) / 2,
        lambda x: plus_root(x, 4) / 2,
        lambda x: plus_root(x, 4) / mp.sqrt(x * x + 4) / 2,
    ),
    "squareminus": (
        lambda x: np.sqrt(2 + x**2) - x,
        lambda x: plus_root(-x, 2),
        lambda x: -plus_root(-x, 2) / mp.sqrt(x * x + 2),
    ),
    "arcsinh": (lambda x: np.log(np.sqrt(x * x + 1) + x), mp.asinh, lambda x: 1 / mp.sqrt(1 + x * x)),
}


def plus_root(x: Any, b: Any) -> Any:
    """x + sqrt(x * x + b)"""
    return x + mp.sqrt(x * x + b) if x > 0 else b / (mp.sqrt(x * x + b) - x)


#: Of x and a parameter: naive forms, what they are, and derivatives by x and by the parameter.
WITH_PARAMETER: dict[str, tuple[Any, ...]] = {
    "squareplus": (
        lambda x, b=4.0: 0.5 * (x + np.sqrt(x * x + b)),
        lambda x, b: plus_root(x, b) / 2,
        lambda x, b: plus_root(x, b) / mp.sqrt(x * x + b) / 2,
        lambda x, b: 1 / (4 * mp.sqrt(x * x + b)),
    ),
    "squareplus_of_square": (
        lambda x, b=4.0: x + np.sqrt(x * x + b * b),
        lambda x, b: plus_root(x, b * b),
        lambda x, b: plus_root(x, b * b) / mp.sqrt(x * x + b * b),
        lambda x, b: b / mp.sqrt(x * x + b * b),
    ),
    "log_of_square": (
        lambda x, b=4.0: np.log(b + x * x),
        lambda x, b: mp.log(b + x * x),
        lambda x, b: 2 * x / (b + x * x),
        lambda x, b: 1 / (b + x * x),
    ),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", list(NAIVE))
def test_naive_forms_keep_their_tails(name: str, backend: str, dtype: Any) -> None:
    """Relative to the value, wherever that is a number, subnormal ones included."""
    formula, value, slope = NAIVE[name]
    x = every_exponent(dtype)[:: 1 if dtype is np.float32 else 9]
    x = np.concatenate([x, np.random.default_rng(0).uniform(-760, 720, 300).astype(dtype)])
    results = callable_of(fastact.activation(formula), "with_derivative", backend)(x)
    with mp.workdps(400):
        for made, truth in zip(results, (value, slope)):
            assert max(ulp_distance(y, truth(mp.mpf(float(v)))) for v, y in zip(x, made)) <= 8


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("b", [0.75, 4.0, 300.0])
@pytest.mark.parametrize("name", list(WITH_PARAMETER))
def test_forms_with_a_parameter_keep_their_tails(name: str, b: float, backend: str, dtype: Any) -> None:
    """Near where a logarithm is zero, what is to be small is a sum that is near one, and rounded."""
    formula, *exact = WITH_PARAMETER[name]
    made = fastact.activation(formula)
    x = every_exponent(dtype)[:: 2 if dtype is np.float32 else 17]
    x = x[abs(b + np.square(x.astype(float), where=abs(x) < 1e9, out=np.full(x.shape, 2.0)) - 1) > 0.2]
    for kind, truth in zip(("value", "derivative", "derivative:b"), exact):
        results = callable_of(made, kind, backend)(x, dtype(b))
        assert results.dtype == dtype
        with mp.workdps(400):
            assert max(ulp_distance(y, truth(mp.mpf(float(v)), mp.mpf(b))) for v, y in zip(x, results)) <= 8


@pytest.mark.parametrize(
    ("name", "value", "slope"),
    [
        ("squareplus", [0.0, np.inf], [0.0, 1.0]),
        ("squareplus_of_square", [0.0, np.inf], [0.0, 2.0]),
        ("log_of_square", [np.inf, np.inf], [0.0, 0.0]),
    ],
)
def test_limits_of_forms_with_a_parameter(name: str, value: list[float], slope: list[float], backend: str) -> None:
    made = fastact.activation(WITH_PARAMETER[name][0])
    assert callable_of(made, "value", backend)([-np.inf, np.inf], 2.0).tolist() == value
    assert callable_of(made, "derivative", backend)([-np.inf, np.inf], 2.0).tolist() == slope


def test_second_derivatives_of_sums_with_roots(backend: str) -> None:
    plus = callable_of(fastact.activation(lambda x: x + np.sqrt(x * x + 4)), "second_derivative", backend)
    x = np.array([-1e100, -1e6, -3.0, -1e-3, 0.0, 2.0, 1e5])
    assert np.allclose(plus(x), 4 / np.sqrt(x * x + 4) ** 3, rtol=1e-14, atol=0)


def test_logarithm_of_a_square(backend: str) -> None:
    made = fastact.activation(lambda x: np.log(x * x))
    x = np.array([-1e300, -2.0, 1e-200, 0.0, np.inf])
    with np.errstate(all="ignore"):
        expected = 2 * np.log(abs(x))
    assert np.allclose(callable_of(made, "value", backend)(x), expected, rtol=1e-15)
    assert np.allclose(callable_of(made, "derivative", backend)(x[:3]), 2 / x[:3], rtol=1e-15)


#: What is written, and what it is taken for.
FORMS: list[tuple[Any, str]] = [
    (lambda x: np.exp(x) / (1 + np.exp(x)), "sigmoid(x)"),
    (lambda x: np.exp(x) / (np.exp(x) + 1), "sigmoid(x)"),
    (lambda x: 1 - 1 / (1 + np.exp(-x)), "sigmoid(-x)"),
    (lambda x: x / (1 + np.exp(-x)), "x * sigmoid(x)"),
    (lambda x: np.log1p(np.exp(-x)), "softplus(-x)"),
    (lambda x: -np.log(1 / (1 + np.exp(-x))), "softplus(-x)"),
    (lambda x: (np.exp(2 * x) - 1) / (np.exp(2 * x) + 1), "tanh(0.5 * (2 * x))"),
    (lambda x: 1 - np.tanh(x) ** 2, "sech2(x)"),
    (lambda x: 0.5 * (1 + np.tanh(x)), "0.5 * (2 * sigmoid(2 * x))"),
    (lambda x: np.log(np.exp(x)), "x"),
    (lambda x: np.exp(-x) * np.exp(x), "1"),
    (lambda x: np.sqrt(x * x), "absolute(x)"),
    (lambda x: np.sqrt(x**2 + 4), "root(4, 1, x)"),
    (lambda x: x + np.sqrt(x**2 + 4), "2 * half_root_sum(4, x)"),
    (lambda x: 0.5 * (x + np.sqrt(x**2 + 4)), "half_root_sum(4, x)"),
    (lambda x: (np.sqrt(x**2 + 4) + x) / 8, "half_root_sum(4, x) / 4"),
    (lambda x: np.sqrt(4 + x * x) - x, "2 * half_root_sum(4, -x)"),
    (lambda x: x - np.sqrt(4 + x * x), "-(2 * half_root_sum(4, -x))"),
    (lambda x: 2 * x + np.hypot(2 * x, 3), "2 * half_hypot_sum(3, 2 * x)"),
    (lambda x: x + np.sqrt(2 * x * x + 4), "x + root(4, 2, x)"),
    (lambda x: 3 + np.sqrt(x * x + 9), "3 + root(9, 1, x)"),
    (lambda x: np.log(2 + x * x), "log_root(2, 1, x)"),
    (lambda x: np.log(1 + 4 * x * x), "log_root(1, 4, x)"),
    (lambda x: np.sin(2 * x) / (2 * x), "sin_ratio(2 * x)"),
    (lambda x: np.exp(x) + 1, "exp(x) + 1"),
    (lambda x: x * x + 1, "x * x + 1"),
    (lambda x: np.log(2 + x), "log(2 + x)"),
    (lambda x: 2 - np.exp(x), "2 - exp(x)"),
]


@pytest.mark.parametrize(("formula", "form"), FORMS, ids=[form for _, form in FORMS])
def test_forms_are_taken_for(formula: Any, form: str) -> None:
    assert repr(stable(trace(formula, ["x"])[0])) == form


@pytest.mark.parametrize("form", range(len(FORMS)))
def test_forms_are_the_same_numbers(form: int, backend: str) -> None:
    x = np.array([-1.5, -0.75, 0.25, 2.0])
    formula = FORMS[form][0]
    assert np.allclose(callable_of(fastact.activation(formula), "value", backend)(x), formula(x), rtol=1e-13)


def test_no_infinite_part_of_a_sum_meets_a_zero(backend: str) -> None:
    """sech2(u) * (a + b * exp(x)) is 0 * inf from 710 on."""
    tanhsoft = fastact.activation(lambda x, a=0.6, b=1.0: x * np.tanh(a * x + b * np.exp(x)))
    x = np.array([-3.0, 0.5, 2.0, 800.0, 1e4])
    slope = callable_of(tanhsoft, "derivative", backend)(x)
    with mp.workdps(30):
        truth = [mp.diff(lambda t: t * mp.tanh(mp.mpf(0.6) * t + mp.exp(t)), mp.mpf(v)) for v in x[:3]]
    assert np.allclose(slope, [*map(float, truth), 1.0, 1.0], rtol=1e-14)


def test_limits_with_parameters(backend: str) -> None:
    """They are expressions of these, where the sign of none decides."""
    isru = fastact.activation(lambda x, a=1.0: x / np.sqrt(1 + a * x * x))
    assert callable_of(isru, "value", backend)([-np.inf, np.inf], 4.0).tolist() == [-0.5, 0.5]
    scaled = fastact.activation(lambda x, a=2.0: a * np.tanh(x) + a * x / (1 + abs(x)))
    assert callable_of(scaled, "value", backend)([-np.inf, np.inf], 3.0).tolist() == [-6.0, 6.0]


def swish(x: Any, beta: Any = 1.0) -> Any:
    return x / (1 + np.exp(-beta * x))


@pytest.mark.parametrize(
    ("kind", "beta", "limits"),
    [
        ("value", 2.0, [0.0, np.inf]),
        ("value", -2.0, [-np.inf, 0.0]),
        ("derivative", 2.0, [0.0, 1.0]),
        ("derivative", -2.0, [1.0, 0.0]),
        ("second_derivative", 2.0, [0.0, 0.0]),
        ("derivative:beta", -2.0, [0.0, 0.0]),
    ],
)
def test_limits_by_the_sign_of_a_parameter(backend: str, kind: str, beta: float, limits: list[float]) -> None:
    """Computed there, each is inf * 0."""
    made = callable_of(fastact.activation(swish), kind, backend)
    assert made(np.array([-np.inf, np.inf]), beta).tolist() == limits
    assert made(np.array([-np.inf, np.inf]), np.array([[beta]])).tolist() == [limits]


def test_limits_by_the_signs_of_two_parameters(backend: str) -> None:
    made = fastact.activation(lambda x, a=1.0, b=1.0: a * x / (1 + np.exp(-b * x)))
    slope = callable_of(made, "derivative", backend)
    for a in (3.0, -3.0):
        assert slope([-np.inf, np.inf], a, 2.0).tolist() == [0.0, a]
        assert slope([-np.inf, np.inf], a, -2.0).tolist() == [a, 0.0]


def test_limits_by_the_signs_of_three_parameters(backend: str) -> None:
    made = fastact.activation(lambda x, a=1.0, b=1.0, c=1.0: a * x / (1 + np.exp(-b * x)) + c * x * np.exp(-(x**2)))
    for kind, expected in (("value", lambda a: a * np.inf), ("derivative", lambda a: a)):
        function = callable_of(made, kind, backend)
        for a, c in itertools.product((3.0, -3.0), (1.5, -1.5)):
            assert function([-np.inf, np.inf], a, 2.0, c).tolist() == [0.0, expected(a)]
            assert function([-np.inf, np.inf], a, -2.0, c).tolist() == [-expected(a) if kind == "value" else a, 0.0]


PRODUCTS: list[tuple[Any, list[float]]] = [
    (lambda x: fastact.silu(x) * fastact.tanh(x), [0.0, 1.0]),
    (lambda x: fastact.gelu(x) * fastact.sigmoid(x), [0.0, 1.0]),
    (lambda x: fastact.mish(x) * fastact.tanh(x), [0.0, 1.0]),
    (lambda x: fastact.relu(x) * fastact.sigmoid(x), [0.0, 1.0]),
    (lambda x: fastact.silu(x) / (1 + fastact.sigmoid(x)), [0.0, 0.5]),
    (lambda x: x * fastact.tanh(x), [-1.0, 1.0]),
    (lambda x: x * x * fastact.sigmoid(-x), [-np.inf, 0.0]),
    (lambda x, beta=1.0: x * fastact.sigmoid(beta * x), [0.0, 1.0]),
]


@pytest.mark.parametrize("index", range(len(PRODUCTS)))
def test_limits_of_products_of_activations(backend: str, index: int) -> None:
    """Computed there, their derivatives are inf * 0: the formulas of activations, roundings and all, have limits."""
    formula, limits = PRODUCTS[index]
    assert callable_of(fastact.activation(formula), "derivative", backend)([-np.inf, np.inf]).tolist() == limits


@pytest.mark.parametrize("name", ["silu", "mish", "gelu", "gelu_tanh", "softplus", "relu"])
def test_what_activations_bound_is_not_taken_for_zero(backend: str, name: str) -> None:
    """Their formulas cut off tails that a larger exponential would bring back: exp(-3 * x) * silu(x) goes to -inf."""
    formula = fastact.activation(lambda x: getattr(fastact, name)(x) * np.exp(-3 * x))
    value = callable_of(formula, "value", backend)([-np.inf])
    truth = {"silu": -np.inf, "mish": -np.inf, "softplus": np.inf}.get(name, 0.0)
    assert np.isnan(value[0]) or value[0] == truth


def test_there_is_no_limit_where_there_is_none(backend: str) -> None:
    for formula in (lambda x: np.sin(x), lambda x: np.exp(x) * np.sin(x), lambda x: np.cos(x) * x):
        value = callable_of(fastact.activation(formula), "value", backend)([np.inf])
        assert np.isnan(value).all()
