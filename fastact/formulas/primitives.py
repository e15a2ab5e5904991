"""The functions that formulas are made of, and what each means in NumPy.

A formula's author calls ``exp(x)`` and the like. On arrays these are NumPy's functions; while a
formula is traced they become nodes of its graph. For each node there are up to three rules:

* ``DERIVATIVES`` (in :mod:`fastact.formulas.expressions`; here those of what only this package says, in
  :mod:`fastact.formulas.language` those of everybody's words): its partial derivatives, for the chain rule;
* ``NUMPY_NAMES`` or, where NumPy has no such function, ``NUMPY_FORMULAS``: the fallback;
* ``KERNELS`` in :mod:`fastact.kernels.functions`: what it is in a compiled loop.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fastact.formulas import coefficients
from fastact.formulas.expressions import DERIVATIVES, Expression, apply, constant
from fastact.formulas.operations import ARITY, FITTED
from fastact.formulas.signs import is_nonpositive, is_zero

__all__ = [
    "NORMAL_PEAK", "NUMPY_NAMES", "absolute", "arctan", "cos", "exp", "exp_error", "exp_times", "exp_times_any",
    "expm1", "expm1_error", "expm1_times", "fitted", "fma", "gauss_times", "gelu_slope", "log", "log1p", "log1p_exp",
    "log1p_near", "logistic_times", "logistic_times_any", "maximum", "minimum", "normal_tail", "product_error",
    "quick_sum_error", "quotient", "quotient_error", "sin", "sqrt", "sqrt_error", "sum_error", "tanh",
    "tanh_and_slope", "tanh_times", "where",
]  # fmt: skip


NORMAL_PEAK = 0.3989422804014327  # 1 / sqrt(2 pi)

NUMPY_NAMES = {name: f"np.{name}" for name in ARITY} | {"leading_bits": "leading_bits"}


# -- what authors of formulas call ----------------------------------------------------------------


def _function(name: str, on_arrays: Callable[..., Any]) -> Callable[..., Any]:
    def function(*operands: Any) -> Any:
        traced = any(isinstance(o, Expression) for o in operands)
        return apply(name, *operands) if traced else on_arrays(*operands)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"``{name}`` of expressions (in a formula) or of arrays."
    return function


ON_ARRAYS = [
    "exp",
    "expm1",
    "log",
    "log1p",
    "sqrt",
    "tanh",
    "sin",
    "cos",
    "arctan",
    "absolute",
    "maximum",
    "minimum",
    "where",
]
exp, expm1, log, log1p, sqrt, tanh, sin, cos, arctan, absolute, maximum, minimum, where = (
    _function(name, getattr(np, name)) for name in ON_ARRAYS
)


def fma(a: Any, b: Any, c: Any) -> Any:
    """``a * b + c``, rounded once in kernels."""
    return apply("fma", a, b, c)


def exp_times(factor: Any, x: Any, low: Any = 0.0) -> Any:
    """``factor * exp(x + low)``, rounded once where that is subnormal though exp alone would have vanished.

    ``low`` is the rounding error of x: exp amplifies it by x.
    """
    return apply("exp_times", factor, x, low)


def exp_times_any(factor: Any, x: Any, low: Any = 0.0, power: Any = 0) -> Any:
    """``factor * exp(x + low) * 2**power`` for factors of any size, which bring back from far beyond what floats hold.

    ``power`` is a whole number, or chosen among some: what was taken away from factors that could not be multiplied.
    """
    return apply("exp_times_any", factor, x, low, power)


def logistic_times(factor: Any, z: Any, low: Any = 0.0) -> Any:
    """``factor / (1 + exp(-(z + low)))``, rounded once where that is subnormal though the quotient alone would have
    vanished; for factors that are finite where z is not.
    """
    return apply("logistic_times", factor, z, low)


def logistic_times_any(factor: Any, z: Any, low: Any = 0.0, power: Any = 0) -> Any:
    """``factor * 2**power / (1 + exp(-(z + low)))``, likewise, for factors of any size; see :func:`exp_times_any`."""
    return apply("logistic_times_any", factor, z, low, power)


def exp_error(x: Any, low: Any = 0.0) -> Any:
    """What the rounding of ``exp(x + low)`` lacks."""
    return apply("exp_error", x, low)


def expm1_error(x: Any) -> Any:
    """What the rounding of ``expm1(x)`` lacks."""
    return apply("expm1_error", x)


def expm1_times(factor: Any, x: Any, low: Any = 0.0) -> Any:
    """``factor * (exp(x + low) - 1)``, also where only a tiny factor makes that finite."""
    return apply("expm1_times", factor, x, low)


def quotient(a: Any, a_low: Any, b: Any, b_low: Any) -> Any:
    """``(a + a_low) / (b + b_low)``, rounded about once; the lows are rounding errors of a and b."""
    return apply("quotient", a, a_low, b, b_low)


def quotient_error(a: Any, b: Any) -> Any:
    """What rounding takes away from ``a / b``."""
    return apply("quotient_error", a, b)


def sqrt_error(x: Any, low: Any = 0.0) -> Any:
    """What ``sqrt(x)`` lacks of ``sqrt(x + low)``."""
    return apply("sqrt_error", x, low)


def quick_sum_error(large: Any, small: Any) -> Any:
    """What rounding takes away from ``large + small`` (T. J. Dekker, 1971)."""
    return apply("quick_sum_error", large, small)


def quick_sum_error_of(large: Any, small: Any) -> Any:
    return (large - (large + small)) + small


def log1p_exp(x: Any, low: Any = 0.0, divisor: Any = 1) -> Any:
    """``log(1 + exp(x + low)) / divisor`` for x <= 0, also where the logarithm alone would have vanished."""
    return apply("log1p_exp", x, low, divisor)


def log1p_near(f: Any) -> Any:
    """``log(1 + f)`` for 0 <= f <= 0.26."""
    return apply("log1p_near", f)


def gauss_times(factor: Any, z: Any) -> Any:
    """``factor * exp(-z * z / 2)``, likewise, with z squared exactly."""
    return apply("gauss_times", factor, z)


def tanh_times(factor: Any, x: Any) -> Any:
    """``factor * tanh(x)`` for a finite factor and x >= 0; the product is part of the last rounding, if that can be."""
    return apply("tanh_times", factor, x)


def tanh_and_slope(u: Any) -> Any:
    """``tanh(u) + u * (1 - tanh(u)**2)``, the derivative of their product, for u >= 0."""
    return apply("tanh_and_slope", u)


def product_error(a: Any, b: Any) -> Any:
    """What rounding takes away from ``a * b``."""
    return apply("product_error", a, b)


def sum_error(a: Any, b: Any) -> Any:
    """What rounding takes away from ``a + b``, whichever is larger (D. E. Knuth, TAOCP 2, 4.2.2)."""
    return apply("sum_error", a, b)


def sum_error_of(a: Any, b: Any) -> Any:
    s = a + b
    part = s - a
    return (a - (s - part)) + (b - part)


def constant_error_in(kind: type[np.floating[Any]], digits: str) -> Expression:
    """What a precision's rounding of a decimal lacks."""
    from fractions import Fraction

    return constant(float(Fraction(digits) - Fraction(float(kind(digits)))))


def fitted(table: str, w: Any) -> Any:
    """The polynomial of that name in :mod:`fastact.formulas.coefficients`, which says where it holds."""
    return apply(f"fitted_{table}", w)


def normal_tail(z: Any, factor: Any = 1.0) -> Any:
    """``factor * P(z)`` with Phi(-z) = exp(-z * z / 2) * P(z), z >= 0; Phi is the standard normal distribution."""
    return apply("normal_tail", z, factor)


def gelu_slope(z: Any) -> Any:
    """S(z) with Phi(-z) - z phi(z) = exp(-z * z / 2) * S(z), for z >= 0: exact to the last bits at its root too."""
    return apply("gelu_slope", z)


# -- the same in NumPy, always in float64 -------------------------------------------------------------


def _exp_times_numpy(factor: Expression, x: Expression, low: Expression) -> Expression:
    """exp(x + 670) exp(-670) where exp(x) would be subnormal: that sum is exact, and that constant to a thousandth of
    a unit in the last place. exp alone vanishes no sooner than it should."""
    if factor is constant(1.0):
        return _and_low(exp(x), x, low)
    deep = x < -700.0
    product = factor * exp(where(deep, x + 670.0, x)) * where(deep, 1.0536518276694175e-291, 1.0)
    return _and_low(product, x, low)


def _and_low(product: Expression, x: Expression, low: Expression) -> Expression:
    """A multiple of exp(x), and what exp(low) makes of it: of infinity, nothing."""
    if is_zero(low):
        return product
    whole = product + product * low
    return whole if is_nonpositive(x) else where(absolute(product) < np.inf, whole, product)


def _exp_times_any_numpy(factor: Expression, x: Expression, low: Expression, power: Expression) -> Expression:
    """exp(x + 670) exp(-670), and the same once more: the largest factors bring back what is 1e-640. The sums are
    exact here too. Only what may be positive is asked whether it is."""
    if factor is constant(1.0) and is_zero(power):
        return exp_times(factor, x, low)
    small, large = 1.0536518276694175e-291, 9.490801171122244e290
    shift, first, last = where(x < -1340.0, 1340.0, where(x < -700.0, 670.0, 0.0)), x < -1340.0, x < -700.0
    before, after = where(first, small, 1.0), where(last, small, 1.0)
    if not is_nonpositive(x):
        shift = where(x > 1340.0, -1340.0, where(x > 700.0, -670.0, shift))
        before, after = where(x > 1340.0, large, before), where(x > 700.0, large, after)
    product = (factor * before) * (exp(x + shift) * power_of_two(power)) * after
    return _and_low(product, x, low)


def _expm1_times_numpy(factor: Expression, x: Expression, low: Expression) -> Expression:
    if factor is constant(1.0) and is_zero(low):
        return expm1(x)
    if is_nonpositive(x):
        return factor * expm1(x)
    return where(x > 1.0, exp_times_any(factor, x, low) - factor, factor * expm1(x))


def _logistic_times_numpy(factor: Expression, z: Expression, low: Expression) -> Expression:
    product, size, size_low = _over_one_plus_falling(factor, z, low)
    return where(z < 0.0, exp_times(product, size, size_low), product)


def _logistic_times_any_numpy(factor: Expression, z: Expression, low: Expression, power: Expression) -> Expression:
    product, size, size_low = _over_one_plus_falling(factor, z, low)
    rising = product if is_zero(power) else product * power_of_two(power)
    return where(z < 0.0, exp_times_any(product, size, size_low, power), rising)


def _over_one_plus_falling(factor: Expression, z: Expression, low: Expression) -> tuple[Expression, ...]:
    """``factor / (1 + exp(-abs(z)))``, and that exponent in two parts."""
    size, size_low = -absolute(z), low if is_zero(low) else where(z < 0.0, low, -low)
    return factor / (1.0 + exp_times(1.0, size, size_low)), size, size_low


def power_of_two(power: Expression, sign: float = 1.0) -> Expression:
    """``2**(sign * power)`` of a number, or of what is chosen among some."""
    if power.operation == "where":
        condition, yes, no = power.operands
        return where(condition, power_of_two(yes, sign), power_of_two(no, sign))
    return constant(2.0 ** (sign * power.operands[0]))


def _log1p_exp_numpy(x: Expression, low: Expression, divisor: Expression) -> Expression:
    e = exp_times(1.0, x, low)
    if divisor is constant(1.0):
        return log1p(e)
    return where(x < -700.0, exp_times_any(1.0 / divisor, x, low), log1p(e) / divisor)


def _product_error_numpy(a: Expression, b: Expression) -> Expression:
    """T. J. Dekker's product, Numerische Mathematik 18, 1971: halves of 26 bits multiply exactly. He found them by a
    multiplication, which is infinite for the largest x."""

    def halves(x: Expression) -> tuple[Expression, Expression]:
        high = apply("leading_bits", x)
        return high, x - high

    (a_high, a_low), (b_high, b_low) = halves(a), halves(b)
    return ((a_high * b_high - a * b) + a_high * b_low + a_low * b_high) + a_low * b_low


def _quotient_numpy(a: Expression, a_low: Expression, b: Expression, b_low: Expression) -> Expression:
    """The correction is subtracted, for it is +0 where a is -0, and -0 - 0 is -0."""
    return a / b - ((a / b) * b_low + (0.0 - a_low)) / b


def _quotient_error_numpy(a: Expression, b: Expression) -> Expression:
    """The remainder is as many digits smaller than a; scaled, it is not subnormal."""
    q, scale = a / b, where(absolute(b) < 1.0, 2.0**200, 1.0)
    a, b = a * scale, b * scale
    return ((a - q * b) - product_error(q, b)) / b


def _sqrt_error_numpy(x: Expression, low: Expression) -> Expression:
    root = sqrt(x)
    return ((x - root * root) - product_error(root, root) + low) * (0.5 / root)


def _tanh_and_slope_numpy(u: Expression) -> Expression:
    z = where(u > 400.0, 400.0, u)  # where 1 - tanh(u)**2 is zero
    e = exp(-2.0 * z)
    return tanh(u) + 4.0 * z * e / ((1.0 + e) * (1.0 + e))


def _gauss_times_numpy(factor: Expression, z: Expression) -> Expression:
    return exp_times(factor, -0.5 * (z * z), -0.5 * product_error(z, z))


def _polynomial_numpy(x: Expression, table: Sequence[float]) -> Expression:
    result: Any = table[0]
    for c in table[1:]:
        result = result * x + c
    return result


def _tail_polynomial_numpy(z: Expression, table: Sequence[float]) -> tuple[Expression, Expression]:
    """In (z - c) / (z + a), and what the roundings near the end of the sum lack (S. Graillat, P. Langlois and
    N. Louvet, 2005): there its terms are several times the result, and alternate in sign."""
    a, c = coefficients.TAIL_VARIABLE["float64"]
    rest = (a + c) / (z + a)
    v, v_low = 1.0 - rest, quick_sum_error(1.0, -rest)
    result, low = _polynomial_numpy(v, table[:-2]), constant(0.0)
    for coefficient in table[-2:]:
        product = result * v
        low = low * v + (result * v_low + product_error(result, v) + sum_error(product, coefficient))
        result = product + coefficient
    return result, low


def _normal_tail_numpy(z: Expression, factor: Expression) -> Expression:
    a, _ = coefficients.TAIL_VARIABLE["float64"]
    p, p_low = _tail_polynomial_numpy(z, coefficients.NORMAL_TAIL["float64"])
    return quotient(factor * p, product_error(factor, p) + factor * p_low, z + a, sum_error(a, z))


def _gelu_slope_numpy(z: Expression) -> Expression:
    high, low = coefficients.GELU_ROOT["float64"]
    p, p_low = _tail_polynomial_numpy(z, coefficients.GELU_SLOPE["float64"])
    distance, distance_low = high - z, sum_error(high, -z) + low
    return distance * p + (distance * p_low + distance_low * p)


NUMPY_FORMULAS: dict[str, Callable[..., Expression]] = {
    f"fitted_{table}": lambda w, table=table: _polynomial_numpy(w, getattr(coefficients, table)["float64"])
    for table in FITTED
}
NUMPY_FORMULAS |= {
    "exp_error": lambda x, low: constant(0.0),  # NumPy's own is unknown
    "expm1_error": lambda x: constant(0.0),
    "expm1_times": _expm1_times_numpy,
    "quotient": _quotient_numpy,
    "quotient_error": _quotient_error_numpy,
    "fma": lambda a, b, c: a * b + c,
    "log1p_exp": _log1p_exp_numpy,
    "log1p_near": lambda f: log1p(f),
    "constant_error": lambda digits: constant_error_in(np.float64, digits),
    "exp_times": _exp_times_numpy,
    "exp_times_any": _exp_times_any_numpy,
    "gauss_times": _gauss_times_numpy,
    "logistic_times": _logistic_times_numpy,
    "logistic_times_any": _logistic_times_any_numpy,
    "gelu_slope": _gelu_slope_numpy,
    "normal_tail": _normal_tail_numpy,
    "product_error": _product_error_numpy,
    "quick_sum_error": quick_sum_error_of,
    "sqrt_error": _sqrt_error_numpy,
    "sum_error": sum_error_of,
    "tanh_and_slope": _tanh_and_slope_numpy,
    "tanh_times": lambda factor, x: factor * tanh(x),
}

# -- derivatives, for the chain rule --------------------------------------------------------------


def _tanhshrink_fit_slope(w: Expression, t: Expression) -> Expression:
    g = t / sqrt(w)
    return ((1.0 - t * t - g) / (2.0 * w) + 2.0 * (1.0 - g) / w - 1.0 / 3.0) / (w * w)


def _log1p_exp_slopes(a: Expression, divisor: Expression, y: Expression) -> tuple[Expression, ...]:
    slope = exp(a) / (1.0 + exp(a)) / divisor
    return slope, slope, -y / divisor


DERIVATIVES |= {
    "exp_times": lambda m, a, low, y: (exp_times(1.0, a, low), y, y),
    "exp_times_any": lambda m, a, low, power, y: (exp_times_any(1.0, a, low, power), y, y, 0.0),
    "logistic_times": lambda m, a, low, y: (logistic_times(1.0, a, low), *[logistic_times(y, -a, -low)] * 2),
    "logistic_times_any": lambda m, a, low, power, y: (
        logistic_times_any(1.0, a, low, power),
        *[logistic_times(y, -a, -low)] * 2,
        0.0,
    ),
    "expm1_times": lambda m, a, low, y: (expm1(a), exp_times_any(m, a, low), exp_times_any(m, a, low)),
    "log1p_exp": lambda a, low, divisor, y: _log1p_exp_slopes(a, divisor, y),
    "log1p_near": lambda f, y: (1.0 / (1.0 + f),),
    "gauss_times": lambda m, z, y: (gauss_times(1.0, z), -z * y),
    "normal_tail": lambda z, factor, y: (z * y - factor * NORMAL_PEAK, y / factor),
    "gelu_slope": lambda z, y: (z * y + (z * z - 2.0) * NORMAL_PEAK,),
    "product_error": lambda a, b, y: (0.0, 0.0),
    "sum_error": lambda a, b, y: (0.0, 0.0),
    "quick_sum_error": lambda a, b, y: (0.0, 0.0),
    "exp_error": lambda a, low, y: (0.0, 0.0),
    "expm1_error": lambda a, y: (0.0,),
    "quotient_error": lambda a, b, y: (0.0, 0.0),
    "sqrt_error": lambda a, low, y: (0.0, 0.5 / sqrt(a)),
    "quotient": lambda a, a_low, b, b_low, y: (1.0 / b, 1.0 / b, -y / b, -y / b),
    "fma": lambda a, b, c, y: (b, a, 1.0),
    "fitted_COSHM1": lambda w, y: ((0.5 * (exp(sqrt(w)) - exp(-sqrt(w))) / (2.0 * sqrt(w)) - y) / w,),
    "tanh_times": lambda factor, x, y: (tanh(x), factor * (1.0 - tanh(x) * tanh(x))),
    "tanh_and_slope": lambda u, y: (2.0 * (1.0 - tanh(u) * tanh(u)) * (1.0 - tanh_times(u, u)),),
    "fitted_TANHSHRINK": lambda w, y: (_tanhshrink_fit_slope(w, tanh(sqrt(w))),),
}
