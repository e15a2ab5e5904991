"""Naive forms as what they mean: ``log(1 + exp(x))`` overflows, loses its tail, and so does what the chain rule makes
of it; ``softplus(x)`` has neither fault. Formulas are brought into such forms before they are differentiated, and their
derivatives again (P. Panchekha et al., Automatically improving accuracy for floating point expressions, PLDI 2015, has
tables of such rules; these are the few that activations need).

Every rule is an identity of mathematics; where it holds for some x only, it says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from fastact.formulas.careful import (
    arcsinh,
    erfc,
    half_hypot_sum,
    half_root_sum,
    hypot,
    log1mexp,
    log1p_square,
    log_root,
    ndtr,
    precise_exp,
    root,
    root_ratio,
    sech2,
    sech2_times_exp,
    sigmoid,
    sin_ratio,
    softplus,
)
from fastact.formulas.expressions import Expression, apply, constant
from fastact.formulas.nodes import topological
from fastact.formulas.operations import LEAVES
from fastact.formulas.primitives import absolute, exp, expm1, log, log1p, tanh

__all__ = ["stable"]

ONE = constant(1.0)

#: Halves of sums with roots.
HALVES = ("half_root_sum", "half_hypot_sum")

#: What may be zero where another exponential is infinite, though their product is neither.
VANISHING = ("sech2", "exp", "precise_exp")


def stable(result: Expression) -> Expression:
    """The same, from forms that neither overflow nor cancel where others would."""
    made: dict[Expression, Expression] = {}
    for node in topological(result):
        made[node] = node if node.operation in LEAVES else _improved(node.operation, *(made[o] for o in node.operands))
    return made[result]


def _improved(operation: str, *operands: Expression) -> Expression:
    better = RULES[operation](*operands) if operation in RULES else None
    return apply(operation, *operands) if better is None else better


def _again(expression: Any) -> Expression:
    """What a rule made may be improved by another."""
    return _improved(expression.operation, *expression.operands)


def _of(expression: Expression, operation: str) -> Any:
    """What an operation of one operand was applied to, or None."""
    return expression.operands[0] if expression.operation == operation else None


def _exponent(e: Expression) -> Any:
    """u of exp(u)."""
    return e.operands[0] if e.operation in ("exp", "precise_exp") else None


def _less_one(e: Expression) -> Any:
    """u of 1 + u, in any order."""
    if e.operation == "add":
        for one, other in (e.operands, e.operands[::-1]):
            if one is ONE:
                return other
    return None


def _is(e: Expression, number: float) -> bool:
    return e.operation == "constant" and math.isclose(e.operands[0], number, rel_tol=1e-15)


# -- sums -------------------------------------------------------------------------------------------


def _add(a: Expression, b: Expression) -> Any:
    if (u := _of(b, "negative")) is not None:
        return _improved("subtract", a, u)
    if (u := _of(a, "negative")) is not None:
        return _improved("subtract", b, u)
    for one, other in ((a, b), (b, a)):
        if _is(one, -1.0):
            return _improved("subtract", other, ONE)
        if one is ONE and (u := _of(other, "tanh")) is not None:
            return 2.0 * sigmoid(2.0 * u)
        if one is ONE and (u := _of(other, "erf")) is not None:
            return _again(erfc(_negated(u)))
        if (made := _sum_with_root(one, other)) is not None:
            return made
    return None


def _sum_with_root(u: Expression, r: Expression) -> Any:
    """u + sqrt(c + u * u), which cancels where u is negative."""
    if r.operation == "root" and r.operands[1] is ONE and _same_size(u, r.operands[2]):
        return 2.0 * half_root_sum(r.operands[0], u)
    if r.operation == "hypot":
        for v, w in (r.operands, r.operands[::-1]):
            if _same_size(u, v):
                return 2.0 * half_hypot_sum(w, u)
    return None


def _twice(e: Expression) -> Any:
    """The half of a sum with a root, whose double may be infinite."""
    if e.operation == "multiply" and _is(e.operands[0], 2.0) and e.operands[1].operation in HALVES:
        return e.operands[1]
    return None


def _same_size(u: Expression, v: Expression) -> bool:
    """Of what is no number: there, nothing would be won."""
    return u.operation != "constant" and (u is v or _of(u, "negative") is v or _of(v, "negative") is u)


def _subtract(a: Expression, b: Expression) -> Any:
    if (u := _of(b, "negative")) is not None:
        return _improved("add", a, u)
    if (u := _exponent(a)) is not None and b is ONE:
        return expm1(u)
    if (made := _sum_with_root(_negated(b), a)) is not None:
        return made
    if (made := _sum_with_root(_negated(a), b)) is not None:
        return -made
    if a is not ONE:
        return None
    if (u := _exponent(b)) is not None:
        return -expm1(u)
    if (u := _of(b, "tanh")) is not None:
        return 2.0 * sigmoid(_negated(2.0 * u))
    if (u := _of(b, "erf")) is not None:
        return _again(erfc(u))
    if (u := _of(b, "sigmoid")) is not None:
        return sigmoid(_negated(u))
    if b.operation == "multiply" and b.operands[0] is b.operands[1] and (u := _of(b.operands[0], "tanh")) is not None:
        return sech2(u)
    return None


def _negated(u: Expression) -> Expression:
    inner = _of(u, "negative")
    if inner is not None:
        return inner
    return apply("subtract", *u.operands[::-1]) if u.operation == "subtract" else -u


# -- products and quotients -------------------------------------------------------------------------


def _multiply(a: Expression, b: Expression) -> Any:
    for one, other in ((a, b), (b, a)):
        if (u := _of(one, "negative")) is not None:
            return -_improved("multiply", *((u, other) if one is a else (other, u)))
    if (u := _exponent(a)) is not None and (v := _exponent(b)) is not None:
        return _exp_of(_sum(u, v))
    for one, other in ((a, b), (b, a)):
        if one.operation == "constant" and (half := _twice(other)) is not None:
            return half if _is(one, 0.5) else 2.0 * one.operands[0] * half
    for one, other in ((a, b), (b, a)):
        if one.operation in VANISHING and _grows(other):  # no infinite part is to meet a zero
            p, q = other.operands
            if other.operation == "multiply":
                p, q = (p, q) if _exponent(q) is not None else (q, p)
                return _improved("multiply", p, _improved("multiply", one, q))
            return _improved(other.operation, *(_improved("multiply", one, part) for part in (p, q)))
        if (v := _exponent(other)) is not None:
            if (u := _of(one, "sech2")) is not None:
                return sech2_times_exp(u, v)
            if (u := _of(one, "sigmoid")) is not None and _sum(u, v) is constant(0.0):
                return sigmoid(v)
        u, v = _of(one, "expm1"), _of(other, "sigmoid")
        if u is not None and v is not None and _sum(u, v) is constant(0.0):
            return tanh(0.5 * u)
    return None


def _grows(e: Expression) -> bool:
    """Whether it is a multiple of an exponential, or a sum with one."""
    if e.operation == "multiply":
        return any(_exponent(o) is not None for o in e.operands)
    return e.operation in ("add", "subtract") and any(_exponent(o) is not None or _grows(o) for o in e.operands)


def _sum(u: Expression, v: Expression) -> Expression:
    """u + v; the number 0 where they are each other's negatives."""
    if u is v:
        return 2.0 * u
    if _negated(u) is v or _negated(v) is u:
        return constant(0.0)
    return _improved("add", u, v)


def _divide(a: Expression, b: Expression) -> Any:
    if (u := _of(a, "negative")) is not None:
        return -_improved("divide", u, b)
    if (u := _of(b, "negative")) is not None:
        return -_improved("divide", a, u)
    if (v := _exponent(b)) is not None:
        return _improved("multiply", a, _exp_of(_negated(v)))
    if (u := _less_one(b)) is not None and (v := _exponent(u)) is not None:
        return _improved("multiply", a, sigmoid(_negated(v)))
    if b.operation == "constant" and (half := _twice(a)) is not None:
        return half if _is(b, 2.0) else half / (0.5 * b.operands[0])
    if b.operation == "root" and a is b.operands[2]:
        return root_ratio(*b.operands)
    if (u := _of(a, "sin")) is b and u is not None:
        return sin_ratio(u)
    if (u := _of(a, "sinh")) is not None and u is _of(b, "cosh"):
        return tanh(u)
    return None


# -- functions --------------------------------------------------------------------------------------


def _exp_of(u: Expression) -> Expression:
    return _improved("exp", u)


def _exp(u: Expression) -> Any:
    if u is constant(0.0):
        return ONE
    return precise_exp(u) if u.operation not in LEAVES else None


def _log(a: Expression) -> Any:
    if (u := _exponent(a)) is not None:
        return u
    if (u := _less_one(a)) is not None:
        return _improved("log1p", u)
    if (u := _of(a, "sigmoid")) is not None:
        return -softplus(_negated(u))
    if a.operation == "negative" and (u := _of(a.operands[0], "expm1")) is not None:
        return log1mexp(u)  # of what is negative; elsewhere both are NaN
    if a.operation == "subtract" and _is(a.operands[0], 2.0) and (u := _exponent(a.operands[1])) is not None:
        return log1p(-expm1(u))
    if (found := _of_square(a)) is not None:
        return log_root(*found)
    if a.operation == "multiply" and a.operands[0] is a.operands[1]:
        return 2.0 * log(absolute(a.operands[0]))
    if (half := _twice(a)) is not None and half.operation == "half_root_sum" and half.operands[0] is ONE:
        return arcsinh(half.operands[1])
    if a.operation == "cosh":
        u = absolute(a.operands[0])
        return u + (log1p(exp(-2.0 * u)) - math.log(2))
    return None


def _log1p(a: Expression) -> Any:
    if (u := _exponent(a)) is not None:
        return softplus(u)
    if (u := _of(a, "expm1")) is not None:
        return u
    if (v := _of(a, "negative")) is not None and (u := _exponent(v)) is not None:
        return log1mexp(u)
    if a.operation == "multiply" and a.operands[0] is a.operands[1]:
        return log1p_square(a.operands[0])
    square = _square(a)
    return None if square is None else log_root(ONE, *square)


def _sqrt(a: Expression) -> Any:
    if a.operation == "multiply" and a.operands[0] is a.operands[1]:
        return absolute(a.operands[0])
    if a.operation != "add":
        return None
    if (found := _of_square(a)) is not None:
        return root(*found)
    squares = [_square(o) for o in a.operands]
    if all(s is not None and s[0] is ONE for s in squares):
        return hypot(squares[0][1], squares[1][1])  # type: ignore[index]
    return None


def _of_square(a: Expression) -> tuple[Expression, ...] | None:
    """c, k and v of c + k * v * v, for numbers or parameters c and k."""
    if a.operation == "add":
        for c, other in (a.operands, a.operands[::-1]):
            square = _square(other)
            if square is not None and c.operation in LEAVES and c is not square[1]:
                return c, *square
    return None


def _square(a: Expression) -> tuple[Expression, Expression] | None:
    """k and v of k * v * v, for a number or parameter k."""
    if a.operation != "multiply":
        return None
    left, right = a.operands
    if left is right:
        return ONE, left
    for k, other in ((left, right), (right, left)):
        if k.operation in LEAVES and other.operation == "multiply" and other.operands[0] is other.operands[1]:
            return k, other.operands[0]
    if left.operation == "multiply" and left.operands[1] is right and left.operands[0].operation in LEAVES:
        return left.operands[0], right  # (k * v) * v
    return None


def _erfc(a: Expression) -> Any:
    """Of x / sqrt(2): exp would multiply the quotient's rounding."""
    sign, u = (-1.0, a.operands[0]) if a.operation == "negative" else (1.0, a)
    if (u.operation == "divide" and _is(u.operands[1], math.sqrt(2))) or (
        u.operation == "multiply" and _is(u.operands[1], math.sqrt(0.5))
    ):
        v = u.operands[0]
    elif u.operation == "multiply" and _is(u.operands[0], math.sqrt(0.5)):
        v = u.operands[1]
    else:
        return None
    return 2.0 * ndtr(v if sign < 0 else _negated(v))


RULES: dict[str, Callable[..., Any]] = {
    "add": _add,
    "subtract": _subtract,
    "multiply": _multiply,
    "divide": _divide,
    "negative": lambda a: _negated(a) if a.operation == "negative" else None,
    "exp": _exp,
    "log": _log,
    "log1p": _log1p,
    "sqrt": _sqrt,
    "erfc": _erfc,
}
