"""Multiples of the logistic function in kernels: ``factor / (1 + exp(-z))``, with the division's as the last rounding."""

from __future__ import annotations

from fastact.formulas import coefficients
from fastact.formulas.expressions import Expression, constant
from fastact.formulas.primitives import absolute, fma, quick_sum_error_of, where
from fastact.formulas.rounding import EXTREME
from fastact.formulas.signs import is_zero
from fastact.kernels.exponentials import LOG2_E, exp_times_any_kernel, exp_times_kernel, furthest
from fastact.kernels.instructions import bits, clip, float_from_bits, integer, polynomial, shift_left
from fastact.kernels.precision import Precision
from fastact.kernels.quotients import quotient_kernel
from fastact.simd.variants import variant

__all__ = ["logistic_times_any_kernel", "logistic_times_kernel"]

#: In the exponent: what the numerator and the denominator are divided by where exp(-z) may be infinite.
LOWERED = {32: 64, 64: 512}


def from_one_exponential(
    precision: Precision, factor: Expression, z: Expression, low: Expression, power: Expression | None
) -> Expression:
    """With e = exp(-abs(z)), so that all of it is computed once where others need e too."""
    below, extreme = z < 0.0, absolute(z) >= EXTREME  # the factor may be infinite where e is 0
    distance_low = low if is_zero(low) else -where(below, -low, low)
    e = exp_times_kernel(precision, constant(1.0), -absolute(z), distance_low)
    d = 1.0 + e
    d_low = quick_sum_error_of(constant(1.0), e) if precision.careful else constant(0.0)
    if factor is constant(1.0):
        return quotient_kernel(precision, where(below, e, 1.0), constant(0.0), d, d_low)
    product = quotient_kernel(precision, where(extreme, 0.0, factor), constant(0.0), d, d_low)
    if power is None:
        falling = exp_times_kernel(precision, product, -absolute(z), distance_low)
        return where(below, falling, where(extreme, factor, product))
    falling = exp_times_any_kernel(precision, product, -absolute(z), distance_low, power)
    rising = where(extreme, factor, product)
    return where(below, falling, rising if is_zero(power) else exp2_times(precision, rising, power))


def exp2_times(precision: Precision, factor: Expression, power: Expression) -> Expression:
    return factor * float_from_bits(_in_exponent(precision, power + (_shift(precision) + precision.bias)))


def _shift(precision: Precision) -> float:
    """Added to a whole number, leaves it in the last bits of the sum."""
    return 1.5 * 2.0**precision.digits


def _in_exponent(precision: Precision, shifted: Expression) -> Expression:
    return shift_left(bits(shifted), integer(precision.digits, precision))


def from_one_sum(
    precision: Precision, factor: Expression, z: Expression, low: Expression, power: Expression | None
) -> Expression:
    """With ``exp(-z) = 2**k * (1 + g)``, the denominator is ``(1 + 2**k) + 2**k * g``: a fused multiply-add, and the only
    rounding to speak of beside that of g and of the division. Far below zero, where 2**k may be infinite, both sides of
    the fraction are divided by a power of two, and what the smallest numbers lose then is less than the result does.
    """
    lowered = LOWERED[precision.size]
    most = precision.bias - 1.0 + lowered  # of k, for which 2**(k - lowered) is finite
    deepest = -most / LOG2_E if power is None else -furthest(precision)
    z = clip(z, deepest, (precision.digits + 3) / LOG2_E)
    shift = _shift(precision) + (precision.bias - lowered)
    shifted = fma(-z, LOG2_E, shift)
    k = shifted - shift
    if precision.table == "float16":
        r = fma(k, -(precision.log2_high + precision.log2_low), -z)
    else:
        exact = fma(k, -precision.log2_high, -z)
        of_k = -precision.log2_low  # of k log(2), and with z's error it is rounded once
        r = fma(k, of_k, exact) if is_zero(low) else exact + fma(k, of_k, -low)
    g = fma(polynomial(r, coefficients.EXP[precision.table]), r * r, r)
    middle = precision.digits // 2
    deep = z < -(middle if power is None else lowered + 1) / LOG2_E
    one = where(deep, 2.0**-lowered, 1.0)
    numerator = factor * one
    if power is not None:  # what a factor brings back that 2**k is too large for
        kept = clip(shifted, None, shift + most)
        rest = (_shift(precision) + precision.bias) - (shifted - kept)
        rest = rest if is_zero(power) else rest + power
        numerator = numerator * float_from_bits(_in_exponent(precision, rest))
        shifted = kept
    scale = float_from_bits(_in_exponent(precision, shifted)) * where(deep, 1.0, 2.0**lowered)
    far = deep if power is None else scale > 2.0**middle
    return numerator / (where(far, scale, 0.0) + fma(scale, g, where(far, 0.0, scale) + one))


#: What variants of kernels call them.
LOGISTIC = {"exponential": from_one_exponential, "sum": from_one_sum}


def logistic_times_kernel(precision: Precision, factor: Expression, z: Expression, low: Expression) -> Expression:
    return LOGISTIC[variant().logistic[precision.size]](precision, factor, z, low, None)


def logistic_times_any_kernel(
    precision: Precision, factor: Expression, z: Expression, low: Expression, power: Expression
) -> Expression:
    return LOGISTIC[variant().logistic[precision.size]](precision, factor, z, low, power)
