"""Formulas: tracing, the chain rule, what is refused, and activations of the user's own."""

from __future__ import annotations

import functools
from typing import Any

import mpmath as mp
import numpy as np
import pytest

import fastact
from fastact.catalogue import Activation
from fastact.formulas import primitives
from fastact.formulas.expressions import constant, differentiate, trace, variable
from fastact.formulas.fallback import numpy_function
from fastact.ufuncs.ufunc import Definition, make_ufunc
from tests.conftest import BACKENDS, callable_of, parameters
from tests.reference import every_exponent, formula, ulp_distance

#: The chain rule is not asked to be careful where a hand-written derivative is.
SMOOTH = np.array([-3.3, -1.7, -0.6, -0.1, 0.2, 0.9, 2.4, 4.1])

PRIMITIVES = ["exp", "expm1", "log", "log1p", "tanh", "sqrt", "sin", "cos", "arctan"]


def test_written_derivative_matches_the_chain_rule(entry: Activation, backend: str) -> None:
    value, _ = entry.expressions
    by_rule = numpy_function("rule", ["x", *entry.parameters], (differentiate(value, variable("x")),))
    given = parameters(entry)
    written = callable_of(entry, "derivative", backend)(SMOOTH, **given)
    assert np.allclose(written, by_rule(SMOOTH, *given.values()), rtol=1e-12, atol=1e-14)


def test_formula_text_says_what_is_computed(entry: Activation, backend: str) -> None:
    given = parameters(entry)
    text = formula(entry, **given)
    with mp.workdps(30):
        expected = [float(text(mp.mpf(x))) for x in SMOOTH]
    assert np.allclose(callable_of(entry, "value", backend)(SMOOTH, **given), expected, rtol=1e-14)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", PRIMITIVES)
def test_primitives(name: str, dtype: type, backend: str) -> None:
    """What formulas are made of, over every exponent; sin and cos only where no great period must be reduced."""
    (result,) = trace(getattr(primitives, name), ["x"])
    ufunc = make_ufunc(Definition(name, ["x"], (result,), ""), "numpy" if backend == "fallback" else "numba")
    x = every_exponent(dtype)[:: 3 if dtype is np.float32 else 16]
    if name in ("sin", "cos"):
        x = x[abs(x) < 100]
    elif name in ("log", "sqrt"):
        x = abs(x)
    elif name == "log1p":
        x = x[x > -1]
    function = getattr(mp, {"arctan": "atan"}.get(name, name))
    with mp.workdps(360):
        worst = max(ulp_distance(result, function(mp.mpf(float(value)))) for value, result in zip(x, ufunc(x)))
    assert worst <= 2.5


def test_own_activation_with_numpy_functions() -> None:
    @fastact.activation
    def bend(x, strength=0.5):  # type: ignore[no-untyped-def]
        return np.where(x > 0, x, strength * x * np.arctan(x)) + np.exp(-(x**2)) * np.maximum(x, 1)

    x = np.linspace(-3, 3, 101)
    expected = np.where(x > 0, x, 0.25 * x * np.arctan(x)) + np.exp(-(x**2)) * np.maximum(x, 1)
    assert np.allclose(bend(x, 0.25), expected, rtol=1e-14)
    slope = (bend(x + 1e-6) - bend(x - 1e-6)) / 2e-6
    smooth = (abs(x) > 0.01) & (abs(x - 1) > 0.01)
    assert np.allclose(bend.derivative(x)[smooth], slope[smooth], atol=1e-8)
    assert np.array_equal(bend.backward(2.0, x), 2 * bend.derivative(x))
    assert bend.formula.startswith("where(x > 0, x, strength * x * arctan(x))")
    assert "select" in bend.source()


def test_own_activation_with_its_own_derivative() -> None:
    @fastact.activation(formula="x * x", range="[0, inf)", reference="Euclid")
    def square(x):  # type: ignore[no-untyped-def]
        return x * x, 2 * x

    assert square.with_derivative(3.0) == (9.0, 6.0)
    assert (square.formula, square.range, square.reference) == ("x * x", "[0, inf)", "Euclid")


def test_branch_not_taken_stays_out_of_the_gradient() -> None:
    @fastact.activation
    def guarded(x):  # type: ignore[no-untyped-def]
        return np.where(x > 0, np.log(x), 0.0)

    assert guarded(np.array([-1.0, 0.0])).tolist() == [0.0, 0.0]
    assert guarded.derivative(np.array([2.0, -1.0, 0.0])).tolist() == [0.5, 0.0, 0.0]


def refused(function, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(TypeError, match=message):
        fastact.activation(function)


def test_what_cannot_be_compiled_is_refused_where_it_is_written() -> None:
    refused(lambda x: x if x > 0 else 0, "cannot branch")
    refused(lambda x: max(x, 0), "cannot branch")
    refused(lambda x: np.sort(x), "cannot use sort")
    refused(lambda x: np.add.reduce(x), "plainly")
    refused(lambda x: (x, x, x), "returned 3 results")
    refused(lambda y: y, "first argument must be called x")
    refused(lambda x: x + "1", "not of str")
    refused(lambda x: None, "must return what it computes, not None")
    refused(np.tanh, "written with def or lambda, not ufunc")
    refused(functools.partial(lambda x, a: x * a, a=2.0), "written with def or lambda, not partial")
    refused(lambda x, *others: x, "by position or name")
    refused(lambda x, **others: x, "by position or name")
    refused(lambda x, a=None: x, "default of a must be a number, not None")
    refused(lambda x, a="tanh": x, "default of a must be a number, not 'tanh'")
    refused(lambda x, a=1j: x * a, "default of a must be a number, not 1j")
    refused(lambda x, a=10**5000: x * a, "default of a is an integer beyond float64's numbers")
    refused(lambda x: x * -(10**5000), "an integer in it is beyond them")
    refused(lambda x: 10**5000, "an integer in it is beyond them")
    refused(lambda x: x ** (10**5000), "an integer in it is beyond them")
    for name in ("grad", "keywords", "out"):
        refused(eval(f"lambda x, {name}=1.0: x * {name}"), f"cannot be called {name}")
    refused(lambda x, a=1, b=1, c=1, d=1, e=1, f=1: x, "can have 5 parameters; <lambda> has 6")


def test_as_many_parameters_as_there_may_be(backend: str) -> None:
    many = fastact.activation(lambda x, a=1.0, b=2.0, c=3.0, d=4.0, e=5.0: a * x + b + c + d * x + e)
    x, column = np.ones((600, 500)), np.full((600, 1), 7.0)
    value, slope = callable_of(many, "with_derivative", backend)(x, 3.0, e=column)
    assert (value == 19.0).all()
    assert (slope == 7.0).all()


#: What the functions made from a formula call things by, or once did, and what ufuncs take.
NAMES = ["ufunc", "usual", "nested", "result", "type", "default_a", "where"]


@pytest.mark.parametrize("name", NAMES)
def test_parameters_may_have_any_other_name(name: str, backend: str) -> None:
    formula = fastact.activation(eval(f"lambda x, a=2.0, {name}=3.0: a * x + {name}"))
    x, large = np.arange(4.0), np.ones((600, 500))
    function = callable_of(formula, "value", backend)
    assert np.array_equal(function(x), 2 * x + 3)
    assert np.array_equal(function(x, 5.0, 4.0), 5 * x + 4)
    assert np.array_equal(function(x, **{"a": 5.0, name: 4.0}), 5 * x + 4)
    assert (function(large, 5.0, np.full((600, 1), 4.0)) == 9).all()


OF_CONSTANTS: list[Any] = [
    lambda x, a=1.25, b=3.0: a * b * x,
    lambda x, a=1.25: x * np.exp(a) + np.tanh(a) * np.sqrt(np.maximum(a, 0)),
    lambda x, a=1.25: np.where(a > 1, a, -a) * np.where((a > 0) & (x > 0), x, 0),
    lambda x: (x + 2.5, 1.0),
]


@pytest.mark.parametrize("function", OF_CONSTANTS)
def test_numbers_that_do_not_depend_on_x(function: Any, backend: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Kernels compute with vectors: what is made of parameters alone, which may be constants, must be one."""
    entry = fastact.activation(function)
    x = np.array([-1.0, 0.5, 2.0])
    given = list(entry.parameters.values())
    for kind in ("value", "derivative"):
        made = callable_of(entry, kind, backend)
        assert np.array_equal(made(x), made(x, *map(float, np.add(given, 0.0))))
    traced = function(x, *given)
    assert np.allclose(callable_of(entry, "value", backend)(x), traced[0] if isinstance(traced, tuple) else traced)
    assert capfd.readouterr().err == ""  # no report that something could not be compiled


def test_a_constant_is_nan_for_nan(backend: str) -> None:
    entry = fastact.activation(lambda x, a=2.5: a)
    assert np.array_equal(callable_of(entry, "value", backend)([1.0, np.nan]), [2.5, np.nan], equal_nan=True)
    assert np.array_equal(callable_of(entry, "derivative", backend)([1.0, np.nan]), [0.0, np.nan], equal_nan=True)


def test_common_subexpressions_are_one() -> None:
    x = variable("x")
    assert primitives.exp(x) + 1 is primitives.exp(x) + 1.0
    assert constant(0.0) is not constant(-0.0)


def test_source_is_a_module_to_read() -> None:
    source = fastact.ACTIVATIONS["sigmoid"].source("derivative", "float64")
    assert "def sigmoid_derivative_kernel(x):" in source
    assert "float64(" in source
    with pytest.raises(ValueError, match="dtype must be"):
        fastact.ACTIVATIONS["sigmoid"].source(dtype="int8")
    with pytest.raises(ValueError, match="kind must be"):
        fastact.ACTIVATIONS["sigmoid"].source("gradient")
