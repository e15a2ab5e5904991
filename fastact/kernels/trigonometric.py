"""Sine, cosine and tangent in kernels: a quarter turn's rest, and two polynomials; and the tangent's inverse.

What is left of x after whole quarter turns has two parts, from pi / 2 in three (W. J. Cody and W. Waite, Software
Manual for the Elementary Functions, 1980): next to a root, where nearly all of x goes, it is still right to the last
bit. Beyond :data:`FAR`, where three parts no longer do, the C library computes, one element at a time.
"""

from __future__ import annotations

from fastact.formulas import coefficients
from fastact.formulas.expressions import Expression, constant
from fastact.formulas.primitives import absolute, fma, quick_sum_error_of, sum_error_of, where
from fastact.kernels.instructions import clip, copysign, far_cos, far_sin, far_tan, floor, horner, rint
from fastact.kernels.precision import Precision
from fastact.kernels.quotients import quotient_kernel

__all__ = ["FAR", "arctan_kernel", "cos_kernel", "sin_kernel", "tan_kernel"]

TWO_OVER_PI = 0.63661977236758134308

#: Quarter turns up to here are counted exactly, by a product with 2 / pi that is rounded: 2**15 and 2**23 of them.
FAR = {32: 3e4, 64: 1e7}

#: tan(pi / 8) and tan(3 pi / 8); and from where on an arctangent is pi / 2 in every precision.
EIGHTH, THREE_EIGHTHS, INFINITE = 0.41421356237309504880, 2.4142135623730950488, 2.0**60

ZERO, ONE = constant(0.0), constant(1.0)


def sin_kernel(precision: Precision, x: Expression) -> Expression:
    turns, r, low = _quarter_turns(precision, x)
    wave = where(x == 0.0, x, _wave(precision, turns, r, low))  # the sign of zero is lost in the product
    return far_sin(x, wave, absolute(x) > FAR[precision.size])


def cos_kernel(precision: Precision, x: Expression) -> Expression:
    turns, r, low = _quarter_turns(precision, x)
    return far_cos(x, _wave(precision, turns + 1.0, r, low), absolute(x) > FAR[precision.size])


def tan_kernel(precision: Precision, x: Expression) -> Expression:
    turns, r, low = _quarter_turns(precision, x)
    (near, rest), (beyond, more) = _sine(precision, r, low), _cosine(precision, r, low)
    sine, cosine = near + rest, beyond + more
    sine_low = quick_sum_error_of(near, rest) if precision.careful else ZERO
    cosine_low = quick_sum_error_of(beyond, more) if precision.careful else ZERO
    even = floor(0.5 * turns) * 2.0 == turns
    tangent = quotient_kernel(
        precision,
        where(even, sine, -cosine),
        where(even, sine_low, -cosine_low) if precision.careful else ZERO,
        where(even, cosine, sine),
        where(even, cosine_low, sine_low) if precision.careful else ZERO,
    )
    return far_tan(x, where(x == 0.0, x, tangent), absolute(x) > FAR[precision.size])


def arctan_kernel(precision: Precision, x: Expression) -> Expression:
    """Of x, of (x - 1) / (x + 1) and pi / 4 more, or of -1 / x and pi / 2 more: none of them is beyond tan(pi / 8)."""
    z = clip(absolute(x), None, INFINITE)
    near, far = z < EIGHTH, z > THREE_EIGHTHS
    less, more = where(far, -1.0, z - 1.0), where(far, z, z + 1.0)
    less_low = where(far, 0.0, sum_error_of(z, constant(-1.0))) if precision.careful else ZERO
    more_low = where(far, 0.0, sum_error_of(z, ONE)) if precision.careful else ZERO
    t = where(near, z, quotient_kernel(precision, less, less_low, more, more_low))
    w = t * t
    rest = t * w * horner(w, coefficients.ARCTAN[precision.table])
    first, second, _ = coefficients.HALF_PI[precision.table]
    turn, turn_low = (where(near, 0.0, where(far, part, 0.5 * part)) for part in (first, second))
    high = turn + t
    if precision.careful:
        rest = rest + (quick_sum_error_of(turn, t) + turn_low)
    return copysign(high + rest, x)


def _quarter_turns(precision: Precision, x: Expression) -> tuple[Expression, Expression, Expression]:
    """How many there are in x, and the rest in two parts."""
    first, second, third = coefficients.HALF_PI[precision.table]
    n = rint(x * TWO_OVER_PI)
    r = fma(-n, first, x)  # exact: bits of x and of n * first end alike, and those in front cancel
    if not precision.careful:
        return n, fma(-n, second, r), ZERO
    product = n * second
    high = r - product
    rest = fma(-n, third, sum_error_of(r, -product) - fma(n, second, -product))
    r = high + rest
    return n, r, quick_sum_error_of(high, rest)


def _sine(precision: Precision, r: Expression, low: Expression) -> tuple[Expression, Expression]:
    """Of ``r + low``, in two parts that have yet to be added."""
    w = r * r
    return r, fma(r * w, horner(w, coefficients.SINE[precision.table]), low * (1.0 - 0.5 * w))


def _cosine(precision: Precision, r: Expression, low: Expression) -> tuple[Expression, Expression]:
    w = r * r
    half = 0.5 * w
    near_one = 1.0 - half
    beyond = fma(w * w, horner(w, coefficients.COSINE[precision.table]), -r * low)
    return near_one, ((1.0 - near_one) - half) + beyond


def _wave(precision: Precision, turns: Expression, r: Expression, low: Expression) -> Expression:
    """The sine of so many quarter turns and ``r + low``."""
    sine, cosine = (high + rest for high, rest in (_sine(precision, r, low), _cosine(precision, r, low)))
    pairs = floor(0.5 * turns)
    size = where(pairs * 2.0 == turns, sine, cosine)
    return where(floor(0.5 * pairs) * 2.0 == pairs, size, -size)
