"""Formulas: tracing, the chain rule, what is refused, and activations of the user's own."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest

import fastact
from fastact import primitives
from fastact.activations import Activation
from fastact.emit import numpy_function
from fastact.formula import constant, differentiate, trace, variable
from fastact.ufunc import Definition, make_ufunc
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
    (result,) = trace(getattr(primitives, name), [])
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
    refused(lambda x: np.sinc(x), "cannot use|could not be traced")
    refused(lambda x: np.cbrt(x), "cannot use cbrt")
    refused(lambda x: x**1.5, "whole power")
    refused(lambda x: np.add.reduce(x), "plainly")
    refused(lambda x: (x, x, x), "returned 3 results")
    refused(lambda y: y, "first argument must be called x")
    refused(lambda x: x + "1", "not of str")


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
