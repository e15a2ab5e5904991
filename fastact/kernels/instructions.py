"""What kernels are written with beyond the functions of formulas: bits of floats, polynomials, bounds.

Some need instructions that not every host has: :func:`fastact.simd.variants.variant` says what rules may write with.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fastact.formulas.expressions import Expression, node
from fastact.formulas.primitives import fma, where
from fastact.formulas.signs import is_nonpositive
from fastact.kernels.precision import Precision

__all__ = [
    "about_reciprocal", "bits", "clip", "copysign", "far_cos", "far_sin", "far_tan", "float_from_bits", "floor",
    "horner", "integer", "integer_add", "integer_sub", "ldexp", "lookup", "polynomial", "rint", "shift_left",
    "shift_right", "to_float",
]  # fmt: skip


def _instruction(name: str) -> Callable[..., Expression]:
    """Not a word of formulas, though a graph can hold it: what formulas can say does not depend on who was imported."""
    return lambda *operands: node(name, *operands)


copysign, ldexp, integer_add, integer_sub, shift_left, shift_right = map(
    _instruction, ("copysign", "ldexp", "integer_add", "integer_sub", "shift_left", "shift_right")
)
about_reciprocal, bits, float_from_bits, floor, rint, to_float = map(
    _instruction, ("about_reciprocal", "bits", "float_from_bits", "floor", "rint", "to_float")
)
#: The C library's, of x, in lanes that a condition says, where there is one; elsewhere another value.
far_cos, far_sin, far_tan = map(_instruction, ("far_cos", "far_sin", "far_tan"))


def lookup(table: str, index: Expression) -> Expression:
    """The entries of a table of 8, 16 or 32 that the last three, four or five bits of integers say."""
    return node(f"lookup_{table}", index)


def integer(value: int, precision: Precision) -> Expression:
    return Expression("integer", (value, precision.size))


def horner(x: Expression, coefficients: Sequence[Any]) -> Expression:
    """A polynomial with the fewest roundings near the end of the sum."""
    result: Any = coefficients[0]
    for c in coefficients[1:]:
        result = fma(result, x, c)
    return result


def polynomial(x: Expression, coefficients: Sequence[float]) -> Expression:
    """Estrin's scheme: pairs, then pairs of pairs. As many multiplications as Horner's and a few squares, but
    a chain a third as long, and a core can keep only so many waiting instructions in sight."""
    terms: list[Any] = list(reversed(coefficients))
    while len(terms) > 1:
        pairs = zip(terms[::2], terms[1::2])
        terms = [fma(high, x, low) for low, high in pairs] + terms[len(terms) - len(terms) % 2 :]
        x = x * x
    return terms[0]


def clip(x: Expression, low: float | None, high: float | None) -> Expression:
    """Bound an argument; NaN stays. An argument that is visibly not positive needs no upper bound."""
    if low is not None:
        x = where(x < low, low, x)
    if high is not None and not is_nonpositive(x):
        x = where(x > high, high, x)
    return x
