"""exp and its relatives in kernels.

``exp(x) = 2**k * exp(r)``: k log(2) is taken away from x, a polynomial makes the exponential of the rest, and an
exponent is added (W. J. Cody and W. Waite, Software Manual for the Elementary Functions, 1980). Where a register can
be indexed by another, k is a multiple of 1/16 and the powers 2**(j/16) come from a table (P. T. P. Tang, ACM TOMS 15,
1989): r is 16 times smaller then, the polynomial half as long, and roundings of r are too small to count.

Where no instruction scales by an exponent, 2**k is two factors, so that what is subnormal is rounded once: halves of
k, as they stand in the last bits of a float, are added to the exponents of p and of 1. AVX2's registers hold eight
float32: the table has 2**(j/4) over *two* octaves there, so that what is left of k is even and its halves are equal.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from fastact.formulas import coefficients
from fastact.formulas.expressions import Expression, constant
from fastact.formulas.primitives import absolute, fma, product_error, quick_sum_error, quick_sum_error_of, where
from fastact.formulas.signs import is_nonpositive, is_zero
from fastact.kernels.instructions import (
    bits,
    clip,
    float_from_bits,
    floor,
    integer,
    integer_add,
    integer_sub,
    ldexp,
    lookup,
    polynomial,
    shift_left,
    shift_right,
)
from fastact.kernels.precision import Precision
from fastact.simd.variants import variant

__all__ = [
    "exp_error_kernel",
    "exp_of_remainder",
    "exp_times_any_kernel",
    "exp_times_kernel",
    "expm1_and_error",
    "reduce_exp",
    "whole_power",
]  # fmt: skip

LOG2_E = 1.4426950408889634

#: Of a polynomial, by the name of a precision's table.
Coefficients = dict[str, tuple[float, ...]]


class Reduced(NamedTuple):
    """x = k log(2) + r + low.

    Without a table, k is a whole number and abs(r) <= log(2) / 2. With one, k is a multiple of 1/16 and r as much
    smaller; ``ldexp`` takes the whole part of k, ``last_bits`` ends in the four bits behind it. With one of two
    octaves, k is a multiple of 1/4, and ``last_bits`` ends in its last three. low is what r's rounding lost.
    """

    k: Expression
    r: Expression
    low: Expression
    last_bits: Expression


def spans_two_octaves(precision: Precision) -> bool:
    return variant().exp_table[precision.size] > 1 and not variant().scales


def reduce_exp(precision: Precision, x: Expression, x_low: Expression) -> Reduced:
    entries = variant().exp_table[precision.size]
    steps = entries // 2 if spans_two_octaves(precision) else entries
    shift = 1.5 * 2.0**precision.digits / steps  # added to a moderate number, leaves it in the last bits of the sum
    shifted = fma(x, LOG2_E, shift)
    k = shifted - shift
    low: Expression = constant(0.0)
    if precision.table == "float16":
        return Reduced(k, fma(k, -(precision.log2_high + precision.log2_low), x), low, bits(shifted))
    exact = fma(k, -precision.log2_high, x)
    total = exact if is_zero(x_low) else exact + x_low
    r = fma(k, -precision.log2_low, total)
    if precision.careful:
        low = fma(k, -precision.log2_low, total - r)
        low = low if total is exact else low + quick_sum_error_of(exact, x_low)
    return Reduced(k, r, low, bits(shifted))


def exp_of_remainder(reduced: Reduced, precision: Precision) -> tuple[Expression, Expression]:
    """p with exp(x) = 2**k * p for the whole part of k, to 0.6 ulp, and its rounding error."""
    r = reduced.r
    if spans_two_octaves(precision):
        return exp_from_quarters(lookup("EXP2_QUARTER_IN_OCTAVE", reduced.last_bits), reduced, precision)
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


def exp_from_quarters(base: Expression, reduced: Reduced, precision: Precision) -> tuple[Expression, Expression]:
    """The same for a multiple of the entry that ``last_bits`` say, which may be scaled already."""
    r = reduced.r
    lacks = r + lookup("EXP2_QUARTER_RELATIVE_ERROR", reduced.last_bits) if precision.careful else r
    grown = fma(polynomial(r, coefficients.EXP_QUARTER[precision.table]), r * r, lacks)
    p = fma(base, grown, base)
    return p, fma(base, grown, base - p) if precision.careful else constant(0.0)


def halves(precision: Precision, reduced: Reduced) -> tuple[Expression, Expression]:
    """Two parts of k, as what is to be added to the bits of a float. Of what else is in ``last_bits`` nothing is left
    where they are shifted to."""
    digits = integer(precision.digits, precision)
    if spans_two_octaves(precision):
        half = shift_left(shift_right(reduced.last_bits, integer(3, precision)), digits)
        return half, half
    half = shift_right(reduced.last_bits, integer(1, precision))
    return shift_left(half, digits), shift_left(integer_sub(reduced.last_bits, half), digits)


def plus_exponent(base: Expression | float, power: Expression, precision: Precision) -> Expression:
    """A normal number with some more in its exponent."""
    old = integer(precision.bits_of(base), precision) if isinstance(base, float) else bits(base)
    return float_from_bits(integer_add(old, power))


def whole_power(precision: Precision, reduced: Reduced) -> Expression:
    """k for ``ldexp``, which without an instruction of its own wants it whole."""
    return floor(reduced.k) if spans_two_octaves(precision) else reduced.k


def furthest(precision: Precision) -> float:
    """exp of this is infinite even if the smallest number multiplies it."""
    return (2 * precision.bias + precision.digits + 4) / LOG2_E


def exp_parts(
    precision: Precision, x: Expression, low: Expression
) -> tuple[Expression, Expression, Callable[[Expression], Expression]]:
    """p, its error, and what brings multiples of them to exp(x). The same for everything that is made of one
    exponential, so that it is computed once."""
    if variant().scales:
        reduced = reduce_exp(precision, clip(x, 2 * precision.log_min, precision.log_max), low)
        return *exp_of_remainder(reduced, precision), lambda y: ldexp(y, reduced.k)
    normal = (4 - 2 * precision.bias) / LOG2_E  # halves of the exponent are normal numbers down to here
    reduced = reduce_exp(precision, clip(x, normal, precision.log_max), low)
    first, second = halves(precision, reduced)
    scale = plus_exponent(1.0, second, precision)
    if spans_two_octaves(precision):
        base = plus_exponent(lookup("EXP2_QUARTER", reduced.last_bits), first, precision)
        p, error = exp_from_quarters(base, reduced, precision)
    else:
        first_scale = plus_exponent(1.0, first, precision)  # p may be NaN
        p, error = (part * first_scale for part in exp_of_remainder(reduced, precision))
    return p, error, lambda y: y * scale


def exp_times_kernel(precision: Precision, factor: Expression, x: Expression, low: Expression) -> Expression:
    p, error, scaled = exp_parts(precision, x, low)
    if factor is constant(1.0) or not precision.careful:
        return factor * scaled(p)
    return scaled(fma(factor, p, factor * error))


def exp_times_any_kernel(
    precision: Precision, factor: Expression, x: Expression, low: Expression, power: Expression
) -> Expression:
    if factor is constant(1.0) and is_zero(power):
        return exp_times_kernel(precision, factor, x, low)
    reduced = reduce_exp(precision, clip(x, 2 * precision.log_min, furthest(precision)), low)
    p, error = exp_of_remainder(reduced, precision)
    if is_zero(power):  # p may be almost 2, and the factor the largest number
        p, error, power = 0.5 * p, 0.5 * error, constant(1.0)
    if factor is not constant(1.0):
        p = factor * p if not precision.careful else fma(factor, p, factor * error)
    k = whole_power(precision, reduced) + power
    if variant().scales:
        return ldexp(p, k)
    # Halves of k are normal numbers down to -2040, or -250 in float32: the largest factors bring back smaller ones.
    first = clip(k, 23.0 - precision.bias, None if is_nonpositive(x) else float(precision.bias))
    return ldexp(ldexp(p, first), k - first)


def exp_error_kernel(precision: Precision, x: Expression, low: Expression) -> Expression:
    _, error, scaled = exp_parts(precision, x, low)
    return scaled(error) if precision.careful else constant(0.0)


def expm1_parts(
    precision: Precision, x: Expression, x_low: Expression, most: float, quarters: str, whole: Coefficients
) -> tuple[Reduced, Expression, Expression, Expression]:
    """k, base, p and its error for exp(x + x_low) = 2**k * base * (1 + p); ``whole`` is for where there is no table."""
    saturated = -2 * (precision.digits + 3) / LOG2_E  # -1 from here on down, with no error to speak of
    reduced = reduce_exp(precision, clip(x, saturated, most), constant(0.0))
    r = reduced.r
    if spans_two_octaves(precision):
        table = coefficients.EXP_QUARTER
        base, lacks = (lookup(name, reduced.last_bits) for name in (quarters, "EXP2_QUARTER_RELATIVE_ERROR"))
    elif variant().exp_table[precision.size] > 1:
        table = coefficients.EXPM1_SIXTEENTH
        base, lacks = lookup("EXP2", reduced.last_bits), lookup("EXP2_RELATIVE_ERROR", reduced.last_bits)
    else:
        table = whole
        base, lacks = constant(1.0), reduced.low
    lacks = lacks if is_zero(x_low) else lacks + fma(x_low, r, x_low)
    small = fma(polynomial(r, table[precision.table]), r * r, lacks)
    return reduced, base, r + small, quick_sum_error(r, small)


def expm1_half(precision: Precision, reduced: Reduced, base: Expression) -> Expression:
    """``2**(k - 1) * base``, which is a normal number."""
    if variant().scales:
        return ldexp(0.5 * base, reduced.k)
    if not spans_two_octaves(precision):
        return plus_exponent(0.5, shift_left(reduced.last_bits, integer(precision.digits, precision)), precision)
    first, second = halves(precision, reduced)
    return plus_exponent(base, first, precision) * plus_exponent(0.5, second, precision)


def expm1_and_error(precision: Precision, x: Expression) -> tuple[Expression, Expression]:
    """2**k * base * p + (2**k * base - 1), without cancellation; its half, so that 2**k stays finite."""
    reduced, base, p, p_low = expm1_parts(
        precision, x, constant(0.0), precision.log_max, "EXP2_QUARTER", coefficients.EXPM1
    )
    half = expm1_half(precision, reduced, base)
    y = fma(half, p, half - 0.5)
    y_low = fma(half, p, (half - 0.5) - y) + (quick_sum_error(-0.5, half) + half * p_low)
    tiny = absolute(x) < 2.0 ** -(precision.digits + 2)  # keeps -0.0 and the subnormals
    return where(tiny, x, 2.0 * y), where(tiny, 0.0, 2.0 * y_low)


def factor_times(factor: Expression, grown: Expression, p: Expression, p_low: Expression | None = None) -> Expression:
    """``factor * (grown * (1 + p + p_low) - 1)``."""
    product, error = factor * grown, product_error(factor, grown)
    error = fma(error, p, error) + quick_sum_error(-factor, product)
    if p_low is not None:
        error = fma(product, p_low, error)
    return fma(product, p, product - factor) + error


def expm1_once(precision: Precision, x: Expression) -> Expression:
    """The same for a factor of 1, bit for bit; its half, as above."""
    reduced, base, p, p_low = expm1_parts(
        precision, x, constant(0.0), precision.log_max, "EXP2_QUARTER", coefficients.EXP
    )
    half = expm1_half(precision, reduced, base)
    error = fma(half, rest_of(precision, reduced, p_low), quick_sum_error(-0.5, half))
    y = 2.0 * (fma(half, p, half - 0.5) + error)
    return where(absolute(x) < 2.0 ** -(precision.digits + 2), x, y)


def rest_of(precision: Precision, reduced: Reduced, p_low: Expression) -> Expression:
    """With what r is rounded by; without a table it is in p already."""
    return p_low + reduced.low if variant().exp_table[precision.size] > 1 else p_low


def expm1_times_kernel(precision: Precision, factor: Expression, x: Expression, low: Expression) -> Expression:
    """The factor multiplies before 1 is taken away: its rounding is known then, and a factor of 1 changes no bit.

    The 1 may take half away, and leave a number just above a power of two: no rounding is forgotten. Nobody asks for
    the error of the product: the shorter polynomial will do."""
    if factor is constant(1.0) and is_zero(low):
        return expm1_once(precision, x)
    whole = coefficients.EXP
    tiny = absolute(x) < 2.0 ** -(precision.digits + 2)
    if factor.operation == "constant" and 2.0**-20 < abs(factor.operands[0]) < 2.0**20 and is_nonpositive(x):
        reduced, base, p, _ = expm1_parts(precision, x, low, precision.log_max, "EXP2_QUARTER", whole)
        y = factor_times(factor, 2.0 * expm1_half(precision, reduced, base), p)
        return where(tiny, factor * x, y)
    reduced, base, p, p_low = expm1_parts(precision, x, low, furthest(precision), "EXP2_QUARTER_IN_OCTAVE", whole)
    k = whole_power(precision, reduced)
    finite = clip(k, None, 2.0 * precision.digits)  # beyond, the 1 does not count
    grown = ldexp(base, finite)
    large, power = absolute(factor) > 1.0, 2.0 * precision.digits + 18.0  # so that no product is infinite
    scaled = where(large, factor * 2.0**-power, factor)
    y = factor_times(scaled, grown, p, rest_of(precision, reduced, p_low))
    return where(tiny, factor * x, ldexp(y, clip((k - finite) + where(large, power, 0.0), None, 2.0 * precision.bias)))
