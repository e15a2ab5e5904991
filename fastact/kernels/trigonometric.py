"""Sine and cosine in kernels: a quarter turn's rest, and two polynomials.

What is left of x after whole quarter turns has two parts, from pi / 2 in three (W. J. Cody and W. Waite, Software
Manual for the Elementary Functions, 1980): next to a root, where nearly all of x goes, it is still right to the last
bit. Beyond :data:`FAR`, where three parts no longer do, the C library computes, one element at a time.
"""

from __future__ import annotations

from fastact.formulas import coefficients
from fastact.formulas.expressions import Expression, constant
from fastact.formulas.primitives import absolute, fma, quick_sum_error_of, sum_error_of, where
from fastact.kernels.instructions import far_cos, far_sin, floor, horner, rint
from fastact.kernels.precision import Precision

__all__ = ["cos_kernel", "sin_kernel"]

TWO_OVER_PI = 0.63661977236758134308

#: Quarter turns up to here are counted exactly, by a product with 2 / pi that is rounded: 2**15 and 2**23 of them.
FAR = {32: 3e4, 64: 1e7}


def sin_kernel(precision: Precision, x: Expression) -> Expression:
    turns, r, low = _quarter_turns(precision, x)
    wave = where(x == 0.0, x, _wave(precision, turns, r, low))  # the sign of zero is lost in the product
    return far_sin(x, wave, absolute(x) > FAR[precision.size])


def cos_kernel(precision: Precision, x: Expression) -> Expression:
    turns, r, low = _quarter_turns(precision, x)
    return far_cos(x, _wave(precision, turns + 1.0, r, low), absolute(x) > FAR[precision.size])


def _quarter_turns(precision: Precision, x: Expression) -> tuple[Expression, Expression, Expression]:
    """How many there are in x, and the rest in two parts."""
    first, second, third = coefficients.HALF_PI[precision.table]
    n = rint(x * TWO_OVER_PI)
    r = fma(-n, first, x)  # exact: bits of x and of n * first end alike, and those in front cancel
    if not precision.careful:
        return n, fma(-n, second, r), constant(0.0)
    product = n * second
    high = r - product
    rest = fma(-n, third, sum_error_of(r, -product) - fma(n, second, -product))
    r = high + rest
    return n, r, quick_sum_error_of(high, rest)


def _wave(precision: Precision, turns: Expression, r: Expression, low: Expression) -> Expression:
    """The sine of so many quarter turns and ``r + low``."""
    w = r * r
    half = 0.5 * w
    near_one = 1.0 - half
    sine = r + fma(r * w, horner(w, coefficients.SINE[precision.table]), low * near_one)
    beyond = fma(w * w, horner(w, coefficients.COSINE[precision.table]), -r * low)
    cosine = near_one + (((1.0 - near_one) - half) + beyond)
    pairs = floor(0.5 * turns)
    size = where(pairs * 2.0 == turns, sine, cosine)
    return where(floor(0.5 * pairs) * 2.0 == pairs, size, -size)
