"""What the roundings of a formula's sums, products and quotients lack altogether, for a function that multiplies it."""

from __future__ import annotations

import numpy as np

from fastact.formulas.expressions import Expression, apply, constant
from fastact.formulas.primitives import absolute, product_error, quotient_error, sum_error, where
from fastact.formulas.signs import is_zero

__all__ = ["rounding_error"]

ZERO = constant(0.0)

#: Beyond, exp is 0 or infinite whatever the error, which may be NaN.
EXTREME = 1500.0


def rounding_error(u: Expression) -> Expression:
    """To first order, where u is neither infinite nor so large that exp(u) is: what is to be added to u."""
    low = _error(u, 6)
    return low if low is ZERO else where(absolute(u) < EXTREME, low, ZERO)


def _error(u: Expression, depth: int) -> Expression:
    """Of what lies so deep; what roots and logarithms lack is not known."""
    if u.operation == "where":
        condition, yes, no = u.operands
        return apply("where", condition, _error(yes, depth), _error(no, depth))
    if depth == 0 or u.operation not in ("negative", "absolute", "add", "subtract", "multiply", "divide"):
        return ZERO
    lows = [_error(o, depth - 1) for o in u.operands]
    a = u.operands[0]
    if u.operation == "negative":
        return ZERO if is_zero(lows[0]) else -lows[0]
    if u.operation == "absolute":
        return ZERO if is_zero(lows[0]) else where(a < 0.0, -lows[0], lows[0])
    b = u.operands[1]
    if u.operation == "add":
        return _sum(sum_error(a, b), *lows)
    if u.operation == "subtract":
        return _sum(sum_error(a, -b), lows[0], ZERO if is_zero(lows[1]) else -lows[1])
    if u.operation == "multiply":
        exact = any(o.operation == "constant" and np.frexp(o.operands[0])[0] in (0.5, -0.5) for o in (a, b))
        return _sum(ZERO if exact else product_error(a, b), *(_product(low, o) for low, o in zip(lows, (b, a))))
    return _sum(quotient_error(a, b), *(_product(low, f) for low, f in zip(lows, (1.0 / b, -(u / b)))))


def _product(low: Expression, other: Expression) -> Expression:
    return ZERO if is_zero(low) else apply("multiply", low, other)


def _sum(*terms: Expression) -> Expression:
    total = ZERO
    for term in terms:
        if not is_zero(term):
            total = term if is_zero(total) else total + term
    return total
