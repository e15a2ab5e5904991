"""Numbers in two parts: every operation against mpmath to twice the digits of a number, and what is left out."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import cache
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastact
from fastact.catalogue import ACTIVATIONS, SPECIAL
from fastact.formulas.expressions import Expression, constant, variable
from fastact.formulas.fallback import numpy_function
from fastact.formulas.nodes import topological
from fastact.formulas.precise import parts, precise, quick_sum, rounded
from fastact.formulas.primitives import exp, exp_times, expm1, fma, log1p_exp, maximum, minimum, sqrt, tanh, where
from fastact.formulas.rounding import as_exponent, carried
from fastact.formulas.signs import bounds
from fastact.ufuncs.ufunc import Definition, make_ufunc
from tests.conftest import BACKENDS, callable_of

Operation = Callable[[Any, Any], Any]

X, Y = variable("x"), variable("y")

#: In NumPy all is computed in float64.
KINDS = [(b, d) for b in BACKENDS for d in (np.float32, np.float64) if (b, d) != ("fallback", np.float32)]

TENTH = "0.1000000000000000000000000000000000000001"


def quickly(a: Any, b: Any) -> Any:
    first = abs(a) > abs(b)
    return quick_sum(where(first, a, b), where(first, b, a))


#: What formulas and mpmath make of two numbers in two parts.
OPERATIONS: dict[str, tuple[Operation, Operation]] = {
    "sum": (lambda a, b: a + b, lambda a, b: a + b),
    "difference": (lambda a, b: a - b, lambda a, b: a - b),
    "quick sum": (quickly, lambda a, b: a + b),
    "product": (lambda a, b: a * b, lambda a, b: a * b),
    "quotient": (lambda a, b: a / b, lambda a, b: a / b),
    "square": (lambda a, b: a**2, lambda a, b: a * a),
    "root": (lambda a, b: sqrt(abs(a)), lambda a, b: mp.sqrt(abs(a))),
    "negative": (lambda a, b: -a, lambda a, b: -a),
    "size": (lambda a, b: abs(a), lambda a, b: abs(a)),
    "choice": (lambda a, b: where(a > 0, b, -a), lambda a, b: b if a > 0 else -a),
    "powers of two": (lambda a, b: 4 * a / 8, lambda a, b: a / 2),
    "a decimal": (lambda a, b: a * precise(TENTH), lambda a, b: a * mp.mpf(TENTH)),
    "several": (lambda a, b: a * b / (a * a + b * b), lambda a, b: a * b / (a * a + b * b)),
}


@cache
def computed(name: str, backend: str) -> tuple[Any, Any]:
    """What gives high and low part, and what gives the two rounded."""
    made = parts(OPERATIONS[name][0](precise(X, variable("x_low")), precise(Y, variable("y_low"))))
    return ufunc((made.high, made.low), backend), ufunc((made.nearest,), backend)


def ufunc(results: tuple[Expression, ...], backend: str, inputs: tuple[str, ...] = ("x", "x_low", "y", "y_low")) -> Any:
    return make_ufunc(Definition("two_parts", list(inputs), results, ""), "numpy" if backend == "fallback" else "numba")


#: A number of 1 to 2, a sign, an exponent, and a low part in halves of a unit in the last place.
NUMBER = st.tuples(st.floats(1, 2), st.sampled_from([-1, 1]), st.floats(-1, 1), st.floats(-0.98, 0.98))


def in_two_parts(number: tuple[float, ...], dtype: Any) -> tuple[Any, Any]:
    """So that neither a product of four nor what that lacks overflows or is subnormal."""
    significand, sign, exponent, low = number
    high = dtype(sign * significand * 2.0 ** round(exponent * (12 if dtype is np.float32 else 180)))
    return high, dtype(low * float(np.spacing(abs(high))) / 2)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind[0]}-{kind[1].__name__}")
@pytest.mark.parametrize("name", list(OPERATIONS))
@given(x=NUMBER, y=NUMBER)
def test_operations_keep_twice_the_digits(name: str, kind: tuple[str, Any], x: Any, y: Any) -> None:
    backend, dtype = kind
    both, nearest = computed(name, backend)
    operands = (*in_two_parts(x, dtype), *in_two_parts(y, dtype))
    with mp.workdps(200):
        a, b = (mp.fsum(map(mp.mpf, map(float, pair))) for pair in (operands[:2], operands[2:]))
        truth = OPERATIONS[name][1](a, b)
        scale = abs(a) + abs(b) if name in ("sum", "difference", "quick sum") else abs(truth)
        high, low = (mp.mpf(float(part)) for part in both(*operands))
        digits = np.finfo(dtype).nmant + 1
        # of what a quotient lacks kernels know as many digits as of a reciprocal before Newton's last step
        kept = digits + 13 if name in ("quotient", "several") and backend == "compiled" else 2 * digits - 6
        assert abs(high + low - truth) <= scale * mp.mpf(2) ** -kept
        assert abs(low) <= scale * mp.mpf(2) ** (3 - digits)
        # without a fused multiply-add a product is rounded twice
        once = (0.6 if backend == "compiled" else 1.02) * abs(truth) + 32 * scale * mp.mpf(2) ** -digits
        assert abs(mp.mpf(float(nearest(*operands))) - truth) <= once * mp.mpf(2) ** (1 - digits)


FUNCTIONS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "exp": (exp, mp.exp),
    "expm1": (expm1, mp.expm1),
    "exp_times": (lambda a: exp_times(precise("3"), a), lambda a: 3 * mp.exp(a)),
    "log1p_exp": (lambda a: log1p_exp(-abs(a)), lambda a: mp.log1p(mp.exp(-abs(a)))),
}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind[0]}-{kind[1].__name__}")
@pytest.mark.parametrize("name", list(FUNCTIONS))
def test_functions_of_two_parts(name: str, kind: tuple[str, Any]) -> None:
    """exp multiplies a low part by some eighty here: without it, they would be tens of units in the last place off."""
    backend, dtype = kind
    rng = np.random.default_rng(5)
    x = rng.uniform(-80, 80, 200).astype(dtype)
    low = (rng.uniform(-0.5, 0.5, 200) * np.spacing(abs(x))).astype(dtype)
    made = parts(FUNCTIONS[name][0](precise(X, variable("x_low"))))
    high, rest = ufunc((made.high, made.low), backend, ("x", "x_low"))(x, low)
    # NumPy's own error is unknown
    allowed = {"exp": 0.1, "expm1": 0.5}.get(name, 1.5) if backend == "compiled" else 1.5
    with mp.workdps(60):
        for i in range(200):
            truth = FUNCTIONS[name][1](mp.mpf(float(x[i])) + mp.mpf(float(low[i])))
            error = abs(mp.mpf(float(high[i])) + mp.mpf(float(rest[i])) - truth) / abs(truth)
            assert error <= allowed * np.finfo(dtype).eps, x[i]


# -- what adds nothing is left out ------------------------------------------------------------------

ZERO = constant(0.0)


def test_what_adds_nothing_is_left_out() -> None:
    p = precise(X)
    assert rounded(p + 1) is X + 1
    assert rounded(p * Y) is X * Y
    assert rounded(p / Y) is X / Y
    for exact in (p, -p, abs(p), 2 * p, p / 4, where(X > 0, p, 1), precise("0.375")):
        assert parts(exact).low is ZERO
    assert parts(precise(TENTH)).low is not ZERO
    assert rounded((p + 1) * Y) is fma(X + 1, Y, parts(p + 1).low * Y)
    assert rounded(X) is X


def test_the_quick_sum_is_taken_where_it_is_right() -> None:
    u = abs(X)
    below, e = X < 0, exp(-u)
    quick = [precise(1) + e, e + precise(1), 2 + expm1(precise(-u)), where(below, 2, 1) + precise(e) * (2 + e)]
    for number in (*quick, 3 - precise(minimum(u, 1e5)), precise("0.7") + 0.5 * e):
        assert "quick_sum_error" in operations(parts(number).low)
        assert "sum_error" not in operations(parts(number).low)
    for number in (precise(1) + u, precise("1.6") + minimum(u, 20), precise(X) + 1, precise(0.5) + 3 * e):
        assert "quick_sum_error" not in operations(parts(number).low)


def operations(expression: Expression) -> set[str]:
    return {node.operation for node in topological(expression)}


@given(st.integers(-(2**18), 2**18), st.floats(-(2**19), 2**19, width=32))
def test_a_whole_number_may_stand_first_in_a_quick_sum(whole: int, small: float) -> None:
    a, b = np.float32(whole), np.float32(small)
    error = (a - (a + b)) + b
    assert Fraction(float(error)) == Fraction(float(a)) + Fraction(float(b)) - Fraction(float(a + b))


SHAPES: list[Callable[[Any], Any]] = [
    lambda x: exp(-abs(x)),
    lambda x: expm1(-2 * abs(x)),
    lambda x: exp_times(-3.0, -abs(x), 0.0),
    lambda x: minimum(abs(x), 5.0) * -2.0 + 1.0,
    lambda x: maximum(minimum(x, 3.0), -4.0) * exp(-abs(x)),
    lambda x: where(x > 0, exp(-abs(x)), -2.0),
    lambda x: abs(maximum(minimum(x, 3.0), -4.0)),
    lambda x: exp(minimum(x, 2.0)) * minimum(abs(x), 2.0),
]


@pytest.mark.parametrize("shape", range(len(SHAPES)))
def test_bounds_hold_and_are_found(shape: int) -> None:
    expression = SHAPES[shape](X)
    low, high = bounds(expression)
    assert np.isfinite([low, high]).all()
    values = numpy_function("values", ["x"], (expression,))(np.linspace(-50, 50, 4001))
    assert low <= values.min()
    assert values.max() <= high
    assert bounds(tanh(X)) == bounds(constant(np.inf) - X) == (-np.inf, np.inf)


# -- in formulas ------------------------------------------------------------------------------------


def test_no_graph_holds_them() -> None:
    for entry in (*ACTIVATIONS.values(), *SPECIAL.values()):
        assert "precise" not in operations(entry.expressions[0]) | operations(entry.expressions[1])
    assert tanh(precise(X) + 1) is tanh(X + 1)
    assert (precise(X) + 1 > Y) is (X + 1 > Y)


def test_own_activations_may_be_precise(backend: str) -> None:
    entry = fastact.activation(lambda x, bend=1.7: x / (1 + np.exp(-precise(bend) * x)))
    x, bend = np.array([-30.0, -3.3, 0.1, 7.9]), 1.7
    with mp.workdps(30):
        truth = [mp.mpf(v) / (1 + mp.exp(-mp.mpf(bend) * mp.mpf(v))) for v in x]
        slope = [mp.diff(lambda t: t / (1 + mp.exp(-mp.mpf(bend) * t)), mp.mpf(v)) for v in x]
    assert np.allclose(callable_of(entry, "value", backend)(x), np.array(truth, float), rtol=5e-16)
    assert np.allclose(callable_of(entry, "derivative", backend)(x), np.array(slope, float), rtol=1e-13)


def test_an_exponent_that_is_infinite_lacks_nothing() -> None:
    z = as_exponent(precise(X) * Y)
    function = numpy_function("low", ["x", "y"], (exp_times(1.0, z),))
    with np.errstate(all="ignore"):
        assert function(np.array([-np.inf, np.inf, -1e308]), np.array([3.0, 3.0, 1e10])).tolist() == [0, np.inf, 0]


def test_what_was_written_plainly_is_carried_too() -> None:
    plain = (X + 0.1) * Y / 3.0
    again = (precise(X) + 0.1) * Y / 3.0
    assert parts(carried(plain)) == parts(as_exponent(again))
    assert parts(carried(tanh(X))).low is ZERO
