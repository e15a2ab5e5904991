"""exp and its relatives in kernels.

``exp(x) = 2**k * exp(r)``: k log(2) is taken away from x, a polynomial makes the exponential of the rest, and an
exponent is added (W. J. Cody and W. Waite, Software Manual for the Elementary Functions, 1980). Where a register can
be indexed by another, k is a multiple of 1/16 and the powers 2**(j/16) come from a table (P. T. P. Tang, ACM TOMS 15,
1989): r is 16 times smaller then, the polynomial half as long, and roundings of r are too small to count.
"""

from __future__ import annotations

from typing import NamedTuple

from fastact.formulas import coefficients
from fastact.formulas.expressions import Expression, constant
from fastact.formulas.primitives import absolute, fma, product_error, quick_sum_error, quick_sum_error_of, where
from fastact.formulas.signs import is_nonpositive, is_zero
from fastact.kernels.instructions import bits, clip, ldexp, lookup, polynomial
from fastact.kernels.precision import Precision
from fastact.simd.variants import variant

__all__ = [
    "exp_error_kernel",
    "exp_of_remainder",
    "exp_times_any_kernel",
    "exp_times_kernel",
    "expm1_and_error",
    "gauss_times_kernel",
    "reduce_exp",
]  # fmt: skip

LOG2_E = 1.4426950408889634


class Reduced(NamedTuple):
    """x = k log(2) + r + low.

    Without a table, k is a whole number, abs(r) <= log(2) / 2, and low is what r's rounding lost. With one,
    k is a multiple of 1/16 and r as much smaller; ``ldexp`` takes the whole part of k, ``last_bits`` ends in the
    four bits behind it.
    """

    k: Expression
    r: Expression
    low: Expression
    last_bits: Expression


def reduce_exp(precision: Precision, x: Expression, x_low: Expression) -> Reduced:
    steps = variant().exp_table[precision.size]
    shift = 1.5 * 2.0**precision.digits / steps  # added to a moderate number, leaves it in the last bits of the sum
    shifted = fma(x, LOG2_E, shift)
    k = shifted - shift
    low: Expression = constant(0.0)
    if precision.table == "float16":
        return Reduced(k, fma(k, -(precision.log2_high + precision.log2_low), x), low, bits(shifted))
    exact = fma(k, -precision.log2_high, x)
    total = exact if is_zero(x_low) else exact + x_low
    r = fma(k, -precision.log2_low, total)
    if precision.careful and steps == 1:
        low = fma(k, -precision.log2_low, total - r)
        low = low if total is exact else low + quick_sum_error_of(exact, x_low)
    return Reduced(k, r, low, bits(shifted))


def exp_of_remainder(reduced: Reduced, precision: Precision) -> tuple[Expression, Expression]:
    """p with exp(x) = 2**k * p for the whole part of k, to 0.6 ulp, and its rounding error."""
    r = reduced.r
    if variant().exp_table[precision.size] > 1:
        base, base_error = lookup("EXP2", reduced.last_bits), lookup("EXP2_ERROR", reduced.last_bits)
        grown = fma(polynomial(r, coefficients.EXP_SIXTEENTH[precision.table]), r * r, r)
        if not precision.careful:
            return fma(base, grown, base), constant(0.0)
        rest = fma(base, grown, base_error)
    else:
        base = constant(1.0)
        rest = polynomial(r, coefficients.EXP[precision.table])
        rest = fma(rest, r * r, r if not precision.careful else reduced.low)
        if precision.careful:
            base = 1.0 + r
            rest = (r - (base - 1.0)) + rest
    p = base + rest
    return p, rest - (p - base) if precision.careful else constant(0.0)


def furthest(precision: Precision) -> float:
    """exp of this is infinite even if the smallest number multiplies it."""
    return (2 * precision.bias + precision.digits + 4) / LOG2_E


def exp_parts(
    precision: Precision, x: Expression, low: Expression, any_factor: bool = False
) -> tuple[Expression, Expression, Expression]:
    """p, its error and k. The same for everything that is made of one exponential, so that it is computed once."""
    clipped = clip(x, 2 * precision.log_min, furthest(precision) if any_factor else precision.log_max)
    reduced = reduce_exp(precision, clipped, low)
    return *exp_of_remainder(reduced, precision), reduced.k


def exp_times_kernel(precision: Precision, factor: Expression, x: Expression, low: Expression) -> Expression:
    p, error, k = exp_parts(precision, x, low)
    if factor is constant(1.0) or not precision.careful:
        return factor * ldexp(p, k)
    return ldexp(fma(factor, p, factor * error), k)


def exp_times_any_kernel(
    precision: Precision, factor: Expression, x: Expression, low: Expression, power: Expression
) -> Expression:
    if factor is constant(1.0) and is_zero(power):
        return exp_times_kernel(precision, factor, x, low)
    p, error, k = exp_parts(precision, x, low, any_factor=True)
    if is_zero(power):  # p may be almost 2, and the factor the largest number
        p, error, power = 0.5 * p, 0.5 * error, constant(1.0)
    if factor is not constant(1.0):
        p = factor * p if not precision.careful else fma(factor, p, factor * error)
    k = k + power
    if variant().scales:
        return ldexp(p, k)
    # Halves of k are normal numbers down to -2040, or -250 in float32: the largest factors bring back smaller ones.
    first = clip(k, 23.0 - precision.bias, None if is_nonpositive(x) else float(precision.bias))
    return ldexp(ldexp(p, first), k - first)


def exp_error_kernel(precision: Precision, x: Expression, low: Expression) -> Expression:
    _, error, k = exp_parts(precision, x, low)
    return ldexp(error, k) if precision.careful else constant(0.0)


def gauss_times_kernel(precision: Precision, factor: Expression, z: Expression) -> Expression:
    """exp amplifies the rounding of z * z / 2 by its own size."""
    half = -0.5 * z
    return exp_times_kernel(precision, factor, half * z, product_error(half, z))


def expm1_parts(
    precision: Precision, x: Expression, x_low: Expression, most: float
) -> tuple[Expression, Expression, Expression, Expression]:
    """base, k, p and its error for exp(x + x_low) = 2**k * base * (1 + p)."""
    saturated = -2 * (precision.digits + 3) / LOG2_E  # -1 from here on down, with no error to speak of
    reduced = reduce_exp(precision, clip(x, saturated, most), constant(0.0))
    r = reduced.r
    if variant().exp_table[precision.size] > 1:
        table = coefficients.EXPM1_SIXTEENTH
        base, lacks = lookup("EXP2", reduced.last_bits), lookup("EXP2_RELATIVE_ERROR", reduced.last_bits)
    else:
        table = coefficients.EXP
        base, lacks = constant(1.0), reduced.low
    lacks = lacks if is_zero(x_low) else lacks + fma(x_low, r, x_low)
    small = fma(polynomial(r, table[precision.table]), r * r, lacks)
    return base, reduced.k, r + small, quick_sum_error(r, small)


def expm1_and_error(precision: Precision, x: Expression) -> tuple[Expression, Expression]:
    """2**k * base * p + (2**k * base - 1), without cancellation; its half, so that 2**k stays finite."""
    base, k, p, p_low = expm1_parts(precision, x, constant(0.0), precision.log_max)
    half = ldexp(0.5 * base, k)
    y = fma(half, p, half - 0.5)
    y_low = fma(half, p, (half - 0.5) - y) + (quick_sum_error(-0.5, half) + half * p_low)
    tiny = absolute(x) < 2.0 ** -(precision.digits + 2)  # keeps -0.0 and the subnormals
    return where(tiny, x, 2.0 * y), where(tiny, 0.0, 2.0 * y_low)


def expm1_times_kernel(precision: Precision, factor: Expression, x: Expression, low: Expression) -> Expression:
    """The factor multiplies before 1 is taken away: its rounding is known then, and a factor of 1 changes no bit."""
    if factor is constant(1.0) and is_zero(low):
        return expm1_and_error(precision, x)[0]
    base, k, p, _ = expm1_parts(precision, x, low, furthest(precision))
    finite = clip(k, None, 2.0 * precision.digits)  # beyond, the 1 does not count
    grown = ldexp(base, finite)
    large, power = absolute(factor) > 1.0, 2.0 * precision.digits + 18.0  # so that no product is infinite
    scaled = where(large, factor * 2.0**-power, factor)
    product = scaled * grown
    y = fma(product, p, product - scaled) + product_error(scaled, grown)
    tiny = absolute(x) < 2.0 ** -(precision.digits + 2)
    return where(tiny, factor * x, ldexp(y, clip((k - finite) + where(large, power, 0.0), None, 2.0 * precision.bias)))
