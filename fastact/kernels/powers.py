"""Powers and logarithms to other bases in kernels: what is made of a logarithm that has twice the digits.

``a**b = exp(b * log(a))`` multiplies an error of the logarithm by up to 700, so that is computed in two parts: the
series of atanh with its first two terms exact (P. T. P. Tang, ACM TOMS 16, 1990, has the plan).
"""

from __future__ import annotations

from decimal import Context, Decimal

import numpy as np

from fastact.formulas import coefficients
from fastact.formulas.expressions import Expression, constant
from fastact.formulas.primitives import absolute, constant_error_in, fma, quick_sum_error_of, where
from fastact.kernels.exponentials import exp_times_kernel
from fastact.kernels.instructions import copysign, floor, horner
from fastact.kernels.logarithms import fraction_and_exponent
from fastact.kernels.precision import Precision

__all__ = ["cbrt_kernel", "exp2_kernel", "log2_kernel", "log10_kernel", "power_kernel"]

LOG_2, THIRD, TWO_THIRDS = (
    "0.69314718055994530941723212145817657",
    "0.3333333333333333333333333",
    "0.666666666666666666666",
)
LOG2_E, LOG10_E = "1.4426950408889634073599246810018921", "0.43429448190325182765112891891660508"

DIGITS = Context(prec=40)

#: What exp makes 0 or infinite for certain: beyond, errors no longer matter, and may be NaN.
EXTREME = 1500.0

Parts = tuple[Expression, Expression]


def _two_parts(precision: Precision, digits: str) -> Parts:
    return constant(float(precision.type(float(digits)))), constant_error_in(precision.type, digits)


def _times(a: Expression, a_low: Expression, b: Expression, b_low: Expression) -> Parts:
    """The product of two numbers in two parts each, but for the smallest of its four terms."""
    high = a * b
    return high, fma(a, b, -high) + fma(a, b_low, a_low * b)


def log_parts(precision: Precision, x: Expression) -> Parts:
    """log(x) for x > 0, and what its rounding lacks; not of infinity."""
    if x.operation == "constant":
        return _two_parts(precision, str(DIGITS.ln(Decimal(x.operands[0]))))
    f, k = fraction_and_exponent(precision, x)
    # s = f / (2 + f), whose denominator may be rounded too
    denominator = 2.0 + f
    s = f / denominator
    s_low = (fma(-s, denominator, f) - s * (f - (denominator - 2.0))) / denominator
    # atanh(s) = s + s**3 / 3 + s**5 Q(s**2), twice
    w = s * s
    w_low = fma(s, s, -w) + 2.0 * s * s_low
    third, third_low = _two_parts(precision, THIRD)
    rest = w * horner(w, coefficients.ATANH_REST[precision.table])
    p = third + rest
    c, c_low = _times(w, w_low, p, (third - p) + rest + third_low)
    tail, tail_low = _times(s, s_low, c, c_low)
    high = s + tail
    high, low = 2.0 * high, 2.0 * (quick_sum_error_of(s, tail) + (s_low + tail_low))
    of_k = k * precision.log2_high
    total = of_k + high
    low = (quick_sum_error_of(of_k, high) + low) + k * precision.log2_low
    final = total + low
    return final, quick_sum_error_of(total, low)


def _scaled_log(precision: Precision, x: Expression, digits: str) -> Parts:
    return _times(*log_parts(precision, x), *_two_parts(precision, digits))


def _log_to_base(precision: Precision, x: Expression, digits: str) -> Expression:
    high, low = _scaled_log(precision, x, digits)
    result = where(x > 0.0, high + low, where(x == 0.0, -float("inf"), float("nan")))
    return where((x == float("inf")) | (x != x), x, result)


def log2_kernel(precision: Precision, x: Expression) -> Expression:
    return _log_to_base(precision, x, LOG2_E)


def log10_kernel(precision: Precision, x: Expression) -> Expression:
    return _log_to_base(precision, x, LOG10_E)


def exp2_kernel(precision: Precision, x: Expression) -> Expression:
    high, low = _times(x, constant(0.0), *_two_parts(precision, LOG_2))
    return _exp(precision, high, low)


def _exp(precision: Precision, high: Expression, low: Expression) -> Expression:
    return exp_times_kernel(precision, constant(1.0), high, where(absolute(high) < EXTREME, low, 0.0))


def cbrt_kernel(precision: Precision, x: Expression) -> Expression:
    size = absolute(x)
    root = copysign(_exp(precision, *_scaled_log(precision, size, THIRD)), x)
    return where((x == 0.0) | (size == float("inf")) | (x != x), x, root)


def power_kernel(precision: Precision, x: Expression, y: Expression) -> Expression:
    """As C has it: 1 is 1 to any power, and anything is to the power 0; negative numbers have whole powers alone."""
    size = absolute(x)
    log, log_low = log_parts(precision, size)
    log = where(size == 0.0, -float("inf"), where((size == float("inf")) | (x != x), size, log))
    high = y * log
    power = _exp(precision, high, fma(y, log, -high) + y * log_low)
    whole, odd = _whole(y), _odd(precision, y)
    defined = whole | (size == 0.0) | (size == float("inf"))
    negative = where(odd, copysign(power, x), where(defined, power, float("nan")))
    power = where((x > 0.0) | (x != x), power, negative)
    minus_one = (x == -1.0) & (absolute(y) == float("inf"))
    return where((x == 1.0) | (y == 0.0) | minus_one, 1.0, power)


def _whole(y: Expression) -> Expression:
    if y.operation == "constant":
        return constant(y.operands[0] == np.floor(y.operands[0]))
    return floor(y) == y


def _odd(precision: Precision, y: Expression) -> Expression:
    if y.operation == "constant":
        return constant(y.operands[0] % 2 == 1)
    half = 0.5 * y
    return _whole(y) & (floor(half) != half) & (absolute(y) < 2.0 ** (precision.digits + 1))
