"""tanh in kernels."""

from __future__ import annotations

from typing import NamedTuple

from fastact.formulas import coefficients
from fastact.formulas.expressions import Expression
from fastact.formulas.primitives import absolute, fma
from fastact.kernels.exponentials import LOG2_E
from fastact.kernels.instructions import (
    bits,
    clip,
    copysign,
    float_from_bits,
    horner,
    integer,
    lookup,
    shift_left,
    shift_right,
)
from fastact.kernels.precision import Precision
from fastact.kernels.quotients import reciprocal_kernel
from fastact.simd.variants import variant

__all__ = ["tanh_and_slope_kernel", "tanh_kernel", "tanh_times_kernel"]


def tanh_from_tables(precision: Precision, x: Expression) -> Expression:
    """A polynomial on each of 32 intervals, its coefficients looked up (so does Intel's SVML, which NumPy contains):
    half the work of an exponential and a quotient, at 0.99 ulp."""
    a = clip(absolute(x), None, coefficients.TANH_LIMIT["float32"][0])
    interval = shift_right(bits(clip(a, 1 / 16, None)), integer(precision.digits - 2, precision))
    r = a - lookup("TANH_CENTER", interval)
    return copysign(horner(r, [lookup(f"TANH_{n}", interval) for n in reversed(range(6))]), x)


class Sum(NamedTuple):
    """``tanh(a) = taken + s * rest / divisor`` for a = abs(x), and what these are made of."""

    s: Expression
    t: Expression
    taken: Expression
    rest: Expression
    divisor: Expression


def tanh_sum(precision: Precision, a: Expression, alone: bool = False) -> Sum:
    """tanh(a) for a = r - k log(2) / 2, by the addition theorem with s = 2**k and t = tanh(r), abs(t) < 0.18:

    ``((1 - s) + (1 + s) t) / ((1 + s) + (1 - s) t)``

    Of that, ``(1 - s)**2`` is taken away beforehand, so that the roundings of a small quotient remain: 1.7 ulp
    instead of 2.5. For k = 0 the quotient is t itself. This takes four tenths of the time of ``expm1(-2a)`` and a
    quotient of numbers in two parts on AVX2, in both precisions. In float64, where not every number can be tried,
    what r is rounded by joins the rest of t, which is smaller: 1.6 ulp instead of 2.0, for 3 to 11 % more time.
    So it does in float32 where tanh is not ``alone``, and its sum is not rounded before it is
    multiplied: a multiple would be off by 2.06 ulp.
    """
    shift = 1.5 * 2.0**precision.digits + precision.bias  # leaves the bits of s, but for their place
    shifted = fma(a, -2.0 * LOG2_E, shift)
    k = shifted - shift
    s = float_from_bits(shift_left(bits(shifted), integer(precision.digits, precision)))
    exact, low_part = fma(k, 0.5 * precision.log2_high, a), 0.5 * precision.log2_low
    r = fma(k, low_part, exact)
    square = r * r
    cube, p = r * square, horner(square, coefficients.TANH_SMALL[precision.table])
    small = fma(cube, p, k * low_part)
    t = exact + small if precision.size == 64 or not alone else fma(cube, p, r)
    more, less = 1.0 + s, 1.0 - s
    taken = less * less
    factor, start = (3.0 - s) + taken, less - taken
    rest = fma(factor, t, start) if alone else fma(factor, small, fma(factor, exact, start))
    return Sum(s, t, taken, rest, fma(less, t, more))


def tanh_from_sum(precision: Precision, x: Expression) -> Expression:
    a = clip(absolute(x), None, coefficients.TANH_LIMIT[precision.table][0])
    s, t, taken, rest, divisor = tanh_sum(precision, a, alone=True)
    if not precision.careful:
        return copysign(fma(1.0 + s, t, 1.0 - s) * reciprocal_kernel(precision, divisor), x)
    return copysign(fma(s, rest / divisor, taken), x)


#: What variants of kernels call them.
TANH = {"pieces": tanh_from_tables, "sum": tanh_from_sum}


def tanh_kernel(precision: Precision, x: Expression) -> Expression:
    return TANH[variant().tanh[precision.size]](precision, x)


def tanh_times_kernel(precision: Precision, factor: Expression, x: Expression) -> Expression:
    """A factor of the sum's two terms is no rounding more in what is small; a table's polynomial is multiplied."""
    if variant().tanh[precision.size] != "sum" or not precision.careful:
        return factor * tanh_kernel(precision, x)
    s, _, taken, rest, divisor = tanh_sum(precision, clip(x, None, coefficients.TANH_LIMIT[precision.table][0]))
    return fma(factor * s, rest / divisor, factor * taken)


def tanh_and_slope_kernel(precision: Precision, u: Expression) -> Expression:
    """``taken + s (rest divisor + 4 u (1 - t**2)) / divisor**2``, for the slope is ``4 s (1 - t**2) / divisor**2``.
    The square of the sum that the divisor is has one large rounding, that of the divisor three."""
    a = clip(u, None, 25.0)  # where the slope, too, is next to nothing
    s, t, taken, rest, divisor = tanh_sum(precision, a)
    more, less = 1.0 + s, 1.0 - s
    squared = fma(fma(taken, t, 2.0 * more * less), t, more * more)
    both = fma(4.0 * a, fma(-t, t, 1.0), rest * divisor) / squared
    return fma(s, both, taken)
