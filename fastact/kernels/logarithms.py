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
    horner,
    integer,
    integer_sub,
    ldexp,
    polynomial,
    shift_left,
    shift_right,
    to_float,
)
from fastact.kernels.precision import WIDE, Precision
from fastact.kernels.quotients import reciprocal_kernel

__all__ = ["fraction_and_exponent", "log1p_exp_kernel", "log1p_kernel", "log1p_near_kernel", "log_kernel"]


def _split_exponent(x: Expression, precision: Precision) -> Expression:
    """The integer-typed exponent k for which x / 2**k lies between 3/4 and 3/2."""
    fraction = integer(precision.bits_of(0.75), precision)
    return shift_right(integer_sub(bits(x), fraction), integer(precision.digits, precision))


def _log_of_sum(f: Expression, k: Expression, precision: Precision) -> Expression:
    """log(2**k * (1 + f)) for -1/4 <= f <= 1/2: near f where that is small and k is 0."""
    if precision.table in coefficients.LOG1P:
        log = fma(polynomial(f, coefficients.LOG1P["float32"]), f * f, f)
    else:
        s = f / (2.0 + f)
        w = s * s
        # f - s * f is 2 s, but f is exact: only the small correction is rounded.
        log = f - s * (f - 2.0 * w * polynomial(w, coefficients.ATANH["float64"]))
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
    """log1p of e = exp(x) <= 1: nothing can go wrong. A divisor brings back what is e alone."""
    e = exp_times_kernel(precision, constant(1.0), x, low)
    if divisor is constant(1.0):
        s, rest = _twice_atanh(precision, e)
        return fma(-s, rest, e)
    log = _log1p_to_divide(precision, e, exp_error_kernel(precision, x, low), divisor)
    # where e may be subnormal it is the logarithm, and raised until it is divided
    deep, power = x < -0.63 * precision.bias, precision.bias - 9.0
    raised = exp_times_any_kernel(precision, constant(1.0), x, low, constant(power))
    result = where(deep, raised, log) / divisor
    return where(deep, result * 2.0**-power, result)


def _log1p_to_divide(precision: Precision, e: Expression, e_low: Expression, divisor: Expression) -> Expression:
    """A division rounds once more, so the logarithm must lose less; but 1 changes no bit."""
    if not precision.careful:
        s, rest = _twice_atanh(precision, e)
        return fma(-s, rest, e)
    given = divisor != 1.0
    large = (e > 0.5) & given
    f, k = where(large, fma(e, 0.5, -0.5), e), where(large, 1.0, 0.0)
    s, rest = _twice_atanh(precision, f)
    low = fma(k, precision.log2_low, fma(e, -0.5 * e_low, e_low))  # about e_low / (1 + e)
    return where(given, fma(k, precision.log2_high, f - fma(s, rest, -low)), fma(-s, rest, f))


def log1p_near_kernel(precision: Precision, f: Expression) -> Expression:
    """log1p of f up to 0.26, of which a polynomial has fewer terms."""
    if precision.table == "float16":  # so few that a quotient takes longer
        return fma(f * f, horner(f, coefficients.LOG1P_NEAR["float16"]), f)
    s, rest = _twice_atanh(precision, f, coefficients.ATANH_NINTH)
    return fma(-s, rest, f)


def _twice_atanh(
    precision: Precision, f: Expression, table: dict[str, tuple[float, ...]] = coefficients.ATANH_THIRD
) -> tuple[Expression, Expression]:
    """s and r with log1p(f) = f - s * r for -1/4 <= f <= 1, where s = f / (2 + f) and log1p(f) = 2 atanh(s).

    f - s * f is 2 s, but f is exact: only the correction is rounded, which is less than half of the logarithm. Up to
    f = 1 the polynomial has a term more than with a power of two taken out of 1 + f, which would take 1.3 times as long
    in all in float32. A polynomial of f instead of a quotient has nine terms in float32, and twenty in float64.
    """
    s = f * reciprocal_kernel(precision, 2.0 + f) if not precision.careful else f / (2.0 + f)
    w = s * s
    return s, fma(-w, horner(w, table[precision.table]), f)


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
