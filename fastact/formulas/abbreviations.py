"""Words that are written out in others as soon as a formula says them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastact.formulas.careful import logaddexp, sin_ratio, softplus, xlogy
from fastact.formulas.expressions import Expression, apply, as_expression
from fastact.formulas.language import LN2, copysign, exp2, floor, rint, trunc, written_out
from fastact.formulas.primitives import absolute, fma, maximum, minimum, sqrt, where

__all__: list[str] = []


@written_out
def power(a: Any, b: Any) -> Any:
    """a**b; by multiplication for whole b up to 64, and with a square root for halves"""
    a, b = as_expression(a), as_expression(b)
    if a.operation == "constant" and a.operands[0] == 2:
        return exp2(b)
    size = abs(b.operands[0]) if b.operation == "constant" else np.nan
    if not (size <= 64 and 2 * size == int(2 * size)):
        return apply("float_power", a, b)
    result = _repeated(a, int(size))
    if size != int(size):
        result = sqrt(a) if size == 0.5 else result * sqrt(a)
    return 1.0 / result if b.operands[0] < 0 else result


def _repeated(a: Any, times: int) -> Any:
    if times < 2:
        return a if times else 1.0
    half = _repeated(a, times // 2)
    return half * half if times % 2 == 0 else half * half * a


@written_out
def square_(a: Any) -> Any:
    """a * a"""
    return a * a


@written_out
def reciprocal(a: Any) -> Any:
    """1 / a"""
    return 1.0 / a


@written_out
def positive(a: Any) -> Any:
    """a"""
    return a


@written_out
def deg2rad(a: Any) -> Any:
    """a * pi / 180"""
    return a * (math.pi / 180)


@written_out
def rad2deg(a: Any) -> Any:
    """a * 180 / pi"""
    return a * (180 / math.pi)


@written_out
def exp10(a: Any) -> Any:
    """10**a"""
    return power(10.0, a)


@written_out
def logaddexp2(a: Any, b: Any) -> Any:
    """log2(2**a + 2**b)"""
    return logaddexp(a * LN2, b * LN2) / LN2


@written_out
def log_expit(a: Any) -> Any:
    """log(sigmoid(a))"""
    return -softplus(-a)


@written_out
def entr(a: Any) -> Any:
    """-a * log(a), 0 at 0, and -inf below"""
    return where(a < 0.0, -np.inf, -xlogy(a, a))


@written_out
def floor_divide(a: Any, b: Any) -> Any:
    """floor(a / b)"""
    return floor(a / b)


@written_out
def remainder(a: Any, b: Any) -> Any:
    """a - floor(a / b) * b"""
    rest = fma(-floor(a / b), b, a)
    return where(rest * b < 0.0, rest + b, where(absolute(rest) >= absolute(b), rest - b, rest))


@written_out
def fmod(a: Any, b: Any) -> Any:
    """a - trunc(a / b) * b"""
    return fma(-trunc(a / b), b, a)


@written_out
def sinc(a: Any) -> Any:
    """sin(pi * a) / (pi * a), and 1 at 0"""
    return sin_ratio(math.pi * a)


@written_out
def heaviside(a: Any, b: Any) -> Any:
    """0 below 0, b at 0, 1 above"""
    return where(a == 0.0, b, where(a > 0.0, 1.0, where(a < 0.0, 0.0, a)))


@written_out
def clip(a: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None) -> Any:
    """a, but no less than one bound and no more than another"""
    low, high = (b if a is None else a for a, b in ((a_min, min), (a_max, max)))
    a = a if low is None else maximum(a, low)
    return a if high is None else minimum(a, high)


@written_out
def select(condlist: Any, choicelist: Any, default: Any = 0.0) -> Any:
    """the choice that belongs to the first condition that holds"""
    if isinstance(condlist, Expression):  # one of each will do
        condlist, choicelist = [condlist], [choicelist]
    for condition, choice in reversed(list(zip(condlist, choicelist))):
        default = where(condition, choice, default)
    return default


@written_out
def round_(a: Any, decimals: Any = None) -> Any:
    """the nearest whole number, of two the even one"""
    if decimals not in (None, 0):
        raise TypeError("a formula can round to whole numbers only; scale x before and after")
    return rint(a)


@written_out
def isnan(a: Any) -> Any:
    """whether a is no number"""
    return apply("not_equal", a, a)


@written_out
def isfinite(a: Any) -> Any:
    """whether a is neither infinite nor NaN"""
    return absolute(a) < np.inf


@written_out
def isinf(a: Any) -> Any:
    """whether a is infinite"""
    return apply("equal", absolute(a), np.inf)


@written_out
def signbit(a: Any) -> Any:
    """whether the sign of a is minus"""
    return copysign(1.0, a) < 0.0


@written_out
def logical_xor(a: Any, b: Any) -> Any:
    """whether one of two holds, and not both"""
    one, other = (apply("where", c, 1.0, 0.0) for c in (a, b))
    return apply("not_equal", one, other)
