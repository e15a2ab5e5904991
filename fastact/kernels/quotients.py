"""Quotients in kernels: of numbers in two parts, and what the rounding of one lacks."""

from __future__ import annotations

from fastact.formulas.expressions import Expression, constant
from fastact.formulas.primitives import absolute, fma, where
from fastact.formulas.signs import is_zero
from fastact.kernels.instructions import about_reciprocal
from fastact.kernels.precision import Precision
from fastact.simd.variants import variant

__all__ = ["quotient_error_kernel", "quotient_kernel", "reciprocal_kernel"]


def reciprocal_kernel(precision: Precision, b: Expression) -> Expression:
    """``1 / b``, where 14 bits of it can be had (AVX-512: five times as fast as a division) by Newton's steps from
    those; each doubles them."""
    if b.operation == "constant" or not variant().reciprocal_bits[precision.size]:
        return 1.0 / b
    r = about_reciprocal(b)
    for _ in range(precision.newton):
        r = fma(r, fma(-b, r, 1.0), r)
    return r


def quotient_kernel(
    precision: Precision, a: Expression, a_low: Expression, b: Expression, b_low: Expression
) -> Expression:
    """One step of Newton's from a / b, with a residual that is exact in a and b."""
    r = reciprocal_kernel(precision, b)
    q = a * r
    if not precision.careful:
        return q
    # what is too much rather than what is missing: that is +0 where a is -0, and -0 - 0 is -0
    excess = fma(q, b, -a)
    excess = excess if is_zero(a_low) else excess - a_low
    excess = excess if is_zero(b_low) else fma(q, b_low, excess)
    return fma(-excess, r, q)


def quotient_error_kernel(precision: Precision, a: Expression, b: Expression) -> Expression:
    """The remainder is as many digits smaller than a; scaled, it is not subnormal."""
    if not precision.careful:
        return constant(0.0)
    scale = where(absolute(b) < 1.0, 2.0**64, 1.0)
    return fma(-(a / b), b * scale, a * scale) * reciprocal_kernel(precision, b * scale)
