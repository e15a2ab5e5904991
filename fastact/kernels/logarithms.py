"""log and its relatives in kernels: the exponent, and a polynomial of the significand."""

from __future__ import annotations

import numpy as np

from fastact.formulas import coefficients
from fastact.formulas.expressions import Expression, constant
from fastact.formulas.primitives import absolute, fma, where
from fastact.kernels.exponentials import exp_error_kernel, exp_times_any_kernel, exp_times_kernel
from fastact.kernels.instructions import (
    bits,
    float_from_bits,
    integer,
    integer_sub,
    ldexp,
    polynomial,
    shift_left,
    shift_right,
    to_float,
)
from fastact.kernels.precision import WIDE, Precision

__all__ = ["fraction_and_exponent", "log1p_exp_kernel", "log1p_kernel", "log_kernel"]


def _split_exponent(x: Expression, precision: Precision) -> Expression:
    """The integer-typed exponent k for which x / 2**k lies between 3/4 and 3/2."""
    fraction = integer(precision.bits_of(0.75), precision)
    return shift_right(integer_sub(bits(x), fraction), integer(precision.digits, precision))


def _log_of_sum(f: Expression, k: Expression, precision: Precision, low: Expression | None = None) -> Expression:
    """log(2**k * (1 + f)) + low for -1/4 <= f <= 1/2: near f where that is small and k is 0."""
    if precision.table in coefficients.LOG1P:
        correction = polynomial(f, coefficients.LOG1P["float32"])
        log = fma(correction, f * f, f) if low is None else f + fma(correction, f * f, low)
    else:
        s = f / (2.0 + f)
        w = s * s
        # f - s * f is 2 s, but f is exact: only the small correction is rounded.
        correction = s * (f - 2.0 * w * polynomial(w, coefficients.ATANH["float64"]))
        log = f - (correction if low is None else correction - low)
    if not precision.careful:
        return fma(k, precision.log2_high + precision.log2_low, log)
    return fma(k, precision.log2_high, fma(k, precision.log2_low, log))


def log1p_kernel(precision: Precision, x: Expression) -> Expression:
    """Split 1 + x into 2**k * (1 + f) with f from -1/4 to 1/2, f exact however small x is.

    The exponent comes from the bits of 1 + x, f from a fused multiply-add of x itself (W. Kahan's way of
    not losing x, made branch-free).
    """
    k = to_float(_split_exponent(x + 1.0, precision))
    scale = ldexp(constant(1.0), -k)
    result = _log_of_sum(fma(scale, x, scale - 1.0), k, precision)
    result = where(x > -1.0, result, where(x == -1.0, -np.inf, np.nan))
    return where((absolute(x) < 2.0**-precision.digits) | (x == np.inf) | (x != x), x, result)


def log1p_exp_kernel(precision: Precision, x: Expression, low: Expression, divisor: Expression) -> Expression:
    """log1p of e = exp(x) <= 1: k is 0 or 1, and nothing can go wrong. A divisor brings back what is e alone."""
    e = exp_times_kernel(precision, constant(1.0), x, low)
    large = e > 0.5
    f, k = where(large, fma(e, 0.5, -0.5), e), where(large, 1.0, 0.0)
    log = _log_of_sum(f, k, precision)
    if divisor is constant(1.0):
        return log
    if precision.careful:  # a division rounds once more, so the logarithm must lose less; but 1 changes no bit
        e_low = exp_error_kernel(precision, x, low)
        more = _log_of_sum(f, k, precision, where(large, 0.5 * e_low, fma(-e, e_low, e_low)))
        log = where(divisor == 1.0, log, more)
    # where e may be subnormal it is the logarithm, and raised until it is divided
    deep, power = x < -0.63 * precision.bias, precision.bias - 9.0
    raised = exp_times_any_kernel(precision, constant(1.0), x, low, constant(power))
    result = where(deep, raised, log) / divisor
    return where(deep, result * 2.0**-power, result)


def fraction_and_exponent(precision: Precision, x: Expression) -> tuple[Expression, Expression]:
    """f and k with x = 2**k * (1 + f) and -1/4 <= f < 1/2. Subnormal x is scaled up first, unless it cannot occur."""
    tiny = x < 2.0 ** (2 - precision.bias)
    scaled = x if precision is WIDE else where(tiny, x * 2.0 ** (precision.digits + 2), x)
    exponent = _split_exponent(scaled, precision)
    m = float_from_bits(integer_sub(bits(scaled), shift_left(exponent, integer(precision.digits, precision))))
    k = to_float(exponent)
    return m - 1.0, k if precision is WIDE else k - where(tiny, float(precision.digits + 2), 0.0)


def log_kernel(precision: Precision, x: Expression) -> Expression:
    """log(x) from the exponent and the significand."""
    result = _log_of_sum(*fraction_and_exponent(precision, x), precision)
    result = where(x > 0.0, result, where(x == 0.0, -np.inf, np.nan))
    return where((x == np.inf) | (x != x), x, result)
