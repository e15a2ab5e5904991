"""Multiples of the logistic function in kernels: ``factor / (1 + exp(-z))``, the division being the last rounding.

With ``exp(-z) = 2**k * (1 + g)`` the denominator is ``(1 + 2**k) + 2**k * g``, a fused multiply-add, where that sum of
powers of two is exact. Where it is not, g is multiplied first, and 2**k added to what is no larger. So there are no two
sides of zero, and no exponential that is rounded by itself: half the instructions of ``exp(-abs(z))`` and a quotient.
"""

from __future__ import annotations

from fastact.formulas import coefficients
from fastact.formulas.expressions import Expression
from fastact.formulas.primitives import fma, power_of_two, where
from fastact.formulas.signs import is_zero
from fastact.kernels.exponentials import LOG2_E, furthest
from fastact.kernels.instructions import bits, clip, float_from_bits, integer, polynomial, shift_left
from fastact.kernels.precision import Precision

__all__ = ["logistic_times_any_kernel", "logistic_times_kernel"]

#: Far below zero 2**k may be infinite: the fraction is reduced by so many powers of two there. What the smallest
#: numerators lose is less than half a unit in the last place of the result.
REDUCED = {32: 64, 64: 512}


def logistic_times_kernel(precision: Precision, factor: Expression, z: Expression, low: Expression) -> Expression:
    middle = precision.digits // 2
    largest = precision.bias - 1.0 + REDUCED[precision.size]  # of k, for which 2**k, reduced, is finite
    z, shifted, g = _exponential(precision, z, low, largest / LOG2_E)
    deep = z < -middle / LOG2_E
    numerator, denominator = _fraction(precision, factor, shifted, g, deep, far=deep)
    return numerator / denominator


def logistic_times_any_kernel(
    precision: Precision, factor: Expression, z: Expression, low: Expression, power: Expression
) -> Expression:
    """The largest factors bring back what 2**k is too small for: the rest of k has a power of its own."""
    if _is_own_argument(factor, z, power):
        return logistic_times_kernel(precision, factor, z, low)
    reduced = REDUCED[precision.size]
    deepest = furthest(precision) * (1.0 if is_zero(power) else 1.1)  # what is left of the power counts as well
    z, shifted, g = _exponential(precision, z, low, deepest)
    deep = z < -(reduced + 1) / LOG2_E  # 1 + 2**k makes up for what the numerator was reduced by
    kept = clip(shifted, None, _shift(precision) + 2.0 * precision.bias - 1.0)
    rest = (_shift(precision) + precision.bias) - (shifted - kept)
    numerator, denominator = _fraction(precision, factor, kept, g, deep)
    if not is_zero(power):  # the factor times 2**power may be infinite
        denominator = denominator * power_of_two(power, -1.0)
    return numerator * _two_to(precision, rest) / denominator


def _is_own_argument(factor: Expression, z: Expression, power: Expression) -> bool:
    """As of swish without a parameter: such a factor is small where exp(z) is not yet zero."""
    return is_zero(power) and (factor is z or (factor.operation == "where" and factor.operands[2] is z))


def _exponential(
    precision: Precision, z: Expression, low: Expression, deepest: float
) -> tuple[Expression, Expression, Expression]:
    """z, no further than counts; 2**(k - reduced) as the last bits of a float; and g."""
    z = clip(z, -deepest, (precision.digits + 3) / LOG2_E)
    shift = _shift(precision) + (precision.bias - REDUCED[precision.size])
    shifted = fma(-z, LOG2_E, shift)
    k = shifted - shift
    if precision.table == "float16":
        r = fma(k, -(precision.log2_high + precision.log2_low), -z)
    else:
        exact = fma(k, -precision.log2_high, -z)
        rest = -precision.log2_low  # of k log(2); with the error of z it is rounded once
        r = fma(k, rest, exact) if is_zero(low) else exact + fma(k, rest, -low)
    return z, shifted, fma(polynomial(r, coefficients.EXP[precision.table]), r * r, r)


def _fraction(
    precision: Precision,
    factor: Expression,
    shifted: Expression,
    g: Expression,
    deep: Expression,
    far: Expression | None = None,
) -> tuple[Expression, Expression]:
    """Numerator and denominator, both reduced where z is ``deep``. ``far``: where 1 + 2**k need not be exact."""
    reduced = REDUCED[precision.size]
    one = where(deep, 2.0**-reduced, 1.0)
    scale = _two_to(precision, shifted) * where(deep, 1.0, 2.0**reduced)
    if far is None:
        far = scale > 2.0 ** (precision.digits // 2)
    return factor * one, where(far, scale, 0.0) + fma(scale, g, where(far, 0.0, scale) + one)


def _shift(precision: Precision) -> float:
    """Added to a whole number, leaves it in the last bits of the sum."""
    return 1.5 * 2.0**precision.digits


def _two_to(precision: Precision, shifted: Expression) -> Expression:
    return float_from_bits(shift_left(bits(shifted), integer(precision.digits, precision)))
