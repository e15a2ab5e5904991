"""The normal distribution in kernels: its density, its tail, and the slope of gelu."""

from __future__ import annotations

from collections.abc import Sequence

from fastact.formulas import coefficients
from fastact.formulas.expressions import Expression
from fastact.formulas.primitives import fma
from fastact.kernels.exponentials import LOG2_E
from fastact.kernels.instructions import bits, clip, float_from_bits, horner, integer, polynomial, shift_left
from fastact.kernels.precision import Precision

__all__ = ["gauss_times_kernel", "gelu_slope_kernel", "normal_tail_kernel"]


def gauss_times_kernel(precision: Precision, factor: Expression, z: Expression) -> Expression:
    """``factor * exp(-z**2 / 2)`` for factors that are no larger than a hundred.

    With ``z**2 = s - k log(4)``, k <= 0, the result is ``2**k * (factor + factor * expm1(-s / 2))``, which has the
    rounding of that sum and half of another. A power of two makes 2**k a normal number, and is taken back at the end.
    """
    up, ends = (64.0, 220.0) if precision.size == 32 else (512.0, 1500.0)  # exp(-ends / 2) times a hundred is zero
    exact = z * z
    square = clip(exact, None, ends)
    shift = 1.5 * 2.0**precision.digits + precision.bias + up  # leaves the bits of 2**(k + up), but for their place
    shifted = fma(square, -0.5 * LOG2_E, shift)
    k = shifted - shift
    power = float_from_bits(shift_left(bits(shifted), integer(precision.digits, precision)))
    if precision.careful:  # exp amplifies the rounding of z * z by its own size
        s = fma(k, 2.0 * precision.log2_high, square) + fma(k, 2.0 * precision.log2_low, fma(z, z, -exact))
    else:
        s = fma(k, 2.0 * (precision.log2_high + precision.log2_low), square)
    grown = factor * power
    return fma(grown, s * horner(s, coefficients.GAUSS[precision.table]), grown) * 2.0**-up


def ending_steeply(x: Expression, coefficients: Sequence[float]) -> Expression:
    """A polynomial by Estrin's scheme, but for the last five terms, which are large: by Horner's, with the fewest
    roundings. As long a chain as all of Horner's takes a quarter more time in float64 on AVX2."""
    high = len(coefficients) - 5
    return horner(x, [polynomial(x, coefficients[:high]), *coefficients[high:]])


def tail_variable(precision: Precision, quotient: Expression) -> Expression:
    """``(z - c) / (z + a)``, from ``z / (z + a)``."""
    a, c = coefficients.TAIL_VARIABLE[precision.table]
    return quotient if c == 0 else fma(quotient, (a + c) / a, -c / a)


def normal_tail_kernel(precision: Precision, z: Expression, factor: Expression) -> Expression:
    """A factor of z, as gelu has it, is divided instead of 1: a division is the only thing that it adds."""
    a, c = coefficients.TAIL_VARIABLE[precision.table]
    table = coefficients.NORMAL_TAIL[precision.table]
    u = (z if factor is z else 1.0) / (z + a)
    v = u if factor is z else z * u
    if c == 0 and precision.careful:  # the last coefficient is 1 then: u + ... is rounded once where v is small
        tail = fma(u * v, horner(v, table[:-1]), u)
    else:
        tail = u * ending_steeply(tail_variable(precision, v), table)
    return tail if factor is z else factor * tail


def gelu_slope_kernel(precision: Precision, z: Expression) -> Expression:
    a, _ = coefficients.TAIL_VARIABLE[precision.table]
    high, low = coefficients.GELU_ROOT[precision.table]
    v = tail_variable(precision, z / (z + a))
    return ((high - z) + low) * ending_steeply(v, coefficients.GELU_SLOPE[precision.table])
