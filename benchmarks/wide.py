"""The catalogue's formulas in NumPy's longdouble: a reference for float64 that is fast enough for millions of points.

The graph of a formula says all that a result depends on, rounding errors included. Here its functions are those of
longdouble, which on x86 has 64 bits of precision, its error terms are computed as such, and the fitted polynomials are
fitted again, to 25 digits. tests/catalogue/test_accuracy.py holds it against mpmath.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import cache
from typing import Any

import mpmath as mp
import numpy as np

from benchmarks import coefficients as fits
from fastact.catalogue import Activation
from fastact.formulas.expressions import Expression, topological
from fastact.formulas.primitives import FITTED

__all__ = ["available", "exact_enough"]

Wide = np.longdouble


def available() -> bool:
    """Whether longdouble is wider than float64 here."""
    return np.finfo(Wide).nmant >= 63


def wide(value: Any) -> Any:
    """A number of mpmath's, or a fraction, in two float64, whose sum longdouble holds."""
    with mp.workdps(60):
        number = mp.mpf(value.numerator) / value.denominator if isinstance(value, Fraction) else mp.mpf(value)
        high = float(number)
        return Wide(high) + Wide(float(number - high))


@cache
def table(name: str) -> list[Any]:
    """Coefficients of a polynomial, highest power first, to 25 digits."""
    with mp.workdps(60):
        fit = {
            "COSHM1": lambda: fits.interpolate(fits.coshm1_over_square, mp.mpf(0), mp.mpf("0.4901"), 10),
            "TANHSHRINK": lambda: fits.interpolate(fits.tanhshrink_remainder, mp.mpf(0), mp.mpf(1), 24),
            "NORMAL_TAIL": lambda: fits.FLOAT64.fit(fits.scaled_normal_tail(fits.FLOAT64.a), 32),
            "GELU_SLOPE": lambda: fits.FLOAT64.fit(fits.gelu_slope(), 32),
        }[name]()
        return [wide(c) for c in fit]


def polynomial(x: Any, name: str) -> Any:
    result = table(name)[0]
    for c in table(name)[1:]:
        result = result * x + c
    return result


def tail_variable(z: Any) -> Any:
    return (z - fits.FLOAT64.c) / (z + fits.FLOAT64.a)


def product_error(a: Any, b: Any) -> Any:
    """Dekker's, with halves of 32 bits."""

    def halves(x: Any) -> tuple[Any, Any]:
        shifted = x * Wide(2**32 + 1)
        high = shifted - (shifted - x)
        return high, x - high

    (a_high, a_low), (b_high, b_low) = halves(a), halves(b)
    return ((a_high * b_high - a * b) + a_high * b_low + a_low * b_high) + a_low * b_low


def sum_error(a: Any, b: Any) -> Any:
    s = a + b
    part = s - a
    return (a - (s - part)) + (b - part)


def sqrt_error(x: Any, low: Any) -> Any:
    root = np.sqrt(x)
    return ((x - root * root) - product_error(root, root) + low) / (2 * root)


def exp_times(factor: Any, x: Any, low: Any) -> Any:
    product = factor * np.exp(x)
    return product + product * low


def logistic_times(factor: Any, z: Any, low: Any) -> Any:
    e = exp_times(Wide(1), -abs(z), np.where(z < 0, low, -low))
    return np.where(z < 0, exp_times(factor / (1 + e), -abs(z), low), factor / (1 + e))


def tanh_and_slope(u: Any) -> Any:
    z = np.minimum(u, 1000)
    e = np.exp(-2 * z)
    return np.tanh(z) + 4 * z * e / (1 + e) ** 2


def gelu_slope(z: Any) -> Any:
    with mp.workdps(60):
        root = fits.gelu_root()
        high = float(root)
        low = float(root - high)
    return ((Wide(high) - z) + Wide(low)) * polynomial(tail_variable(z), "GELU_SLOPE")


OPERATIONS: dict[str, Callable[..., Any]] = {
    "constant_error": lambda digits: wide(Fraction(digits) - Fraction(float(digits))),
    "exp_error": lambda x, low: Wide(0),
    "expm1_error": lambda x: Wide(0),
    "exp_times": exp_times,
    "exp_times_any": lambda factor, x, low, power: exp_times(factor, x, low) * Wide(2) ** power,
    "expm1_times": lambda factor, x, low: factor * (np.expm1(x) + (1 + np.expm1(x)) * low),
    "fma": lambda a, b, c: a * b + c,
    "gauss_times": lambda f, z: exp_times(f, -z * z / 2, -product_error(z, z) / 2),
    "gelu_slope": gelu_slope,
    "log1p_exp": lambda x, low, divisor: np.log1p(exp_times(Wide(1), x, low)) / divisor,
    "log1p_near": np.log1p,
    "logistic_times": logistic_times,
    "logistic_times_any": lambda factor, z, low, power: logistic_times(factor, z, low) * Wide(2) ** power,
    "normal_tail": lambda z, f: f * polynomial(tail_variable(z), "NORMAL_TAIL") / (z + fits.FLOAT64.a),
    "product_error": product_error,
    "quick_sum_error": sum_error,
    "quotient": lambda a, a_low, b, b_low: (a + a_low) / (b + b_low),
    "quotient_error": lambda a, b: ((a - (a / b) * b) - product_error(a / b, b)) / b,
    "sqrt_error": sqrt_error,
    "sum_error": sum_error,
    "tanh_and_slope": tanh_and_slope,
    "tanh_times": lambda factor, x: factor * np.tanh(x),
} | {f"fitted_{name}": lambda w, name=name: polynomial(w, name) for name in FITTED}


def exact_enough(entry: Activation, kind: str, x: np.ndarray, **parameters: float) -> np.ndarray:
    """Value or derivative at float64 points, in longdouble."""
    (result,) = entry.definition(kind).results
    given = {"x": x.astype(Wide)} | {name: Wide(value) for name, value in parameters.items()}
    known: dict[Expression, Any] = {}
    with np.errstate(all="ignore"):
        for node in topological(result):
            operands = [known[o] if isinstance(o, Expression) else o for o in node.operands]
            if node.operation == "variable":
                known[node] = given[operands[0]]
            elif node.operation == "constant":
                known[node] = Wide(operands[0])
            else:
                known[node] = (OPERATIONS.get(node.operation) or getattr(np, node.operation))(*operands)
    return np.broadcast_to(np.asarray(known[result], Wide), x.shape)
