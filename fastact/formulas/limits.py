"""Limits: what a formula goes to where x does to plus or minus infinity.

Computed there, ``x * exp(x)`` is ``-inf * 0``, which is NaN, though it goes to 0. So each part's leading term
``c * exp(E) * u**p * log(u)**l`` is found, for u = abs(x), where E is such a term itself (D. Gruntz, On computing
limits in a symbolic manipulation system, 1996, does this for all there is; here, what is not known is left as it is).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import reduce
from itertools import product
from operator import and_
from typing import Any, NamedTuple

import numpy as np

from fastact.formulas.expressions import NUMBERS, Expression, apply, as_expression, lower, substitute, variable
from fastact.formulas.fallback import numpy_function
from fastact.formulas.language import DEFINITIONS
from fastact.formulas.nodes import topological
from fastact.formulas.operations import TRUTH_VALUED
from fastact.formulas.primitives import where

__all__ = ["with_limits"]


class UnknownError(Exception):
    """There is no limit, or it is not found."""


class Term(NamedTuple):
    """The leading term of what a part goes to. Beside an exponential, the factor has the right sign, but no size."""

    factor: Any  # a number, an expression of parameters, or None for what oscillates, or is only known to be no larger
    exponent: Any = None  # E, which goes to plus or minus infinity
    power: float = 0.0
    logs: float = 0.0

    def growth(self) -> float:
        """Positive where it goes to infinity in size, negative where to zero, 0 where to the factor."""
        if self.is_zero():
            return -1.0
        exponent = 0.0 if self.exponent is None else _sign(self.exponent.factor)
        return next((n for n in (exponent, self.power, self.logs) if n), 0.0)

    def limit(self) -> Any:
        growth = self.growth()
        if growth < 0:
            return 0.0
        if self.factor is None:
            raise UnknownError
        return self.factor if growth == 0 else math.copysign(math.inf, _sign(self.factor))

    def is_zero(self) -> bool:
        return isinstance(self.factor, NUMBERS) and self.factor == 0


def _known(factor: Any) -> float:
    if not isinstance(factor, NUMBERS):
        raise UnknownError
    return float(factor)


def _sign(factor: Any) -> float:
    """Of a number, or of what :func:`_signed` made of parameters: their sizes are not zero."""
    if isinstance(factor, NUMBERS):
        return float(np.sign(factor))
    if not isinstance(factor, Expression):
        raise UnknownError
    if factor.operation == "constant":
        return float(np.sign(factor.operands[0]))
    if factor.operation == "absolute":
        return 1.0 if factor.operands[0].operation == "variable" else abs(_sign(factor.operands[0]))
    if factor.operation == "negative":
        return -_sign(factor.operands[0])
    if factor.operation in ("multiply", "divide"):
        return math.prod(map(_sign, factor.operands))
    raise UnknownError


ZERO = Term(0.0)


def _times(a: Term, b: Term) -> Term:
    if a.is_zero() or b.is_zero():
        return ZERO
    factor = None if a.factor is None or b.factor is None else a.factor * b.factor
    exponents = [t.exponent for t in (a, b) if t.exponent is not None]
    exponent = reduce(_plus, exponents) if exponents else None
    if exponent is not None and exponent.growth() <= 0:
        raise UnknownError  # they cancel, and what is left is not known
    return Term(factor, exponent, a.power + b.power, a.logs + b.logs)


def _raised(a: Term, power: float) -> Term:
    if a.is_zero() or a.factor is None:
        if power < 0:
            raise UnknownError
        return a
    if isinstance(a.factor, NUMBERS) and a.factor < 0 and power != -1:
        raise UnknownError
    exponent = None if a.exponent is None else a.exponent._replace(factor=a.exponent.factor * power)
    return Term(a.factor**power, exponent, a.power * power, a.logs * power)


def _plus(a: Term, b: Term) -> Term:
    """The larger one; of two that are as large, the sum."""
    if a.is_zero() or b.is_zero():
        return b if a.is_zero() else a
    if not (_equal(a.exponent, b.exponent) and a[2:] == b[2:]):
        larger, other = (a, b) if _is_larger(a, b) else (b, a)
        close = larger.exponent is not None and _equal(larger.exponent, other.exponent)  # to first order
        return larger._replace(factor=None) if close and not _same_sign(a, b) else larger
    if a.factor is None or b.factor is None:
        return a._replace(factor=None)
    if a.exponent is not None:
        return a if _same_sign(a, b) else a._replace(factor=None)
    total = a.factor + b.factor
    cancelled = _equal(a.factor, -b.factor)
    return a._replace(factor=None if cancelled else total)  # what is left is smaller by we do not know how much


def _equal(a: Any, b: Any) -> bool:
    """Of two exponents or factors, but for roundings; those of parameters are tried with some numbers."""
    if a is None or b is None:
        return a is b
    if isinstance(a, Term):
        return a[2:] == b[2:] and _equal(a.exponent, b.exponent) and _equal(a.factor, b.factor)
    a, b = as_expression(a), as_expression(b)
    names = sorted({n.operands[0] for e in (a, b) for n in topological(e) if n.operation == "variable"})
    numbers = [np.array(math.sqrt(i + 2)) for i in range(len(names))]
    one, other = (float(numpy_function("factor", names, (e,))(*numbers)) for e in (a, b))
    return abs(one - other) <= 1e-14 * abs(one)


def _same_sign(a: Term, b: Term) -> bool:
    return a.factor is not None and b.factor is not None and _sign(a.factor) * _sign(b.factor) > 0


def _is_larger(a: Term, b: Term) -> bool:
    if _equal(a.exponent, b.exponent):
        return (a.power, a.logs) > (b.power, b.logs)
    exponents = [ZERO if t.exponent is None else t.exponent for t in (a, b)]
    difference = _plus(exponents[0], _minus(exponents[1]))
    if difference.growth() <= 0:
        raise UnknownError
    return _sign(difference.factor) > 0


def _minus(a: Term) -> Term:
    return a if a.factor is None else a._replace(factor=-a.factor)


# -- functions: what becomes of zero, of infinity, and of all else -----------------------------------


def _exp(a: Term) -> Term:
    growth = a.growth()
    if growth > 0:
        _sign(a.factor)  # or it might go either way
        return Term(1.0, a)
    return Term(1.0) if growth < 0 else Term(math.exp(_known(a.factor)))


def _log(a: Term) -> Term:
    if a.growth() == 0:
        limit = _known(a.factor)
        if limit <= 0 or limit == 1:
            raise UnknownError
        return Term(math.log(limit))
    if a.exponent is not None:
        return a.exponent
    if not a.power or _sign(a.factor) <= 0:
        raise UnknownError
    return Term(a.power, logs=1.0)


def _small_or(value: Callable[[Term], Term], slope: float = 1.0) -> Callable[[Term], Term]:
    """Of a function that is ``slope * a`` where a goes to zero."""
    return lambda a: _times(Term(slope), a) if a.growth() < 0 else value(a)


def _to(low: float, high: float, between: Callable[[float], float]) -> Callable[[Term], Term]:
    """Of a function that goes to a number on either side."""

    def value(a: Term) -> Term:
        growth = a.growth()
        if growth > 0:
            return Term(high if _sign(a.factor) > 0 else low)
        return Term(between(0.0 if growth < 0 else _known(a.factor)))

    return value


def _falling(a: Term) -> Term:
    """exp(-abs(a))."""
    return _exp(_minus(_absolute(a)))


def _sigmoid(a: Term) -> Term:
    if a.growth() > 0:
        return _exp(a) if _sign(a.factor) < 0 else Term(1.0)
    return Term(0.5) if a.growth() < 0 else Term(1 / (1 + math.exp(-_known(a.factor))))


def _softplus(a: Term) -> Term:
    if a.growth() > 0:
        return _exp(a) if _sign(a.factor) < 0 else a
    return Term(math.log1p(math.exp(_known(a.factor)))) if a.growth() == 0 else Term(math.log(2))


def _even(between: Callable[[float], float], factor: float, square: bool = False) -> Callable[[Term], Term]:
    """Of a bell: ``factor * exp(-abs(a))`` far out, or that of the square."""

    def value(a: Term) -> Term:
        if a.growth() > 0:
            return _times(Term(factor), _falling(_times(a, a) if square else a))
        return Term(between(0.0 if a.growth() < 0 else _known(a.factor)))

    return value


def _erfc(a: Term) -> Term:
    if a.growth() > 0 and _sign(a.factor) > 0:
        return _times(Term(1 / math.sqrt(math.pi)), _times(_falling(_times(a, a)), _raised(a, -1)))
    return _to(2.0, 0.0, math.erfc)(a)


def _ndtr(a: Term) -> Term:
    return _times(Term(0.5), _erfc(_times(Term(-math.sqrt(0.5)), a)))


def _root(c: Term, k: Term, v: Term) -> Term:
    return _raised(_plus(c, _times(k, _times(v, v))), 0.5)


def _absolute(a: Term) -> Term:
    if a.factor is None:
        return a
    return a._replace(factor=abs(a.factor))


def _wave(a: Term) -> Term:
    if a.growth() < 0:
        raise UnknownError
    return Term(None)


def _expm1(a: Term) -> Term:
    if a.growth() > 0:
        return _exp(a) if _sign(a.factor) > 0 else Term(-1.0)
    return Term(math.expm1(_known(a.factor)))


RULES: dict[str, Callable[..., Term]] = {
    "add": _plus,
    "subtract": lambda a, b: _plus(a, _minus(b)),
    "multiply": _times,
    "divide": lambda a, b: _times(a, _raised(b, -1)),
    "negative": _minus,
    "absolute": _absolute,
    "sqrt": lambda a: _raised(a, 0.5),
    "sign": lambda a: Term(math.copysign(1.0, _sign(a.factor))),
    "exp": _exp,
    "precise_exp": _exp,
    "expm1": _small_or(_expm1),
    "log": _log,
    "log1p": _small_or(lambda a: _log(_plus(Term(1.0), a))),
    "tanh": _small_or(_to(-1.0, 1.0, math.tanh)),
    "arctan": _small_or(_to(-math.pi / 2, math.pi / 2, math.atan)),
    "erf": _small_or(_to(-1.0, 1.0, math.erf), 2 / math.sqrt(math.pi)),
    "erfc": _erfc,
    "ndtr": _ndtr,
    "normal_density": lambda a: _even(lambda a: math.exp(-a * a), 1.0, square=True)(_times(Term(math.sqrt(0.5)), a)),
    "sigmoid": _sigmoid,
    "softplus": _softplus,
    "logistic_bell": _even(lambda a: 1 / (2 + 2 * math.cosh(a)), 1.0),
    "sech2": lambda a: _even(lambda a: 1 / math.cosh(a / 2) ** 2, 4.0)(_times(Term(2.0), a)),
    "sech2_times_exp": lambda a, b: _times(RULES["sech2"](a), _exp(b)),
    "gauss": _even(lambda a: math.exp(-a * a), 1.0, square=True),
    "hypot": lambda a, b: _root(_times(a, a), Term(1.0), b),
    "root": _root,
    "root_ratio": lambda c, k, v: _times(v, _raised(_root(c, k, v), -1)),
    "sin": _small_or(_wave),
    "cos": _wave,
    "sin_ratio": lambda a: _times(_wave(a), _raised(a, -1)),
    "sin_ratio_slope": lambda a: _times(_wave(a), _raised(a, -1)),
}


class _Limit:
    """The leading terms of the parts of a formula, at plus or minus infinity."""

    def __init__(self, sign: float) -> None:
        self.terms: dict[Expression, Term] = {variable("x"): Term(sign, power=1.0)}

    def of(self, expression: Expression) -> Term:
        if expression not in self.terms:
            self.terms[expression] = self._of(expression)
        return self.terms[expression]

    def _of(self, e: Expression) -> Term:
        if e.operation == "variable":
            return Term(e)
        if e.operation == "constant":
            value = e.operands[0]
            if not math.isfinite(value):
                raise UnknownError
            return Term(value)
        if e.operation == "where":
            return self.of(e.operands[1 if self._holds(e.operands[0]) else 2])
        if e.operation in ("maximum", "minimum"):
            a, b = e.operands
            return self.of(a if self._positive(a, b) == (e.operation == "maximum") else b)
        if e.operation in RULES:
            return RULES[e.operation](*map(self.of, e.operands))
        if e.operation in DEFINITIONS:
            (meaning,) = lower((Expression(e.operation, e.operands),), {e.operation: DEFINITIONS[e.operation]})
            return self.of(meaning)
        raise UnknownError

    def _positive(self, a: Expression, b: Expression) -> bool:
        """Whether a is larger than b; unknown where they go to the same."""
        difference = _plus(self.of(a), _minus(self.of(b)))
        if difference.is_zero():
            raise UnknownError
        return _sign(difference.factor) > 0

    def _holds(self, condition: Expression) -> bool:
        operation, operands = condition.operation, condition.operands
        if operation in ("logical_and", "logical_or"):
            return (all if operation == "logical_and" else any)(map(self._holds, operands))
        if operation == "logical_not":
            return not self._holds(operands[0])
        if operation in ("equal", "not_equal") and operands[0] is operands[1]:
            return operation == "equal"
        if operation in ("less", "less_equal"):
            return self._positive(operands[1], operands[0])
        if operation in ("greater", "greater_equal"):
            return self._positive(*operands)
        if operation in TRUTH_VALUED:
            self._positive(*operands)  # which would say that they are not the same
            return operation == "not_equal"
        raise UnknownError


def _limit(result: Expression, sign: float) -> Expression | None:
    """A number, or an expression of parameters; None where it is not known."""
    try:
        return as_expression(_Limit(sign).of(result).limit())
    except (UnknownError, OverflowError, TypeError, ValueError, ZeroDivisionError):  # TypeError: parameters compared
        return None


def _parameters(result: Expression) -> list[Expression]:
    return [n for n in topological(result) if n.operation == "variable" and n.operands[0] != "x"]


def _signed(result: Expression, signs: dict[Expression, float]) -> Expression:
    """With parameters of these signs in it, so that their signs can be seen."""
    sizes = {parameter: sign * apply("absolute", parameter) for parameter, sign in signs.items()}
    return substitute((result,), sizes)[0]


def _at(result: Expression, sign: float, signs: dict[Expression, float]) -> float:
    """What computing it there gives, for parameters of these signs."""
    values = {variable("x"): sign * np.inf} | signs
    names, numbers = [v.operands[0] for v in values], [np.array(number) for number in values.values()]
    with np.errstate(all="ignore"):
        return float(numpy_function("at_infinity", names, (result,))(*numbers))


#: Parameters whose signs limits are looked for, one combination after the other.
MOST_SIGNS = 2


def with_limits(result: Expression, computed: Expression) -> Expression:
    """``computed``, and limits of ``result`` at the infinities where that gives something else, and there are such;
    where they depend on the signs of parameters, for each."""
    parameters = _parameters(result)
    ones = dict.fromkeys(parameters, 1.0)
    for sign in (1.0, -1.0):
        there, limit = apply("equal", variable("x"), sign * np.inf), _limit(result, sign)
        if limit is not None and _differ(computed, limit, sign, ones):
            computed = where(there, limit, computed)
        if limit is None and 0 < len(parameters) <= MOST_SIGNS:
            for combination in product((1.0, -1.0), repeat=len(parameters)):
                signs = dict(zip(parameters, combination))
                limit = _limit(_signed(result, signs), sign)
                if limit is not None and _differ(computed, limit, sign, signs):
                    computed = where(reduce(and_, [p * s > 0.0 for p, s in signs.items()], there), limit, computed)
    return computed


def _differ(computed: Expression, limit: Expression, sign: float, signs: dict[Expression, float]) -> bool:
    return not np.array_equal(_at(computed, sign, signs), _at(limit, sign, signs), equal_nan=True)
