"""Tails: where a formula vanishes like ``factor * exp(E)``, it is that, rounded once.

``x * tanh(exp(x))`` multiplies, for very negative x, by what is subnormal already and has few digits left. Down there
the hyperbolic tangent is its argument, as are ``expm1``, ``log1p`` and others, so the whole is ``x * exp(x)``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastact.formulas.expressions import Expression, apply, constant
from fastact.formulas.primitives import NORMAL_PEAK, absolute, exp_times, normal_tail, where
from fastact.formulas.rounding import carried

__all__ = ["with_tails"]

#: Below, ``1 + exp(E)`` is 1, and exp(E) not yet subnormal in float32.
DEEP = -80.0

#: And below this, nothing is left, whatever the factor, which may be infinite.
NOTHING = -1500.0

#: Factor and exponent, or None.
Tail = Any


def with_tails(result: Expression) -> Expression:
    """The same; where it is a multiple of a vanishing exponential, computed as such."""
    found = _tail(result)
    if found is None or found[0] is constant(1.0):
        return result
    factor, exponent = found
    deep = (exponent < DEEP) & (exponent > NOTHING)
    return where(deep, exp_times(factor, carried(exponent)), result)


def _tail(e: Expression) -> Tail:
    rule = RULES.get(e.operation)
    return rule(*e.operands) if rule else None


def _scaled(found: Tail, factor: Any) -> Tail:
    return None if found is None else (found[0] * factor, found[1])


def _of_exponential(u: Expression) -> Tail:
    """exp(a - b) is exp(a) where b itself vanishes."""
    while u.operation in ("add", "subtract") and _tail(u.operands[1]) is not None:
        u = u.operands[0]
    return constant(1.0), u


def _product(a: Expression, b: Expression) -> Tail:
    in_a, in_b = _tail(a), _tail(b)
    if in_a is None or in_b is None:
        return _scaled(in_a, b) if in_b is None else _scaled(in_b, a)
    return in_a[0] * in_b[0], in_a[1] + in_b[1]


def _sum(sign: float) -> Callable[..., Tail]:
    def rule(a: Expression, b: Expression) -> Tail:
        in_a, in_b = _tail(a), _tail(b)
        if in_a is None or in_b is None or in_a[1] is not in_b[1]:
            return None
        return apply("add" if sign > 0 else "subtract", in_a[0], in_b[0]), in_a[1]

    return rule


def _square_of_negative(a: Expression) -> Expression:
    """The exponent of the normal distribution, on the negative side alone."""
    return where(a < 0.0, -0.5 * (a * a), 0.0)


RULES: dict[str, Callable[..., Tail]] = {
    "exp": _of_exponential,
    "precise_exp": _of_exponential,
    "sigmoid": _of_exponential,
    "softplus": _of_exponential,
    "logistic_bell": _of_exponential,
    "gauss": lambda a: (constant(1.0), -(a * a)),
    "ndtr": lambda a: (normal_tail(absolute(a)), _square_of_negative(a)),
    "normal_density": lambda a: (constant(NORMAL_PEAK), _square_of_negative(a)),
    "tanh": _tail,
    "expm1": _tail,
    "log1p": _tail,
    "erf": lambda a: _scaled(_tail(a), 1.1283791670955126),
    "negative": lambda a: _scaled(_tail(a), -1.0),
    "multiply": _product,
    "divide": lambda a, b: _scaled(_tail(a), 1.0 / b),
    "sech2_times_exp": lambda a, b: None if _tail(a) is None else _of_exponential(b),
    "add": _sum(1.0),
    "subtract": _sum(-1.0),
}
