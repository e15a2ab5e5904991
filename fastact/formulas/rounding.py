"""Exponents that know what their roundings took away: exp multiplies that by the exponent's size."""

from __future__ import annotations

from typing import Any

from fastact.formulas.expressions import Expression, apply
from fastact.formulas.precise import parts, precise
from fastact.formulas.primitives import where

__all__ = ["EXTREME", "as_exponent", "carried"]

#: ``exp(-EXTREME)`` times the largest number is still zero.
EXTREME = 1500


def as_exponent(number: Any) -> Any:
    """A number in two parts without its low one where exp is 0 or infinite whatever that is, which may be NaN."""
    high, low, _ = parts(number)
    return precise(high, where(abs(number) < EXTREME, low, 0))


def carried(u: Expression) -> Expression:
    """An exponent, and what the roundings of its last sums, products and quotients lack altogether, to first order."""
    return as_exponent(precise(u, parts(_again(u, 6)).low))


def _again(u: Expression, depth: int) -> Expression:
    """In two parts; what roots and logarithms lack is not known."""
    if u.operation == "where":
        condition, yes, no = u.operands
        return apply("where", condition, _again(yes, depth), _again(no, depth))
    if depth == 0 or u.operation not in ("negative", "absolute", "add", "subtract", "multiply", "divide"):
        return precise(u)
    return apply(u.operation, *(_again(operand, depth - 1) for operand in u.operands))
