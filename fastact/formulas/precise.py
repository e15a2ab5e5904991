"""Numbers in two parts: beside a number, what rounding took away from it (T. J. Dekker, Numerische Mathematik 18, 1971;
M. Joldes, J.-M. Muller and V. Popescu, ACM TOMS 44, 2017).

``precise(x)`` is x, which lacks nothing yet. Sums, products, quotients, roots and exponentials of it know what they
lack; the other operands may be plain. Everything else takes it rounded, and so do results of formulas.

No graph holds such a number: operations on it become operations on its parts at once, and those that would add zero
are left out. Beside the parts there is a third expression: both rounded once, which often costs less than their sum.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import reduce
from typing import Any, NamedTuple

import numpy as np

from fastact.formulas.expressions import IN_TWO_PARTS, Expression, apply, as_expression, constant, rounded
from fastact.formulas.operations import TRUTH_VALUED
from fastact.formulas.primitives import (
    exp,
    exp_error,
    exp_times,
    expm1,
    expm1_error,
    fma,
    product_error,
    quick_sum_error,
    quotient,
    quotient_error,
    sqrt,
    sqrt_error,
    sum_error,
    where,
)
from fastact.formulas.signs import bounds, is_zero

__all__ = ["parts", "precise", "quick_sum", "rounded"]

ZERO = constant(0.0)

#: In a sum below this, units in the last place are fractions of 1 in every precision that is careful.
WHOLE = 2.0**20


class Parts(NamedTuple):
    high: Expression
    low: Expression  # what is to be added to that
    nearest: Expression  # the sum of both, rounded about once

    def map(self, function: Callable[[Any], Any]) -> Expression:
        """Of a function that rounds nothing."""
        return _made(function(self.high), _unless_zero(function, self.low), function(self.nearest))


def precise(number: Any, low: Any = 0.0) -> Any:
    """A number that keeps what roundings take away from it; of a text, that decimal.

    ``low`` is what it lacks already, if that is known and less than half a unit in its last place.
    """
    if isinstance(number, str):
        from fractions import Fraction

        value, exact = constant(float(number)), Fraction(number) == Fraction(float(np.float32(number)))
        return _made(value, ZERO if exact else Expression("constant_error", (number,)), value)
    number = as_expression(number)
    return number if number.operation == "precise" else _made(number, as_expression(low), number)


def parts(number: Any) -> Parts:
    """Its parts; a plain number lacks nothing."""
    number = as_expression(number)
    return Parts(*number.operands) if number.operation == "precise" else Parts(number, ZERO, number)


def quick_sum(large: Any, small: Any) -> Any:
    """``large + small``, whose error costs half as much where the first is known to be no smaller in size.

    A plain + finds that out by itself where bounds can be seen in the formula.
    """
    a, b = parts(large), parts(small)
    return _sum(a, b, a.high + b.high, quick_sum_error(a.high, b.high))


def _made(high: Any, low: Any, nearest: Any) -> Expression:
    return Expression("precise", (high, low, nearest))


# -- what becomes of operations -----------------------------------------------------------------------


def _add(a: Parts, b: Parts) -> Expression:
    return _sum(a, b, a.high + b.high, _sum_error(a.high, b.high))


def _subtract(a: Parts, b: Parts) -> Expression:
    return _sum(a, parts(_negative(b)), a.high - b.high, _sum_error(a.high, -b.high))


def _sum(a: Parts, b: Parts, high: Expression, error: Expression) -> Expression:
    lows = _plus(a.low, b.low)
    low = _plus(error, lows)
    return _made(high, low, high if is_zero(lows) else high + low)


def _sum_error(a: Expression, b: Expression) -> Expression:
    """Dekker's, where it is right: if the first is larger, or the sum's units in the last place divide it."""
    for large, small in ((a, b), (b, a)):
        if _least(large) >= _size(small) or (_is_whole(large) and _size(a) + _size(b) < WHOLE):
            return quick_sum_error(large, small)
    return sum_error(a, b)


def _least(x: Expression) -> float:
    low, high = bounds(x)
    return max(low, -high, 0.0)


def _size(x: Expression) -> float:
    low, high = bounds(x)
    return max(-low, high)


def _is_whole(x: Expression) -> bool:
    if x.operation == "where":
        return all(map(_is_whole, x.operands[1:]))
    return x.operation == "constant" and float(x.operands[0]).is_integer()


def _negative(a: Parts) -> Expression:
    return a.map(lambda part: -part)


def _multiply(a: Parts, b: Parts) -> Expression:
    if _is_power_of_two(b):
        return a.map(lambda part: part * b.high)
    if _is_power_of_two(a):
        return b.map(lambda part: a.high * part)
    error = product_error(a.high, b.high)
    high, crossed = a.high * b.high, _crossed(a, b)
    low, rest = reduce(_plus, crossed[::-1], error), reduce(_plus, crossed)
    return _made(high, low, high if is_zero(rest) else fma(a.high, b.high, rest))


def _crossed(a: Parts, b: Parts) -> list[Expression]:
    """What low parts add to a product."""
    if a.high is b.high and a.low is b.low:
        return [_unless_zero(lambda low: 2.0 * a.high * low, a.low)]
    return [_unless_zero(lambda low: low * b.high, a.low), _unless_zero(lambda low: a.high * low, b.low)]


def _divide(a: Parts, b: Parts) -> Expression:
    if _is_power_of_two(b):
        return a.map(lambda part: part / b.high)
    q = a.high / b.high
    rest = _plus(a.low, _unless_zero(lambda low: -(q * low), b.low))
    low = _plus(quotient_error(a.high, b.high), _unless_zero(lambda rest: rest / b.high, rest))
    return _made(q, low, q if is_zero(rest) else quotient(a.high, a.low, b.high, b.low))


def _fma(a: Parts, b: Parts, c: Parts) -> Expression:
    """Rounded once more: of that rounding nothing is kept."""
    rest = reduce(_plus, [*_crossed(a, b), c.low])
    high = fma(a.high, b.high, c.high)
    return _made(high, rest, high if is_zero(rest) else high + rest)


def _absolute(a: Parts) -> Expression:
    if bounds(a.high)[0] >= 0.0:
        return _made(*a)
    low = _unless_zero(lambda low: where(a.high < 0.0, -low, low), a.low)
    return _made(abs(a.high), low, abs(a.nearest))


def _where(condition: Parts, yes: Parts, no: Parts) -> Expression:
    return _made(*(where(condition.high, y, n) for y, n in zip(yes, no)))


def _sqrt(a: Parts) -> Expression:
    root, low = sqrt(a.high), sqrt_error(a.high, a.low)
    return _made(root, low, root if is_zero(a.low) else root + low)


def _exp(a: Parts) -> Expression:
    e = exp(a.high) if is_zero(a.low) else exp_times(1.0, a.high, a.low)
    return _made(e, exp_error(a.high, a.low), e)


def _expm1(a: Parts) -> Expression:
    m = expm1(a.high)
    rest = _unless_zero(lambda low: low * (1.0 + m), a.low)
    low = _plus(expm1_error(a.high), rest)
    return _made(m, low, m if is_zero(rest) else m + low)


def _compared(operation: str) -> Callable[..., Expression]:
    return lambda *operands: apply(operation, *(o.high for o in operands))


def _with_low(operation: str, place: int) -> Callable[..., Expression]:
    """Of what asks for the error of an operand behind it."""

    def rule(*operands: Parts) -> Expression:
        nearest = [o.nearest for o in operands]
        nearest[place : place + 2] = operands[place].high, _plus(operands[place].low, nearest[place + 1])
        return apply(operation, *nearest)

    return rule


def _is_power_of_two(a: Parts) -> bool:
    return a.high.operation == "constant" and is_zero(a.low) and abs(math.frexp(a.high.operands[0])[0]) == 0.5


def _unless_zero(function: Callable[[Any], Any], low: Expression) -> Expression:
    return ZERO if is_zero(low) else function(low)


def _plus(a: Expression, b: Expression) -> Expression:
    if is_zero(a) or is_zero(b):
        return b if is_zero(a) else a
    if a.operation == "negative":
        return b - a.operands[0]
    return a - b.operands[0] if b.operation == "negative" else a + b


RULES: dict[str, Callable[..., Expression]] = {
    "add": _add,
    "subtract": _subtract,
    "multiply": _multiply,
    "divide": _divide,
    "negative": _negative,
    "absolute": _absolute,
    "where": _where,
    "fma": _fma,
    "sqrt": _sqrt,
    "exp": _exp,
    "expm1": _expm1,
    "exp_times": _with_low("exp_times", 1),
    "exp_times_any": _with_low("exp_times_any", 1),
    "expm1_times": _with_low("expm1_times", 1),
    "logistic_times": _with_low("logistic_times", 1),
    "logistic_times_any": _with_low("logistic_times_any", 1),
    "log1p_exp": _with_low("log1p_exp", 0),
}
RULES |= {operation: _compared(operation) for operation in TRUTH_VALUED}

IN_TWO_PARTS |= {
    operation: lambda *operands, rule=rule: rule(*map(parts, operands)) for operation, rule in RULES.items()
}
